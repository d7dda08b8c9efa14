//! The counters of the core: routes and clients. Pools have their own.

use crate::ledger::{Fate, Ledger, Outcome, RouteCounters};
use crate::snapshot::{FrontendId, RouteId, Snapshot};

/// The counters of routes and clients.
#[derive(Debug)]
pub(super) struct Counts {
    /// By [`RouteId`]; at least those of [`RouteId::NONE`] and [`RouteId::OTHERS`].
    routes: Vec<RouteCounters>,
    /// Connected clients, by [`FrontendId`].
    clients: Vec<u64>,
    /// Answers kept until their client reads.
    unsettled: u64,
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
    /// Returns the counters of a route; a number that no configuration gave counts as one of the others.
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

    /// Counts a client that connected to a frontend.
    pub(super) fn client_came(&mut self, frontend: FrontendId) {
        if self.clients.len() <= frontend.0 {
            self.clients.resize(frontend.0 + 1, 0);
        }
        self.clients[frontend.0] += 1;
    }

    /// Takes a client that left a frontend out of the count.
    pub(super) fn client_gone(&mut self, frontend: FrontendId) {
        if let Some(clients) = self.clients.get_mut(frontend.0) {
            *clients = clients.saturating_sub(1);
        }
    }

    /// Counts an answer by its fate at delivery.
    pub(super) fn count(&mut self, outcome: Outcome, fate: Fate) {
        self.unsettled += u64::from(fate == Fate::Waiting);
        self.route(outcome.route()).count(outcome, fate);
    }

    /// Counts the fate of an answer that was kept.
    pub(super) fn settled(&mut self, outcome: Outcome, fate: Fate) {
        self.unsettled = self.unsettled.saturating_sub(1);
        self.route(outcome.route()).settled(outcome, fate);
    }

    /// Returns how many answers are kept until their client reads.
    pub(super) fn unsettled(&self) -> u64 {
        self.unsettled
    }

    /// Returns the counters of every route, by [`RouteId`].
    pub(super) fn routes(&self) -> &[RouteCounters] {
        &self.routes
    }

    /// Returns how many clients each frontend has, by [`FrontendId`].
    pub(super) fn clients(&self) -> &[u64] {
        &self.clients
    }

    /// Returns the sum over all routes, without the counters of pools.
    pub(super) fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        for route in &self.routes {
            ledger.add(route);
        }
        ledger
    }
}
