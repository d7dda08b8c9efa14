//! Tests of the wire contract with clients and workers, by real peers over real sockets.
//!
//! - `channels`: Publishers and subscribers on both sides of a channel.
//! - `connect`: The gateway connects to peers that listen, and listens on addresses of every kind.
//! - `contract`: Each kind of client and worker exchanges types, headers and payloads as
//!   docs/wire.md promises.
//! - `crowd`: Thousands of clients are served at once, and an idle client costs little memory.
//! - `judged`: Large payloads are not checked on the data thread, and are served like all others.
//! - `libzmq`: The behaviour of channels that is specific to engine libzmq.
//! - `native`: The features that only engine native has, such as security, plain peers, the loss of
//!   workers, and ZMTP byte by byte.
//! - `pools`: Every request is answered despite queues, deadlines, losses, limits and shutdown.

mod channels;
mod connect;
mod contract;
mod crowd;
mod judged;
#[cfg(feature = "libzmq")]
mod libzmq;
mod native;
mod pools;
#[path = "../support/mod.rs"]
mod support;
