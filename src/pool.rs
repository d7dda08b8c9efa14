//! A pool: its workers, what each holds, and what waits for one.
//!
//! Pure bookkeeping over request numbers: it owns no frames, reads no clock, sends nothing. Core
//! asks [`Pool::next_handout`] who gets what and tells it what came of it.
//!
//! `identity: client` has a rule of its own: a worker holds at most one request of a client, and
//! after a timeout none until it answers or is lost, so that no answer is mistaken for another's.
//! What waits of a client that is so held by every free worker stands aside, out of the others' way,
//! until a worker that can take it is free.

mod free;
mod handed;
mod held;
mod pace;
mod queue;
mod worker;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::ledger::{PoolCounters, PoolSample, WORKERS_SHOWN_MAX, WorkerSample};
use crate::peer::{Headcount, Identity, PeerId, WorkerKind, WorkerName};
use crate::snapshot::{IdentityMode, PoolSettings};
use free::{Free, Turn};
use held::Held;
use queue::Queue;
use worker::{Pacing, Worker};

pub(crate) use handed::{Handed, NameForm};
pub(crate) use held::HeldAt;

/// A worker's place in its pool, for as long as the worker is there; then another's. Whoever keeps it, forgets
/// it with the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat(pub(crate) usize);

/// A worker's message that answers no open request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// The answer to a request that has ended.
    Late,
    /// No answer to any request.
    Unsolicited,
}

/// Workers, what they hold, and what waits for them.
#[derive(Debug)]
pub(crate) struct Pool {
    settings: Arc<PoolSettings>,
    /// By seat.
    workers: Vec<Option<Worker>>,
    /// How many of them there are.
    count: usize,
    /// Seats of workers that can take a request, best first.
    free: Free,
    /// Workers that let their first request time out, and so get no other.
    excluded: Vec<Seat>,
    queue: Queue,
    counters: PoolCounters,
    /// The form of requests for DEALER and for REP workers.
    handed: [Handed; 2],
}

impl Pool {
    /// A pool without workers.
    pub fn new(settings: Arc<PoolSettings>) -> Self {
        Self {
            queue: Queue::new(settings.queue, settings.queue_bytes),
            handed: forms(&settings),
            settings,
            workers: Vec::new(),
            count: 0,
            free: Free::default(),
            excluded: Vec::new(),
            counters: PoolCounters::default(),
        }
    }

    /// Its settings.
    pub fn settings(&self) -> &PoolSettings {
        &self.settings
    }

    /// Takes other settings; they hold from the next decision on.
    pub fn set_settings(&mut self, settings: Arc<PoolSettings>) {
        if self.settings == settings {
            return;
        }
        self.settings = settings;
        self.handed = forms(&self.settings);
        self.queue
            .resize(self.settings.queue, self.settings.queue_bytes);
        // Who is barred from whom may have changed.
        self.queue.call_all();
        for seat in 0..self.workers.len() {
            if let Some(worker) = &mut self.workers[seat] {
                worker.follow(&self.settings);
                self.place(Seat(seat));
            }
        }
    }

    /// Whether nothing waits and nobody holds anything.
    pub fn is_idle(&self) -> bool {
        self.queue.len() == 0 && self.all().all(|worker| worker.held.is_empty())
    }

    /// Whether this worker holds any request.
    pub fn holds(&self, seat: Seat) -> bool {
        let worker = self.worker(seat);
        worker.is_some_and(|worker| !worker.held.is_empty())
    }

    /// How many requests wait for a worker.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// How many workers there are; a crowd counts as one.
    pub fn workers(&self) -> usize {
        self.count
    }

    /// How many requests workers hold.
    pub fn held(&self) -> usize {
        self.all().map(|worker| worker.held.len()).sum()
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &PoolCounters {
        &self.counters
    }

    /// Its counters and what there is of it now.
    pub fn sample(&self) -> PoolSample {
        PoolSample {
            counters: self.counters.clone(),
            workers: self.workers(),
            held: self.held(),
            queue: self.queue.len(),
            queue_bytes: self.queue.bytes(),
            seats: self.seats(),
        }
    }

    fn seats(&self) -> Vec<WorkerSample> {
        let seats = self.workers.iter().enumerate();
        let there = seats.filter_map(|(seat, worker)| Some((seat, worker.as_ref()?)));
        let shown = there.take(WORKERS_SHOWN_MAX);
        shown.map(|(seat, worker)| worker.sample(seat)).collect()
    }

    /// Adds a worker, or a crowd of workers behind one connection, and returns its seat.
    pub fn worker_came(
        &mut self,
        peer: PeerId,
        kind: WorkerKind,
        headcount: Headcount,
        name: Arc<WorkerName>,
    ) -> Seat {
        let mut worker = Worker {
            peer,
            kind,
            headcount,
            name,
            unsolicited: 0,
            capacity: 0,
            pacing: Pacing::Fixed,
            held: Held::default(),
            overdue: 0,
            blocked: false,
            owes: HashMap::new(),
        };
        worker.follow(&self.settings);
        let seat = self.free.seat();
        if self.workers.len() <= seat {
            self.workers.resize_with(seat + 1, || None);
        }
        self.workers[seat] = Some(worker);
        self.count += 1;
        self.place(Seat(seat));
        Seat(seat)
    }

    /// A worker went; gives the requests that it held, oldest first.
    pub fn worker_gone(&mut self, seat: Seat) -> Vec<u64> {
        let there = self.workers.get_mut(seat.0);
        let Some(worker) = there.and_then(Option::take) else {
            return Vec::new();
        };
        self.count -= 1;
        self.free.leave(seat.0);
        self.excluded.retain(|excluded| *excluded != seat);
        worker.held.numbers()
    }

    /// The engine can't take more for this worker now, or can again.
    pub fn set_blocked(&mut self, seat: Seat, blocked: bool) {
        if let Some(worker) = self.worker_mut(seat) {
            worker.blocked = blocked;
            self.place(seat);
        }
    }

    /// Who has this seat: its connection and kind.
    pub fn at(&self, seat: Seat) -> Option<(PeerId, WorkerKind)> {
        let worker = self.worker(seat);
        worker.map(|worker| (worker.peer, worker.kind))
    }

    /// Returns what the worker with this seat is called.
    pub fn name(&self, seat: Seat) -> Option<&Arc<WorkerName>> {
        self.worker(seat).map(|worker| &worker.name)
    }

    /// Returns the form in which a worker of this kind is handed requests.
    #[inline]
    pub fn handed(&self, kind: WorkerKind) -> Handed {
        let [dealer, rep] = self.handed;
        match kind {
            WorkerKind::Dealer => dealer,
            WorkerKind::Rep => rep,
        }
    }

    /// Whether a request may wait: the queue has room by number and by bytes.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.queue.has_room(bytes)
    }

    /// The queue being full: the waiting requests that are to end for one of this client, since theirs fills more of
    /// it. None if it is this one that must go without.
    pub fn make_way(&self, client: PeerId, bytes: u64) -> Option<Vec<u64>> {
        self.queue.make_way(client, bytes)
    }

    /// The worker that a request that has just come goes to, if it needn't wait.
    pub fn at_once(&mut self, client: PeerId, identity: &Identity) -> Option<Seat> {
        if self.queue.lets_pass(client) {
            self.pick(identity)
        } else {
            None
        }
    }

    /// A request starts to wait. Check [`Self::has_room`] first.
    pub fn enqueue(&mut self, number: u64, client: PeerId, identity: &Identity, bytes: u64) {
        self.queue.push(number, client, identity, bytes);
    }

    /// The request that [`Self::next_handout`] gave could not be handed out: it waits again, first.
    pub fn put_back(&mut self, number: u64, client: PeerId, identity: &Identity, bytes: u64) {
        self.queue.put_back(number, client, identity, bytes);
    }

    /// A waiting request of this client ended before a worker could take it.
    pub fn left(&mut self, number: u64, client: PeerId) {
        self.queue.remove(number, client);
    }

    /// The request that is to be handed out next, and to whom; it waits no longer.
    pub fn next_handout(&mut self) -> Option<(u64, Seat)> {
        if self.queue.len() == 0 {
            return None;
        }
        if self.settings.identity == IdentityMode::Token {
            // Nobody is barred from anybody, so nobody stands aside.
            let seat = self.free.first()?;
            return Some((self.queue.take()?, Seat(seat)));
        }
        loop {
            self.free.first()?;
            let identity = Rc::clone(self.queue.next()?);
            match self.pick(&identity) {
                Some(seat) => return Some((self.queue.take()?, seat)),
                None => self.queue.step_aside(),
            }
        }
    }

    /// The worker has the request now: where, is to be said when it holds it no longer.
    pub fn hold(&mut self, seat: Seat, number: u64, client: &Identity, now: Duration) -> HeldAt {
        self.counters.handed += 1;
        let there = self.workers.get_mut(seat.0);
        let Some(worker) = there.and_then(Option::as_mut) else {
            return HeldAt::NOWHERE;
        };
        let at = worker.hold(number, now);
        let by_client = self.settings.identity == IdentityMode::Client;
        let owes = by_client && worker.kind == WorkerKind::Dealer;
        if owes && worker.owe(client, number) {
            self.queue.call_all();
        }
        // It has had its turn. To have room for one less never makes it free for anybody.
        let load = worker.load(self.settings.balance);
        self.free.set(seat.0, load, Turn::Last);
        if !owes {
            // It may take more of this client's.
            self.queue.call(client);
        }
        at
    }

    /// Whether this worker owes any client an answer, under `identity: client`.
    pub fn owes(&self, seat: Seat) -> bool {
        let worker = self.worker(seat);
        worker.is_some_and(|worker| !worker.owes.is_empty())
    }

    /// Under `identity: client`: the request that this worker owes this client's answer for. It
    /// owes it no longer: it has just answered.
    pub fn settle(&mut self, seat: Seat, client: &[u8]) -> Option<u64> {
        let number = self.worker_mut(seat)?.owes.remove(client)?;
        // A worker without room doesn't get it; when it has room again, it finds its place anew.
        if self.free.has(seat.0) {
            self.queue.call(client);
        }
        Some(number)
    }

    /// The worker answered a request.
    pub fn answered(&mut self, seat: Seat, number: u64, at: HeldAt, now: Duration) {
        if let Some(worker) = self.worker_mut(seat) {
            worker.answered(number, at, now);
            self.place(seat);
        }
    }

    /// Counts a message of a worker that answers no open request and is dropped. Returns how many of the worker's
    /// messages have answered nothing.
    pub fn dropped(&mut self, seat: Seat, dropped: Dropped) -> u64 {
        match dropped {
            Dropped::Late => self.counters.late += 1,
            Dropped::Unsolicited => self.counters.unsolicited += 1,
        }
        let Some(worker) = self.worker_mut(seat) else {
            return 0;
        };
        match dropped {
            // It shows itself at work.
            Dropped::Late => worker.answered_late(),
            Dropped::Unsolicited => {
                worker.unsolicited += 1;
                worker.doubt();
            }
        }
        let unsolicited = worker.unsolicited;
        self.place(seat);
        unsolicited
    }

    /// What the worker answered was no correct answer after all.
    pub fn doubt(&mut self, seat: Seat) {
        if let Some(worker) = self.worker_mut(seat) {
            worker.doubt();
            self.place(seat);
        }
    }

    /// The worker gets no more requests. Returns whether that is so: a crowd goes on.
    pub fn worker_leaves(&mut self, seat: Seat) -> bool {
        let leaves = self.worker_mut(seat).is_some_and(Worker::leave);
        self.place(seat);
        leaves
    }

    /// The request timed out at the worker. Returns whether the worker gets no other until it
    /// answers, as it has never yet done so.
    pub fn overdue(&mut self, seat: Seat, number: u64, at: HeldAt) -> bool {
        let Some(worker) = self.worker_mut(seat) else {
            return false;
        };
        let excluded = worker.let_time_out(number, at);
        self.place(seat);
        if excluded {
            self.excluded.push(seat);
        }
        excluded
    }

    /// Nobody was free for a request, which ended for it: workers that let their first request time
    /// out may be tried with another.
    pub fn try_excluded(&mut self) {
        for seat in std::mem::take(&mut self.excluded) {
            // Another worker may have the seat by now, to which this makes no difference.
            if let Some(worker) = self.worker_mut(seat) {
                worker.forgive();
                self.place(seat);
            }
        }
    }

    fn worker(&self, seat: Seat) -> Option<&Worker> {
        self.workers.get(seat.0)?.as_ref()
    }

    fn worker_mut(&mut self, seat: Seat) -> Option<&mut Worker> {
        self.workers.get_mut(seat.0)?.as_mut()
    }

    fn all(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter().flatten()
    }

    /// The best free worker that may take a request of this client.
    fn pick(&mut self, client: &Identity) -> Option<Seat> {
        match self.settings.identity {
            IdentityMode::Token => self.free.first().map(Seat),
            IdentityMode::Client => {
                let mut free = self.free.iter().map(Seat);
                free.find(|seat| self.may_take(*seat, client))
            }
        }
    }

    fn may_take(&self, seat: Seat, client: &Identity) -> bool {
        self.worker(seat)
            .is_some_and(|worker| !worker.owes.contains_key(client))
    }

    /// Puts a worker where it belongs in `free`; when it has just become free, it is the turn of those that stand
    /// aside and that it may take.
    fn place(&mut self, seat: Seat) {
        let Some(worker) = self.worker(seat) else {
            return;
        };
        let was_free = self.free.has(seat.0);
        let load = worker.load(self.settings.balance);
        self.free.set(seat.0, load, Turn::Kept);
        if !was_free && load.is_some() {
            self.call_for(seat);
        }
    }

    fn call_for(&mut self, seat: Seat) {
        let Some(worker) = self.workers.get(seat.0).and_then(Option::as_ref) else {
            return;
        };
        let room = worker.capacity.saturating_sub(worker.held.len());
        let may = |client: &Identity| !worker.owes.contains_key(client);
        self.queue.call_some(room, may);
    }
}

/// Returns the forms of requests for DEALER and for REP workers.
fn forms(settings: &PoolSettings) -> [Handed; 2] {
    [WorkerKind::Dealer, WorkerKind::Rep].map(|kind| Handed::to(kind, settings))
}

#[cfg(test)]
mod tests;
