//! Tests of hostile peers and HTTP clients: memory stays bounded, and all other peers are served.
//!
//! - `deadlines`: Handshakes and messages that take too long end their connection.
//! - `differential`: Messages of any shape pass between libzmq's peers byte for byte.
//! - `hangs`: Panics, named pipes in place of files, full queues and unread output block nothing,
//!   and a signal ends the gateway.
//! - `http`: Hostile HTTP clients and browser pages reload nothing and harm no other peer.
//! - `native`: Floods, many peers at once and incomplete messages are bounded, on engine native.
//! - `strangers`: Foreign protocols, false lengths and peers that disconnect affect no other peer.

mod deadlines;
mod differential;
mod hangs;
mod http;
mod native;
mod strangers;
#[path = "../support/mod.rs"]
mod support;
