//! The connections, and the sending half of the engine, which the core calls.
//!
//! No stream is read or written while the core decides: a call of the core appends to an outbox,
//! and the outboxes are written later in the turn. Events that occur meanwhile are reported to the
//! core afterwards.

mod limits;
mod outlet;
mod partial;
mod ready;
mod room;
mod timing;
mod turns;
mod writing;

use std::collections::VecDeque;
use std::time::Duration;

use mio::{Registry, Token};

use crate::core::{Event, Verdict};
use crate::engine::judges::Judges;
use crate::engine::native::connection::{Connection, Origin};
use crate::engine::native::dial::DialId;
use crate::engine::native::memory::Memory;
use crate::engine::native::stream::Stream;
use crate::engine::native::timers::Timers;
use crate::engine::role::Role;
use crate::ledger::{EngineCounters, Fate};
use crate::peer::PeerId;
use gateway_zmtp::bytes::Input;
use gateway_zmtp::curve::SealWork;
use gateway_zmtp::message::Message;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::session::SessionSecurity;
pub(super) use ready::Priority;
use ready::ReadyList;

/// The number of low bits of a peer's number that hold the index of its connection. The high bits
/// count connections, so that no number is ever reused.
const PLACE_BITS: u32 = 20;

/// The maximum number of connections. Descriptors run out long before.
pub(super) const CONNECTIONS_MAX: usize = 1 << PLACE_BITS;

/// All connections, and the actions that are due for them.
pub(super) struct Peers {
    registry: Registry,
    /// The connections, each at the index in the low bits of its peer's number.
    places: Vec<Option<Box<Connection>>>,
    /// The indices in `places` that hold no connection.
    free: Vec<usize>,
    /// The number of connections so far. The high bits of the last peer's number are this number.
    serial: u64,
    ready: ReadyList,
    /// The number of turns of the engine.
    turn: u64,
    /// The connections with something to write.
    dirty: Vec<PeerId>,
    /// The events that the core has not received yet.
    events: VecDeque<Event<Message>>,
    /// The workers that the core has released, and for which
    /// [`Phase::Left`](super::connection::Phase) has not begun yet.
    released: Vec<PeerId>,
    /// The large frames that are to be sealed, each with its receiver.
    to_seal: VecDeque<(PeerId, SealWork)>,
    /// The peers that must be disconnected, each with the reason.
    dismissed: Vec<(PeerId, String)>,
    buffers: BufferPool,
    timers: Timers,
    /// The value of `limits.client_bytes`.
    client_bytes: u64,
    /// The number of bytes of answers that a client may leave unread: `limits.client_bytes`, or
    /// less while memory is short.
    outbox_max: u64,
    /// The lowest value of `outbox_max` since the paused clients were last examined.
    outbox_low: u64,
    /// The memory charged for the connections, in bytes.
    account: u64,
    memory: Memory,
    /// The memory that incomplete messages occupy, in bytes.
    partial_bytes: u64,
    /// The peer that delivers messages and commands now, or did so last.
    delivering: PeerId,
    /// The number of messages and commands that the delivering peer may still deliver.
    allowance: usize,
    /// The additional work of the delivering peer's messages: the work beyond one unit for each
    /// message. A unit is the work of a small message.
    extra_work: usize,
    judges: Judges<Vec<Vec<u8>>>,
    /// The counters, except the number of connections, which is computed when they are read.
    counters: EngineCounters,
}

impl Peers {
    pub(super) fn new(registry: Registry, judges: Judges<Vec<Vec<u8>>>, memory: Memory) -> Self {
        Self {
            registry,
            places: Vec::new(),
            free: Vec::new(),
            serial: 0,
            ready: ReadyList::default(),
            turn: 0,
            dirty: Vec::new(),
            events: VecDeque::new(),
            released: Vec::new(),
            to_seal: VecDeque::new(),
            dismissed: Vec::new(),
            buffers: BufferPool::default(),
            timers: Timers::default(),
            client_bytes: u64::MAX,
            outbox_max: u64::MAX,
            outbox_low: u64::MAX,
            account: 0,
            memory,
            partial_bytes: 0,
            delivering: PeerId(0),
            allowance: 0,
            extra_work: 0,
            judges,
            counters: EngineCounters {
                bytes_in: Some(0),
                bytes_out: Some(0),
                paused: Some(0),
                handshakes_failed: Some(0),
                ..EngineCounters::default()
            },
        }
    }

    /// Returns the token under which the system reports a peer.
    pub(super) fn token(peer: PeerId) -> Token {
        Token(peer.0 as usize)
    }

    /// Returns the peer of a token, or `None` for a small token, such as a listener's token.
    pub(super) fn of_token(token: Token) -> Option<PeerId> {
        (token.0 >> PLACE_BITS > 0).then_some(PeerId(token.0 as u64))
    }

    /// Returns the number of connections.
    pub(super) fn count(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Adds a connection. If a listener accepted it, the greeting is queued at once.
    ///
    /// # Errors
    ///
    /// Fails with the reason why the system cannot watch the stream.
    pub(super) fn add(
        &mut self,
        stream: Stream,
        role: Role,
        origin: Origin,
        security: SessionSecurity,
        now: Duration,
    ) -> std::io::Result<PeerId> {
        let place = self.free.last().copied().unwrap_or(self.places.len());
        let peer = PeerId((self.serial + 1) << PLACE_BITS | place as u64);
        let accepted = matches!(origin, Origin::Accepted);
        let mut connection = Box::new(Connection::new(peer, stream, role, origin, security, now));
        connection.register(&self.registry, Self::token(peer))?;
        connection.charge(&mut self.account);
        self.serial += 1;
        match self.free.pop() {
            Some(place) => self.places[place] = Some(connection),
            None => self.places.push(Some(connection)),
        }
        if accepted {
            self.greet(peer);
        }
        Ok(peer)
    }

    /// Queues the gateway's greeting, or the part of it that does not depend on the peer's
    /// mechanism.
    pub(super) fn greet(&mut self, peer: PeerId) {
        let mut opening = Vec::new();
        if let Some(connection) = self.get(peer) {
            connection.open(&mut opening);
        }
        self.put(peer, |into| into.extend_from_slice(&opening));
    }

    pub(super) fn get(&mut self, peer: PeerId) -> Option<&mut Connection> {
        find(&mut self.places, peer)
    }

    /// Returns a connection for reading its state, or `None` if it is closed.
    pub(super) fn look(&self, peer: PeerId) -> Option<&Connection> {
        let connection = self.places.get(place_of(peer))?.as_deref()?;
        (connection.peer() == peer).then_some(connection)
    }

    /// Returns every connection.
    pub(super) fn all(&self) -> impl Iterator<Item = &Connection> {
        self.places.iter().filter_map(Option::as_deref)
    }

    /// Returns a connection and the buffers to read into.
    pub(super) fn with_buffers(
        &mut self,
        peer: PeerId,
    ) -> Option<(&mut Connection, &mut BufferPool)> {
        Some((find(&mut self.places, peer)?, &mut self.buffers))
    }

    /// Takes back a buffer that was read into.
    pub(super) fn give_back(&mut self, input: Input) {
        self.buffers.give_back(input);
    }

    /// Adopts `limits.client_bytes` and `limits.memory` of a configuration, in bytes.
    pub(super) fn set_limits(&mut self, client_bytes: u64, memory: u64) {
        self.client_bytes = client_bytes;
        self.outbox_max = client_bytes.min(self.memory.client_max());
        self.outbox_low = self.outbox_max;
        self.memory.set_bound(memory);
    }

    /// Counts a turn of the engine, which worked for `busy` since the last wait.
    pub(super) fn count_turn(&mut self, busy: Duration) {
        self.counters.turns.add(busy);
    }

    /// Removes and returns the next verdict of the judges, if there is one.
    pub(super) fn next_verdict(&mut self) -> Option<Box<Verdict<Vec<Vec<u8>>>>> {
        self.judges.next()
    }

    /// Counts bytes that were read.
    pub(super) fn count_read(&mut self, n: usize) {
        if let Some(bytes) = &mut self.counters.bytes_in {
            *bytes += n as u64;
        }
    }

    /// Counts a message that was received.
    pub(super) fn count_message(&mut self) {
        self.counters.messages_in += 1;
    }

    /// Adds an event for the core.
    pub(super) fn add_event(&mut self, event: Event<Message>) {
        self.events.push_back(event);
    }

    /// Removes and returns the next event for the core, if there is one.
    pub(super) fn next_event(&mut self) -> Option<Event<Message>> {
        self.events.pop_front()
    }

    /// Removes and returns the next worker that the core has released, if there is one.
    pub(super) fn next_released(&mut self) -> Option<PeerId> {
        self.released.pop()
    }

    /// Removes and returns the next peer that must be disconnected, with the reason, if there is
    /// one.
    pub(super) fn next_dismissed(&mut self) -> Option<(PeerId, String)> {
        self.dismissed.pop()
    }

    /// Removes and returns the next large frame to seal, with its receiver, if there is one.
    pub(super) fn next_to_seal(&mut self) -> Option<(PeerId, SealWork)> {
        self.to_seal.pop_front()
    }

    /// Puts a large frame, which has been sealed, at its place in the queue of its receiver.
    pub(super) fn sealed(&mut self, peer: PeerId, frame: Vec<u8>) {
        if let Some(connection) = self.get(peer) {
            connection.sealed(frame);
            self.mark_dirty(peer);
        }
    }

    /// Returns the number of queued bytes of all subscribers that can be written to.
    pub(super) fn unread_by_subscribers(&self) -> u64 {
        let subscribers = self.all().filter(|connection| connection.is_subscriber());
        subscribers.map(Connection::unwritten).sum()
    }

    /// Closes a connection, and settles its queued answers as [`Fate::Gone`]. Returns the call that
    /// must be made again, if the gateway made the connection.
    pub(super) fn close(&mut self, peer: PeerId) -> Option<DialId> {
        let place = place_of(peer);
        let entry = self.places.get_mut(place)?;
        let mut connection = entry.take_if(|connection| connection.peer() == peer)?;
        self.free.push(place);
        self.partial_bytes -= connection.partial_bytes();
        self.account -= connection.charged();
        note_unsent(&mut connection, &mut self.counters, 0);
        if connection.is_paused() {
            decrement(&mut self.counters.paused);
        }
        if connection.is_new() {
            increment(&mut self.counters.handshakes_failed);
        }
        connection.deregister(&self.registry);
        while let Some(outcome) = connection.next_lost() {
            let fate = Fate::Gone;
            self.events.push_back(Event::Settled { outcome, fate });
        }
        connection.dial()
    }

    /// Counts the failed handshake of a refused connection, if its handshake was not complete.
    pub(super) fn note_refused(&mut self, peer: PeerId) {
        let connection = find(&mut self.places, peer);
        if connection.is_some_and(|found| found.is_new()) {
            increment(&mut self.counters.handshakes_failed);
        }
    }

    /// Drops every queued answer with the fate [`Fate::Slow`], and returns their number.
    pub(super) fn give_up(&mut self) -> usize {
        let before = self.events.len();
        for connection in self.places.iter_mut().flatten() {
            while let Some(outcome) = connection.next_lost() {
                let fate = Fate::Slow;
                self.events.push_back(Event::Settled { outcome, fate });
            }
        }
        self.events.len() - before
    }
}

fn increment(count: &mut Option<u64>) {
    if let Some(count) = count {
        *count += 1;
    }
}

fn decrement(count: &mut Option<u64>) {
    if let Some(count) = count {
        *count = count.saturating_sub(1);
    }
}

/// Records the number of bytes that a client has left unread after a write.
fn note_unsent(connection: &mut Connection, counters: &mut EngineCounters, left: u64) {
    if let Some(before) = connection.count_unread(left) {
        counters.unsent_bytes = (counters.unsent_bytes + left).saturating_sub(before);
        let (now, then) = (u64::from(left > 0), u64::from(before > 0));
        counters.stalled = (counters.stalled + now).saturating_sub(then);
    }
}

fn place_of(peer: PeerId) -> usize {
    (peer.0 & (CONNECTIONS_MAX as u64 - 1)) as usize
}

fn find(places: &mut [Option<Box<Connection>>], peer: PeerId) -> Option<&mut Connection> {
    let connection = places.get_mut(place_of(peer))?.as_deref_mut()?;
    (connection.peer() == peer).then_some(connection)
}
