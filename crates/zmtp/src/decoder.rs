//! Traffic, taken apart: bytes → whole messages and commands. Every bound is held while bytes
//! arrive.
//!
//! What lies whole in the buffer that was read is shared, not copied: a small message as one span,
//! found in one pass over its headers, anything else frame by frame. What is cut off by the buffer's
//! end goes on in memory of its own, which grows with what has arrived, never with what
//! was announced.

use std::fmt;
use std::rc::Rc;

use crate::bytes::{Bytes, Input};
use crate::command::COMMAND_MAX;
use crate::message::{Layout, Message};
use crate::pool::BufferPool;
use crate::{COMMAND, HEADER_MAX, LONG, MORE};

/// Bytes that a frame must lack, and have room for or have got already, for more to be read
/// straight into its own memory; fewer are cheaper to copy than a read of their own.
const DIRECT_MIN: usize = 16 << 10;

/// Largest frame that is skipped as it comes: a tebibyte. More is no message that anybody sends,
/// but a stream that has lost its way.
const SIZE_MAX: u64 = 1 << 40;

/// What a message may have.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of its frames together; one with more is skipped as it comes.
    pub bytes: u64,
    /// Frames that are kept; those beyond are skipped.
    pub frames: usize,
}

/// Something whole.
#[derive(Debug)]
pub enum Item {
    /// A message's frames; of one with more than [`Bounds::frames`], so many.
    Message(Message),
    /// What was kept of a message with more than [`Bounds::bytes`]: leading frames, each whole.
    Oversize(Message),
    /// A command's body.
    Command(Bytes),
}

/// Why a stream can't be understood any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A reserved flag is set, or a command says that more follows.
    Flags(u8),
    /// A size beyond a tebibyte.
    Size(u64),
    /// A command of more than [`COMMAND_MAX`] bytes.
    Command(u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flags(flags) => write!(
                f,
                "a frame with flags {flags:#04x}, which ZMTP does not have"
            ),
            Self::Size(size) => write!(f, "a frame that is said to have {size} bytes"),
            Self::Command(size) => write!(
                f,
                "a command of {size} bytes; the gateway takes {COMMAND_MAX}"
            ),
        }
    }
}

/// One direction of a connection, from the end of its greeting on.
#[derive(Debug, Default)]
pub struct Decoder {
    frame: Partial,
    /// Frames of the message that is coming in.
    message: Vec<Bytes>,
    /// So many of them have memory of their own.
    settled: usize,
    /// Bytes of those.
    held: u64,
    /// Bytes of the message, skipped ones included.
    bytes: u64,
    oversize: bool,
    /// It has more frames than were allowed when those came: from there on none is kept.
    cut: bool,
    /// Frames have come and the last one has not.
    inside: bool,
}

/// A frame that the end of a buffer cut off.
#[derive(Debug, Default)]
enum Partial {
    #[default]
    None,
    Header([u8; HEADER_MAX], u8),
    Body {
        flags: u8,
        /// What has come, and room for more.
        body: Vec<u8>,
        filled: usize,
        /// All of it, which is within bounds.
        size: usize,
    },
    Skipped {
        flags: u8,
        missing: u64,
    },
}

impl Decoder {
    /// Returns the next whole thing, or nothing once the input is used up, of which then nothing is
    /// shared any more.
    ///
    /// # Errors
    ///
    /// Returns the reason why the stream can't be understood any further.
    #[inline]
    pub fn next(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<Item>, Fault> {
        if !self.inside
            && matches!(self.frame, Partial::None)
            && let Some(message) = take_span(input, bounds)
        {
            return Ok(Some(Item::Message(message)));
        }
        self.next_by_frames(input, bounds, buffers)
    }

    /// Goes on frame by frame: with a message or a command that the end of a buffer cut off, that
    /// is large, that has many frames or other commands between them, or that is faulty.
    fn next_by_frames(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<Item>, Fault> {
        loop {
            let step = match &mut self.frame {
                Partial::None | Partial::Header(..) => match self.header(input)? {
                    Some((flags, size)) => self.begin(flags, size, input, bounds, buffers)?,
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
        // The rest of the message comes with another buffer; this one must not wait for it.
        for frame in &mut self.message[self.settled..] {
            *frame = std::mem::take(frame).compact();
            self.held += frame.bytes().len() as u64;
        }
        self.settled = self.message.len();
        Ok(None)
    }

    /// Memory that a frame or a message takes which has begun and is not whole.
    pub fn held(&self) -> u64 {
        let body = match &self.frame {
            // All of its place, of which it may use a part.
            Partial::Body { body, .. } => body.capacity(),
            _ => 0,
        };
        self.held + body as u64
    }

    /// Bytes of the message that has begun, as far as they have come: of its frames' bodies,
    /// skipped ones included, and nothing of the commands between them.
    pub fn come(&self) -> u64 {
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

    /// Whether a frame or a message has begun and is not whole.
    pub fn is_inside(&self) -> bool {
        self.is_inside_message() || !matches!(self.frame, Partial::None)
    }

    /// Whether a frame of a message has begun and the message is not whole.
    pub fn is_inside_message(&self) -> bool {
        self.inside
    }

    /// Memory that what follows can be read straight into, if that is worth it: it belongs to the
    /// frame that is coming in. Fill the front of it, then say [`Self::appended`].
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

    /// So many bytes were put into what [`Self::direct`] gave.
    pub fn appended(&mut self, n: usize) {
        if let Partial::Body { filled, size, .. } = &mut self.frame {
            *filled = (*filled + n).min(*size);
        }
    }

    /// Flags and size of the next frame, once its header is there.
    fn header(&mut self, input: &mut Input) -> Result<Option<(u8, u64)>, Fault> {
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

    /// Takes a frame that lies whole in the input, or begins to collect or to skip it.
    fn begin(
        &mut self,
        flags: u8,
        size: u64,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<Item>, Fault> {
        let kept = if flags & COMMAND != 0 {
            if size > COMMAND_MAX {
                return Err(Fault::Command(size));
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
        // Within bounds, so within `usize`.
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
        // Cut to as many as are allowed now, or more, it shows by itself that it has too many. If
        // more have been allowed since, it would pass for a whole one.
        let cut = std::mem::take(&mut self.cut) && frames.len() < bounds.frames;
        Some(match std::mem::take(&mut self.oversize) || cut {
            true => Item::Oversize(frames),
            false => Item::Message(frames),
        })
    }
}

/// Takes a message that lies whole at the front of the input, if it can be one span.
#[inline]
fn take_span(input: &mut Input, bounds: Bounds) -> Option<Message> {
    let (buffer, start) = input.place();
    let layout = Layout::find(input.rest(), start, bounds.bytes, bounds.frames)?;
    let message = Message::span(Rc::clone(buffer), layout);
    input.skip(layout.length());
    Some(message)
}

fn check(flags: u8) -> Result<(), Fault> {
    let reserved = flags & !(MORE | LONG | COMMAND) != 0;
    let endless_command = flags & (COMMAND | MORE) == COMMAND | MORE;
    match reserved || endless_command {
        true => Err(Fault::Flags(flags)),
        false => Ok(()),
    }
}

fn header_length(flags: u8) -> usize {
    if flags & LONG != 0 { HEADER_MAX } else { 2 }
}

/// The size in a whole header.
fn size(header: &[u8]) -> Result<u64, Fault> {
    if header[0] & LONG == 0 {
        return Ok(u64::from(header[1]));
    }
    let size = header[1..HEADER_MAX].iter();
    let size = size.fold(0, |size, byte| size << 8 | u64::from(*byte));
    match size {
        0..=SIZE_MAX => Ok(size),
        _ => Err(Fault::Size(size)),
    }
}

/// Takes what the input has of a body; how much that was.
fn collect(body: &mut Vec<u8>, filled: usize, size: usize, input: &mut Input) -> usize {
    let n = input.rest().len().min(size - filled);
    grow(body, filled, size, n);
    body[filled..filled + n].copy_from_slice(&input.rest()[..n]);
    input.skip(n);
    n
}

/// Makes room for at least `n` more bytes. The buffer grows by half of what has come, so that the
/// copying stays in proportion and a frame that never comes whole costs little more than its bytes,
/// but never beyond the size of the whole frame.
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
