//! Parts of shared buffers, so that the bytes of a frame need not be copied from the buffer into
//! which they were read.
//!
//! References to a buffer are counted without atomics, because no reference leaves the thread that
//! reads into the buffer.

use std::ops::Range;
use std::rc::Rc;

use zeroize::Zeroize as _;

/// A part of a shared buffer. Empty bytes share no buffer.
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

    /// Returns the same bytes in memory of exactly their size, so that a small frame does not keep
    /// alive the large buffer that received it.
    pub fn compact(self) -> Self {
        match self.into_own_memory() {
            Ok(mut memory) => {
                // The system shrinks large memory without copying it.
                memory.shrink_to_fit();
                Self::from(memory)
            }
            Err(shared) => match &shared.buffer {
                Some(buffer) if buffer.capacity() > shared.end - shared.start => {
                    Self::from(shared.bytes().to_vec())
                }
                _ => shared,
            },
        }
    }

    /// Returns the bytes in a range of a buffer. The range must lie within the buffer.
    pub(crate) fn part(buffer: Rc<Vec<u8>>, part: Range<usize>) -> Self {
        Self {
            buffer: (!part.is_empty()).then_some(buffer),
            start: part.start,
            end: part.end,
        }
    }

    /// Returns the memory of these bytes if the memory holds nothing else and is not shared.
    /// Otherwise, returns the bytes themselves as the error.
    pub(crate) fn into_own_memory(self) -> Result<Vec<u8>, Self> {
        let Self { buffer, start, end } = self;
        match buffer {
            Some(buffer) if start == 0 && end == buffer.len() => {
                Rc::try_unwrap(buffer).map_err(|buffer| Self {
                    buffer: Some(buffer),
                    start,
                    end,
                })
            }
            buffer => Err(Self { buffer, start, end }),
        }
    }

    /// Returns memory that contains these bytes and can be sent to another thread, and the range of
    /// the bytes in that memory. The bytes are copied if their memory is shared, or if they fill
    /// less than half of the memory.
    pub fn into_sendable(self) -> (Vec<u8>, Range<usize>) {
        let Self { buffer, start, end } = self;
        let Some(buffer) = buffer else {
            return (Vec::new(), 0..0);
        };
        if end - start < buffer.len() / 2 {
            return (buffer[start..end].to_vec(), 0..end - start);
        }
        match Rc::try_unwrap(buffer) {
            Ok(memory) => (memory, start..end),
            Err(buffer) => (buffer[start..end].to_vec(), 0..end - start),
        }
    }

    /// Overwrites the memory that holds these bytes, unless that memory is shared.
    pub(crate) fn wipe(self) {
        if let Some(mut memory) = self.into_memory() {
            memory.zeroize();
        }
    }

    /// Returns the memory of these bytes, or `None` if the memory is shared or the bytes are empty.
    pub(crate) fn into_memory(self) -> Option<Vec<u8>> {
        self.buffer.and_then(|buffer| Rc::try_unwrap(buffer).ok())
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

/// Bytes that were read and are not decoded yet: a part of a buffer.
#[derive(Debug, Default)]
pub struct Input {
    buffer: Rc<Vec<u8>>,
    unread: Range<usize>,
}

impl Input {
    /// Returns the first `filled` bytes of a buffer as input.
    pub(crate) fn prefix(buffer: Rc<Vec<u8>>, filled: usize) -> Self {
        let unread = 0..filled.min(buffer.len());
        Self { buffer, unread }
    }

    /// Returns the part of `bytes` from the offset `start` on as input.
    pub(crate) fn suffix(bytes: Vec<u8>, start: usize) -> Self {
        let end = bytes.len();
        Self {
            buffer: Rc::new(bytes),
            unread: start.min(end)..end,
        }
    }

    /// Returns the buffer, which taken frames may still share.
    pub(crate) fn into_buffer(self) -> Rc<Vec<u8>> {
        self.buffer
    }

    /// Returns the buffer, which frames may share, and the offset of the remaining bytes in the
    /// buffer.
    #[inline]
    pub(crate) fn position(&self) -> (&Rc<Vec<u8>>, usize) {
        (&self.buffer, self.unread.start)
    }

    /// Returns the remaining bytes.
    #[inline]
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.unread.clone()]
    }

    /// Returns the size of the memory that holds the remaining bytes, in bytes.
    pub fn memory(&self) -> usize {
        self.buffer.capacity()
    }

    /// Overwrites the bytes that were skipped or taken, unless a frame still shares the buffer.
    pub(crate) fn wipe_taken(&mut self) {
        if let Some(buffer) = Rc::get_mut(&mut self.buffer) {
            let taken = self.unread.start.min(buffer.len());
            buffer[..taken].zeroize();
        }
    }

    /// Skips `n` bytes, or all remaining bytes if there are fewer.
    pub fn skip(&mut self, n: usize) {
        self.unread.start = (self.unread.start + n).min(self.unread.end);
    }

    /// Takes the next `n` bytes without copying them, or all remaining bytes if there are fewer.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unshared_memory_is_shrunk_to_the_size_of_its_bytes() {
        let mut memory = Vec::with_capacity(1 << 20);
        memory.resize(600_000, 7);
        let frame = Bytes::from(memory).compact();
        assert_eq!(frame.bytes().len(), 600_000);
        assert_eq!(frame.buffer.as_ref().unwrap().capacity(), 600_000);
    }

    #[test]
    fn only_taken_bytes_that_are_not_shared_are_wiped() {
        let mut input = Input::from(vec![7; 10]);
        let shared = input.take(4);
        input.wipe_taken();
        assert_eq!(shared.bytes(), [7; 4]);
        drop(shared);
        input.wipe_taken();
        assert_eq!(
            (&input.buffer[..4], input.rest()),
            (&[0; 4][..], &[7; 6][..])
        );
    }

    #[test]
    fn compact_bytes_have_memory_of_their_own_size() {
        let mut input = Input::from(vec![7; 1000]);
        let frame = input.take(10).compact();
        assert_eq!(frame.bytes(), [7; 10]);
        let buffer = frame.buffer.as_ref().unwrap();
        assert_eq!(buffer.capacity(), 10);
        let at = buffer.as_ptr();
        let again = frame.compact();
        assert_eq!(
            again.bytes().as_ptr(),
            at,
            "compact bytes are not copied again"
        );
    }
}
