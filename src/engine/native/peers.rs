//! The connections there are, and the sending half of the engine: what the core calls.
//!
//! Nothing here reads or writes a stream while the core decides: a call appends to an outbox, and
//! all outboxes are written once a turn. What came to light meanwhile is told to the core
//! afterwards.

mod halves;
mod outlet;

use std::collections::VecDeque;
use std::time::Duration;

use mio::{Registry, Token};

use crate::core::Event;
use crate::engine::native::connection::{Connection, Flow, Origin, Phase, WriteEnd};
use crate::engine::native::dial::DialId;
use crate::engine::native::role::Role;
use crate::engine::native::stream::Stream;
use crate::engine::native::timers::Timers;
use crate::ledger::{EngineCounters, Fate};
use crate::peer::PeerId;
use gateway_zmtp::bytes::Input;
use gateway_zmtp::message::Message;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::{command, greeting};

/// Low bits of a peer's number: its place among the connections. The others count connections, so
/// that no number is ever used twice.
const PLACE_BITS: u32 = 20;

/// Connections that there may be at once; descriptors run out long before.
pub(super) const CONNECTIONS_MAX: usize = 1 << PLACE_BITS;

/// Bytes that wait for a worker beyond which it gets no further request: one that doesn't read must
/// not hold up what another could answer.
const WORKER_ROOM: u64 = 1 << 20;

/// Entries of timers beyond those of the connections there are, before those that mean nothing any
/// more are looked for.
const TIMERS_SPARE: usize = 4096;

/// All connections, and what is to be done with them.
pub(super) struct Peers {
    registry: Registry,
    places: Vec<Option<Box<Connection>>>,
    free: Vec<usize>,
    serial: u64,
    /// Those with something to read.
    ready: VecDeque<PeerId>,
    /// Those with something to write.
    dirty: Vec<PeerId>,
    /// What the core has yet to hear.
    news: VecDeque<Event<Message>>,
    /// Workers that have left, and that nobody waits for yet.
    released: Vec<PeerId>,
    buffers: BufferPool,
    timers: Timers,
    /// Bytes of answers that a client may leave unread: `limits.client_bytes`.
    outbox_max: u64,
    /// Memory that messages take which aren't whole.
    halves: u64,
    /// Its gauge of connections is filled in when somebody asks.
    counters: EngineCounters,
}

impl Peers {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            registry,
            places: Vec::new(),
            free: Vec::new(),
            serial: 0,
            ready: VecDeque::new(),
            dirty: Vec::new(),
            news: VecDeque::new(),
            released: Vec::new(),
            buffers: BufferPool::default(),
            timers: Timers::default(),
            outbox_max: u64::MAX,
            halves: 0,
            counters: EngineCounters {
                bytes_in: Some(0),
                bytes_out: Some(0),
                paused: Some(0),
                handshakes_failed: Some(0),
                ..EngineCounters::default()
            },
        }
    }

    /// The token under which the system tells of a peer.
    pub(super) fn token(peer: PeerId) -> Token {
        Token(peer.0 as usize)
    }

    /// The peer that a token means; not one of listeners and the like, whose tokens are small.
    pub(super) fn of_token(token: Token) -> Option<PeerId> {
        (token.0 >> PLACE_BITS > 0).then_some(PeerId(token.0 as u64))
    }

    /// How many connections there are.
    pub(super) fn count(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Adds a connection. One that a listener took in is greeted at once.
    ///
    /// # Errors
    ///
    /// Returns the reason why the system can't watch the stream.
    pub(super) fn add(
        &mut self,
        stream: Stream,
        role: Role,
        origin: Origin,
        now: Duration,
    ) -> std::io::Result<PeerId> {
        let place = self.free.last().copied().unwrap_or(self.places.len());
        let peer = PeerId((self.serial + 1) << PLACE_BITS | place as u64);
        let accepted = matches!(origin, Origin::Accepted);
        let mut connection = Box::new(Connection::new(peer, stream, role, origin, now));
        connection.register(&self.registry, Self::token(peer))?;
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

    /// Sends the gateway's greeting.
    pub(super) fn greet(&mut self, peer: PeerId) {
        self.put(peer, |into| into.extend_from_slice(&greeting::OURS));
    }

    pub(super) fn get(&mut self, peer: PeerId) -> Option<&mut Connection> {
        find(&mut self.places, peer)
    }

    /// Returns a connection, only to be looked at.
    pub(super) fn look(&self, peer: PeerId) -> Option<&Connection> {
        let connection = self.places.get(place_of(peer))?.as_deref()?;
        (connection.peer() == peer).then_some(connection)
    }

    /// Every connection.
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

    /// Sets the bytes of answers that a client may leave unread.
    pub(super) fn set_outbox_max(&mut self, bytes: u64) {
        self.outbox_max = bytes;
    }

    /// Counts a turn of the engine, which worked for `busy` since the last wait.
    pub(super) fn count_turn(&mut self, busy: Duration) {
        self.counters.turns += 1;
        self.counters.busy += busy;
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

    /// Adds an event that the core has yet to hear.
    pub(super) fn add_news(&mut self, event: Event<Message>) {
        self.news.push_back(event);
    }

    /// Takes the next event that the core has yet to hear.
    pub(super) fn next_news(&mut self) -> Option<Event<Message>> {
        self.news.pop_front()
    }

    /// Takes a worker that has left.
    pub(super) fn next_released(&mut self) -> Option<PeerId> {
        self.released.pop()
    }

    /// Returns the number of connections that have something to read.
    pub(super) fn ready_count(&self) -> usize {
        self.ready.len()
    }

    /// Takes the next connection that has something to read.
    pub(super) fn next_ready(&mut self) -> Option<PeerId> {
        self.ready.pop_front()
    }

    /// Appends protocol bytes for a peer.
    pub(super) fn put(&mut self, peer: PeerId, put: impl FnOnce(&mut Vec<u8>)) {
        let there = find(&mut self.places, peer).filter(|there| !there.is_mute());
        let Some(connection) = there else {
            return;
        };
        connection.put(&mut self.buffers, put);
        if connection.enlist_to_write() {
            self.dirty.push(peer);
        }
    }

    /// Has a peer looked at no later than `at`.
    pub(super) fn set_timer(&mut self, peer: PeerId, at: Duration) {
        if let Some(connection) = find(&mut self.places, peer)
            && connection.set_timer(at)
        {
            self.timers.add(at, peer);
        }
        // A peer whose timer is set ever earlier, or that comes and goes, leaves entries that mean
        // nothing.
        let connections = self.count();
        if self.timers.len() > 2 * connections + TIMERS_SPARE {
            let places = &mut self.places;
            self.timers.retain(|at, peer| {
                find(places, peer).is_some_and(|connection| connection.is_due_at(at))
            });
        }
    }

    /// Returns when the next timer is due.
    pub(super) fn next_timer(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Ends a timer that is due by `now`, and returns its peer.
    pub(super) fn next_due(&mut self, now: Duration) -> Option<PeerId> {
        while let Some((at, peer)) = self.timers.due(now) {
            let connection = find(&mut self.places, peer);
            if let Some(connection) = connection.filter(|there| there.is_due_at(at)) {
                connection.clear_timer();
                return Some(peer);
            }
        }
        None
    }

    /// Has a peer read in its turn, if there may be something and it may send more.
    pub(super) fn queue(&mut self, peer: PeerId) {
        let Some(connection) = find(&mut self.places, peer) else {
            return;
        };
        match connection.regulate(self.outbox_max) {
            Some(Flow::Paused) => increment(&mut self.counters.paused),
            Some(Flow::Reading) => decrement(&mut self.counters.paused),
            None => {}
        }
        if connection.enlist_to_read() {
            self.ready.push_back(peer);
        }
    }

    /// Returns whether a peer may be read now, out of its turn.
    pub(super) fn may_be_read(&mut self, peer: PeerId) -> bool {
        let outbox_max = self.outbox_max;
        let connection = find(&mut self.places, peer);
        connection.is_some_and(|there| !there.is_to_be_read() && !there.is_deaf(outbox_max))
    }

    /// Answers a peer's PING. One that doesn't read what it is sent could have us keep PONGs for it
    /// without end; behind all that, one more would tell it nothing.
    pub(super) fn pong(&mut self, peer: PeerId, context: &[u8]) {
        let reads = |there: &mut Connection| there.unwritten() <= WORKER_ROOM;
        if self.get(peer).is_some_and(reads) {
            self.put(peer, |into| command::put_pong(into, context));
        }
    }

    /// Has a peer written to at the end of the turn.
    pub(super) fn mark_dirty(&mut self, peer: PeerId) {
        if self.get(peer).is_some_and(Connection::enlist_to_write) {
            self.dirty.push(peer);
        }
    }

    /// Whether something waits to be written now.
    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Writes to all that have something waiting, as far as they take it.
    pub(super) fn flush(&mut self, now: Duration) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for peer in dirty.drain(..) {
            self.write(peer, now);
        }
        // What was marked meanwhile comes first next time; there is seldom anything.
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
    }

    /// Writes what waits for a peer even if the system has not told that it has room again: it may
    /// be about to.
    pub(super) fn try_to_write(&mut self, peer: PeerId, now: Duration) {
        if self.get(peer).is_some_and(Connection::retry) {
            self.write(peer, now);
        }
    }

    fn write(&mut self, peer: PeerId, now: Duration) {
        let Some(connection) = find(&mut self.places, peer) else {
            return;
        };
        let Some(written) = connection.write(&mut self.buffers, now) else {
            return;
        };
        if let Some(bytes) = &mut self.counters.bytes_out {
            *bytes += written.bytes;
        }
        let tried = written.end != WriteEnd::Untried;
        self.counters.full += u64::from(tried && written.left > 0);
        note_unsent(connection, &mut self.counters, written.left);
        while let Some(outcome) = connection.next_written() {
            let fate = Fate::Delivered;
            self.news.push_back(Event::Settled { outcome, fate });
        }
        if written.end == WriteEnd::Failed {
            return self.mute(peer);
        }
        if connection.has_sent_all() && connection.phase() == Phase::Closing {
            connection.finish();
        }
        if connection.unblock(WORKER_ROOM / 2) {
            self.news.push_back(Event::Writable { peer });
        }
        if connection.has_input() && !connection.is_to_be_read() {
            // It may have been deaf until now.
            self.queue(peer);
        }
    }

    /// Ends writing to a peer that can't be written to any more: what waits for it has met its
    /// fate. The peer is heard to the end, since a worker may have answered, and a client asked,
    /// before it went.
    fn mute(&mut self, peer: PeerId) {
        let Some(connection) = find(&mut self.places, peer) else {
            return;
        };
        while let Some(outcome) = connection.next_lost() {
            let fate = Fate::Gone;
            self.news.push_back(Event::Settled { outcome, fate });
        }
        connection.mute();
        note_unsent(connection, &mut self.counters, 0);
        self.queue(peer);
    }

    /// Closes a connection: what waits for the peer has met its fate. Returns the call that is to
    /// be made again.
    pub(super) fn close(&mut self, peer: PeerId) -> Option<DialId> {
        let place = place_of(peer);
        let there = self.places.get_mut(place)?;
        let mut connection = there.take_if(|connection| connection.peer() == peer)?;
        self.free.push(place);
        self.halves -= connection.half();
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
            self.news.push_back(Event::Settled { outcome, fate });
        }
        connection.dial()
    }

    /// A connection is told why it isn't served: if it was new, its handshake has failed.
    pub(super) fn note_refused(&mut self, peer: PeerId) {
        let connection = find(&mut self.places, peer);
        if connection.is_some_and(|it| it.is_new()) {
            increment(&mut self.counters.handshakes_failed);
        }
    }

    /// Gives up every answer that waits for its client; how many those were.
    pub(super) fn give_up(&mut self) -> usize {
        let before = self.news.len();
        for connection in self.places.iter_mut().flatten() {
            while let Some(outcome) = connection.next_lost() {
                let fate = Fate::Slow;
                self.news.push_back(Event::Settled { outcome, fate });
            }
        }
        self.news.len() - before
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

/// After a write, so many bytes are left for a client to take.
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
