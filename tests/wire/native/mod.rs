//! What only engine native does.
//!
//! - `plain`: Peers that know no type, clients behind a proxy, and probes.
//! - `workers`: Workers that are killed, frozen or do not read lose their requests, and nobody
//!   else's.
//! - `zmtp`: Handshakes, commands and frames written by hand are answered as ZMTP says.

mod plain;
mod workers;
mod zmtp;
