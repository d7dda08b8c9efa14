//! The data thread's half of a reload: commits happen between two messages, and removed sockets are
//! closed once no answer is owed through them.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use crate::core::Event;
use crate::engine::libzmq::data::{Libzmq, Ready};
use crate::engine::libzmq::reload::Commit;
use crate::engine::libzmq::sockets::Prepared;
use crate::engine::role::Role;
use crate::snapshot::Snapshot;

/// The pause before the next attempt to close a removed socket.
const CLOSE_PAUSE: Duration = Duration::from_millis(5);

impl Libzmq {
    /// Adopts the reloads that were handed over.
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
            self.tell(now);
            // The receiver may have ended.
            let _ = done.send(());
        }
    }

    /// Drops the reloads that were handed over, because the gateway is ending.
    pub(super) fn decline(&mut self) {
        while self.commits.try_recv().is_ok() {
            self.book.committed();
        }
    }

    /// Adopts `snapshot`, and the sockets that were prepared for it.
    pub(super) fn adopt(&mut self, snapshot: Arc<Snapshot>, prepared: Prepared) {
        let Prepared {
            frontends,
            pools,
            listening: _,
        } = prepared;
        self.links.frontends.extend(frontends);
        self.links.pools.extend(pools);
        for id in snapshot.frontends.keys() {
            self.links.keep(*id);
        }
        self.links.set_outbox_max(snapshot.limits.client_bytes);
        self.snapshot = snapshot;
        self.book.committed();
    }

    /// Closes the sockets of removed frontends and pools, once no answer is owed through them.
    pub(super) fn close_removed(&mut self, ready: &Ready, now: Duration) {
        self.close_due = None;
        let Snapshot {
            frontends, pools, ..
        } = &*self.snapshot;
        let all_there =
            self.links.frontends.len() == frontends.len() && self.links.pools.len() == pools.len();
        if all_there {
            return;
        }
        let removed = self
            .links
            .frontends
            .keys()
            .filter(|id| !frontends.contains_key(id));
        let removed: Vec<_> = removed.copied().collect();
        for id in removed {
            // The socket closes only once all messages that have arrived are rejected. If a client
            // never stops sending, the socket closes after the grace period nevertheless.
            let quiet = self.links.is_quiet(id) && !ready.frontends.contains(&id);
            let closing = quiet || self.links.removed_for(id, now) > self.snapshot.grace;
            if closing && self.links.owes_nothing(id) {
                if !self.book.take_to_close(Role::Frontend(id)) {
                    self.close_due = Some(now + CLOSE_PAUSE);
                    continue;
                }
                self.links.close_frontend(id);
                self.tell(now);
                let name = self.snapshot.names.of_frontend(id);
                info!("frontend {name} has delivered what it owed and is closed");
            }
        }
        let removed = self
            .links
            .pools
            .keys()
            .filter(|id| !self.snapshot.pools.contains_key(id));
        let removed: Vec<_> = removed.copied().collect();
        for id in removed {
            if self.core.is_idle(id) {
                if !self.book.take_to_close(Role::Pool(id)) {
                    self.close_due = Some(now + CLOSE_PAUSE);
                    continue;
                }
                self.workers_gone(id, now);
                self.links.pools.remove(&id);
                let name = self.snapshot.names.of_pool(id);
                info!("pool {name} has served its requests and is closed");
            }
        }
    }
}
