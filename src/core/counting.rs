//! The counters, and their copy for whoever asks: see [`metrics`](crate::metrics).

use super::*;
use crate::ledger::RouteCounters;
use crate::metrics::Sample;

/// What the core counts beside what its pools do.
#[derive(Debug)]
pub(super) struct Counts {
    /// By [`RouteId`]; at least those of [`RouteId::NONE`] and [`RouteId::OTHERS`].
    routes: Vec<RouteCounters>,
    /// Clients that are there, by [`FrontendId`].
    clients: Vec<u64>,
    /// Answers that wait for their client to read.
    pub(super) unsettled: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            routes: vec![RouteCounters::default(); 1 + RouteId::OTHERS.0],
            clients: Vec::new(),
            unsettled: 0,
        }
    }
}

impl Counts {
    /// A route's; a number that no configuration gave is one of the others.
    #[inline]
    pub(super) fn route(&mut self, id: RouteId) -> &mut RouteCounters {
        let known = id.0 < self.routes.len();
        let slot = if known { id } else { RouteId::OTHERS };
        &mut self.routes[slot.0]
    }

    /// Makes room for the numbers of a new generation.
    pub(super) fn adopt(&mut self, snapshot: &Snapshot) {
        let routes = snapshot.names.routes().max(self.routes.len());
        self.routes.resize(routes, RouteCounters::default());
    }

    /// A client came to a frontend, or left it.
    pub(super) fn client(&mut self, frontend: FrontendId, came: bool) {
        if self.clients.len() <= frontend.0 {
            self.clients.resize(frontend.0 + 1, 0);
        }
        let clients = &mut self.clients[frontend.0];
        *clients = match came {
            true => *clients + 1,
            false => clients.saturating_sub(1),
        };
    }

    /// An answer met a fate, at delivery.
    pub(super) fn count(&mut self, outcome: Outcome, fate: Fate) {
        self.unsettled += u64::from(fate == Fate::Waiting);
        self.route(outcome.route()).count(outcome, fate);
    }

    /// An answer that waited met its fate.
    pub(super) fn settled(&mut self, outcome: Outcome, fate: Fate) {
        self.unsettled = self.unsettled.saturating_sub(1);
        self.route(outcome.route()).settled(outcome, fate);
    }
}

impl<F: Frame> Core<F> {
    /// What was counted so far, over all routes.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        for route in &self.counts.routes {
            ledger.add(route);
        }
        for pool in &self.pools {
            ledger.late += pool.counters().late;
            ledger.unsolicited += pool.counters().unsolicited;
        }
        ledger
    }

    /// Everything that is counted, now.
    pub fn sample(&self, out: &impl Outlet<F>) -> Sample {
        let pools = self.pools.iter().enumerate();
        let pools = pools.map(|(id, pool)| {
            let mut sample = pool.sample();
            sample.workers = out.connections(PoolId(id)).unwrap_or(sample.workers);
            sample
        });
        Sample {
            uptime: self.now,
            snapshot: Arc::clone(&self.snapshot.0),
            draining: self.drain.is_some(),
            ledger: self.ledger(),
            in_flight: self.in_flight(),
            routes: self.counts.routes.clone(),
            pools: pools.collect(),
            clients: self.counts.clients.clone(),
            engine: out.counters(),
        }
    }
}
