//! Frames after the handshake, each of which travels in the box of a MESSAGE (RFC 26, "MESSAGE
//! Command").
//!
//! A MESSAGE is the body of a plain frame without flags, as in libzmq, and the flags of the frame
//! inside are the first byte in the box: 1 for more frames of the same message, and 2, which the
//! RFC does not have, for a command such as PING.

use std::fmt;
use std::sync::Arc;

use super::crypto::{SharedKey, TAG};
use super::error::CurveError;
use super::layout;
use super::nonce::{self, Incoming, Outgoing};
use crate::put_header;

/// The number of bytes by which a MESSAGE exceeds the frame inside: name, nonce, tag and flags.
pub const OVERHEAD: usize = layout::MESSAGE.len() + nonce::SHORT + TAG + 1;

const BOX_MORE: u8 = 1;
const BOX_COMMAND: u8 = 2;

/// The two directions of a connection whose handshake is complete.
pub struct Connected {
    /// Seals the frames that this side sends.
    pub sealer: Sealer,
    /// Opens the frames that the peer sends.
    pub opener: Opener,
}

/// The kind of a sealed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A frame of a message, followed by more frames of it.
    More,
    /// The last or only frame of a message.
    Last,
    /// The body of a command.
    Command,
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
    agreed: Arc<SharedKey>,
    prefix: &'static [u8; 16],
    nonces: Outgoing,
}

/// Opens the frames of one direction.
pub struct Opener {
    agreed: Arc<SharedKey>,
    prefix: &'static [u8; 16],
    seen: Incoming,
}

/// Writes no fields, because keys must not get into a log.
impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

impl Sealer {
    pub(super) const fn new(
        agreed: Arc<SharedKey>,
        prefix: &'static [u8; 16],
        nonces: Outgoing,
    ) -> Self {
        Self {
            agreed,
            prefix,
            nonces,
        }
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
        put_header(into, 0, OVERHEAD + data.len());
        into.extend_from_slice(layout::MESSAGE);
        into.extend_from_slice(&short);
        let flags = match kind {
            FrameKind::More => BOX_MORE,
            FrameKind::Last => 0,
            FrameKind::Command => BOX_COMMAND,
        };
        let nonce = nonce::short(self.prefix, &short);
        self.agreed.seal_onto(&nonce, &[&[flags], data], into);
        Ok(())
    }
}

impl Opener {
    pub(super) const fn new(
        agreed: Arc<SharedKey>,
        prefix: &'static [u8; 16],
        seen: Incoming,
    ) -> Self {
        Self {
            agreed,
            prefix,
            seen,
        }
    }

    /// Opens the body of a MESSAGE in place, and returns the frame inside.
    ///
    /// # Errors
    ///
    /// Fails if the body is not a valid MESSAGE or not the next one. The connection must then be
    /// closed, because the message that the frame belongs to would be incomplete.
    pub fn open<'a>(&mut self, body: &'a mut [u8]) -> Result<Frame<'a>, CurveError> {
        const MALFORMED: CurveError = CurveError::Malformed("a frame that is not a MESSAGE");
        let (name, rest) = body
            .split_first_chunk_mut::<{ layout::MESSAGE.len() }>()
            .ok_or(MALFORMED)?;
        if name != layout::MESSAGE {
            return Err(MALFORMED);
        }
        let (short, sealed) = rest.split_first_chunk_mut().ok_or(MALFORMED)?;
        self.seen.check(*short)?;
        let inside = self
            .agreed
            .open(&nonce::short(self.prefix, short), sealed)
            .map_err(|forged| forged.of("MESSAGE"))?;
        self.seen.took(*short);
        let (flags, data) = inside.split_first().ok_or(MALFORMED)?;
        let kind = match *flags {
            0 => FrameKind::Last,
            BOX_MORE => FrameKind::More,
            BOX_COMMAND => FrameKind::Command,
            flags => return Err(CurveError::UnknownFlags(flags)),
        };
        Ok(Frame { kind, data })
    }
}
