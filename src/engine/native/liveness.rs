//! What time means for a connection: how long a peer may take to say what it is, how long it may be silent, how
//! slowly a message may come. It is told what happens and, when it asked to be, the time; it knows no socket and reads
//! no clock. All its times are since the engine started.

use std::fmt;
use std::time::Duration;

/// How long a peer may take to say what it is, or to hear why it isn't served. Over a slow line a handshake
/// takes a second; an address that doesn't answer is tried again.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How long a message that has begun may take, if it doesn't grow by [`HALF_MESSAGE_LEAST`] meanwhile; then as long
/// again. It holds memory, and its sender may be gone without a word.
pub const HALF_MESSAGE_MAX: Duration = Duration::from_secs(30);

/// What it has to grow by: 2 KiB a second, which a modem can. Who sends a byte now and then holds memory as if it had
/// gone.
pub const HALF_MESSAGE_LEAST: u64 = 64 << 10;

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
                "the rest of its message has not come within {HALF_MESSAGE_MAX:?}, nor {HALF_MESSAGE_LEAST} bytes of it"
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
    /// Bytes that have come.
    came: u64,
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
    /// When it did.
    began: Duration,
    /// When it was last seen to go on, and [`Liveness::came`] then.
    since: Duration,
    came: u64,
}

impl Liveness {
    /// Of a connection that begins.
    pub fn new(now: Duration) -> Self {
        Self {
            since: now,
            heard: now,
            came: 0,
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

    /// So many bytes came.
    pub fn heard(&mut self, bytes: usize, now: Duration) {
        self.heard = now;
        self.came += bytes as u64;
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
            (half.since, half.came) = (now, self.came);
        }
    }

    /// How long the peer takes our silence, and so we its.
    pub fn promise(&mut self, ttl: Option<Duration>) {
        self.ttl = ttl;
    }

    /// Its turn is over: whether a message has begun and is not whole, and whether another was (`whole`), in which
    /// case it is a new one.
    pub fn inside(&mut self, inside: bool, whole: bool, now: Duration) {
        match self.half {
            _ if !inside => self.half = None,
            Some(_) if !whole => {}
            _ => {
                self.half = Some(Half {
                    began: now,
                    since: now,
                    came: self.came,
                });
            }
        }
    }

    /// When a message that has begun is to be looked at.
    pub fn half_due(&self) -> Option<Duration> {
        self.half.map(|half| half.since + HALF_MESSAGE_MAX)
    }

    /// How fast the message comes that has begun, in bytes a second, if so many of it are held.
    pub fn pace(&self, bytes: u64, now: Duration) -> u64 {
        let began = self.half.map_or(now, |half| half.began);
        // What has just begun has taken a moment too.
        let micros = now.saturating_sub(began).as_micros().max(1);
        u64::try_from(u128::from(bytes) * 1_000_000 / micros).unwrap_or(u64::MAX)
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
        if let Some(half) = &mut self.half {
            if now >= half.since + HALF_MESSAGE_MAX {
                if self.came - half.came < HALF_MESSAGE_LEAST {
                    return Verdict::Over(Over::HalfMessage);
                }
                (half.since, half.came) = (now, self.came);
            }
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
