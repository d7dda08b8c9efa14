//! A frame's bytes: a piece of the buffer that it was received in, shared, not copied.
//!
//! Buffers are counted without atomics: they never leave the data thread. A buffer that nobody shares
//! any more is read into again, so a steady flow allocates nothing.

use std::ops::Range;
use std::rc::Rc;

/// Bytes that one read takes in at most. Large enough that a busy peer's messages cost a small part of
/// a system call each; small enough to stay in the processor's cache.
pub const CHUNK: usize = 64 << 10;

/// Buffers that are kept to be read into again: what a turn's large frames may hold on to.
const CHUNKS_KEPT: usize = 64;

/// Bytes from which a frame's memory is kept to be used again: from here on, getting it anew from the system
/// costs more than filling it.
const LARGE_MIN: usize = 32 << 10;

/// Bytes of such memory that are kept at most.
const LARGE_KEPT: usize = 16 << 20;

/// Bytes that are copied together to be written; then a new piece is begun, so that none is moved to grow.
pub const PIECE: usize = 64 << 10;

/// Emptied pieces that are kept for the next ones to write.
const PIECES_KEPT: usize = 64;

/// Emptied lists of frames that are kept to be filled again.
const LISTS_KEPT: usize = 1024;

/// Frames that a list may have room for and still be kept: a usual message has fewer.
const LIST_ROOM: usize = 16;

/// A piece of a shared buffer; without one it is empty.
#[derive(Clone, Debug, Default)]
pub struct Bytes {
    buffer: Option<Rc<Vec<u8>>>,
    start: usize,
    end: usize,
}

impl Bytes {
    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.buffer {
            Some(buffer) => &buffer[self.start..self.end],
            None => &[],
        }
    }

    /// Returns the same bytes in memory of their own size, so that a small piece that is kept
    /// does not keep the large buffer alive that it was received in.
    pub fn compact(self) -> Self {
        let length = self.end - self.start;
        match &self.buffer {
            Some(buffer) if buffer.capacity() > length => Self::from(self.bytes().to_vec()),
            _ => self,
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        let end = bytes.len();
        Self {
            buffer: (end > 0).then(|| Rc::new(bytes)),
            start: 0,
            end,
        }
    }
}

/// What was read and is not decoded yet: a part of a buffer.
#[derive(Debug, Default)]
pub struct Input {
    buffer: Rc<Vec<u8>>,
    unread: Range<usize>,
}

impl Input {
    /// The bytes that are left.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.unread.clone()]
    }

    /// Passes over `n` bytes, at most what is left.
    pub fn skip(&mut self, n: usize) {
        self.unread.start = (self.unread.start + n).min(self.unread.end);
    }

    /// Takes the next `n` bytes, at most what is left, without copying them.
    pub fn take(&mut self, n: usize) -> Bytes {
        let start = self.unread.start;
        self.skip(n);
        let end = self.unread.start;
        Bytes {
            buffer: (end > start).then(|| Rc::clone(&self.buffer)),
            start,
            end,
        }
    }
}

impl From<Vec<u8>> for Input {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            unread: 0..bytes.len(),
            buffer: Rc::new(bytes),
        }
    }
}

/// Memory that was used and can be used again, shared by all connections: one at rest owns none.
#[derive(Debug, Default)]
pub struct Spare {
    chunks: Vec<Rc<Vec<u8>>>,
    lists: Vec<Vec<Bytes>>,
    pieces: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    /// Bytes of all in `large`.
    large_bytes: usize,
}

impl Spare {
    /// Fills a buffer by `read`, which says how many bytes it put at its front.
    pub fn fill<E>(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Input, E> {
        let mut buffer = self.chunk();
        let filled = match Rc::get_mut(&mut buffer) {
            Some(chunk) => read(chunk),
            None => Ok(0),
        };
        let unread = 0..filled.as_ref().map_or(0, |n| buffer.len().min(*n));
        let input = Input { buffer, unread };
        match filled {
            Ok(_) => Ok(input),
            Err(error) => {
                self.give_back(input);
                Err(error)
            }
        }
    }

    /// A buffer that nobody shares.
    fn chunk(&mut self) -> Rc<Vec<u8>> {
        // The last one given back is the likeliest to be free, and to be in the cache.
        let free = self
            .chunks
            .iter()
            .rposition(|chunk| Rc::strong_count(chunk) == 1);
        match free {
            Some(at) => self.chunks.remove(at),
            None => Rc::new(vec![0; CHUNK]),
        }
    }

    /// Gives back what was read into; frames may still share it.
    pub fn give_back(&mut self, input: Input) {
        if self.chunks.len() < CHUNKS_KEPT && input.buffer.len() == CHUNK {
            self.chunks.push(input.buffer);
        }
    }

    /// Memory for a frame of `size` bytes that comes in pieces: as much as is at hand, up to that, in a place not
    /// more than twice as large, so that no small frame keeps a large one's. What it holds means nothing.
    pub fn large(&mut self, size: usize) -> Vec<u8> {
        if size < LARGE_MIN {
            return Vec::new();
        }
        // The last one kept is the likeliest to be in the cache.
        let fits = |memory: &Vec<u8>| memory.capacity() / 2 <= size;
        let Some(at) = self.large.iter().rposition(fits) else {
            return Vec::new();
        };
        let mut memory = self.large.swap_remove(at);
        self.large_bytes -= memory.capacity();
        memory.truncate(size);
        memory
    }

    /// Keeps a frame's memory if it is large and nobody shares it.
    pub fn keep(&mut self, frame: Bytes) {
        let Some(Ok(memory)) = frame.buffer.map(Rc::try_unwrap) else {
            return;
        };
        let bytes = memory.capacity();
        // A buffer that was read into has its own way back.
        if bytes >= LARGE_MIN && bytes != CHUNK && self.large_bytes + bytes <= LARGE_KEPT {
            self.large_bytes += bytes;
            self.large.push(memory);
        }
    }

    /// An empty piece to write into.
    pub fn piece(&mut self) -> Vec<u8> {
        self.pieces.pop().unwrap_or_default()
    }

    /// Keeps a piece that is written.
    pub fn keep_piece(&mut self, mut piece: Vec<u8>) {
        // Larger ones were grown for one frame.
        if self.pieces.len() < PIECES_KEPT && piece.capacity() <= 2 * PIECE {
            piece.clear();
            self.pieces.push(piece);
        }
    }

    /// An empty list.
    pub fn list(&mut self) -> Vec<Bytes> {
        self.lists.pop().unwrap_or_default()
    }

    /// Lets go of a message's frames and keeps their list.
    pub fn recycle(&mut self, mut frames: Vec<Bytes>) {
        frames.clear();
        if self.lists.len() < LISTS_KEPT && (1..=LIST_ROOM).contains(&frames.capacity()) {
            self.lists.push(frames);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_read_into_again_once_nobody_shares_it() {
        let mut spare = Spare::default();
        let read = |byte: u8| {
            move |into: &mut [u8]| {
                into[..4].fill(byte);
                Ok::<_, ()>(4)
            }
        };
        let mut input = spare.fill(read(1)).unwrap();
        let frame = input.take(3);
        let at = frame.bytes().as_ptr();
        spare.give_back(input);
        let other = spare.fill(read(2)).unwrap();
        assert_eq!(frame.bytes(), [1, 1, 1], "what is shared stays as it is");
        spare.give_back(other);
        drop(frame);
        let mut seen = Vec::new();
        for _ in 0..2 {
            let input = spare.fill(read(3)).unwrap();
            seen.push(input.rest().as_ptr());
            spare.give_back(input);
            spare.chunks.rotate_left(1);
        }
        assert!(seen.contains(&at), "it came back into use");
    }

    #[test]
    fn a_frame_gets_no_memory_of_more_than_twice_its_size() {
        let mut spare = Spare::default();
        for size in [1 << 20, 100 << 10] {
            spare.keep(Bytes::from(vec![7; size]));
        }
        assert_eq!(spare.large(40 << 10).capacity(), 0);
        assert_eq!(spare.large(60 << 10).len(), 60 << 10);
        assert_eq!(spare.large(60 << 10).capacity(), 0);
        assert_eq!(spare.large(2 << 20).len(), 1 << 20);
        assert_eq!((spare.large.len(), spare.large_bytes), (0, 0));
    }

    #[test]
    fn what_is_compact_has_memory_of_its_own_size() {
        let mut input = Input::from(vec![7; 1000]);
        let frame = input.take(10).compact();
        assert_eq!(frame.bytes(), [7; 10]);
        let buffer = frame.buffer.as_ref().unwrap();
        assert_eq!(buffer.capacity(), 10);
        let at = buffer.as_ptr();
        let again = frame.compact();
        assert_eq!(again.bytes().as_ptr(), at, "it is not copied twice");
    }
}
