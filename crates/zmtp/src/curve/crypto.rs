//! The cryptography of CURVE (RFC 26, "Cryptography"): X25519 to agree on a key, and XSalsa20 and
//! Poly1305 to seal and open boxes. There are two implementations with the same interface. Nothing
//! else in this crate uses a cryptographic library.

#[cfg(not(feature = "sodium"))]
mod rust;
#[cfg(feature = "sodium")]
mod sodium;
mod terms;

#[cfg(not(feature = "sodium"))]
pub(super) use rust::{SharedKey, public_key};
#[cfg(feature = "sodium")]
pub(super) use sodium::{SharedKey, public_key};
pub(super) use terms::{Forged, KEY, NONCE, TAG};

/// The error of an operating system that provides no random bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoRandomness;

/// Returns unpredictable bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

impl SharedKey {
    /// Appends the box of `inside` to `into`.
    pub(super) fn seal_onto(&self, nonce: &[u8; NONCE], inside: &[&[u8]], into: &mut Vec<u8>) {
        let start = into.len();
        into.resize(start + TAG, 0);
        for part in inside {
            into.extend_from_slice(part);
        }
        self.seal(nonce, &mut into[start..]);
    }

    /// Opens a box in place and returns its content. Fails if the box was not sealed with this key
    /// and nonce, or was changed since.
    pub(super) fn open<'a>(
        &self,
        nonce: &[u8; NONCE],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], Forged> {
        let (tag, inside) = sealed.split_first_chunk_mut::<TAG>().ok_or(Forged)?;
        self.open_detached(nonce, tag, inside)?;
        Ok(inside)
    }

    /// Seals the bytes after the first [`TAG`] bytes in place, and writes the tag to those first
    /// bytes.
    pub(super) fn seal(&self, nonce: &[u8; NONCE], room: &mut [u8]) {
        if let Some((tag, inside)) = room.split_first_chunk_mut::<TAG>() {
            *tag = self.seal_detached(nonce, inside);
        }
    }
}
