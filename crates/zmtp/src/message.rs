//! The frames of a message, as they were received.
//!
//! A small message that lies whole in the read buffer, as nearly all do, is one span of that
//! buffer. The message stores the offsets of its frames, so that it needs no list of frames and
//! only one reference to the buffer. Since frames are written in the form in which they are read, a
//! span is forwarded by copying its bytes once, headers included. Any other message is a list of
//! frames.

mod span;

use std::rc::Rc;

use crate::bytes::Bytes;
pub(crate) use span::Layout;
use span::Span;

/// A message: its frames in order.
#[derive(Clone, Debug)]
pub struct Message(Form);

#[derive(Clone, Debug)]
enum Form {
    Span(Span),
    List(Vec<Bytes>),
}

/// A message in the form in which it is written.
pub enum Wire<'a> {
    /// Frames with their headers. The flags of the last frame mark it as the last.
    Span(&'a [u8]),
    /// Frames without headers.
    Frames(&'a [Bytes]),
}

impl Message {
    /// Returns the message at these positions of a buffer.
    #[inline]
    pub(crate) fn span(buffer: Rc<Vec<u8>>, layout: Layout) -> Self {
        Self(Form::Span(Span::new(buffer, layout)))
    }

    /// Returns the number of frames.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Span(span) => span.len(),
            Form::List(frames) => frames.len(),
        }
    }

    /// Returns whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the body of frame `n`, counted from 0, or `None` if there is no such frame.
    #[inline]
    pub fn get(&self, n: usize) -> Option<&[u8]> {
        match &self.0 {
            Form::Span(span) => span.get(n),
            Form::List(frames) => frames.get(n).map(Bytes::bytes),
        }
    }

    /// Returns the body of each frame, in order.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|n| self.get(n))
    }

    /// Returns the number of bytes of all frames, without headers.
    #[inline]
    pub fn size(&self) -> u64 {
        match &self.0 {
            Form::Span(span) => span.size(),
            Form::List(frames) => frames.iter().map(|frame| frame.bytes().len() as u64).sum(),
        }
    }

    /// Drops the first `n` frames, or all if there are fewer.
    #[inline]
    pub fn drop_front(&mut self, n: usize) {
        match &mut self.0 {
            Form::Span(span) => span.drop_front(n),
            Form::List(frames) => drop(frames.drain(..n.min(frames.len()))),
        }
    }

    /// Returns the same message with copies of these frames in front.
    pub fn with_front(self, front: &[&[u8]]) -> Self {
        let mut frames = Vec::with_capacity(front.len() + self.len());
        frames.extend(front.iter().map(|frame| Bytes::from(frame.to_vec())));
        match self.0 {
            Form::Span(span) => {
                frames.extend((0..span.len()).filter_map(|n| span.part(n)));
            }
            Form::List(list) => frames.extend(list),
        }
        Self(Form::List(frames))
    }

    /// Returns a message with only the last frame, or an empty message if there is no frame.
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
            Form::Span(span) => Some(span.shared_wire()),
            Form::List(_) => None,
        }
    }

    /// Returns the same message in memory of its own size, so that the message does not keep alive
    /// the buffer that received it.
    pub fn compact(self) -> Self {
        match self.0 {
            Form::Span(span) => Self(Form::Span(span.compact())),
            Form::List(frames) => {
                // `collect` reuses the memory of the list, and so keeps its spare capacity.
                let compacted = frames.into_iter().map(Bytes::compact).collect();
                Self(Form::List(compacted))
            }
        }
    }

    /// Returns the same message in other memory. A span is copied to the memory that `memory`
    /// returns for the number of bytes of the span. A list of frames is compacted.
    pub(crate) fn settle(self, memory: impl FnOnce(usize) -> Rc<Vec<u8>>) -> Self {
        let settled = match &self.0 {
            Form::Span(span) => span.settle(memory),
            Form::List(_) => None,
        };
        match settled {
            Some(span) => Self(Form::Span(span)),
            None => self.compact(),
        }
    }

    /// Returns each frame in memory of its own, which may be sent to another thread. A frame is not
    /// copied if its memory holds nothing else and is not shared.
    pub fn into_owned_frames(self) -> Vec<Vec<u8>> {
        match self.0 {
            Form::Span(span) => {
                let frames = (0..span.len()).filter_map(|n| span.get(n));
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

    /// Returns the frames, without copying them.
    pub fn into_frames(self) -> Vec<Bytes> {
        match self.0 {
            Form::Span(span) => (0..span.len()).filter_map(|n| span.part(n)).collect(),
            Form::List(frames) => frames,
        }
    }

    /// Returns the memory of the only frame if the message is a list of one frame whose memory
    /// holds nothing else and is not shared. Otherwise, returns the message itself as the error.
    pub(crate) fn into_single(self) -> Result<Vec<u8>, Self> {
        match self.0 {
            Form::List(mut frames) if frames.len() == 1 => match frames.pop() {
                Some(frame) => frame
                    .into_own_memory()
                    .map_err(|frame| Self::from(vec![frame])),
                None => Ok(Vec::new()),
            },
            form => Err(Self(form)),
        }
    }

    /// Returns the memory of the message, to be reused.
    pub(crate) fn into_memory(self) -> Memory {
        match self.0 {
            Form::Span(span) => Memory::Buffer(span.into_buffer()),
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
    use crate::{LONG, MORE, put_frame};

    const FRAMES: [&[u8]; 4] = [b"token", b"", b"REPLY", &[7; 300]];

    /// Returns a message whose frames come after other bytes of a buffer. The second frame has a
    /// long header.
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
    fn frames_and_bytes_agree_after_any_number_of_dropped_frames() {
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
    fn an_unshared_frame_is_handed_over_without_a_copy() {
        let large = vec![7; 100_000];
        let at = large.as_ptr();
        let message = Message::from(vec![b"T".to_vec(), large]);
        let shared = message.clone();
        assert_ne!(message.into_owned_frames()[1].as_ptr(), at);
        assert_eq!(shared.into_owned_frames()[1].as_ptr(), at);
    }

    #[test]
    fn a_message_takes_32_bytes_when_it_is_moved() {
        assert_eq!(size_of::<Message>(), 32);
        assert_eq!(size_of::<Option<Message>>(), 32);
    }

    #[test]
    fn a_queued_message_gets_memory_of_about_its_size_which_is_reused() {
        let mut pool = crate::pool::BufferPool::default();
        let queued = pool.settle(message());
        let at_and_room = |message: &Message| match message.clone().into_memory() {
            Memory::Buffer(buffer) => (buffer.as_ptr(), buffer.capacity()),
            Memory::List(list) => panic!("{list:?}"),
        };
        let (at, room) = at_and_room(&queued);
        let wire = queued.shared_wire().unwrap().bytes().len();
        assert!(room <= 2 * wire, "{room}");
        pool.recycle(queued);
        let again = pool.settle(message());
        assert_eq!(at_and_room(&again).0, at);
    }
}
