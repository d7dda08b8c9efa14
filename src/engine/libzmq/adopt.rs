//! The data thread's part of a reload. A reload takes effect between two messages. The socket of a
//! removed frontend, pool or channel is closed later, once no request needs it any more.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use crate::core::Event;
use crate::engine::libzmq::data::{Libzmq, Ready};
use crate::engine::libzmq::links::Links;
use crate::engine::libzmq::reload::Commit;
use crate::engine::libzmq::sockets::Prepared;
use crate::engine::role::Role;
use crate::snapshot::{FrontendId, PoolId, Snapshot};

/// The pause before the next attempt to close a removed socket.
const CLOSE_PAUSE: Duration = Duration::from_millis(5);

impl Libzmq {
    /// Adopts the reloads that [`Reloader`](super::Reloader) has sent to the data thread.
    pub(super) fn commit(&mut self, now: Duration) {
        while let Ok(commit) = self.commits.try_recv() {
            let Commit {
                snapshot,
                prepared,
                done,
            } = commit;
            self.adopt(Arc::clone(&snapshot), prepared);
            self.core
                .on(now, Event::Reload { snapshot }, &mut self.links);
            self.introduce_sides(now);
            self.report_events(now);
            // This fails if the thread that requested the reload has ended.
            let _ = done.send(());
        }
    }

    /// Drops the reloads that [`Reloader`](super::Reloader) has sent, because the gateway is
    /// ending.
    pub(super) fn decline(&mut self) {
        while self.commits.try_recv().is_ok() {
            self.registry.finish();
        }
    }

    /// Adopts `snapshot`, and the sockets that were prepared for it.
    pub(super) fn adopt(&mut self, snapshot: Arc<Snapshot>, prepared: Prepared) {
        let Prepared {
            frontends,
            pools,
            sides,
            listening: _,
        } = prepared;
        self.links.frontends.extend(frontends);
        self.links.pools.extend(pools);
        self.links.sides.extend(sides);
        for id in snapshot.frontends.keys() {
            self.links.keep(*id);
        }
        self.links.set_outbox_max(snapshot.limits.client_bytes);
        self.snapshot = snapshot;
        self.registry.finish();
    }

    /// Closes the sockets of removed channels, and of each removed frontend or pool that has no
    /// request or answer left to deliver.
    pub(super) fn close_removed(&mut self, ready: &Ready, now: Duration) {
        self.close_due = None;
        let Links {
            frontends,
            pools,
            sides,
            ..
        } = &self.links;
        let frontends = frontends.keys().map(|id| Role::Frontend(*id));
        let pools = pools.keys().map(|id| Role::Pool(*id));
        let all = frontends.chain(pools).chain(sides.keys().copied());
        let removed: Vec<Role> = all.filter(|role| !role.is_in(&self.snapshot)).collect();
        for role in removed {
            match role {
                Role::Frontend(id) => self.close_removed_frontend(id, ready, now),
                Role::Pool(id) => self.close_removed_pool(id, now),
                Role::Publishers(_) | Role::Subscribers(_) => self.close_removed_side(role, now),
            }
        }
    }

    /// Removes a socket from the registry, so that it may be closed. Returns false, and schedules
    /// another attempt, while a reload that is being prepared may need the socket.
    fn take_to_close(&mut self, role: Role, now: Duration) -> bool {
        let may_close = self.registry.take_to_close(role);
        if !may_close {
            self.close_due = Some(now + CLOSE_PAUSE);
        }
        may_close
    }

    fn close_removed_frontend(&mut self, id: FrontendId, ready: &Ready, now: Duration) {
        // The socket closes only once all messages that have arrived are rejected. If a client
        // never stops sending, the socket closes after `shutdown.grace` nevertheless.
        let quiet = self.links.is_quiet(id) && !ready.frontends.contains(&id);
        let closing = quiet || self.links.removed_for(id, now) > self.snapshot.grace;
        if closing
            && self.links.has_delivered_all(id)
            && self.take_to_close(Role::Frontend(id), now)
        {
            self.links.close_frontend(id);
            self.report_events(now);
            let name = self.snapshot.names.of_frontend(id);
            info!("frontend {name} has delivered all answers and is closed");
        }
    }

    fn close_removed_pool(&mut self, id: PoolId, now: Duration) {
        if self.core.is_idle(id) && self.take_to_close(Role::Pool(id), now) {
            self.workers_disconnected(id, now);
            self.links.pools.remove(&id);
            let name = self.snapshot.names.of_pool(id);
            info!("pool {name} has served its requests and is closed");
        }
    }

    /// Closes the socket for the publishers or for the subscribers of a removed channel. Nothing is
    /// published on the channel any more. After the close, libzmq still sends subscribers their
    /// queued messages.
    fn close_removed_side(&mut self, role: Role, now: Duration) {
        if !self.take_to_close(role, now) {
            return;
        }
        if let Some(side) = self.links.sides.remove(&role)
            && let Some(peer) = side.peer
        {
            self.core
                .on(now, Event::Disconnected { peer }, &mut self.links);
            self.report_events(now);
        }
        let (kind, name) = (role.kind(), role.name(&self.snapshot));
        info!("{kind} {name} is closed");
    }
}
