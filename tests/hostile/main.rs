//! Peers and HTTP clients that do their worst: memory stays bounded, and everybody else is served.
//!
//! - `differential`: Messages of any shape pass between libzmq's peers byte for byte.
//! - `hangs`: Panics, pipes, full queues and unread output hang nothing, and a signal ends the gateway.
//! - `http`: Hostile HTTP clients and pages in a browser change nothing.
//! - `native`: Floods, crowds and half messages are bounded, on engine native alone.
//! - `strangers`: Foreign protocols, lying lengths and peers that vanish stop nobody's service.

mod differential;
mod hangs;
mod http;
mod native;
mod strangers;
#[path = "../support/mod.rs"]
mod support;
