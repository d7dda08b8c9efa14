//! JSON strings: finding their ends, checking their escapes and their UTF-8, and decoding them.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use super::unexpected::unexpected;
use crate::text::{self, HIGH, LOW};
use crate::violation::{Checked, Fault};

/// A well-formed string as it is written between its quotes, with its escapes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    /// Returns the text if it is written without escapes, as most texts are, and `None` otherwise.
    #[inline]
    pub(crate) fn plain(self) -> Option<&'a [u8]> {
        (!self.escaped).then_some(self.raw)
    }

    /// Returns the text with its escapes decoded. Allocates only if there are any.
    pub(crate) fn decoded(self) -> Cow<'a, str> {
        match self.escaped {
            false => String::from_utf8_lossy(self.raw),
            true => Cow::Owned(unescaped(self.raw)),
        }
    }

    /// Returns the bytes of the text with its escapes decoded. Allocates only if there are any.
    #[inline]
    pub(crate) fn bytes(self) -> Cow<'a, [u8]> {
        match self.escaped {
            false => Cow::Borrowed(self.raw),
            true => Cow::Owned(unescaped(self.raw).into_bytes()),
        }
    }
}

impl PartialEq for Text<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match self.escaped || other.escaped {
            false => self.raw == other.raw,
            true => self.bytes() == other.bytes(),
        }
    }
}

impl Eq for Text<'_> {}

impl Hash for Text<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl<'a> From<Text<'a>> for Cow<'a, str> {
    fn from(text: Text<'a>) -> Self {
        text.decoded()
    }
}

/// Finds the first of the eight bytes of `word` that a string cannot hold unescaped: a quote, a
/// backslash or a control character. The lowest byte of `word` is the first.
///
/// Returns a mask whose lowest set bit is the high bit of the byte found, or 0 if there is no such
/// byte. The bits above the lowest set bit have no meaning.
#[inline]
pub(super) fn special(word: u64) -> u64 {
    let (quote, backslash) = (word ^ (LOW * 0x22), word ^ (LOW * 0x5c));
    let quote = quote.wrapping_sub(LOW) & !quote;
    let backslash = backslash.wrapping_sub(LOW) & !backslash;
    let control = word.wrapping_sub(LOW * 0x20) & !word;
    (quote | backslash | control) & HIGH
}

/// Finds the first of the eight bytes of `word` that is not ASCII, or that a string cannot hold
/// unescaped. Returns a mask as [`special`] does.
#[inline]
pub(super) fn foreign(word: u64) -> u64 {
    // In ASCII, flipping the bit 0x02 turns the quote into 0x20, keeps control characters below
    // 0x20, and turns every other character into a character above 0x20.
    let low = (word ^ (LOW * 0x02)).wrapping_sub(LOW * 0x21);
    let backslash = (word ^ (LOW * 0x5c)).wrapping_sub(LOW);
    (low | backslash | word) & HIGH
}

/// The number of bytes of a long string that are examined in one step, so that the compiler can use
/// vector instructions.
const STEP_BYTES: usize = 32;

/// Returns whether a string cannot hold this byte unescaped.
#[inline]
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Reads the string whose opening quote is just before `at`, and moves `at` after the closing
/// quote.
#[inline]
pub(super) fn string<'a>(bytes: &'a [u8], at: &mut usize) -> Checked<Text<'a>> {
    let start = *at;
    let mut cursor = start;
    let mut escaped = false;
    let mut foreign = 0;
    // Long strings are examined in large steps, which the compiler vectorises.
    while let Some(chunk) = bytes[cursor..].first_chunk::<STEP_BYTES>() {
        if chunk
            .iter()
            .fold(false, |found, byte| found | is_special(*byte))
        {
            break;
        }
        foreign |= u64::from(chunk.iter().fold(0, |all, byte| all | byte));
        cursor += STEP_BYTES;
    }
    loop {
        let rest = &bytes[cursor..];
        let byte = match rest.first_chunk::<8>() {
            Some(chunk) => {
                let word = u64::from_le_bytes(*chunk);
                let special = special(word);
                if special == 0 {
                    foreign |= word;
                    cursor += 8;
                    continue;
                }
                let before = special.trailing_zeros() / 8;
                foreign |= word & !(u64::MAX << (8 * before));
                cursor += before as usize;
                bytes[cursor]
            }
            None => match rest.first() {
                Some(&byte) => byte,
                None => return Err(unexpected(bytes, cursor, "the end of the string")),
            },
        };
        match byte {
            b'"' => break,
            b'\\' => {
                escaped = true;
                cursor += escape(bytes, cursor)?;
            }
            0x00..=0x1f => return Err(control(byte, cursor)),
            _ => {
                foreign |= u64::from(byte);
                cursor += 1;
            }
        }
    }
    let raw = &bytes[start..cursor];
    if foreign & HIGH != 0 {
        utf8(raw, start)?;
    }
    *at = cursor + 1;
    Ok(Text { raw, escaped })
}

#[cold]
fn control(byte: u8, at: usize) -> Box<Fault> {
    let found = format!("the control character {byte:#04x}");
    Fault::new(at, "an escape for a control character", found)
}

fn utf8(raw: &[u8], at: usize) -> Checked<()> {
    text::utf8(raw)
        .map_err(|good| Fault::new(at + good, "a string in UTF-8", "bytes that are not UTF-8"))
}

/// Returns the size of the escape at `at`, in bytes. An invalid escape is a violation.
fn escape(bytes: &[u8], at: usize) -> Checked<usize> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
        Some(b'u') => match unit(bytes, at) {
            Some(0xd800..=0xdbff) => match unit(bytes, at + 6) {
                Some(0xdc00..=0xdfff) => Ok(12),
                _ => Err(Fault::new(at, "a pair of surrogates", "a single surrogate")),
            },
            Some(0xdc00..=0xdfff) => {
                Err(Fault::new(at, "a pair of surrogates", "a single surrogate"))
            }
            Some(_) => Ok(6),
            None => Err(Fault::new(
                at,
                "four hex digits after \\u",
                "other characters",
            )),
        },
        _ => Err(unexpected(bytes, at + 1, "the letter of an escape")),
    }
}

/// Returns the code unit of the escape at `at`, or `None` if it is not `\u` and four hex digits.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let (start, digits) = bytes.get(at..at + 6)?.split_at(2);
    if start != b"\\u" {
        return None;
    }
    digits.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | digit as u16)
    })
}

/// Returns the value of a well-formed string with escapes.
#[cold]
fn unescaped(raw: &[u8]) -> String {
    let mut text = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        if byte != b'\\' {
            text.push(byte);
            at += 1;
            continue;
        }
        let letter = raw.get(at + 1).copied().unwrap_or_default();
        let size = escape(raw, at).unwrap_or(2);
        match (letter, unit(raw, at), unit(raw, at + 6)) {
            (b'u', Some(first), second) => {
                let units = [first, second.unwrap_or_default()];
                let decoded = char::decode_utf16(units).next();
                let decoded = decoded.and_then(Result::ok).unwrap_or('\u{fffd}');
                text.extend(decoded.encode_utf8(&mut [0; 4]).bytes());
            }
            (b'b', ..) => text.push(0x08),
            (b'f', ..) => text.push(0x0c),
            (b'n', ..) => text.push(b'\n'),
            (b'r', ..) => text.push(b'\r'),
            (b't', ..) => text.push(b'\t'),
            (other, ..) => text.push(other),
        }
        at += size;
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_at_every_position() {
        for at in 0..8 {
            for byte in 0..=255u8 {
                for around in [b'a', 0x7f, 0x80, 0xff, 0x21, 0x23, 0x5b, 0x5d] {
                    let mut word = [around; 8];
                    word[at] = byte;
                    let first = special(u64::from_le_bytes(word)).trailing_zeros() as usize / 8;
                    let is_special_byte = matches!(byte, b'"' | b'\\' | 0..=0x1f);
                    assert_eq!(first, if is_special_byte { at } else { 8 }, "{word:02x?}");
                    let first = foreign(u64::from_le_bytes(word)).trailing_zeros() as usize / 8;
                    let is_foreign = |byte: u8| matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x80..);
                    let expected = word.into_iter().position(is_foreign);
                    assert_eq!(first, expected.unwrap_or(8), "{word:02x?}");
                }
            }
        }
    }

    /// Reads strings of up to 99 letters. A letter, a quote, an escape, a forbidden byte or a
    /// character that is not ASCII is inserted at each position.
    #[test]
    fn every_byte_of_a_string_is_checked() {
        for length in 0..100 {
            for at in 0..length {
                let with = |byte: &[u8]| {
                    let text =
                        [&vec![b'a'; at][..], byte, &vec![b'a'; length - at], b"\",1"].concat();
                    let mut end = 0;
                    string(&text, &mut end)
                        .map(|_| end)
                        .map_err(|fault| fault.offset)
                };
                assert_eq!(with(b"a"), Ok(length + 2));
                assert_eq!(with("é".as_bytes()), Ok(length + 3));
                assert_eq!(with(b"\""), Ok(at + 1));
                assert_eq!(with(b"\\n"), Ok(length + 3));
                assert_eq!(with(b"\x1f"), Err(at));
                assert_eq!(with(b"\xff"), Err(at));
            }
        }
    }

    #[test]
    fn escapes_are_decoded_as_in_serde_json() {
        for raw in [
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u0041\u00e9\u20ac\ud83d\ude00 x""#,
            r#""plain é""#,
        ] {
            let mut at = 1;
            let text = string(raw.as_bytes(), &mut at).unwrap();
            assert_eq!(at, raw.len());
            let expected: String = serde_json::from_str(raw).unwrap();
            assert_eq!(text.decoded(), expected);
        }
    }
}
