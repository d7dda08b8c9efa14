//! Sealed traffic. Each frame on the wire holds one box. The content of the boxes is passed on as a
//! plain stream to the decoder that every connection has, so that all bounds and checks are the
//! same with CURVE and without.

use std::rc::Rc;

use crate::bytes::Input;
use crate::command::COMMAND_MAX;
use crate::curve::{Connected, CurveError, FrameKind, OVERHEAD, Opener, PublicKey, Sealer};
use crate::decoder::{Bounds, Decoder, Item};
use crate::message::Message;
use crate::pool::{BufferPool, CHUNK};
use crate::session::error::SessionError;
use crate::{COMMAND, HEADER_MAX, LONG, MORE};

/// The sealed traffic of a connection.
pub(super) struct Sealed {
    opener: Opener,
    sealer: Option<Box<Sealer>>,
    /// The peer's long-term key.
    key: PublicKey,
    /// Decodes the stream of boxes. Some peers, such as pyomq, repeat the flag for further frames
    /// outside of the box, where it proves nothing.
    boxes: Decoder,
}

impl Sealed {
    pub(super) fn new(connected: Connected, key: PublicKey) -> Self {
        let Connected { sealer, opener } = connected;
        Self {
            opener,
            sealer: Some(Box::new(sealer)),
            key,
            boxes: Decoder::of_single_frames(),
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

    /// Returns the next item that `decoder` finds in the boxes of the input, or `None` once the
    /// input is used up.
    pub(super) fn next(
        &mut self,
        decoder: &mut Decoder,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<Item>, SessionError> {
        while let Some(mut plain) = self.open(input, bounds, buffers)? {
            let item = decoder.next(&mut plain, bounds, buffers);
            // The content is used up, because boxes are opened to the end of one message at most.
            buffers.give_back(plain);
            if let Some(item) = item.map_err(SessionError::Frame)? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// Opens boxes up to the end of one message, or as many of them as have arrived and fit into a
    /// read buffer. Returns their content as plain frames.
    fn open(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<Input>, SessionError> {
        let Some(first) = self.next_box(input, bounds, buffers)? else {
            return Ok(None);
        };
        if first.size() > CHUNK as u64 {
            return self.open_large(first, buffers).map(Some);
        }
        let mut chunk = buffers.chunk();
        let mut filled = 0;
        let mut next = Some(first);
        if let Some(room) = Rc::get_mut(&mut chunk) {
            while let Some(sealed) = next.take() {
                let opened = self.open_into(&sealed, room, &mut filled);
                buffers.recycle(sealed);
                // The rest of the input becomes shorter when it is opened, so it fits.
                if opened? != FrameKind::More || filled + input.rest().len() > CHUNK {
                    break;
                }
                next = self.next_box(input, bounds, buffers)?;
            }
        }
        Ok(Some(Input::front_of(chunk, filled)))
    }

    /// Returns the next box, still sealed.
    fn next_box(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<Message>, SessionError> {
        let most = bounds.bytes.max(COMMAND_MAX);
        let outer = Bounds {
            bytes: most.saturating_add(OVERHEAD as u64),
            frames: 1,
        };
        let item = self.boxes.next(input, outer, buffers);
        match item.map_err(SessionError::Frame)? {
            None => Ok(None),
            Some(Item::Message(message)) if message.len() == 1 => Ok(Some(message)),
            Some(Item::Message(_) | Item::Command(_)) => Err(SessionError::Clear),
            Some(Item::Oversize(_)) => Err(SessionError::Large(most)),
        }
    }

    /// Appends the frame in a box to the filled part of `room`, as a plain frame. Returns its kind.
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
        let place = room.get_mut(at..at + sealed.len()).ok_or(NO_ROOM)?;
        place.copy_from_slice(sealed);
        let (kind, length) = self.open_in_place(place)?;
        let (header, size) = header(kind, length);
        place[..size].copy_from_slice(&header[..size]);
        place.copy_within(OVERHEAD..OVERHEAD + length, size);
        *filled = at + size + length;
        Ok(kind)
    }

    /// Opens a box in the memory that collected it.
    fn open_large(
        &mut self,
        sealed: Message,
        buffers: &mut BufferPool,
    ) -> Result<Input, SessionError> {
        let mut memory = match sealed.into_single() {
            Ok(memory) => memory,
            Err(shared) => {
                let memory = shared.get(0).unwrap_or_default().to_vec();
                buffers.recycle(shared);
                memory
            }
        };
        let (kind, length) = self.open_in_place(&mut memory)?;
        let (header, size) = header(kind, length);
        let start = OVERHEAD - size;
        memory[start..OVERHEAD].copy_from_slice(&header[..size]);
        Ok(Input::back_of(memory, start))
    }

    /// Opens the body of a MESSAGE in place. Returns the kind of the frame inside, and the number
    /// of its bytes, which begin after the first [`OVERHEAD`] bytes of the body.
    fn open_in_place(&mut self, body: &mut [u8]) -> Result<(FrameKind, usize), SessionError> {
        let frame = self.opener.open(body).map_err(SessionError::Curve)?;
        Ok((frame.kind, frame.data.len()))
    }
}

/// Returns the header of a plain frame, and its size in bytes.
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
