//! Compares results with the expected values. Messages are compared as messages of prost-reflect.

use std::collections::HashMap;

use gateway_cel::{Budget, ListValue, Schema, Value, WellKnown};
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind as ProtoKind, MessageDescriptor, Value as ProtoValue,
};

use crate::support::Reflected;

/// Returns true if the two values have the same type and are equal. NaN equals NaN.
pub fn same(schema: &Reflected, left: &Value<'_>, right: &Value<'_>) -> bool {
    let mut budget = Budget::new(u64::MAX, u64::MAX);
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left), Value::Int(right)) => left == right,
        (Value::Uint(left), Value::Uint(right)) => left == right,
        (Value::Double(left), Value::Double(right)) => {
            left == right || (left.is_nan() && right.is_nan())
        }
        (Value::String(left), Value::String(right)) | (Value::Type(left), Value::Type(right)) => {
            **left == **right
        }
        (Value::Bytes(left), Value::Bytes(right)) => **left == **right,
        (Value::Duration(left), Value::Duration(right)) => left == right,
        (Value::Timestamp(left), Value::Timestamp(right)) => left == right,
        (Value::List(left), Value::List(right)) => same_lists(schema, left, right),
        (Value::Map(left), Value::Map(right)) => {
            left.len() == right.len()
                && (0..left.len()).all(|at| {
                    let (key, value) = left.entry(at, &mut budget).unwrap();
                    let found = right.find(&key, &mut budget).unwrap();
                    found.is_some_and(|found| same(schema, &value, &found))
                })
        }
        (Value::Message(one), Value::Message(other)) => {
            let name = schema.message_name(one.id());
            let descriptor = schema.pool.get_message_by_name(name).unwrap();
            one.id() == other.id() && {
                let left = message_of(schema, left, &descriptor);
                left.is_some() && left == message_of(schema, right, &descriptor)
            }
        }
        _ => false,
    }
}

fn same_lists(schema: &Reflected, left: &ListValue<'_>, right: &ListValue<'_>) -> bool {
    let mut budget = Budget::new(u64::MAX, u64::MAX);
    left.len() == right.len()
        && (0..left.len()).all(|at| {
            let (left, right) = (
                left.get(at, &mut budget).unwrap(),
                right.get(at, &mut budget).unwrap(),
            );
            same(schema, &left, &right)
        })
}

/// Converts `value` to a message of the type `descriptor`, or returns `None` if the value does not
/// fit. A value for an `Any` is packed.
pub fn message_of(
    schema: &Reflected,
    value: &Value<'_>,
    descriptor: &MessageDescriptor,
) -> Option<DynamicMessage> {
    let mut made = DynamicMessage::new(descriptor.clone());
    let mut set = |name: &str, value: ProtoValue| made.set_field_by_name(name, value);
    match (WellKnown::named(descriptor.full_name()), value) {
        (Some(WellKnown::Any), value) => return packed(schema, value, made),
        (Some(WellKnown::Duration), Value::Duration(length)) => {
            set("seconds", ProtoValue::I64(length.seconds()));
            set("nanos", ProtoValue::I32(length.nanos()));
        }
        (Some(WellKnown::Timestamp), Value::Timestamp(moment)) => {
            set("seconds", ProtoValue::I64(moment.seconds()));
            set("nanos", ProtoValue::I32(moment.nanos() as i32));
        }
        (Some(WellKnown::Wrapper(_)), value) => {
            let field = descriptor.get_field_by_name("value")?;
            set("value", proto_value(schema, value, &field.kind())?);
        }
        (Some(WellKnown::Struct), Value::Map(_)) => {
            let field = descriptor.get_field_by_name("fields")?;
            set("fields", proto_field(schema, value, &field)?);
        }
        (Some(WellKnown::ListValue), Value::List(_)) => {
            let field = descriptor.get_field_by_name("values")?;
            set("values", proto_field(schema, value, &field)?);
        }
        (Some(WellKnown::Value), value) => {
            let name = match value {
                Value::Null => {
                    set("null_value", ProtoValue::EnumNumber(0));
                    return Some(made);
                }
                Value::Bool(_) => "bool_value",
                Value::Double(_) => "number_value",
                Value::String(_) => "string_value",
                Value::Map(_) => "struct_value",
                Value::List(_) => "list_value",
                _ => return None,
            };
            let field = descriptor.get_field_by_name(name)?;
            set(name, proto_value(schema, value, &field.kind())?);
        }
        (None, Value::Message(message)) => {
            let mut budget = Budget::new(u64::MAX, u64::MAX);
            for field in schema.fields(message.id()) {
                if let Some(value) = message.present(&field, &mut budget).ok()? {
                    match descriptor.get_field(field.index) {
                        Some(own) => made.set_field(&own, proto_field(schema, &value, &own)?),
                        None => return None,
                    }
                }
            }
        }
        _ => return None,
    }
    Some(made)
}

fn packed(
    schema: &Reflected,
    value: &Value<'_>,
    mut any: DynamicMessage,
) -> Option<DynamicMessage> {
    let name = match value {
        Value::Message(message) => schema.message_name(message.id()),
        Value::Int(_) => "google.protobuf.Int64Value",
        Value::Uint(_) => "google.protobuf.UInt64Value",
        Value::Double(_) => "google.protobuf.DoubleValue",
        Value::Bool(_) => "google.protobuf.BoolValue",
        Value::String(_) => "google.protobuf.StringValue",
        Value::Bytes(_) => "google.protobuf.BytesValue",
        Value::List(_) => "google.protobuf.ListValue",
        Value::Map(_) => "google.protobuf.Struct",
        _ => "google.protobuf.Value",
    };
    let message = message_of(schema, value, &schema.pool.get_message_by_name(name)?)?;
    let bytes = prost_reflect::prost::Message::encode_to_vec(&message);
    any.set_field_by_name(
        "type_url",
        ProtoValue::String(format!("type.googleapis.com/{name}")),
    );
    any.set_field_by_name("value", ProtoValue::Bytes(bytes.into()));
    Some(any)
}

fn proto_field(
    schema: &Reflected,
    value: &Value<'_>,
    field: &FieldDescriptor,
) -> Option<ProtoValue> {
    let mut budget = Budget::new(u64::MAX, u64::MAX);
    match value {
        Value::List(list) if field.is_list() => {
            let elements = (0..list.len()).map(|at| {
                let element = list.get(at, &mut budget).ok()?;
                proto_value(schema, &element, &field.kind())
            });
            elements.collect::<Option<Vec<_>>>().map(ProtoValue::List)
        }
        Value::Map(map) if field.is_map() => {
            let kind = field.kind();
            let entry = kind.as_message()?;
            let mut entries = HashMap::new();
            for at in 0..map.len() {
                let (key, value) = map.entry(at, &mut budget).ok()?;
                let key = proto_value(schema, &key, &entry.map_entry_key_field().kind())?
                    .into_map_key()?;
                entries.insert(
                    key,
                    proto_value(schema, &value, &entry.map_entry_value_field().kind())?,
                );
            }
            Some(ProtoValue::Map(entries))
        }
        value => proto_value(schema, value, &field.kind()),
    }
}

fn proto_value(schema: &Reflected, value: &Value<'_>, kind: &ProtoKind) -> Option<ProtoValue> {
    Some(match (kind, value) {
        (ProtoKind::Message(descriptor), value) => {
            ProtoValue::Message(message_of(schema, value, descriptor)?)
        }
        (ProtoKind::Enum(_), Value::Int(value)) => ProtoValue::EnumNumber(*value as i32),
        (ProtoKind::Float, Value::Double(value)) => ProtoValue::F32(*value as f32),
        (ProtoKind::Double, Value::Double(value)) => ProtoValue::F64(*value),
        (ProtoKind::Bool, Value::Bool(value)) => ProtoValue::Bool(*value),
        (ProtoKind::String, Value::String(text)) => ProtoValue::String(text.to_string()),
        (ProtoKind::Bytes, Value::Bytes(bytes)) => ProtoValue::Bytes(bytes.to_vec().into()),
        (ProtoKind::Int64 | ProtoKind::Sint64 | ProtoKind::Sfixed64, Value::Int(value)) => {
            ProtoValue::I64(*value)
        }
        (ProtoKind::Int32 | ProtoKind::Sint32 | ProtoKind::Sfixed32, Value::Int(value)) => {
            ProtoValue::I32(*value as i32)
        }
        (ProtoKind::Uint64 | ProtoKind::Fixed64, Value::Uint(value)) => ProtoValue::U64(*value),
        (ProtoKind::Uint32 | ProtoKind::Fixed32, Value::Uint(value)) => {
            ProtoValue::U32(*value as u32)
        }
        _ => return None,
    })
}
