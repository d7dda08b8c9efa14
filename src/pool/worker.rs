//! One worker: its kind, the requests that it holds, and the requests that it has yet to answer.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::held::{Held, HeldAt};
use super::pace::Pace;
use crate::ledger::WorkerSample;
use crate::peer::{Headcount, Identity, PeerId, PeerName, WorkerKind};
use crate::snapshot::{Balance, PerWorker, PoolSettings};

/// The maximum number of outstanding requests of a worker under `identity: client`, including
/// requests that have timed out. A worker that lets this many requests time out is broken, so it
/// receives nothing more until it answers. If the connection hides several workers, the older half
/// of the entries is dropped instead ([`Worker::add_outstanding`]).
const OUTSTANDING_MAX: usize = 100_000;

/// The maximum load. Greater loads count as equal. Otherwise, the load of a worker that lets every
/// request time out would grow without bound, and the list of free workers needs memory for each
/// load.
const LOAD_MAX: usize = 1 << 16;

/// The rule for the number of requests that a worker may hold.
#[derive(Debug)]
pub(super) enum Pacing {
    /// The number is fixed by the configuration or the kind of the worker, or there is no bound.
    Fixed,
    /// The worker has not answered a request correctly since it connected, or since it last sent a
    /// message that is neither a correct nor a late answer. It may hold one request, or none once
    /// that request has timed out, so that no more requests are lost to a peer that is not a
    /// worker.
    Unproven,
    /// The number follows the rate of the worker's answers.
    Auto(Pace),
    /// The worker is leaving and may hold no further request.
    Leaving,
}

/// One worker, or an unknown number of workers on one connection.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) peer: PeerId,
    pub(super) kind: WorkerKind,
    pub(super) headcount: Headcount,
    /// The name of the worker.
    pub(super) name: Arc<PeerName>,
    /// The number of the worker's messages that answered no request.
    pub(super) unsolicited: u64,
    /// The number of requests that the worker may hold.
    pub(super) capacity: usize,
    /// The rule for `capacity`.
    pub(super) pacing: Pacing,
    pub(super) held: Held,
    /// The number of requests that timed out since the worker's last answer. These requests do not
    /// count towards the capacity, but add to the load.
    pub(super) overdue: usize,
    /// Set while the engine cannot send more to the worker.
    pub(super) blocked: bool,
    /// Under `identity: client`, the clients whose request the worker has yet to answer, each with
    /// the number of the request. An entry remains after the request has timed out.
    pub(super) outstanding: HashMap<Identity, u64>,
}

impl Worker {
    /// Returns whether the connection may hide several workers.
    fn hides_several(&self) -> bool {
        self.headcount == Headcount::Unknown
    }

    /// Returns the state of the worker.
    pub(super) fn sample(&self, seat: usize) -> WorkerSample {
        WorkerSample {
            seat,
            name: Arc::clone(&self.name),
            kind: self.kind,
            held: self.held.len(),
            overdue: self.overdue,
            room: (!self.hides_several()).then_some(self.capacity),
            unsolicited: self.unsolicited,
        }
    }

    /// Applies these settings from now on.
    pub(super) fn follow(&mut self, settings: &PoolSettings) {
        if matches!(self.pacing, Pacing::Leaving) {
            return;
        }
        let paced = settings.per_worker == PerWorker::Auto && self.kind == WorkerKind::Dealer;
        if !paced || self.hides_several() {
            self.pacing = Pacing::Fixed;
        } else if matches!(self.pacing, Pacing::Fixed) {
            self.pacing = Pacing::Unproven;
        }
        self.capacity = match (settings.per_worker, &self.pacing, self.kind) {
            _ if self.hides_several() => usize::MAX,
            (_, Pacing::Auto(pace), _) => pace.room(),
            (PerWorker::Most(most), Pacing::Fixed, WorkerKind::Dealer) => most as usize,
            (_, Pacing::Leaving, _) => 0,
            (_, Pacing::Fixed | Pacing::Unproven, _) => 1,
        };
    }

    /// Records a message that is not a correct answer. With `per_worker: auto`, the worker may hold
    /// only one request until it has answered one correctly.
    pub(super) fn doubt(&mut self) {
        if matches!(self.pacing, Pacing::Auto(_)) {
            self.pacing = Pacing::Unproven;
            self.capacity = 1;
        }
    }

    /// Stops handing requests to the worker. Returns false if the connection may hide several
    /// workers. All of these workers then continue to receive requests.
    pub(super) fn leave(&mut self) -> bool {
        if !self.hides_several() {
            self.pacing = Pacing::Leaving;
            self.capacity = 0;
        }
        !self.hides_several()
    }

    /// Records a correct answer, after which the worker is no longer unproven.
    #[cold]
    fn prove(&mut self) {
        let pace = Pace::new();
        self.capacity = pace.room();
        self.pacing = Pacing::Auto(pace);
    }

    /// Records that a request timed out. Returns whether the worker is unproven, and therefore
    /// receives no other request until it answers.
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

    /// Allows the worker another request, if it is unproven and let a request time out.
    pub(super) fn forgive(&mut self) {
        if matches!(self.pacing, Pacing::Unproven) {
            self.capacity = 1;
        }
    }

    /// Records a late answer. It proves an unproven worker if a request has timed out since the
    /// worker's last answer.
    pub(super) fn answered_late(&mut self) {
        let had_overdue = std::mem::take(&mut self.overdue) > 0;
        if had_overdue && matches!(self.pacing, Pacing::Unproven) {
            self.prove();
        }
    }

    /// Adds a request, and returns its place.
    pub(super) fn hold(&mut self, number: u64, now: Duration) -> HeldAt {
        if let Pacing::Auto(pace) = &mut self.pacing
            && self.held.is_empty()
        {
            pace.resumed(now);
            self.capacity = pace.room();
        }
        self.held.insert(number)
    }

    /// Records the answer to a request.
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

    /// Returns the load of the worker, or `None` if it cannot take a request.
    pub(super) fn load(&self, balance: Balance) -> Option<usize> {
        let can_take = !self.blocked
            && self.held.len() < self.capacity
            && (self.hides_several() || self.outstanding.len() < OUTSTANDING_MAX);
        let load = match balance {
            // A connection that hides several workers is the only connection of its pool, so its
            // load is compared with no other load.
            Balance::LeastBusy if !self.hides_several() => self.held.len() + self.overdue,
            _ => 0,
        };
        can_take.then_some(load.min(LOAD_MAX))
    }

    /// Records that the worker has yet to answer this client. If a connection hides several
    /// workers, the disconnection of one of them is invisible, and the entries for its requests
    /// remain. At [`OUTSTANDING_MAX`] entries of such a connection, the older half is therefore
    /// dropped. Returns whether entries were dropped.
    pub(super) fn add_outstanding(&mut self, client: &Identity, number: u64) -> bool {
        let drops_half = self.hides_several() && self.outstanding.len() >= OUTSTANDING_MAX;
        if drops_half {
            let mut numbers: Vec<u64> = self.outstanding.values().copied().collect();
            let middle = *numbers.select_nth_unstable(OUTSTANDING_MAX / 2).1;
            self.outstanding.retain(|_, number| *number > middle);
        }
        self.outstanding.insert(Rc::clone(client), number);
        drops_half
    }
}
