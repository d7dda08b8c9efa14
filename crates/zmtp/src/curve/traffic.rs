//! Frames after the handshake: each travels in the box of a MESSAGE (RFC 26, "MESSAGE Command").
//!
//! As libzmq does it, a MESSAGE is the body of a plain frame without flags, and the flags of the
//! frame inside are the first byte in the box: 1 for more frames of the same message, and 2, which
//! the RFC does not have, for a command such as PING.

use std::sync::Arc;

use super::crypto::{Agreed, TAG};
use super::error::CurveError;
use super::layout;
use super::nonce::{self, Incoming, Outgoing};
use crate::put_header;

/// Bytes that a MESSAGE is longer than the frame inside: name, nonce, tag and flags.
pub const OVERHEAD: usize = layout::MESSAGE.len() + nonce::SHORT + TAG + 1;

const MORE: u8 = 1;
const COMMAND: u8 = 2;

/// The two directions of a connection whose handshake is done.
pub struct Connected {
    /// Seals what this side sends.
    pub sealer: Sealer,
    /// Opens what the peer sends.
    pub opener: Opener,
}

/// What a sealed frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A frame of a message of which more frames follow.
    More,
    /// The last or only frame of a message.
    Last,
    /// The body of a command.
    Command,
}

/// A frame that was opened.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the frame is.
    pub kind: FrameKind,
    /// Its body.
    pub data: &'a [u8],
}

/// Seals the frames of one direction.
pub struct Sealer {
    agreed: Arc<Agreed>,
    prefix: &'static [u8; 16],
    nonces: Outgoing,
}

/// Opens the frames of one direction.
pub struct Opener {
    agreed: Arc<Agreed>,
    prefix: &'static [u8; 16],
    seen: Incoming,
}

impl Sealer {
    pub(super) const fn new(
        agreed: Arc<Agreed>,
        prefix: &'static [u8; 16],
        nonces: Outgoing,
    ) -> Self {
        Self {
            agreed,
            prefix,
            nonces,
        }
    }

    /// Appends a frame to what will be written to the peer: a ZMTP frame whose body is the MESSAGE.
    /// The data is copied once and sealed where it stands; nothing else is allocated.
    ///
    /// # Errors
    ///
    /// [`CurveError::NoncesExhausted`] after 2⁶⁴ − 1 frames; nothing is appended then.
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
            FrameKind::More => MORE,
            FrameKind::Last => 0,
            FrameKind::Command => COMMAND,
        };
        let nonce = nonce::short(self.prefix, &short);
        self.agreed.seal_onto(&nonce, &[&[flags], data], into);
        Ok(())
    }
}

impl Opener {
    pub(super) const fn new(
        agreed: Arc<Agreed>,
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
    /// What is wrong with it. The connection must be closed then: what follows cannot be trusted to
    /// be whole.
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
            MORE => FrameKind::More,
            COMMAND => FrameKind::Command,
            flags => return Err(CurveError::UnknownFlags(flags)),
        };
        Ok(Frame { kind, data })
    }
}
