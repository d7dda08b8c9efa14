//! One worker: what it is, what it holds and what it owes.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::held::{Held, HeldAt};
use super::pace::Pace;
use crate::ledger::WorkerSample;
use crate::peer::{Headcount, Identity, PeerId, WorkerKind, WorkerName};
use crate::snapshot::{Balance, PerWorker, PoolSettings};

/// Clients that a worker may owe an answer under `identity: client`. One that let so many requests time
/// out is broken, and what it owes must not grow for ever: it gets nothing more until it answers.
const OWED_MAX: usize = 100_000;

/// Load beyond which it makes no difference to the choice of a worker, so that a worker which lets every request
/// time out costs no memory.
const LOAD_MAX: usize = 1 << 16;

/// One worker, or the crowd of workers behind a connection that hides them.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) peer: PeerId,
    pub(super) kind: WorkerKind,
    pub(super) headcount: Headcount,
    /// What it is called.
    pub(super) name: Arc<WorkerName>,
    /// Messages of its that answered nothing.
    pub(super) unsolicited: u64,
    /// Requests that it may hold.
    pub(super) capacity: usize,
    /// What that follows, if the pool doesn't say how many.
    pub(super) pace: Option<Pace>,
    pub(super) held: Held,
    /// Requests that timed out at it since its last answer: they take no room, but a worker that has
    /// some is chosen after those that have none.
    pub(super) overdue: usize,
    /// The engine can't take more for it now.
    pub(super) blocked: bool,
    /// Under `identity: client`: whose answers it owes, and for which request. Outlives a timeout.
    pub(super) owes: HashMap<Identity, u64>,
}

impl Worker {
    fn is_crowd(&self) -> bool {
        self.headcount == Headcount::Crowd
    }

    /// Returns what there is to show of it.
    pub(super) fn sample(&self, seat: usize) -> WorkerSample {
        WorkerSample {
            seat,
            name: Arc::clone(&self.name),
            kind: self.kind,
            held: self.held.len(),
            room: (!self.is_crowd()).then_some(self.capacity),
            unsolicited: self.unsolicited,
        }
    }

    /// It holds what these settings say from now on.
    pub(super) fn follow(&mut self, settings: &PoolSettings) {
        self.pace = match (settings.per_worker, self.kind) {
            (PerWorker::Auto, WorkerKind::Dealer) if !self.is_crowd() => {
                Some(self.pace.take().unwrap_or_else(Pace::new))
            }
            _ => None,
        };
        self.capacity = match (settings.per_worker, &self.pace, self.kind) {
            _ if self.is_crowd() => usize::MAX,
            (_, Some(pace), _) => pace.room(),
            (PerWorker::Most(most), None, WorkerKind::Dealer) => most as usize,
            (_, None, _) => 1,
        };
    }

    /// It gets a request.
    pub(super) fn hold(&mut self, number: u64, now: Duration) -> HeldAt {
        if let Some(pace) = self.pace.as_mut().filter(|_| self.held.is_empty()) {
            pace.resumed(now);
            self.capacity = pace.room();
        }
        self.held.insert(number)
    }

    /// It has answered a request.
    pub(super) fn answered(&mut self, number: u64, at: HeldAt, now: Duration) {
        self.overdue = 0;
        self.held.remove(at, number);
        if let Some(pace) = &mut self.pace {
            pace.answered(now);
            self.capacity = pace.room();
        }
    }

    /// How busy it is, if it can take a request.
    pub(super) fn load(&self, balance: Balance) -> Option<usize> {
        let can_take = !self.blocked
            && self.held.len() < self.capacity
            && (self.is_crowd() || self.owes.len() < OWED_MAX);
        let load = match balance {
            // A crowd has nobody to be compared with.
            Balance::LeastBusy if !self.is_crowd() => self.held.len() + self.overdue,
            _ => 0,
        };
        can_take.then_some(load.min(LOAD_MAX))
    }

    /// It owes this client an answer. A crowd's debts end only with all of its workers, so the older
    /// half of very many is let go: their requests were lost with a worker that nobody saw go. True if so.
    pub(super) fn owe(&mut self, client: &Identity, number: u64) -> bool {
        let lets_go = self.is_crowd() && self.owes.len() >= OWED_MAX;
        if lets_go {
            let mut numbers: Vec<u64> = self.owes.values().copied().collect();
            let middle = *numbers.select_nth_unstable(OWED_MAX / 2).1;
            self.owes.retain(|_, number| *number > middle);
        }
        self.owes.insert(Rc::clone(client), number);
        lets_go
    }
}
