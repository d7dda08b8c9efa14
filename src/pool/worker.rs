//! One worker: what it is, what it holds and what it owes.

use std::collections::HashMap;
use std::rc::Rc;

use super::Identity;
use super::held::Held;
use crate::core::PeerId;
use crate::snapshot::{Balance, PoolSettings};

/// Clients that a worker may owe an answer under `identity: client`. One that let so many requests time
/// out is broken, and what it owes must not grow for ever: it gets nothing more until it answers.
const OWED_MAX: usize = 100_000;

/// Load beyond which it makes no difference to the choice of a worker, so that a worker which lets every request
/// time out costs no memory.
const LOAD_MAX: usize = 1 << 16;

/// What a worker's handshake says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerKind {
    /// Gets `[identity, type, …]`, holds up to `per_worker`.
    Dealer,
    /// Gets `[type, …]` behind an envelope that its socket keeps, holds one.
    Rep,
}

/// One worker, or the crowd of workers behind a connection that hides them.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) peer: PeerId,
    pub(super) kind: WorkerKind,
    pub(super) crowd: bool,
    /// Requests that it may hold.
    pub(super) capacity: usize,
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
    /// How busy it is, if it can take a request.
    pub(super) fn load(&self, balance: Balance) -> Option<usize> {
        let can_take = !self.blocked
            && self.held.len() < self.capacity
            && (self.crowd || self.owes.len() < OWED_MAX);
        let load = match balance {
            // A crowd has nobody to be compared with.
            Balance::LeastBusy if !self.crowd => self.held.len() + self.overdue,
            _ => 0,
        };
        can_take.then_some(load.min(LOAD_MAX))
    }

    /// It owes this client an answer. A crowd's debts end only with all of its workers, so the older
    /// half of very many is let go: their requests were lost with a worker that nobody saw go.
    pub(super) fn owe(&mut self, client: &Identity, number: u64) {
        if self.crowd && self.owes.len() >= OWED_MAX {
            let mut numbers: Vec<u64> = self.owes.values().copied().collect();
            let middle = *numbers.select_nth_unstable(OWED_MAX / 2).1;
            self.owes.retain(|_, number| *number > middle);
        }
        self.owes.insert(Rc::clone(client), number);
    }
}

/// Requests that a worker may hold.
pub(super) fn capacity(settings: &PoolSettings, kind: WorkerKind, crowd: bool) -> usize {
    match kind {
        _ if crowd => usize::MAX,
        WorkerKind::Dealer => settings.per_worker as usize,
        WorkerKind::Rep => 1,
    }
}
