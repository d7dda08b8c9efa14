//! Sizes and errors that every implementation of the seam shares.

/// Bytes of a key.
pub(in crate::curve) const KEY: usize = 32;

/// Bytes of a nonce.
pub(in crate::curve) const NONCE: usize = 24;

/// Bytes that a box is longer than what is inside: the Poly1305 tag, which stands first.
pub(in crate::curve) const TAG: usize = 16;

/// A box that was not sealed with this key and nonce, or was changed since.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::curve) struct Forged;
