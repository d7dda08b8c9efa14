//! The options that carry rules. Descriptors keep them as unknown fields, in protobuf's wire
//! format.

use ::protobuf::{UnknownFields, UnknownValueRef};
use gateway_proto::RULES_EXTENSION;

use crate::protobuf::wire::WireReader;
use crate::table::wire;
use crate::violation::Checked;

/// The maximum depth of groups in an option. Skipping a group recurses once for each level.
const DEPTH_MAX: u32 = 100;

/// One field of an option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub number: u32,
    pub value: OptionValue<'a>,
}

/// A value, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum OptionValue<'a> {
    Varint(u64),
    Eight([u8; 8]),
    Four([u8; 4]),
    Bytes(&'a [u8]),
    /// A group, which is not the value of any rule.
    Group,
}

impl<'a> OptionValue<'a> {
    /// Returns the value as a bool. Any value other than a varint is false.
    pub(super) fn bool(self) -> bool {
        matches!(self, Self::Varint(value) if value != 0)
    }

    /// Returns the value as an unsigned number, or `None` if it is not a varint.
    pub(super) fn unsigned(self) -> Option<u64> {
        match self {
            Self::Varint(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the bytes of the value, or `None` if it is not length-delimited.
    pub(super) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Returns the value as a string, or `None` if it is not length-delimited or not UTF-8.
    pub(super) fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

/// Returns the bytes of the rules in `options`, or `None` if there are no rules.
///
/// Rules may be set in several statements. The bytes of all statements are concatenated, which
/// merges their rules into one message.
pub(super) fn rules_in(options: &UnknownFields) -> Option<Vec<u8>> {
    let mut rules = None;
    for (number, value) in options {
        if let (RULES_EXTENSION, UnknownValueRef::LengthDelimited(bytes)) = (number, value) {
            rules.get_or_insert_with(Vec::new).extend_from_slice(bytes);
        }
    }
    rules
}

/// Returns the fields of a message in the order in which they are written, or `None` if the message
/// is malformed.
pub(super) fn entries(message: &[u8]) -> Option<Vec<Entry<'_>>> {
    let mut reader = WireReader::new(message);
    let mut entries = Vec::new();
    while !reader.is_empty() {
        entries.push(entry(&mut reader).ok()?);
    }
    Some(entries)
}

fn entry<'a>(reader: &mut WireReader<'a>) -> Checked<Entry<'a>> {
    let (number, kind) = reader.tag()?;
    let value = match kind {
        wire::VARINT => OptionValue::Varint(reader.varint()?),
        wire::I64 => OptionValue::Eight(reader.take(8)?.try_into().unwrap_or_default()),
        wire::I32 => OptionValue::Four(reader.take(4)?.try_into().unwrap_or_default()),
        wire::LEN => OptionValue::Bytes(reader.delimited()?),
        _ => {
            reader.skip(number, kind, DEPTH_MAX)?;
            OptionValue::Group
        }
    };
    Ok(Entry { number, value })
}

/// Returns the last value of a field, which overrides the earlier values, or `None` if the field
/// does not occur.
pub(super) fn last<'a>(entries: &[Entry<'a>], number: u32) -> Option<OptionValue<'a>> {
    let entry = entries.iter().rev().find(|entry| entry.number == number)?;
    Some(entry.value)
}

/// Returns whether the bool field of this number is true.
pub(super) fn is_set(entries: &[Entry], number: u32) -> bool {
    last(entries, number).is_some_and(OptionValue::bool)
}

/// Returns the values of a repeated field.
pub(super) fn all<'a>(entries: &[Entry<'a>], number: u32) -> impl Iterator<Item = OptionValue<'a>> {
    let entries = entries.iter().filter(move |entry| entry.number == number);
    entries.map(|entry| entry.value)
}

/// Returns the bytes of a message field, or `None` if the field does not occur. The bytes of all
/// occurrences are concatenated, which merges them.
pub(super) fn message(entries: &[Entry], number: u32) -> Option<Vec<u8>> {
    let mut merged = None;
    for bytes in all(entries, number).filter_map(OptionValue::bytes) {
        merged.get_or_insert_with(Vec::new).extend_from_slice(bytes);
    }
    merged
}
