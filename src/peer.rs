//! Peers: their numbers, socket types, names and identities.
//!
//! Core, engines and pools use these types, so this file imports no other file.

use std::rc::Rc;

/// The number that an engine gives to a connection. No number is used twice, so a late answer
/// cannot reach another peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

/// The socket type of a client, as its handshake names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// A DEALER, or any other socket that may talk to a ROUTER and adds no envelope itself.
    Dealer,
    /// A REQ, which puts an envelope before its request and waits for ever if the answer arrives
    /// without that envelope.
    Req,
}

/// The socket type of a worker, as its handshake names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerKind {
    /// A DEALER, which receives `[identity, type, …]` and holds up to `per_worker` requests.
    Dealer,
    /// A REP, which receives `[type, …]` after an envelope that its socket keeps, and holds one
    /// request.
    Rep,
}

/// The number of workers, publishers or subscribers on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headcount {
    /// One peer.
    One,
    /// Any number of peers, which the engine cannot distinguish.
    Unknown,
}

/// The name of a worker, publisher or subscriber in logs and in /status. The peer may have chosen
/// the name, so it must be escaped when it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerName {
    /// The identity of the peer's socket, or the principal of a publisher or subscriber that has
    /// one. Empty if the peer has neither, or if the engine knows neither.
    pub identity: Vec<u8>,
    /// The address that the peer connected from, or that the gateway connected to. Empty if the
    /// engine does not know it.
    pub address: String,
}

/// A client's identity, in the form that workers of a pool with `identity: client` see.
pub type Identity = Rc<[u8]>;
