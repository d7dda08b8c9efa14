//! What clients and workers see: the contract of the wire, by real peers over real sockets.
//!
//! - `connect`: The gateway connects to peers that listen, and listens on addresses of every kind.
//! - `contract`: Each kind of client and worker exchanges types, headers and payloads as docs/wire.md
//!   promises.
//! - `crowd`: Thousands of clients are served at once, and an idle one costs little memory.
//! - `native`: ZMTP byte for byte, and the loss of workers, on engine native alone.
//! - `pools`: Queues, deadlines, losses, limits and shutdown answer every request.

mod connect;
mod contract;
mod crowd;
mod native;
mod pools;
#[path = "../support/mod.rs"]
mod support;
