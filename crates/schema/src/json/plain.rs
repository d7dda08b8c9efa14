//! The fast path for values in their usual form. Each function returns the bytes after the value.
//! If a function returns `None`, the general path reads and checks the value. Nothing here reports
//! violations.

use super::text::foreign;
use crate::table::{FieldKind, Member, MemberValue};
use crate::text::{HIGH, LOW, first_bytes};

/// The token that follows a value.
pub(crate) enum Next {
    /// A comma. The rest of the payload starts with the next member or element.
    Another,
    /// The closing brace or bracket of the object or array.
    End,
}

/// Takes this member and the comma or brace after it. Returns the bytes of the value, the bytes
/// that were not taken, and whether a comma or a brace was taken, as [`Next`].
#[inline(always)]
pub(super) fn member<'p>(bytes: &'p [u8], member: &Member) -> Option<(&'p [u8], &'p [u8], Next)> {
    let value = gap(member.json.strip(bytes)?);
    let after = match member.value {
        MemberValue::One(kind) => scalar(value, kind)?,
        MemberValue::List(kind) => list(value, kind)?,
        MemberValue::Other => return None,
    };
    let size = value.len() - after.len();
    let (after, next) = next(after, b'}')?;
    Some((value.get(..size).unwrap_or_default(), after, next))
}

/// Skips white space. Most writers put no space or one space between tokens.
#[inline(always)]
pub(super) fn gap(bytes: &[u8]) -> &[u8] {
    match *bytes {
        [first, ..] if first > b' ' => bytes,
        [b' ', second, ..] if second > b' ' => &bytes[1..],
        _ => wide_gap(bytes),
    }
}

#[inline(never)]
fn wide_gap(bytes: &[u8]) -> &[u8] {
    let is_space = |byte: &&u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    let size = bytes.iter().take_while(is_space).count();
    &bytes[size..]
}

/// Takes the token after a value: a comma and the white space after it, or `close`.
#[inline(always)]
fn next(bytes: &[u8], close: u8) -> Option<(&[u8], Next)> {
    match *bytes {
        [b',', ref rest @ ..] => Some((gap(rest), Next::Another)),
        [byte, ref rest @ ..] if byte == close => Some((rest, Next::End)),
        [byte, ..] if byte <= b' ' => next_token(bytes, close),
        _ => None,
    }
}

/// Takes the token after a value and white space. Few writers put white space there.
#[inline(never)]
fn next_token(bytes: &[u8], close: u8) -> Option<(&[u8], Next)> {
    match *wide_gap(bytes) {
        [b',', ref rest @ ..] => Some((gap(rest), Next::Another)),
        [byte, ref rest @ ..] if byte == close => Some((rest, Next::End)),
        _ => None,
    }
}

#[inline(never)]
fn list(bytes: &[u8], kind: FieldKind) -> Option<&[u8]> {
    let [b'[', first @ ..] = bytes else {
        return None;
    };
    let first = gap(first);
    if let [b']', rest @ ..] = first {
        return Some(rest);
    }
    // The maximum number of elements. Longer lists are left to the general path, so that they
    // are not read twice to the end.
    const ELEMENTS_MAX: usize = 16;
    let mut rest = first;
    for _ in 0..ELEMENTS_MAX {
        let (after, following) = next(scalar(rest, kind)?, b']')?;
        rest = after;
        if let Next::End = following {
            return Some(rest);
        }
    }
    None
}

/// Takes a scalar of this kind. The returned bytes may begin with a fraction or an exponent of the
/// number. The caller must check for this case.
#[inline(always)]
pub(super) fn scalar(bytes: &[u8], kind: FieldKind) -> Option<&[u8]> {
    // Every number of 9 digits fits into 32 bits, and every number of 18 digits into 64 bits.
    match kind {
        FieldKind::String { .. } => string(bytes),
        FieldKind::Bool => (bytes.strip_prefix(b"true")).or_else(|| bytes.strip_prefix(b"false")),
        FieldKind::Int32 | FieldKind::Sint32 | FieldKind::Sfixed32 => signed(bytes, 9),
        FieldKind::Int64 | FieldKind::Sint64 | FieldKind::Sfixed64 => {
            perhaps_quoted(bytes, |number| signed(number, 18))
        }
        FieldKind::Uint32 | FieldKind::Fixed32 => whole(bytes, 9),
        FieldKind::Uint64 | FieldKind::Fixed64 => perhaps_quoted(bytes, |number| whole(number, 18)),
        FieldKind::Float | FieldKind::Double => decimal(bytes),
        _ => None,
    }
}

/// Returns the next eight bytes, padded with zeros at the end of the payload, and the bytes after
/// them.
#[inline(always)]
fn word(bytes: &[u8]) -> (u64, &[u8]) {
    match bytes.split_first_chunk() {
        Some((word, rest)) => (u64::from_le_bytes(*word), rest),
        None => (last_word(bytes), &[]),
    }
}

#[inline(never)]
fn last_word(bytes: &[u8]) -> u64 {
    first_bytes(bytes)
}

/// Takes a string of ASCII without escapes.
#[inline(always)]
fn string(bytes: &[u8]) -> Option<&[u8]> {
    let [b'"', text @ ..] = bytes else {
        return None;
    };
    let mut cursor = text;
    loop {
        let (word, rest) = word(cursor);
        let foreign = foreign(word);
        if foreign == 0 {
            cursor = rest;
            continue;
        }
        let before = foreign.trailing_zeros() / 8;
        let quoted = (word >> (8 * before)) as u8 == b'"';
        let end = before as usize + 1;
        return if quoted { cursor.get(end..) } else { None };
    }
}

/// Returns the number of digits that a word begins with, up to eight.
#[inline(always)]
fn digits_in(word: u64) -> usize {
    let values = word ^ (LOW * 0x30);
    // The addition sets the high bit of each byte above 9. A carry can also set the high bit of a
    // digit, but only after the first byte that is not a digit.
    let others = (values.wrapping_add(LOW * 0x76) | values) & HIGH;
    others.trailing_zeros() as usize / 8
}

/// Returns the number of digits that `bytes` begin with.
#[inline(never)]
fn digits(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count()
}

/// Takes a whole number of up to `digits_max` digits without a sign. `digits_max` must be at least
/// 7, because the function does not compare numbers of up to 7 digits with `digits_max`.
#[inline(always)]
fn whole(bytes: &[u8], digits_max: usize) -> Option<&[u8]> {
    let (word, _) = word(bytes);
    match digits_in(word) {
        0 => None,
        8 => long_whole(bytes, digits_max),
        1 => bytes.get(1..),
        _ if word as u8 == b'0' => None,
        size => bytes.get(size..),
    }
}

#[inline(never)]
fn long_whole(bytes: &[u8], digits_max: usize) -> Option<&[u8]> {
    let size = digits(bytes);
    let plain = size <= digits_max && !bytes.starts_with(b"0");
    if plain { bytes.get(size..) } else { None }
}

/// Takes a whole number with or without a minus.
#[inline(always)]
fn signed(bytes: &[u8], digits_max: usize) -> Option<&[u8]> {
    match bytes {
        [b'-', rest @ ..] => whole(rest, digits_max),
        _ => whole(bytes, digits_max),
    }
}

/// Takes a number, which may be in quotes. `number` is the function that takes the number itself.
/// Most writers quote the integers of 64 bits, as ProtoJSON recommends.
#[inline(always)]
fn perhaps_quoted(bytes: &[u8], number: impl Fn(&[u8]) -> Option<&[u8]>) -> Option<&[u8]> {
    let quoted = bytes.strip_prefix(b"\"");
    let rest = number(quoted.unwrap_or(bytes))?;
    match quoted {
        Some(_) => rest.strip_prefix(b"\""),
        None => Some(rest),
    }
}

/// Takes a number, which may have a minus and a fraction. An exponent is not taken. Returns `None`
/// if the number is so long that it may exceed a float's range.
#[inline(never)]
fn decimal(bytes: &[u8]) -> Option<&[u8]> {
    /// The maximum length in bytes, without the minus. A number of 38 digits is less than 10³⁸,
    /// which is within a float's range.
    const DIGITS_MAX: usize = 38;
    let number = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let rest = whole(number, DIGITS_MAX)?;
    let rest = match rest {
        [b'.', fraction @ ..] => match digits(fraction) {
            0 => return None,
            size => &fraction[size..],
        },
        _ => rest,
    };
    (number.len() - rest.len() <= DIGITS_MAX).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Plain = fn(&[u8]) -> Option<&[u8]>;

    /// Asserts that each text of `right` is taken without the bytes after it, and that no text of
    /// `others` is taken.
    #[track_caller]
    fn takes(plain: Plain, right: &[&str], others: &[&str]) {
        for text in right {
            assert!(serde_json::from_str::<serde_json::Value>(text).is_ok());
            let payload = format!("{text},\"more\":1}}");
            let rest = &payload.as_bytes()[text.len()..];
            assert_eq!(plain(payload.as_bytes()), Some(rest), "{text}");
        }
        for text in others {
            let payload = format!("{text},\"more\":1}}");
            assert_eq!(plain(payload.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn lists_are_taken_however_they_are_spaced() {
        let longest = |count, comma| format!("[{}]", vec!["7"; count].join(comma));
        takes(
            |bytes| list(bytes, FieldKind::Int32),
            &[
                "[]",
                "[ ]",
                "[\n\t]",
                "[1]",
                "[1,-20]",
                "[1, -20]",
                "[1 , 2]",
                "[\r\n  1,\n  2\n]",
                &longest(16, ","),
                &longest(16, ", "),
            ],
            &[
                "[\"1\"]",
                "[1,2.5]",
                "[1,",
                "[1,]",
                "[,1]",
                "[1}",
                "[1\u{b}]",
                &longest(17, ","),
            ],
        );
    }

    #[test]
    fn plain_values_are_taken_and_all_others_are_left() {
        let texts = [
            r#""""#,
            r#""a""#,
            r#""abcdefg""#,
            r#""abcdefgh""#,
            r#""a plain longer text""#,
        ];
        let not = [
            r#""é""#,
            r#""abcdefghé""#,
            r#""\n""#,
            "\"a\nb\"",
            r#""abcdefg\\""#,
            "5",
            "a",
        ];
        takes(string, &texts, &not);
        takes(
            |bytes| whole(bytes, 9),
            &["0", "7", "123456789"],
            &["1234567890", "0123456789", "01", "-1", "", "\"1\""],
        );
        takes(
            |bytes| signed(bytes, 9),
            &["0", "-0", "-12", "-1234567", "-12345678", "-123456789"],
            &["-1234567890", "-01", "--1", "-", "+1"],
        );
        let long = "1".repeat(39);
        takes(
            decimal,
            &["0", "-0.25", "1.5", "12345678901", "1.0123456789"],
            &[&long, "01", ".5", "1.", "-", "NaN"],
        );
        // These texts are cut off by the end of the payload.
        for text in ["\"", "\"abc", "\"abcdefg", "-"] {
            assert_eq!(string(text.as_bytes()), None);
            assert_eq!(signed(text.as_bytes(), 9), None);
        }
        let end = Some(&b""[..]);
        assert_eq!(
            (string(b"\"abc\""), whole(b"12", 9), decimal(b"1.5")),
            (end, end, end)
        );
    }

    #[test]
    fn integers_of_64_bits_are_taken_in_quotes() {
        let others = [
            "\"12",
            "\"\"",
            "\"-\"",
            "\"1.5\"",
            "\"1e2\"",
            "\" 1\"",
            "\"1 \"",
            "\"01\"",
            "\"+1\"",
            "\"\\u0031\"",
            "\"1234567890123456789\"",
        ];
        takes(
            |bytes| scalar(bytes, FieldKind::Int64),
            &["\"0\"", "\"-12\"", "\"123456789012345678\"", "-12"],
            &others,
        );
        takes(
            |bytes| scalar(bytes, FieldKind::Uint64),
            &["\"0\"", "\"12\"", "\"123456789012345678\"", "12"],
            &[&others[..], &["\"-12\""]].concat(),
        );
        takes(
            |bytes| scalar(bytes, FieldKind::Int32),
            &["12"],
            &["\"12\""],
        );
    }

    #[test]
    fn the_token_after_a_value_is_checked() {
        for (text, rest) in [(",1", "1"), (", 1", "1"), ("\n,\n\t1", "1"), (",", "")] {
            let Some((after, Next::Another)) = next(text.as_bytes(), b']') else {
                panic!("{text}");
            };
            assert_eq!(after, rest.as_bytes(), "{text}");
        }
        for text in ["]1", " \r\n]1"] {
            let Some((b"1", Next::End)) = next(text.as_bytes(), b']') else {
                panic!("{text}");
            };
        }
        for text in ["", " ", ".0", "e5", "}", "\u{b},", "\0]"] {
            assert!(next(text.as_bytes(), b']').is_none(), "{text}");
        }
    }
}
