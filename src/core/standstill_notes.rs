//! Notes on waits that an operator may have to end: requests wait at a pool that has no worker, or
//! a drain waits for answers.
//!
//! Each wait is noted once it has lasted for [`NOTE_DELAY`], and again every [`REPEAT_INTERVAL`] as
//! long as it lasts.

use std::time::Duration;

use super::notes::{NotedEvent, Particulars, REPEAT_INTERVAL};
use super::peers::{Peer, Peers};
use super::{Core, Outlet};
use crate::frame::Frames;
use crate::pool::Pool;
use crate::snapshot::PoolId;

/// The time for which a wait must last before it is noted. Workers that are started together with
/// the gateway have usually connected by then.
const NOTE_DELAY: Duration = Duration::from_secs(1);

/// The maximum number of silent peers whose addresses are noted. Eight addresses suffice to find
/// one misplaced worker, and keep the line short if there are many idle clients.
const SILENT_NAMED_MAX: usize = 8;

/// The DEALERs that have sent nothing since they connected to a frontend.
struct SilentPeers {
    count: usize,
    addresses: String,
}

impl<M: Frames> Core<M> {
    /// Schedules a note that a pool has no worker, if requests wait for a worker.
    pub(super) fn expect_worker_if_needed(&mut self, id: PoolId) {
        let pool = &self.pools[id.0];
        if pool.workers() == 0 && pool.waiting() > 0 {
            self.expect_worker(id);
        }
    }

    /// Schedules a note that a pool has no worker for its waiting requests. When the note is due,
    /// it is dropped if the pool has a worker or no request waits.
    #[cold]
    pub(super) fn expect_worker(&mut self, pool: PoolId) {
        let pools = &mut self.standstill.pools;
        if pools.iter().all(|(known, _)| *known != pool) {
            let due = self.now + NOTE_DELAY;
            pools.push((pool, due));
            self.notes.remind(due);
        }
    }

    /// Begins to drain, and schedules a note of the pools and answers that the drain waits for. The
    /// note is dropped if the drain has ended when the note is due.
    pub(super) fn drain(&mut self, deadline: Duration) {
        self.drain = Some(deadline);
        self.begin_to_flush();
        let due = self.now + NOTE_DELAY;
        self.standstill.drain = Some(due);
        self.notes.remind(due);
    }

    /// Notes the waits that have lasted long enough.
    #[cold]
    pub(super) fn note_standstill(&mut self, out: &impl Outlet<M>) {
        let mut silent = None;
        for (id, mut due) in std::mem::take(&mut self.standstill.pools) {
            let pool = &self.pools[id.0];
            if pool.workers() > 0 || pool.waiting() == 0 {
                continue;
            }
            if due <= self.now {
                let name = &pool.settings().name;
                let particulars = || Particulars {
                    waiting: pool.waiting(),
                    addresses: worker_addresses(pool),
                    ..Particulars::default()
                };
                self.notes
                    .note(self.now, NotedEvent::NoWorker, name, None, particulars);
                let silent = silent.get_or_insert_with(|| silent_peers(&self.peers, out));
                if silent.count > 0 {
                    let particulars = || Particulars {
                        silent: silent.count,
                        silent_peers: silent.addresses.clone(),
                        addresses: worker_addresses(pool),
                        ..Particulars::default()
                    };
                    self.notes
                        .note(self.now, NotedEvent::SilentPeers, name, None, particulars);
                }
                due = self.now + REPEAT_INTERVAL;
            }
            self.standstill.pools.push((id, due));
            self.notes.remind(due);
        }
        let Some(due) = self.standstill.drain else {
            return;
        };
        let next = if due <= self.now {
            self.note_drain();
            self.now + REPEAT_INTERVAL
        } else {
            due
        };
        self.standstill.drain = Some(next).filter(|_| self.in_flight() > 0);
        if let Some(next) = self.standstill.drain {
            self.notes.remind(next);
        }
    }

    /// Notes each pool that a drain waits for, and the answers that clients have not read yet.
    fn note_drain(&mut self) {
        let left = self.drain.unwrap_or_default().saturating_sub(self.now);
        for pool in self.pools.iter().filter(|pool| !pool.is_idle()) {
            let name = &pool.settings().name;
            let particulars = || Particulars {
                workers: pool.workers(),
                held: pool.held(),
                waiting: pool.waiting(),
                left,
                ..Particulars::default()
            };
            self.notes
                .note(self.now, NotedEvent::Draining, name, None, particulars);
        }
        let unread = self.counts.unsettled() as usize;
        if unread > 0 {
            let particulars = || Particulars {
                waiting: unread,
                left,
                ..Particulars::default()
            };
            self.notes
                .note(self.now, NotedEvent::Unread, "", None, particulars);
        }
    }
}

/// Returns the silent peers. One of them may be a worker that connected to a frontend by mistake,
/// and waits there for requests.
fn silent_peers<M: Frames>(peers: &Peers, out: &impl Outlet<M>) -> SilentPeers {
    let is_silent = |peer: &Peer| matches!(peer, Peer::Client(client) if client.is_silent_dealer());
    let mut silent = peers.iter().filter(|(_, peer)| is_silent(peer));
    let named: Vec<_> = silent.by_ref().take(SILENT_NAMED_MAX).collect();
    let addresses: Vec<_> = named
        .iter()
        .filter_map(|(peer, _)| out.address(*peer))
        .collect();
    SilentPeers {
        count: named.len() + silent.count(),
        addresses: addresses.join(", "),
    }
}

/// Describes the addresses at which workers connect to a pool, and the addresses of workers to
/// which the gateway connects.
fn worker_addresses(pool: &Pool) -> String {
    let endpoints = &pool.settings().endpoints;
    let mut addresses = Vec::new();
    if !endpoints.bind.is_empty() {
        let bind = endpoints.bind.join(", ");
        addresses.push(format!("workers connect to {bind}"));
    }
    if !endpoints.connect.is_empty() {
        let connect = endpoints.connect.join(", ");
        addresses.push(format!("the gateway connects to {connect}"));
    }
    addresses.join(", and ")
}
