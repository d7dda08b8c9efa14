//! Encoding of option values that are not messages.

use protobuf::descriptor::FieldDescriptorProto;
use protobuf::descriptor::field_descriptor_proto::Type;

use super::OptionReader;
use super::tree::ValueNode;
use crate::float::named;
use crate::parsed::{Base, Value};

impl OptionReader<'_> {
    /// Encodes `value` in the type of `field`. The error names the values that are expected.
    pub(super) fn scalar(
        &self,
        value: &Value,
        field: &FieldDescriptorProto,
    ) -> Result<ValueNode, String> {
        let expected = |text: &str| Err(text.to_owned());
        Ok(match field.type_() {
            Type::TYPE_BOOL => match value {
                Value::Word(word) if word == "true" => ValueNode::Varint(1),
                Value::Word(word) if word == "false" => ValueNode::Varint(0),
                _ => return expected("true or false"),
            },
            Type::TYPE_ENUM => match value {
                Value::Word(word) => self.enum_value(field.type_name(), word)?,
                _ => {
                    return Err(format!(
                        "the name of a value of {}",
                        field.type_name().trim_start_matches('.')
                    ));
                }
            },
            Type::TYPE_STRING | Type::TYPE_BYTES => match value {
                Value::Text(bytes) => ValueNode::Bytes(bytes.clone()),
                _ => return expected("a quoted text"),
            },
            Type::TYPE_FLOAT => {
                ValueNode::Fixed32((float(value, false).ok_or("a number")? as f32).to_bits())
            }
            Type::TYPE_DOUBLE => {
                ValueNode::Fixed64(float(value, false).ok_or("a number")?.to_bits())
            }
            kind => integer(value, kind)?,
        })
    }

    /// Returns a value of an enum by its name. The error names the values that are expected.
    pub(super) fn enum_value(&self, enum_name: &str, value: &str) -> Result<ValueNode, String> {
        let bare = enum_name.trim_start_matches('.');
        match self.files.value(bare, value) {
            Some(value) => Ok(ValueNode::Varint(i64::from(value.number()) as u64)),
            None => Err(format!("a value of {bare}, which has no {value:?}")),
        }
    }
}

/// Returns the value of a number, `inf` or `nan`, and `None` for anything else. If `lax` is set, as
/// in the text format, more spellings of `inf` and `nan` are allowed, and integers must be decimal.
pub(super) fn float(value: &Value, lax: bool) -> Option<f64> {
    Some(match value {
        // In the text format, an integer that is the value of a float must be decimal.
        Value::Integer(_, Base::Other) | Value::Negative(_, Base::Other) if lax => return None,
        Value::Integer(n, _) => *n as f64,
        // The integer -0 has the value 0, except in the text format.
        Value::Negative(0, _) if !lax => 0.0,
        Value::Negative(n, _) => -(*n as f64),
        Value::Float(n) => *n,
        Value::Word(word) => named(word, lax)?,
        _ => return None,
    })
}

/// Encodes an integer in the type `kind`. The error names the values that are expected.
pub(super) fn integer(value: &Value, kind: Type) -> Result<ValueNode, String> {
    let (least, most): (i128, i128) = match kind {
        Type::TYPE_INT32 | Type::TYPE_SINT32 | Type::TYPE_SFIXED32 => {
            (i32::MIN.into(), i32::MAX.into())
        }
        Type::TYPE_INT64 | Type::TYPE_SINT64 | Type::TYPE_SFIXED64 => {
            (i64::MIN.into(), i64::MAX.into())
        }
        Type::TYPE_UINT32 | Type::TYPE_FIXED32 => (0, u32::MAX.into()),
        _ => (0, u64::MAX.into()),
    };
    let number = match value {
        Value::Integer(n, _) => i128::from(*n),
        Value::Negative(n, _) => -i128::from(*n),
        _ => return Err("a whole number".to_owned()),
    };
    if !(least..=most).contains(&number) || (least == 0 && matches!(value, Value::Negative(..))) {
        return Err(format!("a number from {least} to {most}"));
    }
    let signed = number as i64;
    Ok(match kind {
        Type::TYPE_SINT32 | Type::TYPE_SINT64 => {
            ValueNode::Varint(((signed << 1) ^ (signed >> 63)) as u64)
        }
        Type::TYPE_FIXED32 | Type::TYPE_SFIXED32 => ValueNode::Fixed32(number as u32),
        Type::TYPE_FIXED64 | Type::TYPE_SFIXED64 => ValueNode::Fixed64(number as u64),
        _ => ValueNode::Varint(number as u64),
    })
}
