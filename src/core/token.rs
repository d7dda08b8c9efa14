//! Frame 0 of a dealer worker's request: `identity#number`, unique and readable.
//!
//! The identity stands as it is where it is printable ASCII, in hex otherwise, so that a worker's
//! `identity.decode()` never fails. The number alone names the request; the identity is held against
//! it, so that a number by itself opens nothing.

use crate::peer::Identity;

/// Digits of which no number is too large for its type.
const DIGITS_SAFE: usize = 19;

/// Longest identity: what the protocol allows.
const IDENTITY_MAX: usize = 255;

/// A client's name, as it is and as it stands in tokens.
#[derive(Debug)]
pub(super) struct Name {
    /// As it is: what workers see under `identity: client`.
    pub(super) bare: Identity,
    /// As it stands in tokens.
    shown: Box<[u8]>,
}

impl Name {
    /// The name of a client of this identity. Identities are at most 255 bytes by the protocol; more would
    /// be cut.
    pub(super) fn new(identity: Vec<u8>) -> Self {
        let shown = &identity[..identity.len().min(IDENTITY_MAX)];
        let shown = match shown.iter().all(u8::is_ascii_graphic) {
            true => shown.into(),
            false => shown.iter().flat_map(|byte| hex(*byte)).collect(),
        };
        Self {
            bare: identity.into(),
            shown,
        }
    }

    /// Writes the token of this client's request over `into`.
    pub(super) fn write(&self, number: u64, into: &mut Vec<u8>) {
        // The sign and the digits, from the last one on.
        let mut end = [0; 21];
        let mut first = end.len();
        let mut rest = number;
        loop {
            first -= 1;
            end[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        first -= 1;
        end[first] = b'#';
        into.clear();
        into.extend_from_slice(&self.shown);
        into.extend_from_slice(&end[first..]);
    }

    /// Whether this, of a token, stands for this client.
    pub(super) fn is_shown_as(&self, shown: &[u8]) -> bool {
        *self.shown == *shown
    }
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)])
}

/// How a token shows its client, and its number, if [`Name::write`] could have written it.
#[inline]
pub(super) fn read(token: &[u8]) -> Option<(&[u8], u64)> {
    // From the last digit to the sign. The identity may have signs of its own, so the last one counts.
    let (mut number, mut scale, mut last) = (0_u64, 1_u64, 0);
    for (n, byte) in token.iter().rev().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            if n >= DIGITS_SAFE {
                return read_long(token);
            }
            number += u64::from(digit) * scale;
            scale *= 10;
            last = digit;
            continue;
        }
        // Written without leading zeros; of nothing, there is no number.
        let sound = *byte == b'#' && n > 0 && (n == 1 || last != 0);
        return sound.then(|| (&token[..token.len() - n - 1], number));
    }
    None
}

/// Reads a token whose number may have twenty digits, and so be too large.
#[cold]
fn read_long(token: &[u8]) -> Option<(&[u8], u64)> {
    let sign = token.iter().rposition(|byte| *byte == b'#')?;
    let digits = &token[sign + 1..];
    if digits.starts_with(b"0") || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((&token[..sign], number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(identity: &[u8], number: u64) -> String {
        let mut token = Vec::new();
        Name::new(identity.to_vec()).write(number, &mut token);
        String::from_utf8(token).unwrap()
    }

    #[test]
    fn readable_where_the_identity_is() {
        assert_eq!(token(b"client1", 42), "client1#42");
        assert_eq!(token(b"\0\x01k", 7), "00016b#7");
        assert_eq!(token(b"", 0), "#0");
        assert_eq!(token(&[0xff; 255], u64::MAX).len(), 2 * 255 + 1 + 20);
    }

    #[test]
    fn reads_back_what_it_wrote_and_nothing_else() {
        let name = Name::new(b"a#b".to_vec());
        let mut written = Vec::new();
        for of in [0, 1, 9, 10, 100, 1234567890, u64::MAX - 1, u64::MAX] {
            name.write(of, &mut written);
            assert_eq!(read(&written), Some((&b"a#b"[..], of)));
        }
        for (shown, is_its) in [(&b"a#b"[..], true), (b"a", false), (b"a#b#", false)] {
            assert_eq!(name.is_shown_as(shown), is_its);
        }
        for foreign in [
            "",
            "a",
            "a#",
            "a#x",
            "a#01",
            "a#-1",
            "a#+1",
            "#99999999999999999999",
            "#18446744073709551616",
            "#100000000000000000000",
            "#00",
            "#000000000000000000000000",
        ] {
            assert_eq!(read(foreign.as_bytes()), None, "{foreign}");
        }
    }
}
