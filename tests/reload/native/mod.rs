//! Tests of configuration changes that engine native applies while it runs.
//!
//! - `connections`: Limits, heartbeats, kinds of workers and addresses change while peers are
//!   connected.
//! - `live`: Most rows of the table "What takes effect live" of docs/operating.md hold.
//! - `framing`: `type`, `envelope`, `errors` and `frames` change while requests are in flight.
//! - `security`: `security` changes while requests are in flight.

mod connections;
mod framing;
mod live;
mod security;
