//! The counters of the core, for routes and clients. Pools have their own counters.

use super::peers::{Client, NameSource};
use crate::ledger::{ClientGauges, Fate, Ledger, RequestOutcome, RouteCounters};
use crate::snapshot::{RouteId, Snapshot};

/// The counters of routes and clients.
#[derive(Debug)]
pub(super) struct Counts {
    /// The counters of the routes, by [`RouteId`]. The counters of [`RouteId::NONE`] and
    /// [`RouteId::OTHERS`] always exist.
    routes: Vec<RouteCounters>,
    /// The numbers of connected clients, by [`FrontendId`](crate::snapshot::FrontendId).
    clients: Vec<ClientGauges>,
    /// The number of answers that the clients have not read yet.
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
    /// Returns the counters of a route. An unknown id counts as [`RouteId::OTHERS`].
    #[inline]
    pub(super) fn route(&mut self, id: RouteId) -> &mut RouteCounters {
        let known = id.0 < self.routes.len();
        let counted = if known { id } else { RouteId::OTHERS };
        &mut self.routes[counted.0]
    }

    /// Counts a message of this many bytes that has arrived for a route, and returns the counters
    /// of the route.
    #[inline]
    pub(super) fn arrived(&mut self, id: RouteId, bytes: u64) -> &mut RouteCounters {
        let counters = self.route(id);
        counters.arrived(bytes);
        counters
    }

    /// Makes room for the routes of a new snapshot.
    pub(super) fn adopt(&mut self, snapshot: &Snapshot) {
        let routes = snapshot.names.routes().max(self.routes.len());
        self.routes.resize(routes, RouteCounters::default());
    }

    /// Counts a client that connected.
    pub(super) fn client_connected(&mut self, client: &Client) {
        let frontend = client.frontend.0;
        if self.clients.len() <= frontend {
            self.clients.resize(frontend + 1, ClientGauges::default());
        }
        let gauges = &mut self.clients[frontend];
        gauges.connected += 1;
        gauges.anonymous += u64::from(client.name_source == NameSource::Anonymous);
    }

    /// Counts a connected client that is anonymous from now on.
    pub(super) fn client_became_anonymous(&mut self, client: &Client) {
        if let Some(gauges) = self.clients.get_mut(client.frontend.0) {
            gauges.anonymous += 1;
        }
    }

    /// Removes a disconnected client from the count.
    pub(super) fn client_disconnected(&mut self, client: &Client) {
        if let Some(gauges) = self.clients.get_mut(client.frontend.0) {
            let anonymous = u64::from(client.name_source == NameSource::Anonymous);
            gauges.connected = gauges.connected.saturating_sub(1);
            gauges.anonymous = gauges.anonymous.saturating_sub(anonymous);
        }
    }

    /// Counts an answer by its fate at delivery.
    pub(super) fn count(&mut self, outcome: RequestOutcome, fate: Fate) {
        self.unsettled += u64::from(fate == Fate::Waiting);
        self.route(outcome.route()).count(outcome, fate);
    }

    /// Counts the fate of an answer that was kept.
    pub(super) fn settled(&mut self, outcome: RequestOutcome, fate: Fate) {
        self.unsettled = self.unsettled.saturating_sub(1);
        self.route(outcome.route()).settled(outcome, fate);
    }

    /// Returns the number of answers that the clients have not read yet.
    pub(super) fn unsettled(&self) -> u64 {
        self.unsettled
    }

    /// Returns the counters of every route, by [`RouteId`].
    pub(super) fn routes(&self) -> &[RouteCounters] {
        &self.routes
    }

    /// Returns the numbers of connected clients, by [`FrontendId`](crate::snapshot::FrontendId).
    pub(super) fn clients(&self) -> &[ClientGauges] {
        &self.clients
    }

    /// Returns the sums of the counters of all routes. The counters of pools are not included.
    pub(super) fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        for route in &self.routes {
            ledger.add(route);
        }
        ledger
    }
}
