//! Counters of the outcomes of all messages, for each route and pool, and counters of the engine.
//!
//! Counting only adds to plain integers. [`core`](crate::core) and `pool` own the counters, and
//! `metrics` copies them for readers.

mod channel;

use std::sync::Arc;
use std::time::Duration;

use crate::peer::{PeerName, WorkerKind};
use crate::reply::Reason;
use crate::snapshot::RouteId;
pub(crate) use channel::SUBSCRIBERS_SHOWN_MAX;
pub use channel::{ChannelCounters, ChannelSample, SubscriberSample};

/// The upper bounds of the latency histogram's buckets, in microseconds. One more bucket follows
/// the last bound.
pub(crate) const LATENCY_BOUNDS_US: [u32; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// The maximum number of workers of a pool in a sample. This number of workers takes a few hundred
/// KiB of the /status page or of /metrics. A person can still search such a page, and a monitoring
/// system still accepts it.
pub(crate) const WORKERS_SHOWN_MAX: usize = 1_000;

/// The number of counters for the positions in a route's list of schemas. The last counter counts
/// all later positions, too.
pub(crate) const SCHEMA_POSITIONS: usize = 8;

/// The kind of an answer to a client, and the route that counts the answer. An engine does not
/// interpret the value, but returns it with the answer's [`Fate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// A worker's answer.
    Answered(RouteId),
    /// A rejection.
    Rejected(RouteId, Reason),
    /// The acknowledgement of a message that was published.
    Published(RouteId),
}

impl RequestOutcome {
    /// Returns the route of the answered message.
    pub fn route(self) -> RouteId {
        match self {
            Self::Answered(route) | Self::Rejected(route, _) | Self::Published(route) => route,
        }
    }
}

/// The fate of an answer at delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The answer is on its way to the client.
    Delivered,
    /// The answer is kept until the client reads; its fate is reported later.
    Waiting,
    /// The client does not read, and the answers kept for it have reached their limit.
    Slow,
    /// The client has disconnected.
    Gone,
}

/// Counters of all routes together, since the start. At any time, `received` is the sum of
/// `answered`, `published`, `rejected`, `client_gone`, `client_slow` and the number of messages in
/// flight. The messages in flight are the open requests and the answers whose fate is not
/// known yet ([`Ledger::unsettled`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Complete messages from clients and publishers.
    pub received: u64,
    /// Workers' answers delivered.
    pub answered: u64,
    /// Messages published on channels. A message counts even if its client does not receive the
    /// acknowledgement.
    pub published: u64,
    /// The rejections delivered, by [`Reason`]. A rejection of a publisher's message counts as
    /// delivered, although nothing is sent to publishers.
    pub rejected: [u64; Reason::ALL.len()],
    /// Answers whose client had disconnected.
    pub client_gone: u64,
    /// Answers that the client did not read in time.
    pub client_slow: u64,
    /// Answers kept until their client reads: a gauge.
    pub unsettled: u64,
    /// The number of dropped answers of workers to requests that had ended.
    pub late: u64,
    /// The number of dropped messages from workers that cannot be matched to any request.
    pub unsolicited: u64,
}

impl Ledger {
    /// Adds the counters of a route.
    pub(crate) fn add(&mut self, route: &RouteCounters) {
        self.received += route.received;
        self.answered += route.answered;
        self.published += route.published;
        for (sum, n) in self.rejected.iter_mut().zip(route.rejected) {
            *sum += n;
        }
        self.client_gone += route.client_gone;
        self.client_slow += route.client_slow;
        self.unsettled += route.unsettled;
    }

    /// Returns the number of messages whose fate is known.
    pub fn ended(&self) -> u64 {
        let rejected: u64 = self.rejected.iter().sum();
        self.answered + self.published + rejected + self.client_gone + self.client_slow
    }
}

/// A histogram of durations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// The number of durations in each bucket. A bucket counts the durations up to its bound in
    /// `LATENCY_BOUNDS_US` and above the previous bound. The last bucket counts the durations above
    /// all bounds.
    pub buckets: [u64; LATENCY_BOUNDS_US.len() + 1],
    /// The sum of all durations, in nanoseconds.
    pub sum_ns: u64,
}

/// The first possible bucket of a duration, by the number of binary digits of the duration in
/// microseconds. It is the bucket of the shortest duration with this number of digits. A longer
/// duration with as many digits belongs to this bucket or to one of the next few.
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

/// Returns a duration in nanoseconds, or [`u64::MAX`] if it is longer than 584 years.
#[inline]
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    let secs = time.as_secs().saturating_mul(1_000_000_000);
    secs.saturating_add(u64::from(time.subsec_nanos()))
}

/// Returns the index of the bucket for a duration in microseconds.
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
    pub fn add(&mut self, duration: Duration) {
        self.add_ns(nanoseconds(duration));
    }

    /// Returns the sum of both histograms.
    fn plus(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        for (bucket, more) in sum.buckets.iter_mut().zip(other.buckets) {
            *bucket += more;
        }
        sum.sum_ns = sum.sum_ns.saturating_add(other.sum_ns);
        sum
    }

    /// Counts a duration in nanoseconds.
    #[inline]
    pub(crate) fn add_ns(&mut self, ns: u64) {
        let us = ns.div_ceil(1_000);
        self.buckets[bucket(us)] += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
    }

    /// Returns the number of durations that were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// The latencies of answered requests that waited for a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    /// The times from a request's arrival to its hand-out.
    pub queue: Latency,
    /// The times from a request's hand-out to its answer.
    pub worker: Latency,
    /// The times from a request's arrival to its answer.
    pub whole: Latency,
}

/// Counters of a route's messages since the start. At any time `received = ended + open +
/// unsettled`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteCounters {
    /// Complete messages from clients and publishers.
    pub received: u64,
    /// Workers' answers delivered.
    pub answered: u64,
    /// Messages published on channels. A message counts even if its client does not receive the
    /// acknowledgement.
    pub published: u64,
    /// The rejections delivered, by [`Reason`]. A rejection of a publisher's message counts as
    /// delivered, although nothing is sent to publishers.
    pub rejected: [u64; Reason::ALL.len()],
    /// Answers whose client had disconnected.
    pub client_gone: u64,
    /// Answers that the client did not read in time.
    pub client_slow: u64,
    /// Requests without an answer yet: a gauge.
    pub open: u64,
    /// Answers kept until their client reads: a gauge.
    pub unsettled: u64,
    /// Bytes of the messages received, all frames together. An oversize message counts with the
    /// bytes that were kept.
    pub bytes_in: u64,
    /// Bytes of the answers handed to the engine, all frames together.
    pub bytes_out: u64,
    /// The times from a request's arrival to its worker's answer, for requests that were handed to
    /// a free worker at once.
    pub at_once: Latency,
    /// The times of requests that waited for a worker, or `None` if no request has waited.
    pub waited: Option<Box<Waited>>,
    /// The number of messages that matched each schema, by the schema's position in the route's
    /// list.
    pub matched: [u64; SCHEMA_POSITIONS],
}

impl RouteCounters {
    /// Counts a message of this many bytes that has arrived.
    #[inline]
    pub fn arrived(&mut self, bytes: u64) {
        self.received += 1;
        self.bytes_in += bytes;
    }

    /// Counts a message that fitted the schema at this position of the route's list.
    pub(crate) fn fitted(&mut self, position: usize) {
        self.matched[position.min(SCHEMA_POSITIONS - 1)] += 1;
    }

    /// Counts the times of an answered request that had waited for a worker.
    #[cold]
    pub(crate) fn answered_after_wait(&mut self, whole_ns: u64, queue_ns: u64) {
        let waited = self.waited.get_or_insert_default();
        waited.queue.add_ns(queue_ns);
        waited.worker.add_ns(whole_ns.saturating_sub(queue_ns));
        waited.whole.add_ns(whole_ns);
    }

    /// Returns the times from a request's arrival to its worker's answer.
    pub fn latency(&self) -> Latency {
        let waited = self.waited.as_deref();
        waited.map_or_else(
            || self.at_once.clone(),
            |waited| self.at_once.plus(&waited.whole),
        )
    }

    /// Returns the times from the arrival of an answered request to its hand-out.
    pub fn queue_time(&self) -> Latency {
        let mut queue = self
            .waited
            .as_deref()
            .map_or_else(Latency::default, |waited| waited.queue.clone());
        // A request that is handed out at once has a queue time of zero.
        queue.buckets[0] += self.at_once.buckets.iter().sum::<u64>();
        queue
    }

    /// Returns the times from the hand-out of a request to its worker's answer.
    pub fn worker_time(&self) -> Latency {
        let waited = self.waited.as_deref();
        waited.map_or_else(
            || self.at_once.clone(),
            |waited| self.at_once.plus(&waited.worker),
        )
    }

    /// Counts an answer by its fate.
    pub fn count(&mut self, outcome: RequestOutcome, fate: Fate) {
        match (fate, outcome) {
            (Fate::Waiting, _) => self.unsettled += 1,
            (_, RequestOutcome::Published(_)) => self.published += 1,
            (Fate::Delivered, RequestOutcome::Answered(_)) => self.answered += 1,
            (Fate::Delivered, RequestOutcome::Rejected(_, reason)) => {
                self.rejected[reason as usize] += 1
            }
            (Fate::Slow, _) => self.client_slow += 1,
            (Fate::Gone, _) => self.client_gone += 1,
        }
    }

    /// Counts an answer by its fate, after it was counted as [waiting](Fate::Waiting).
    pub(crate) fn settled(&mut self, outcome: RequestOutcome, fate: Fate) {
        debug_assert!(self.unsettled > 0, "a fate that was reported twice");
        self.unsettled = self.unsettled.saturating_sub(1);
        self.count(outcome, fate);
    }

    /// Returns the number of messages whose fate is known.
    pub fn ended(&self) -> u64 {
        let rejected: u64 = self.rejected.iter().sum();
        self.answered + self.published + rejected + self.client_gone + self.client_slow
    }
}

/// Counters of a pool since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolCounters {
    /// Requests handed to workers.
    pub handed: u64,
    /// The number of dropped answers to requests that had ended.
    pub late: u64,
    /// The number of dropped messages that cannot be matched to any request.
    pub unsolicited: u64,
}

/// The connected clients of a frontend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientGauges {
    /// All connected clients.
    pub connected: u64,
    /// The connected clients whose principal is `anonymous`.
    pub anonymous: u64,
}

/// The name of the entry for principals that are counted or shown together. No principal can have
/// this name.
pub(crate) const OTHER_PRINCIPALS: &str = "*others*";

/// Counters and gauges of the clients of a principal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrincipalCounters {
    /// Complete messages from the principal's clients, since the start.
    pub requests: u64,
    /// Rejections of these messages, since the start. Rejections whose client had disconnected are
    /// not counted.
    pub rejected: u64,
    /// The connected clients of the principal: a gauge.
    pub clients: u64,
    /// The open requests of connected clients: a gauge. An open request has no answer yet.
    pub open: u64,
}

impl PrincipalCounters {
    /// Adds the counters and gauges of another principal.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self {
            requests,
            rejected,
            clients,
            open,
        } = other;
        self.requests += requests;
        self.rejected += rejected;
        self.clients += clients;
        self.open += open;
    }
}

/// A principal's counters and gauges at one point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalSample {
    /// The principal, or `*others*` for all principals that are counted together.
    pub name: Arc<str>,
    /// The counters and gauges.
    pub counters: PrincipalCounters,
}

impl PrincipalSample {
    /// Returns the sample of a principal for which nothing was counted yet.
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            counters: PrincipalCounters::default(),
        }
    }
}

/// A pool's counters and gauges at one point in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolSample {
    /// The counters since the start.
    pub counters: PoolCounters,
    /// The number of connected workers, or of connections if the engine cannot distinguish workers.
    pub workers: usize,
    /// Requests that workers hold and whose clients still wait for an answer.
    pub held: usize,
    /// Requests queued for a worker.
    pub queue: usize,
    /// Bytes of the queued requests.
    pub queue_bytes: u64,
    /// Connected workers by seat, at most `WORKERS_SHOWN_MAX` of them.
    pub seats: Vec<WorkerSample>,
}

/// A connected worker at one point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSample {
    /// The number of the worker in its pool while it is connected. Another worker may get the
    /// number later.
    pub seat: usize,
    /// The name of the worker.
    pub name: Arc<PeerName>,
    /// The socket type of the worker.
    pub kind: WorkerKind,
    /// Requests that the worker holds and whose clients still wait for an answer.
    pub held: usize,
    /// Requests that timed out at the worker since its last answer.
    pub overdue: usize,
    /// The number of requests that the worker may hold at once, or `None` if the engine cannot
    /// distinguish the pool's workers.
    pub room: Option<usize>,
    /// The number of messages of the worker that answered no request and were dropped.
    pub unsolicited: u64,
}

/// The counters of an engine since the start. A value that an engine cannot know is `None`, and is
/// not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineCounters {
    /// The working times of the turns of the engine's loop. They include the time in the core, but
    /// not the time spent waiting.
    pub turns: Latency,
    /// Complete messages from peers.
    pub messages_in: u64,
    /// Messages to peers.
    pub messages_out: u64,
    /// Bytes read from the network.
    pub bytes_in: Option<u64>,
    /// Bytes written to the network.
    pub bytes_out: Option<u64>,
    /// The number of times that the queue or connection of a peer was full.
    pub full: u64,
    /// Clients for which answers are kept: a gauge.
    pub stalled: u64,
    /// Bytes of the answers kept for clients: a gauge.
    pub unsent_bytes: u64,
    /// Peers from which reading is paused: a gauge.
    pub paused: Option<u64>,
    /// Connections, including connections with an unfinished handshake: a gauge.
    pub connections: Option<u64>,
    /// Connections that ended during their handshake.
    pub handshakes_failed: Option<u64>,
    /// The memory under `limits.memory`.
    pub memory: Option<MemoryGauges>,
}

/// The memory of the process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryGauges {
    /// The value of `limits.memory`.
    pub bound: u64,
    /// The memory charged to peers: messages, answers, requests and connections.
    pub held: u64,
    /// The resident memory that is not charged to peers, when it was last measured.
    pub others: u64,
    /// The bytes that a client may hold, or `None` while memory is not short.
    pub client_max: Option<u64>,
    /// The number of times that reading a client was paused while memory was short: a counter.
    pub pauses: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_in_the_queue_and_at_the_worker_add_up_to_the_latency() {
        let mut route = RouteCounters::default();
        let ms = |ms: u64| ms * 1_000_000;
        route.at_once.add_ns(ms(3));
        route.answered_after_wait(ms(40), ms(30));
        let (whole, queue, worker) = (route.latency(), route.queue_time(), route.worker_time());
        for times in [&whole, &queue, &worker] {
            assert_eq!(times.buckets.iter().sum::<u64>(), 2);
        }
        assert_eq!(
            (whole.sum_ns, queue.sum_ns, worker.sum_ns),
            (ms(43), ms(30), ms(13))
        );
        assert_eq!(queue.buckets[0], 1);
    }

    #[test]
    fn a_latency_is_counted_in_the_first_bucket_that_holds_the_duration() {
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
