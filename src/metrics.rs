//! What is counted, and how it is read while frames flow.
//!
//! The data thread alone counts, in plain integers that it owns, found by the number of a route or a pool:
//! no lock, no atomic and no name stands on a message's way. Whoever wants to see asks ([`Inquirer`]); the
//! core looks at one flag after each event and, when asked, copies everything at once into a [`Sample`]. So a
//! sample is of one moment between two events, in which the ledger balances, and gauges cost nothing until
//! somebody looks.
//!
//! Counters belong to names for the life of the process: a route that stays, changes or comes back goes on
//! counting, and one that is taken out keeps what it has, so that no sum over routes ever falls. Nothing here
//! grows with what a peer sends. It must never make the data thread wait for a reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::Duration;

use crate::core::{Fate, Ledger, Outcome};
use crate::reply::Reason;
use crate::snapshot::{PoolId, Snapshot};

/// Upper bounds of the latency histogram's buckets, in microseconds; beyond the last there is one more.
pub const LATENCY_BOUNDS_US: [u32; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// Questions that may wait for the data thread. Askers are few, and only a data thread that hangs keeps any
/// waiting.
const QUESTIONS_MAX: usize = 64;

/// How long requests took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// How many took at most [`LATENCY_BOUNDS_US`] and more than the bound before; the last: more than all.
    pub buckets: [u64; LATENCY_BOUNDS_US.len() + 1],
    /// The sum of all, in nanoseconds.
    pub sum_ns: u64,
}

impl Latency {
    /// Counts one that took so long.
    pub fn add(&mut self, took: Duration) {
        let ns = took.as_secs().saturating_mul(1_000_000_000);
        let ns = ns.saturating_add(u64::from(took.subsec_nanos()));
        let us = ns.div_ceil(1_000);
        let bucket = LATENCY_BOUNDS_US.partition_point(|bound| us > u64::from(*bound));
        self.buckets[bucket] += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
    }
}

/// What became of a route's messages since the start. At any moment `received = ended + open + unsettled`.
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
    /// Answers that the client would not take.
    pub client_slow: u64,
    /// Requests that wait for an answer: a gauge.
    pub open: u64,
    /// Answers that wait for their client to read: a gauge.
    pub unsettled: u64,
    /// Bytes of the messages received, all frames together; of one that is too large, of what was kept.
    pub bytes_in: u64,
    /// Bytes of the answers handed to the engine, all frames together.
    pub bytes_out: u64,
    /// From a request's arrival to its worker's answer.
    pub latency: Latency,
    /// Messages by which of the route's schemas they fitted, in the order of its list.
    pub matched: [u64; PLACES],
}

/// So many places of a route's list of schemas are told apart; the last stands for all behind it, too.
pub const PLACES: usize = 8;

impl RouteCounters {
    /// A message fitted the schema at this place of the list.
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

    /// An answer that was counted as waiting met its fate.
    pub fn settled(&mut self, outcome: Outcome, fate: Fate) {
        debug_assert!(self.unsettled > 0, "a fate that was told twice");
        self.unsettled = self.unsettled.saturating_sub(1);
        self.count(outcome, fate);
    }

    /// Messages that have their fate.
    pub fn ended(&self) -> u64 {
        let rejected: u64 = self.rejected.iter().sum();
        self.answered + rejected + self.client_gone + self.client_slow
    }
}

/// A pool's counters since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolCounters {
    /// Requests handed to workers.
    pub handed: u64,
    /// Answers to requests that had ended: dropped.
    pub late: u64,
    /// Messages that name no request: dropped.
    pub unsolicited: u64,
}

/// A pool at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolSample {
    /// Since the start.
    pub counters: PoolCounters,
    /// Workers that are there; where the engine can't tell them apart, their connections.
    pub workers: usize,
    /// Requests that workers hold and somebody waits for.
    pub held: usize,
    /// Requests that wait for a worker.
    pub queue: usize,
    /// Bytes of those.
    pub queue_bytes: u64,
}

/// What an engine counts. None for what it can't tell; that is not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineCounters {
    /// Times that it looked at its peers.
    pub turns: u64,
    /// How long it worked, the core's part included, rather than waited.
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
    /// Clients for which answers wait: a gauge.
    pub stalled: u64,
    /// Bytes of the answers that wait for clients: a gauge.
    pub unsent_bytes: u64,
    /// Peers that are not read from for now: a gauge.
    pub paused: Option<u64>,
    /// Connections that there are, handshakes under way included: a gauge.
    pub connections: Option<u64>,
    /// Connections that ended before their handshake did.
    pub handshakes_failed: Option<u64>,
}

/// All that is counted, at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Since the engine started.
    pub uptime: Duration,
    /// What the gateway works by. Its names are those of the numbers below.
    pub snapshot: Arc<Snapshot>,
    /// Whether it takes no more requests because it shuts down.
    pub draining: bool,
    /// The sum over all routes.
    pub ledger: Ledger,
    /// Requests that are there and answers that wait: counted as such, not the ledger's difference.
    pub in_flight: u64,
    /// By [`RouteId`](crate::snapshot::RouteId).
    pub routes: Vec<RouteCounters>,
    /// By [`PoolId`].
    pub pools: Vec<PoolSample>,
    /// Clients that are there, by [`FrontendId`](crate::snapshot::FrontendId).
    pub clients: Vec<u64>,
    /// The engine's.
    pub engine: EngineCounters,
}

impl Sample {
    /// The pools to show: those of the configuration, and those that still have something to do.
    pub fn live_pools(&self) -> impl Iterator<Item = (PoolId, &PoolSample)> {
        let pools = self.pools.iter().enumerate();
        let pools = pools.map(|(number, sample)| (PoolId(number), sample));
        pools.filter(|(id, sample)| {
            self.snapshot.pools.contains_key(id) || sample.held + sample.queue > 0
        })
    }
}

type Question = Box<dyn FnOnce(Arc<Sample>) + Send>;

/// Asks the data thread for a sample, from any thread.
#[derive(Clone, Debug)]
pub struct Inquirer {
    waiting: Arc<AtomicBool>,
    questions: SyncSender<Question>,
}

/// The data thread's end.
#[derive(Debug)]
pub struct Inquiries {
    waiting: Arc<AtomicBool>,
    questions: Receiver<Question>,
}

/// Both ends.
pub fn inquiries() -> (Inquirer, Inquiries) {
    let waiting = Arc::new(AtomicBool::new(false));
    let (asks, questions) = mpsc::sync_channel(QUESTIONS_MAX);
    let inquirer = Inquirer {
        waiting: Arc::clone(&waiting),
        questions: asks,
    };
    (inquirer, Inquiries { waiting, questions })
}

impl Inquirer {
    /// Has `tell` called on the data thread with the next sample; it must not block. False, and `tell` is
    /// dropped, if too many ask already or nobody is there to answer. Whoever asks wakes the engine, too.
    #[must_use]
    pub fn ask(&self, tell: impl FnOnce(Arc<Sample>) + Send + 'static) -> bool {
        let asked = match self.questions.try_send(Box::new(tell)) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        };
        self.waiting.store(true, Ordering::Release);
        asked
    }
}

/// Of whom nobody asks.
impl Default for Inquiries {
    fn default() -> Self {
        inquiries().1
    }
}

impl Inquiries {
    /// Whether somebody asks: all that a message pays for being counted in public.
    #[inline]
    pub fn any(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Answers everybody who has asked so far.
    pub fn answer(&self, sample: Sample) {
        // First, so that a question that comes meanwhile raises it again.
        self.waiting.swap(false, Ordering::AcqRel);
        let sample = Arc::new(sample);
        for _ in 0..QUESTIONS_MAX {
            let Ok(tell) = self.questions.try_recv() else {
                break;
            };
            tell(Arc::clone(&sample));
        }
    }
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
    }
}
