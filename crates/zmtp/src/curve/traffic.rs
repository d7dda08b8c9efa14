//! Frames after the handshake, in both directions of a connection.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::crypto::DirectionKey;
use super::error::CurveError;
use super::frame::{FrameKind, OVERHEAD, nonce_of, open_at, write};
use super::large::{OpenWork, Opened, SealWork};
use super::nonce::{Incoming, Outgoing};

/// The two directions of a connection whose handshake is complete.
pub struct Connected {
    /// Seals the frames that this side sends.
    pub sealer: Sealer,
    /// Opens the frames that the peer sends.
    pub opener: Opener,
}

/// An opened frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The kind of the frame.
    pub kind: FrameKind,
    /// The body of the frame.
    pub data: &'a [u8],
}

/// Seals the frames of one direction.
pub struct Sealer {
    key: Arc<DirectionKey>,
    nonces: Outgoing,
}

/// Opens the frames of one direction.
pub struct Opener {
    key: Arc<DirectionKey>,
    seen: Incoming,
}

/// Writes no fields, because keys must not get into a log.
impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

impl Sealer {
    pub(super) fn new(key: DirectionKey, nonces: Outgoing) -> Self {
        let key = Arc::new(key);
        Self { key, nonces }
    }

    /// Appends a ZMTP frame whose body is the MESSAGE that contains `data`. The data is copied once
    /// and sealed in place, without other allocations.
    ///
    /// # Errors
    ///
    /// Fails with [`CurveError::NoncesExhausted`] after 2⁶⁴ − 1 frames, and then appends nothing.
    pub fn seal(
        &mut self,
        kind: FrameKind,
        data: &[u8],
        into: &mut Vec<u8>,
    ) -> Result<(), CurveError> {
        let short = self.nonces.next()?;
        write(&self.key, &short, kind, data, into);
        Ok(())
    }

    /// Returns the work of sealing a frame, which any thread may do. `body` is the range of the
    /// frame's body in `memory`. The frame must be sent before all frames that are sealed after
    /// this call.
    ///
    /// # Errors
    ///
    /// Fails like [`Self::seal`].
    pub fn seal_work(
        &mut self,
        kind: FrameKind,
        memory: Vec<u8>,
        body: Range<usize>,
    ) -> Result<SealWork, CurveError> {
        Ok(SealWork {
            short: self.nonces.next()?,
            key: Arc::clone(&self.key),
            kind,
            memory,
            body,
        })
    }
}

impl Opener {
    pub(super) fn new(key: DirectionKey, seen: Incoming) -> Self {
        let key = Arc::new(key);
        Self { key, seen }
    }

    /// Opens the body of a MESSAGE in place, and returns the frame inside.
    ///
    /// # Errors
    ///
    /// Fails if the body is not a valid MESSAGE, or if its nonce is not the next nonce. The
    /// connection must then be closed, because the message that the frame belongs to would be
    /// incomplete.
    pub fn open<'a>(&mut self, body: &'a mut [u8]) -> Result<Frame<'a>, CurveError> {
        let short = nonce_of(body)?;
        self.seen.check(short)?;
        let kind = open_at(&self.key, &short, body)?;
        self.seen.advance(short);
        let data = body.get(OVERHEAD..).unwrap_or_default();
        Ok(Frame { kind, data })
    }

    /// Returns the work of opening the body of a MESSAGE, which any thread may do. The result of
    /// the work must be passed to [`Self::opened`] before the next box is opened.
    ///
    /// # Errors
    ///
    /// Fails if the body is not a MESSAGE, or if its nonce is not the next nonce.
    pub fn open_work(&self, body: Vec<u8>) -> Result<OpenWork, CurveError> {
        let short = nonce_of(&body)?;
        self.seen.check(short)?;
        Ok(OpenWork {
            key: Arc::clone(&self.key),
            short,
            body,
        })
    }

    /// Returns the kind and the body of a frame that another thread has opened.
    ///
    /// # Errors
    ///
    /// Fails like [`Self::open`].
    pub fn opened(&mut self, opened: Opened) -> Result<(FrameKind, Vec<u8>), CurveError> {
        let Opened { short, frame } = opened;
        self.seen.check(short)?;
        let frame = frame?;
        self.seen.advance(short);
        Ok(frame)
    }
}
