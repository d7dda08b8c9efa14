//! The effect of another configuration on existing connections, and on calls (see `dial`).

use std::sync::Arc;
use std::time::Duration;

use crate::core::Event;
use crate::engine::native::address::Address;
use crate::engine::native::connection::Phase;
use crate::engine::native::service::Service;
use crate::engine::role::Role;
use crate::peer::{PeerId, WorkerKind};
use crate::snapshot::{Snapshot, Workers};

impl Service {
    /// Adopts another configuration. `memory` is its `limits.memory` in bytes, and `calls` are the
    /// addresses to which it connects, with their roles. Returns whether calls or connections must
    /// be removed later.
    pub(in crate::engine::native) fn adopt(
        &mut self,
        snapshot: Arc<Snapshot>,
        memory: u64,
        calls: Vec<(Role, Address)>,
        now: Duration,
    ) -> bool {
        self.snapshot = Arc::clone(&snapshot);
        self.peers.set_limits(snapshot.limits.client_bytes, memory);
        let calls_removed = self.adopt_calls(calls, now);
        self.decide(now, Event::Reload { snapshot });
        self.report_events(now);
        let connections_removed = self.adopt_connections(now);
        calls_removed || connections_removed
    }

    /// Makes the calls of the configuration, and keeps the calls of removed pools that still have
    /// open requests. Returns whether calls or their connections must be removed later.
    fn adopt_calls(&mut self, mut calls: Vec<(Role, Address)>, now: Duration) -> bool {
        let (core, snapshot) = (&self.core, &self.snapshot);
        let is_needed = |role: Role| {
            let removed = role.pool_missing_in(snapshot);
            removed.is_some_and(|pool| !core.is_idle(pool))
        };
        let wanted = calls.len();
        calls.extend(self.dialer.all().filter(|(role, _)| is_needed(*role)));
        let mut removed = calls.len() > wanted;
        for peer in self.dialer.set(&calls, now) {
            if let Some(connection) = self.peers.get(peer) {
                connection.abandon();
                removed = true;
            }
        }
        removed
    }

    /// Applies new settings to the existing connections, and closes the connections of peers that
    /// are no longer admitted. Returns whether connections must be removed later.
    fn adopt_connections(&mut self, now: Duration) -> bool {
        let mut removed = false;
        let all: Vec<_> = self
            .peers
            .all()
            .map(|connection| connection.peer())
            .collect();
        for peer in all {
            if !self.is_still_admitted(peer) {
                let why = "the gateway no longer admits it at this address";
                self.hang_up(peer, &why, now);
                continue;
            }
            if self.is_removed_publisher(peer) {
                let why = "its channel or address was removed from the configuration";
                self.hang_up(peer, &why, now);
                continue;
            }
            removed |= self.adopt_connection(peer, now);
            // Reading from the peer may have been paused by the old limits.
            self.peers.queue(peer);
        }
        removed
    }

    /// Returns whether this is a publisher whose channel or address was removed. A publisher
    /// expects no answers, and its messages must not be published any more.
    fn is_removed_publisher(&mut self, peer: PeerId) -> bool {
        let Some(connection) = self.peers.look(peer) else {
            return false;
        };
        let role = connection.role();
        let removed = connection.is_retired() || !role.is_in(&self.snapshot);
        removed && matches!(role, Role::Publishers(_))
    }

    /// Applies new settings to a connection. Returns whether the connection must be removed later.
    fn adopt_connection(&mut self, peer: PeerId, now: Duration) -> bool {
        let Some(connection) = self.peers.get(peer) else {
            return false;
        };
        let role = connection.role();
        let mut removed = !role.is_in(&self.snapshot);
        if let (Role::Pool(pool), Phase::Worker(kind)) = (role, connection.phase()) {
            let settings = self.snapshot.pools.get(&pool);
            if settings.is_some_and(|settings| !suits(kind, settings.workers)) {
                connection.retire();
                removed = true;
            }
            // Heartbeats may have changed.
            self.peers.set_timer(peer, now);
        }
        removed
    }
}

fn suits(kind: WorkerKind, allowed: Workers) -> bool {
    match allowed {
        Workers::Auto => true,
        Workers::Dealer => kind == WorkerKind::Dealer,
        Workers::Rep => kind == WorkerKind::Rep,
    }
}
