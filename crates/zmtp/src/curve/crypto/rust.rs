//! CURVE's cryptography by the crate `crypto_box` of RustCrypto, which is written in Rust and has
//! been audited.

use std::sync::Arc;

use crypto_box::aead::AeadInPlace;
use crypto_box::{PublicKey, SalsaBox, SecretKey};

use super::box_key::BoxKey;
use super::terms::{Forged, KEY, NONCE, PREFIX, SHORT, TAG};

/// The public keys of points whose order divides 8, without the unused highest bit (RFC 7748,
/// section 6.1). With any of these public keys, every secret key yields the same shared key, which
/// therefore protects nothing. The keys 0 and 1 can also be encoded as p and p + 1, which fit into
/// 255 bits, because p is 2²⁵⁵ − 19.
const SMALL_ORDER: [[u8; KEY]; 7] = [
    with_first(0, [0; KEY]),
    with_first(1, [0; KEY]),
    ORDER_8[0],
    ORDER_8[1],
    with_first(0xec, HIGH),
    with_first(0xed, HIGH),
    with_first(0xee, HIGH),
];

/// The u-coordinates of the points of order 8.
const ORDER_8: [[u8; KEY]; 2] = [
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
];

/// The largest number of 255 bits. If its first byte is replaced by 0xec, 0xed or 0xee, the number
/// is p − 1, p or p + 1.
const HIGH: [u8; KEY] = {
    let mut bytes = [0xff; KEY];
    bytes[KEY - 1] = 0x7f;
    bytes
};

/// Returns the little-endian number `bytes` with its lowest byte replaced by `first`.
const fn with_first(first: u8, mut bytes: [u8; KEY]) -> [u8; KEY] {
    bytes[0] = first;
    bytes
}

/// The shared key of two key pairs, which seals and opens the boxes between them.
pub(in crate::curve) struct SharedKey(Arc<SalsaBox>);

impl SharedKey {
    /// Computes the key from one side's secret key and the other side's public key. This is the
    /// costly step of a handshake. Returns `None` for a public key of small order.
    pub(in crate::curve) fn new(public: &[u8; KEY], secret: &[u8; KEY]) -> Option<Self> {
        let mut masked = *public;
        masked[KEY - 1] &= 0x7f;
        let (public, secret) = (PublicKey::from(*public), SecretKey::from(*secret));
        (!SMALL_ORDER.contains(&masked)).then(|| Self(Arc::new(SalsaBox::new(&public, &secret))))
    }

    /// Returns the key of the boxes whose nonces begin with `prefix`.
    pub(in crate::curve) fn direction(&self, prefix: &[u8; PREFIX]) -> DirectionKey {
        DirectionKey {
            shared: Self(Arc::clone(&self.0)),
            prefix: *prefix,
        }
    }
}

impl BoxKey<NONCE> for SharedKey {
    fn seal_detached(&self, nonce: &[u8; NONCE], inside: &mut [u8]) -> [u8; TAG] {
        self.0
            .encrypt_in_place_detached(nonce.into(), b"", inside)
            .expect("Poly1305 takes any length that fits into memory")
            .into()
    }

    fn open_detached(
        &self,
        nonce: &[u8; NONCE],
        tag: &[u8; TAG],
        inside: &mut [u8],
    ) -> Result<(), Forged> {
        self.0
            .decrypt_in_place_detached(nonce.into(), b"", inside, tag.into())
            .map_err(|_| Forged)
    }
}

/// The key of one direction of a connection, which seals and opens its boxes.
pub(in crate::curve) struct DirectionKey {
    shared: SharedKey,
    prefix: [u8; PREFIX],
}

impl DirectionKey {
    /// Returns the whole nonce: the prefix and a short nonce.
    fn whole(&self, short: &[u8; SHORT]) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        nonce[..PREFIX].copy_from_slice(&self.prefix);
        nonce[PREFIX..].copy_from_slice(short);
        nonce
    }
}

impl BoxKey<SHORT> for DirectionKey {
    fn seal_detached(&self, nonce: &[u8; SHORT], inside: &mut [u8]) -> [u8; TAG] {
        self.shared.seal_detached(&self.whole(nonce), inside)
    }

    fn open_detached(
        &self,
        nonce: &[u8; SHORT],
        tag: &[u8; TAG],
        inside: &mut [u8],
    ) -> Result<(), Forged> {
        self.shared.open_detached(&self.whole(nonce), tag, inside)
    }
}

/// Returns the public key that belongs to a secret key.
pub(in crate::curve) fn public_key(secret: &[u8; KEY]) -> [u8; KEY] {
    SecretKey::from(*secret).public_key().to_bytes()
}
