//! The changes of a field's type that keep the meaning of every value, for each encoding.
//!
//! A value of the earlier type must be the same value of the later type. It is not enough that the
//! value decodes: an `int64` that is read as `int32` may lose its upper half, and a large `uint32`
//! becomes negative.

use crate::table::{Cardinality, Field, FieldKind, Table};

/// The greatest number up to which a `double` holds all whole numbers exactly.
const DOUBLE_EXACT: i128 = 1 << 53;

/// Returns whether every value of `old` is the same value when it is read as `new` in protobuf.
/// Messages and enums are compared elsewhere.
pub(super) fn same_on_the_wire(old: FieldKind, new: FieldKind) -> bool {
    match (old, new) {
        (FieldKind::String { utf8: before }, FieldKind::String { utf8: after }) => before || !after,
        (FieldKind::String { .. } | FieldKind::Bytes, FieldKind::Bytes) => true,
        (FieldKind::Message(_), FieldKind::Message(_))
        | (FieldKind::Group(_), FieldKind::Group(_)) => true,
        (FieldKind::Float, FieldKind::Float) | (FieldKind::Double, FieldKind::Double) => true,
        (FieldKind::Enum(_), FieldKind::Enum(_)) => true,
        // Some numbers are not values of the enum.
        (_, FieldKind::Enum(_)) => false,
        _ => form(old).is_some() && form(old) == form(new) && is_subrange(old, new),
    }
}

/// Returns whether every value of `old` is the same value when it is read as `new` in MessagePack
/// and JSON, where all kinds of whole numbers are written alike.
pub(super) fn same_by_name(old: FieldKind, new: FieldKind) -> bool {
    match (old, new) {
        (FieldKind::String { .. }, FieldKind::String { .. })
        | (FieldKind::Bytes, FieldKind::Bytes) => true,
        (
            FieldKind::Message(_) | FieldKind::Group(_),
            FieldKind::Message(_) | FieldKind::Group(_),
        ) => true,
        (FieldKind::Enum(_), FieldKind::Enum(_)) | (FieldKind::Bool, FieldKind::Bool) => true,
        (FieldKind::Float, FieldKind::Float | FieldKind::Double)
        | (FieldKind::Double, FieldKind::Double) => true,
        (FieldKind::Enum(_) | FieldKind::Bool, _) | (_, FieldKind::Enum(_) | FieldKind::Bool) => {
            false
        }
        (_, FieldKind::Double) => {
            let exact = -DOUBLE_EXACT..=DOUBLE_EXACT;
            range(old).is_some_and(|(low, high)| exact.contains(&low) && exact.contains(&high))
        }
        _ => is_subrange(old, new),
    }
}

/// The forms in which protobuf writes whole numbers.
#[derive(PartialEq)]
enum WholeForm {
    Varint,
    Zigzag,
    Fixed32,
    Fixed64,
}

fn form(kind: FieldKind) -> Option<WholeForm> {
    Some(match kind {
        FieldKind::Bool | FieldKind::Enum(_) => WholeForm::Varint,
        FieldKind::Int32 | FieldKind::Int64 | FieldKind::Uint32 | FieldKind::Uint64 => {
            WholeForm::Varint
        }
        FieldKind::Sint32 | FieldKind::Sint64 => WholeForm::Zigzag,
        FieldKind::Fixed32 | FieldKind::Sfixed32 => WholeForm::Fixed32,
        FieldKind::Fixed64 | FieldKind::Sfixed64 => WholeForm::Fixed64,
        _ => return None,
    })
}

fn is_subrange(old: FieldKind, new: FieldKind) -> bool {
    match (range(old), range(new)) {
        (Some(old), Some(new)) => new.0 <= old.0 && old.1 <= new.1,
        _ => false,
    }
}

/// Returns the smallest and the largest number of a kind that is encoded as whole numbers, and
/// `None` for other kinds.
fn range(kind: FieldKind) -> Option<(i128, i128)> {
    Some(match kind {
        FieldKind::Bool => (0, 1),
        FieldKind::Int32 | FieldKind::Sint32 | FieldKind::Sfixed32 | FieldKind::Enum(_) => {
            (i32::MIN.into(), i32::MAX.into())
        }
        FieldKind::Int64 | FieldKind::Sint64 | FieldKind::Sfixed64 => {
            (i64::MIN.into(), i64::MAX.into())
        }
        FieldKind::Uint32 | FieldKind::Fixed32 => (0, u32::MAX.into()),
        FieldKind::Uint64 | FieldKind::Fixed64 => (0, u64::MAX.into()),
        _ => return None,
    })
}

/// Returns a field's whole type as it is written in `.proto` files, such as `repeated int32`.
pub(super) fn label(field: &Field, table: &Table) -> String {
    let kind = match field.kind {
        FieldKind::Group(id) => format!("group {}", table.name(id)),
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

/// Returns the kinds of a map's keys and values, or `None` if the field is not a map.
pub(super) fn entry(field: &Field, table: &Table) -> Option<(FieldKind, FieldKind)> {
    let id = field.kind.message()?;
    match (&*table[id].fields, field.cardinality) {
        ([key, value], Cardinality::Map) => Some((key.kind, value.kind)),
        _ => None,
    }
}
