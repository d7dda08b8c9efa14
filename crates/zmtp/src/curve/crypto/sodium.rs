//! CURVE's cryptography by libsodium, the library that libzmq itself uses.
#![expect(unsafe_code, reason = "libsodium is a library in C")]

use std::ptr;

use libsodium_sys::{
    crypto_box_BEFORENMBYTES, crypto_box_beforenm, crypto_box_detached_afternm,
    crypto_box_open_detached_afternm, crypto_core_hsalsa20, crypto_onetimeauth_poly1305,
    crypto_onetimeauth_poly1305_verify, crypto_scalarmult_base, crypto_stream_salsa20,
    crypto_stream_salsa20_xor_ic, sodium_init,
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::box_key::BoxKey;
use super::terms::{Forged, KEY, NONCE, PREFIX, SHORT, TAG};

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

    /// Returns the key of the boxes whose nonces begin with `prefix`.
    pub(in crate::curve) fn direction(&self, prefix: &[u8; PREFIX]) -> DirectionKey {
        let mut key = DirectionKey([0; KEY]);
        // SAFETY: the function reads or writes each array within its length, and a null pointer as
        // the last argument stands for the usual constant. It always returns 0.
        unsafe {
            crypto_core_hsalsa20(
                key.0.as_mut_ptr(),
                prefix.as_ptr(),
                self.0.as_ptr(),
                ptr::null(),
            );
        }
        key
    }
}

impl BoxKey<NONCE> for SharedKey {
    fn seal_detached(&self, nonce: &[u8; NONCE], inside: &mut [u8]) -> [u8; TAG] {
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

    fn open_detached(
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

/// The number of bytes of Salsa20's stream that are the key of Poly1305. The content of a box is
/// encrypted with the bytes that follow.
const TAG_KEY: usize = 32;

/// The size of a block of Salsa20's stream, in bytes.
const BLOCK: usize = 64;

/// The key of one direction of a connection, which seals and opens its boxes.
///
/// XSalsa20 derives this key from the shared key and from the prefix of the nonce, for each box
/// anew. All nonces of a direction have the same prefix, so the key is derived only once here, and
/// the rest of a box is built as in libsodium's `crypto_box`: by Salsa20 and Poly1305. For a small
/// message, a box takes about half of the time of `crypto_box`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(in crate::curve) struct DirectionKey([u8; KEY]);

impl DirectionKey {
    /// Returns the first block of the stream for a box.
    fn first_block(&self, nonce: &[u8; SHORT]) -> Zeroizing<[u8; BLOCK]> {
        let mut block = Zeroizing::new([0; BLOCK]);
        // SAFETY: the function writes the 64 bytes of `block`, and reads the 8 bytes of the nonce
        // and the 32 bytes of the key. It always returns 0.
        unsafe {
            crypto_stream_salsa20(
                block.as_mut_ptr(),
                BLOCK as u64,
                nonce.as_ptr(),
                self.0.as_ptr(),
            );
        }
        block
    }

    /// Encrypts or decrypts the content of a box in place: both combine it with the stream.
    fn combine(&self, nonce: &[u8; SHORT], first: &[u8; BLOCK], inside: &mut [u8]) {
        let (head, rest) = inside.split_at_mut(inside.len().min(BLOCK - TAG_KEY));
        for (byte, of_stream) in head.iter_mut().zip(&first[TAG_KEY..]) {
            *byte ^= of_stream;
        }
        if rest.is_empty() {
            return;
        }
        let bytes = rest.as_mut_ptr();
        // SAFETY: the function reads and writes `rest.len()` bytes at `bytes`, and allows input and
        // output to be the same memory. It reads the 8 bytes of the nonce and the 32 bytes of the
        // key. The stream begins with its second block. The function always returns 0.
        unsafe {
            crypto_stream_salsa20_xor_ic(
                bytes,
                bytes,
                rest.len() as u64,
                nonce.as_ptr(),
                1,
                self.0.as_ptr(),
            );
        }
    }
}

impl BoxKey<SHORT> for DirectionKey {
    fn seal_detached(&self, nonce: &[u8; SHORT], inside: &mut [u8]) -> [u8; TAG] {
        let first = self.first_block(nonce);
        self.combine(nonce, &first, inside);
        let mut tag = [0; TAG];
        // SAFETY: the function writes the 16 bytes of the tag, and reads the whole content and the
        // first 32 bytes of the block. It always returns 0.
        unsafe {
            crypto_onetimeauth_poly1305(
                tag.as_mut_ptr(),
                inside.as_ptr(),
                inside.len() as u64,
                first.as_ptr(),
            );
        }
        tag
    }

    fn open_detached(
        &self,
        nonce: &[u8; SHORT],
        tag: &[u8; TAG],
        inside: &mut [u8],
    ) -> Result<(), Forged> {
        let first = self.first_block(nonce);
        // SAFETY: the function reads the 16 bytes of the tag, the whole content and the first 32
        // bytes of the block. It compares the tags in constant time.
        let code = unsafe {
            crypto_onetimeauth_poly1305_verify(
                tag.as_ptr(),
                inside.as_ptr(),
                inside.len() as u64,
                first.as_ptr(),
            )
        };
        if code != 0 {
            return Err(Forged);
        }
        self.combine(nonce, &first, inside);
        Ok(())
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
