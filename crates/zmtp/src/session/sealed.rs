//! Sealed traffic. Each frame on the wire holds one box. The decoder that every connection has
//! receives the content of the boxes as a plain stream. The bounds and checks are therefore the
//! same with and without CURVE, with one exception: a frame of more bytes than a message may have
//! ends the connection instead of being skipped, because a box can be opened only as a whole.

use std::rc::Rc;

use crate::bytes::Input;
use crate::command::COMMAND_MAX;
use crate::curve::{
    Connected, CurveError, FrameKind, LARGE_MIN, OVERHEAD, OpenWork, Opened, Opener, PublicKey,
    Sealer, is_box,
};
use crate::decoder::{Bounds, Decoder, Item};
use crate::message::Message;
use crate::pool::{BufferPool, READ_BUFFER_SIZE};
use crate::session::error::SessionError;
use crate::{COMMAND, HEADER_MAX, LONG, MORE};

/// The sealed traffic of a connection.
pub(super) struct Sealed {
    opener: Opener,
    sealer: Option<Box<Sealer>>,
    /// The peer's long-term key.
    key: PublicKey,
    /// Decodes the stream of boxes. Some peers, such as pyomq, also set the flags [`MORE`] and
    /// [`COMMAND`] on the frame around a box. These flags are not authenticated, and are therefore
    /// ignored.
    boxes: Decoder,
    large: Large,
}

/// The state of a large frame, which is opened on another thread.
#[derive(Default)]
enum Large {
    #[default]
    None,
    /// A frame of this number of bytes is being opened on another thread.
    Opening(usize),
    /// The frame is opened and not decoded yet.
    Opened(FrameKind, Vec<u8>),
}

/// The content of the next boxes.
enum Content {
    /// Plain frames.
    Frames(Input),
    /// A large box, which is to be opened on another thread.
    Work(Box<OpenWork>),
}

/// An item in the boxes, or the work of opening a large box.
pub(super) enum SealedItem {
    Item(Item),
    Work(Box<OpenWork>),
}

impl Sealed {
    pub(super) fn new(connected: Connected, key: PublicKey) -> Self {
        let Connected { sealer, opener } = connected;
        Self {
            opener,
            sealer: Some(Box::new(sealer)),
            key,
            boxes: Decoder::of_single_frames(),
            large: Large::None,
        }
    }

    pub(super) const fn key(&self) -> Option<PublicKey> {
        Some(self.key)
    }

    pub(super) const fn take_sealer(&mut self) -> Option<Box<Sealer>> {
        self.sealer.take()
    }

    pub(super) const fn boxes(&self) -> &Decoder {
        &self.boxes
    }

    pub(super) const fn boxes_mut(&mut self) -> &mut Decoder {
        &mut self.boxes
    }

    /// Returns the number of bytes of the large frame that is not decoded yet, or 0 if there is
    /// none.
    pub(super) const fn large(&self) -> usize {
        match &self.large {
            Large::None => 0,
            Large::Opening(size) => *size,
            Large::Opened(_, body) => body.len(),
        }
    }

    /// Returns whether a large frame is being opened on another thread.
    pub(super) const fn is_opening(&self) -> bool {
        matches!(self.large, Large::Opening(_))
    }

    /// Takes a large frame that another thread has opened.
    pub(super) fn opened(&mut self, opened: Opened) -> Result<(), SessionError> {
        let (kind, body) = self.opener.opened(opened).map_err(SessionError::Curve)?;
        self.large = Large::Opened(kind, body);
        Ok(())
    }

    /// Returns the next item that `decoder` finds in the boxes of the input, or the work of opening
    /// a large box. Returns `None` once the input is used up, and while a large box is being
    /// opened.
    pub(super) fn next(
        &mut self,
        decoder: &mut Decoder,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<SealedItem>, SessionError> {
        if self.is_opening() {
            return Ok(None);
        }
        if let Large::Opened(kind, body) = std::mem::take(&mut self.large) {
            let item = decode_large(decoder, kind, body, bounds, buffers)?;
            if let Some(item) = item {
                return Ok(Some(SealedItem::Item(item)));
            }
        }
        while let Some(content) = self.open(input, bounds, buffers)? {
            let mut plain = match content {
                Content::Frames(plain) => plain,
                Content::Work(work) => return Ok(Some(SealedItem::Work(work))),
            };
            let item = decoder.next(&mut plain, bounds, buffers);
            // The decoder has used up the content, because `open` does not open boxes beyond the
            // end of one message or command.
            buffers.give_back(plain);
            if let Some(item) = item.map_err(SessionError::Frame)? {
                return Ok(Some(SealedItem::Item(item)));
            }
        }
        Ok(None)
    }

    /// Opens boxes up to the end of one message or command, or as many boxes as have arrived and
    /// fit into a read buffer. Returns their content as plain frames, or the work of opening a
    /// large box. Returns `None` if no whole box has arrived.
    fn open(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<Content>, SessionError> {
        let Some(first) = self.next_box(input, bounds, buffers)? else {
            return Ok(None);
        };
        if first.size() >= (LARGE_MIN + OVERHEAD) as u64 {
            let work = self.opener.open_work(memory_of(first, buffers));
            let work = work.map_err(SessionError::Curve)?;
            self.large = Large::Opening(work.size());
            return Ok(Some(Content::Work(Box::new(work))));
        }
        if first.size() > READ_BUFFER_SIZE as u64 {
            let opened = self.open_alone(first, buffers);
            return opened.map(|plain| Some(Content::Frames(plain)));
        }
        let mut buffer = buffers.read_buffer();
        let mut filled = 0;
        let mut next = Some(first);
        if let Some(room) = Rc::get_mut(&mut buffer) {
            while let Some(sealed) = next.take() {
                let opened = self.open_into(&sealed, room, &mut filled);
                buffers.recycle(sealed);
                // An opened frame is shorter than its box. If the rest of the input would fit into
                // the buffer sealed, its frames therefore fit, too.
                if opened? != FrameKind::More || filled + input.rest().len() > READ_BUFFER_SIZE {
                    break;
                }
                next = self.next_box(input, bounds, buffers)?;
            }
        }
        Ok(Some(Content::Frames(Input::prefix(buffer, filled))))
    }

    /// Returns the next box, still sealed, or `None` if it has not arrived whole.
    fn next_box(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<Message>, SessionError> {
        let max = bounds.bytes.max(COMMAND_MAX);
        let outer = Bounds {
            bytes: max.saturating_add(OVERHEAD as u64),
            frames: 1,
        };
        let item = self.boxes.next(input, outer, buffers);
        match item.map_err(SessionError::Frame)? {
            None => Ok(None),
            Some(Item::Message(message)) if message.len() == 1 => Ok(Some(message)),
            Some(Item::Command(body)) if is_box(body.bytes()) => Ok(Some(vec![body].into())),
            Some(Item::Message(_) | Item::Command(_)) => Err(SessionError::ClearText),
            Some(Item::Oversize(_)) => Err(SessionError::TooLarge(max)),
        }
    }

    /// Opens a box, and appends its frame as a plain frame to the filled part of `room`. Returns
    /// the kind of the frame.
    fn open_into(
        &mut self,
        sealed: &Message,
        room: &mut [u8],
        filled: &mut usize,
    ) -> Result<FrameKind, SessionError> {
        const NO_ROOM: SessionError =
            SessionError::Curve(CurveError::Malformed("a frame that does not fit"));
        let sealed = sealed.get(0).unwrap_or_default();
        let at = *filled;
        let target = room.get_mut(at..at + sealed.len()).ok_or(NO_ROOM)?;
        target.copy_from_slice(sealed);
        let (kind, length) = self.open_in_place(target)?;
        let (header, size) = header(kind, length);
        target[..size].copy_from_slice(&header[..size]);
        target.copy_within(OVERHEAD..OVERHEAD + length, size);
        *filled = at + size + length;
        Ok(kind)
    }

    /// Opens a box in its own memory, and returns its frame as plain input.
    fn open_alone(
        &mut self,
        sealed: Message,
        buffers: &mut BufferPool,
    ) -> Result<Input, SessionError> {
        let mut memory = memory_of(sealed, buffers);
        let (kind, length) = self.open_in_place(&mut memory)?;
        let (header, size) = header(kind, length);
        let start = OVERHEAD - size;
        memory[start..OVERHEAD].copy_from_slice(&header[..size]);
        Ok(Input::suffix(memory, start))
    }

    /// Opens the body of a MESSAGE in place. Returns the kind of the frame inside, and the number
    /// of its bytes, which begin after the first [`OVERHEAD`] bytes of the body.
    fn open_in_place(&mut self, body: &mut [u8]) -> Result<(FrameKind, usize), SessionError> {
        let frame = self.opener.open(body).map_err(SessionError::Curve)?;
        Ok((frame.kind, frame.data.len()))
    }
}

/// Returns the memory of a box, or a copy of the box if its memory is shared or holds other bytes.
fn memory_of(sealed: Message, buffers: &mut BufferPool) -> Vec<u8> {
    sealed.into_single().unwrap_or_else(|shared| {
        let memory = shared.get(0).unwrap_or_default().to_vec();
        buffers.recycle(shared);
        memory
    })
}

/// Passes a large frame to the decoder without copying it. Returns the item that the frame
/// completes, if any.
fn decode_large(
    decoder: &mut Decoder,
    kind: FrameKind,
    body: Vec<u8>,
    bounds: Bounds,
    buffers: &mut BufferPool,
) -> Result<Option<Item>, SessionError> {
    let (header, size) = header(kind, body.len());
    let mut header = Input::from(header[..size].to_vec());
    let item = decoder.next(&mut header, bounds, buffers);
    // No item is complete without the body, which is not empty.
    if let Some(item) = item.map_err(SessionError::Frame)? {
        return Ok(Some(item));
    }
    decoder.complete(body, buffers);
    let item = decoder.next(&mut Input::default(), bounds, buffers);
    item.map_err(SessionError::Frame)
}

/// Returns the header of a plain frame, and the size of the header in bytes.
fn header(kind: FrameKind, length: usize) -> ([u8; HEADER_MAX], usize) {
    let mut header = [0; HEADER_MAX];
    header[0] = match kind {
        FrameKind::More => MORE,
        FrameKind::Last => 0,
        FrameKind::Command => COMMAND,
    };
    if let Ok(length) = u8::try_from(length) {
        header[1] = length;
        return (header, 2);
    }
    header[0] |= LONG;
    header[1..].copy_from_slice(&(length as u64).to_be_bytes());
    (header, HEADER_MAX)
}
