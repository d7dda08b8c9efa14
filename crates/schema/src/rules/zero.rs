//! The values of fields that are not set.

use super::check::Value;
use crate::table::FieldKind;

/// Returns the value of a field of this kind that is not set, or `None` for a message.
pub(super) fn zero(kind: FieldKind) -> Option<Value<'static>> {
    Some(match kind {
        FieldKind::Double | FieldKind::Float => Value::Float(0.0),
        FieldKind::Uint32 | FieldKind::Uint64 | FieldKind::Fixed32 | FieldKind::Fixed64 => {
            Value::Unsigned(0)
        }
        FieldKind::Bool => Value::Bool(false),
        FieldKind::String { .. } => Value::Text("".into()),
        FieldKind::Bytes => Value::Bytes((&[][..]).into()),
        FieldKind::Message(_) | FieldKind::Group(_) => return None,
        _ => Value::Signed(0),
    })
}
