//! Peers: the connections of clients and workers, and what is known of each.
//!
//! Every part of the data plane speaks of peers, so this file imports no other.

use std::rc::Rc;

/// A connection, as its engine numbers it. No number is used twice, so a late answer can't reach another peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

/// The socket type of a client, as its handshake says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// A DEALER, or any other socket that may talk to a ROUTER without an envelope of its own.
    Dealer,
    /// A REQ, which puts an envelope in front of its request and is stuck for good if the answer comes without it.
    Req,
}

/// The socket type of a worker, as its handshake says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerKind {
    /// A DEALER, which receives `[identity, type, …]` and holds up to `per_worker` requests.
    Dealer,
    /// A REP, which receives `[type, …]` after an envelope that its socket keeps, and holds one request.
    Rep,
}

/// How many workers stand behind a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headcount {
    /// One worker.
    One,
    /// Any number of workers, which the engine can't tell apart.
    Crowd,
}

/// What a worker is called in logs and in /status. Its own words: escape them where they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerName {
    /// The identity that its socket has; empty if it has none, or if the engine can't tell.
    pub identity: Vec<u8>,
    /// The address that it connected from, or that the gateway connected to; empty if the engine
    /// can't tell.
    pub address: String,
}

/// A client's identity, as its worker sees it under `identity: client`.
pub type Identity = Rc<[u8]>;
