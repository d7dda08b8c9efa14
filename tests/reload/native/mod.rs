//! What only engine native changes while it runs.
//!
//! - `connections`: Limits, heartbeats, kinds of workers and addresses change under connected
//!   peers.
//! - `live`: The table "What takes hold live" of docs/operating.md holds, row by row.

mod connections;
mod live;
