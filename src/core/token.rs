//! Frame 0 of a dealer worker's request: `identity#number`, unique and readable.
//!
//! The identity stands as it is where it is printable ASCII, in hex otherwise, so that a worker's
//! `identity.decode()` never fails. The number alone names the request; the identity is held against
//! it, so that a number by itself opens nothing.

use crate::pool::Identity;

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
        into.clear();
        into.extend_from_slice(&self.shown);
        into.push(b'#');
        let mut digits = [0; 20];
        let mut first = digits.len();
        let mut rest = number;
        while rest > 0 || first == digits.len() {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        into.extend_from_slice(&digits[first..]);
    }

    /// Whether a token's front is this client's.
    pub(super) fn is_of(&self, token: &[u8]) -> bool {
        let rest = token.strip_prefix(&*self.shown);
        rest.and_then(|rest| rest.split_first())
            .is_some_and(|(sign, digits)| *sign == b'#' && !digits.contains(&b'#'))
    }
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)])
}

/// The number that a token ends with, if it is one that [`Name::write`] could have written.
pub(super) fn number(token: &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    let mut unit = 1_u64;
    let mut last = 0;
    // Of twenty digits at most, which is as far as the unit goes, and the sign.
    for (place, byte) in token.iter().rev().take(21).enumerate() {
        match byte {
            b'0'..=b'9' => {
                last = u64::from(byte - b'0');
                number = number.checked_add(last.checked_mul(unit)?)?;
                unit = unit.wrapping_mul(10);
            }
            // Written without leading zeros; of nothing, there is no number.
            b'#' => return (place > 0 && (last > 0 || place == 1)).then_some(number),
            _ => return None,
        }
    }
    None
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
            assert_eq!(number(&written), Some(of));
            assert!(name.is_of(&written));
            assert!(!Name::new(b"a".to_vec()).is_of(&written));
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
            assert_eq!(number(foreign.as_bytes()), None, "{foreign}");
        }
    }
}
