//! Frame 0 of a dealer worker's request: `identity#number`, unique and readable.
//!
//! The identity stands as it is where it is printable ASCII, in hex otherwise, so that a worker's
//! `identity.decode()` never fails. The number alone names the request; the identity is held against
//! it, so that a number by itself opens nothing.

/// Longest token: an identity of 255 bytes in hex, the sign, and twenty digits.
const TOKEN_MAX: usize = 2 * 255 + 1 + 20;

/// A token, written without allocating.
pub(super) struct Token {
    bytes: [u8; TOKEN_MAX],
    length: usize,
}

impl Token {
    pub(super) fn new(identity: &[u8], number: u64) -> Self {
        let mut token = Self {
            bytes: [0; TOKEN_MAX],
            length: 0,
        };
        token.length = put_name(&mut token.bytes, identity);
        token.push(b'#');
        let mut digits = [0; 20];
        let mut first = digits.len();
        let mut rest = number;
        while rest > 0 || first == digits.len() {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        for digit in &digits[first..] {
            token.push(*digit);
        }
        token
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }
}

/// The number that a token ends with, if it is one that [`Token::new`] could have written.
pub(super) fn number(token: &[u8]) -> Option<u64> {
    let sign = token.iter().rposition(|&b| b == b'#')?;
    let digits = &token[sign + 1..];
    let plain = !digits.starts_with(b"0") && digits.iter().all(u8::is_ascii_digit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| plain)?;
    digits.parse().ok()
}

/// Whether a token's front is this identity's.
pub(super) fn names(token: &[u8], identity: &[u8]) -> bool {
    let mut name = [0; TOKEN_MAX];
    let length = put_name(&mut name, identity);
    let sign = token.iter().rposition(|&b| b == b'#');
    sign.is_some_and(|sign| token[..sign] == name[..length])
}

/// Writes an identity as it stands in a token; gives how long it is. Identities are at most 255
/// bytes by the protocol; more would be cut.
fn put_name(into: &mut [u8; TOKEN_MAX], identity: &[u8]) -> usize {
    let identity = &identity[..identity.len().min(255)];
    if identity.iter().all(u8::is_ascii_graphic) {
        into[..identity.len()].copy_from_slice(identity);
        return identity.len();
    }
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (at, byte) in identity.iter().enumerate() {
        into[2 * at] = HEX[usize::from(byte >> 4)];
        into[2 * at + 1] = HEX[usize::from(byte & 15)];
    }
    2 * identity.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(identity: &[u8], number: u64) -> String {
        String::from_utf8(Token::new(identity, number).bytes().to_vec()).unwrap()
    }

    #[test]
    fn readable_where_the_identity_is() {
        assert_eq!(token(b"client1", 42), "client1#42");
        assert_eq!(token(b"\0\x01k", 7), "00016b#7");
        assert_eq!(token(b"", 0), "#0");
        assert_eq!(token(&[0xff; 255], u64::MAX).len(), TOKEN_MAX);
    }

    #[test]
    fn reads_back_what_it_wrote_and_nothing_else() {
        let written = Token::new(b"a#b", 1234567890);
        assert_eq!(number(written.bytes()), Some(1234567890));
        assert!(names(written.bytes(), b"a#b"));
        assert!(!names(written.bytes(), b"a"));
        for foreign in [
            "",
            "a",
            "a#",
            "a#x",
            "a#01",
            "a#-1",
            "a#+1",
            "#99999999999999999999",
        ] {
            assert_eq!(number(foreign.as_bytes()), None, "{foreign}");
        }
    }
}
