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

/// What decides how many requests a worker may hold.
#[derive(Debug)]
pub(super) enum Pacing {
    /// The configuration, the kind of the worker, or nothing.
    Fixed,
    /// It has yet to answer one correctly, since it connected or since it last sent something that
    /// answers nothing: one, or none once that one has timed out, so that no more is lost to
    /// something that is no worker.
    Unproven,
    /// How fast it answers.
    Auto(Pace),
    /// It leaves: none.
    Leaving,
}

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
    /// What that follows.
    pub(super) pacing: Pacing,
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
        if matches!(self.pacing, Pacing::Leaving) {
            return;
        }
        let paced = settings.per_worker == PerWorker::Auto && self.kind == WorkerKind::Dealer;
        if !paced || self.is_crowd() {
            self.pacing = Pacing::Fixed;
        } else if matches!(self.pacing, Pacing::Fixed) {
            self.pacing = Pacing::Unproven;
        }
        self.capacity = match (settings.per_worker, &self.pacing, self.kind) {
            _ if self.is_crowd() => usize::MAX,
            (_, Pacing::Auto(pace), _) => pace.room(),
            (PerWorker::Most(most), Pacing::Fixed, WorkerKind::Dealer) => most as usize,
            (_, Pacing::Leaving, _) => 0,
            (_, Pacing::Fixed | Pacing::Unproven, _) => 1,
        };
    }

    /// It has sent what is no correct answer: with `per_worker: auto`, it may hold one request until
    /// it has answered one correctly.
    pub(super) fn doubt(&mut self) {
        if matches!(self.pacing, Pacing::Auto(_)) {
            self.pacing = Pacing::Unproven;
            self.capacity = 1;
        }
    }

    /// It gets no more requests, if it is a single worker. Returns whether that is so.
    pub(super) fn leave(&mut self) -> bool {
        if !self.is_crowd() {
            self.pacing = Pacing::Leaving;
            self.capacity = 0;
        }
        !self.is_crowd()
    }

    /// It has answered for the first time, or again.
    #[cold]
    fn prove(&mut self) {
        let pace = Pace::new();
        self.capacity = pace.room();
        self.pacing = Pacing::Auto(pace);
    }

    /// A request timed out at it. Returns whether it gets no other until it answers.
    pub(super) fn let_time_out(&mut self, number: u64, at: HeldAt) -> bool {
        if !self.held.remove(at, number) {
            return false;
        }
        self.overdue += 1;
        let unproven = matches!(self.pacing, Pacing::Unproven);
        if unproven {
            self.capacity = 0;
        }
        unproven
    }

    /// It may be tried with a request again, if it let its first one time out.
    pub(super) fn forgive(&mut self) {
        if matches!(self.pacing, Pacing::Unproven) {
            self.capacity = 1;
        }
    }

    /// It has answered too late.
    pub(super) fn answered_late(&mut self) {
        let had_one = std::mem::take(&mut self.overdue) > 0;
        if had_one && matches!(self.pacing, Pacing::Unproven) {
            self.prove();
        }
    }

    /// It gets a request.
    pub(super) fn hold(&mut self, number: u64, now: Duration) -> HeldAt {
        if let Pacing::Auto(pace) = &mut self.pacing
            && self.held.is_empty()
        {
            pace.resumed(now);
            self.capacity = pace.room();
        }
        self.held.insert(number)
    }

    /// It has answered a request.
    pub(super) fn answered(&mut self, number: u64, at: HeldAt, now: Duration) {
        self.overdue = 0;
        self.held.remove(at, number);
        match &mut self.pacing {
            Pacing::Auto(pace) => {
                pace.answered(now);
                self.capacity = pace.room();
            }
            Pacing::Unproven => self.prove(),
            Pacing::Fixed | Pacing::Leaving => {}
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
