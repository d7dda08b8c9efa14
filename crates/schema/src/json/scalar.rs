//! Scalars in JSON, and the values that each kind of field accepts.
//!
//! As in ProtoJSON, a number may be written in a string, and a whole number may be written with a
//! zero fraction or an exponent. Nothing else is converted: no number is a bool, and no bool is a
//! string.

use super::head::{JsonHead, JsonReader};
use super::number::Number;
use crate::named::unknown_value;
use crate::table::{Enum, FieldKind, Table};
use crate::violation::{Checked, Fault};

/// Checks that the next value is a scalar of `kind`. `kind` must not be a message type.
#[inline]
pub(super) fn scalar(table: &Table, reader: &mut JsonReader, kind: FieldKind) -> Checked<()> {
    match reader.plain(kind) {
        true => Ok(()),
        false => any_scalar(table, reader, kind),
    }
}

fn any_scalar(table: &Table, reader: &mut JsonReader, kind: FieldKind) -> Checked<()> {
    let at = reader.token();
    let head = reader.head()?;
    let is_valid = match kind {
        FieldKind::Double | FieldKind::Float => float(head, kind),
        FieldKind::Bool => matches!(head, JsonHead::Bool(_)),
        FieldKind::Bytes => return bytes(reader, head, at),
        FieldKind::Enum(id) => return enumeration(&table[id], head, at),
        FieldKind::String { .. } => matches!(head, JsonHead::Str(_)),
        // Messages are checked by `Walk::message`.
        FieldKind::Message(_) | FieldKind::Group(_) => false,
        kind => integer(head).is_some_and(|value| is_in_range(kind, value)),
    };
    match is_valid {
        true => Ok(()),
        false => Err(Fault::new(at, kind.label(table), head.describe())),
    }
}

/// Returns whether `value` is in the range of an integer kind.
#[inline]
pub(crate) fn is_in_range(kind: FieldKind, value: i128) -> bool {
    let (low, high) = match kind {
        FieldKind::Int32 | FieldKind::Sint32 | FieldKind::Sfixed32 => {
            (i32::MIN.into(), i32::MAX.into())
        }
        FieldKind::Int64 | FieldKind::Sint64 | FieldKind::Sfixed64 => {
            (i64::MIN.into(), i64::MAX.into())
        }
        FieldKind::Uint32 | FieldKind::Fixed32 => (0, u32::MAX.into()),
        FieldKind::Uint64 | FieldKind::Fixed64 => (0, u64::MAX.into()),
        _ => return false,
    };
    (low..=high).contains(&value)
}

/// Returns the whole number in `head`, which may be written as a number or as a string. Returns
/// `None` for any other value.
#[inline]
pub(crate) fn integer(head: JsonHead) -> Option<i128> {
    match head {
        JsonHead::Number(number) => number.integer(),
        JsonHead::Str(text) => Number::parse(&text.bytes())?.integer(),
        _ => None,
    }
}

/// Returns whether a value is a float of this kind. A number may be rounded, but must stay finite.
/// NaN and the infinities are strings.
fn float(head: JsonHead, kind: FieldKind) -> bool {
    let is_finite_in_kind = |number: Number| match (number.float_if_long(), kind) {
        (None, _) => true,
        (Some(value), FieldKind::Float) => (value as f32).is_finite(),
        (Some(value), _) => value.is_finite(),
    };
    match head {
        JsonHead::Number(number) => is_finite_in_kind(number),
        JsonHead::Str(text) => match &*text.bytes() {
            b"NaN" | b"Infinity" | b"-Infinity" => true,
            bytes => Number::parse(bytes).is_some_and(is_finite_in_kind),
        },
        _ => false,
    }
}

/// Checks bytes, which are written in base64 or as an array of integers. Serde writes a `Vec<u8>`
/// as such an array.
fn bytes(reader: &mut JsonReader, head: JsonHead, at: usize) -> Checked<()> {
    match head {
        JsonHead::Str(text) if is_base64(&text.bytes()) => return Ok(()),
        JsonHead::Str(_) => return Err(Fault::new(at, "bytes in base64", head.describe())),
        JsonHead::Array => {}
        _ => return Err(Fault::new(at, "bytes in base64", head.describe())),
    }
    let mut more = reader.opened(b']');
    let mut index = 0usize;
    while more {
        let at = reader.token();
        let head = reader.head()?;
        let byte = match head {
            JsonHead::Number(number) => number.integer(),
            _ => None,
        };
        if !byte.is_some_and(|byte| (0..=255).contains(&byte)) {
            let fault = Fault::new(at, "a byte (0 to 255)", head.describe());
            return Err(fault.under(format!("[{index}]")));
        }
        index += 1;
        more = reader.another(b']')?;
    }
    Ok(())
}

/// The alphabets of base64 to which a character belongs.
#[derive(Clone, Copy)]
struct Digit;

impl Digit {
    /// A digit of the standard alphabet and of the alphabet for URLs.
    const BOTH: u8 = 1;
    /// A digit of the standard alphabet only.
    const STANDARD: u8 = 2;
    /// A digit of the alphabet for URLs only.
    const URL: u8 = 4;
    /// A character that is not a digit.
    const NONE: u8 = 8;

    /// The alphabets of each byte, as one of the constants above.
    const TABLE: [u8; 256] = {
        let mut table = [Self::NONE; 256];
        let mut byte = 0;
        while byte < 128 {
            table[byte] = match byte as u8 {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => Self::BOTH,
                b'+' | b'/' => Self::STANDARD,
                b'-' | b'_' => Self::URL,
                _ => Self::NONE,
            };
            byte += 1;
        }
        table
    };
}

/// Returns whether a text is base64 in the standard alphabet or in the alphabet for URLs. A text
/// must not mix the alphabets, and must be padded completely or not at all.
fn is_base64(text: &[u8]) -> bool {
    let padding = text.iter().rev().take(2).take_while(|byte| **byte == b'=');
    let padding = padding.count();
    let digits = &text[..text.len() - padding];
    let alphabets = (digits.iter()).fold(0, |seen, digit| seen | Digit::TABLE[usize::from(*digit)]);
    // 6 is the union of `Digit::STANDARD` and `Digit::URL`.
    let one = alphabets & Digit::NONE == 0 && alphabets & 6 != 6;
    one && digits.len() % 4 != 1 && (padding == 0 || text.len().is_multiple_of(4))
}

/// Checks an enum value, which is written as a name or a number, or as null for `NullValue`.
fn enumeration(one: &Enum, head: JsonHead, at: usize) -> Checked<()> {
    let number = match head {
        JsonHead::Str(text) => {
            return match one.names.contains_key(&*text.decoded()) {
                true => Ok(()),
                false => Err(unknown_value(one, &text.bytes(), at)),
            };
        }
        JsonHead::Null if one.null => return Ok(()),
        head => integer(head).and_then(|number| i32::try_from(number).ok()),
    };
    match number {
        Some(number) if !one.closed || one.knows(number) => Ok(()),
        _ => {
            let expected = format!("a value of enum {}", one.name);
            Err(Fault::new(at, expected, head.describe()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_in_one_alphabet_and_padded_completely_or_not_at_all() {
        for text in [
            "", "QQ==", "QQ", "QUI=", "QUI", "QUJD", "+/+/", "-_-_", "-_8=",
        ] {
            assert!(is_base64(text.as_bytes()), "{text}");
        }
        for text in [
            "Q", "QQ=", "QUI==", "Q===", "====", "+_", "QU JD", "QUJD\n", "QQ==QQ==", "é",
        ] {
            assert!(!is_base64(text.as_bytes()), "{text}");
        }
    }
}
