//! The timing of a connection: the time limits of its handshake, of the peer's silence, and of an
//! incomplete message. This module knows no socket and reads no clock: its caller reports events,
//! and calls [`Liveness::judge`] again at the time that the last [`LivenessAction`] names. All
//! times are since the engine started.

use std::fmt;
use std::time::Duration;

/// The maximum time of a handshake, and the maximum time for which the gateway waits until a peer
/// disconnects. Over a slow network, a handshake takes a second. An address that does not answer
/// within this time is tried again.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The time that a listener waits for the peer's mechanism before it names the gateway's mechanism.
/// libzmq sends its mechanism as soon as it has read the version. Only peers that read the whole
/// greeting first are kept waiting.
pub(crate) const MECHANISM_WAIT_MAX: Duration = Duration::from_secs(1);

/// The time within which a peer to which the gateway has connected is expected to send its READY,
/// or its HELLO if the gateway is the CURVE server. Every ZeroMQ library sends READY, or a client's
/// HELLO, as soon as it has read the greeting. Another gateway or another CURVE server, however,
/// first waits for its peer.
pub(crate) const READY_WAIT_MAX: Duration = Duration::from_secs(1);

/// The time that a peer may wait until its password is verified. [`HANDSHAKE_TIMEOUT`] does not
/// include this time. Even if the maximum number of handshakes are in progress, one password for
/// each of them is verified within this time.
pub(crate) const VERIFICATION_MAX: Duration = Duration::from_secs(300);

/// The time for which the connection of a refused peer stays open, if the peer may be admitted
/// later. libzmq connects again 0.1 s after the end of the connection, so each refused peer costs
/// about one handshake a second. A peer that an edit of routes.yaml admits is served within two
/// seconds.
pub(crate) const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

/// The time in which an incomplete message must grow by [`PARTIAL_MESSAGE_STEP`] or be completed.
/// An incomplete message holds memory, and its sender may have disappeared silently.
pub(crate) const PARTIAL_MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// The number of bytes by which an incomplete message must grow: 2 KiB a second, which even a modem
/// reaches. A peer that sends only a byte now and then, or only commands between the frames, is
/// treated as if it had disappeared.
pub(crate) const PARTIAL_MESSAGE_STEP: u64 = 64 << 10;

/// The number of heartbeat intervals of silence after which a worker is lost: one until the first
/// PING, and two for an answer.
pub(crate) const HEARTBEATS: u32 = 3;

/// The maximum number of bytes that the system has accepted but not yet transmitted, by Linux's
/// defaults. A PING is transmitted after these bytes, and the gateway does not know their number.
pub(crate) const UNSENT_BYTES_MAX: u64 = 4 << 20;

/// The transit time of a written byte, as in a network of 8 Mb/s. In a slower network, heartbeats
/// of a second are too short for requests of many MiB.
const TRANSIT_TIME_PER_BYTE: Duration = Duration::from_micros(1);

/// The stage of a connection, which decides its time limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The handshake is not complete.
    New,
    /// The peer is served.
    Known,
    /// The peer is refused for now.
    PutOff,
    /// The gateway waits for the peer to disconnect.
    Leaving,
}

/// The facts about a connection that is examined.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The stage.
    pub stage: Stage,
    /// The heartbeat interval, if the pool has one and the peer answers PINGs.
    pub heartbeat: Option<Duration>,
    /// True if more bytes are queued than the system accepts, so that a PING would wait until they
    /// are written.
    pub waits: bool,
}

/// The action for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LivenessAction {
    /// Nothing is done. The connection is examined again at this time, if there is one.
    Rest(Option<Duration>),
    /// A PING is sent, and the connection is examined again at this time.
    Ping(Duration),
    /// The connection ends, unless a last read finds bytes of the peer.
    End(EndReason),
}

/// The reason why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The peer did not complete its handshake in time.
    Handshake,
    /// The peer was refused for now, and the pause is over.
    PutOff,
    /// The peer did not disconnect in time.
    Goodbye,
    /// An incomplete message of the peer does not grow.
    PartialMessage,
    /// The peer is silent for longer than the TTL of its PINGs.
    Ttl,
    /// The peer neither answers PINGs nor accepts the bytes that are written.
    Heartbeat,
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake => write!(f, "no handshake within {HANDSHAKE_TIMEOUT:?}"),
            Self::PutOff => f.write_str("it was refused for now"),
            Self::Goodbye => f.write_str("it did not disconnect"),
            Self::PartialMessage => write!(
                f,
                "its incomplete message has not grown by {PARTIAL_MESSAGE_STEP} bytes within {PARTIAL_MESSAGE_TIMEOUT:?}"
            ),
            Self::Ttl => f.write_str("it is silent for longer than its own PINGs allow"),
            Self::Heartbeat => f.write_str("it does not answer PINGs"),
        }
    }
}

/// The timing of one connection.
#[derive(Debug)]
pub struct Liveness {
    /// The time at which the present stage began.
    since: Duration,
    /// The time at which bytes last arrived.
    heard: Duration,
    /// The time at which the system last accepted bytes after it had had no room. It has room again
    /// once the peer has read some bytes.
    took: Duration,
    /// The number of bytes written since the peer was last heard.
    unheard: u64,
    /// The time at which the peer's silence was noticed. A PING was sent then, unless queued bytes
    /// would have delayed the PING.
    noticed: Option<Duration>,
    /// The TTL of the peer's last PING: after this time of silence, the peer is to be considered
    /// lost.
    ttl: Option<Duration>,
    partial: Option<PartialMessage>,
}

/// A message that has begun.
#[derive(Clone, Copy, Debug)]
struct PartialMessage {
    /// The number of bytes of the message that have arrived.
    arrived: u64,
    /// The time at which the message began, or had last grown by [`PARTIAL_MESSAGE_STEP`].
    grew: Duration,
    /// The number of bytes that had arrived at the time `grew`.
    arrived_then: u64,
}

impl Liveness {
    /// Returns the timing of a connection that begins.
    pub fn new(now: Duration) -> Self {
        Self {
            since: now,
            heard: now,
            took: now,
            unheard: 0,
            noticed: None,
            ttl: None,
            partial: None,
        }
    }

    /// Begins another stage.
    pub fn begin(&mut self, now: Duration) {
        self.since = now;
        self.partial = None;
    }

    /// Returns the time that the present stage has lasted.
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }

    /// Records that bytes arrived.
    pub fn heard(&mut self, now: Duration) {
        self.heard = now;
        self.unheard = 0;
        self.noticed = None;
    }

    /// Records that the system accepted bytes, which is no sign of life of the peer.
    pub fn wrote(&mut self, bytes: u64) {
        self.unheard = self.unheard.saturating_add(bytes);
    }

    /// Records that the system accepted bytes after it had had no room, because the peer has read
    /// some bytes.
    pub fn took(&mut self, bytes: u64, now: Duration) {
        self.wrote(bytes);
        self.took = now;
        self.noticed = None;
    }

    /// Restarts the times of the peer's silence and of its incomplete message, because the gateway
    /// did not serve the peer in time.
    pub(crate) fn excuse(&mut self, now: Duration) {
        self.heard = now;
        self.noticed = None;
        if let Some(partial) = &mut self.partial {
            (partial.grew, partial.arrived_then) = (now, partial.arrived);
        }
    }

    /// Sets the TTL of the peer's PINGs, which bounds the accepted silence of the peer.
    pub fn set_ttl(&mut self, ttl: Option<Duration>) {
        self.ttl = ttl;
    }

    /// Records the end of a turn. `arrived` is the number of bytes that have arrived of an
    /// incomplete message, if there is one. `whole` is true if an earlier message was completed in
    /// the turn, so that the incomplete message is new.
    pub fn inside(&mut self, arrived: Option<u64>, whole: bool, now: Duration) {
        self.partial = arrived.map(|arrived| match self.partial {
            Some(partial)
                if !whole
                    && arrived.saturating_sub(partial.arrived_then) < PARTIAL_MESSAGE_STEP =>
            {
                PartialMessage { arrived, ..partial }
            }
            _ => PartialMessage {
                arrived,
                grew: now,
                arrived_then: arrived,
            },
        });
    }

    /// Returns the time at which the incomplete message began, or had last grown by
    /// [`PARTIAL_MESSAGE_STEP`]. Returns `None` if there is no incomplete message.
    pub fn grew(&self) -> Option<Duration> {
        self.partial.map(|partial| partial.grew)
    }

    /// Returns the time at which the incomplete message must be examined, if there is one.
    pub(crate) fn partial_due(&self) -> Option<Duration> {
        self.grew().map(|grew| grew + PARTIAL_MESSAGE_TIMEOUT)
    }

    /// Returns the action for the connection.
    pub fn judge(&mut self, view: View, now: Duration) -> LivenessAction {
        let (reason, limit) = match view.stage {
            Stage::Known => return self.judge_known(view, now),
            Stage::New => (EndReason::Handshake, HANDSHAKE_TIMEOUT),
            Stage::PutOff => (EndReason::PutOff, REFUSAL_PAUSE),
            Stage::Leaving => (EndReason::Goodbye, HANDSHAKE_TIMEOUT),
        };
        let end = self.since + limit;
        match now < end {
            true => LivenessAction::Rest(Some(end)),
            false => LivenessAction::End(reason),
        }
    }

    fn judge_known(&mut self, view: View, now: Duration) -> LivenessAction {
        if self.partial_due().is_some_and(|at| at <= now) {
            return LivenessAction::End(EndReason::PartialMessage);
        }
        let promised = self.ttl.map(|ttl| self.heard + ttl);
        if promised.is_some_and(|at| at <= now) {
            return LivenessAction::End(EndReason::Ttl);
        }
        let mut next = self.partial_due().into_iter().chain(promised).min();
        let Some(interval) = view.heartbeat else {
            return LivenessAction::Rest(next);
        };
        let life = self.heard.max(self.took);
        let silent = now.saturating_sub(life);
        if silent >= interval {
            self.noticed.get_or_insert(now);
        }
        let lost = self
            .noticed
            .map(|at| at + interval * (HEARTBEATS - 1) + self.transit_time());
        if lost.is_some_and(|lost| lost <= now) {
            return LivenessAction::End(EndReason::Heartbeat);
        }
        let passed = silent.as_nanos() / interval.as_nanos().max(1);
        let passed = u32::try_from(passed).unwrap_or(u32::MAX - 1);
        let again = life + interval.saturating_mul(passed + 1);
        next = next.into_iter().chain(lost).chain([again]).min();
        match silent >= interval && !view.waits {
            true => LivenessAction::Ping(next.unwrap_or(again)),
            false => LivenessAction::Rest(next),
        }
    }

    /// Returns the maximum time for which the bytes written since the peer was last heard may still
    /// be in transit.
    fn transit_time(&self) -> Duration {
        TRANSIT_TIME_PER_BYTE * self.unheard.min(UNSENT_BYTES_MAX) as u32
    }
}

#[cfg(test)]
mod tests;
