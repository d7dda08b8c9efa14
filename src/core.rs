//! Events → effects: the gateway's decisions, free of I/O.
//!
//! An engine tells the core what happened ([`Event`]); the core answers through the engine's
//! [`Outlet`]. It owns every request from arrival to its one answer. It knows no socket and no file,
//! and never reads a clock: `now` is passed in, as time since the engine started.
//!
//! Read [`Core::on`] first: it is the whole of it in one function. What must hold, and what the
//! simulator asserts over thousands of schedules: every message from a client ends in exactly one of
//! answered, rejected, client gone, client slow ([`Ledger`](crate::ledger::Ledger)), and an answer counts only from the
//! worker that holds the request.

mod answer;
mod arrival;
mod counts;
mod current;
mod doubts;
mod ending;
mod event;
mod framing;
mod handout;
mod leave;
mod notes;
mod open;
mod peers;
mod request;
mod sampling;
mod shelf;
mod standstill;
mod standstill_notes;
mod stray;
mod token;

use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use crate::deadline::Deadlines;
use crate::frame::Frames;
use crate::metrics::Inquiries;
use crate::peer::{ClientKind, Headcount, PeerId, WorkerKind, WorkerName};
use crate::pool::{Pool, Seat};
use crate::rejections::Recent;
use crate::reply::{ErrorEncoding, Reason, Rejection};
use crate::snapshot::{FrontendId, Names, PoolId, PoolSettings, Snapshot};
use counts::Counts;
use current::Current;
use event::Extent;
use notes::Notes;
use open::Open;
use peers::{Admitted, Client, FrontendState, Peer, Peers, Worker};
use shelf::Shelf;
use standstill::Standstill;
use token::{Name, Tokens};

pub use event::{Event, Outlet};
pub(crate) use notes::{Doubt, Note, Particulars, QUIET, What};

/// Requests, who holds them, and what was decided.
#[derive(Debug)]
pub struct Core<M> {
    snapshot: Rc<Current>,
    /// Those before it that requests which came under them may still keep.
    past: Vec<Weak<Current>>,
    now: Duration,
    peers: Peers,
    /// Workers that leave and still hold requests, or can't be written to now.
    leaving: Vec<Worker>,
    admitted: Admitted,
    pools: Vec<Pool>,
    requests: Open<M>,
    deadlines: Deadlines,
    spare: Spare,
    /// When what is left is rejected; set once the gateway drains.
    drain: Option<Duration>,
    counts: Counts,
    inquiries: Inquiries,
    notes: Notes,
    standstill: Standstill,
    recent: Recent,
}

/// Memory that is used again.
#[derive(Debug, Default)]
struct Spare {
    tokens: Tokens,
    kept: Shelf,
}

impl<M: Frames> Core<M> {
    /// A core that works by `snapshot` and has no peers.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        let mut core = Self {
            pools: Vec::new(),
            snapshot: Rc::new(Current(Arc::clone(&snapshot))),
            past: Vec::new(),
            now: Duration::ZERO,
            peers: Peers::default(),
            leaving: Vec::new(),
            admitted: Admitted::default(),
            requests: Open::default(),
            deadlines: Deadlines::default(),
            spare: Spare::default(),
            drain: None,
            counts: Counts::default(),
            inquiries: Inquiries::default(),
            notes: Notes::default(),
            standstill: Standstill::default(),
            recent: Recent::default(),
        };
        core.adopt(snapshot);
        core
    }

    /// Has it answer these.
    pub(crate) fn answering(mut self, inquiries: Inquiries) -> Self {
        self.inquiries = inquiries;
        self
    }

    /// Takes one event and carries out what follows from it, deadlines that have passed included.
    #[inline(always)]
    pub fn on(&mut self, now: Duration, event: Event<M>, out: &mut impl Outlet<M>) {
        self.now = self.now.max(now);
        match event {
            // These two come with every request.
            Event::Message { peer, frames } => self.message(peer, frames, Extent::Whole, out),
            // It moves no deadline.
            Event::Settled { outcome, fate } => return self.counts.settled(outcome, fate),
            other => self.on_other(other, out),
        }
        self.expire(out);
        if !self.leaving.is_empty() {
            self.let_leave(out);
        }
        if self.notes.is_due(self.now) {
            self.notes.pass(self.now);
            self.note_standstill();
        }
        if self.inquiries.any() {
            self.inquiries.answer(self.sample(out));
        }
    }

    /// Takes an event that does not come with every request.
    fn on_other(&mut self, event: Event<M>, out: &mut impl Outlet<M>) {
        match event {
            Event::ClientCame {
                peer,
                frontend,
                kind,
                identity,
            } => self.client_came(peer, frontend, kind, identity),
            Event::WorkerCame {
                peer,
                pool,
                kind,
                headcount,
                name,
            } => self.worker_came(peer, pool, kind, headcount, name, out),
            Event::Message { peer, frames } => self.message(peer, frames, Extent::Whole, out),
            Event::Oversize { peer, frames } => self.message(peer, frames, Extent::Oversize, out),
            Event::Writable { peer } => self.writable(peer, out),
            Event::Settled { outcome, fate } => self.counts.settled(outcome, fate),
            Event::Gone { peer } => self.gone(peer, out),
            Event::Tick => {}
            Event::Reload { snapshot } => {
                self.adopt(snapshot);
                for pool in 0..self.pools.len() {
                    self.dispatch(PoolId(pool), out);
                }
            }
            Event::Drain { deadline } => self.drain(deadline),
        }
    }

    /// When [`Event::Tick`] is due at the latest, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Duration> {
        let drain = self.drain.filter(|_| !self.requests.is_empty());
        let due = self.deadlines.next().into_iter().chain(drain);
        due.chain(self.notes.due()).min()
    }

    /// Whether it drains and every request has its answer, each of which has met its fate.
    pub fn is_drained(&self) -> bool {
        self.drain.is_some() && self.in_flight() == 0
    }

    /// What an operator should hear of, at a bounded rate: the engine's to write to the log.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        self.notes.take()
    }

    /// At the end: also what was counted and is not due yet.
    pub(crate) fn take_last_notes(&mut self) -> Vec<Note> {
        self.notes.pass(Duration::MAX);
        self.notes.take()
    }

    /// The names that notes refer to by their numbers.
    pub(crate) fn names(&self) -> &Names {
        &self.snapshot.names
    }

    /// Requests that wait for an answer, and answers whose fate is open.
    pub fn in_flight(&self) -> u64 {
        self.requests.len() as u64 + self.counts.unsettled()
    }

    /// Requests that wait for a worker of this pool.
    pub fn waiting(&self, pool: PoolId) -> usize {
        self.pools.get(pool.0).map_or(0, Pool::waiting)
    }

    /// Whether nobody waits for this pool's workers any more, and none holds anything: once no route
    /// leads to it, it can be closed.
    pub fn is_idle(&self, pool: PoolId) -> bool {
        self.pools.get(pool.0).is_none_or(Pool::is_idle)
    }

    /// The settings that a pool works by: the last ones that it had, if the configuration has it no more.
    pub fn settings(&self, pool: PoolId) -> Option<&PoolSettings> {
        self.pools.get(pool.0).map(Pool::settings)
    }

    /// Bytes and frames of the largest message that a worker may answer with: `limits.message` and `limits.frames` of what is
    /// in force and of all that open requests came under, whichever is more.
    pub fn reply_limits(&mut self) -> (u64, usize) {
        // Few if any, and only for as long as requests are open that came before a reload.
        self.past.retain(|past| past.strong_count() > 0);
        let past = self.past.iter().filter_map(Weak::upgrade);
        let of = |snapshot: &Snapshot| (snapshot.limits.message, snapshot.limits.frames);
        past.fold(of(&self.snapshot), |most, past| {
            let (message, frames) = of(&past);
            (most.0.max(message), most.1.max(frames))
        })
    }

    /// Whether a client waits for answers.
    pub fn is_owed(&self, client: PeerId) -> bool {
        matches!(self.peers.get(client), Some(Peer::Client(client)) if client.is_owed())
    }

    /// Whether a worker holds requests that somebody waits for.
    pub fn holds(&self, worker: PeerId) -> bool {
        match self.peers.get(worker) {
            Some(Peer::Worker(worker)) => self.pools[worker.pool.0].holds(worker.seat),
            _ => false,
        }
    }

    /// Works by `snapshot` from now on. Requests that are open keep the route that they came by; a
    /// pool that is gone from the configuration keeps its last settings.
    fn adopt(&mut self, snapshot: Arc<Snapshot>) {
        self.counts.adopt(&snapshot);
        for (id, settings) in &snapshot.pools {
            while self.pools.len() <= id.0 {
                self.pools.push(Pool::new(Arc::clone(settings)));
            }
            self.pools[id.0].set_settings(Arc::clone(settings));
        }
        for peer in self.peers.values_mut() {
            let Peer::Client(client) = peer else {
                continue;
            };
            match snapshot.frontends.get(&client.frontend) {
                Some(frontend) => {
                    client.frontend_state = FrontendState::Configured;
                    client.errors = frontend.errors;
                    client.framing = framing::unusual(&frontend.framing);
                }
                None => client.frontend_state = FrontendState::Removed,
            }
        }
        let before = std::mem::replace(&mut self.snapshot, Rc::new(Current(snapshot)));
        self.past.push(Rc::downgrade(&before));
    }

    fn client_came(
        &mut self,
        peer: PeerId,
        frontend: FrontendId,
        kind: ClientKind,
        identity: Vec<u8>,
    ) {
        let settings = self.snapshot.frontends.get(&frontend);
        let (state, errors) = match settings {
            Some(frontend) => (FrontendState::Configured, frontend.errors),
            None => (FrontendState::Removed, ErrorEncoding::Json),
        };
        let framing = settings.and_then(|frontend| framing::unusual(&frontend.framing));
        let name = Rc::new(Name::new(identity));
        let mut client = Client::new(frontend, kind, name, state, errors);
        client.framing = framing;
        self.admitted
            .admit(&mut client, self.snapshot.limits.clients);
        self.counts.client_came(frontend);
        self.peers.insert(peer, Peer::Client(client));
    }

    fn worker_came(
        &mut self,
        peer: PeerId,
        pool: PoolId,
        kind: WorkerKind,
        headcount: Headcount,
        name: Arc<WorkerName>,
        out: &mut impl Outlet<M>,
    ) {
        let seat = self.pools[pool.0].worker_came(peer, kind, headcount, name);
        let worker = Worker {
            peer,
            pool,
            seat,
            kind,
        };
        self.peers.insert(peer, Peer::Worker(worker));
        let particulars = worker_particulars(&self.pools[pool.0], seat);
        self.note_worker(What::WorkerCame, worker, particulars);
        self.dispatch(pool, out);
    }

    fn writable(&mut self, peer: PeerId, out: &mut impl Outlet<M>) {
        if let Some(&Peer::Worker(worker)) = self.peers.get(peer) {
            self.pools[worker.pool.0].set_blocked(worker.seat, false);
            self.dispatch(worker.pool, out);
        }
    }

    fn gone(&mut self, peer: PeerId, out: &mut impl Outlet<M>) {
        match self.peers.remove(peer) {
            // What it asked for goes on: a client may leave as soon as it has sent.
            Some(Peer::Client(client)) => {
                self.admitted.leave(&client);
                self.counts.client_gone(client.frontend);
            }
            Some(Peer::Worker(worker)) => {
                let Worker { pool, seat, .. } = worker;
                let mut particulars = worker_particulars(&self.pools[pool.0], seat);
                let held = self.pools[pool.0].worker_gone(seat);
                particulars.held = held.len();
                particulars.workers = self.pools[pool.0].workers();
                self.note_worker(What::WorkerGone, worker, particulars);
                for number in held {
                    let name = &self.pools[pool.0].settings().name;
                    let message =
                        format!("the worker of pool {name} that held the request is gone");
                    self.reject_open(number, Rejection::new(Reason::WorkerLost, message), out);
                }
                self.dispatch(pool, out);
                self.expect_worker_if_needed(pool);
            }
            None => {}
        }
    }
}

/// Returns what a note on a worker that is there says of it.
fn worker_particulars(pool: &Pool, seat: Seat) -> Particulars {
    Particulars {
        workers: pool.workers(),
        worker: pool.name(seat).cloned(),
        seat: Some(seat.0),
        ..Particulars::default()
    }
}

impl<M: Frames> Core<M> {
    /// Notes something of a worker, or of one of several in a pool that do the same.
    fn note_worker(&mut self, what: What, worker: Worker, particulars: Particulars) {
        let name = &self.pools[worker.pool.0].settings().name;
        // Not each by itself: one that comes and goes all the time is another peer each time.
        self.notes.note(self.now, what, name, None, || particulars);
    }
}
