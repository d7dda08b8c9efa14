//! Elements that the grammars of several formats share: sets of bytes, and decimal numbers.

/// A set of bytes, with one bit for each of the 256 bytes.
#[derive(Clone, Copy)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) const ALPHANUMERIC: Self = Self::of(b"")
        .with_range(b'0', b'9')
        .with_range(b'A', b'Z')
        .with_range(b'a', b'z');

    /// Returns the set of these bytes.
    pub(super) const fn of(bytes: &[u8]) -> Self {
        Self([0; 4]).with(bytes)
    }

    /// Returns this set with these bytes added.
    pub(super) const fn with(mut self, bytes: &[u8]) -> Self {
        let mut at = 0;
        while at < bytes.len() {
            self = self.with_range(bytes[at], bytes[at]);
            at += 1;
        }
        self
    }

    /// Returns this set with the bytes from `first` to `last` added, both included.
    pub(super) const fn with_range(mut self, first: u8, last: u8) -> Self {
        let mut byte = first as usize;
        while byte <= last as usize {
            self.0[byte / 64] |= 1 << (byte % 64);
            byte += 1;
        }
        self
    }

    /// Returns the bytes that are not in this set.
    pub(super) const fn complement(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([!a, !b, !c, !d])
    }

    pub(super) const fn has(&self, byte: u8) -> bool {
        self.0[(byte / 64) as usize] >> (byte % 64) & 1 != 0
    }

    /// Returns whether all bytes of `text` are in this set.
    pub(super) fn has_all(&self, text: &[u8]) -> bool {
        text.iter().all(|&byte| self.has(byte))
    }
}

/// Returns whether `number` consists of decimal digits without leading zeros.
pub(super) fn is_decimal(number: &str) -> bool {
    let digits = number.as_bytes();
    let padded = digits.len() > 1 && digits[0] == b'0';
    !digits.is_empty() && !padded && digits.iter().all(u8::is_ascii_digit)
}
