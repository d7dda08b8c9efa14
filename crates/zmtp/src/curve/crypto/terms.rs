//! Sizes and errors that both implementations of the cryptography, `rust` and `sodium`, share.

/// The size of a key, in bytes.
pub(in crate::curve) const KEY: usize = 32;

/// The size of a nonce, in bytes.
pub(in crate::curve) const NONCE: usize = 24;

/// The size of the prefix of a nonce, in bytes, which is the same for all frames of a direction.
pub(in crate::curve) const PREFIX: usize = 16;

/// The size of the rest of a nonce, in bytes: the short nonce, which is a counter.
pub(in crate::curve) const SHORT: usize = NONCE - PREFIX;

/// The number of bytes by which a box exceeds its content: the Poly1305 tag, which comes first.
pub(in crate::curve) const TAG: usize = 16;

/// The error of a box that was not sealed with the given key and nonce, or was changed since.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::curve) struct Forged;
