//! The frames of a message, as they were received.
//!
//! A small message that lies whole in the read buffer, as nearly all do, is one span of that
//! buffer. The message stores the offsets of its frames, so that it needs no list of frames and
//! only one reference to the buffer. Since frames are written in the form in which they are read, a
//! span is forwarded by copying its bytes once, headers included. Any other message is a list of
//! frames.

use std::ops::Range;
use std::rc::Rc;

use crate::bytes::Bytes;
use crate::{HEADER_MAX, LONG, MORE};

/// The maximum number of frames of a span: more than usual messages have, and few enough that a
/// span is cheap to move.
pub const SPAN_FRAMES: usize = 7;

/// A message: its frames in order.
#[derive(Clone, Debug)]
pub struct Message(Form);

#[derive(Clone, Debug)]
enum Form {
    Span(Span),
    List(Vec<Bytes>),
}

/// Frames that follow each other in a buffer, each with its header.
#[derive(Clone, Debug)]
struct Span {
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
    /// Set if a header has the long form of the size. The flags of each header show its form.
    long: bool,
    count: u8,
    /// The number of dropped frames at the front.
    dropped: u8,
}

/// Offsets of 16 bits each, the first in the lowest bytes. They are assembled in a register and
/// stored in one piece. A message is moved right afterwards, and a processor has to wait when it
/// loads in one piece what was just stored in several smaller ones.
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
    /// Returns the layout of a message that lies whole at the front of `bytes` and is within the
    /// bounds. `start` is the position of `bytes` in their buffer. Returns `None` for a message
    /// that has to be decoded frame by frame, even if only to report its fault.
    #[inline]
    pub(crate) fn find(
        bytes: &[u8],
        start: usize,
        size_max: u64,
        frames_max: usize,
    ) -> Option<Self> {
        let start = u32::try_from(start).ok()?;
        let (mut edges, mut long) = (Edges::default(), false);
        // This makes every offset fit its type.
        let bytes = &bytes[..bytes.len().min(usize::from(u16::MAX))];
        let mut end = 0;
        let mut size = 0;
        for n in 0..SPAN_FRAMES {
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

    /// Returns the position of the first frame's header, counted from `start`.
    #[inline]
    fn front(&self) -> usize {
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
        let (front, before) = (self.front(), self.edges);
        let kept = usize::from(self.dropped)..=usize::from(self.count);
        self.edges = Edges::default();
        for (n, edge) in kept.enumerate() {
            self.edges = self.edges.with(n, before.get(edge) - front as u16);
        }
        self.count -= self.dropped;
        self.dropped = 0;
    }
}

impl Span {
    /// Returns the range of the frames in the buffer, headers included.
    #[inline]
    fn range(&self) -> Range<usize> {
        let start = self.layout.start as usize;
        start + self.layout.front()..start + self.layout.length()
    }

    /// Returns the frames' bytes, headers included.
    #[inline]
    fn wire(&self) -> &[u8] {
        &self.buffer[self.range()]
    }

    /// Returns the body of frame `n`, counted from 0.
    #[inline(always)]
    fn get(&self, n: usize) -> Option<&[u8]> {
        self.buffer.get(self.place(n)?)
    }

    /// Returns the range of a frame's body in the buffer.
    #[inline(always)]
    fn place(&self, n: usize) -> Option<Range<usize>> {
        let n = usize::from(self.layout.dropped) + n;
        if n >= usize::from(self.layout.count).min(SPAN_FRAMES) {
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
    fn size(&self) -> u64 {
        let frames = self.layout.len();
        if self.layout.long {
            let frames = (0..frames).filter_map(|n| self.get(n));
            return frames.map(|frame| frame.len() as u64).sum();
        }
        let whole = self.layout.length() - self.layout.front();
        (whole - SHORT_HEADER * frames) as u64
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

/// A message in the form in which it is written.
pub enum Wire<'a> {
    /// Frames with their headers. The header of the last frame says that no frame follows.
    Span(&'a [u8]),
    /// Frames without headers.
    Frames(&'a [Bytes]),
}

impl Message {
    /// Returns the message at these positions of a buffer.
    #[inline]
    pub(crate) fn span(buffer: Rc<Vec<u8>>, layout: Layout) -> Self {
        Self(Form::Span(Span { buffer, layout }))
    }

    /// Returns the number of frames.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Span(span) => span.layout.len(),
            Form::List(frames) => frames.len(),
        }
    }

    /// Returns whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the body of frame `n`, counted from 0.
    #[inline]
    pub fn get(&self, n: usize) -> Option<&[u8]> {
        match &self.0 {
            Form::Span(span) => span.get(n),
            Form::List(frames) => frames.get(n).map(Bytes::bytes),
        }
    }

    /// Returns the bytes of each frame.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|n| self.get(n))
    }

    /// Returns the number of bytes of all frames, without headers.
    #[inline]
    pub fn size(&self) -> u64 {
        match &self.0 {
            Form::Span(span) => span.size(),
            Form::List(frames) => frames.iter().map(|it| it.bytes().len() as u64).sum(),
        }
    }

    /// Drops the first `n` frames, or all if there are fewer.
    #[inline]
    pub fn drop_front(&mut self, n: usize) {
        match &mut self.0 {
            Form::Span(Span { layout, .. }) => {
                layout.dropped += n.min(layout.len()) as u8;
            }
            Form::List(frames) => drop(frames.drain(..n.min(frames.len()))),
        }
    }

    /// Returns the same message with copies of these frames in front.
    pub fn with_front(self, front: &[&[u8]]) -> Self {
        let mut frames = Vec::with_capacity(front.len() + self.len());
        frames.extend(front.iter().map(|frame| Bytes::from(frame.to_vec())));
        match self.0 {
            Form::Span(span) => {
                let bodies = (0..span.layout.len()).filter_map(|n| span.place(n));
                frames.extend(bodies.map(|body| Bytes::part(Rc::clone(&span.buffer), body)));
            }
            Form::List(list) => frames.extend(list),
        }
        Self(Form::List(frames))
    }

    /// Returns a message of the last frame alone, or an empty message if there is no frame.
    pub fn last(&self) -> Self {
        let mut last = match &self.0 {
            Form::Span(_) => self.clone(),
            Form::List(frames) => frames
                .last()
                .cloned()
                .into_iter()
                .collect::<Vec<_>>()
                .into(),
        };
        last.drop_front(last.len().saturating_sub(1));
        last
    }

    /// Returns the message in the form in which it is written.
    #[inline]
    pub fn wire(&self) -> Wire<'_> {
        match &self.0 {
            Form::Span(span) => Wire::Span(span.wire()),
            Form::List(frames) => Wire::Frames(frames),
        }
    }

    /// Returns the frames with their headers as a part of the buffer, without a copy, or `None` if
    /// the message is a list of frames.
    pub fn shared_wire(&self) -> Option<Bytes> {
        match &self.0 {
            Form::Span(span) => Some(Bytes::part(Rc::clone(&span.buffer), span.range())),
            Form::List(_) => None,
        }
    }

    /// Returns the same message in memory of its own size, so that a message that is kept does not
    /// keep the buffer that received it.
    pub fn compact(self) -> Self {
        match self.0 {
            Form::Span(span) if span.buffer.capacity() > span.wire().len() => {
                let wire = span.wire().to_vec();
                Self(Form::Span(span.moved(Rc::new(wire))))
            }
            Form::Span(span) => Self(Form::Span(span)),
            Form::List(frames) => {
                // `collect` reuses the memory of the list, and so keeps its spare capacity.
                let compacted = frames.into_iter().map(Bytes::compact).collect();
                Self(Form::List(compacted))
            }
        }
    }

    /// Returns the same message in memory that `memory` provides for a given number of bytes, if
    /// the message is a span. A list of frames is compacted.
    pub(crate) fn settle(self, memory: impl FnOnce(usize) -> Rc<Vec<u8>>) -> Self {
        let Form::Span(span) = &self.0 else {
            return self.compact();
        };
        let wire = span.wire();
        let mut buffer = memory(wire.len());
        let Some(bytes) = Rc::get_mut(&mut buffer) else {
            return self.compact();
        };
        bytes.clear();
        bytes.extend_from_slice(wire);
        Self(Form::Span(span.moved(buffer)))
    }

    /// Returns each frame in memory of its own, which may leave the thread. Memory that holds one
    /// frame alone and is not shared is not copied.
    pub fn into_owned_frames(self) -> Vec<Vec<u8>> {
        match self.0 {
            Form::Span(span) => {
                let frames = (0..span.layout.len()).filter_map(|n| span.get(n));
                frames.map(<[u8]>::to_vec).collect()
            }
            Form::List(frames) => {
                let frames = frames.into_iter().map(Bytes::into_own_memory);
                frames
                    .map(|frame| frame.unwrap_or_else(|shared| shared.bytes().to_vec()))
                    .collect()
            }
        }
    }

    /// Returns the memory of the only frame, or the message itself if there are several frames or
    /// that memory holds more or is shared.
    pub(crate) fn into_single(self) -> Result<Vec<u8>, Self> {
        match self.0 {
            Form::List(mut frames) if frames.len() == 1 => match frames.pop() {
                Some(frame) => frame.into_own_memory().map_err(|it| Self::from(vec![it])),
                None => Ok(Vec::new()),
            },
            form => Err(Self(form)),
        }
    }

    /// Returns the memory of the message, to be reused.
    pub(crate) fn into_memory(self) -> Memory {
        match self.0 {
            Form::Span(span) => Memory::Buffer(span.buffer),
            Form::List(frames) => Memory::List(frames),
        }
    }
}

/// The memory of a message that is not needed any more.
pub(crate) enum Memory {
    Buffer(Rc<Vec<u8>>),
    List(Vec<Bytes>),
}

impl Default for Message {
    fn default() -> Self {
        Self(Form::List(Vec::new()))
    }
}

impl From<Vec<Bytes>> for Message {
    fn from(frames: Vec<Bytes>) -> Self {
        Self(Form::List(frames))
    }
}

impl From<Vec<Vec<u8>>> for Message {
    fn from(frames: Vec<Vec<u8>>) -> Self {
        frames
            .into_iter()
            .map(Bytes::from)
            .collect::<Vec<_>>()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{COMMAND, put_frame};

    const FRAMES: [&[u8]; 4] = [b"token", b"", b"REPLY", &[7; 300]];

    /// Returns a message whose frames come after other bytes of a buffer. The header of the second
    /// is long.
    fn message() -> Message {
        let mut bytes = b"before".to_vec();
        put_frame(&mut bytes, MORE, FRAMES[0]);
        bytes.extend_from_slice(&[MORE | LONG, 0, 0, 0, 0, 0, 0, 0, 0]);
        put_frame(&mut bytes, MORE, FRAMES[2]);
        put_frame(&mut bytes, 0, FRAMES[3]);
        let whole = bytes.len();
        bytes.extend_from_slice(&[0, 1, 9]);
        let layout = Layout::find(&bytes[6..], 6, 400, 4).unwrap();
        assert_eq!(layout.length(), whole - 6);
        Message::span(Rc::new(bytes), layout)
    }

    /// Returns the frames in a span's bytes.
    fn read(wire: &[u8]) -> Vec<Vec<u8>> {
        let Some(layout) = Layout::find(wire, 0, u64::MAX, usize::MAX) else {
            assert!(wire.is_empty(), "{wire:?}");
            return Vec::new();
        };
        assert_eq!(layout.length(), wire.len());
        let message = Message::span(Rc::new(wire.to_vec()), layout);
        message.frames().map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn frames_and_bytes_agree_however_many_are_dropped_and_wherever_they_lie() {
        for dropped in 0..6 {
            let expected = &FRAMES[dropped.min(4)..];
            let mut pool = crate::pool::BufferPool::default();
            let mut message = message();
            message.drop_front(dropped);
            let list: Vec<Vec<u8>> = message.frames().map(<[u8]>::to_vec).collect();
            for message in [
                message.clone(),
                message.clone().compact(),
                pool.settle(message.clone()),
                pool.settle(message).compact(),
                Message::from(list),
            ] {
                assert!(message.frames().eq(expected.iter().copied()), "{dropped}");
                assert_eq!(message.clone().into_owned_frames(), expected);
                assert_eq!(message.len(), expected.len());
                assert_eq!(message.get(expected.len()), None);
                let size: usize = expected.iter().map(|frame| frame.len()).sum();
                assert_eq!(message.size(), size as u64);
                if let Wire::Span(wire) = message.wire() {
                    assert_eq!(read(wire), expected);
                    assert_eq!(message.shared_wire().unwrap().bytes(), wire);
                }
                assert!(
                    message.last().frames().eq(expected.last().copied()),
                    "{dropped}"
                );
                let longer = message.with_front(&[b"", b"front"]);
                let longer_expected = [&[&b""[..], b"front"], expected].concat();
                assert!(longer.frames().eq(longer_expected), "{dropped}");
            }
        }
    }

    #[test]
    fn memory_that_holds_one_frame_alone_leaves_without_a_copy() {
        let large = vec![7; 100_000];
        let at = large.as_ptr();
        let message = Message::from(vec![b"T".to_vec(), large]);
        let shared = message.clone();
        assert_ne!(message.into_owned_frames()[1].as_ptr(), at);
        assert_eq!(shared.into_owned_frames()[1].as_ptr(), at);
    }

    #[test]
    fn a_message_is_cheap_to_move() {
        assert_eq!(size_of::<Message>(), 32);
        assert_eq!(size_of::<Option<Message>>(), 32);
    }

    #[test]
    fn what_is_no_small_whole_message_is_no_span() {
        let find = |bytes: &[u8]| Layout::find(bytes, 0, 10, 2).map(|it| it.length());
        assert_eq!(find(&[MORE, 1, 7, 0, 0]), Some(5));
        assert_eq!(find(&[0, 0]), Some(2));
        let long = [&[LONG, 0, 0, 0, 0, 0, 0, 0, 2], &[7; 2][..]].concat();
        assert_eq!(find(&long), Some(11));
        for end in 0..long.len() {
            assert_eq!(find(&long[..end]), None, "{end}");
        }
        for no in [
            // Too many frames or bytes, a command, a reserved flag, a part.
            &[MORE, 0, MORE, 0, 0, 0][..],
            &[0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[MORE, 0, COMMAND, 0, 0, 0],
            &[COMMAND, 0],
            &[8, 0],
            &[MORE, 0],
            &[MORE, 3, 7, 0, 0],
        ] {
            assert_eq!(find(no), None, "{no:?}");
        }
        let many = [[MORE, 0].repeat(SPAN_FRAMES), vec![0, 0]].concat();
        assert!(Layout::find(&many, 0, 10, 100).is_none());
        assert!(Layout::find(&many[2..], 0, 10, 100).is_some());
        let mut large = Vec::new();
        put_frame(&mut large, 0, &[7; 1 << 16]);
        assert!(Layout::find(&large, 0, u64::MAX, 1).is_none());
    }

    #[test]
    fn what_waits_gets_memory_of_about_its_size_which_is_used_again() {
        let mut pool = crate::pool::BufferPool::default();
        let waits = pool.settle(message());
        let Form::Span(span) = &waits.0 else {
            panic!("{waits:?}");
        };
        let (at, room) = (span.buffer.as_ptr(), span.buffer.capacity());
        assert!(room <= 2 * span.wire().len(), "{room}");
        pool.recycle(waits);
        let again = pool.settle(message());
        assert!(matches!(&again.0, Form::Span(span) if span.buffer.as_ptr() == at));
    }
}
