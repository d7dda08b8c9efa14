//! The interface between the core and an engine: the events that the engine reports to the core,
//! and the outlet for the core's effects.

use std::sync::Arc;
use std::time::Duration;

use super::case::{Case, Verdict};
use crate::frame::Frames;
use crate::ledger::{EngineCounters, Fate, RequestOutcome};
use crate::peer::{ClientKind, Headcount, PeerId, PeerName, WorkerKind};
use crate::snapshot::{ChannelId, FrontendId, PoolId, Snapshot};

/// The part of a message that the engine kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Every frame.
    Whole,
    /// The leading frames of a message over `limits.message`.
    Oversize,
}

/// The maximum work on a channel within one event, unless the outlet sets another maximum. The unit
/// is the work for one message to a subscriber, and the maximum takes a tenth of a millisecond.
const WORK_MAX: usize = 256;

/// An event that an engine reports to the core.
#[derive(Debug)]
pub enum Event<M: Frames> {
    /// A client connected to a frontend.
    ClientConnected {
        /// The connection.
        peer: PeerId,
        /// The frontend.
        frontend: FrontendId,
        /// The socket type.
        kind: ClientKind,
        /// The name of the client in tokens and logs: its principal or, if the client has none, its
        /// identity. If the client chose no identity, the engine has generated the identity.
        identity: Vec<u8>,
    },
    /// A worker connected to a pool.
    WorkerConnected {
        /// The connection.
        peer: PeerId,
        /// The pool.
        pool: PoolId,
        /// The socket type.
        kind: WorkerKind,
        /// The number of workers on the connection.
        headcount: Headcount,
        /// The name in logs and in /status.
        name: Arc<PeerName>,
    },
    /// A publisher connected to a channel, or the first of several publishers that the engine
    /// cannot distinguish.
    PublisherConnected {
        /// The connection.
        peer: PeerId,
        /// The channel.
        channel: ChannelId,
        /// The number of publishers on the connection.
        headcount: Headcount,
        /// The publisher's principal or, if the publisher has none, the publisher's identity, which
        /// may be empty.
        identity: Vec<u8>,
    },
    /// A subscriber connected to a channel.
    SubscriberConnected {
        /// The connection.
        peer: PeerId,
        /// The channel.
        channel: ChannelId,
        /// The number of subscribers on the connection.
        headcount: Headcount,
        /// The name in logs and in /status.
        name: Arc<PeerName>,
    },
    /// A subscriber subscribes to all messages whose first frame begins with a prefix.
    Subscribe {
        /// The subscriber.
        peer: PeerId,
        /// The prefix.
        prefix: Vec<u8>,
    },
    /// A subscriber cancels one subscription to a prefix.
    Cancel {
        /// The subscriber.
        peer: PeerId,
        /// The prefix.
        prefix: Vec<u8>,
    },
    /// A complete message from a client, a worker or a publisher, or a subscriber's message that is
    /// not a subscription.
    Message {
        /// The sender.
        peer: PeerId,
        /// All frames. If the message has more than `limits.frames` frames, the engine may leave
        /// out all frames after the first `limits.frames` + 1.
        frames: M,
    },
    /// A complete message over `limits.message`. The engine kept only leading frames of the
    /// message.
    Oversize {
        /// The sender.
        peer: PeerId,
        /// The leading frames that the engine kept, each of them whole.
        frames: M,
    },
    /// A peer has room again, after [`Outlet::to_worker`] or [`Outlet::to_subscriber`] failed, or
    /// after [`Outlet::has_room_for_subscription`] returned false.
    Writable {
        /// The peer.
        peer: PeerId,
    },
    /// The fate of an answer that the outlet kept for a client ([`Fate::Waiting`]) is known.
    Settled {
        /// The kind of the answer.
        outcome: RequestOutcome,
        /// The fate, which is not [`Fate::Waiting`] again.
        fate: Fate,
    },
    /// A judge has checked a payload that [`Outlet::judge`] passed to it.
    Judged {
        /// The verdict of the judge.
        verdict: Box<Verdict<M::Parcel>>,
    },
    /// A peer disconnected.
    Disconnected {
        /// The peer.
        peer: PeerId,
    },
    /// Time has passed, so deadlines may be due.
    Tick,
    /// There is time to continue the core's [unfinished work](super::Core::has_unfinished_work).
    Continue,
    /// Another configuration takes effect. The engine has prepared the new frontends, pools and
    /// channels of this configuration.
    Reload {
        /// The configuration.
        snapshot: Arc<Snapshot>,
    },
    /// The gateway shuts down: new requests are rejected, and open requests may finish until
    /// `deadline`.
    Drain {
        /// The time at which the remaining requests are rejected.
        deadline: Duration,
    },
}

/// The outlet for the core's effects, which is the engine's sending half. Calls never block.
pub trait Outlet<M: Frames> {
    /// Sends a request to a worker. The request consists of the frames in `head`, which are small
    /// and are copied, and of `body`. If the worker cannot take the request, fails with the whole
    /// body, and [`Event::Writable`] or [`Event::Disconnected`] follows.
    fn to_worker(&mut self, worker: PeerId, head: &[&[u8]], body: M) -> Result<(), M>;

    /// Sends a client its answer. The answer consists of the frames in `head`, which are small and
    /// are copied, and of `body`. Returns the fate of the answer. The outlet queues answers, up to
    /// a limit, for a client that does not read. [`Event::Settled`] reports the fate of a queued
    /// answer.
    fn to_client(
        &mut self,
        client: PeerId,
        head: &[&[u8]],
        body: M,
        outcome: RequestOutcome,
    ) -> Fate;

    /// Records that a message of a client gets no answer.
    fn needs_no_answer(&mut self, _client: PeerId) {}

    /// Sends a message to a subscriber. If the subscriber has no room for the message, returns
    /// false, and [`Event::Writable`] or [`Event::Disconnected`] follows.
    fn to_subscriber(&mut self, _subscriber: PeerId, _body: &M) -> bool {
        false
    }

    /// Subscribes at a publisher to the messages whose first frame begins with a prefix. If
    /// `wanted` is false, cancels this subscription instead.
    fn set_subscription(&mut self, _publisher: PeerId, _prefix: &[u8], _wanted: bool) {}

    /// Returns whether the connection of a publisher has room for a subscription that may be sent
    /// later. If not, [`Event::Writable`] or [`Event::Disconnected`] follows.
    fn has_room_for_subscription(&mut self, _publisher: PeerId) -> bool {
        true
    }

    /// Returns the maximum work on a channel within one event. The unit is the work for one message
    /// to a subscriber.
    fn work_max(&self) -> usize {
        WORK_MAX
    }

    /// Disconnects a peer for a reason that the log shows; [`Event::Disconnected`] follows. An
    /// engine that cannot distinguish the peer from others only logs the reason.
    fn disconnect(&mut self, _peer: PeerId, _why: String) {}

    /// Moves a body into memory of about the body's size, so that a queued message does not keep a
    /// large receive buffer alive. The core calls this function for the body of a request that
    /// waits for a worker, and of a published message that waits for a subscriber.
    fn settle(&mut self, body: M) -> M {
        body.compact()
    }

    /// Passes a message to a judge, which checks its payload on another thread; [`Event::Judged`]
    /// follows. If there is no judge, fails with the case, which the core then judges at once.
    fn judge(&mut self, case: Box<Case<M::Parcel>>) -> Result<(), Box<Case<M::Parcel>>> {
        Err(case)
    }

    /// Returns a maximum in bytes while memory is short, and `u64::MAX` otherwise. This maximum
    /// bounds the open requests of each client, and the messages queued for each subscriber. A
    /// single answer over the maximum is replaced by a rejection.
    fn client_bytes_max(&self) -> u64 {
        u64::MAX
    }

    /// Stops reading from a peer with a large backlog, until [`Self::resume`]. An engine that
    /// cannot pause a single peer ignores the call.
    fn pause(&mut self, _peer: PeerId) {}

    /// Reads again from a [paused](Self::pause) peer, if it is still connected.
    fn resume(&mut self, _peer: PeerId) {}

    /// Returns the address of a peer as text for logs, or `None` if the engine does not know it or
    /// the peer has disconnected.
    fn address(&self, _peer: PeerId) -> Option<String> {
        None
    }

    /// Records that a worker has left, and that the last message to it was sent. The worker
    /// disconnects by itself, or is disconnected after a while. Further messages from the worker
    /// are dropped.
    fn release(&mut self, _worker: PeerId) {}

    /// Records that the current event took at most as much additional work as `messages` small
    /// messages. An engine counts this work towards the turn of the current peer, so that a peer
    /// that causes much work does not delay other peers.
    fn spend(&mut self, _messages: usize) {}

    /// Returns the counters of the engine, which are read from time to time.
    fn counters(&self) -> EngineCounters {
        EngineCounters::default()
    }

    /// Returns the number of connections of a pool whose workers the engine cannot distinguish, or
    /// `None` if the engine knows each worker.
    fn connections(&self, _pool: PoolId) -> Option<usize> {
        None
    }

    /// Returns the numbers of connected publishers and subscribers of a channel whose peers the
    /// engine cannot distinguish, or `None` if the engine knows each of them.
    fn channel_connections(&self, _channel: ChannelId) -> Option<(usize, usize)> {
        None
    }
}
