//! Small messages that lie whole in a buffer, and the positions of their frames.

use std::ops::Range;
use std::rc::Rc;

use crate::bytes::Bytes;
use crate::{HEADER_MAX, LONG, MORE};

/// The maximum number of frames of a span: more than usual messages have, and few enough that a
/// span is cheap to move.
const SPAN_FRAMES_MAX: usize = 7;

/// Frames that follow each other in a buffer, each with its header.
#[derive(Clone, Debug)]
pub(super) struct Span {
    buffer: Rc<Vec<u8>>,
    layout: Layout,
}

/// The length of a short frame header, in bytes: the flags, and one byte for the size of the body.
const SHORT_HEADER: usize = 2;

/// The positions of a span's frames. The type is small, because a message is moved several times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// The position of the first header in the buffer.
    start: u32,
    /// The position of each frame's header, relative to `start`, followed by the end of the last
    /// frame.
    edges: Edges,
    /// Set if at least one header has the long form of the size. The flags of a header show its
    /// form.
    long: bool,
    count: u8,
    /// The number of dropped frames at the front.
    dropped: u8,
}

/// Offsets of 16 bits each, the first in the lowest bytes. The offsets are assembled in a register
/// and stored as one value. The message is moved right afterwards, and the move loads the offsets
/// as one value. If the offsets had just been stored as several smaller values, the processor would
/// have to wait.
#[derive(Clone, Copy, Debug, Default)]
struct Edges([u8; size_of::<u128>()]);

impl Edges {
    /// Returns the same offsets with `offset` at position `n`, which must not be set yet.
    #[inline(always)]
    fn with(self, n: usize, offset: u16) -> Self {
        let edges = u128::from_le_bytes(self.0) | u128::from(offset) << (16 * n);
        Self(edges.to_le_bytes())
    }

    #[inline(always)]
    fn get(&self, n: usize) -> u16 {
        let (edges, _) = self.0.as_chunks();
        edges.get(n).map_or(0, |edge| u16::from_le_bytes(*edge))
    }
}

impl Layout {
    /// Returns the layout of a message that lies whole at the start of `bytes` and is within the
    /// bounds. `start` is the position of `bytes` in their buffer. Returns `None` for any other
    /// message, including faulty ones. The decoder then decodes that message frame by frame.
    #[inline]
    pub(crate) fn find(
        bytes: &[u8],
        start: usize,
        size_max: u64,
        frames_max: usize,
    ) -> Option<Self> {
        let start = u32::try_from(start).ok()?;
        let (mut edges, mut long) = (Edges::default(), false);
        // This limit makes every offset fit into 16 bits.
        let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
        let mut end = 0;
        let mut size = 0;
        for n in 0..SPAN_FRAMES_MAX {
            let [flags, short] = *bytes.get(end..)?.first_chunk()?;
            let (body, length) = match flags {
                0 | MORE => (end + SHORT_HEADER, usize::from(short)),
                _ if flags & !(MORE | LONG) == 0 => {
                    let length = bytes[end + 1..].first_chunk()?;
                    let length = u16::try_from(u64::from_be_bytes(*length)).ok()?;
                    long = true;
                    (end + HEADER_MAX, usize::from(length))
                }
                _ => return None,
            };
            end = body + length;
            if end > bytes.len() {
                return None;
            }
            edges = edges.with(n + 1, end as u16);
            size += length;
            if flags & MORE == 0 {
                let fits = n < frames_max && size as u64 <= size_max;
                return fits.then_some(Self {
                    start,
                    edges,
                    long,
                    count: n as u8 + 1,
                    dropped: 0,
                });
            }
        }
        None
    }

    /// Returns the number of bytes from the start to the end of the last frame, headers and dropped
    /// frames included.
    #[inline]
    pub(crate) fn length(&self) -> usize {
        self.edge(self.count)
    }

    /// Returns the position of the first remaining frame's header, relative to `start`.
    #[inline]
    fn first_header(&self) -> usize {
        self.edge(self.dropped)
    }

    /// Returns the number of frames.
    #[inline]
    fn len(&self) -> usize {
        usize::from(self.count - self.dropped)
    }

    #[inline]
    fn edge(&self, frame: u8) -> usize {
        usize::from(self.edges.get(usize::from(frame)))
    }

    /// Removes the dropped frames from the layout, and makes the first remaining frame the start,
    /// because the bytes before it are gone.
    fn forget_dropped(&mut self) {
        let (first_header, before) = (self.first_header(), self.edges);
        let kept = usize::from(self.dropped)..=usize::from(self.count);
        self.edges = Edges::default();
        for (n, edge) in kept.enumerate() {
            self.edges = self.edges.with(n, before.get(edge) - first_header as u16);
        }
        self.count -= self.dropped;
        self.dropped = 0;
    }
}

impl Span {
    /// Returns the frames at these positions of a buffer.
    #[inline]
    pub(super) fn new(buffer: Rc<Vec<u8>>, layout: Layout) -> Self {
        Self { buffer, layout }
    }

    /// Returns the number of frames.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.layout.len()
    }

    /// Drops the first `n` frames, or all if there are fewer.
    #[inline]
    pub(super) fn drop_front(&mut self, n: usize) {
        self.layout.dropped += n.min(self.layout.len()) as u8;
    }

    /// Returns the range of the frames in the buffer, headers included.
    #[inline]
    fn range(&self) -> Range<usize> {
        let start = self.layout.start as usize;
        start + self.layout.first_header()..start + self.layout.length()
    }

    /// Returns the frames' bytes, headers included.
    #[inline]
    pub(super) fn wire(&self) -> &[u8] {
        &self.buffer[self.range()]
    }

    /// Returns the body of frame `n`, counted from 0, or `None` if there is no such frame.
    #[inline(always)]
    pub(super) fn get(&self, n: usize) -> Option<&[u8]> {
        self.buffer.get(self.body_range(n)?)
    }

    /// Returns the body of frame `n` as a part of the buffer, without a copy. Returns `None` if
    /// there is no such frame.
    pub(super) fn part(&self, n: usize) -> Option<Bytes> {
        Some(Bytes::part(Rc::clone(&self.buffer), self.body_range(n)?))
    }

    /// Returns the frames' bytes, headers included, as a part of the buffer, without a copy.
    pub(super) fn shared_wire(&self) -> Bytes {
        Bytes::part(Rc::clone(&self.buffer), self.range())
    }

    /// Returns the range of a frame's body in the buffer.
    #[inline(always)]
    fn body_range(&self, n: usize) -> Option<Range<usize>> {
        let n = usize::from(self.layout.dropped) + n;
        if n >= usize::from(self.layout.count).min(SPAN_FRAMES_MAX) {
            return None;
        }
        let start = self.layout.start as usize;
        let header = start + usize::from(self.layout.edges.get(n));
        let end = start + usize::from(self.layout.edges.get(n + 1));
        Some(header + self.header_length(header)..end)
    }

    /// Returns the length of the header at this position of the buffer.
    #[inline]
    fn header_length(&self, header: usize) -> usize {
        if self.layout.long && self.buffer[header] & LONG != 0 {
            HEADER_MAX
        } else {
            SHORT_HEADER
        }
    }

    /// Returns the number of bytes of all frames, without headers.
    #[inline]
    pub(super) fn size(&self) -> u64 {
        let frames = self.layout.len();
        if self.layout.long {
            let frames = (0..frames).filter_map(|n| self.get(n));
            return frames.map(|frame| frame.len() as u64).sum();
        }
        let whole = self.layout.length() - self.layout.first_header();
        (whole - SHORT_HEADER * frames) as u64
    }

    /// Returns the same frames in a buffer of their own size.
    pub(super) fn compact(self) -> Self {
        if self.buffer.capacity() > self.wire().len() {
            let wire = self.wire().to_vec();
            self.moved(Rc::new(wire))
        } else {
            self
        }
    }

    /// Returns the same frames in memory that `memory` provides for a given number of bytes, or
    /// `None` if that memory is shared.
    pub(super) fn settle(&self, memory: impl FnOnce(usize) -> Rc<Vec<u8>>) -> Option<Self> {
        let wire = self.wire();
        let mut buffer = memory(wire.len());
        let bytes = Rc::get_mut(&mut buffer)?;
        bytes.clear();
        bytes.extend_from_slice(wire);
        Some(self.moved(buffer))
    }

    /// Returns the buffer, to be reused.
    pub(super) fn into_buffer(self) -> Rc<Vec<u8>> {
        self.buffer
    }

    /// Returns the same frames in `buffer`, which holds a copy of them and nothing else.
    fn moved(&self, buffer: Rc<Vec<u8>>) -> Self {
        let mut layout = self.layout;
        layout.start = 0;
        if layout.dropped > 0 {
            layout.forget_dropped();
        }
        Self { buffer, layout }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{COMMAND, put_frame};

    #[test]
    fn only_a_small_whole_message_is_a_span() {
        let find = |bytes: &[u8]| Layout::find(bytes, 0, 10, 2).map(|layout| layout.length());
        assert_eq!(find(&[MORE, 1, 7, 0, 0]), Some(5));
        assert_eq!(find(&[0, 0]), Some(2));
        let long = [&[LONG, 0, 0, 0, 0, 0, 0, 0, 2], &[7; 2][..]].concat();
        assert_eq!(find(&long), Some(11));
        for end in 0..long.len() {
            assert_eq!(find(&long[..end]), None, "{end}");
        }
        for refused in [
            // Too many frames, too many bytes, a command after a frame, a command alone, a reserved
            // flag, and two incomplete messages.
            &[MORE, 0, MORE, 0, 0, 0][..],
            &[0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[MORE, 0, COMMAND, 0, 0, 0],
            &[COMMAND, 0],
            &[8, 0],
            &[MORE, 0],
            &[MORE, 3, 7, 0, 0],
        ] {
            assert_eq!(find(refused), None, "{refused:?}");
        }
        let many = [[MORE, 0].repeat(SPAN_FRAMES_MAX), vec![0, 0]].concat();
        assert!(Layout::find(&many, 0, 10, 100).is_none());
        assert!(Layout::find(&many[2..], 0, 10, 100).is_some());
        let mut large = Vec::new();
        put_frame(&mut large, 0, &[7; 1 << 16]);
        assert!(Layout::find(&large, 0, u64::MAX, 1).is_none());
    }
}
