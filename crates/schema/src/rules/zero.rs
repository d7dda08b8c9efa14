//! The zero values of scalars.

use super::check::Value;
use crate::table::FieldKind;

/// Returns the zero value of this kind, or `None` for a message. A field without presence has this
/// value if it is not set.
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
