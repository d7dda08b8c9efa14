//! The seam to an engine: what it tells the core, and where the core's effects go.

use std::sync::Arc;
use std::time::Duration;

use crate::frame::Frames;
use crate::ledger::{EngineCounters, Fate, Outcome};
use crate::peer::{ClientKind, Headcount, PeerId, WorkerKind, WorkerName};
use crate::snapshot::{FrontendId, PoolId, Snapshot};

/// How much of a message the engine kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Every frame.
    Whole,
    /// Leading frames of a message over `limits.message`.
    Oversize,
}

/// What an engine tells the core.
#[derive(Debug)]
pub enum Event<M> {
    /// A client came to a frontend.
    ClientCame {
        /// Its connection.
        peer: PeerId,
        /// Where it came.
        frontend: FrontendId,
        /// Its socket type.
        kind: ClientKind,
        /// Its identity, as it names itself or as the engine named it; for tokens and logs.
        identity: Vec<u8>,
    },
    /// A worker connected to a pool.
    WorkerCame {
        /// Its connection.
        peer: PeerId,
        /// Where it came.
        pool: PoolId,
        /// Its socket type.
        kind: WorkerKind,
        /// How many workers stand behind the connection.
        headcount: Headcount,
        /// What it is called in logs and in /status.
        name: Arc<WorkerName>,
    },
    /// A complete message from a client or a worker.
    Message {
        /// Who sent it.
        peer: PeerId,
        /// Its frames; of one with more than `limits.frames`, at least one more than those.
        frames: M,
    },
    /// A complete message over `limits.message`, which the engine skipped as it came.
    Oversize {
        /// Who sent it.
        peer: PeerId,
        /// What was kept of it: leading frames, each whole.
        frames: M,
    },
    /// A worker whose [`Outlet::to_worker`] failed can take more.
    Writable {
        /// Which worker.
        peer: PeerId,
    },
    /// An answer that the outlet kept for a client ([`Fate::Waiting`]) met its fate.
    Settled {
        /// What the answer was.
        outcome: Outcome,
        /// What became of it; not [`Fate::Waiting`] again.
        fate: Fate,
    },
    /// A client or a worker went.
    Gone {
        /// Who.
        peer: PeerId,
    },
    /// Time passed.
    Tick,
    /// Another configuration takes hold. What the engine has for its new frontends and pools is there.
    Reload {
        /// The configuration.
        snapshot: Arc<Snapshot>,
    },
    /// The gateway shuts down: no new requests; those held may finish until `deadline`.
    Drain {
        /// When what is left is rejected.
        deadline: Duration,
    },
}

/// Where the core's effects go: the engine's sending half. Calls never block.
pub trait Outlet<M: Frames> {
    /// Hands a request to a worker: `head`, small frames to copy, then `body`. If the worker can't
    /// take it, the body comes back whole, and [`Event::Writable`] or [`Event::Gone`] follows.
    fn to_worker(&mut self, worker: PeerId, head: &[&[u8]], body: M) -> Result<(), M>;

    /// Hands a client its answer: `head`, small frames to copy, then `body`. Says what became of
    /// it. What waits for the client to read is the outlet's to bound, and its fate to tell by
    /// [`Event::Settled`].
    fn to_client(&mut self, client: PeerId, head: &[&[u8]], body: M, outcome: Outcome) -> Fate;

    /// Returns a request's body in memory of about its own size: it must wait for a worker.
    fn settle(&mut self, body: M) -> M {
        body.compact()
    }

    /// Returns the address of a peer, for people; none where the engine doesn't know it, or the peer has gone.
    fn address(&self, _peer: PeerId) -> Option<String> {
        None
    }

    /// A worker has left: the last thing for it is written already. It hangs up by itself, or is hung up on after a
    /// while; what it still sends is dropped.
    fn release(&mut self, _worker: PeerId) {}

    /// What the engine has counted; asked for now and then.
    fn counters(&self) -> EngineCounters {
        EngineCounters::default()
    }

    /// How many connections stand behind a pool's crowd; none from an engine that knows each worker.
    fn connections(&self, _pool: PoolId) -> Option<usize> {
        None
    }
}
