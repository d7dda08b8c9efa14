//! The core, and a connection, without sockets.
//!
//! - `channels`: Each subscriber receives exactly the valid messages with its prefixes, in order,
//!   except those counted as dropped, under thousands of seeded random schedules.
//! - `session`: A session's events do not depend on timing, and an outbox writes the messages that
//!   were put in.
//! - `simulation`: Each message has exactly one answer, under thousands of seeded random schedules.

mod channels;
#[path = "../../crates/zmtp/tests/support/model.rs"]
mod model;
#[path = "../../crates/schema/tests/support/random.rs"]
mod random;
mod session;
#[path = "../support/session_model.rs"]
mod session_model;
mod simulation;
