//! The connections there are, and the sending half of the engine: what the core calls.
//!
//! Nothing here reads or writes a stream while the core decides: a call appends to an outbox, and all
//! outboxes are written once a turn. What came to light meanwhile is told to the core afterwards.

use std::collections::VecDeque;
use std::time::Duration;

use mio::{Interest, Registry, Token};

use super::bytes::{Bytes, Spare};
use super::connection::{Connection, Phase, Role};
use super::dial::DialId;
use super::stream::Stream;
use super::timers::Timers;
use super::zmtp::greeting;
use crate::core::{Event, Fate, Outcome, Outlet, PeerId};
use crate::frame;
use crate::metrics::EngineCounters;

/// Low bits of a peer's number: its place among the connections. The others count connections, so that no
/// number is ever used twice.
const PLACE_BITS: u32 = 20;

/// Connections that there may be at once; descriptors run out long before.
pub(super) const CONNECTIONS_MAX: usize = 1 << PLACE_BITS;

/// Bytes that wait for a worker beyond which it gets no further request: one that doesn't read must not
/// hold up what another could answer.
const WORKER_ROOM: u64 = 1 << 20;

/// Bytes that an answer in an outbox costs beside its frames, so that a flood of empty ones is bounded too.
const ANSWER_OVERHEAD: u64 = 64;

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
    /// Those that could not be written to.
    pub(super) broken: Vec<(PeerId, std::io::Error)>,
    /// Calls whose connection ended.
    pub(super) hung_up: Vec<DialId>,
    pub(super) spare: Spare,
    pub(super) timers: Timers,
    /// Bytes of answers that a client may leave unread: `limits.client_bytes`.
    pub(super) outbox_max: u64,
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
            broken: Vec::new(),
            hung_up: Vec::new(),
            spare: Spare::default(),
            timers: Timers::default(),
            outbox_max: u64::MAX,
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

    /// Whether another connection has a place.
    pub(super) fn has_room(&self) -> bool {
        self.places.len() - self.free.len() < CONNECTIONS_MAX
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
    pub(super) fn with_spare(&mut self, peer: PeerId) -> Option<(&mut Connection, &mut Spare)> {
        Some((find(&mut self.places, peer)?, &mut self.spare))
    }

    /// Appends protocol bytes for a peer.
    pub(super) fn put(&mut self, peer: PeerId, put: impl FnOnce(&mut Vec<u8>)) {
        let Some(connection) = find(&mut self.places, peer) else {
            return;
        };
        connection.outbox.put(&mut self.spare, put);
        if !std::mem::replace(&mut connection.dirty, true) {
            self.dirty.push(peer);
        }
    }

    /// Has a peer looked at no later than `at`.
    pub(super) fn set_timer(&mut self, peer: PeerId, at: Duration) {
        if let Some(connection) = find(&mut self.places, peer) {
            self.timers.set(connection, at);
        }
    }

    /// Has a peer read in its turn, if there may be something and it may send more.
    pub(super) fn queue(&mut self, peer: PeerId) {
        let full = self.outbox_max / 2;
        let Some(connection) = find(&mut self.places, peer) else {
            return;
        };
        // A client that doesn't read its answers is not read either: TCP pushes back.
        let deaf = connection.outbox.unwritten() > full;
        if connection.paused != deaf {
            connection.paused = deaf;
            moved(&mut self.counters.paused, deaf);
        }
        if connection.readable && !deaf && !std::mem::replace(&mut connection.queued, true) {
            self.ready.push_back(peer);
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
    pub(super) fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for peer in dirty.drain(..) {
            self.write(peer);
        }
        // What was marked meanwhile comes first next time; there is seldom anything.
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
    }

    fn write(&mut self, peer: PeerId) {
        let Some(connection) = find(&mut self.places, peer) else {
            return;
        };
        connection.dirty = false;
        if matches!(connection.phase, Phase::Connecting) {
            return;
        }
        let before = connection.outbox.unwritten();
        let written = connection.write(&mut self.spare);
        let left = connection.outbox.unwritten();
        if let Some(bytes) = &mut self.counters.bytes_out {
            *bytes += before - left;
        }
        self.counters.full += u64::from(left > 0);
        note_unsent(connection, &mut self.counters, left);
        while let Some(outcome) = connection.outbox.next_written() {
            let fate = Fate::Delivered;
            self.news.push_back(Event::Settled { outcome, fate });
        }
        if let Err(error) = written {
            self.broken.push((peer, error));
            return;
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
        if connection.readable && !connection.queued {
            // It may have been deaf until now.
            self.queue(peer);
        }
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

impl Outlet<Bytes> for Peers {
    fn to_worker(
        &mut self,
        worker: PeerId,
        head: &[&[u8]],
        body: Vec<Bytes>,
    ) -> Result<(), Vec<Bytes>> {
        let Some(connection) = find(&mut self.places, worker) else {
            return Err(body);
        };
        if connection.retired || connection.outbox.unwritten() > WORKER_ROOM {
            connection.blocked = true;
            self.counters.full += 1;
            return Err(body);
        }
        for part in head {
            connection.outbox.copy(&mut self.spare, part, true);
        }
        push(connection, &mut self.spare, &body);
        if !std::mem::replace(&mut connection.dirty, true) {
            self.dirty.push(worker);
        }
        self.spare.recycle(body);
        self.counters.messages_out += 1;
        Ok(())
    }

    fn to_client(&mut self, client: PeerId, frames: Vec<Bytes>, outcome: Outcome) -> Fate {
        let Some(connection) = find(&mut self.places, client) else {
            return Fate::Gone;
        };
        let bytes = frame::size(&frames) + ANSWER_OVERHEAD;
        let waiting = connection.outbox.unwritten();
        if waiting > 0 && waiting + bytes > self.outbox_max {
            return Fate::Slow;
        }
        push(connection, &mut self.spare, &frames);
        connection.outbox.mark(outcome);
        if !std::mem::replace(&mut connection.dirty, true) {
            self.dirty.push(client);
        }
        self.spare.recycle(frames);
        self.counters.messages_out += 1;
        Fate::Waiting
    }

    fn counters(&self) -> EngineCounters {
        EngineCounters {
            connections: Some((self.places.len() - self.free.len()) as u64),
            ..self.counters.clone()
        }
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

/// Appends a message, or what follows of one.
fn push(connection: &mut Connection, spare: &mut Spare, frames: &[Bytes]) {
    let last = frames.len().saturating_sub(1);
    for (n, frame) in frames.iter().enumerate() {
        connection.outbox.push(spare, frame, n < last);
    }
}
