//! The sending half: the sockets, what is known of each client, and what waits for it to read.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use zmq::{DONTWAIT, Message, SNDMORE, Socket};

use crate::core::{Event, Outlet};
use crate::engine::libzmq::sockets::PoolSocket;
use crate::frame::Frame;
use crate::ledger::{EngineCounters, Fate, Outcome};
use crate::peer::{ClientKind, PeerId};
use crate::snapshot::{FrontendId, PoolId};

/// What an answer that waits costs beside its bytes: frames and queue entries.
const ANSWER_OVERHEAD: u64 = 256;

/// How soon a client that could take no more is tried again, at first; libzmq doesn't tell when.
const RETRY_FIRST: Duration = Duration::from_millis(1);

/// How soon at the latest, as long as no client takes anything.
const RETRY_LAST: Duration = Duration::from_millis(64);

/// Clients that are tried again at once: a crowd of those that never read costs the others little.
const RETRY_BUDGET: usize = 256;

/// Sockets and clients.
#[derive(Default)]
pub(super) struct Links {
    pub(super) frontends: BTreeMap<FrontendId, FrontendSocket>,
    pub(super) pools: BTreeMap<PoolId, PoolSocket>,
    clients: HashMap<PeerId, Client>,
    /// Clients whose outbox holds something.
    stalled: VecDeque<PeerId>,
    /// When to try those again, and how long after that.
    retry: Option<Duration>,
    backoff: Duration,
    news: VecDeque<Event<Vec<Message>>>,
    last_number: u64,
    /// `limits.client_bytes`.
    outbox_max: u64,
    /// The gauges among them are filled in when somebody asks.
    pub(super) counters: EngineCounters,
    /// The sum over the clients' outboxes.
    unsent_bytes: u64,
}

/// A frontend's ROUTER, and its clients by their identities.
pub(super) struct FrontendSocket {
    pub(super) socket: Socket,
    clients: HashMap<Box<[u8]>, PeerId>,
    /// When it was first seen to be gone from the configuration.
    removed: Option<Duration>,
}

struct Client {
    frontend: FrontendId,
    identity: Box<[u8]>,
    kind: ClientKind,
    /// Messages of its that the core has not answered.
    owed: u32,
    /// It sent something since the last look for idle clients.
    active: bool,
    /// Answers that it has not room for.
    outbox: VecDeque<(Vec<Message>, Outcome)>,
    outbox_bytes: u64,
}

impl Links {
    pub(super) fn add_frontend(&mut self, id: FrontendId, socket: Socket) {
        let frontend = FrontendSocket {
            socket,
            clients: HashMap::new(),
            removed: None,
        };
        self.frontends.insert(id, frontend);
    }

    pub(super) fn set_outbox_max(&mut self, bytes: u64) {
        self.outbox_max = bytes;
    }

    /// Whether every client of a frontend has been sent all that it is to get.
    pub(super) fn owes_nothing(&self, id: FrontendId) -> bool {
        let mut clients = self.clients.values().filter(|client| client.frontend == id);
        clients.all(|client| client.owed == 0 && client.outbox.is_empty())
    }

    /// Whether nothing has arrived at a frontend that is yet to be read.
    pub(super) fn is_quiet(&self, id: FrontendId) -> bool {
        let frontend = self.frontends.get(&id);
        frontend.is_none_or(|it| it.socket.poll(zmq::POLLIN, 0).is_ok_and(|n| n == 0))
    }

    /// How long a frontend has been gone from the configuration.
    pub(super) fn removed_for(&mut self, id: FrontendId, now: Duration) -> Duration {
        let frontend = self.frontends.get_mut(&id);
        frontend.map_or(Duration::ZERO, |it| now - *it.removed.get_or_insert(now))
    }

    /// A frontend is in the configuration (again).
    pub(super) fn keep(&mut self, id: FrontendId) {
        if let Some(frontend) = self.frontends.get_mut(&id) {
            frontend.removed = None;
        }
    }

    /// Closes a frontend's socket and lets go of its clients.
    pub(super) fn close_frontend(&mut self, id: FrontendId) {
        if let Some(frontend) = self.frontends.remove(&id) {
            for peer in frontend.clients.into_values() {
                let gone = self.forget(peer);
                self.news.extend(gone);
            }
        }
    }

    /// A number for a new peer.
    pub(super) fn number(&mut self) -> PeerId {
        self.last_number += 1;
        PeerId(self.last_number)
    }

    /// What came to light meanwhile.
    pub(super) fn news(&mut self) -> Option<Event<Vec<Message>>> {
        self.news.pop_front()
    }

    /// Who sent this message, and what the core must hear before it.
    pub(super) fn client(
        &mut self,
        frontend: FrontendId,
        mut identity: Message,
        frames: &mut [Message],
    ) -> (PeerId, [Option<Event<Vec<Message>>>; 2]) {
        let clients = self.frontends.get(&frontend).map(|it| &it.clients);
        let known = clients.and_then(|clients| clients.get(&*identity).copied());
        let mut gone = None;
        if let Some((peer, client)) = known.and_then(|p| Some((p, self.clients.get_mut(&p)?))) {
            let as_before =
                looks_like(frames) == client.kind || kind(&mut identity, frames) == client.kind;
            if as_before {
                client.owed += 1;
                client.active = true;
                if client.kind == ClientKind::Req {
                    // It asks again: an answer that it has not taken would be taken for the new
                    // one's.
                    client.owed = 1;
                    self.unsent_bytes -= client.outbox_bytes;
                    client.outbox_bytes = 0;
                    let unread = client.outbox.drain(..).map(|(_, outcome)| outcome);
                    self.news.extend(unread.map(|outcome| Event::Settled {
                        outcome,
                        fate: Fate::Gone,
                    }));
                }
                return (peer, [None, None]);
            }
            gone = self.forget(peer);
        }
        let peer = self.number();
        let client = Client {
            frontend,
            identity: Box::from(&*identity),
            kind: kind(&mut identity, frames),
            owed: 1,
            active: true,
            outbox: VecDeque::new(),
            outbox_bytes: 0,
        };
        let came = Event::ClientCame {
            peer,
            frontend,
            kind: client.kind,
            identity: identity.to_vec(),
        };
        if let Some(frontend) = self.frontends.get_mut(&frontend) {
            frontend.clients.insert(client.identity.clone(), peer);
        }
        self.clients.insert(peer, client);
        (peer, [gone, Some(came)])
    }

    /// Lets go of a client; what waited for it has met its fate.
    fn forget(&mut self, peer: PeerId) -> Option<Event<Vec<Message>>> {
        let client = self.clients.remove(&peer)?;
        if let Some(frontend) = self.frontends.get_mut(&client.frontend) {
            frontend.clients.remove(&client.identity);
        }
        self.unsent_bytes -= client.outbox_bytes;
        for (_, outcome) in client.outbox {
            self.news.push_back(Event::Settled {
                outcome,
                fate: Fate::Gone,
            });
        }
        Some(Event::Gone { peer })
    }

    /// Forgets clients that are owed nothing and have sent nothing since the last call. Should one
    /// come back, it is a new peer, and nobody can tell the difference.
    pub(super) fn forget_idle(&mut self) {
        let mut idle = Vec::new();
        for (peer, client) in &mut self.clients {
            let busy = std::mem::take(&mut client.active);
            if !busy && client.owed == 0 && client.outbox.is_empty() {
                idle.push(*peer);
            }
        }
        for peer in idle {
            let gone = self.forget(peer);
            self.news.extend(gone);
        }
    }

    /// When [`Self::retry`] is due.
    pub(super) fn next_retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Tries again to send what waits, if it is time.
    pub(super) fn retry(&mut self, now: Duration) {
        if self.stalled.is_empty() {
            self.retry = None;
            return;
        }
        match self.retry {
            None => {
                self.backoff = RETRY_FIRST;
                self.retry = Some(now + RETRY_FIRST);
                return;
            }
            Some(due) if due > now => return,
            Some(_) => {}
        }
        let mut progress = false;
        for _ in 0..self.stalled.len().min(RETRY_BUDGET) {
            if let Some(peer) = self.stalled.pop_front() {
                progress |= self.flush(peer);
            }
        }
        self.backoff = match progress {
            true => RETRY_FIRST,
            false => (self.backoff * 2).min(RETRY_LAST),
        };
        self.retry = (!self.stalled.is_empty()).then(|| now + self.backoff);
    }

    /// Sends what waits for a client as far as it can be; true if anything could.
    fn flush(&mut self, peer: PeerId) -> bool {
        let mut progress = false;
        while let Some(client) = self.clients.get_mut(&peer) {
            let Some((frames, outcome)) = client.outbox.pop_front() else {
                break;
            };
            let bytes = cost(&frames);
            match send(&self.frontends, client, frames) {
                Ok(()) => {
                    self.counters.messages_out += 1;
                    self.unsent_bytes -= bytes;
                    client.outbox_bytes -= bytes;
                    let fate = Fate::Delivered;
                    self.news.push_back(Event::Settled { outcome, fate });
                    progress = true;
                }
                Err((zmq::Error::EAGAIN, frames)) => {
                    client.outbox.push_front((frames, outcome));
                    self.stalled.push_back(peer);
                    break;
                }
                Err(_) => {
                    let fate = Fate::Gone;
                    self.news.push_back(Event::Settled { outcome, fate });
                    let gone = self.forget(peer);
                    self.news.extend(gone);
                    break;
                }
            }
        }
        progress
    }

    /// Gives up everything that waits for clients; how many answers that were.
    pub(super) fn give_up(&mut self) -> usize {
        let before = self.news.len();
        for client in self.clients.values_mut() {
            self.unsent_bytes -= std::mem::take(&mut client.outbox_bytes);
            for (_, outcome) in client.outbox.drain(..) {
                let fate = Fate::Slow;
                self.news.push_back(Event::Settled { outcome, fate });
            }
        }
        self.news.len() - before
    }

    /// Lets the sockets close without waiting for what they still hold.
    pub(super) fn discard_unsent(&self) {
        let frontends = self.frontends.values().map(|frontend| &frontend.socket);
        let pools = self.pools.values().map(|pool| &pool.socket);
        for socket in frontends.chain(pools) {
            // It fails only for a socket that is closed already.
            let _ = socket.set_linger(0);
        }
    }
}

impl Outlet<Vec<Message>> for Links {
    fn to_worker(
        &mut self,
        worker: PeerId,
        head: &[&[u8]],
        body: Vec<Message>,
    ) -> Result<(), Vec<Message>> {
        let pool = self
            .pools
            .values_mut()
            .find(|pool| pool.crowd == Some(worker));
        let Some((pool, (name, rest))) = pool.zip(head.split_first()) else {
            return Err(body);
        };
        // Whether there is room is decided by the first frame; the others follow it.
        if first(&pool.socket, name).is_err() {
            pool.blocked = true;
            self.counters.full += 1;
            return Err(body);
        }
        self.counters.messages_out += 1;
        for part in rest {
            let _ = pool.socket.send(*part, DONTWAIT | SNDMORE);
        }
        send_rest(&pool.socket, body);
        Ok(())
    }

    fn to_client(
        &mut self,
        peer: PeerId,
        head: &[&[u8]],
        body: Vec<Message>,
        outcome: Outcome,
    ) -> Fate {
        let Some(client) = self.clients.get_mut(&peer) else {
            return Fate::Gone;
        };
        client.owed = client.owed.saturating_sub(1);
        let mut unsent = body;
        unsent.splice(..0, head.iter().map(|frame| Message::from(*frame)));
        if client.outbox.is_empty() {
            match send(&self.frontends, client, unsent) {
                Ok(()) => {
                    self.counters.messages_out += 1;
                    return Fate::Delivered;
                }
                Err((zmq::Error::EAGAIN, frames)) => {
                    self.counters.full += 1;
                    unsent = frames;
                }
                Err(_) => {
                    let gone = self.forget(peer);
                    self.news.extend(gone);
                    return Fate::Gone;
                }
            }
        }
        let bytes = cost(&unsent);
        if client.outbox_bytes + bytes > self.outbox_max {
            return Fate::Slow;
        }
        if client.outbox.is_empty() {
            self.stalled.push_back(peer);
        }
        let frames = unsent.into_iter().map(Frame::compact).collect();
        client.outbox.push_back((frames, outcome));
        client.outbox_bytes += bytes;
        self.unsent_bytes += bytes;
        Fate::Waiting
    }

    fn counters(&self) -> EngineCounters {
        EngineCounters {
            stalled: self.stalled.len() as u64,
            unsent_bytes: self.unsent_bytes,
            ..self.counters.clone()
        }
    }

    fn connections(&self, pool: PoolId) -> Option<usize> {
        let pool = self.pools.get(&pool);
        pool.map(|pool| pool.monitor.connections())
    }
}

fn cost(frames: &[Message]) -> u64 {
    let bytes = frames.iter().map(|frame| frame.len() as u64);
    bytes.sum::<u64>() + ANSWER_OVERHEAD
}

/// Sends a client its answer, or gives the frames back with the reason.
fn send(
    frontends: &BTreeMap<FrontendId, FrontendSocket>,
    client: &Client,
    frames: Vec<Message>,
) -> Result<(), (zmq::Error, Vec<Message>)> {
    let Some(FrontendSocket { socket, .. }) = frontends.get(&client.frontend) else {
        return Err((zmq::Error::EHOSTUNREACH, frames));
    };
    // ROUTER_MANDATORY: EAGAIN when the client has no room, EHOSTUNREACH when it is gone.
    match first(socket, &client.identity) {
        Ok(()) => {
            send_rest(socket, frames);
            Ok(())
        }
        Err(error) => Err((error, frames)),
    }
}

/// Begins a message; this frame decides whether all of it can be sent.
fn first(socket: &Socket, frame: &[u8]) -> zmq::Result<()> {
    loop {
        match socket.send(frame, DONTWAIT | SNDMORE) {
            Err(zmq::Error::EINTR) => {}
            sent => return sent,
        }
    }
}

/// Sends the frames of a message whose first one was taken; there is at least one more. libzmq
/// takes the rest of a message whole; if the peer goes meanwhile it drops it whole, as it would
/// once it were sent.
fn send_rest(socket: &Socket, frames: Vec<Message>) {
    let last = frames.len().saturating_sub(1);
    for (n, frame) in frames.into_iter().enumerate() {
        let more = if n < last { SNDMORE } else { 0 };
        let _ = socket.send(frame, DONTWAIT | more);
    }
}

/// The client's socket type, as libzmq learnt it from the handshake.
fn kind(identity: &mut Message, frames: &mut [Message]) -> ClientKind {
    let mut all = std::iter::once(identity).chain(frames.iter_mut());
    let req = all.any(|frame| frame.gets("Socket-Type") == Some("REQ"));
    if req {
        ClientKind::Req
    } else {
        ClientKind::Dealer
    }
}

/// What a message's shape says of its sender, to spare asking libzmq for every one.
fn looks_like(frames: &[Message]) -> ClientKind {
    let delimiter = frames.iter().take(2).position(|frame| frame.is_empty());
    match delimiter {
        Some(0) => ClientKind::Req,
        // ZMQ_REQ_CORRELATE's number.
        Some(1) if frames[0].len() == 4 => ClientKind::Req,
        _ => ClientKind::Dealer,
    }
}
