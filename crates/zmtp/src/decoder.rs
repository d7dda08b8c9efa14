//! The decoder of traffic, which turns bytes into whole messages and commands. All bounds are
//! enforced while bytes arrive.
//!
//! A frame that lies whole in the read buffer is shared, not copied. A small message that lies
//! whole in the read buffer is shared as one span, which is found in one pass over the headers. A
//! frame that the end of the buffer cuts off is collected in memory of its own. This memory grows
//! with the bytes that have arrived, never with the announced size.

use std::fmt;
use std::rc::Rc;

use crate::bytes::{Bytes, Input};
use crate::command::COMMAND_MAX;
use crate::message::{Layout, Message};
use crate::pool::BufferPool;
use crate::{COMMAND, HEADER_MAX, LONG, MORE};

/// The minimum number of bytes for which reading straight into a frame's memory pays off. A direct
/// read has two conditions: at least this many bytes of the frame are missing, and at least this
/// many bytes have arrived or fit into the free part of the frame's memory. Fewer bytes are cheaper
/// to copy than to read separately.
const DIRECT_MIN: usize = 16 << 10;

/// The maximum size that a frame may announce: a tebibyte. A frame up to this size that exceeds the
/// bounds is skipped as it arrives. No real frame is larger, so a larger size shows that the
/// framing of the stream is lost.
const SIZE_MAX: u64 = 1 << 40;

/// The memory charged for a frame of an incomplete message in addition to the frame's bytes, in
/// bytes: an entry in the list of frames, and two small allocations.
const FRAME_CHARGE: u64 = 96;

/// The bounds of a message.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The maximum number of bytes of the message's frames together. A larger message is skipped as
    /// it arrives.
    pub bytes: u64,
    /// The maximum number of frames that are kept. Further frames are skipped.
    pub frames: usize,
}

/// A decoded item.
#[derive(Debug)]
pub enum Item {
    /// A message. If it has more than [`Bounds::frames`] frames, only the first ones are kept.
    Message(Message),
    /// The kept frames of a message with more than [`Bounds::bytes`] bytes. Each kept frame is
    /// whole. A message that was cut off at the bound on frames has this form, too, if that bound
    /// was raised before the message ended.
    Oversize(Message),
    /// A command's body.
    Command(Bytes),
}

/// The reason why a stream cannot be decoded any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A reserved flag is set, or a command has the flag [`MORE`].
    Flags(u8),
    /// A frame announces more than a tebibyte.
    Size(u64),
    /// A command announces more than [`COMMAND_MAX`] bytes.
    Command(u64),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flags(flags) => write!(
                f,
                "a frame with flags {flags:#04x}, which ZMTP does not have"
            ),
            Self::Size(size) => write!(f, "a frame that announces {size} bytes"),
            Self::Command(size) => write!(
                f,
                "a command of {size} bytes; the gateway accepts at most {COMMAND_MAX}"
            ),
        }
    }
}

/// The decoder of one direction of a connection, after the greeting.
#[derive(Debug, Default)]
pub struct Decoder {
    frame: Partial,
    /// The frames of the message that is arriving.
    message: Vec<Bytes>,
    /// The number of frames at the start of `message` that have memory of their own. The other
    /// frames share the input's buffer.
    settled: usize,
    /// The memory charged for the frames that have memory of their own, in bytes.
    held: u64,
    /// The sum of the sizes that the frames of the message announce, including skipped frames.
    bytes: u64,
    oversize: bool,
    /// Set if a frame of the message was skipped because the message already had the maximum number
    /// of frames.
    cut: bool,
    /// Set if a frame of the message has begun and the last frame of the message is not complete.
    inside: bool,
    /// Set if the flag [`MORE`] is ignored, so that each frame is a message of its own.
    single: bool,
}

/// A frame that the end of a buffer cut off.
#[derive(Debug, Default)]
enum Partial {
    #[default]
    None,
    Header([u8; HEADER_MAX], u8),
    Body {
        flags: u8,
        /// The bytes that have arrived, and room for more.
        body: Vec<u8>,
        filled: usize,
        /// The size of the whole frame, which is within bounds.
        size: usize,
    },
    Skipped {
        flags: u8,
        missing: u64,
    },
}

impl Decoder {
    /// Returns a decoder that takes each frame as a message of its own, and ignores the flag
    /// [`MORE`].
    pub(crate) fn of_single_frames() -> Self {
        Self {
            single: true,
            ..Self::default()
        }
    }

    /// Returns the next item, or `None` once the input is used up. The decoder itself then keeps no
    /// reference to the input.
    ///
    /// # Errors
    ///
    /// Fails with the reason why the stream cannot be decoded any further.
    #[inline]
    pub fn next(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<Item>, FrameError> {
        match self.next_message(input, bounds) {
            Some(message) => Ok(Some(Item::Message(message))),
            None => self.next_by_frames(input, bounds, buffers),
        }
    }

    /// Returns the next message if the message is small and lies whole at the start of the input,
    /// as nearly all messages do. [`Decoder::next`] returns every item, such messages included.
    #[inline]
    pub(crate) fn next_message(&mut self, input: &mut Input, bounds: Bounds) -> Option<Message> {
        if self.inside || !matches!(self.frame, Partial::None) {
            return None;
        }
        if self.single && input.rest().first().is_some_and(|flags| flags & MORE != 0) {
            return None;
        }
        take_span(input, bounds)
    }

    /// Returns the next item by decoding frame by frame. This method handles commands, and all
    /// messages that are not returned as one span: large or faulty messages, messages with many
    /// frames or with commands between frames, and messages that the end of a buffer cuts off.
    fn next_by_frames(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<Item>, FrameError> {
        loop {
            let step = match &mut self.frame {
                Partial::None | Partial::Header(..) => match self.header(input)? {
                    Some((flags, size)) => {
                        let flags = if self.single { flags & !MORE } else { flags };
                        self.begin(flags, size, input, bounds, buffers)?
                    }
                    None => break,
                },
                Partial::Body {
                    flags,
                    body,
                    filled,
                    size,
                } => {
                    let flags = *flags;
                    *filled += collect(body, *filled, *size, input);
                    if filled < size {
                        break;
                    }
                    let body = Bytes::from(std::mem::take(body));
                    self.frame = Partial::None;
                    self.frame_done(flags, Some(body), bounds, buffers)
                }
                Partial::Skipped { flags, missing } => {
                    let flags = *flags;
                    let n = input.rest().len().min(clamp(*missing));
                    input.skip(n);
                    *missing -= n as u64;
                    if *missing > 0 {
                        break;
                    }
                    self.frame = Partial::None;
                    self.frame_done(flags, None, bounds, buffers)
                }
            };
            if step.is_some() {
                return Ok(step);
            }
        }
        // The rest of the message arrives in another buffer, so the frames must not keep this
        // buffer.
        for frame in &mut self.message[self.settled..] {
            *frame = std::mem::take(frame).compact();
            self.held += FRAME_CHARGE + frame.bytes().len() as u64;
        }
        self.settled = self.message.len();
        Ok(None)
    }

    /// Returns the memory that the incomplete frame or message holds, in bytes.
    pub fn held(&self) -> u64 {
        let body = match &self.frame {
            // The whole capacity counts, even if the frame uses only a part of it.
            Partial::Body { body, .. } => body.capacity(),
            _ => 0,
        };
        self.held + body as u64
    }

    /// Returns the number of bytes of the incomplete message that have arrived: the bytes of the
    /// bodies of kept and skipped frames, without commands between the frames.
    pub fn arrived(&self) -> u64 {
        let missing = match &self.frame {
            Partial::Body {
                flags,
                filled,
                size,
                ..
            } if flags & COMMAND == 0 => (size - filled) as u64,
            Partial::Skipped { missing, .. } => *missing,
            _ => 0,
        };
        self.bytes.saturating_sub(missing)
    }

    /// Returns whether a frame or a message has begun and is not complete.
    pub fn is_inside(&self) -> bool {
        self.is_inside_message() || !matches!(self.frame, Partial::None)
    }

    /// Returns whether a frame of a message has begun and the message is not complete.
    pub fn is_inside_message(&self) -> bool {
        self.inside
    }

    /// Returns the memory of the arriving frame into which the next bytes can be read directly, or
    /// `None` if that does not pay off. The caller writes to the beginning of this memory, and then
    /// calls [`Self::appended`].
    pub fn direct(&mut self) -> Option<&mut [u8]> {
        match &mut self.frame {
            Partial::Body {
                body, filled, size, ..
            } if *size - *filled >= DIRECT_MIN
                && (*filled).max(body.len() - *filled) >= DIRECT_MIN =>
            {
                grow(body, *filled, *size, DIRECT_MIN);
                Some(&mut body[*filled..])
            }
            _ => None,
        }
    }

    /// Records that `n` bytes were written to the memory that [`Self::direct`] returned.
    pub fn appended(&mut self, n: usize) {
        if let Partial::Body { filled, size, .. } = &mut self.frame {
            *filled = (*filled + n).min(*size);
        }
    }

    /// Completes the frame whose header has arrived: its whole body is `memory`. The next call of
    /// [`Self::next`] takes this frame, even without input.
    pub(crate) fn complete(&mut self, memory: Vec<u8>, buffers: &mut BufferPool) {
        match &mut self.frame {
            Partial::Body {
                body, filled, size, ..
            } => {
                *filled = memory.len().min(*size);
                buffers.keep(Bytes::from(std::mem::replace(body, memory)));
            }
            Partial::Skipped { missing, .. } => *missing = 0,
            Partial::None | Partial::Header(..) => {}
        }
    }

    /// Returns the flags and the size of the next frame, or `None` if its header has not arrived
    /// whole. Fails if the flags or the size are not valid.
    fn header(&mut self, input: &mut Input) -> Result<Option<(u8, u64)>, FrameError> {
        if let Partial::Header(bytes, have) = &mut self.frame {
            while usize::from(*have) < header_length(bytes[0]) {
                let Some(byte) = input.rest().first() else {
                    return Ok(None);
                };
                bytes[usize::from(*have)] = *byte;
                *have += 1;
                input.skip(1);
            }
            let bytes = *bytes;
            self.frame = Partial::None;
            return size(&bytes).map(|size| Some((bytes[0], size)));
        }
        let rest = input.rest();
        let Some(&flags) = rest.first() else {
            return Ok(None);
        };
        check(flags)?;
        let length = header_length(flags);
        if rest.len() < length {
            let mut bytes = [0; HEADER_MAX];
            bytes[..rest.len()].copy_from_slice(rest);
            self.frame = Partial::Header(bytes, rest.len() as u8);
            input.skip(rest.len());
            return Ok(None);
        }
        let size = size(&rest[..length])?;
        input.skip(length);
        Ok(Some((flags, size)))
    }

    /// Begins a frame whose header has arrived: takes the frame if it lies whole in the input, and
    /// otherwise begins to collect or to skip it. Returns the item that the frame completes, if
    /// any.
    fn begin(
        &mut self,
        flags: u8,
        size: u64,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<Item>, FrameError> {
        let kept = if flags & COMMAND != 0 {
            if size > COMMAND_MAX {
                return Err(FrameError::Command(size));
            }
            true
        } else {
            self.inside = true;
            self.bytes = self.bytes.saturating_add(size);
            self.oversize |= self.bytes > bounds.bytes;
            self.cut |= self.message.len() >= bounds.frames;
            !self.oversize && !self.cut
        };
        if !kept {
            self.frame = Partial::Skipped {
                flags,
                missing: size,
            };
            return Ok(None);
        }
        // The size is within bounds, so it fits `usize`.
        let length = clamp(size);
        if input.rest().len() >= length {
            let body = input.take(length);
            return Ok(self.frame_done(flags, Some(body), bounds, buffers));
        }
        self.frame = Partial::Body {
            flags,
            body: buffers.large(length),
            filled: 0,
            size: length,
        };
        Ok(None)
    }

    /// Ends a frame, whose body is `None` if the frame was skipped. Returns the item that the frame
    /// completes, if any.
    fn frame_done(
        &mut self,
        flags: u8,
        body: Option<Bytes>,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Option<Item> {
        if flags & COMMAND != 0 {
            return body.map(Item::Command);
        }
        if let Some(body) = body {
            if self.message.capacity() == 0 {
                self.message = buffers.list();
            }
            self.message.push(body);
        }
        if flags & MORE != 0 {
            return None;
        }
        self.inside = false;
        self.settled = 0;
        self.held = 0;
        self.bytes = 0;
        let frames = Message::from(std::mem::take(&mut self.message));
        // A caller expects that a message with the maximum number of frames may be cut. If the
        // bound on frames was raised before the message ended, a cut message has fewer frames than
        // the bound, and would look like a whole message.
        let cut = std::mem::take(&mut self.cut) && frames.len() < bounds.frames;
        Some(match std::mem::take(&mut self.oversize) || cut {
            true => Item::Oversize(frames),
            false => Item::Message(frames),
        })
    }
}

/// Takes a message that lies whole at the start of the input, if the message can be one span.
#[inline]
fn take_span(input: &mut Input, bounds: Bounds) -> Option<Message> {
    let (buffer, start) = input.position();
    let layout = Layout::find(input.rest(), start, bounds.bytes, bounds.frames)?;
    let message = Message::span(Rc::clone(buffer), layout);
    input.skip(layout.length());
    Some(message)
}

fn check(flags: u8) -> Result<(), FrameError> {
    let reserved = flags & !(MORE | LONG | COMMAND) != 0;
    let endless_command = flags & (COMMAND | MORE) == COMMAND | MORE;
    match reserved || endless_command {
        true => Err(FrameError::Flags(flags)),
        false => Ok(()),
    }
}

fn header_length(flags: u8) -> usize {
    if flags & LONG != 0 { HEADER_MAX } else { 2 }
}

/// Returns the size that a complete header announces. Fails if the size exceeds [`SIZE_MAX`].
fn size(header: &[u8]) -> Result<u64, FrameError> {
    if header[0] & LONG == 0 {
        return Ok(u64::from(header[1]));
    }
    let size = header[1..HEADER_MAX].iter();
    let size = size.fold(0, |size, byte| size << 8 | u64::from(*byte));
    match size {
        0..=SIZE_MAX => Ok(size),
        _ => Err(FrameError::Size(size)),
    }
}

/// Moves bytes of a body from the input to `body`, and returns their number.
fn collect(body: &mut Vec<u8>, filled: usize, size: usize, input: &mut Input) -> usize {
    let n = input.rest().len().min(size - filled);
    grow(body, filled, size, n);
    body[filled..filled + n].copy_from_slice(&input.rest()[..n]);
    input.skip(n);
    n
}

/// Makes room for `n` more bytes, or for half as many bytes as have arrived if that is more. The
/// buffer never grows beyond the size of the whole frame. The cost of copying thus stays
/// proportional to the size, and a frame that is never completed takes memory in proportion to the
/// bytes that have arrived.
fn grow(body: &mut Vec<u8>, filled: usize, size: usize, n: usize) {
    if body.len() - filled < n {
        let length = (filled + n).max(filled + filled / 2).min(size);
        body.reserve_exact(length - body.len());
        body.resize(length, 0);
    }
}

fn clamp(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
