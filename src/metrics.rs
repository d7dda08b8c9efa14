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

use crate::ledger::{EngineCounters, Ledger, PoolSample, RouteCounters};
use crate::rejections::Rejected;
use crate::snapshot::{PoolId, Snapshot};

/// Questions that may wait for the data thread. Askers are few, and only a data thread that hangs keeps any
/// waiting.
const QUESTIONS_MAX: usize = 64;

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
    /// The last rejections, newest first.
    pub(crate) rejections: Vec<Arc<Rejected>>,
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
pub(crate) struct Inquirer {
    waiting: Arc<AtomicBool>,
    questions: SyncSender<Question>,
}

/// The data thread's end.
#[derive(Debug)]
pub(crate) struct Inquiries {
    waiting: Arc<AtomicBool>,
    questions: Receiver<Question>,
}

/// Both ends.
pub(crate) fn inquiries() -> (Inquirer, Inquiries) {
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
