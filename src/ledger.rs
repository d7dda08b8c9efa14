//! The counters: what became of every message, for each route, pool and engine.
//!
//! Counting means adding to plain integers here. [`core`](crate::core) and `pool` own the
//! counters, and `metrics` copies them for readers.

use std::sync::Arc;
use std::time::Duration;

use crate::peer::{WorkerKind, WorkerName};
use crate::reply::Reason;
use crate::snapshot::RouteId;

/// Upper bounds of the latency histogram's buckets, in microseconds; one more bucket follows the last bound.
pub const LATENCY_BOUNDS_US: [u32; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// Workers of a pool that a sample lists: a page of some hundred KiB, which a person can still
/// search and a monitoring system still take.
pub const WORKERS_SHOWN_MAX: usize = 1_000;

/// Places of a route's list of schemas that are counted apart; the last counts all places after it, too.
pub const PLACES: usize = 8;

/// The kind of a client's answer, and the route that counts it. An engine only hands it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A worker's answer.
    Answered(RouteId),
    /// The gateway's own answer.
    Rejected(RouteId, Reason),
}

impl Outcome {
    /// Returns the route of the message that is answered.
    pub fn route(self) -> RouteId {
        match self {
            Self::Answered(route) | Self::Rejected(route, _) => route,
        }
    }
}

/// What became of an answer at delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The answer is on its way to the client.
    Delivered,
    /// The answer is kept until the client reads; its fate is reported later.
    Waiting,
    /// The client doesn't read, and the answers kept for it have reached their limit.
    Slow,
    /// The client is gone.
    Gone,
}

/// Counters of all routes together, since the start. At any moment
/// `received = answered + rejected + client_gone + client_slow + in flight`, where in flight are the
/// open requests and the answers whose fate is open ([`Ledger::unsettled`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Complete messages from clients.
    pub received: u64,
    /// Workers' answers delivered.
    pub answered: u64,
    /// The gateway's own answers delivered, by [`Reason`].
    pub rejected: [u64; Reason::ALL.len()],
    /// Answers whose client was gone.
    pub client_gone: u64,
    /// Answers that the client did not read in time.
    pub client_slow: u64,
    /// Answers kept until their client reads.
    pub unsettled: u64,
    /// Workers' answers to requests that had ended: dropped.
    pub late: u64,
    /// Workers' messages that name no request of theirs: dropped.
    pub unsolicited: u64,
}

impl Ledger {
    /// Adds the counters of a route.
    pub(crate) fn add(&mut self, route: &RouteCounters) {
        self.received += route.received;
        self.answered += route.answered;
        for (sum, n) in self.rejected.iter_mut().zip(route.rejected) {
            *sum += n;
        }
        self.client_gone += route.client_gone;
        self.client_slow += route.client_slow;
        self.unsettled += route.unsettled;
    }

    /// Returns how many messages have met their fate.
    pub fn ended(&self) -> u64 {
        let rejected: u64 = self.rejected.iter().sum();
        self.answered + rejected + self.client_gone + self.client_slow
    }
}

/// A histogram of durations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Durations up to each of [`LATENCY_BOUNDS_US`] and above the bound before; the last: above all bounds.
    pub buckets: [u64; LATENCY_BOUNDS_US.len() + 1],
    /// The sum of all durations, in nanoseconds.
    pub sum_ns: u64,
}

/// For each number of binary digits, the bucket of the least duration that has as many: that of a
/// longer one with as many digits is not far behind.
const FIRST_BUCKETS: [u8; 65] = {
    let mut first = [0; 65];
    let mut digits = 1;
    while digits < first.len() {
        let least = 1_u64 << (digits - 1);
        let mut bucket = first[digits - 1];
        while (bucket as usize) < LATENCY_BOUNDS_US.len()
            && least > LATENCY_BOUNDS_US[bucket as usize] as u64
        {
            bucket += 1;
        }
        first[digits] = bucket;
        digits += 1;
    }
    first
};

/// Returns a time in nanoseconds, or 584 years if it is longer.
#[inline]
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    let secs = time.as_secs().saturating_mul(1_000_000_000);
    secs.saturating_add(u64::from(time.subsec_nanos()))
}

/// Returns the place of the bucket for a duration in microseconds.
#[inline]
fn bucket(us: u64) -> usize {
    let digits = u64::BITS - us.leading_zeros();
    let first = usize::from(FIRST_BUCKETS[digits as usize]);
    let bounds = &LATENCY_BOUNDS_US[first..];
    let further = bounds.iter().take_while(|bound| us > u64::from(**bound));
    first + further.count()
}

impl Latency {
    /// Counts a duration.
    pub fn add(&mut self, took: Duration) {
        self.add_ns(nanoseconds(took));
    }

    /// Counts a duration in nanoseconds.
    #[inline]
    pub fn add_ns(&mut self, ns: u64) {
        let us = ns.div_ceil(1_000);
        self.buckets[bucket(us)] += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
    }
}

/// Counters of a route's messages since the start. At any moment `received = ended + open + unsettled`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteCounters {
    /// Complete messages from clients.
    pub received: u64,
    /// Workers' answers delivered.
    pub answered: u64,
    /// The gateway's own answers delivered, by [`Reason`].
    pub rejected: [u64; Reason::ALL.len()],
    /// Answers whose client was gone.
    pub client_gone: u64,
    /// Answers that the client did not read in time.
    pub client_slow: u64,
    /// Requests without an answer yet: a gauge.
    pub open: u64,
    /// Answers kept until their client reads: a gauge.
    pub unsettled: u64,
    /// Bytes of the messages received, all frames together; of an oversize message, the bytes that were kept.
    pub bytes_in: u64,
    /// Bytes of the answers handed to the engine, all frames together.
    pub bytes_out: u64,
    /// From a request's arrival to its worker's answer.
    pub latency: Latency,
    /// Messages by the place of the schema that they fitted in the route's list.
    pub matched: [u64; PLACES],
}

impl RouteCounters {
    /// Counts a message that fitted the schema at this place of the list.
    pub fn fitted(&mut self, place: usize) {
        self.matched[place.min(PLACES - 1)] += 1;
    }

    /// Counts an answer by its fate.
    pub fn count(&mut self, outcome: Outcome, fate: Fate) {
        match (fate, outcome) {
            (Fate::Delivered, Outcome::Answered(_)) => self.answered += 1,
            (Fate::Delivered, Outcome::Rejected(_, reason)) => self.rejected[reason as usize] += 1,
            (Fate::Waiting, _) => self.unsettled += 1,
            (Fate::Slow, _) => self.client_slow += 1,
            (Fate::Gone, _) => self.client_gone += 1,
        }
    }

    /// Counts an answer by its fate that was counted as [waiting](Fate::Waiting) before.
    pub fn settled(&mut self, outcome: Outcome, fate: Fate) {
        debug_assert!(self.unsettled > 0, "a fate that was told twice");
        self.unsettled = self.unsettled.saturating_sub(1);
        self.count(outcome, fate);
    }

    /// Returns how many messages have met their fate.
    pub fn ended(&self) -> u64 {
        let rejected: u64 = self.rejected.iter().sum();
        self.answered + rejected + self.client_gone + self.client_slow
    }
}

/// Counters of a pool since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolCounters {
    /// Requests handed to workers.
    pub handed: u64,
    /// Answers to requests that had ended: dropped.
    pub late: u64,
    /// Messages that name no request: dropped.
    pub unsolicited: u64,
}

/// A pool's counters and gauges at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolSample {
    /// The counters since the start.
    pub counters: PoolCounters,
    /// Connected workers; where the engine can't tell them apart, their connections.
    pub workers: usize,
    /// Requests that workers hold and whose clients still wait for an answer.
    pub held: usize,
    /// Requests queued for a worker.
    pub queue: usize,
    /// Bytes of the queued requests.
    pub queue_bytes: u64,
    /// Connected workers by seat, at most [`WORKERS_SHOWN_MAX`] of them.
    pub seats: Vec<WorkerSample>,
}

/// A connected worker at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSample {
    /// Its number in its pool, for as long as it is connected. Another worker may have it later.
    pub seat: usize,
    /// What it is called.
    pub name: Arc<WorkerName>,
    /// Its socket type.
    pub kind: WorkerKind,
    /// Requests that it holds and whose clients still wait for an answer.
    pub held: usize,
    /// Requests that it may hold at once; none if the engine can't tell the pool's workers apart.
    pub room: Option<usize>,
    /// Messages of its that answered nothing and were dropped.
    pub unsolicited: u64,
}

/// Counters of an engine since the start. A value that an engine can't know is none, and is not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineCounters {
    /// Turns of the engine's loop.
    pub turns: u64,
    /// Time spent working rather than waiting, the core's part included.
    pub busy: Duration,
    /// Complete messages from peers.
    pub messages_in: u64,
    /// Messages to peers.
    pub messages_out: u64,
    /// Bytes read from the network.
    pub bytes_in: Option<u64>,
    /// Bytes written to the network.
    pub bytes_out: Option<u64>,
    /// Times that a peer could take no more.
    pub full: u64,
    /// Clients for which answers are kept: a gauge.
    pub stalled: u64,
    /// Bytes of the answers kept for clients: a gauge.
    pub unsent_bytes: u64,
    /// Peers that are not read from for now: a gauge.
    pub paused: Option<u64>,
    /// Connections, handshakes under way included: a gauge.
    pub connections: Option<u64>,
    /// Connections that ended during their handshake.
    pub handshakes_failed: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_falls_into_the_bucket_whose_bound_it_does_not_pass() {
        let bucket = |took: Duration| {
            let mut latency = Latency::default();
            latency.add(took);
            assert_eq!(
                u128::from(latency.sum_ns),
                took.as_nanos().min(u64::MAX.into())
            );
            latency.buckets.iter().position(|n| *n == 1).unwrap()
        };
        assert_eq!(bucket(Duration::ZERO), 0);
        assert_eq!(bucket(Duration::from_micros(100)), 0);
        assert_eq!(bucket(Duration::from_nanos(100_001)), 1);
        assert_eq!(bucket(Duration::from_secs(1)), 12);
        assert_eq!(bucket(Duration::from_secs(30)), 16);
        assert_eq!(bucket(Duration::from_nanos(30_000_000_001)), 17);
        assert_eq!(bucket(Duration::MAX), 17);
        for (n, bound) in LATENCY_BOUNDS_US.into_iter().enumerate() {
            let bound = Duration::from_micros(bound.into());
            assert_eq!(bucket(bound), n);
            assert_eq!(bucket(bound + Duration::from_nanos(1)), n + 1);
        }
    }
}
