//! What time means for a connection: how long a peer may take to say what it is, how long it may be silent, how
//! slowly a message may come. It is told what happens and, when it asked to be, the time; it knows no socket and reads
//! no clock. All its times are since the engine started.

use std::fmt;
use std::time::Duration;

/// How long a peer may take to say what it is, or to hear why it isn't served. Over a slow line a handshake
/// takes a second; an address that doesn't answer is tried again.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How long a message that has begun may take, if it doesn't grow by [`HALF_MESSAGE_STEP`] meanwhile; then as long
/// again. It holds memory, and its sender may be gone without a word.
pub const HALF_MESSAGE_MAX: Duration = Duration::from_secs(30);

/// Bytes that it has to grow by to count as going on: 2 KiB a second, which a modem can. Who sends a byte now and then,
/// or commands between its frames, holds memory as if it had gone.
pub const HALF_MESSAGE_STEP: u64 = 64 << 10;

/// Intervals of silence after which a worker is lost.
pub const HEARTBEATS: u32 = 3;

/// Bytes that a system keeps of what was written and has yet to travel, by Linux's defaults at most. A PING waits
/// behind them, and there is no asking how many they are.
pub const TRAVEL_MAX: u64 = 4 << 20;

/// How long each byte of those may take: that is a line of 8 Mb/s, below which heartbeats of a second are too short
/// for requests of many MiB.
const TRAVEL: Duration = Duration::from_micros(1);

/// How far a connection has come, as far as time is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has yet to say what it is.
    New,
    /// It is served.
    Known,
    /// It has been told why it isn't.
    Leaving,
}

/// What the engine knows of a connection that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// How far it has come.
    pub stage: Stage,
    /// How often it is to be heard, if it answers PINGs and that matters.
    pub heartbeat: Option<Duration>,
    /// What waits to be written is more than the system takes: a PING would wait behind it.
    pub waits: bool,
}

/// What is to be done about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing; it is to be looked at again then, if ever.
    Rest(Option<Duration>),
    /// It is asked for a sign of life, and looked at again then.
    Ping(Duration),
    /// It is at its end, unless a last look shows a sign of life.
    Over(Over),
}

/// Why a connection is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It did not say in time what it is.
    Handshake,
    /// It did not hang up in time.
    Goodbye,
    /// A message of its own doesn't go on.
    HalfMessage,
    /// It promised to be heard more often.
    Ttl,
    /// It does not answer PINGs, nor take what is written.
    Heartbeat,
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake => write!(f, "no handshake within {HANDSHAKE_MAX:?}"),
            Self::Goodbye => f.write_str("it did not hang up"),
            Self::HalfMessage => write!(
                f,
                "the rest of its message has not come within {HALF_MESSAGE_MAX:?}, nor {HALF_MESSAGE_STEP} bytes of it"
            ),
            Self::Ttl => f.write_str("it is silent for longer than its own PINGs allow"),
            Self::Heartbeat => f.write_str("it does not answer PINGs"),
        }
    }
}

/// One connection's.
#[derive(Debug)]
pub struct Liveness {
    /// When this stage began.
    since: Duration,
    /// When bytes last came.
    heard: Duration,
    /// When the system last took bytes again for which it had had no room: the peer reads.
    took: Duration,
    /// Bytes written since it was last heard.
    unheard: u64,
    /// When its silence was first noticed, and it was asked for a sign of life if that could reach it.
    asked: Option<Duration>,
    /// How long it takes our silence, and so how long we take its.
    ttl: Option<Duration>,
    half: Option<Half>,
}

/// A message that has begun.
#[derive(Clone, Copy, Debug)]
struct Half {
    /// Bytes of it that have come.
    come: u64,
    /// When it began, or last had grown by [`HALF_MESSAGE_STEP`], and how many had come by then.
    grew: Duration,
    by_then: u64,
}

impl Liveness {
    /// Of a connection that begins.
    pub fn new(now: Duration) -> Self {
        Self {
            since: now,
            heard: now,
            took: now,
            unheard: 0,
            asked: None,
            ttl: None,
            half: None,
        }
    }

    /// Another stage begins.
    pub fn begin(&mut self, now: Duration) {
        self.since = now;
        self.half = None;
    }

    /// How long this stage has lasted.
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }

    /// Bytes came.
    pub fn heard(&mut self, now: Duration) {
        self.heard = now;
        self.unheard = 0;
        self.asked = None;
    }

    /// The system took so many bytes, which says nothing of the peer.
    pub fn wrote(&mut self, bytes: u64) {
        self.unheard = self.unheard.saturating_add(bytes);
    }

    /// The system took bytes after it had had no room: the peer has read some.
    pub fn took(&mut self, bytes: u64, now: Duration) {
        self.wrote(bytes);
        self.took = now;
        self.asked = None;
    }

    /// It was not looked after in time: nothing is held against it.
    pub fn excuse(&mut self, now: Duration) {
        self.heard = now;
        self.asked = None;
        if let Some(half) = &mut self.half {
            (half.grew, half.by_then) = (now, half.come);
        }
    }

    /// How long the peer takes our silence, and so we its.
    pub fn promise(&mut self, ttl: Option<Duration>) {
        self.ttl = ttl;
    }

    /// Its turn is over: how many bytes have come of a message that has begun and is not whole, if there is one, and
    /// whether what had begun before came to its end (`whole`), in which case this is a new one.
    pub fn inside(&mut self, come: Option<u64>, whole: bool, now: Duration) {
        self.half = come.map(|come| match self.half {
            Some(half) if !whole && come.saturating_sub(half.by_then) < HALF_MESSAGE_STEP => {
                Half { come, ..half }
            }
            _ => Half {
                come,
                grew: now,
                by_then: come,
            },
        });
    }

    /// When the message that has begun did so, or last had grown by [`HALF_MESSAGE_STEP`].
    pub fn grew(&self) -> Option<Duration> {
        self.half.map(|half| half.grew)
    }

    /// When a message that has begun is to be looked at.
    pub fn half_due(&self) -> Option<Duration> {
        self.grew().map(|grew| grew + HALF_MESSAGE_MAX)
    }

    /// What is to be done about it.
    pub fn judge(&mut self, view: View, now: Duration) -> Verdict {
        let over = match view.stage {
            Stage::Known => return self.judge_known(view, now),
            Stage::New => Over::Handshake,
            Stage::Leaving => Over::Goodbye,
        };
        let until = self.since + HANDSHAKE_MAX;
        match now < until {
            true => Verdict::Rest(Some(until)),
            false => Verdict::Over(over),
        }
    }

    fn judge_known(&mut self, view: View, now: Duration) -> Verdict {
        if self.half_due().is_some_and(|at| at <= now) {
            return Verdict::Over(Over::HalfMessage);
        }
        let promised = self.ttl.map(|ttl| self.heard + ttl);
        if promised.is_some_and(|at| at <= now) {
            return Verdict::Over(Over::Ttl);
        }
        let mut next = self.half_due().into_iter().chain(promised).min();
        let Some(interval) = view.heartbeat else {
            return Verdict::Rest(next);
        };
        let life = self.heard.max(self.took);
        let silent = now.saturating_sub(life);
        if silent >= interval {
            self.asked.get_or_insert(now);
        }
        let lost = self
            .asked
            .map(|at| at + interval * (HEARTBEATS - 1) + self.travel());
        if lost.is_some_and(|lost| lost <= now) {
            return Verdict::Over(Over::Heartbeat);
        }
        let passed = silent.as_nanos() / interval.as_nanos().max(1);
        let passed = u32::try_from(passed).unwrap_or(u32::MAX - 1);
        let again = life + interval.saturating_mul(passed + 1);
        next = next.into_iter().chain(lost).chain([again]).min();
        match silent >= interval && !view.waits {
            true => Verdict::Ping(next.unwrap_or(again)),
            false => Verdict::Rest(next),
        }
    }

    /// How long what was written since it was last heard may be on its way.
    fn travel(&self) -> Duration {
        TRAVEL * self.unheard.min(TRAVEL_MAX) as u32
    }
}

#[cfg(test)]
mod tests;
