//! The data thread's half of a reload: the effect of a new configuration on existing listeners,
//! calls and connections.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::core::Event;
use crate::engine::native::address::Address;
use crate::engine::native::connection::Phase;
use crate::engine::native::listen::Listeners;
use crate::engine::native::reload::book::{ListenerAction, Planned};
use crate::engine::native::reload::{Commit, Reloads};
use crate::engine::native::removal::Removal;
use crate::engine::native::role::Role;
use crate::engine::native::service::Service;
use crate::peer::{PeerId, WorkerKind};
use crate::snapshot::Workers;

impl Reloads {
    /// Adopts the reloads that were handed over.
    pub(in crate::engine::native) fn commit(
        &mut self,
        service: &mut Service,
        listeners: &mut Listeners,
        removal: &mut Removal,
        now: Duration,
    ) {
        while let Ok(commit) = self.commits.try_recv() {
            let Commit {
                snapshot,
                listeners: planned,
                calls,
                done,
            } = commit;
            service.snapshot = Arc::clone(&snapshot);
            service.peers.set_limits(&snapshot.limits);
            adopt_listeners(listeners, planned, now);
            let mut removed = service.adopt_calls(calls, now);
            service
                .core
                .on(now, Event::Reload { snapshot }, &mut service.peers);
            service.tell(now);
            removed |= service.adopt_connections(now);
            removed |= listeners.has_removed(&service.snapshot);
            if removed {
                removal.begin();
            }
            self.book.committed();
            // The receiver may have ended.
            let _ = done.send(());
        }
    }
}

fn adopt_listeners(listeners: &mut Listeners, planned: Vec<Planned>, now: Duration) {
    let wanted: BTreeSet<_> = planned.iter().map(|planned| planned.id).collect();
    // Removed listeners close first, so that their addresses are free.
    listeners.retain(&wanted);
    for Planned { id, role, how } in planned {
        match how {
            ListenerAction::Keep => listeners.set_role(id, role),
            ListenerAction::Open(listener) => listeners.open(id, role, listener),
            ListenerAction::TakeOver(address) => listeners.take_over(id, role, address, now),
        }
    }
}

impl Service {
    /// Makes the calls of the configuration, and keeps those of removed pools that still owe
    /// answers. Returns whether something must be removed later.
    fn adopt_calls(&mut self, mut calls: Vec<(Role, Address)>, now: Duration) -> bool {
        let (core, snapshot) = (&self.core, &self.snapshot);
        let owes = |role: Role| {
            let removed = role.pool_missing_in(snapshot);
            removed.is_some_and(|pool| !core.is_idle(pool))
        };
        let wanted = calls.len();
        calls.extend(self.dialer.all().filter(|(role, _)| owes(*role)));
        let mut removed = calls.len() > wanted;
        for peer in self.dialer.set(&calls, now) {
            if let Some(connection) = self.peers.get(peer) {
                connection.abandon();
                removed = true;
            }
        }
        removed
    }

    /// Applies new settings to the existing connections, and closes those that are no longer
    /// admitted. Returns whether something must be removed later.
    fn adopt_connections(&mut self, now: Duration) -> bool {
        let mut removed = false;
        let all: Vec<_> = self.peers.all().map(|there| there.peer()).collect();
        for peer in all {
            if !self.is_still_admitted(peer) {
                let why = "the gateway does not admit it there any more";
                self.hang_up(peer, &why, now);
                continue;
            }
            if self.is_removed_publisher(peer) {
                let why = "it was removed from the configuration";
                self.hang_up(peer, &why, now);
                continue;
            }
            removed |= self.adopt_connection(peer, now);
            // Reading from the peer may have been paused by the old limits.
            self.peers.queue(peer);
        }
        removed
    }

    /// Returns whether this is a publisher whose channel or address was removed. Nobody waits for
    /// an answer from it, and none of its messages may be published any more.
    fn is_removed_publisher(&mut self, peer: PeerId) -> bool {
        let Some(connection) = self.peers.look(peer) else {
            return false;
        };
        let role = connection.role();
        let removed = connection.is_retired() || !role.is_in(&self.snapshot);
        removed && matches!(role, Role::Publishers(_))
    }

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
