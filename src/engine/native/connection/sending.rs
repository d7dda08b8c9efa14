//! The sending half of a connection: what waits to be written, and whether the system takes it.

use std::io;
use std::time::Duration;

use crate::engine::native::connection::listed::Listed;
use crate::engine::native::liveness::Liveness;
use crate::engine::native::outbox::Outbox;
use crate::engine::native::stream::Stream;
use crate::ledger::Outcome;
use gateway_zmtp::message::Message;
use gateway_zmtp::pool::BufferPool;

/// Whether the system takes what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// It has taken everything so far.
    Free,
    /// It had no room and will tell when it has. To try before then costs a call for nothing in
    /// each turn.
    Full,
    /// It has told so, and nothing has been written since.
    Again,
    /// It takes nothing any more: the peer has gone, and what it sent before that is still read.
    Gone,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::native) enum WriteEnd {
    /// Nothing was tried, since the system has no room.
    Untried,
    /// The system took everything, or had no room for the rest.
    Tried,
    /// The peer can't be written to.
    Failed,
}

/// What a write came to.
pub(in crate::engine::native) struct Written {
    /// Bytes that the system took.
    pub(in crate::engine::native) bytes: u64,
    /// Bytes that are left in the outbox.
    pub(in crate::engine::native) left: u64,
    pub(in crate::engine::native) end: WriteEnd,
}

/// The sending half.
#[derive(Debug)]
pub(super) struct Sending {
    outbox: Outbox,
    room: Room,
    /// In the list of connections to write to.
    listed: Listed,
    /// A request was turned back for want of room, so the core is to hear when there is some.
    blocked: bool,
    /// Bytes that the outbox had left when they were last counted.
    counted: u64,
}

impl Sending {
    pub(super) fn new() -> Self {
        Self {
            outbox: Outbox::default(),
            room: Room::Free,
            listed: Listed::Out,
            blocked: false,
            counted: 0,
        }
    }

    /// Returns whether the peer can't be written to any more.
    pub(super) fn is_gone(&self) -> bool {
        self.room == Room::Gone
    }

    /// Returns whether more is waiting than the system takes.
    pub(super) fn waits(&self) -> bool {
        self.room != Room::Free
    }

    /// Returns whether nothing waits to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Returns the number of bytes that wait to be written.
    pub(super) fn unwritten(&self) -> u64 {
        self.outbox.unwritten()
    }

    /// Returns the memory that they count as.
    pub(super) fn held(&self) -> u64 {
        self.outbox.held()
    }

    /// Appends protocol bytes.
    pub(super) fn put(&mut self, buffers: &mut BufferPool, put: impl FnOnce(&mut Vec<u8>)) {
        self.outbox.put(buffers, put);
    }

    /// Appends a request: its head, which is copied, and its body.
    pub(super) fn push_request(
        &mut self,
        buffers: &mut BufferPool,
        head: &[&[u8]],
        body: &Message,
    ) {
        self.outbox.push_message(buffers, head, body);
    }

    /// Appends an answer: its head, which is copied, and its body.
    pub(super) fn push_answer(
        &mut self,
        buffers: &mut BufferPool,
        head: &[&[u8]],
        body: &Message,
        outcome: Outcome,
    ) {
        self.outbox.push_message(buffers, head, body);
        self.outbox.mark(outcome);
    }

    /// Enters the list of connections to write to. Returns whether the connection is to be appended
    /// to it.
    pub(super) fn enlist(&mut self) -> bool {
        self.listed.enter()
    }

    /// Leaves that list, because the connection has its turn.
    pub(super) fn leave_list(&mut self) {
        self.listed.leave();
    }

    /// Notes that the system may have room again. Returns whether it had none.
    pub(super) fn retry(&mut self) -> bool {
        let full = self.room == Room::Full;
        if full {
            self.room = Room::Again;
        }
        full
    }

    /// Remembers that a request was turned back.
    pub(super) fn block(&mut self) {
        self.blocked = true;
    }

    /// Returns whether a request was turned back since the last call that returned true, and at
    /// most `room` bytes wait now.
    pub(super) fn unblock(&mut self, room: u64) -> bool {
        let unblocked = self.blocked && self.outbox.unwritten() <= room;
        self.blocked &= !unblocked;
        unblocked
    }

    /// Writes what waits, as far as the system takes it.
    pub(super) fn write(
        &mut self,
        stream: &Stream,
        liveness: &mut Liveness,
        buffers: &mut BufferPool,
        now: Duration,
    ) -> Written {
        let before = self.outbox.unwritten();
        let end = match self.room {
            Room::Full => {
                self.outbox.compact();
                WriteEnd::Untried
            }
            Room::Gone => WriteEnd::Tried,
            Room::Free | Room::Again => match self.try_write(stream, liveness, buffers, now) {
                Ok(()) => WriteEnd::Tried,
                Err(_) => WriteEnd::Failed,
            },
        };
        let left = self.outbox.unwritten();
        Written {
            bytes: before - left,
            left,
            end,
        }
    }

    fn try_write(
        &mut self,
        stream: &Stream,
        liveness: &mut Liveness,
        buffers: &mut BufferPool,
        now: Duration,
    ) -> io::Result<()> {
        let before = self.outbox.unwritten();
        let all = self.outbox.write(buffers, |slices| stream.write(slices))?;
        let written = before - self.outbox.unwritten();
        if self.room == Room::Again && written > 0 {
            liveness.took(written, now);
        } else {
            liveness.wrote(written);
        }
        if all {
            self.room = Room::Free;
            self.outbox.rest();
        } else {
            self.room = Room::Full;
            self.outbox.compact();
        }
        Ok(())
    }

    /// Returns an answer that was written and not returned before.
    pub(super) fn next_written(&mut self) -> Option<Outcome> {
        self.outbox.next_written()
    }

    /// Takes back an answer that will not be written.
    pub(super) fn next_lost(&mut self) -> Option<Outcome> {
        self.outbox.next_lost()
    }

    /// Drops what waits, because the peer can't be written to any more.
    pub(super) fn end(&mut self) {
        self.outbox = Outbox::default();
        self.room = Room::Gone;
    }

    /// Counts `left` bytes as unread by the peer. Returns the number that was counted before.
    pub(super) fn count(&mut self, left: u64) -> u64 {
        std::mem::replace(&mut self.counted, left)
    }
}
