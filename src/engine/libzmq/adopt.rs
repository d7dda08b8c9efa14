//! The data thread's half of a reload: commits happen between two messages, and what the
//! configuration has no more is closed once nothing is owed through it.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use crate::core::Event;
use crate::engine::libzmq::data::{Libzmq, Ready};
use crate::engine::libzmq::reload::Commit;
use crate::engine::libzmq::sockets::Prepared;
use crate::snapshot::Snapshot;

impl Libzmq {
    /// Takes over the reloads that were handed over.
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
            // Whoever waits for it may have ended.
            let _ = done.send(());
        }
    }

    /// Drops the reloads that were handed over: nobody would be served by them any more.
    pub(super) fn decline(&mut self) {
        while self.commits.try_recv().is_ok() {
            self.book.committed();
        }
    }

    /// Takes over what was prepared for `snapshot`.
    pub(super) fn adopt(&mut self, snapshot: Arc<Snapshot>, prepared: Prepared) {
        let Prepared {
            frontends,
            pools,
            listening: _,
        } = prepared;
        for (id, socket) in frontends {
            self.links.add_frontend(id, socket);
        }
        self.links.pools.extend(pools);
        for id in snapshot.frontends.keys() {
            self.links.keep(*id);
        }
        self.links.set_outbox_max(snapshot.limits.client_bytes);
        self.snapshot = snapshot;
        self.book.committed();
    }

    /// Closes what the configuration has no more, once nothing is owed through it.
    pub(super) fn close_removed(&mut self, ready: &Ready, now: Duration) {
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
            // What has arrived is told first that it came too late; that of a client that never
            // stops sending, only for so long.
            let quiet = self.links.is_quiet(id) && !ready.frontends.contains(&id);
            let closing = quiet || self.links.removed_for(id, now) > self.snapshot.grace;
            if closing && self.links.owes_nothing(id) && self.book.may_close_frontend(id) {
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
            if self.core.is_idle(id) && self.book.may_close_pool(id) {
                self.workers_gone(id, now);
                self.links.pools.remove(&id);
                let name = self.snapshot.names.of_pool(id);
                info!("pool {name} has served its requests and is closed");
            }
        }
    }
}
