//! What only engine native changes while it runs.
//!
//! - `connections`: Limits, heartbeats, kinds of workers and addresses change under connected
//!   peers.
//! - `live`: The table "What takes hold live" of docs/operating.md holds, row by row.
//! - `plain`: Peers that know no type, and proxies, are taken up and given up under requests in flight.

mod connections;
mod live;
mod plain;
