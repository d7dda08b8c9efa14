//! The connections there are, and the sending half of the engine: what the core calls.
//!
//! Nothing here reads or writes a stream while the core decides: a call appends to an outbox, and all
//! outboxes are written once a turn. What came to light meanwhile is told to the core afterwards.

mod halves;
mod outlet;

use std::collections::VecDeque;
use std::time::Duration;

use mio::{Interest, Registry, Token};

use super::connection::{Connection, Phase, Role, Room};
use super::dial::DialId;
use super::outbox::Outbox;
use super::stream::Stream;
use super::timers::Timers;
use crate::core::Event;
use crate::ledger::{EngineCounters, Fate};
use crate::peer::PeerId;
use gateway_zmtp::bytes::Bytes;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::{command, greeting};

/// Low bits of a peer's number: its place among the connections. The others count connections, so that no
/// number is ever used twice.
const PLACE_BITS: u32 = 20;

/// Connections that there may be at once; descriptors run out long before.
pub(super) const CONNECTIONS_MAX: usize = 1 << PLACE_BITS;

/// Bytes that wait for a worker beyond which it gets no further request: one that doesn't read must not
/// hold up what another could answer.
const WORKER_ROOM: u64 = 1 << 20;

/// Entries of timers beyond those of the connections there are, before those that mean nothing any more are
/// looked for.
const TIMERS_SPARE: usize = 4096;

/// All connections, and what is to be done with them.
pub(super) struct Peers {
    registry: Registry,
    places: Vec<Option<Box<Connection>>>,
    free: Vec<usize>,
    serial: u64,
    /// Those with something to read.
    pub(super) ready: VecDeque<PeerId>,
    /// Those with something to write.
    dirty: Vec<PeerId>,
    /// What the core has yet to hear.
    pub(super) news: VecDeque<Event<Bytes>>,
    /// Calls whose connection ended.
    pub(super) hung_up: Vec<DialId>,
    pub(super) buffers: BufferPool,
    pub(super) timers: Timers,
    /// Bytes of answers that a client may leave unread: `limits.client_bytes`.
    pub(super) outbox_max: u64,
    /// Memory that messages take which aren't whole.
    halves: u64,
    /// Its gauge of connections is filled in when somebody asks.
    pub(super) counters: EngineCounters,
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
            hung_up: Vec::new(),
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

    /// Takes over a connection, which is greeted at once.
    pub(super) fn add(
        &mut self,
        mut stream: Stream,
        role: Role,
        dial: Option<DialId>,
        now: Duration,
    ) -> std::io::Result<PeerId> {
        let place = self.free.last().copied().unwrap_or(self.places.len());
        let peer = PeerId((self.serial + 1) << PLACE_BITS | place as u64);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.registry
            .register(&mut stream, Self::token(peer), interest)?;
        self.serial += 1;
        let connection = Box::new(Connection::new(peer, stream, role, dial, now));
        match self.free.pop() {
            Some(place) => self.places[place] = Some(connection),
            None => self.places.push(Some(connection)),
        }
        if dial.is_none() {
            self.greet(peer);
        }
        Ok(peer)
    }

    /// Says our greeting.
    pub(super) fn greet(&mut self, peer: PeerId) {
        self.put(peer, |into| into.extend_from_slice(&greeting::OURS));
    }

    pub(super) fn get(&mut self, peer: PeerId) -> Option<&mut Connection> {
        find(&mut self.places, peer)
    }

    /// Every connection.
    pub(super) fn all(&self) -> impl Iterator<Item = &Connection> {
        self.places.iter().filter_map(Option::as_deref)
    }

    /// A connection and what it needs to read into.
    pub(super) fn with_buffers(
        &mut self,
        peer: PeerId,
    ) -> Option<(&mut Connection, &mut BufferPool)> {
        Some((find(&mut self.places, peer)?, &mut self.buffers))
    }

    /// Appends protocol bytes for a peer.
    pub(super) fn put(&mut self, peer: PeerId, put: impl FnOnce(&mut Vec<u8>)) {
        let there = find(&mut self.places, peer).filter(|it| !it.mute);
        let Some(connection) = there else {
            return;
        };
        connection.outbox.put(&mut self.buffers, put);
        if !std::mem::replace(&mut connection.dirty, true) {
            self.dirty.push(peer);
        }
    }

    /// Has a peer looked at no later than `at`.
    pub(super) fn set_timer(&mut self, peer: PeerId, at: Duration) {
        if let Some(connection) = find(&mut self.places, peer) {
            self.timers.set(connection, at);
        }
        // A peer that ever asks to be looked at sooner, or comes and goes, leaves entries behind.
        let connections = self.count();
        if self.timers.len() > 2 * connections + TIMERS_SPARE {
            let places = &mut self.places;
            self.timers.retain(|at, peer| {
                find(places, peer).is_some_and(|connection| connection.timer == Some(at))
            });
        }
    }

    /// Has a peer read in its turn, if there may be something and it may send more.
    pub(super) fn queue(&mut self, peer: PeerId) {
        let outbox_max = self.outbox_max;
        let Some(connection) = find(&mut self.places, peer) else {
            return;
        };
        let deaf = connection.is_deaf(outbox_max);
        if connection.paused != deaf {
            connection.paused = deaf;
            moved(&mut self.counters.paused, deaf);
        }
        let reads = connection.has_input() && !deaf;
        if reads && !std::mem::replace(&mut connection.queued, true) {
            self.ready.push_back(peer);
        }
    }

    /// Answers a peer's PING. One that doesn't read what it is sent could have us keep PONGs for it without
    /// end; behind all that, one more would tell it nothing.
    pub(super) fn pong(&mut self, peer: PeerId, context: &[u8]) {
        let reads = |it: &mut Connection| it.outbox.unwritten() <= WORKER_ROOM;
        if self.get(peer).is_some_and(reads) {
            self.put(peer, |into| command::put_pong(into, context));
        }
    }

    /// Has a peer written to at the end of the turn.
    pub(super) fn mark_dirty(&mut self, peer: PeerId) {
        if let Some(connection) = self.get(peer) {
            if !std::mem::replace(&mut connection.dirty, true) {
                self.dirty.push(peer);
            }
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

    /// Writes what waits for a peer even if the system has not told that it has room again: it may be about to.
    pub(super) fn try_to_write(&mut self, peer: PeerId, now: Duration) {
        if let Some(connection) = find(&mut self.places, peer) {
            if connection.room == Room::Full {
                connection.room = Room::Again;
                self.write(peer, now);
            }
        }
    }

    fn write(&mut self, peer: PeerId, now: Duration) {
        let Some(connection) = find(&mut self.places, peer) else {
            return;
        };
        connection.dirty = false;
        if matches!(connection.phase, Phase::Connecting) {
            return;
        }
        let tried = connection.room != Room::Full;
        let before = connection.outbox.unwritten();
        let written = connection.write(&mut self.buffers, now);
        let left = connection.outbox.unwritten();
        if let Some(bytes) = &mut self.counters.bytes_out {
            *bytes += before - left;
        }
        self.counters.full += u64::from(tried && left > 0);
        note_unsent(connection, &mut self.counters, left);
        while let Some(outcome) = connection.outbox.next_written() {
            let fate = Fate::Delivered;
            self.news.push_back(Event::Settled { outcome, fate });
        }
        if written.is_err() {
            return self.mute(peer);
        }
        if connection.outbox.is_empty() && matches!(connection.phase, Phase::Closing) {
            connection.stream.finish();
        }
        if connection.blocked && connection.outbox.unwritten() <= WORKER_ROOM / 2 {
            connection.blocked = false;
            if !connection.retired {
                self.news.push_back(Event::Writable { peer });
            }
        }
        if connection.has_input() && !connection.queued {
            // It may have been deaf until now.
            self.queue(peer);
        }
    }

    /// A peer can't be written to any more, so what waits for it has met its fate. It is heard to the end: a
    /// worker may have answered, and a client asked, before it went.
    fn mute(&mut self, peer: PeerId) {
        let Some(connection) = find(&mut self.places, peer) else {
            return;
        };
        connection.mute = true;
        connection.half_closed = true;
        connection.readable = true;
        while let Some(outcome) = connection.outbox.next_lost() {
            let fate = Fate::Gone;
            self.news.push_back(Event::Settled { outcome, fate });
        }
        connection.outbox = Outbox::default();
        note_unsent(connection, &mut self.counters, 0);
        self.queue(peer);
    }

    /// Ends a connection. What waited for it has met its fate.
    pub(super) fn close(&mut self, peer: PeerId) {
        let place = place_of(peer);
        let there = self.places.get_mut(place);
        let there = there.filter(|it| it.as_ref().is_some_and(|it| it.peer == peer));
        let Some(mut connection) = there.and_then(Option::take) else {
            return;
        };
        self.free.push(place);
        self.halves -= connection.half;
        note_unsent(&mut connection, &mut self.counters, 0);
        if connection.paused {
            moved(&mut self.counters.paused, false);
        }
        if connection.is_new() {
            moved(&mut self.counters.handshakes_failed, true);
        }
        // A stream that is closed is deregistered by the system.
        let _ = self.registry.deregister(&mut connection.stream);
        while let Some(outcome) = connection.outbox.next_lost() {
            let fate = Fate::Gone;
            self.news.push_back(Event::Settled { outcome, fate });
        }
        self.hung_up.extend(connection.dial);
    }

    /// A connection is told why it isn't served: if it was new, its handshake has failed.
    pub(super) fn note_refused(&mut self, peer: PeerId) {
        let connection = find(&mut self.places, peer);
        if connection.is_some_and(|it| it.is_new()) {
            moved(&mut self.counters.handshakes_failed, true);
        }
    }

    /// Gives up every answer that waits for its client; how many those were.
    pub(super) fn give_up(&mut self) -> usize {
        let before = self.news.len();
        for connection in self.places.iter_mut().flatten() {
            while let Some(outcome) = connection.outbox.next_lost() {
                let fate = Fate::Slow;
                self.news.push_back(Event::Settled { outcome, fate });
            }
        }
        self.news.len() - before
    }
}

/// One more, or one less.
fn moved(count: &mut Option<u64>, up: bool) {
    if let Some(count) = count {
        *count = match up {
            true => *count + 1,
            false => count.saturating_sub(1),
        };
    }
}

/// After a write, so many bytes are left for a client to take.
fn note_unsent(connection: &mut Connection, counters: &mut EngineCounters, left: u64) {
    if matches!(connection.role, Role::Frontend(_)) {
        let before = std::mem::replace(&mut connection.left, left);
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
    (connection.peer == peer).then_some(connection)
}
