//! Byte strings that payloads are expected to contain, such as keys. They are compared in words of
//! eight bytes instead of byte by byte.
//!
//! This module knows no encoding. Its callers supply all bytes of a key, including the bytes around
//! the name, such as quotes in JSON.

use crate::text::first_bytes;

/// The bytes with which a payload probably continues.
#[derive(Debug)]
pub(super) struct Prefix {
    bytes: Box<[u8]>,
    /// The first eight bytes, see [`first_bytes`].
    first: u64,
    /// The bits of `first` that belong to `bytes`.
    mask: u64,
    /// The last eight bytes, or 0 if the prefix is shorter.
    last: u64,
}

impl Prefix {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let mask = match bytes.len() {
            size @ 0..8 => (1 << (8 * size)) - 1,
            _ => u64::MAX,
        };
        let last = bytes.last_chunk().copied().unwrap_or_default();
        Self {
            first: first_bytes(&bytes),
            mask,
            last: u64::from_le_bytes(last),
            bytes: bytes.into(),
        }
    }

    /// Returns the text after the prefix, or `None` if `text` does not start with the prefix or has
    /// fewer than eight bytes, the size of a word.
    #[inline]
    pub(crate) fn strip<'p>(&self, text: &'p [u8]) -> Option<&'p [u8]> {
        let size = self.bytes.len();
        let first = u64::from_le_bytes(*text.first_chunk()?);
        if (first ^ self.first) & self.mask != 0 {
            return None;
        }
        let (start, rest) = text.split_at_checked(size)?;
        let same = match size {
            0..=8 => true,
            9..=16 => {
                (start.last_chunk()).is_some_and(|last| u64::from_le_bytes(*last) == self.last)
            }
            _ => start[8..] == self.bytes[8..],
        };
        same.then_some(rest)
    }
}

/// The two forms of a field's key: one with its proto name and one with its JSON name.
#[derive(Debug)]
pub(super) struct KeyPrefixes {
    /// The form that most writers of the encoding choose.
    usual: Prefix,
    other: Prefix,
}

impl KeyPrefixes {
    pub(crate) fn new(usual: Vec<u8>, other: Vec<u8>) -> Self {
        let (usual, other) = (Prefix::new(usual), Prefix::new(other));
        Self { usual, other }
    }

    /// Returns the text after the key, or `None` if `text` starts with neither form of the key or
    /// has fewer than eight bytes.
    #[inline]
    pub(crate) fn strip<'p>(&self, text: &'p [u8]) -> Option<&'p [u8]> {
        match self.usual.strip(text) {
            None => self.other.strip(text),
            rest => rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strip_compares_every_byte_of_a_prefix() {
        for size in 0..40 {
            let bytes: Vec<u8> = (0..size).map(|at| b'a' + at % 26).collect();
            let prefix = Prefix::new(bytes.clone());
            for after in 0..10 {
                let mut text = [&bytes[..], &vec![b'!'; after]].concat();
                let rest = (text.len() >= 8).then_some(&text[bytes.len()..]);
                assert_eq!(prefix.strip(&text), rest, "{size} {after}");
                for at in 0..bytes.len() {
                    text[at] ^= 1;
                    assert_eq!(prefix.strip(&text), None, "{size} {after} {at}");
                    text[at] ^= 1;
                }
                assert_eq!(prefix.strip(&text[..bytes.len().saturating_sub(1)]), None);
            }
        }
    }
}
