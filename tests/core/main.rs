//! The core without sockets.
//!
//! - `simulation`: Each message has exactly one answer, under thousands of seeded random schedules.

mod simulation;
