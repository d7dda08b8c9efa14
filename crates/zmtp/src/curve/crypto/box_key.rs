//! The interface of keys that seal and open boxes.

use super::terms::{Forged, TAG};

/// A key that seals and opens boxes. Each box has a nonce of `N` bytes, which no other box of the
/// same key may have.
pub(in crate::curve) trait BoxKey<const N: usize> {
    /// Seals the bytes in place and returns the tag.
    fn seal_detached(&self, nonce: &[u8; N], inside: &mut [u8]) -> [u8; TAG];

    /// Opens the bytes in place. Fails, and leaves the bytes as they are, if they do not match the
    /// tag, the nonce and the key.
    fn open_detached(
        &self,
        nonce: &[u8; N],
        tag: &[u8; TAG],
        inside: &mut [u8],
    ) -> Result<(), Forged>;

    /// Appends the box of `inside` to `into`.
    fn seal_onto(&self, nonce: &[u8; N], inside: &[&[u8]], into: &mut Vec<u8>) {
        let start = into.len();
        into.resize(start + TAG, 0);
        for part in inside {
            into.extend_from_slice(part);
        }
        self.seal(nonce, &mut into[start..]);
    }

    /// Opens a box in place and returns its content. Fails if the box was not sealed with this key
    /// and nonce, or was changed since.
    fn open<'a>(&self, nonce: &[u8; N], sealed: &'a mut [u8]) -> Result<&'a mut [u8], Forged> {
        let (tag, inside) = sealed.split_first_chunk_mut::<TAG>().ok_or(Forged)?;
        self.open_detached(nonce, tag, inside)?;
        Ok(inside)
    }

    /// Seals the bytes of `room` after the first [`TAG`] bytes in place, and writes the tag to the
    /// first [`TAG`] bytes. Does nothing if `room` has fewer bytes.
    fn seal(&self, nonce: &[u8; N], room: &mut [u8]) {
        if let Some((tag, inside)) = room.split_first_chunk_mut::<TAG>() {
            *tag = self.seal_detached(nonce, inside);
        }
    }
}
