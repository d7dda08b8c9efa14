//! Samples of the counters, and the channel by which a reader gets them from the data thread.
//!
//! Only the data thread counts, in plain integers that it owns. It finds a counter by the number of
//! the route or pool, so counting a message takes no lock, no atomic operation and no look-up by
//! name. A reader sends a request through a [`SampleRequester`]. The core reads one flag after each
//! event and, if there is a request, copies everything at once into a [`Sample`]. A sample
//! therefore describes a point in time between two events, at which the ledger balances. Gauges
//! cost nothing until they are read.
//!
//! A counter belongs to a name, such as the name of a route, until the process ends. A route that
//! stays, is changed or is added again continues its counters. The counters of a removed route
//! remain, so no sum over routes ever decreases. The number of counters does not depend on the
//! content of messages. The data thread must never wait for a reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::Duration;

use crate::ledger::{
    ChannelSample, ClientGauges, EngineCounters, Ledger, PoolSample, PrincipalSample, RouteCounters,
};
use crate::rejections::Rejected;
use crate::snapshot::{ChannelId, PoolId, Snapshot};

/// The maximum number of requests that wait for the data thread. There are few readers, and
/// requests wait only if the data thread hangs.
const REQUESTS_MAX: usize = 64;

/// All counters and gauges at one point in time.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The time since the engine started.
    pub uptime: Duration,
    /// The configuration in force. The other fields identify routes, pools, channels and
    /// frontends by number. Their names are in the configuration.
    pub snapshot: Arc<Snapshot>,
    /// True if the gateway is shutting down and accepts no more requests.
    pub draining: bool,
    /// The sum over all routes, with the late and unsolicited answers of all pools.
    pub ledger: Ledger,
    /// The number of open requests and undelivered answers, counted directly instead of computed
    /// from the ledger.
    pub in_flight: u64,
    /// The counters of the routes, by [`RouteId`](crate::snapshot::RouteId).
    pub routes: Vec<RouteCounters>,
    /// The counters and gauges of the pools, by [`PoolId`].
    pub pools: Vec<PoolSample>,
    /// The counters and gauges of the channels, by [`ChannelId`].
    pub channels: Vec<ChannelSample>,
    /// The connected clients, by [`FrontendId`](crate::snapshot::FrontendId).
    pub clients: Vec<ClientGauges>,
    /// The counters and gauges of the principals that have had a client, in no order.
    pub principals: Vec<PrincipalSample>,
    /// The last rejections, newest first.
    pub(crate) rejections: Vec<Arc<Rejected>>,
    /// The number of messages that wait for a judge, which is a thread for long checks. They wait
    /// for the check of their own payload or of the payload of an earlier message.
    pub judging: u64,
    /// The number of payloads that judges have checked.
    pub judged: u64,
    /// The counters of the engine.
    pub engine: EngineCounters,
}

impl Sample {
    /// Returns the pools to show: the pools of the configuration, and removed pools that still have
    /// requests.
    pub(crate) fn live_pools(&self) -> impl Iterator<Item = (PoolId, &PoolSample)> {
        let pools = self.pools.iter().enumerate();
        let pools = pools.map(|(number, sample)| (PoolId(number), sample));
        pools.filter(|(id, sample)| {
            self.snapshot.pools.contains_key(id) || sample.held + sample.queue > 0
        })
    }

    /// Returns the channels to show: the channels of the configuration, and removed channels that
    /// still have subscribers.
    pub(crate) fn live_channels(&self) -> impl Iterator<Item = (ChannelId, &ChannelSample)> {
        let channels = self.channels.iter().enumerate();
        let channels = channels.map(|(number, sample)| (ChannelId(number), sample));
        channels.filter(|(id, sample)| {
            self.snapshot.channels.contains_key(id) || sample.subscribers > 0
        })
    }
}

/// A function that is called with the next sample.
type SampleRequest = Box<dyn FnOnce(Arc<Sample>) + Send>;

/// The sending end of the requests, for any other thread.
#[derive(Clone, Debug)]
pub(crate) struct SampleRequester {
    waiting: Arc<AtomicBool>,
    requests: SyncSender<SampleRequest>,
}

/// The receiving end of the requests, for the data thread.
#[derive(Debug)]
pub(crate) struct SampleRequests {
    waiting: Arc<AtomicBool>,
    requests: Receiver<SampleRequest>,
}

/// Returns a requester, and the receiving end of its requests.
pub(crate) fn sample_requests() -> (SampleRequester, SampleRequests) {
    let waiting = Arc::new(AtomicBool::new(false));
    let (sender, requests) = mpsc::sync_channel(REQUESTS_MAX);
    let requester = SampleRequester {
        waiting: Arc::clone(&waiting),
        requests: sender,
    };
    (requester, SampleRequests { waiting, requests })
}

impl SampleRequester {
    /// Requests that the data thread calls `callback` with the next sample. `callback` must not
    /// block. Returns false, and drops `callback`, if too many requests wait already or the data
    /// thread has ended. The caller must also wake the engine.
    #[must_use]
    pub(crate) fn request(&self, callback: impl FnOnce(Arc<Sample>) + Send + 'static) -> bool {
        let is_sent = match self.requests.try_send(Box::new(callback)) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        };
        self.waiting.store(true, Ordering::Release);
        is_sent
    }
}

/// Returns a receiving end without a sender, which never has a request.
impl Default for SampleRequests {
    fn default() -> Self {
        sample_requests().1
    }
}

impl SampleRequests {
    /// Returns whether a request waits. This check is all that sampling costs for each message.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Calls the functions of all requests that have arrived so far.
    pub(crate) fn answer(&self, sample: Sample) {
        // The flag is cleared first, so that a request that arrives meanwhile sets it again.
        self.waiting.swap(false, Ordering::AcqRel);
        let sample = Arc::new(sample);
        for _ in 0..REQUESTS_MAX {
            let Ok(callback) = self.requests.try_recv() else {
                break;
            };
            callback(Arc::clone(&sample));
        }
    }
}
