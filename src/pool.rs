//! A pool: its workers, the requests that they hold, and the queue.
//!
//! A pool only tracks request numbers: it owns no frames, reads no clock, and sends nothing. The
//! core takes the next request and worker from [`Pool::next_handout`], and reports the outcome.
//!
//! Under `identity: client`, a DEALER worker holds at most one request of each client. If that
//! request times out, the worker receives no further request of this client until the worker
//! answers or disconnects. Otherwise, a late answer could be taken for the answer to another
//! request. If no free worker may serve a client, the queued requests of this client *stand aside*.
//! They delay no other requests, and return to their turn once a worker that may take them is free.

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
use crate::peer::{Headcount, Identity, PeerId, PeerName, WorkerKind};
use crate::snapshot::{IdentityMode, PoolSettings};
use free::{Free, FreePosition};
use held::Held;
use queue::Queue;
use worker::{Pacing, Worker};

pub(crate) use handed::{NameForm, RequestForm};
pub(crate) use held::HeldAt;

/// A worker's number in its pool. After the worker has disconnected, another worker may get the
/// same number. Code that stores a seat must therefore drop the seat when the worker disconnects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat(pub(crate) usize);

/// A worker's message that answers no open request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// An answer to a request that has ended, or that another worker holds.
    Late,
    /// A message that is not an answer to any request.
    Unsolicited,
}

/// The workers of a pool, the requests that they hold, and the queue.
#[derive(Debug)]
pub(crate) struct Pool {
    settings: Arc<PoolSettings>,
    /// The workers, by seat.
    workers: Vec<Option<Worker>>,
    /// The number of workers.
    count: usize,
    /// The seats of the workers that can take a request, best first.
    free: Free,
    /// The seats of [unproven](Pacing::Unproven) workers that let a request time out, and therefore
    /// receive no further requests.
    excluded: Vec<Seat>,
    queue: Queue,
    /// The number of open requests of the pool that wait until a judge, which is a thread for long
    /// checks, has checked their payload. These requests are not queued yet.
    unjudged: usize,
    counters: PoolCounters,
    /// The form of requests for DEALER and for REP workers.
    handed: [RequestForm; 2],
}

impl Pool {
    /// Returns a pool without workers.
    pub(crate) fn new(settings: Arc<PoolSettings>) -> Self {
        Self {
            queue: Queue::new(settings.queue, settings.queue_bytes),
            handed: forms(&settings),
            settings,
            workers: Vec::new(),
            count: 0,
            free: Free::default(),
            excluded: Vec::new(),
            unjudged: 0,
            counters: PoolCounters::default(),
        }
    }

    /// Returns the settings.
    pub(crate) fn settings(&self) -> &PoolSettings {
        &self.settings
    }

    /// Replaces the settings, which apply from the next decision on.
    pub(crate) fn set_settings(&mut self, settings: Arc<PoolSettings>) {
        if self.settings == settings {
            return;
        }
        self.settings = settings;
        self.handed = forms(&self.settings);
        self.queue
            .resize(self.settings.queue, self.settings.queue_bytes);
        // Workers may now be allowed to take requests that stand aside.
        self.queue.call_all();
        // Free workers are placed again in their present order, so that workers whose loads become
        // equal keep this order.
        let mut seats: Vec<usize> = self.free.iter().collect();
        seats.extend((0..self.workers.len()).filter(|seat| !self.free.has(*seat)));
        for seat in seats {
            if let Some(worker) = &mut self.workers[seat] {
                worker.follow(&self.settings);
                self.place(Seat(seat));
            }
        }
    }

    /// Returns whether no request is queued and no worker holds any.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.len() == 0 && self.all().all(|worker| worker.held.is_empty())
    }

    /// Returns whether the payload of any request of the pool waits for a judge's verdict.
    pub(crate) fn awaits_verdict(&self) -> bool {
        self.unjudged > 0
    }

    /// Records that the payload of another request of the pool waits for a judge's verdict.
    pub(crate) fn add_unjudged(&mut self) {
        self.unjudged += 1;
    }

    /// Records that a request for which [`Self::add_unjudged`] was called has its verdict, or has
    /// ended.
    pub(crate) fn remove_unjudged(&mut self) {
        self.unjudged -= 1;
    }

    /// Returns whether this worker holds any request.
    pub(crate) fn holds(&self, seat: Seat) -> bool {
        let worker = self.worker(seat);
        worker.is_some_and(|worker| !worker.held.is_empty())
    }

    /// Returns the number of bytes of the queued requests.
    pub(crate) fn queue_bytes(&self) -> u64 {
        self.queue.bytes()
    }

    /// Returns the number of queued requests.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Returns the number of workers. Workers that the engine cannot distinguish count as one.
    pub(crate) fn workers(&self) -> usize {
        self.count
    }

    /// Returns the number of requests that workers hold.
    pub(crate) fn held(&self) -> usize {
        self.all().map(|worker| worker.held.len()).sum()
    }

    /// Returns the counters since the start.
    pub(crate) fn counters(&self) -> &PoolCounters {
        &self.counters
    }

    /// Returns the counters and the present state.
    pub(crate) fn sample(&self) -> PoolSample {
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
        let taken = seats.filter_map(|(seat, worker)| Some((seat, worker.as_ref()?)));
        let shown = taken.take(WORKERS_SHOWN_MAX);
        shown.map(|(seat, worker)| worker.sample(seat)).collect()
    }

    /// Adds a worker, or several that the engine cannot distinguish, and returns the seat.
    pub(crate) fn add_worker(
        &mut self,
        peer: PeerId,
        kind: WorkerKind,
        headcount: Headcount,
        name: Arc<PeerName>,
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
            outstanding: HashMap::new(),
        };
        worker.follow(&self.settings);
        let seat = self.free.add();
        if self.workers.len() <= seat {
            self.workers.resize_with(seat + 1, || None);
        }
        self.workers[seat] = Some(worker);
        self.count += 1;
        self.place(Seat(seat));
        Seat(seat)
    }

    /// Removes a worker, and returns the requests that it held, oldest first.
    pub(crate) fn remove_worker(&mut self, seat: Seat) -> Vec<u64> {
        let entry = self.workers.get_mut(seat.0);
        let Some(worker) = entry.and_then(Option::take) else {
            return Vec::new();
        };
        self.count -= 1;
        self.free.leave(seat.0);
        self.excluded.retain(|excluded| *excluded != seat);
        worker.held.numbers()
    }

    /// Records whether the worker is blocked, which means that the engine cannot send more to it
    /// now.
    pub(crate) fn set_blocked(&mut self, seat: Seat, blocked: bool) {
        if let Some(worker) = self.worker_mut(seat) {
            worker.blocked = blocked;
            self.place(seat);
        }
    }

    /// Returns the connection and the kind of the worker with this seat, or `None` if the seat is
    /// empty.
    pub(crate) fn connection(&self, seat: Seat) -> Option<(PeerId, WorkerKind)> {
        let worker = self.worker(seat);
        worker.map(|worker| (worker.peer, worker.kind))
    }

    /// Returns the name of the worker with this seat, or `None` if the seat is empty.
    pub(crate) fn name(&self, seat: Seat) -> Option<&Arc<PeerName>> {
        self.worker(seat).map(|worker| &worker.name)
    }

    /// Returns the form in which a worker of this kind receives requests.
    #[inline]
    pub(crate) fn handed(&self, kind: WorkerKind) -> RequestForm {
        let [dealer, rep] = self.handed;
        match kind {
            WorkerKind::Dealer => dealer,
            WorkerKind::Rep => rep,
        }
    }

    /// Returns whether the queue has room for a request, by number and by bytes.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        self.queue.has_room(bytes)
    }

    /// Returns the queued requests to evict from a full queue for a request of this client. They
    /// belong to another client, which fills more of the queue. Returns `None` if this client's
    /// request must be rejected instead.
    pub(crate) fn requests_to_evict(&self, client: PeerId, bytes: u64) -> Option<Vec<u64>> {
        self.queue.requests_to_evict(client, bytes)
    }

    /// Returns a worker that can take a request of this client at once, or `None` if the request
    /// must wait.
    pub(crate) fn pick_at_once(&mut self, client: PeerId, identity: &Identity) -> Option<Seat> {
        if self.queue.would_be_next(client) {
            self.pick(identity)
        } else {
            None
        }
    }

    /// Returns whether any worker can take another request.
    #[inline]
    pub(crate) fn has_free(&mut self) -> bool {
        self.free.first().is_some()
    }

    /// Queues a request. Check [`Self::has_room`] first.
    pub(crate) fn enqueue(&mut self, number: u64, client: PeerId, identity: &Identity, bytes: u64) {
        self.queue.push(number, client, identity, bytes);
    }

    /// Puts a request back to the front of the queue. The request was returned by
    /// [`Self::next_handout`], and could not be sent.
    pub(crate) fn put_back(
        &mut self,
        number: u64,
        client: PeerId,
        identity: &Identity,
        bytes: u64,
    ) {
        self.queue.put_back(number, client, identity, bytes);
    }

    /// Removes a queued request of this client that has ended.
    pub(crate) fn remove_queued(&mut self, number: u64, client: PeerId) {
        self.queue.remove(number, client);
    }

    /// Returns the number of the next request and the worker for it, and removes the request from
    /// the queue. Returns `None` if no worker can take any of the queued requests.
    pub(crate) fn next_handout(&mut self) -> Option<(u64, Seat)> {
        if self.queue.len() == 0 {
            return None;
        }
        if self.settings.identity == IdentityMode::Token {
            // Every worker may take every client's requests, so no request stands aside.
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

    /// Records that the worker holds the request. Returns the place by which the request is removed
    /// later.
    pub(crate) fn hold(
        &mut self,
        seat: Seat,
        number: u64,
        client: &Identity,
        now: Duration,
    ) -> HeldAt {
        self.counters.handed += 1;
        let entry = self.workers.get_mut(seat.0);
        let Some(worker) = entry.and_then(Option::as_mut) else {
            return HeldAt::NOWHERE;
        };
        let at = worker.hold(number, now);
        let by_client = self.settings.identity == IdentityMode::Client;
        let is_bare = by_client && worker.kind == WorkerKind::Dealer;
        if is_bare && worker.add_outstanding(client, number) {
            self.queue.call_all();
        }
        // The worker has had its turn. Holding one more request cannot make the worker free, so
        // `place` is not needed.
        let load = worker.load(self.settings.balance);
        self.free.set(seat.0, load, FreePosition::Last);
        if !is_bare {
            // The worker may also take this client's requests that stand aside.
            self.queue.call(client);
        }
        at
    }

    /// Returns whether this worker has yet to answer a request under `identity: client`, even if
    /// the request has timed out.
    pub(crate) fn has_outstanding(&self, seat: Seat) -> bool {
        let worker = self.worker(seat);
        worker.is_some_and(|worker| !worker.outstanding.is_empty())
    }

    /// Records that this worker has answered this client under `identity: client`. Returns the
    /// number of the answered request, which may have timed out. Returns `None` if the worker had
    /// no request of this client to answer.
    pub(crate) fn settle(&mut self, seat: Seat, client: &[u8]) -> Option<u64> {
        let number = self.worker_mut(seat)?.outstanding.remove(client)?;
        // If the worker is not free, `place` calls back requests once the worker becomes free.
        if self.free.has(seat.0) {
            self.queue.call(client);
        }
        Some(number)
    }

    /// Records that the worker answered a request.
    pub(crate) fn answered(&mut self, seat: Seat, number: u64, at: HeldAt, now: Duration) {
        if let Some(worker) = self.worker_mut(seat) {
            worker.answered(number, at, now);
            self.place(seat);
        }
    }

    /// Counts a message of a worker that answers no open request and is dropped. Returns the number
    /// of unsolicited messages that the worker has sent.
    pub(crate) fn dropped(&mut self, seat: Seat, dropped: Dropped) -> u64 {
        match dropped {
            Dropped::Late => self.counters.late += 1,
            Dropped::Unsolicited => self.counters.unsolicited += 1,
        }
        let Some(worker) = self.worker_mut(seat) else {
            return 0;
        };
        match dropped {
            // A late answer shows that the worker is working.
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

    /// Records that the worker's answer was not correct.
    pub(crate) fn doubt(&mut self, seat: Seat) {
        if let Some(worker) = self.worker_mut(seat) {
            worker.doubt();
            self.place(seat);
        }
    }

    /// Stops handing requests to the worker. Returns false if the engine cannot distinguish the
    /// worker from others. All of these workers then continue to receive requests.
    pub(crate) fn begin_leave(&mut self, seat: Seat) -> bool {
        let leaves = self.worker_mut(seat).is_some_and(Worker::leave);
        self.place(seat);
        leaves
    }

    /// Records that the request timed out at the worker. Returns whether the worker is now
    /// excluded: an unproven worker receives no further request until it answers or
    /// [`Self::try_excluded`] allows one.
    pub(crate) fn overdue(&mut self, seat: Seat, number: u64, at: HeldAt) -> bool {
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

    /// Allows each excluded worker another request. This is called when a request ended because no
    /// worker was free for it.
    pub(crate) fn try_excluded(&mut self) {
        for seat in std::mem::take(&mut self.excluded) {
            // A worker that has answered in the meantime is not affected.
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

    /// Returns the best free worker that may take a request of this client.
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
            .is_some_and(|worker| !worker.outstanding.contains_key(client))
    }

    /// Updates the position of a worker in `free`. If the worker has just become free, calls back
    /// requests that stand aside and that the worker may take.
    fn place(&mut self, seat: Seat) {
        let Some(worker) = self.worker(seat) else {
            return;
        };
        let was_free = self.free.has(seat.0);
        let load = worker.load(self.settings.balance);
        self.free.set(seat.0, load, FreePosition::Kept);
        if !was_free && load.is_some() {
            self.call_for(seat);
        }
    }

    fn call_for(&mut self, seat: Seat) {
        let Some(worker) = self.workers.get(seat.0).and_then(Option::as_ref) else {
            return;
        };
        let room = worker.capacity.saturating_sub(worker.held.len());
        let may_take = |client: &Identity| !worker.outstanding.contains_key(client);
        self.queue.call_some(room, may_take);
    }
}

/// Returns the forms of requests for DEALER and for REP workers.
fn forms(settings: &PoolSettings) -> [RequestForm; 2] {
    [WorkerKind::Dealer, WorkerKind::Rep].map(|kind| RequestForm::to(kind, settings))
}

#[cfg(test)]
mod tests;
