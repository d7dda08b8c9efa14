//! The sending half of the engine: the sockets, the clients, and the times of the next attempts to
//! send queued answers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use zmq::{DONTWAIT, Message, SNDMORE, Socket};

use crate::core::{Case, Event, Outlet};
use crate::engine::judges::Judges;
use crate::engine::libzmq::client::{Client, cost};
use crate::engine::libzmq::frontend::{FrontendSocket, connection_of, is_own};
use crate::engine::libzmq::open::{PoolSocket, SideSocket};
use crate::engine::role::Role;
use crate::ledger::{EngineCounters, Fate, RequestOutcome};
use crate::peer::PeerId;
use crate::snapshot::{ChannelId, FrontendId, PoolId};

/// The first pause before the gateway tries again to send to a client that had no room. libzmq does
/// not report when a client has room again.
const RETRY_FIRST: Duration = Duration::from_millis(1);

/// The maximum pause between two attempts. The pause doubles as long as no client accepts anything.
const RETRY_MAX: Duration = Duration::from_millis(64);

/// The maximum number of stalled clients to which one turn tries to send. Many clients that never
/// read thus delay the other clients only a little.
const RETRY_BUDGET: usize = 256;

/// Sockets and clients.
pub(super) struct Links {
    pub(super) frontends: BTreeMap<FrontendId, FrontendSocket>,
    pub(super) pools: BTreeMap<PoolId, PoolSocket>,
    /// The publishers and the subscribers of channels.
    pub(super) sides: BTreeMap<Role, SideSocket>,
    clients: HashMap<PeerId, Client>,
    /// The clients whose outbox is not empty.
    stalled: VecDeque<PeerId>,
    /// The time of the next attempt to send to the stalled clients.
    retry: Option<Duration>,
    /// The pause before the next attempt.
    backoff: Duration,
    /// The events that the core has not received yet.
    events: VecDeque<Event<Vec<Message>>>,
    last_number: u64,
    /// The number of messages that may still be received from the socket whose turn it is.
    pub(super) allowance: usize,
    pub(super) judges: Judges<Vec<Message>>,
    /// The value of `limits.client_bytes`.
    outbox_max: u64,
    /// The counters. The gauges among them are computed by [`Outlet::counters`].
    pub(super) counters: EngineCounters,
    /// The memory charged for the answers in all outboxes, in bytes.
    unsent_bytes: u64,
}

impl Links {
    /// Returns links without sockets.
    pub(super) fn new(judges: Judges<Vec<Message>>) -> Self {
        Self {
            frontends: BTreeMap::new(),
            pools: BTreeMap::new(),
            sides: BTreeMap::new(),
            clients: HashMap::new(),
            stalled: VecDeque::new(),
            retry: None,
            backoff: Duration::ZERO,
            events: VecDeque::new(),
            last_number: 0,
            allowance: 0,
            judges,
            outbox_max: 0,
            counters: EngineCounters::default(),
            unsent_bytes: 0,
        }
    }

    pub(super) fn set_outbox_max(&mut self, bytes: u64) {
        self.outbox_max = bytes;
    }

    /// Returns whether every client of a frontend has been sent all answers to its messages.
    pub(super) fn has_delivered_all(&self, id: FrontendId) -> bool {
        let mut clients = self
            .clients
            .values()
            .filter(|client| client.frontend() == id);
        clients.all(Client::has_all_answers)
    }

    /// Returns whether a frontend's socket has no more messages to read.
    pub(super) fn is_quiet(&self, id: FrontendId) -> bool {
        let frontend = self.frontends.get(&id);
        frontend.is_none_or(|frontend| frontend.socket().poll(zmq::POLLIN, 0).is_ok_and(|n| n == 0))
    }

    /// Returns the time since the first call for this frontend, or since the first call after
    /// [`Self::keep`].
    pub(super) fn removed_for(&mut self, id: FrontendId, now: Duration) -> Duration {
        let frontend = self.frontends.get_mut(&id);
        frontend.map_or(Duration::ZERO, |frontend| frontend.removed_for(now))
    }

    /// Records that the configuration has a frontend. If the frontend is removed later,
    /// [`Self::removed_for`] counts anew.
    pub(super) fn keep(&mut self, id: FrontendId) {
        if let Some(frontend) = self.frontends.get_mut(&id) {
            frontend.keep();
        }
    }

    /// Closes a frontend's socket and forgets its clients.
    pub(super) fn close_frontend(&mut self, id: FrontendId) {
        if let Some(frontend) = self.frontends.remove(&id) {
            for peer in frontend.clients() {
                let gone = self.forget(peer);
                self.events.extend(gone);
            }
        }
    }

    /// Returns a number for a new peer.
    pub(super) fn number(&mut self) -> PeerId {
        self.last_number += 1;
        PeerId(self.last_number)
    }

    /// Removes and returns the next event that the core has not received yet, if there is one.
    pub(super) fn next_event(&mut self) -> Option<Event<Vec<Message>>> {
        self.events.pop_front()
    }

    /// Returns the sender of a message, and the events that the core must receive before the
    /// message. Adds the sender if it is a new client.
    pub(super) fn client(
        &mut self,
        frontend: FrontendId,
        mut identity: Message,
        frames: &mut [Message],
    ) -> (PeerId, [Option<Event<Vec<Message>>>; 2]) {
        let mut connection = None;
        if is_own(&identity) {
            connection = connection_of(&mut identity, frames);
            self.forget_left(frontend);
        }
        let known = self.frontends.get(&frontend);
        let known = known.and_then(|frontend| frontend.client(&identity));
        let mut gone = None;
        if let Some((peer, client)) = known.and_then(|p| Some((p, self.clients.get_mut(&p)?))) {
            if client.has_sent(&mut identity, connection, frames) {
                if client.note_message() {
                    self.unsent_bytes -= client.unsent_bytes();
                    let unread = client.drop_unsent();
                    self.events.extend(unread.map(|outcome| Event::Settled {
                        outcome,
                        fate: Fate::Gone,
                    }));
                }
                return (peer, [None, None]);
            }
            gone = self.forget(peer);
        }
        let peer = self.number();
        let client = Client::new(frontend, &mut identity, connection, frames);
        let connected = Event::ClientConnected {
            peer,
            frontend,
            kind: client.kind(),
            identity: identity.to_vec(),
        };
        if let Some(frontend) = self.frontends.get_mut(&frontend) {
            if connection.is_some_and(|descriptor| !frontend.is_open(descriptor)) {
                // The connection has closed since the client sent this message, and no answer can
                // reach the client.
                self.events.push_back(Event::Disconnected { peer });
                return (peer, [gone, Some(connected)]);
            }
            frontend.add(client.identity().into(), connection, peer);
        }
        self.clients.insert(peer, client);
        (peer, [gone, Some(connected)])
    }

    /// Forgets the clients that set their identity and whose connections have closed. Otherwise, an
    /// answer to such a client could be sent to the next connection with the same identity.
    pub(super) fn forget_left(&mut self, frontend: FrontendId) {
        let frontend = self.frontends.get_mut(&frontend);
        for peer in frontend.map(FrontendSocket::take_left).unwrap_or_default() {
            let gone = self.forget(peer);
            self.events.extend(gone);
        }
    }

    /// Forgets a client that set its identity, if its connection has closed. This is called before
    /// each message to a client.
    fn forget_if_left(&mut self, peer: PeerId) {
        let client = self.clients.get(&peer);
        if let Some(client) = client.filter(|client| client.connection().is_some()) {
            self.forget_left(client.frontend());
        }
    }

    /// Forgets a client, and settles its queued answers as [`Fate::Gone`]. Returns the event that
    /// reports its disconnection to the core, or `None` for a client that was forgotten before.
    fn forget(&mut self, peer: PeerId) -> Option<Event<Vec<Message>>> {
        let mut client = self.clients.remove(&peer)?;
        if let Some(frontend) = self.frontends.get_mut(&client.frontend()) {
            frontend.remove(client.identity(), client.connection(), peer);
        }
        self.unsent_bytes -= client.unsent_bytes();
        for outcome in client.drop_unsent() {
            self.events.push_back(Event::Settled {
                outcome,
                fate: Fate::Gone,
            });
        }
        Some(Event::Disconnected { peer })
    }

    /// Forgets clients that wait for no answer and have sent nothing since the last call. A
    /// forgotten client that sends again counts as a new peer. The client does not notice this.
    pub(super) fn forget_idle(&mut self) {
        let mut idle = Vec::new();
        for (peer, client) in &mut self.clients {
            if client.is_idle() {
                idle.push(*peer);
            }
        }
        for peer in idle {
            let gone = self.forget(peer);
            self.events.extend(gone);
        }
    }

    /// Returns the time at which [`Self::retry`] is due, or `None` if no attempt is scheduled.
    pub(super) fn next_retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Tries again to send the queued answers if an attempt is due, and schedules the next attempt.
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
            false => (self.backoff * 2).min(RETRY_MAX),
        };
        self.retry = (!self.stalled.is_empty()).then(|| now + self.backoff);
    }

    /// Sends a client's queued answers as far as possible. Returns whether any were sent.
    fn flush(&mut self, peer: PeerId) -> bool {
        let mut progress = false;
        self.forget_if_left(peer);
        while let Some(client) = self.clients.get_mut(&peer) {
            let Some((frames, outcome)) = client.next_unsent() else {
                break;
            };
            let bytes = cost(&frames);
            match send(&self.frontends, client, frames) {
                Ok(()) => {
                    self.counters.messages_out += 1;
                    self.unsent_bytes -= bytes;
                    let fate = Fate::Delivered;
                    self.events.push_back(Event::Settled { outcome, fate });
                    progress = true;
                }
                Err((zmq::Error::EAGAIN, frames)) => {
                    client.put_back(frames, outcome);
                    self.stalled.push_back(peer);
                    break;
                }
                Err(_) => {
                    self.unsent_bytes -= bytes;
                    let fate = Fate::Gone;
                    self.events.push_back(Event::Settled { outcome, fate });
                    let gone = self.forget(peer);
                    self.events.extend(gone);
                    break;
                }
            }
        }
        progress
    }

    /// Drops all queued answers, and returns their number.
    pub(super) fn give_up(&mut self) -> usize {
        let before = self.events.len();
        for client in self.clients.values_mut() {
            self.unsent_bytes -= client.unsent_bytes();
            for outcome in client.drop_unsent() {
                let fate = Fate::Slow;
                self.events.push_back(Event::Settled { outcome, fate });
            }
        }
        self.events.len() - before
    }

    /// Returns the socket of a channel, for publishers or for subscribers, that the core knows as
    /// `peer`.
    fn side(&mut self, peer: PeerId) -> Option<&mut SideSocket> {
        self.sides.values_mut().find(|side| side.peer == Some(peer))
    }

    /// Makes the sockets drop their unsent messages when they close.
    pub(super) fn discard_unsent(&self) {
        let frontends = self.frontends.values().map(FrontendSocket::socket);
        let pools = self.pools.values().map(|pool| &pool.socket);
        let sides = self.sides.values().map(|side| &side.socket);
        for socket in frontends.chain(pools).chain(sides) {
            // This fails only for a socket that is closed already.
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
            .find(|pool| pool.peer == Some(worker));
        let Some((pool, (name, rest))) = pool.zip(head.split_first()) else {
            return Err(body);
        };
        // The first frame decides whether there is room for the whole message.
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

    fn needs_no_answer(&mut self, client: PeerId) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.note_answer();
        }
    }

    fn to_client(
        &mut self,
        peer: PeerId,
        head: &[&[u8]],
        body: Vec<Message>,
        outcome: RequestOutcome,
    ) -> Fate {
        self.forget_if_left(peer);
        let Some(client) = self.clients.get_mut(&peer) else {
            return Fate::Gone;
        };
        client.note_answer();
        let mut unsent = body;
        unsent.splice(..0, head.iter().map(|frame| Message::from(*frame)));
        if !client.is_stalled() {
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
                    self.events.extend(gone);
                    return Fate::Gone;
                }
            }
        }
        let bytes = cost(&unsent);
        if client.unsent_bytes() + bytes > self.outbox_max {
            return Fate::Slow;
        }
        if !client.is_stalled() {
            self.stalled.push_back(peer);
        }
        client.queue(unsent, outcome);
        self.unsent_bytes += bytes;
        Fate::Waiting
    }

    fn to_subscriber(&mut self, subscriber: PeerId, body: &Vec<Message>) -> bool {
        let Some(side) = self.side(subscriber) else {
            return false;
        };
        let last = body.len().saturating_sub(1);
        for (n, frame) in body.iter().enumerate() {
            let more = if n < last { SNDMORE } else { 0 };
            // libzmq accepts every frame, and drops the message for a subscriber that has no room.
            let _ = send_frame(&side.socket, frame, more);
        }
        self.counters.messages_out += 1;
        true
    }

    fn set_subscription(&mut self, publisher: PeerId, prefix: &[u8], wanted: bool) {
        if let Some(side) = self.side(publisher) {
            let frame = [&[u8::from(wanted)], prefix].concat();
            // libzmq accepts every subscription.
            let _ = send_frame(&side.socket, &frame, 0);
        }
    }

    fn disconnect(&mut self, peer: PeerId, why: String) {
        // libzmq cannot disconnect a single peer. The core calls this function only after it has
        // ignored a subscription that exceeds a limit, so a log line is enough.
        if let Some(SideSocket { name, refused, .. }) = self.side(peer) {
            refused.log(name, &why);
        }
    }

    fn pause(&mut self, peer: PeerId) {
        // Reading from a single client cannot be paused, because all clients share a socket.
        if let Some(side) = self.side(peer) {
            side.is_paused = true;
        }
    }

    fn resume(&mut self, peer: PeerId) {
        if let Some(side) = self.side(peer) {
            side.is_paused = false;
        }
    }

    fn judge(&mut self, case: Box<Case<Vec<Message>>>) -> Result<(), Box<Case<Vec<Message>>>> {
        self.judges.add(case)
    }

    fn spend(&mut self, messages: usize) {
        self.allowance = self.allowance.saturating_sub(messages);
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

    fn channel_connections(&self, channel: ChannelId) -> Option<(usize, usize)> {
        let connections = |role| Some(self.sides.get(&role)?.monitor.connections());
        let publishers = connections(Role::Publishers(channel))?;
        Some((publishers, connections(Role::Subscribers(channel))?))
    }
}

/// Sends an answer to its client. If that fails, returns the error and the frames.
fn send(
    frontends: &BTreeMap<FrontendId, FrontendSocket>,
    client: &Client,
    frames: Vec<Message>,
) -> Result<(), (zmq::Error, Vec<Message>)> {
    let Some(frontend) = frontends.get(&client.frontend()) else {
        return Err((zmq::Error::EHOSTUNREACH, frames));
    };
    let socket = frontend.socket();
    // With ROUTER_MANDATORY, EAGAIN means that libzmq has no room for messages to the client, and
    // EHOSTUNREACH that the client is gone.
    match first(socket, client.identity()) {
        Ok(()) => {
            send_rest(socket, frames);
            Ok(())
        }
        Err(error) => Err((error, frames)),
    }
}

/// Sends the first frame of a message. libzmq decides with this frame whether it has room for the
/// whole message.
fn first(socket: &Socket, frame: &[u8]) -> zmq::Result<()> {
    send_frame(socket, frame, SNDMORE)
}

/// Sends a copy of a frame. `more` is [`SNDMORE`] if further frames of the message follow, and
/// otherwise 0.
fn send_frame(socket: &Socket, frame: &[u8], more: i32) -> zmq::Result<()> {
    loop {
        match socket.send(frame, DONTWAIT | more) {
            Err(zmq::Error::EINTR) => {}
            sent => return sent,
        }
    }
}

/// Sends the remaining frames of a message whose first frame was accepted. At least one frame must
/// remain. libzmq accepts them all. If the peer disconnects meanwhile, libzmq drops the whole
/// message.
fn send_rest(socket: &Socket, frames: Vec<Message>) {
    let last = frames.len().saturating_sub(1);
    for (n, frame) in frames.into_iter().enumerate() {
        let more = if n < last { SNDMORE } else { 0 };
        let _ = socket.send(frame, DONTWAIT | more);
    }
}
