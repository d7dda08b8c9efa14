//! A frame in the box of a MESSAGE (RFC 26, "MESSAGE Command").
//!
//! As in libzmq, a MESSAGE is the body of a frame that has neither the flag [`MORE`](crate::MORE)
//! nor the flag [`COMMAND`](crate::COMMAND). The first byte in the box has the flags of the frame
//! inside: 1 if more frames of the same message follow, and 2 for a command such as PING. The RFC
//! does not have the flag 2.

use super::crypto::{BoxKey as _, DirectionKey, TAG};
use super::error::CurveError;
use super::layout;
use super::nonce;
use crate::put_header;

/// The number of bytes by which a MESSAGE exceeds the frame inside: name, nonce, tag and flags.
pub const OVERHEAD: usize = layout::MESSAGE.len() + nonce::SHORT + TAG + 1;

const BOX_MORE: u8 = 1;
const BOX_COMMAND: u8 = 2;

const MALFORMED: CurveError = CurveError::Malformed("a frame that is not a MESSAGE");

/// The kind of a sealed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A frame of a message, followed by more frames of that message.
    More,
    /// The last or only frame of a message.
    Last,
    /// The body of a command.
    Command,
}

/// Appends a ZMTP frame whose body is the MESSAGE that contains `data`.
pub(super) fn write(
    key: &DirectionKey,
    short: &[u8; nonce::SHORT],
    kind: FrameKind,
    data: &[u8],
    into: &mut Vec<u8>,
) {
    put_header(into, 0, OVERHEAD + data.len());
    into.extend_from_slice(layout::MESSAGE);
    into.extend_from_slice(short);
    let flags = match kind {
        FrameKind::More => BOX_MORE,
        FrameKind::Last => 0,
        FrameKind::Command => BOX_COMMAND,
    };
    key.seal_onto(short, &[&[flags], data], into);
}

/// Returns whether the body of a frame begins with the name MESSAGE, as every frame with a box
/// does.
pub(crate) fn is_box(body: &[u8]) -> bool {
    body.starts_with(layout::MESSAGE)
}

/// Returns the short nonce in the body of a MESSAGE. Fails if the body is not a MESSAGE.
pub(super) fn nonce_of(body: &[u8]) -> Result<[u8; nonce::SHORT], CurveError> {
    let (name, rest) = body
        .split_first_chunk::<{ layout::MESSAGE.len() }>()
        .ok_or(MALFORMED)?;
    if name != layout::MESSAGE {
        return Err(MALFORMED);
    }
    rest.first_chunk().copied().ok_or(MALFORMED)
}

/// Opens the box of a MESSAGE in place, and returns the kind of the frame inside. The body of that
/// frame begins after the first [`OVERHEAD`] bytes of `body`. Fails if the box cannot be opened, or
/// if its flags are unknown.
pub(super) fn open_at(
    key: &DirectionKey,
    short: &[u8; nonce::SHORT],
    body: &mut [u8],
) -> Result<FrameKind, CurveError> {
    let sealed = body.get_mut(layout::MESSAGE.len() + nonce::SHORT..);
    let inside = key.open(short, sealed.ok_or(MALFORMED)?);
    let inside = inside.map_err(|forged| forged.into_error("MESSAGE"))?;
    match inside.first().ok_or(MALFORMED)? {
        0 => Ok(FrameKind::Last),
        &BOX_MORE => Ok(FrameKind::More),
        &BOX_COMMAND => Ok(FrameKind::Command),
        flags => Err(CurveError::UnknownFlags(*flags)),
    }
}
