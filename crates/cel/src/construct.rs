//! Messages that an expression constructs.

use std::rc::Rc;

use crate::budget::Budget;
use crate::entries::map_of;
use crate::error::ErrorKind;
use crate::field::{Field, Kind, Label, WellKnown};
use crate::json::json_of;
use crate::schema::Schema;
use crate::time::{Duration, Timestamp};
use crate::types::MessageId;
use crate::value::{ListValue, MapValue, Message, Value};

/// A message that an expression constructs.
struct ConstructedMessage<'a> {
    /// The fields that are set.
    fields: Vec<(u32, Value<'a>)>,
}

impl<'a> Message<'a> for ConstructedMessage<'a> {
    fn get(&self, field: &Field, budget: &mut Budget) -> Result<Option<Value<'a>>, ErrorKind> {
        budget.take_steps(self.fields.len() as u64 / 8)?;
        let found = self
            .fields
            .iter()
            .rev()
            .find(|(index, _)| *index == field.index);
        Ok(found.map(|(_, value)| value.clone()))
    }
}

/// Returns the value of a message literal of the type `id` in which `fields` are set. `known` is
/// the special meaning of the type in CEL, if it has one. The value of a literal of
/// `google.protobuf.Duration`, for example, is a duration and not a message.
///
/// # Errors
///
/// - [`ErrorKind::Range`] if a number is out of the range of its field, or if the literal of a
///   duration or timestamp is out of range.
/// - [`ErrorKind::NoSuchOverload`] if a value has another type than its field.
/// - [`ErrorKind::Invalid`] if an `Any` has no type or a value has no JSON form.
/// - [`ErrorKind::UnsupportedKey`] if a map that becomes JSON has a key that is not a string.
/// - [`ErrorKind::Budget`] if `budget` is spent.
pub(crate) fn message<'a>(
    id: MessageId,
    known: Option<WellKnown>,
    fields: FieldValues<'a>,
    schema: &'a dyn Schema,
    budget: &mut Budget,
) -> Result<Value<'a>, ErrorKind> {
    let mut builder = MessageBuilder { schema, budget };
    let mut set = Vec::with_capacity(fields.len());
    for (field, value) in fields {
        if let Some(value) = builder.field(field, value)? {
            set.push((field, value));
        }
    }
    match known {
        Some(WellKnown::Any) => builder.any(id, set),
        Some(known) => builder.well_known(known, set),
        None => builder.constructed(id, set),
    }
}

/// Fields that are set, with their values.
type FieldValues<'a> = Vec<(&'a Field, Value<'a>)>;

/// Returns the value of the field `name`, or `None` if the field is not set. If the field is set
/// more than once, the last value counts.
fn field_value<'a>(fields: &FieldValues<'a>, name: &str) -> Option<Value<'a>> {
    let found = fields.iter().rev().find(|(field, _)| &*field.name == name);
    found.map(|(_, value)| value.clone())
}

struct MessageBuilder<'a, 'b> {
    schema: &'a dyn Schema,
    budget: &'b mut Budget,
}

impl<'a> MessageBuilder<'a, '_> {
    /// Returns `value` converted to the type of the field, or `None` if the field stays unset.
    fn field(&mut self, field: &Field, value: Value<'a>) -> Result<Option<Value<'a>>, ErrorKind> {
        match (field.label, value) {
            (Label::Implicit | Label::Explicit, value) => self.single(field.kind, value),
            (Label::Repeated, Value::List(list)) => self.list(field.kind, &list).map(Some),
            (Label::Map(key), Value::Map(map)) => self.map(key, field.kind, &map).map(Some),
            _ => Err(ErrorKind::NoSuchOverload),
        }
    }

    fn list(&mut self, kind: Kind, list: &ListValue<'a>) -> Result<Value<'a>, ErrorKind> {
        self.budget
            .take_bytes(list.len() * size_of::<Value<'a>>())?;
        let mut elements = Vec::with_capacity(list.len());
        for at in 0..list.len() {
            let element = list.get(at, self.budget)?;
            // A list has no unset elements, so a null is omitted.
            elements.extend(self.single(kind, element)?);
        }
        Ok(Value::list(elements))
    }

    fn map(
        &mut self,
        key_kind: Kind,
        kind: Kind,
        map: &MapValue<'a>,
    ) -> Result<Value<'a>, ErrorKind> {
        let mut entries = Vec::with_capacity(map.len());
        for at in 0..map.len() {
            let (key, value) = map.entry(at, self.budget)?;
            let key = self.single(key_kind, key)?;
            let value = self.single(kind, value)?;
            entries.extend(key.zip(value));
        }
        map_of(entries, self.budget)
    }

    fn single(&mut self, kind: Kind, value: Value<'a>) -> Result<Option<Value<'a>>, ErrorKind> {
        Ok(Some(match (kind, value) {
            (Kind::WellKnown(WellKnown::Value), value) => {
                json_of(&value, self.schema, self.budget)?
            }
            (Kind::WellKnown(WellKnown::Any), value) => self.packed(value)?,
            // Null leaves a field of these types unset. `Value` and `Any` above, and NullValue in
            // `scalar`, take null as a value. All other types reject null.
            (Kind::Message(_), Value::Null)
            | (
                Kind::WellKnown(WellKnown::Duration | WellKnown::Timestamp | WellKnown::Wrapper(_)),
                Value::Null,
            ) => {
                return Ok(None);
            }
            (Kind::WellKnown(WellKnown::Wrapper(wrapped)), value) => scalar(wrapped.kind(), value)?,
            (Kind::WellKnown(WellKnown::Struct), value @ Value::Map(_))
            | (Kind::WellKnown(WellKnown::ListValue), value @ Value::List(_)) => {
                json_of(&value, self.schema, self.budget)?
            }
            (Kind::WellKnown(WellKnown::Duration), value @ Value::Duration(_))
            | (Kind::WellKnown(WellKnown::Timestamp), value @ Value::Timestamp(_)) => value,
            (Kind::Message(id), Value::Message(message)) if message.id() == id => {
                Value::Message(message)
            }
            (Kind::Message(_) | Kind::WellKnown(_), _) => return Err(ErrorKind::NoSuchOverload),
            (kind, value) => scalar(kind, value)?,
        }))
    }

    /// Returns the value of a field of the type `Any` to which `value` is assigned. A list or a map
    /// becomes a JSON value. Fails if `value` is a type.
    fn packed(&mut self, value: Value<'a>) -> Result<Value<'a>, ErrorKind> {
        match value {
            Value::List(_) | Value::Map(_) => json_of(&value, self.schema, self.budget),
            Value::Type(_) => Err(ErrorKind::NoSuchOverload),
            value => Ok(value),
        }
    }

    /// Returns the message that an `Any` holds. If the type is unknown or the bytes cannot be
    /// decoded, returns the `Any` itself, which is equal to any other `Any` of the same type with
    /// the same bytes.
    fn any(&mut self, id: MessageId, fields: FieldValues<'a>) -> Result<Value<'a>, ErrorKind> {
        let Some(Value::String(url)) = field_value(&fields, "type_url") else {
            return Err(ErrorKind::invalid("the Any has no type"));
        };
        let unpacked = match field_value(&fields, "value") {
            Some(Value::Bytes(bytes)) => self.schema.unpack(&url, &bytes, self.budget),
            _ => self.schema.unpack(&url, &[], self.budget),
        };
        match unpacked {
            Err(ErrorKind::Invalid(_)) => self.constructed(id, fields),
            unpacked => unpacked,
        }
    }

    fn constructed(
        &mut self,
        id: MessageId,
        fields: FieldValues<'a>,
    ) -> Result<Value<'a>, ErrorKind> {
        self.budget
            .take_bytes(fields.len() * size_of::<(u32, Value<'a>)>())?;
        let fields = fields
            .into_iter()
            .map(|(field, value)| (field.index, value))
            .collect();
        Ok(Value::shared_message(
            id,
            Rc::new(ConstructedMessage { fields }),
        ))
    }

    /// Returns the value of a literal of a well-known message.
    fn well_known(
        &mut self,
        known: WellKnown,
        fields: FieldValues<'a>,
    ) -> Result<Value<'a>, ErrorKind> {
        let field_value = |name: &str| field_value(&fields, name);
        let integer = |name: &str| match field_value(name) {
            Some(Value::Int(value)) => value,
            _ => 0,
        };
        Ok(match known {
            WellKnown::Wrapper(wrapped) => {
                field_value("value").unwrap_or(Value::zero_wrapped(wrapped))
            }
            WellKnown::Struct => field_value("fields").unwrap_or(Value::Map(MapValue::Empty)),
            WellKnown::ListValue => {
                field_value("values").unwrap_or(Value::List(ListValue::Constant(&[])))
            }
            WellKnown::Value => {
                fields
                    .last()
                    .map_or(Value::Null, |(field, value)| match &*field.name {
                        "null_value" => Value::Null,
                        _ => value.clone(),
                    })
            }
            WellKnown::Duration => {
                let nanos = i32::try_from(integer("nanos")).ok();
                let duration = nanos.and_then(|nanos| Duration::new(integer("seconds"), nanos));
                Value::Duration(duration.ok_or(ErrorKind::Range("duration"))?)
            }
            WellKnown::Timestamp => {
                let nanos = u32::try_from(integer("nanos")).ok();
                let timestamp = nanos.and_then(|nanos| Timestamp::new(integer("seconds"), nanos));
                Value::Timestamp(timestamp.ok_or(ErrorKind::Range("timestamp"))?)
            }
            // An `Any` is constructed by `any`.
            WellKnown::Any => Value::Null,
        })
    }
}

/// Converts `value` to this scalar kind. Fails if the value is out of range or of another type.
fn scalar(kind: Kind, value: Value<'_>) -> Result<Value<'_>, ErrorKind> {
    let fits = match (kind, &value) {
        (Kind::Int32, Value::Int(number)) => in_range(i32::try_from(*number).is_ok(), "int32"),
        (Kind::Enum, Value::Int(number)) => in_range(i32::try_from(*number).is_ok(), "enum"),
        (Kind::Uint32, Value::Uint(number)) => in_range(u32::try_from(*number).is_ok(), "uint32"),
        (Kind::Float, Value::Double(number)) => {
            return Ok(Value::Double(f64::from(*number as f32)));
        }
        (Kind::Bool, Value::Bool(_))
        | (Kind::Int64, Value::Int(_))
        | (Kind::Uint64, Value::Uint(_))
        | (Kind::Double, Value::Double(_))
        | (Kind::String, Value::String(_))
        | (Kind::Bytes, Value::Bytes(_)) => Ok(()),
        // NullValue is an enum whose only value is also written as null. `Kind` does not
        // distinguish it from other enums, so null is accepted for all enums here.
        (Kind::Enum, Value::Null) => return Ok(Value::Int(0)),
        _ => Err(ErrorKind::NoSuchOverload),
    };
    fits.map(|()| value)
}

fn in_range(fits: bool, name: &'static str) -> Result<(), ErrorKind> {
    if fits {
        Ok(())
    } else {
        Err(ErrorKind::Range(name))
    }
}
