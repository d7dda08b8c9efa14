//! Peers: the connections of clients and workers, and the facts that are known about each.
//!
//! Every part of the data plane uses these types, so this file imports no other.

use std::rc::Rc;

/// A connection, by the number that its engine gives it. No number is used twice, so a late answer
/// cannot reach another peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

/// The socket type of a client, by its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// A DEALER, or any other socket that may talk to a ROUTER without an envelope of its own.
    Dealer,
    /// A REQ, which puts an envelope before its request and is stuck for ever if the answer comes
    /// without it.
    Req,
}

/// The socket type of a worker, by its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerKind {
    /// A DEALER, which receives `[identity, type, …]` and holds up to `per_worker` requests.
    Dealer,
    /// A REP, which receives `[type, …]` after an envelope that its socket keeps, and holds one
    /// request.
    Rep,
}

/// The number of workers or subscribers on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headcount {
    /// One worker or subscriber.
    One,
    /// Any number of workers or subscribers, which the engine cannot distinguish.
    Crowd,
}

/// The name of a worker, publisher or subscriber in logs and in /status. The peer may have chosen
/// it, so it must be escaped when it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerName {
    /// The identity of its socket, or the principal of a publisher or subscriber that has one.
    /// Empty if it has none, or if the engine does not know it.
    pub identity: Vec<u8>,
    /// The address that it connected from, or that the gateway connected to. Empty if the engine
    /// does not know it.
    pub address: String,
}

/// A client's identity, in the form that its worker sees under `identity: client`.
pub type Identity = Rc<[u8]>;
