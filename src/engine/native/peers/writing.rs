//! Writes the outboxes: at the end of each turn and, in some turns, before heavy peers are read.
//! Each time, the writes take a bounded time.

use std::time::Duration;

use crate::core::Event;
use crate::engine::native::clock::Clock;
use crate::engine::native::connection::{Connection, Phase, WriteEnd};
use crate::engine::native::peers::limits::{SUBSCRIPTION_ROOM, WORKER_ROOM};
use crate::engine::native::peers::{Peers, find, note_unsent};
use crate::engine::role::Role;
use crate::ledger::Fate;
use crate::peer::PeerId;
use gateway_zmtp::command;

/// The duration of a turn after which the remaining writes are left to the next turn, except that
/// each call of [`Peers::flush`] may write for [`WRITE_TIME_MIN`]. Without this limit, one message
/// to thousands of subscribers could make a turn very long.
const WRITE_TIME_MAX: Duration = Duration::from_millis(4);

/// The time for which each call of [`Peers::flush`] may write, even if the turn has already lasted
/// for [`WRITE_TIME_MAX`].
const WRITE_TIME_MIN: Duration = Duration::from_millis(1);

/// The number of writes after which the clock is read, to check for [`WRITE_TIME_MIN`] and
/// [`WRITE_TIME_MAX`].
const WRITES_UNTIMED: u64 = 64;

/// The number of written bytes that count as one more write, because writing them takes about as
/// long as a write of few bytes.
const BYTES_PER_WRITE: u64 = 16 << 10;

impl Peers {
    /// Appends protocol bytes for a peer.
    pub(in crate::engine::native) fn put(&mut self, peer: PeerId, put: impl FnOnce(&mut Vec<u8>)) {
        let found = find(&mut self.places, peer).filter(|connection| !connection.is_mute());
        let Some(connection) = found else {
            return;
        };
        connection.put(&mut self.buffers, put);
        if connection.enlist_to_write() {
            self.dirty.push(peer);
        }
    }

    /// Answers a peer's PING, unless too many bytes are queued for the peer. A peer that does not
    /// read could otherwise make the gateway queue PONGs without end, and a PONG after so many
    /// bytes would arrive too late.
    pub(in crate::engine::native) fn pong(&mut self, peer: PeerId, context: &[u8]) {
        let client_max = self.memory.client_max();
        let has_room = |connection: &mut Connection| {
            let room = if connection.role().has_workers() {
                WORKER_ROOM
            } else {
                WORKER_ROOM.min(client_max)
            };
            connection.unwritten() <= room
        };
        if self.get(peer).is_some_and(has_room) {
            self.put(peer, |into| command::put_pong(into, context));
        }
    }

    /// Schedules a write to a peer for the next call of [`Self::flush`], in this turn.
    pub(in crate::engine::native) fn mark_dirty(&mut self, peer: PeerId) {
        if self.get(peer).is_some_and(Connection::enlist_to_write) {
            self.dirty.push(peer);
        }
    }

    /// Returns whether a write is scheduled.
    pub(in crate::engine::native) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Writes the queued bytes of all peers, as far as the system takes the bytes. If that takes
    /// long, the remaining peers are first in the next turn.
    pub(in crate::engine::native) fn flush(&mut self, now: Duration, clock: &Clock) {
        let mut dirty = std::mem::take(&mut self.dirty);
        let (mut work, mut begun, mut written) = (0, None, 0);
        for peer in &dirty {
            work += 1 + self.write(*peer, now) / BYTES_PER_WRITE;
            written += 1;
            if work >= WRITES_UNTIMED {
                let time = clock.now();
                let writing = time.saturating_sub(*begun.get_or_insert(time));
                if writing >= WRITE_TIME_MIN && time.saturating_sub(now) >= WRITE_TIME_MAX {
                    break;
                }
                work = 0;
            }
        }
        dirty.drain(..written);
        // Peers that were marked during these writes come last. There are seldom any.
        dirty.append(&mut self.dirty);
        self.dirty = dirty;
    }

    /// Writes a peer's queued bytes even if the system has not reported room, because that report
    /// may be pending.
    pub(in crate::engine::native) fn try_to_write(&mut self, peer: PeerId, now: Duration) {
        if self.get(peer).is_some_and(Connection::retry) {
            self.write(peer, now);
        }
    }

    /// Writes to a peer, and returns the number of bytes that the system took.
    fn write(&mut self, peer: PeerId, now: Duration) -> u64 {
        let subscriber_room = self.subscriber_room();
        let Some(connection) = find(&mut self.places, peer) else {
            return 0;
        };
        while let Some(work) = connection.next_to_seal() {
            self.to_seal.push_back((peer, work));
        }
        let Some(written) = connection.write(&mut self.buffers, now) else {
            return 0;
        };
        if let Some(bytes) = &mut self.counters.bytes_out {
            *bytes += written.bytes;
        }
        let tried = written.end != WriteEnd::Untried;
        self.counters.full += u64::from(tried && written.left > 0);
        note_unsent(connection, &mut self.counters, written.left);
        while let Some(outcome) = connection.next_written() {
            let fate = Fate::Delivered;
            self.events.push_back(Event::Settled { outcome, fate });
        }
        connection.charge(&mut self.account);
        if written.end == WriteEnd::Failed {
            self.mute(peer);
            return written.bytes;
        }
        if connection.has_sent_all() && connection.phase() == Phase::Closing {
            connection.finish();
        }
        let room = match connection.role() {
            Role::Subscribers(_) => subscriber_room,
            Role::Publishers(_) => SUBSCRIPTION_ROOM,
            Role::Frontend(_) | Role::Pool(_) => WORKER_ROOM,
        };
        if connection.unblock(room / 2) {
            self.events.push_back(Event::Writable { peer });
        }
        if connection.has_input() && !connection.is_to_be_read() {
            // Reading from the peer may have been paused until now.
            self.queue(peer);
        }
        written.bytes
    }

    /// Ends writing to a peer that can no longer be written to, and settles its queued answers as
    /// [`Fate::Gone`]. The peer is still read to the end, because a worker may have sent answers
    /// before it disconnected, and a client may have sent requests.
    fn mute(&mut self, peer: PeerId) {
        let Some(connection) = find(&mut self.places, peer) else {
            return;
        };
        while let Some(outcome) = connection.next_lost() {
            let fate = Fate::Gone;
            self.events.push_back(Event::Settled { outcome, fate });
        }
        connection.mute();
        connection.charge(&mut self.account);
        note_unsent(connection, &mut self.counters, 0);
        self.queue(peer);
    }
}
