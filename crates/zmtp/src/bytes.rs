//! A frame's bytes: a part of the buffer that it was received in, shared rather than copied.
//!
//! Buffers are counted without atomics, because they never leave the thread that reads them.

use std::ops::Range;
use std::rc::Rc;

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

    /// Returns the same bytes in memory of their own size, so that a small piece that is kept
    /// does not keep the large buffer alive that it was received in.
    pub fn compact(self) -> Self {
        let length = self.end - self.start;
        match &self.buffer {
            Some(buffer) if buffer.capacity() > length => Self::from(self.bytes().to_vec()),
            _ => self,
        }
    }

    /// Returns a part of a buffer, which must lie within it.
    pub(crate) fn part(buffer: Rc<Vec<u8>>, part: Range<usize>) -> Self {
        Self {
            buffer: (!part.is_empty()).then_some(buffer),
            start: part.start,
            end: part.end,
        }
    }

    /// Returns the memory of these bytes if it holds nothing else and is not shared, or else the
    /// bytes.
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

    /// Returns the memory behind these bytes, unless it is shared.
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
    pub(crate) fn front_of(buffer: Rc<Vec<u8>>, filled: usize) -> Self {
        let unread = 0..filled.min(buffer.len());
        Self { buffer, unread }
    }

    /// Returns the bytes from `start` on as input.
    pub(crate) fn back_of(bytes: Vec<u8>, start: usize) -> Self {
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

    /// Returns the buffer, to be shared, and where in it the bytes that are left begin.
    #[inline]
    pub(crate) fn place(&self) -> (&Rc<Vec<u8>>, usize) {
        (&self.buffer, self.unread.start)
    }

    /// Returns the bytes that are left.
    #[inline]
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.unread.clone()]
    }

    /// Skips `n` bytes, or all that are left if those are fewer.
    pub fn skip(&mut self, n: usize) {
        self.unread.start = (self.unread.start + n).min(self.unread.end);
    }

    /// Takes the next `n` bytes without copying them, or all that are left if those are fewer.
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
