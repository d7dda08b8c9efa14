//! The core, and a connection, without sockets.
//!
//! - `session`: A session's events do not depend on timing, and an outbox writes what was put in.
//! - `simulation`: Each message has exactly one answer, under thousands of seeded random schedules.

#[path = "../../crates/zmtp/tests/support/model.rs"]
mod model;
#[path = "../../crates/schema/tests/support/random.rs"]
mod random;
mod session;
#[path = "../support/session_model.rs"]
mod session_model;
mod simulation;
