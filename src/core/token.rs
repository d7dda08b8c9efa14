//! The token `identity#number`, which is frame 0 of a request to a worker. The token is unique, and
//! people can read it.
//!
//! The identity is unchanged if it is printable ASCII, and in hex otherwise, so that a worker's
//! `identity.decode()` never fails. The number alone identifies the request. An answer must
//! nevertheless repeat the identity, so that a guessed number does not suffice.

use std::rc::Rc;

use crate::peer::{Identity, PeerId};

/// The number of digits that are read at a time.
const DIGITS: usize = 8;

/// The number of cached tokens: one for each of a few busy clients.
const TOKENS_KEPT: usize = 16;

/// The maximum length of an identity in ZMTP, in bytes.
const IDENTITY_MAX: usize = 255;

/// A client's name, in its original form and in the form for tokens.
#[derive(Debug)]
pub(super) struct Name {
    /// The original form, which workers see under `identity: client`.
    pub(super) bare: Identity,
    /// The form in tokens.
    shown: Box<[u8]>,
}

impl Name {
    /// Returns the name of a client with this identity. Tokens show only the first [`IDENTITY_MAX`]
    /// bytes of a longer identity.
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

    /// Replaces the content of `into` with the token of this client's request `number`.
    fn write(&self, number: u64, into: &mut Vec<u8>) {
        // The digits are written from the last one to the first, and then the `#` before them.
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

    /// Returns whether `shown`, the part of a token before the `#`, is this name.
    pub(super) fn is_shown_as(&self, shown: &[u8]) -> bool {
        *self.shown == *shown
    }
}

fn hex(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)])
}

/// The last tokens of a few clients.
///
/// The numbers of a busy client's requests follow each other closely, so usually only the last
/// digit of the client's token changes.
#[derive(Debug)]
pub(super) struct Tokens([Token; TOKENS_KEPT]);

#[derive(Clone, Debug, Default)]
struct Token {
    /// The name in `text`, or `None` before the first token. Each client has its own `Rc`, and a
    /// new one if its name changes, so equal pointers mean the same name of the same client.
    name: Option<Rc<Name>>,
    /// The number of the request.
    number: u64,
    text: Vec<u8>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Token::default()))
    }
}

impl Tokens {
    /// Returns the token of this request of a client with this name.
    #[inline]
    pub(super) fn token(&mut self, client: PeerId, name: &Rc<Name>, number: u64) -> &[u8] {
        let token = &mut self.0[client.0 as usize % TOKENS_KEPT];
        let before = std::mem::replace(&mut token.number, number);
        let step = match &token.name {
            Some(known) if Rc::ptr_eq(known, name) => number.wrapping_sub(before),
            _ => {
                token.name = Some(Rc::clone(name));
                u64::MAX
            }
        };
        match token.text.last_mut() {
            // Without a carry, the other digits are the same.
            Some(last) if step <= u64::from(b'9' - *last) => *last += step as u8,
            _ => name.write(number, &mut token.text),
        }
        &token.text
    }
}

/// Returns the client's name as the token shows it, and the number, if [`Name::write`] could have
/// written the token.
#[inline]
pub(super) fn read(token: &[u8]) -> Option<(&[u8], u64)> {
    read_usual(token).or_else(|| read_any(token))
}

/// Reads a token, eight digits at a time. Returns `None` for some valid tokens, too. These are
/// tokens of fewer than 8 bytes, tokens of fewer than 16 bytes with 8 digits or more, and tokens
/// with 16 digits or more.
#[inline]
fn read_usual(token: &[u8]) -> Option<(&[u8], u64)> {
    // The identity may contain `#`, so the number follows the last `#`.
    let (before, end) = token.split_last_chunk::<DIGITS>()?;
    let (mut digits, mut number) = last_digits(*end);
    if digits == DIGITS {
        let (more, high) = last_digits(*before.last_chunk()?);
        number += high * 100_000_000;
        digits += more;
    }
    if digits == 2 * DIGITS {
        return None;
    }
    let hash = token.len() - digits - 1;
    // A number has no leading zeros, and at least one digit.
    let is_valid = token[hash] == b'#' && digits > 0 && (digits == 1 || token[hash + 1] != b'0');
    is_valid.then(|| (&token[..hash], number))
}

/// Returns the number of digits at the end of these bytes, and the number that they form. All bytes
/// are examined at once.
#[inline]
fn last_digits(bytes: [u8; DIGITS]) -> (usize, u64) {
    // The first byte is the lowest, so a shift removes the bytes before the digits.
    let values = u64::from_le_bytes(bytes) ^ 0x3030_3030_3030_3030;
    // The highest bit of each byte is set if the byte is more than 9.
    let others = ((values & 0x7f7f_7f7f_7f7f_7f7f) + 0x7676_7676_7676_7676) | values;
    let digits = (others & 0x8080_8080_8080_8080).leading_zeros() as usize / 8;
    if digits == 0 {
        return (0, 0);
    }
    let before = 8 * (DIGITS - digits);
    let ones = values >> before << before;
    // Neighbours are combined: two digits each, then four, then all eight.
    let pairs = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    let number = (fours * 10_000 + (fours >> 32)) & 0xffff_ffff;
    (digits, number)
}

/// Reads any token. Returns `None` if [`Name::write`] cannot have written it.
fn read_any(token: &[u8]) -> Option<(&[u8], u64)> {
    let hash = token.iter().rposition(|byte| *byte == b'#')?;
    let mut number = 0_u64;
    for byte in &token[hash + 1..] {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    let is_valid = match &token[hash + 1..] {
        [] => false,
        [_] => true,
        [first, ..] => *first != b'0',
    };
    is_valid.then(|| (&token[..hash], number))
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
    fn a_token_shows_a_printable_identity_unchanged_and_any_other_in_hex() {
        assert_eq!(token(b"client1", 42), "client1#42");
        assert_eq!(token(b"\0\x01k", 7), "00016b#7");
        assert_eq!(token(b"", 0), "#0");
        assert_eq!(token(&[0xff; 255], u64::MAX).len(), 2 * 255 + 1 + 20);
    }

    #[test]
    fn read_accepts_written_tokens_and_nothing_else() {
        let name = Name::new(b"a#b".to_vec());
        let mut written = Vec::new();
        for number in [0, 1, 9, 10, 100, 1234567890, u64::MAX - 1, u64::MAX] {
            name.write(number, &mut written);
            assert_eq!(read(&written), Some((&b"a#b"[..], number)));
        }
        for number in (0..20).flat_map(|power| [10_u64.pow(power) - 1, 10_u64.pow(power) + 7]) {
            name.write(number, &mut written);
            assert_eq!(read(&written), Some((&b"a#b"[..], number)));
        }
        for (shown, expected) in [(&b"a#b"[..], true), (b"a", false), (b"a#b#", false)] {
            assert_eq!(name.is_shown_as(shown), expected);
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
            "identity#",
            "identity#0012",
            "identity#12a",
            "identity1234567",
            "identity#12\u{f1}3",
            "identity#/:1",
        ] {
            assert_eq!(read(foreign.as_bytes()), None, "{foreign}");
        }
    }

    #[test]
    fn digits_read_all_at_once_equal_digits_read_one_by_one() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..100_000 {
            let bytes = std::array::from_fn(|_| match random.u8(..8) {
                0 => random.u8(..),
                1 => *random.choice(b"/:09#\xb0\xb9").unwrap(),
                _ => random.u8(b'0'..=b'9'),
            });
            let digits = bytes.iter().rev().take_while(|byte| byte.is_ascii_digit());
            let digits = digits.count();
            let text = str::from_utf8(&bytes[DIGITS - digits..]).unwrap();
            let expected = (digits, text.parse().unwrap_or(0));
            assert_eq!(last_digits(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_token_does_not_depend_on_the_tokens_before() {
        let mut random = fastrand::Rng::with_seed(7);
        // Each client has two names, like a client that became anonymous while its requests waited.
        let name = |n: u8| Rc::new(Name::new(format!("client{n}").into()));
        let names: Vec<[Rc<Name>; 2]> = (0..40).map(|n| [name(n), name(n + 100)]).collect();
        let (mut tokens, mut number, mut client) = (Tokens::default(), 0_u64, 0);
        for _ in 0..100_000 {
            if random.u8(..10) == 0 {
                client = random.usize(..names.len());
                number = random.u64(number.saturating_sub(20)..number + 20);
            }
            number += 1;
            let name = &names[client][usize::from(random.u8(..10) == 0)];
            let mut expected = Vec::new();
            name.write(number, &mut expected);
            let token = tokens.token(PeerId(client as u64), name, number);
            assert_eq!(token, expected);
        }
    }
}
