//! Requests that wait for what an operator may have to provide: the first worker of a pool, or, once the gateway
//! drains, the answers that it waits for.
//!
//! Either is noted once it has lasted for [`PATIENCE`], and again every [`QUIET`] for as long as it lasts.

use std::time::Duration;

use super::Core;
use super::notes::{Particulars, QUIET, What};
use crate::frame::Frames;
use crate::pool::Pool;
use crate::snapshot::PoolId;

/// How long requests wait before that is noted: workers that are started with the gateway are there by then.
const PATIENCE: Duration = Duration::from_secs(1);

impl<M: Frames> Core<M> {
    /// Notes in a while that a pool has no worker, if requests wait for one.
    pub(super) fn expect_worker_if_needed(&mut self, id: PoolId) {
        let pool = &self.pools[id.0];
        if pool.workers() == 0 && pool.waiting() > 0 {
            self.expect_worker(id);
        }
    }

    /// Notes in a while that a pool has no worker for the requests that wait, unless it has one then.
    #[cold]
    pub(super) fn expect_worker(&mut self, pool: PoolId) {
        let pools = &mut self.standstill.pools;
        if pools.iter().all(|(known, _)| *known != pool) {
            let due = self.now + PATIENCE;
            pools.push((pool, due));
            self.notes.remind(due);
        }
    }

    /// Begins to drain, and notes in a while what for, unless that has ended then.
    pub(super) fn drain(&mut self, deadline: Duration) {
        self.drain = Some(deadline);
        let due = self.now + PATIENCE;
        self.standstill.drain = Some(due);
        self.notes.remind(due);
    }

    /// Notes what has waited for long enough.
    #[cold]
    pub(super) fn note_standstill(&mut self) {
        for (id, mut due) in std::mem::take(&mut self.standstill.pools) {
            let pool = &self.pools[id.0];
            if pool.workers() > 0 || pool.waiting() == 0 {
                continue;
            }
            if due <= self.now {
                let name = &pool.settings().name;
                let particulars = || Particulars {
                    waiting: pool.waiting(),
                    places: places(pool),
                    ..Particulars::default()
                };
                self.notes
                    .note(self.now, What::NoWorker, name, None, particulars);
                due = self.now + QUIET;
            }
            self.standstill.pools.push((id, due));
            self.notes.remind(due);
        }
        let Some(due) = self.standstill.drain else {
            return;
        };
        let next = if due <= self.now {
            self.note_drain();
            self.now + QUIET
        } else {
            due
        };
        self.standstill.drain = Some(next).filter(|_| self.in_flight() > 0);
        if let Some(next) = self.standstill.drain {
            self.notes.remind(next);
        }
    }

    /// Notes each pool that a drain waits for, and the answers that clients have yet to read.
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
                .note(self.now, What::Draining, name, None, particulars);
        }
        let unread = self.counts.unsettled() as usize;
        if unread > 0 {
            let particulars = || Particulars {
                waiting: unread,
                left,
                ..Particulars::default()
            };
            self.notes
                .note(self.now, What::Unread, "", None, particulars);
        }
    }
}

/// Says where a pool's workers are met.
fn places(pool: &Pool) -> String {
    let endpoints = &pool.settings().endpoints;
    let mut places = Vec::new();
    if !endpoints.bind.is_empty() {
        let bind = endpoints.bind.join(", ");
        places.push(format!("workers connect to {bind}"));
    }
    if !endpoints.connect.is_empty() {
        let connect = endpoints.connect.join(", ");
        places.push(format!("the gateway connects to {connect}"));
    }
    places.join(", and ")
}
