//! Which types read every value of which others, in the terms of each encoding.
//!
//! A value of the earlier type must be one of the later type, and the same one: what merely decodes
//! isn't enough, if an `int64` loses its upper half or a `uint32` its sign.

use crate::table::{Cardinality, Field, Kind, Table};

/// Whole numbers that a `double` holds exactly, and so far as a 32-bit one may count.
const DOUBLE_EXACT: i128 = 1 << 53;

/// What becomes of values of `old` where `new` is asked for, the messages and enums that they may be
/// left aside.
pub(super) fn same_on_the_wire(old: Kind, new: Kind) -> bool {
    match (old, new) {
        (Kind::String { utf8: before }, Kind::String { utf8: after }) => before || !after,
        (Kind::String { .. } | Kind::Bytes, Kind::Bytes) => true,
        (Kind::Message(_), Kind::Message(_)) | (Kind::Group(_), Kind::Group(_)) => true,
        (Kind::Float, Kind::Float) | (Kind::Double, Kind::Double) => true,
        (Kind::Enum(_), Kind::Enum(_)) => true,
        // A number may be one that the enum doesn't have.
        (_, Kind::Enum(_)) => false,
        _ => form(old).is_some() && form(old) == form(new) && within(old, new),
    }
}

/// As [`same_on_the_wire`], in MessagePack and JSON, which write numbers as numbers and names as names.
pub(super) fn same_by_name(old: Kind, new: Kind) -> bool {
    match (old, new) {
        (Kind::String { .. }, Kind::String { .. }) | (Kind::Bytes, Kind::Bytes) => true,
        (Kind::Message(_) | Kind::Group(_), Kind::Message(_) | Kind::Group(_)) => true,
        (Kind::Enum(_), Kind::Enum(_)) | (Kind::Bool, Kind::Bool) => true,
        (Kind::Float, Kind::Float | Kind::Double) | (Kind::Double, Kind::Double) => true,
        (Kind::Enum(_) | Kind::Bool, _) | (_, Kind::Enum(_) | Kind::Bool) => false,
        (_, Kind::Double) => {
            let exact = -DOUBLE_EXACT..=DOUBLE_EXACT;
            range(old).is_some_and(|(low, high)| exact.contains(&low) && exact.contains(&high))
        }
        _ => within(old, new),
    }
}

/// How protobuf writes whole numbers.
#[derive(PartialEq)]
enum WholeForm {
    Varint,
    Zigzag,
    Fixed32,
    Fixed64,
}

fn form(kind: Kind) -> Option<WholeForm> {
    Some(match kind {
        Kind::Bool | Kind::Enum(_) => WholeForm::Varint,
        Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 => WholeForm::Varint,
        Kind::Sint32 | Kind::Sint64 => WholeForm::Zigzag,
        Kind::Fixed32 | Kind::Sfixed32 => WholeForm::Fixed32,
        Kind::Fixed64 | Kind::Sfixed64 => WholeForm::Fixed64,
        _ => return None,
    })
}

fn within(old: Kind, new: Kind) -> bool {
    match (range(old), range(new)) {
        (Some(old), Some(new)) => new.0 <= old.0 && old.1 <= new.1,
        _ => false,
    }
}

/// The smallest and the largest whole number of a kind.
fn range(kind: Kind) -> Option<(i128, i128)> {
    Some(match kind {
        Kind::Bool => (0, 1),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Enum(_) => {
            (i32::MIN.into(), i32::MAX.into())
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => (i64::MIN.into(), i64::MAX.into()),
        Kind::Uint32 | Kind::Fixed32 => (0, u32::MAX.into()),
        Kind::Uint64 | Kind::Fixed64 => (0, u64::MAX.into()),
        _ => return None,
    })
}

/// A field's whole type, as people write it.
pub(super) fn label(field: &Field, table: &Table) -> String {
    let kind = match field.kind {
        Kind::Group(id) => format!("group {}", table.name(id)),
        kind => kind.label(table).to_owned(),
    };
    match (field.cardinality, entry(field, table)) {
        (Cardinality::Singular, _) => kind,
        (Cardinality::Map, Some((key, value))) => {
            format!("map<{}, {}>", key.label(table), value.label(table))
        }
        _ => format!("repeated {kind}"),
    }
}

/// The kinds of a map's keys and values.
pub(super) fn entry(field: &Field, table: &Table) -> Option<(Kind, Kind)> {
    let id = field.kind.message()?;
    match (&*table[id].fields, field.cardinality) {
        ([key, value], Cardinality::Map) => Some((key.kind, value.kind)),
        _ => None,
    }
}
