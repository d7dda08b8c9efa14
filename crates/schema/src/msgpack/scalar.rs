//! Scalars in MessagePack, and the values that each kind of field accepts.
//!
//! A number of one numeric type is accepted for another: an integer for a float, even if the
//! integer must be rounded, and a whole float for an integer. Nothing else is converted: no string
//! is a number, and no number is a bool.

use super::head::{MsgpackHead, MsgpackReader};
use crate::named::unknown_value;
use crate::table::{Enum, FieldKind, Table};
use crate::text;
use crate::violation::{Checked, Fault};

/// Checks that the next value is a scalar of `kind`. `kind` must not be a message type.
#[inline]
pub(super) fn scalar(table: &Table, reader: &mut MsgpackReader, kind: FieldKind) -> Checked<()> {
    match reader.plain(kind) {
        true => Ok(()),
        false => any_scalar(table, reader, kind),
    }
}

fn any_scalar(table: &Table, reader: &mut MsgpackReader, kind: FieldKind) -> Checked<()> {
    let at = reader.at();
    let head = reader.head()?;
    let is_valid = match kind {
        FieldKind::Int32 | FieldKind::Sint32 | FieldKind::Sfixed32 => {
            whole(head, i32::MIN.into(), i32::MAX as u64)
        }
        FieldKind::Int64 | FieldKind::Sint64 | FieldKind::Sfixed64 => {
            whole(head, i64::MIN, i64::MAX as u64)
        }
        FieldKind::Uint32 | FieldKind::Fixed32 => whole(head, 0, u32::MAX.into()),
        FieldKind::Uint64 | FieldKind::Fixed64 => whole(head, 0, u64::MAX),
        FieldKind::Double => float(head).is_some(),
        // Rounding is allowed, but a finite value must stay finite.
        FieldKind::Float => {
            float(head).is_some_and(|value| !value.is_finite() || (value as f32).is_finite())
        }
        FieldKind::Bool => matches!(head, MsgpackHead::Bool(_)),
        FieldKind::String { .. } => return string(head, at, reader.at()),
        FieldKind::Bytes => return bytes(reader, head, at),
        FieldKind::Enum(id) => return enumeration(&table[id], head, at),
        // The callers read messages with other functions.
        FieldKind::Message(_) | FieldKind::Group(_) => false,
    };
    match is_valid {
        true => Ok(()),
        false => Err(wrong(table, kind, head, at)),
    }
}

#[cold]
fn wrong(table: &Table, kind: FieldKind, head: MsgpackHead, at: usize) -> Box<Fault> {
    Fault::new(at, kind.label(table), head.describe())
}

/// Returns whether `head` is a whole number from `low` (at most 0) to `high`.
#[inline]
fn whole(head: MsgpackHead, low: i64, high: u64) -> bool {
    match head {
        MsgpackHead::Uint(value) => value <= high,
        MsgpackHead::Negative(value) => low <= value,
        head => integer(head).is_some_and(|value| i128::from(low) <= value && value <= high.into()),
    }
}

/// Returns the whole number in `head`, or `None` if `head` holds no whole number. A float whose
/// value does not fit into 64 bits results in a number that is out of range for every kind.
#[inline]
pub(crate) fn integer(head: MsgpackHead) -> Option<i128> {
    match head {
        MsgpackHead::Uint(value) => Some(value.into()),
        MsgpackHead::Negative(value) => Some(value.into()),
        MsgpackHead::Float(value) if value.fract() == 0.0 => Some(value as i128),
        _ => None,
    }
}

#[inline]
pub(crate) fn float(head: MsgpackHead) -> Option<f64> {
    match head {
        MsgpackHead::Float(value) => Some(value),
        MsgpackHead::Uint(value) => Some(value as f64),
        MsgpackHead::Negative(value) => Some(value as f64),
        _ => None,
    }
}

#[inline]
fn string(head: MsgpackHead, at: usize, end: usize) -> Checked<()> {
    match head {
        MsgpackHead::Str(text) => check_utf8(text, end - text.len()),
        _ => Err(Fault::new(at, "string", head.describe())),
    }
}

/// Checks that `text`, which begins at `at`, is UTF-8.
#[inline]
pub(super) fn check_utf8(text: &[u8], at: usize) -> Checked<()> {
    text::utf8(text).map_err(|good| not_utf8(at + good))
}

/// Returns `text`, which begins at `at`, as a string.
pub(super) fn utf8(text: &[u8], at: usize) -> Checked<&str> {
    std::str::from_utf8(text).map_err(|error| not_utf8(at + error.valid_up_to()))
}

#[cold]
fn not_utf8(at: usize) -> Box<Fault> {
    Fault::new(at, "a string in UTF-8", "bytes that are not UTF-8")
}

/// Checks a value of type `bytes`: binary, or an array of integers, which is the form in which
/// serde writes a `Vec<u8>`.
fn bytes(reader: &mut MsgpackReader, head: MsgpackHead, at: usize) -> Checked<()> {
    let count = match head {
        MsgpackHead::Bin(_) => return Ok(()),
        MsgpackHead::Array(count) => count,
        _ => return Err(Fault::new(at, "bytes", head.describe())),
    };
    for index in 0..count {
        let at = reader.at();
        let element = reader.head()?;
        if !whole(element, 0, 255) {
            let fault = Fault::new(at, "a byte (0 to 255)", element.describe());
            return Err(fault.under(format!("[{index}]")));
        }
    }
    Ok(())
}

/// Checks an enum value, which is written as a name or a number.
fn enumeration(enum_type: &Enum, head: MsgpackHead, at: usize) -> Checked<()> {
    if let MsgpackHead::Str(name) = head {
        let known = std::str::from_utf8(name).is_ok_and(|name| enum_type.names.contains_key(name));
        return match known {
            true => Ok(()),
            false => Err(unknown_value(enum_type, name, at)),
        };
    }
    let number = integer(head).and_then(|number| i32::try_from(number).ok());
    match number {
        Some(number) if !enum_type.closed || enum_type.knows(number) => Ok(()),
        _ => Err(Fault::new(
            at,
            format!("a value of enum {}", enum_type.name),
            head.describe(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [FieldKind; 16] = [
        FieldKind::Double,
        FieldKind::Float,
        FieldKind::Int32,
        FieldKind::Int64,
        FieldKind::Uint32,
        FieldKind::Uint64,
        FieldKind::Sint32,
        FieldKind::Sint64,
        FieldKind::Fixed32,
        FieldKind::Fixed64,
        FieldKind::Sfixed32,
        FieldKind::Sfixed64,
        FieldKind::Bool,
        FieldKind::String { utf8: true },
        FieldKind::String { utf8: false },
        FieldKind::Bytes,
    ];

    /// If the fast path accepts a value, the general path accepts the value, too, and stops at the
    /// same byte. The values have all markers and many sizes.
    #[test]
    fn the_fast_path_agrees_with_the_general_path() {
        let table = Table::default();
        let mut plain = 0;
        for kind in KINDS {
            for marker in 0..=u8::MAX {
                for (first, rest) in [
                    (0, 0),
                    (0x7f, 0xff),
                    (0x80, 0),
                    (0xff, 0xff),
                    (20, b'a'),
                    (b'a', b'a'),
                ] {
                    for size in 0..40 {
                        let mut value = vec![rest; size];
                        if let Some(byte) = value.first_mut() {
                            *byte = first;
                        }
                        value.insert(0, marker);
                        let (mut quick, mut slow) =
                            (MsgpackReader::new(&value), MsgpackReader::new(&value));
                        if quick.plain(kind) {
                            plain += 1;
                            let is_valid = any_scalar(&table, &mut slow, kind).is_ok();
                            assert!(is_valid && quick.at() == slow.at(), "{kind:?} {value:02x?}");
                        } else {
                            assert_eq!(quick.at(), 0);
                        }
                    }
                }
            }
        }
        assert!(plain > 100_000, "{plain}");
    }
}
