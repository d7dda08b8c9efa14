//! CURVE's cryptography by libsodium, the library that libzmq itself uses.
#![expect(unsafe_code, reason = "libsodium is a library in C")]

use libsodium_sys::{
    crypto_box_BEFORENMBYTES, crypto_box_beforenm, crypto_box_detached_afternm,
    crypto_box_open_detached_afternm, crypto_scalarmult_base, sodium_init,
};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::terms::{Forged, KEY, NONCE, TAG};

const _: () = assert!(crypto_box_BEFORENMBYTES as usize == KEY);

/// The key that two key pairs agree on, which seals and opens their boxes.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(in crate::curve) struct SharedKey([u8; KEY]);

impl SharedKey {
    /// Computes the key from one side's secret key and the other side's public key. This is the
    /// costly step of a handshake. Returns `None` for a public key of small order. With such a
    /// public key, every secret key yields the same shared key.
    pub(in crate::curve) fn new(public: &[u8; KEY], secret: &[u8; KEY]) -> Option<Self> {
        choose_implementation();
        let mut agreed = Self([0; KEY]);
        // SAFETY: all three are arrays of the 32 bytes that the function reads or writes.
        let code =
            unsafe { crypto_box_beforenm(agreed.0.as_mut_ptr(), public.as_ptr(), secret.as_ptr()) };
        (code == 0).then_some(agreed)
    }

    /// Seals the bytes in place and returns the tag.
    pub(super) fn seal_detached(&self, nonce: &[u8; NONCE], inside: &mut [u8]) -> [u8; TAG] {
        let mut tag = [0; TAG];
        let bytes = inside.as_mut_ptr();
        // SAFETY: the function reads and writes `inside.len()` bytes at `bytes`, and allows input
        // and output to be the same memory. It reads or writes each array within its length. It
        // always returns 0.
        unsafe {
            crypto_box_detached_afternm(
                bytes,
                tag.as_mut_ptr(),
                bytes,
                inside.len() as u64,
                nonce.as_ptr(),
                self.0.as_ptr(),
            );
        }
        tag
    }

    /// Opens the bytes in place. Fails if the bytes do not match the tag, the nonce and the key.
    pub(super) fn open_detached(
        &self,
        nonce: &[u8; NONCE],
        tag: &[u8; TAG],
        inside: &mut [u8],
    ) -> Result<(), Forged> {
        let bytes = inside.as_mut_ptr();
        // SAFETY: as in `seal_detached`.
        let code = unsafe {
            crypto_box_open_detached_afternm(
                bytes,
                bytes,
                tag.as_ptr(),
                inside.len() as u64,
                nonce.as_ptr(),
                self.0.as_ptr(),
            )
        };
        if code == 0 { Ok(()) } else { Err(Forged) }
    }
}

/// Returns the public key that belongs to a secret key.
pub(in crate::curve) fn public_key(secret: &[u8; KEY]) -> [u8; KEY] {
    choose_implementation();
    let mut public = [0; KEY];
    // SAFETY: both are arrays of the 32 bytes that the function reads or writes.
    unsafe { crypto_scalarmult_base(public.as_mut_ptr(), secret.as_ptr()) };
    public
}

/// Makes libsodium choose the fastest implementations for this processor. Without this call,
/// libsodium uses its portable implementations.
fn choose_implementation() {
    // SAFETY: the function may be called at any time, by any thread, and again.
    unsafe { sodium_init() };
}
