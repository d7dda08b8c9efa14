//! Samples of the counters, for [`metrics`](crate::metrics).

use std::sync::Arc;

use super::{Core, Outlet};
use crate::frame::Frames;
use crate::ledger::{Ledger, SUBSCRIBERS_SHOWN_MAX};
use crate::metrics::Sample;
use crate::snapshot::{ChannelId, PoolId};

impl<M: Frames> Core<M> {
    /// Returns the sums of the counters of all routes and pools.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = self.counts.ledger();
        for pool in &self.pools {
            ledger.late += pool.counters().late;
            ledger.unsolicited += pool.counters().unsolicited;
        }
        ledger
    }

    /// Returns a copy of every counter and gauge, including the gauges of `out`.
    pub fn sample(&self, out: &impl Outlet<M>) -> Sample {
        let pools = self.pools.iter().enumerate();
        let pools = pools.map(|(id, pool)| {
            let mut sample = pool.sample();
            sample.workers = out.connections(PoolId(id)).unwrap_or(sample.workers);
            sample
        });
        let channels = self.channels.iter().enumerate();
        let channels = channels.map(|(id, channel)| {
            let mut sample = channel.sample(SUBSCRIBERS_SHOWN_MAX);
            if let Some(connected) = out.channel_connections(ChannelId(id)) {
                (sample.publishers, sample.subscribers) = connected;
            }
            sample
        });
        Sample {
            uptime: self.now,
            snapshot: Arc::clone(&self.snapshot.shared),
            draining: self.drain.is_some(),
            ledger: self.ledger(),
            in_flight: self.in_flight(),
            routes: self.counts.routes().to_vec(),
            pools: pools.collect(),
            channels: channels.collect(),
            clients: self.counts.clients().to_vec(),
            principals: self.principals.sample(),
            rejections: self.recent.newest_first(),
            judging: self.lanes.len(),
            judged: self.lanes.judged(),
            engine: out.counters(),
        }
    }
}
