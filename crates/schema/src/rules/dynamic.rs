//! The dynamic messages against which rules are checked: how deep they may be, and how they are filled.

use prost_reflect::{DynamicMessage, MapKey, Value};

use crate::table::FieldKind;
use crate::violation::{Checked, Fault};

/// The levels of a message that is checked against rules: as many as prost decodes, and as the evaluation of
/// rules, which recurses once a level, takes on a thread of 2 MiB.
pub(super) const LEVELS_MAX: u32 = 100;

const FITTING: &str = "a value that its rules can be held against";

/// Returns the number of levels left one level further down.
pub(super) fn deeper(depth: u32, at: usize) -> Checked<u32> {
    let too_deep = || {
        let expected = format!("at most {LEVELS_MAX} levels, for it has rules");
        Fault::new(at, expected, "one more")
    };
    depth.checked_sub(1).ok_or_else(too_deep)
}

/// Sets the field `number` of `made`.
///
/// The table and the descriptors come from the same files, so the value's kind is the field's. If they ever
/// disagree, the payload is rejected, because its meaning is unknown.
pub(super) fn set(made: &mut DynamicMessage, number: u32, value: Value) -> Checked<()> {
    let set = made.try_set_field_by_number(number, value);
    set.map_err(|error| Fault::new(0, FITTING, error.to_string()))
}

/// Converts a value to the key of a map.
pub(super) fn map_key(value: Value) -> Checked<MapKey> {
    Ok(match value {
        Value::Bool(key) => MapKey::Bool(key),
        Value::I32(key) => MapKey::I32(key),
        Value::I64(key) => MapKey::I64(key),
        Value::U32(key) => MapKey::U32(key),
        Value::U64(key) => MapKey::U64(key),
        Value::String(key) => MapKey::String(key),
        other => return Err(Fault::new(0, FITTING, format!("the key {other:?}"))),
    })
}

/// Returns a whole number as a value of an integer kind.
pub(super) fn whole(kind: FieldKind, value: i128) -> Value {
    match kind {
        FieldKind::Int32 | FieldKind::Sint32 | FieldKind::Sfixed32 => Value::I32(value as i32),
        FieldKind::Uint32 | FieldKind::Fixed32 => Value::U32(value as u32),
        FieldKind::Uint64 | FieldKind::Fixed64 => Value::U64(value as u64),
        _ => Value::I64(value as i64),
    }
}
