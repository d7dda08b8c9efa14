//! Large frames, which take so long to seal or to open that another thread can do this work.
//!
//! A large frame gets its nonce before another thread seals it. While another thread opens a large
//! frame, no other frame of the same direction is opened. Frames and nonces thus keep the order
//! that they would have on one thread.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::crypto::DirectionKey;
use super::error::CurveError;
use super::frame::{FrameKind, OVERHEAD, open_at, write};
use super::nonce;
use crate::HEADER_MAX;

/// The minimum size of the frames that are sealed or opened on another thread, in bytes. Sealing or
/// opening a frame of this size takes about a quarter of a millisecond with libsodium, and almost a
/// millisecond with `crypto_box`.
pub const LARGE_MIN: usize = 256 << 10;

/// The work of sealing a frame.
pub struct SealWork {
    pub(super) key: Arc<DirectionKey>,
    pub(super) short: [u8; nonce::SHORT],
    pub(super) kind: FrameKind,
    /// The memory that contains the body of the frame.
    pub(super) memory: Vec<u8>,
    /// The range of the body in `memory`.
    pub(super) body: Range<usize>,
}

/// The work of opening a box.
pub struct OpenWork {
    pub(super) key: Arc<DirectionKey>,
    pub(super) short: [u8; nonce::SHORT],
    /// The body of the MESSAGE.
    pub(super) body: Vec<u8>,
}

/// The result of opening a box.
pub struct Opened {
    pub(super) short: [u8; nonce::SHORT],
    /// The kind and the body of the frame in the box, or the reason why the box cannot be opened.
    pub(super) frame: Result<(FrameKind, Vec<u8>), CurveError>,
}

impl SealWork {
    /// Returns the number of bytes of the sealed frame, with its header.
    pub fn size(&self) -> usize {
        HEADER_MAX + OVERHEAD + self.body.len()
    }

    /// Seals the frame, and returns the bytes to send.
    pub fn run(self) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(self.size());
        let data = self.memory.get(self.body).unwrap_or_default();
        write(&self.key, &self.short, self.kind, data, &mut sealed);
        sealed
    }
}

impl OpenWork {
    /// Returns the number of bytes of the frame in the box.
    pub fn size(&self) -> usize {
        self.body.len().saturating_sub(OVERHEAD)
    }

    /// Opens the box.
    pub fn run(self) -> Opened {
        let Self {
            key,
            short,
            mut body,
        } = self;
        let kind = open_at(&key, &short, &mut body);
        let frame = kind.map(|kind| {
            body.drain(..OVERHEAD.min(body.len()));
            (kind, body)
        });
        Opened { short, frame }
    }
}

/// Writes only the size, because neither keys nor messages must get into a log.
impl fmt::Debug for SealWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealWork({})", self.size())
    }
}

impl fmt::Debug for OpenWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenWork({})", self.size())
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({})", self.frame.is_ok())
    }
}
