//! One connection: its stream, and what is decided without a stream: what the peer says
//! ([`Session`]), what time means for it ([`Liveness`]), what is read (`receiving`) and what is
//! written (`sending`).
//!
//! Its state is private to this folder. `input`, `output` and `time` hold the transitions by what
//! causes them.

mod input;
mod listed;
mod output;
mod receiving;
mod sending;
mod time;

use std::io;
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};

use crate::engine::native::dial::{DialId, Target};
use crate::engine::native::liveness::Liveness;
use crate::engine::native::role::Role;
use crate::engine::native::stream::Stream;
use crate::peer::{PeerId, WorkerKind};
use gateway_zmtp::bytes::Input;
use gateway_zmtp::session::Session;
pub(super) use receiving::Flow;
use receiving::Receiving;
use sending::Sending;
pub(super) use sending::WriteEnd;

/// How a connection came about.
#[derive(Debug)]
pub(super) enum Origin {
    /// A listener took it in.
    Accepted,
    /// The gateway called.
    Called { dial: DialId, target: Target },
    /// The gateway called, and the configuration has that call no more.
    Abandoned { target: Target },
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The gateway has called, and the system has yet to connect.
    Connecting,
    /// The peer's greeting and READY are to come.
    Meeting,
    /// The core knows the peer as a client.
    Client,
    /// The core knows the peer as a worker.
    Worker(WorkerKind),
    /// The peer was a worker that left. It hangs up by itself, and what it sends is dropped.
    Left,
    /// The peer is not served, or no longer. What it sends is dropped.
    Closing,
}

/// The result of a read.
pub(super) enum Read {
    /// This many bytes, which may have gone straight into the frame that they belong to.
    Some(Input, usize),
    /// Nothing for now.
    Nothing,
    /// The peer sends nothing more.
    End,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    peer: PeerId,
    stream: Stream,
    role: Role,
    origin: Origin,
    phase: Phase,
    /// A retired connection gets no more requests and is closed once nothing is owed through it.
    retired: bool,
    session: Session,
    liveness: Liveness,
    receiving: Receiving,
    sending: Sending,
    /// Memory that a message which isn't whole was last seen to take, in bytes.
    half: u64,
    /// When the connection is to be looked at next, if it is.
    timer: Option<Duration>,
}

/// How a connection comes and goes.
impl Connection {
    pub(super) fn new(
        peer: PeerId,
        stream: Stream,
        role: Role,
        origin: Origin,
        now: Duration,
    ) -> Self {
        Self {
            peer,
            stream,
            role,
            phase: match origin {
                Origin::Accepted => Phase::Meeting,
                Origin::Called { .. } | Origin::Abandoned { .. } => Phase::Connecting,
            },
            origin,
            retired: false,
            session: Session::default(),
            liveness: Liveness::new(now),
            receiving: Receiving::new(),
            sending: Sending::new(),
            half: 0,
            timer: None,
        }
    }

    /// Registers the stream with the system.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(
            &mut self.stream,
            token,
            Interest::READABLE | Interest::WRITABLE,
        )
    }

    /// Takes the stream from the system's watch.
    pub(super) fn deregister(&mut self, registry: &Registry) {
        // A stream that is closed is deregistered by the system.
        let _ = registry.deregister(&mut self.stream);
    }

    /// Goes on to meet the peer, if the gateway was calling it and the system has connected.
    /// Returns whether that was so.
    ///
    /// # Errors
    ///
    /// Returns the reason why the system could not connect.
    pub(super) fn finish_connecting(&mut self, now: Duration) -> io::Result<bool> {
        if self.phase != Phase::Connecting || !self.stream.outcome()? {
            return Ok(false);
        }
        // It fails only if the peer has gone.
        let _ = self.stream.set_up();
        self.phase = Phase::Meeting;
        self.liveness.begin(now);
        Ok(true)
    }

    /// Takes the peer for a client.
    pub(super) fn admit_client(&mut self) {
        self.phase = Phase::Client;
    }

    /// Takes the peer for a worker of this kind.
    pub(super) fn admit_worker(&mut self, kind: WorkerKind) {
        self.phase = Phase::Worker(kind);
    }

    /// Serves the peer no longer, if it was served. Returns the phase that it was in.
    pub(super) fn dismiss(&mut self) -> Option<Phase> {
        self.is_known()
            .then(|| std::mem::replace(&mut self.phase, Phase::Closing))
    }

    /// Begins to wait for the peer to hang up: what it has begun to say is dropped.
    pub(super) fn part(&mut self, now: Duration) {
        self.phase = Phase::Closing;
        self.liveness.begin(now);
        self.session = Session::default();
        self.receiving.take_rest();
    }

    /// Begins to wait for a worker that has left to hang up. It is not the first to be told that nothing more comes, or it
    /// would connect again.
    pub(super) fn leave(&mut self, now: Duration) {
        self.part(now);
        self.phase = Phase::Left;
    }

    /// Retires the connection.
    pub(super) fn retire(&mut self) {
        self.retired = true;
    }

    /// Retires the connection because the configuration has its call no more: it is not called
    /// again.
    pub(super) fn abandon(&mut self) {
        self.retired = true;
        let origin = std::mem::replace(&mut self.origin, Origin::Accepted);
        self.origin = match origin {
            Origin::Called { target, .. } => Origin::Abandoned { target },
            other => other,
        };
    }

    /// Notifies the peer that nothing more comes.
    pub(super) fn finish(&self) {
        self.stream.finish();
    }

    /// Reads and drops what the peer still sends, until `until` at most. Returns whether the peer
    /// is done.
    pub(super) fn read_to_end(&self, scrap: &mut [u8], until: Instant) -> bool {
        while Instant::now() < until {
            match self.stream.read(scrap) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
        true
    }
}

impl Connection {
    pub(super) fn peer(&self) -> PeerId {
        self.peer
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired
    }

    /// Returns the peer's address, for people.
    pub(super) fn address(&self) -> String {
        self.stream.peer()
    }

    /// Returns the call that is made again when this connection ends.
    pub(super) fn dial(&self) -> Option<DialId> {
        match self.origin {
            Origin::Called { dial, .. } => Some(dial),
            Origin::Accepted | Origin::Abandoned { .. } => None,
        }
    }

    /// Returns whether the gateway called this address.
    pub(super) fn was_called_at(&self, at: &Target) -> bool {
        match &self.origin {
            Origin::Called { target, .. } | Origin::Abandoned { target } => target == at,
            Origin::Accepted => false,
        }
    }

    /// Returns whether the core knows the peer.
    pub(super) fn is_known(&self) -> bool {
        matches!(self.phase, Phase::Client | Phase::Worker(_))
    }

    /// Returns whether the peer has yet to say what it is.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.phase, Phase::Connecting | Phase::Meeting)
    }

    /// Returns whether the peer is not served: it has yet to say what it is, or is to hang up.
    pub(super) fn is_stranger(&self) -> bool {
        self.is_new() || self.phase == Phase::Closing
    }

    /// Returns whether a new peer is in the middle of a greeting that is certainly ZMTP's.
    pub(super) fn is_greeting(&self) -> bool {
        self.is_new() && self.session.is_greeting()
    }

    /// Returns whether something was received or is to be sent that is not done with.
    pub(super) fn is_busy(&self) -> bool {
        self.receiving.is_listed() || self.session.is_inside() || !self.sending.is_empty()
    }
}
