//! The core, which makes the gateway's decisions: it turns events into effects, without I/O.
//!
//! An engine reports [`Event`]s to the core, and the core acts through the engine's [`Outlet`]. The
//! core owns every request from its arrival to its only answer. The core knows no socket and no
//! file, and never reads a clock: `now` is passed in, as the time since the engine started.
//!
//! Read [`Core::on`] first: every event passes through it. Every message from a client has exactly
//! one outcome: answered, published, rejected, client gone or client slow
//! ([`Ledger`](crate::ledger::Ledger)). The exception is the empty first message of a socket with
//! `ZMQ_PROBE_ROUTER`, which has no outcome. Only the worker that holds a request can answer it.
//! The simulator asserts both rules in thousands of schedules.

mod answer;
mod arrival;
mod case;
mod channels;
mod counts;
mod current;
mod delivery;
mod doubts;
mod ending;
mod event;
mod framing;
mod handout;
mod judging;
mod lanes;
mod leave;
mod notes;
mod open;
mod peers;
mod principals;
mod publishing;
mod rates;
mod request;
mod sampling;
mod shelf;
mod single;
mod standstill;
mod standstill_notes;
mod stray;
#[cfg(test)]
mod tests;
mod token;

use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use crate::channel::Channel;
use crate::deadline::Deadlines;
use crate::frame::Frames;
use crate::metrics::SampleRequests;
use crate::peer::{ClientKind, Headcount, PeerId, PeerName, WorkerKind};
use crate::pool::{Pool, Seat};
use crate::rejections::Recent;
use crate::reply::{ErrorEncoding, Reason, Rejection};
use crate::security::ANONYMOUS;
use crate::snapshot::{FrontendId, Names, PoolId, PoolSettings, Snapshot};
use counts::Counts;
use current::Current;
use event::Extent;
use lanes::Lanes;
use notes::Notes;
use open::OpenRequests;
use peers::{Admitted, Client, FrontendState, NameSource, Peer, Peers, Worker};
use principals::Principals;
use rates::RateLimiter;
use shelf::CopyPool;
use standstill::Standstill;
use token::{Name, Tokens};

pub use case::{Case, Verdict};
pub use event::{Event, Outlet};
pub(crate) use notes::{Doubt, Note, NotedEvent, Particulars, REPEAT_INTERVAL};

/// The state of the gateway: the peers, the pools, the open requests and the counters.
#[derive(Debug)]
pub struct Core<M: Frames> {
    snapshot: Rc<Current>,
    /// The earlier snapshots that open requests may still hold.
    past: Vec<Weak<Current>>,
    now: Duration,
    peers: Peers,
    /// The workers that are leaving, but still hold requests or cannot be written to now.
    leaving: Vec<Worker>,
    admitted: Admitted,
    pools: Vec<Pool>,
    channels: Vec<Channel<M>>,
    /// The index of the channel whose work was continued last.
    last_continued: usize,
    requests: OpenRequests<M>,
    lanes: Lanes,
    deadlines: Deadlines,
    spare: Spare,
    /// The time at which the remaining requests are rejected, or `None` if the gateway does not
    /// drain.
    drain: Option<Duration>,
    counts: Counts,
    principals: Principals,
    sample_requests: SampleRequests,
    notes: Notes,
    standstill: Standstill,
    recent: Recent,
    rates: RateLimiter,
}

/// Memory for reuse.
#[derive(Debug, Default)]
struct Spare {
    tokens: Tokens,
    kept: CopyPool,
}

impl<M: Frames> Core<M> {
    /// Returns a core without peers that uses `snapshot`.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        let mut deadlines = Deadlines::default();
        let current = Current::new(Arc::clone(&snapshot), &mut deadlines);
        let mut core = Self {
            pools: Vec::new(),
            channels: Vec::new(),
            last_continued: 0,
            snapshot: Rc::new(current),
            past: Vec::new(),
            now: Duration::ZERO,
            peers: Peers::default(),
            leaving: Vec::new(),
            admitted: Admitted::default(),
            rates: RateLimiter::default(),
            requests: OpenRequests::default(),
            lanes: Lanes::default(),
            deadlines,
            spare: Spare::default(),
            drain: None,
            counts: Counts::default(),
            principals: Principals::default(),
            sample_requests: SampleRequests::default(),
            notes: Notes::default(),
            standstill: Standstill::default(),
            recent: Recent::default(),
        };
        core.open_channels(&snapshot);
        core.adopt(snapshot);
        core
    }

    /// Sets the number of the first request. The default is 1.
    #[must_use]
    pub fn numbering_from(mut self, first: u64) -> Self {
        self.requests = OpenRequests::numbered_from(first);
        self
    }

    /// Sets the requests for samples that this core answers.
    pub(crate) fn answering(mut self, requests: SampleRequests) -> Self {
        self.sample_requests = requests;
        self
    }

    /// Takes one event and carries out its consequences. Then handles the deadlines that have
    /// passed by `now`.
    #[inline(always)]
    pub fn on(&mut self, now: Duration, event: Event<M>, out: &mut impl Outlet<M>) {
        self.now = self.now.max(now);
        match event {
            // The two most frequent events are a message and the report of an answer's fate.
            Event::Message { peer, frames } => self.message(peer, frames, Extent::Whole, out),
            // The report moves no deadline, so the checks below can wait for the next event.
            Event::Settled { outcome, fate } => return self.counts.settled(outcome, fate),
            other => self.on_other(other, out),
        }
        self.expire(out);
        if !self.leaving.is_empty() {
            self.release_leaving(out);
        }
        if self.notes.is_due(self.now) {
            self.notes.pass(self.now);
            self.note_standstill(out);
        }
        if self.sample_requests.any() {
            self.sample_requests.answer(self.sample(out));
        }
    }

    /// Takes any event. [`Self::on`] handles the most frequent events itself.
    fn on_other(&mut self, event: Event<M>, out: &mut impl Outlet<M>) {
        match event {
            Event::ClientConnected {
                peer,
                frontend,
                kind,
                identity,
            } => self.client_connected(peer, frontend, kind, identity),
            Event::WorkerConnected {
                peer,
                pool,
                kind,
                headcount,
                name,
            } => self.worker_connected(peer, pool, kind, headcount, name, out),
            Event::PublisherConnected {
                peer,
                channel,
                headcount,
                identity,
            } => self.publisher_connected(peer, channel, headcount, identity, out),
            Event::SubscriberConnected {
                peer,
                channel,
                headcount,
                name,
            } => self.subscriber_connected(peer, channel, headcount, name),
            Event::Subscribe { peer, prefix } => self.subscribe(peer, &prefix, out),
            Event::Cancel { peer, prefix } => self.cancel(peer, &prefix, out),
            Event::Message { peer, frames } => self.message(peer, frames, Extent::Whole, out),
            Event::Oversize { peer, frames } => self.message(peer, frames, Extent::Oversize, out),
            Event::Writable { peer } => self.writable(peer, out),
            Event::Settled { outcome, fate } => self.counts.settled(outcome, fate),
            Event::Judged { verdict } => self.judged(verdict, out),
            Event::Disconnected { peer } => self.gone(peer, out),
            Event::Tick => {
                self.requests.shrink_if_idle(self.now);
                self.give_up_stalled_subscribers();
            }
            Event::Continue => self.continue_next_channel(out),
            Event::Reload { snapshot } => {
                self.adopt_channels(&snapshot);
                self.adopt(snapshot);
                for pool in 0..self.pools.len() {
                    self.dispatch(PoolId(pool), out);
                }
            }
            Event::Drain { deadline } => self.drain(deadline),
        }
    }

    /// Returns the time at which [`Event::Tick`] is due unless another event happens first, or
    /// `None` if no [`Event::Tick`] is needed.
    pub fn next_deadline(&self) -> Option<Duration> {
        let drain = self.drain.filter(|_| !self.requests.is_empty());
        let due = self.deadlines.next().into_iter().chain(drain);
        let upkeep = self.requests.shrink_due();
        let upkeep = upkeep.into_iter().chain(self.stalled_subscribers_due());
        due.chain(self.notes.due()).chain(upkeep).min()
    }

    /// Returns whether the core drains, no request is open, the fate of every answer is known, and
    /// no message is queued for a subscriber.
    pub fn is_drained(&self) -> bool {
        self.drain.is_some() && self.in_flight() == 0 && !self.has_queued_messages()
    }

    /// Removes and returns the notes that are ready, which the engine writes to the log.
    pub(crate) fn take_notes(&mut self) -> Vec<Note> {
        self.notes.take()
    }

    /// Removes and returns the last notes, including counts that are not due yet.
    pub(crate) fn take_last_notes(&mut self) -> Vec<Note> {
        self.notes.pass(Duration::MAX);
        self.notes.take()
    }

    /// Returns the names that belong to the numbers in notes.
    pub(crate) fn names(&self) -> &Names {
        &self.snapshot.names
    }

    /// Returns the number of open requests plus the number of answers whose fate is not known yet.
    pub fn in_flight(&self) -> u64 {
        self.requests.len() as u64 + self.counts.unsettled()
    }

    /// Returns the memory that is charged for requests, for answers that wait for a verdict, and
    /// for channels, in bytes. The sum consists of the queued requests of pools, the messages in
    /// the lanes, the memory charged for each open request, and the messages and subscriptions of
    /// channels.
    pub fn memory(&self) -> u64 {
        let queues: u64 = self.pools.iter().map(Pool::queue_bytes).sum();
        let channels: u64 = self.channels.iter().map(Channel::memory).sum();
        queues + channels + self.lanes.bytes() + self.requests.charged()
    }

    /// Returns the number of requests that wait for a worker of this pool.
    pub fn waiting(&self, pool: PoolId) -> usize {
        self.pools.get(pool.0).map_or(0, Pool::waiting)
    }

    /// Returns whether no request waits for this pool's workers or for a verdict, and no worker
    /// holds a request. An idle pool to which no route leads can be closed.
    pub fn is_idle(&self, pool: PoolId) -> bool {
        let pool = self.pools.get(pool.0);
        pool.is_none_or(|pool| pool.is_idle() && !pool.awaits_verdict())
    }

    /// Returns the settings of a pool, or the last settings of a removed pool. Returns `None` if
    /// there was never such a pool.
    pub fn settings(&self, pool: PoolId) -> Option<&PoolSettings> {
        self.pools.get(pool.0).map(Pool::settings)
    }

    /// Returns the maximum size in bytes and the maximum number of frames of a worker's answer.
    /// Each is the largest value that `limits.message` or `limits.frames` has now, or had when an
    /// open request arrived.
    pub(crate) fn reply_limits(&mut self) -> (u64, usize) {
        // Earlier snapshots are few, and only kept while requests that arrived under them are open.
        self.past.retain(|past| past.strong_count() > 0);
        let past = self.past.iter().filter_map(Weak::upgrade);
        let limits = |snapshot: &Snapshot| (snapshot.limits.message, snapshot.limits.frames);
        past.fold(limits(&self.snapshot), |max, past| {
            let (message, frames) = limits(&past);
            (max.0.max(message), max.1.max(frames))
        })
    }

    /// Returns whether a peer is a client with open requests, or a subscriber with queued messages.
    pub(crate) fn awaits_messages(&self, peer: PeerId) -> bool {
        match self.peers.get(peer) {
            Some(Peer::Client(client)) => client.has_open_requests(),
            Some(Peer::Subscriber(subscriber)) => {
                self.channels[subscriber.channel.0].has_queued(subscriber.id)
            }
            Some(Peer::Worker(_) | Peer::Publisher(_)) | None => false,
        }
    }

    /// Returns whether a worker holds open requests.
    pub fn holds(&self, worker: PeerId) -> bool {
        match self.peers.get(worker) {
            Some(Peer::Worker(worker)) => self.pools[worker.pool.0].holds(worker.seat),
            _ => false,
        }
    }

    /// Uses `snapshot` from now on, except for channels, which [`Self::adopt_channels`] handles.
    /// Open requests keep their route and the name of their client, and a removed pool keeps its
    /// last settings. If clients have principals from now on, a client that connected without a
    /// principal becomes anonymous. The engine disconnects the client if anonymous clients are not
    /// admitted.
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
            if snapshot.knows_principals() && client.name_source == NameSource::Peer {
                client.become_anonymous();
                self.counts.client_became_anonymous(client);
                self.principals.client_connected(client);
            }
            match snapshot.frontends.get(&client.frontend) {
                Some(frontend) => {
                    client.frontend_state = FrontendState::Configured;
                    client.errors = frontend.errors;
                    client.framing = framing::unusual(&frontend.framing);
                }
                None => client.frontend_state = FrontendState::Removed,
            }
        }
        self.rates.retain(&snapshot.routes);
        self.deadlines.drop_unused();
        let current = Current::new(snapshot, &mut self.deadlines);
        let previous = std::mem::replace(&mut self.snapshot, Rc::new(current));
        self.past.push(Rc::downgrade(&previous));
    }

    fn client_connected(
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
        let name_source = if !self.snapshot.knows_principals() {
            NameSource::Peer
        } else if identity == ANONYMOUS.as_bytes() {
            NameSource::Anonymous
        } else {
            NameSource::Principal
        };
        let name = Rc::new(Name::new(identity));
        let mut client = Client::new(frontend, kind, name, state, errors);
        client.framing = framing;
        client.name_source = name_source;
        self.admitted
            .admit(&mut client, self.snapshot.limits.clients);
        self.counts.client_connected(&client);
        self.principals.client_connected(&mut client);
        self.peers.insert(peer, Peer::Client(client));
    }

    fn worker_connected(
        &mut self,
        peer: PeerId,
        pool: PoolId,
        kind: WorkerKind,
        headcount: Headcount,
        name: Arc<PeerName>,
        out: &mut impl Outlet<M>,
    ) {
        let seat = self.pools[pool.0].add_worker(peer, kind, headcount, name);
        let worker = Worker {
            peer,
            pool,
            seat,
            kind,
        };
        self.peers.insert(peer, Peer::Worker(worker));
        let particulars = worker_particulars(&self.pools[pool.0], seat);
        self.note_worker(NotedEvent::WorkerConnected, worker, particulars);
        self.dispatch(pool, out);
    }

    fn writable(&mut self, peer: PeerId, out: &mut impl Outlet<M>) {
        match self.peers.get(peer) {
            Some(&Peer::Worker(worker)) => {
                self.pools[worker.pool.0].set_blocked(worker.seat, false);
                self.dispatch(worker.pool, out);
            }
            Some(Peer::Publisher(publisher)) => {
                self.channels[publisher.channel.0].publisher_writable(peer);
            }
            Some(Peer::Subscriber(subscriber)) => {
                self.channels[subscriber.channel.0].subscriber_writable(subscriber.id);
            }
            Some(Peer::Client(_)) | None => {}
        }
    }

    fn gone(&mut self, peer: PeerId, out: &mut impl Outlet<M>) {
        match self.peers.remove(peer) {
            // The client's requests stay open, because a client may disconnect as soon as it has
            // sent its requests.
            Some(Peer::Client(client)) => {
                self.admitted.leave(&client);
                self.counts.client_disconnected(&client);
                self.principals.client_disconnected(&client);
            }
            Some(Peer::Worker(worker)) => {
                let Worker { pool, seat, .. } = worker;
                let mut particulars = worker_particulars(&self.pools[pool.0], seat);
                let held = self.pools[pool.0].remove_worker(seat);
                particulars.held = held.len();
                particulars.workers = self.pools[pool.0].workers();
                self.note_worker(NotedEvent::WorkerDisconnected, worker, particulars);
                for number in held {
                    let name = &self.pools[pool.0].settings().name;
                    let message =
                        format!("the worker of pool {name} that had the request has disconnected");
                    self.reject_open(number, Rejection::new(Reason::WorkerLost, message), out);
                }
                self.dispatch(pool, out);
                self.expect_worker_if_needed(pool);
            }
            Some(Peer::Publisher(publisher)) => {
                self.admitted.remove(publisher.headcount);
                self.channels[publisher.channel.0].remove_publisher(peer);
            }
            Some(Peer::Subscriber(subscriber)) => {
                self.admitted.remove(subscriber.headcount);
                self.channels[subscriber.channel.0].remove_subscriber(subscriber.id);
            }
            None => {}
        }
    }
}

/// Returns the details of a connected worker for a note.
fn worker_particulars(pool: &Pool, seat: Seat) -> Particulars {
    Particulars {
        workers: pool.workers(),
        worker: pool.name(seat).cloned(),
        seat: Some(seat.0),
        ..Particulars::default()
    }
}

impl<M: Frames> Core<M> {
    /// Notes an event of a worker. Equal events of one pool are counted together.
    fn note_worker(&mut self, what: NotedEvent, worker: Worker, particulars: Particulars) {
        let name = &self.pools[worker.pool.0].settings().name;
        // Workers are not distinguished, because a worker that reconnects repeatedly is a new peer
        // each time.
        self.notes.note(self.now, what, name, None, || particulars);
    }
}
