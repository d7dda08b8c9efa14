//! One connection: its stream, and the state that needs no stream. That state is the dialogue with
//! the peer ([`Session`]), its timing ([`Liveness`]), its input (`receiving`) and its output
//! (`sending`).
//!
//! The state is private to this folder. The methods that change or report the state are in `input`,
//! `output`, `security` and `time`.

mod input;
mod listed;
mod output;
mod receiving;
mod recent_work;
mod security;
mod sending;
mod time;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Token};

use crate::engine::native::dial::{DialId, Target};
use crate::engine::native::liveness::Liveness;
use crate::engine::native::stream::Stream;
use crate::engine::role::Role;
use crate::peer::{PeerId, WorkerKind};
use crate::security::{Initiator, User};
use gateway_zmtp::bytes::Input;
use gateway_zmtp::session::{self, Session, Side};
pub(super) use receiving::Flow;
use receiving::Receiving;
pub(super) use recent_work::HEAVY_MIN;
use recent_work::RecentWork;
use sending::Sending;
pub(super) use sending::WriteEnd;

/// The memory charged for a connection in addition to its messages, in bytes: its state in the
/// engine and in the core, with names.
const CONNECTION_CHARGE: u64 = 2 << 10;

/// The origin of a connection.
#[derive(Debug)]
pub(super) enum Origin {
    /// A listener accepted the connection.
    Accepted,
    /// The gateway connected to the peer.
    Called { dial: DialId, target: Target },
    /// The gateway connected to the peer, and was then configured not to connect to it again.
    Abandoned { target: Target },
}

/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The gateway has begun to connect to the peer, and the connection is not established yet.
    Connecting,
    /// The peer's greeting and READY are still expected.
    Meeting,
    /// The core knows the peer as a client.
    Client,
    /// The core knows the peer as a worker.
    Worker(WorkerKind),
    /// The core knows the peer as a publisher.
    Publisher,
    /// The core knows the peer as a subscriber.
    Subscriber,
    /// The peer was a worker that left. It disconnects by itself, and its input is dropped.
    Left,
    /// The peer is not served for now, and receives nothing until the connection is closed. Its
    /// input is dropped.
    PutOff,
    /// The peer is not served, or is no longer served. Its input is dropped.
    Closing,
}

/// The result of a read.
pub(super) enum Read {
    /// The input to decode, and the number of bytes read. Bytes that were read directly into their
    /// frame are counted, but are not in the input.
    Some(Input, usize),
    /// There is nothing to read at present.
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
    /// A retired connection receives no more requests, and is closed once its last answer or queued
    /// message is sent.
    retired: bool,
    session: Session,
    /// The user whose password the peer has proved to know, after a PLAIN handshake.
    user: Option<User>,
    /// The principal of the peer, if its frontend, its pool or its side of the channel has
    /// `security`.
    principal: Option<Arc<str>>,
    liveness: Liveness,
    receiving: Receiving,
    sending: Sending,
    recent_work: RecentWork,
    /// True while reading from the peer is paused, because too many of its messages wait for the
    /// judges, which are the threads that check payloads.
    held_up: bool,
    /// The memory of an incomplete message, in bytes, as [`Self::note_partial`] last recorded it.
    partial_bytes: u64,
    /// The memory that was last charged for the connection, in bytes.
    charged: u64,
    /// The time at which the connection is examined next, if there is one.
    timer: Option<Duration>,
}

/// The start and the end of a connection.
impl Connection {
    pub(super) fn new(
        peer: PeerId,
        stream: Stream,
        role: Role,
        origin: Origin,
        security: session::SessionSecurity,
        now: Duration,
    ) -> Self {
        let side = match origin {
            Origin::Accepted => Side::Listens,
            Origin::Called { .. } | Origin::Abandoned { .. } => Side::Connects,
        };
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
            session: Session::new(security, side),
            user: None,
            principal: None,
            liveness: Liveness::new(now),
            receiving: Receiving::new(),
            sending: Sending::new(),
            recent_work: RecentWork::default(),
            held_up: false,
            partial_bytes: 0,
            charged: 0,
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

    /// Stops the system's reports about the stream.
    pub(super) fn deregister(&mut self, registry: &Registry) {
        // The system deregisters a closed stream.
        let _ = registry.deregister(&mut self.stream);
    }

    /// Begins the handshake, if the gateway was connecting to the peer and the connection is now
    /// established. Returns whether the handshake began.
    ///
    /// # Errors
    ///
    /// Fails with the reason why the system could not connect.
    pub(super) fn finish_connecting(&mut self, now: Duration) -> io::Result<bool> {
        if self.phase != Phase::Connecting || !self.stream.outcome()? {
            return Ok(false);
        }
        // This fails only if the peer has disconnected.
        let _ = self.stream.set_up();
        self.phase = Phase::Meeting;
        self.liveness.begin(now);
        Ok(true)
    }

    /// Serves the peer from now on in this phase.
    pub(super) fn serve_as(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Stops serving the peer. Returns the phase in which it was served, or `None` if it was not
    /// served.
    pub(super) fn dismiss(&mut self) -> Option<Phase> {
        self.is_known()
            .then(|| std::mem::replace(&mut self.phase, Phase::Closing))
    }

    /// Begins to wait for the peer to disconnect. An incomplete message of the peer is dropped.
    pub(super) fn await_disconnect(&mut self, now: Duration) {
        self.end_session(Phase::Closing, now);
    }

    /// Begins the pause after which the connection of a refused peer is closed.
    pub(super) fn put_off(&mut self, now: Duration) {
        self.end_session(Phase::PutOff, now);
    }

    fn end_session(&mut self, phase: Phase, now: Duration) {
        self.phase = phase;
        self.liveness.begin(now);
        self.session = Session::default();
        self.receiving.take_rest();
    }

    /// Begins to wait until a worker that has left disconnects. The gateway does not close first,
    /// because the worker would then connect again.
    pub(super) fn leave(&mut self, now: Duration) {
        self.await_disconnect(now);
        self.phase = Phase::Left;
    }

    /// Retires the connection, which is then closed once its last answer or queued message is sent.
    pub(super) fn retire(&mut self) {
        self.retired = true;
    }

    /// Retires the connection because the address that the gateway connected to was removed from
    /// the configuration. The gateway does not connect to the peer again after the connection ends.
    pub(super) fn abandon(&mut self) {
        self.retired = true;
        let origin = std::mem::replace(&mut self.origin, Origin::Accepted);
        self.origin = match origin {
            Origin::Called { target, .. } => Origin::Abandoned { target },
            other => other,
        };
    }

    /// Notifies the peer that no more bytes follow.
    pub(super) fn finish(&self) {
        self.stream.finish();
    }

    /// Reads and drops the remaining input, until `deadline` at the latest. Returns false if the
    /// peer may send more, and true if it has finished, the connection has failed, or the time is
    /// over.
    pub(super) fn read_to_end(&self, buffer: &mut [u8], deadline: Instant) -> bool {
        while Instant::now() < deadline {
            match self.stream.read(buffer) {
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

    /// Returns whether the connection was retired, because its address was removed from the
    /// configuration or because its pool does not allow workers of its type any more.
    pub(super) fn is_retired(&self) -> bool {
        self.retired
    }

    /// Returns the peer's address, for display.
    pub(super) fn address(&self) -> String {
        self.stream.peer()
    }

    /// Returns the id of the call (an outgoing connection, see `dial`) that made this connection.
    /// The call must be made again when the connection ends. Returns `None` if the peer made the
    /// connection, or if the gateway must not connect to the peer again.
    pub(super) fn dial(&self) -> Option<DialId> {
        match self.origin {
            Origin::Called { dial, .. } => Some(dial),
            Origin::Accepted | Origin::Abandoned { .. } => None,
        }
    }

    /// Returns the side that made the connection.
    pub(super) fn initiator(&self) -> Initiator {
        match self.origin {
            Origin::Accepted => Initiator::Peer,
            Origin::Called { .. } | Origin::Abandoned { .. } => Initiator::Gateway,
        }
    }

    /// Returns whether the gateway made the connection, to this target.
    pub(super) fn was_called_at(&self, wanted: &Target) -> bool {
        match &self.origin {
            Origin::Called { target, .. } | Origin::Abandoned { target } => target == wanted,
            Origin::Accepted => false,
        }
    }

    /// Returns whether the core knows the peer.
    pub(super) fn is_known(&self) -> bool {
        matches!(
            self.phase,
            Phase::Client | Phase::Worker(_) | Phase::Publisher | Phase::Subscriber
        )
    }

    /// Returns whether the core knows the peer as a subscriber.
    pub(super) fn is_subscriber(&self) -> bool {
        self.phase == Phase::Subscriber
    }

    /// Returns whether the handshake of the peer is not complete.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.phase, Phase::Connecting | Phase::Meeting)
    }

    /// Returns whether the peer is not served, because its handshake is not complete or because it
    /// must disconnect.
    pub(super) fn is_stranger(&self) -> bool {
        self.is_new() || matches!(self.phase, Phase::PutOff | Phase::Closing)
    }

    /// Returns whether a new peer has sent so much of its greeting that it certainly speaks ZMTP.
    pub(super) fn is_greeting(&self) -> bool {
        self.is_new() && self.session.is_greeting()
    }

    /// Returns whether a NULL handshake awaits the READY of a new peer, whose greeting is complete.
    pub(super) fn awaits_ready(&self) -> bool {
        self.is_new() && self.session.awaits_ready()
    }

    /// Returns whether the gateway, as the CURVE server, awaits the HELLO of a new peer, whose
    /// greeting is complete.
    pub(super) fn awaits_hello(&self) -> bool {
        self.is_new() && self.session.awaits_hello()
    }

    /// Adapts the charge of the connection to the memory that it takes now. `account` is the sum of
    /// the charges of all connections.
    #[inline]
    pub(super) fn charge(&mut self, account: &mut u64) {
        let messages = self.sending.memory() + self.receiving.memory() + self.partial_bytes;
        let memory = CONNECTION_CHARGE + messages;
        *account = *account + memory - self.charged;
        self.charged = memory;
    }

    /// Returns the memory that was last charged for the connection, in bytes.
    pub(super) fn charged(&self) -> u64 {
        self.charged
    }

    /// Returns whether received bytes are not processed yet, or bytes are to be sent.
    pub(super) fn is_busy(&self) -> bool {
        self.receiving.is_listed() || self.session.is_inside() || !self.sending.is_empty()
    }
}
