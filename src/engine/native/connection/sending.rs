//! The sending half of a connection: the queued bytes, and whether the system takes them.

use std::io;
use std::time::Duration;

use crate::engine::native::connection::listed::Listed;
use crate::engine::native::liveness::Liveness;
use crate::engine::native::outbox::Outbox;
use crate::engine::native::stream::Stream;
use crate::ledger::RequestOutcome;
use gateway_zmtp::curve::{FrameKind, SealWork, Sealer};
use gateway_zmtp::message::Message;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::{HEADER_MAX, LONG};

/// The system's room for written bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// The system has accepted all bytes so far.
    Free,
    /// The system had no room and will report when it has. A write before that would waste a system
    /// call in each turn.
    Full,
    /// The system has reported room, and nothing has been written since.
    Again,
    /// The system accepts no more bytes: the peer has disconnected, and its last input is still
    /// being read.
    Gone,
}

/// The way in which a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::native) enum WriteEnd {
    /// No write was attempted, since the system has no room.
    Untried,
    /// The system took all bytes, or had no room for the rest. Also the end of a write to a peer
    /// that had disconnected before, for which nothing is written.
    Tried,
    /// The peer cannot be written to.
    Failed,
}

/// The result of a write.
pub(in crate::engine::native) struct Written {
    /// The number of bytes that the system took.
    pub(in crate::engine::native) bytes: u64,
    /// The number of bytes in the outbox for which the system had no room.
    pub(in crate::engine::native) left: u64,
    pub(in crate::engine::native) end: WriteEnd,
}

/// The sending half.
#[derive(Debug)]
pub(super) struct Sending {
    outbox: Outbox,
    /// Seals, which means encrypts, every frame. `None` if frames are sent in clear text.
    sealer: Option<Box<Sealer>>,
    room: Room,
    /// The membership in the list of connections to write to.
    listed: Listed,
    /// True if a request, a published message or a subscription found no room, so that the core
    /// must be notified when there is room.
    blocked: bool,
    /// The number of bytes that this peer contributes to `EngineCounters::unsent_bytes`.
    counted: u64,
}

impl Sending {
    pub(super) fn new() -> Self {
        Self {
            outbox: Outbox::default(),
            sealer: None,
            room: Room::Free,
            listed: Listed::Out,
            blocked: false,
            counted: 0,
        }
    }

    /// Returns whether the peer cannot be written to any more.
    pub(super) fn is_gone(&self) -> bool {
        self.room == Room::Gone
    }

    /// Returns whether bytes that are appended now have to wait: the last write found no room, or
    /// the peer has disconnected.
    pub(super) fn waits(&self) -> bool {
        self.room != Room::Free
    }

    /// Returns whether nothing is queued.
    pub(super) fn is_empty(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Returns whether the next bytes are being sealed, so that there is nothing to write yet.
    pub(super) fn waits_for_seal(&self) -> bool {
        self.outbox.waits_for_seal()
    }

    /// Returns the number of queued bytes.
    pub(super) fn unwritten(&self) -> u64 {
        self.outbox.unwritten()
    }

    /// Returns the memory charged for the queue, in bytes: the queued bytes, and the additional
    /// cost of each answer.
    pub(super) fn held(&self) -> u64 {
        self.outbox.held()
    }

    /// Returns the memory that the queue takes, in bytes, including spare capacity and bytes that
    /// are written but not freed yet.
    pub(super) fn memory(&self) -> u64 {
        self.outbox.memory()
    }

    /// Encrypts everything that is appended from now on.
    pub(super) fn begin_to_seal(&mut self, sealer: Box<Sealer>) {
        self.sealer = Some(sealer);
    }

    /// Appends protocol bytes. After the handshake, these must be one command frame.
    pub(super) fn put(&mut self, buffers: &mut BufferPool, put: impl FnOnce(&mut Vec<u8>)) {
        let Some(sealer) = &mut self.sealer else {
            return self.outbox.put(buffers, put);
        };
        let mut frame = Vec::new();
        put(&mut frame);
        let long = frame.first().is_some_and(|flags| flags & LONG != 0);
        let header = if long { HEADER_MAX } else { 2 };
        if let Some(body) = frame.get(header..) {
            let kind = FrameKind::Command;
            self.outbox.put_sealed(buffers, sealer, kind, body);
        }
    }

    /// Appends a message: its head, which is copied, and its body.
    #[inline]
    fn push(&mut self, buffers: &mut BufferPool, head: &[&[u8]], body: Message) {
        match &mut self.sealer {
            None => {
                self.outbox.push_message(buffers, head, &body);
                buffers.recycle(body);
            }
            Some(sealer) => self.outbox.push_sealed(buffers, sealer, head, body),
        }
    }

    /// Appends a request, or another message whose fate is not recorded: its head, which is copied,
    /// and its body.
    pub(super) fn push_request(&mut self, buffers: &mut BufferPool, head: &[&[u8]], body: Message) {
        self.push(buffers, head, body);
    }

    /// Appends a message that other peers may share. The fate of the message is not recorded.
    pub(super) fn push_shared(&mut self, buffers: &mut BufferPool, body: &Message) {
        match &mut self.sealer {
            None => self.outbox.push_message(buffers, &[], body),
            Some(sealer) => self.outbox.push_sealed(buffers, sealer, &[], body.clone()),
        }
    }

    /// Appends an answer: its head, which is copied, and its body.
    pub(super) fn push_answer(
        &mut self,
        buffers: &mut BufferPool,
        head: &[&[u8]],
        body: Message,
        outcome: RequestOutcome,
    ) {
        self.push(buffers, head, body);
        self.outbox.mark(outcome);
    }

    /// Removes and returns the next large frame to seal, if there is one. The frames must be sealed
    /// in the order in which they are returned.
    pub(super) fn next_to_seal(&mut self) -> Option<SealWork> {
        self.outbox.next_to_seal()
    }

    /// Puts the sealed form of the next large frame into its place.
    pub(super) fn sealed(&mut self, frame: Vec<u8>) {
        self.outbox.sealed(frame);
    }

    /// Records that the connection is in the list of connections to write to. Returns true if it
    /// was not in the list before, so that the caller must append it to the list.
    pub(super) fn enlist(&mut self) -> bool {
        self.listed.enter()
    }

    /// Records that the connection was removed from the list of connections to write to, because it
    /// has its turn.
    pub(super) fn leave_list(&mut self) {
        self.listed.leave();
    }

    /// Records that the system may have room again. Returns whether it had no room before.
    pub(super) fn retry(&mut self) -> bool {
        let full = self.room == Room::Full;
        if full {
            self.room = Room::Again;
        }
        full
    }

    /// Records that a request, a published message or a subscription found no room.
    pub(super) fn block(&mut self) {
        self.blocked = true;
    }

    /// Returns whether the peer is [blocked](Self::block), and at most `room` bytes are queued now.
    /// If so, the peer no longer counts as blocked.
    pub(super) fn unblock(&mut self, room: u64) -> bool {
        let unblocked = self.blocked && self.outbox.unwritten() <= room;
        self.blocked &= !unblocked;
        unblocked
    }

    /// Writes the queued bytes, as far as the system takes them.
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
            left: if self.outbox.waits_for_seal() {
                0
            } else {
                left
            },
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

    /// Removes the next answer that is completely written, and returns its outcome. Returns `None`
    /// if there is no such answer.
    pub(super) fn next_written(&mut self) -> Option<RequestOutcome> {
        self.outbox.next_written()
    }

    /// Removes the next queued answer, written or not, because no answer will be written any more.
    /// Returns its outcome, or `None` if no answer is queued.
    pub(super) fn next_lost(&mut self) -> Option<RequestOutcome> {
        self.outbox.next_lost()
    }

    /// Drops the queued bytes, because the peer cannot be written to any more.
    pub(super) fn end(&mut self) {
        self.outbox = Outbox::default();
        self.room = Room::Gone;
    }

    /// Records that this peer contributes `left` bytes to `EngineCounters::unsent_bytes`. Returns
    /// the number that was recorded before.
    pub(super) fn count(&mut self, left: u64) -> u64 {
        std::mem::replace(&mut self.counted, left)
    }
}
