//! What only engine native does.
//!
//! - `workers`: Workers that are killed, frozen or do not read lose their requests, and nobody
//!   else's.
//! - `zmtp`: Handshakes, commands and frames written by hand are answered as ZMTP says.

mod workers;
mod zmtp;
