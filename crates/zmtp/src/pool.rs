//! A pool of buffers that are reused, so that a steady flow of messages allocates nothing.

use std::rc::Rc;

use crate::bytes::{Bytes, Input};
use crate::message::{Memory, Message};

/// The size of a read buffer, in bytes. It is so large that each message of a busy peer costs a
/// small part of a system call, and so small that the buffer stays in the processor's cache.
pub const READ_BUFFER_SIZE: usize = 64 << 10;

/// The maximum number of read buffers that are kept for reuse. The frames that arrive in one turn
/// of the event loop may keep about this many buffers in use.
const READ_BUFFERS_KEPT_MAX: usize = 64;

/// The minimum size of a frame's memory that is kept, in bytes. For memory of this size or more,
/// getting it from the system takes longer than filling it.
const LARGE_MIN: usize = 32 << 10;

/// The maximum total size of kept memory of large frames, in bytes. It suffices for one frame of
/// the largest usual size.
const LARGE_KEPT_MAX: usize = 16 << 20;

/// The size of a piece of output, in bytes. Output is appended to a piece up to this size, and then
/// a new piece begins. The growth of a larger piece would copy more bytes.
pub const PIECE: usize = 64 << 10;

/// The maximum number of written pieces that are kept for later writes.
const PIECES_KEPT_MAX: usize = 64;

/// The maximum number of emptied lists of frames that are kept.
const LISTS_KEPT_MAX: usize = 1024;

/// The maximum capacity of a kept list, in frames. Usual messages have fewer frames.
const LIST_CAPACITY_MAX: usize = 16;

/// The smallest size class of the memory of small queued messages, in bytes. Each size class is
/// twice the previous class. A message that is larger than this class thus takes less than twice
/// its bytes.
const QUEUED_SIZE_MIN: usize = 64;

/// The number of size classes, up to 1 KiB. Larger messages get memory of exactly their size.
const QUEUED_SIZE_CLASSES: usize = 5;

/// The maximum number of buffers that are kept of each size class. Busy clients have about a
/// thousand requests queued at a time. All classes together keep at most 2 MiB.
const QUEUED_KEPT_MAX: usize = 1024;

/// Read buffers, frames' memory, pieces to write and lists of frames, shared by all connections. An
/// idle connection owns none of them.
#[derive(Debug, Default)]
pub struct BufferPool {
    read_buffers: Vec<Rc<Vec<u8>>>,
    lists: Vec<Vec<Bytes>>,
    pieces: Vec<Vec<u8>>,
    /// The memory of small messages that were queued, by its size class.
    queued: [Vec<Rc<Vec<u8>>>; QUEUED_SIZE_CLASSES],
    large: Vec<Vec<u8>>,
    /// The sum of the capacities in `large`.
    large_bytes: usize,
}

impl BufferPool {
    /// Fills a read buffer by calling `read`, which returns the number of bytes that it wrote to
    /// the start of the buffer. Returns these bytes as input.
    ///
    /// # Errors
    ///
    /// Returns the error of `read`.
    pub fn fill<E>(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Input, E> {
        let mut buffer = self.read_buffer();
        let filled = match Rc::get_mut(&mut buffer) {
            Some(room) => read(room),
            None => Ok(0),
        };
        let input = Input::prefix(buffer, filled.as_ref().map_or(0, |n| *n));
        match filled {
            Ok(_) => Ok(input),
            Err(error) => {
                self.give_back(input);
                Err(error)
            }
        }
    }

    /// Returns a read buffer that no frame shares.
    pub(crate) fn read_buffer(&mut self) -> Rc<Vec<u8>> {
        // The buffer that was returned last is the most likely to be free and in the cache.
        let free = self
            .read_buffers
            .iter()
            .rposition(|buffer| Rc::strong_count(buffer) == 1);
        match free {
            Some(at) => self.read_buffers.remove(at),
            None => Rc::new(vec![0; READ_BUFFER_SIZE]),
        }
    }

    /// Takes back a read buffer. Frames may still share the buffer. It is reused once no frame
    /// shares it.
    pub fn give_back(&mut self, input: Input) {
        let buffer = input.into_buffer();
        if self.read_buffers.len() < READ_BUFFERS_KEPT_MAX && buffer.len() == READ_BUFFER_SIZE {
            self.read_buffers.push(buffer);
        }
    }

    /// Returns memory for a frame of `size` bytes that arrives in pieces. The memory may contain
    /// bytes of an earlier frame. Its length is at most `size` and may be 0. The capacity is at
    /// most about twice `size`, so that a small frame never keeps the memory of a large frame.
    pub fn large(&mut self, size: usize) -> Vec<u8> {
        if size < LARGE_MIN {
            return Vec::new();
        }
        // The memory that was kept last is the most likely to be in the cache.
        let fits = |memory: &Vec<u8>| memory.capacity() / 2 <= size;
        let Some(at) = self.large.iter().rposition(fits) else {
            return Vec::new();
        };
        let mut memory = self.large.swap_remove(at);
        self.large_bytes -= memory.capacity();
        memory.truncate(size);
        memory
    }

    /// Keeps a frame's memory if it is large and not shared.
    pub fn keep(&mut self, frame: Bytes) {
        let Some(memory) = frame.into_memory() else {
            return;
        };
        let bytes = memory.capacity();
        // A read buffer is returned to the pool by `give_back` instead.
        if bytes >= LARGE_MIN
            && bytes != READ_BUFFER_SIZE
            && self.large_bytes + bytes <= LARGE_KEPT_MAX
        {
            self.large_bytes += bytes;
            self.large.push(memory);
        }
    }

    /// Returns an empty piece to write into.
    pub fn piece(&mut self) -> Vec<u8> {
        self.pieces.pop().unwrap_or_default()
    }

    /// Keeps the memory of a written piece.
    pub fn keep_piece(&mut self, mut piece: Vec<u8>) {
        // A larger piece has grown for one large frame, and is not kept.
        if self.pieces.len() < PIECES_KEPT_MAX && piece.capacity() <= 2 * PIECE {
            piece.clear();
            self.pieces.push(piece);
        }
    }

    /// Returns an empty list of frames.
    pub fn list(&mut self) -> Vec<Bytes> {
        self.lists.pop().unwrap_or_default()
    }

    /// Returns the same message in memory of about its size, so that a queued message does not keep
    /// its read buffer from being reused.
    pub fn settle(&mut self, message: Message) -> Message {
        let queued = &mut self.queued;
        message.settle(|size| match queued_class(size) {
            Some(class) => queued[class]
                .pop()
                .unwrap_or_else(|| Rc::new(Vec::with_capacity(QUEUED_SIZE_MIN << class))),
            None => Rc::new(Vec::with_capacity(size)),
        })
    }

    /// Drops a message, and keeps its memory if it can be reused.
    #[inline]
    pub fn recycle(&mut self, message: Message) {
        match message.into_memory() {
            // A read buffer is left to `give_back`. Only memory from `settle` that nothing else
            // shares is kept here.
            Memory::Buffer(buffer) => {
                if Rc::strong_count(&buffer) == 1 {
                    self.keep_queued(buffer);
                }
            }
            Memory::List(frames) => self.keep_list(frames),
        }
    }

    /// Keeps the memory of a message that was queued.
    fn keep_queued(&mut self, buffer: Rc<Vec<u8>>) {
        let bytes = buffer.capacity();
        if let Some(class) = queued_class(bytes)
            && bytes == QUEUED_SIZE_MIN << class
            && self.queued[class].len() < QUEUED_KEPT_MAX
        {
            self.queued[class].push(buffer);
        }
    }

    /// Empties a list and keeps it. Also keeps the memory of the large frames that were in the
    /// list.
    fn keep_list(&mut self, mut frames: Vec<Bytes>) {
        for frame in frames.drain(..) {
            self.keep(frame);
        }
        if self.lists.len() < LISTS_KEPT_MAX && (1..=LIST_CAPACITY_MAX).contains(&frames.capacity())
        {
            self.lists.push(frames);
        }
    }
}

/// Returns the size class for a queued message of this number of bytes, or `None` if the message is
/// too large for any.
fn queued_class(bytes: usize) -> Option<usize> {
    let least = bytes.max(QUEUED_SIZE_MIN).next_power_of_two();
    let class = (least / QUEUED_SIZE_MIN).ilog2() as usize;
    (class < QUEUED_SIZE_CLASSES).then_some(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_reused_once_no_frame_shares_it() {
        let mut pool = BufferPool::default();
        let read = |byte: u8| {
            move |into: &mut [u8]| {
                into[..4].fill(byte);
                Ok::<_, ()>(4)
            }
        };
        let mut input = pool.fill(read(1)).unwrap();
        let frame = input.take(3);
        let at = frame.bytes().as_ptr();
        pool.give_back(input);
        let other = pool.fill(read(2)).unwrap();
        assert_eq!(
            frame.bytes(),
            [1, 1, 1],
            "a shared buffer is not overwritten"
        );
        pool.give_back(other);
        drop(frame);
        let mut seen = Vec::new();
        for _ in 0..2 {
            let input = pool.fill(read(3)).unwrap();
            seen.push(input.rest().as_ptr());
            pool.give_back(input);
            pool.read_buffers.rotate_left(1);
        }
        assert!(seen.contains(&at), "the buffer is reused");
    }

    #[test]
    fn a_frame_gets_no_memory_of_more_than_twice_its_size() {
        let mut pool = BufferPool::default();
        for size in [1 << 20, 100 << 10] {
            pool.keep(Bytes::from(vec![7; size]));
        }
        assert_eq!(pool.large(40 << 10).capacity(), 0);
        assert_eq!(pool.large(60 << 10).len(), 60 << 10);
        assert_eq!(pool.large(60 << 10).capacity(), 0);
        assert_eq!(pool.large(2 << 20).len(), 1 << 20);
        assert_eq!((pool.large.len(), pool.large_bytes), (0, 0));
    }
}
