//! Z85 (RFC 32/Z85): 4 bytes as 5 printable characters, the text form of CURVE keys.

use std::fmt;

/// The characters, by their value (RFC 32, "Formal Specification").
const ALPHABET: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// The value of each ASCII character, or [`NOT_IN_ALPHABET`] for characters outside of the
/// alphabet.
const CHARACTER_VALUES: [u8; 128] = {
    let mut values = [NOT_IN_ALPHABET; 128];
    let mut n = 0;
    while n < ALPHABET.len() {
        values[ALPHABET[n] as usize] = n as u8;
        n += 1;
    }
    values
};

const NOT_IN_ALPHABET: u8 = 0xff;

/// The reason why a text is not the Z85 form of the required number of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Z85Error {
    /// The text has the wrong number of characters.
    Length {
        /// The number of characters in the text.
        found: usize,
        /// The required number of characters.
        expected: usize,
    },
    /// A character is not in the alphabet.
    Character {
        /// The character.
        found: char,
        /// The position of the character in the text, in bytes.
        at: usize,
    },
    /// Five characters stand for a number that does not fit into four bytes.
    Overflow {
        /// The position of the first of the five characters, in bytes.
        at: usize,
    },
}

impl fmt::Display for Z85Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { found, expected } => {
                write!(f, "expected {expected} characters of Z85, found {found}")
            }
            Self::Character { found, .. } => write!(
                f,
                "the character {} does not occur in Z85",
                found.escape_debug()
            ),
            Self::Overflow { at } => {
                write!(f, "the five characters from byte {at} on are not valid Z85")
            }
        }
    }
}

impl std::error::Error for Z85Error {}

/// Returns the Z85 form of the bytes.
///
/// Bytes beyond a multiple of four are omitted, since Z85 has no form for them.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() / 4 * 5);
    for group in bytes.as_chunks::<4>().0 {
        let number = u32::from_be_bytes(*group);
        for power in [52_200_625, 614_125, 7_225, 85, 1] {
            text.push(char::from(ALPHABET[(number / power % 85) as usize]));
        }
    }
    text
}

/// Decodes a text into `N` bytes. `N` must be a multiple of four.
///
/// # Errors
///
/// Fails with the first of these faults that the text has: a character outside of the alphabet, a
/// wrong number of characters, or five characters that stand for too large a number.
pub fn decode<const N: usize>(text: &str) -> Result<[u8; N], Z85Error> {
    const { assert!(N.is_multiple_of(4), "Z85 encodes groups of four bytes") };
    let expected = N / 4 * 5;
    if let Some((at, found)) = text.char_indices().find(|(_, c)| value(*c).is_none()) {
        return Err(Z85Error::Character { found, at });
    }
    if text.len() != expected {
        let found = text.len();
        return Err(Z85Error::Length { found, expected });
    }
    let mut bytes = [0; N];
    let groups = bytes.as_chunks_mut::<4>().0;
    for (n, (group, digits)) in groups
        .iter_mut()
        .zip(text.as_bytes().as_chunks::<5>().0)
        .enumerate()
    {
        let number = digits.iter().fold(0, |number, digit| {
            number * 85 + u64::from(CHARACTER_VALUES[usize::from(*digit) & 0x7f])
        });
        *group = u32::try_from(number)
            .map_err(|_| Z85Error::Overflow { at: n * 5 })?
            .to_be_bytes();
    }
    Ok(bytes)
}

/// Returns the value of a character, or `None` if the character is not in the alphabet.
fn value(character: char) -> Option<u8> {
    let value = *CHARACTER_VALUES.get(character as usize)?;
    (value != NOT_IN_ALPHABET).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_encoded_and_decoded() {
        let bytes = [0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b];
        assert_eq!(encode(&bytes), "HelloWorld");
        assert_eq!(decode("HelloWorld"), Ok(bytes));
    }

    #[test]
    fn random_bytes_survive_encoding_and_decoding() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let bytes: [u8; 32] = std::array::from_fn(|_| random.u8(..));
            assert_eq!(decode(&encode(&bytes)), Ok(bytes));
        }
        assert_eq!(decode(&encode(&[0xff; 32])), Ok([0xff; 32]));
    }

    #[test]
    fn an_invalid_text_is_refused_with_its_first_fault() {
        let length = Z85Error::Length {
            found: 4,
            expected: 5,
        };
        assert_eq!(decode::<4>("abcd"), Err(length));
        let character = Z85Error::Character { found: '"', at: 2 };
        assert_eq!(decode::<4>("ab\"de"), Err(character));
        let character = Z85Error::Character { found: 'é', at: 4 };
        assert_eq!(decode::<4>("abcdé"), Err(character));
        assert_eq!(decode::<8>("00000#####"), Err(Z85Error::Overflow { at: 5 }));
    }
}
