//! Values as plain as most are: how long, if they are right at a glance. What is not, others read and
//! judge. Nothing here says what is wrong.

use super::text::special;
use crate::table::{Cardinality, Field, FieldKind};
use crate::text::HIGH;

/// A member of this field and the comma behind it, as most writers write all members but the last: with a blank
/// behind each colon and comma, or with none.
#[inline]
pub(super) fn member(bytes: &[u8], field: &Field) -> Option<usize> {
    let (b'"', name) = bytes.split_first()? else {
        return None;
    };
    let at = 1 + field.key_in(name)?;
    // Two ways, so that each has sizes of its own: one that takes what it finds would wait for it.
    match spaced_value::<false>(bytes, at, field) {
        None => spaced_value::<true>(bytes, at, field),
        end => end,
    }
}

#[inline]
fn spaced_value<const SPACED: bool>(bytes: &[u8], at: usize, field: &Field) -> Option<usize> {
    let at = blank::<SPACED>(bytes, at)?;
    let end = at + value::<SPACED>(&bytes[at..], field)?;
    match bytes.get(end)? {
        b',' => blank::<SPACED>(bytes, end + 1),
        _ => None,
    }
}

/// Behind the blank at `at`, if one must be there.
#[inline]
fn blank<const SPACED: bool>(bytes: &[u8], at: usize) -> Option<usize> {
    match SPACED {
        true => (*bytes.get(at)? == b' ').then_some(at + 1),
        false => Some(at),
    }
}

/// A value of this field: a scalar, or a list of them.
#[inline]
fn value<const SPACED: bool>(bytes: &[u8], field: &Field) -> Option<usize> {
    match field.cardinality {
        Cardinality::Singular => scalar(bytes, field.kind),
        Cardinality::Repeated => list::<SPACED>(bytes, field.kind),
        Cardinality::Map => None,
    }
}

#[inline]
fn list<const SPACED: bool>(bytes: &[u8], kind: FieldKind) -> Option<usize> {
    match bytes {
        [b'[', b']', ..] => return Some(2),
        [b'[', ..] => {}
        _ => return None,
    }
    // Longer ones are left to others, so that none is read twice to its end.
    const MOST: usize = 16;
    let mut at = 1;
    for _ in 0..MOST {
        at += scalar(&bytes[at..], kind)?;
        match bytes.get(at)? {
            b',' => at = blank::<SPACED>(bytes, at + 1)?,
            b']' => return Some(at + 1),
            _ => return None,
        }
    }
    None
}

/// A scalar of this kind.
#[inline]
pub(super) fn scalar(bytes: &[u8], kind: FieldKind) -> Option<usize> {
    match kind {
        FieldKind::String { .. } => string(bytes),
        FieldKind::Bool if bytes.starts_with(b"true") => Some(4),
        FieldKind::Bool if bytes.starts_with(b"false") => Some(5),
        FieldKind::Int32 | FieldKind::Sint32 | FieldKind::Sfixed32 => signed(bytes, 9),
        FieldKind::Int64 | FieldKind::Sint64 | FieldKind::Sfixed64 => signed(bytes, 18),
        FieldKind::Uint32 | FieldKind::Fixed32 => whole(bytes, 9),
        FieldKind::Uint64 | FieldKind::Fixed64 => whole(bytes, 18),
        FieldKind::Float | FieldKind::Double => decimal(bytes),
        _ => None,
    }
}

/// A string of ASCII without escapes, its quotes included.
#[inline]
fn string(bytes: &[u8]) -> Option<usize> {
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        let word = u64::from_le_bytes(*bytes.get(at..)?.first_chunk::<8>()?);
        let special = special(word);
        if special == 0 && word & HIGH == 0 {
            at += 8;
            continue;
        }
        if special == 0 {
            return None;
        }
        let before = special.trailing_zeros() / 8;
        let ascii = word & HIGH & !(u64::MAX << (8 * before)) == 0;
        at += before as usize;
        return (ascii && bytes.get(at) == Some(&b'"')).then_some(at + 1);
    }
}

#[inline]
fn digits(bytes: &[u8]) -> usize {
    let mut count = 0;
    while bytes.get(count).is_some_and(u8::is_ascii_digit) {
        count += 1;
    }
    count
}

/// A whole number without sign, of up to `most` digits, and neither point nor exponent behind.
#[inline]
fn whole(bytes: &[u8], most: usize) -> Option<usize> {
    let size = digits(bytes);
    let plain = match bytes.get(size) {
        Some(b'.' | b'e' | b'E') => false,
        _ => (1..=most).contains(&size) && (bytes[0] != b'0' || size == 1),
    };
    plain.then_some(size)
}

/// The same, with or without a minus.
#[inline]
fn signed(bytes: &[u8], most: usize) -> Option<usize> {
    match bytes.split_first() {
        Some((b'-', rest)) => whole(rest, most).map(|size| size + 1),
        _ => whole(bytes, most),
    }
}

/// A number with or without minus and fraction, and no exponent; not so long that it could be beyond a
/// float.
#[inline]
fn decimal(bytes: &[u8]) -> Option<usize> {
    /// 10³⁸ is within a float's range.
    const MOST: usize = 38;
    let sign = usize::from(bytes.first() == Some(&b'-'));
    let rest = &bytes[sign..];
    let before = digits(rest);
    if before == 0 || rest[0] == b'0' && before > 1 {
        return None;
    }
    let mut size = before;
    if rest.get(size) == Some(&b'.') {
        let behind = digits(&rest[size + 1..]);
        if behind == 0 {
            return None;
        }
        size += 1 + behind;
    }
    let exponent = matches!(rest.get(size), Some(b'e' | b'E'));
    (!exponent && size <= MOST).then_some(sign + size)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Plain = fn(&[u8]) -> Option<usize>;

    /// What each takes of `right`, `wrong` and `right` followed by more of the payload.
    #[track_caller]
    fn takes(plain: Plain, right: &[&str], others: &[&str]) {
        for text in right {
            assert!(serde_json::from_str::<serde_json::Value>(text).is_ok());
            let payload = format!("{text},\"more\":1}}");
            assert_eq!(plain(payload.as_bytes()), Some(text.len()), "{text}");
        }
        for text in others {
            let payload = format!("{text},\"more\":1}}");
            assert_eq!(plain(payload.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn lists_are_taken_as_machines_write_them() {
        let longest = |count, comma| format!("[{}]", vec!["7"; count].join(comma));
        takes(
            |it| list::<false>(it, FieldKind::Int32),
            &["[]", "[1]", "[1,-20]", &longest(16, ",")],
            &[
                "[ ]",
                "[1 ]",
                "[1, 2]",
                "[\"1\"]",
                "[1,2.5]",
                "[1,",
                "[,1]",
                &longest(17, ","),
            ],
        );
        takes(
            |it| list::<true>(it, FieldKind::Int32),
            &["[]", "[1]", "[1, -20]", &longest(16, ", ")],
            &[
                "[ ]",
                "[1 ]",
                "[1,2]",
                "[1,  2]",
                "[1 , 2]",
                &longest(17, ", "),
            ],
        );
    }

    #[test]
    fn plain_values_are_taken_whole_and_others_left() {
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
            |it| whole(it, 9),
            &["0", "7", "123456789"],
            &["1234567890", "01", "-1", "1.0", "1e1", "", "\"1\""],
        );
        takes(
            |it| signed(it, 9),
            &["0", "-0", "-123456789"],
            &["-1234567890", "-01", "--1", "-", "+1"],
        );
        let long = "1".repeat(39);
        takes(
            decimal,
            &["0", "-0.25", "1.5", "12345678901"],
            &[&long, "01", ".5", "1.", "1.5e5", "1E5", "-", "NaN"],
        );
        // Where the payload ends with it, others decide.
        assert_eq!(string(b"\"abc\""), None);
        assert_eq!((whole(b"12", 9), decimal(b"1.5")), (Some(2), Some(3)));
    }
}
