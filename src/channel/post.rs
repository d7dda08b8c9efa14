//! A published message that several subscribers and the kept messages share.

use std::cell::Cell;

use crate::frame::Frames;

/// The memory charged for a message in addition to its frames, in bytes: its entries in the list of
/// kept messages and in maps.
pub(super) const POST_CHARGE: u64 = 256;

/// The memory charged for each subscriber for which a message waits, in bytes: the entry in that
/// subscriber's queue.
pub(super) const PLACE_CHARGE: u64 = 48;

/// A published message in memory of its own.
#[derive(Debug)]
pub(super) struct Post<M> {
    body: M,
    /// The length of the type, with which the first frame begins.
    kind_length: usize,
    bytes: u64,
    /// The number of subscribers' queues that contain the message.
    queues: Cell<u32>,
}

impl<M: Frames> Post<M> {
    /// Returns a post with this body, whose first frame begins with a type of `kind_length` bytes.
    pub(super) fn new(body: M, kind_length: usize) -> Self {
        let bytes = POST_CHARGE + body.size();
        Self {
            body,
            kind_length,
            bytes,
            queues: Cell::new(0),
        }
    }

    /// Returns the message.
    pub(super) fn body(&self) -> &M {
        &self.body
    }

    /// Returns the type.
    pub(super) fn kind(&self) -> &[u8] {
        let first = self.body.get(0).unwrap_or_default();
        first.get(..self.kind_length).unwrap_or(first)
    }

    /// Returns the memory charged for the message, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Records that the message waits for one more subscriber, and adds the bytes charged for the
    /// queue entry to `memory`. The first entry is also charged for the message itself.
    pub(super) fn enter_queue(&self, memory: &mut u64) {
        if self.queues.get() == 0 {
            *memory += self.bytes;
        }
        *memory += PLACE_CHARGE;
        self.queues.set(self.queues.get() + 1);
    }

    /// Records that the message waits for one subscriber fewer, and subtracts the bytes charged for
    /// the queue entry from `memory`. With the last entry, also subtracts the bytes of the message
    /// itself.
    pub(super) fn leave_queue(&self, memory: &mut u64) {
        self.queues.set(self.queues.get() - 1);
        if self.queues.get() == 0 {
            *memory -= self.bytes;
        }
        *memory -= PLACE_CHARGE;
    }
}

/// A frame of the messages in tests.
#[cfg(test)]
pub(super) type Frame = Vec<u8>;

/// Returns a post for tests. Its payload is `text`, and its type is the first byte of `text`.
#[cfg(test)]
pub(super) fn post(text: &str) -> std::rc::Rc<Post<Vec<Frame>>> {
    let frames = vec![text.as_bytes()[..1].to_vec(), text.as_bytes().to_vec()];
    std::rc::Rc::new(Post::new(frames, 1))
}
