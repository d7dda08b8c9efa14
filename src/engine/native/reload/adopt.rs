//! The data thread's half of a reload: the reloads that were handed over take effect.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::native::listen::Listeners;
use crate::engine::native::reload::registry::{ListenerAction, Planned};
use crate::engine::native::reload::{Commit, Reloads};
use crate::engine::native::removal::Removal;
use crate::engine::native::service::Service;

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
                memory,
                done,
            } = commit;
            adopt_listeners(listeners, planned, now);
            let mut removed = service.adopt(snapshot, memory, calls, now);
            removed |= listeners.has_removed(service.snapshot());
            if removed {
                removal.begin();
            }
            self.registry.finish();
            // The receiver may have been dropped.
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
