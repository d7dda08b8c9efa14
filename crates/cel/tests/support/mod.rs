//! A schema and messages for expressions, backed by prost-reflect.

use std::collections::HashMap;
use std::rc::Rc;

use gateway_cel::{
    Budget, Bytes, Constant, Duration, ErrorKind, Field, Key, Kind, Label, Map, MapValue, Message,
    MessageId, Schema, Timestamp, Value, WellKnown,
};
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, FieldDescriptor, Kind as ProtoKind, MapKey,
    MessageDescriptor, ReflectMessage, Value as ProtoValue,
};

/// A schema of all messages of a descriptor pool. The index of a field is its number.
#[derive(Debug)]
pub struct Reflected {
    pub pool: DescriptorPool,
    messages: Vec<MessageDescriptor>,
    ids: HashMap<String, u32>,
}

impl Reflected {
    pub fn new(pool: DescriptorPool) -> Self {
        let messages: Vec<MessageDescriptor> = pool.all_messages().collect();
        let numbered = messages.iter().zip(0..);
        let ids = numbered
            .map(|(message, id)| (message.full_name().to_owned(), id))
            .collect();
        Self {
            pool,
            messages,
            ids,
        }
    }

    pub fn id(&self, name: &str) -> MessageId {
        MessageId(self.ids[name])
    }

    fn kind(&self, kind: &ProtoKind) -> Kind {
        match kind {
            ProtoKind::Bool => Kind::Bool,
            ProtoKind::Int32 | ProtoKind::Sint32 | ProtoKind::Sfixed32 => Kind::Int32,
            ProtoKind::Int64 | ProtoKind::Sint64 | ProtoKind::Sfixed64 => Kind::Int64,
            ProtoKind::Uint32 | ProtoKind::Fixed32 => Kind::Uint32,
            ProtoKind::Uint64 | ProtoKind::Fixed64 => Kind::Uint64,
            ProtoKind::Float => Kind::Float,
            ProtoKind::Double => Kind::Double,
            ProtoKind::String => Kind::String,
            ProtoKind::Bytes => Kind::Bytes,
            ProtoKind::Enum(_) => Kind::Enum,
            ProtoKind::Message(message) => {
                Kind::message(message.full_name(), self.id(message.full_name()))
            }
        }
    }

    fn declared(&self, field: &FieldDescriptor) -> Field {
        self.field_of(
            field.name(),
            field.number(),
            &field.kind(),
            field.cardinality(),
            field.supports_presence(),
            default_of(field),
        )
    }

    fn field_of(
        &self,
        name: &str,
        number: u32,
        kind: &ProtoKind,
        cardinality: Cardinality,
        presence: bool,
        default: Option<Constant>,
    ) -> Field {
        let repeated = cardinality == Cardinality::Repeated;
        let entry = kind
            .as_message()
            .filter(|message| repeated && message.is_map_entry());
        let (label, kind) = match entry {
            Some(entry) => {
                let key = self.kind(&entry.map_entry_key_field().kind());
                (
                    Label::Map(key),
                    self.kind(&entry.map_entry_value_field().kind()),
                )
            }
            None if repeated => (Label::Repeated, self.kind(kind)),
            None if presence => (Label::Explicit, self.kind(kind)),
            None => (Label::Implicit, self.kind(kind)),
        };
        Field {
            name: name.into(),
            index: number,
            kind,
            label,
            default,
        }
    }

    /// Converts `message` to a value: a well-known type to the CEL value that it represents, and
    /// any other message to a message value.
    ///
    /// Returns an error if a duration or timestamp is out of range.
    pub fn meaning<'a>(&'a self, message: &DynamicMessage) -> Result<Value<'a>, ErrorKind> {
        let descriptor = message.descriptor();
        let named = |name: &str| {
            message
                .get_field_by_name(name)
                .map(|value| value.into_owned())
        };
        let Some(known) = WellKnown::named(descriptor.full_name()) else {
            return Ok(self.view(message));
        };
        let seconds = || {
            named("seconds")
                .and_then(|value| value.as_i64())
                .unwrap_or(0)
        };
        let nanos = || named("nanos").and_then(|value| value.as_i32()).unwrap_or(0);
        let invalid = || ErrorKind::invalid("the message is not valid");
        match known {
            WellKnown::Any => {
                let url = named("type_url")
                    .and_then(|url| url.as_str().map(str::to_owned))
                    .unwrap_or_default();
                let bytes = named("value")
                    .and_then(|bytes| bytes.as_bytes().cloned())
                    .unwrap_or_default();
                let unpacked = self.unpack(&url, &bytes, &mut Budget::new(0, 0));
                // An Any that cannot be unpacked stays an Any.
                Ok(unpacked.unwrap_or_else(|_| self.view(message)))
            }
            WellKnown::Duration => Duration::new(seconds(), nanos())
                .map(Value::Duration)
                .ok_or_else(invalid),
            WellKnown::Timestamp => {
                let nanos = u32::try_from(nanos()).map_err(|_| invalid())?;
                Timestamp::new(seconds(), nanos)
                    .map(Value::Timestamp)
                    .ok_or_else(invalid)
            }
            WellKnown::Wrapper(_) => self.field_value(message, "value"),
            WellKnown::Struct => self.field_value(message, "fields"),
            WellKnown::ListValue => self.field_value(message, "values"),
            WellKnown::Value => {
                let set = descriptor.fields().find(|field| message.has_field(field));
                match set {
                    Some(field) if field.name() == "null_value" => Ok(Value::Null),
                    Some(field) => self.field_value(message, field.name()),
                    None => Ok(Value::Null),
                }
            }
        }
    }

    fn view<'a>(&'a self, message: &DynamicMessage) -> Value<'a> {
        let id = self.id(message.descriptor().full_name());
        let view = View {
            schema: self,
            message: message.clone(),
        };
        Value::shared_message(id, Rc::new(view))
    }

    fn field_value<'a>(
        &'a self,
        message: &DynamicMessage,
        name: &str,
    ) -> Result<Value<'a>, ErrorKind> {
        match message.get_field_by_name(name) {
            Some(value) => self.value(&value),
            None => Ok(Value::Null),
        }
    }

    pub fn value<'a>(&'a self, value: &ProtoValue) -> Result<Value<'a>, ErrorKind> {
        Ok(match value {
            ProtoValue::Bool(value) => Value::Bool(*value),
            ProtoValue::I32(value) | ProtoValue::EnumNumber(value) => Value::Int(i64::from(*value)),
            ProtoValue::I64(value) => Value::Int(*value),
            ProtoValue::U32(value) => Value::Uint(u64::from(*value)),
            ProtoValue::U64(value) => Value::Uint(*value),
            ProtoValue::F32(value) => Value::Double(f64::from(*value)),
            ProtoValue::F64(value) => Value::Double(*value),
            ProtoValue::String(text) => Value::owned(text.as_str()),
            ProtoValue::Bytes(bytes) => Value::Bytes(Bytes::Shared((&**bytes).into())),
            ProtoValue::Message(message) => self.meaning(message)?,
            ProtoValue::List(list) => {
                let elements: Result<Vec<_>, _> =
                    list.iter().map(|element| self.value(element)).collect();
                Value::list(elements?)
            }
            ProtoValue::Map(source) => {
                let mut entries = Vec::new();
                for (key, value) in source {
                    entries.push((key_value(key), self.value(value)?));
                }
                map(entries)
            }
        })
    }
}

fn default_of(field: &FieldDescriptor) -> Option<Constant> {
    if field.is_list() || field.is_map() || field.kind().as_message().is_some() {
        return None;
    }
    Some(match field.default_value() {
        ProtoValue::Bool(value) => Constant::Bool(value),
        ProtoValue::I32(value) | ProtoValue::EnumNumber(value) => Constant::Int(i64::from(value)),
        ProtoValue::I64(value) => Constant::Int(value),
        ProtoValue::U32(value) => Constant::Uint(u64::from(value)),
        ProtoValue::U64(value) => Constant::Uint(value),
        ProtoValue::F32(value) => Constant::Double(f64::from(value)),
        ProtoValue::F64(value) => Constant::Double(value),
        ProtoValue::String(text) => Constant::String(text.into()),
        ProtoValue::Bytes(bytes) => Constant::Bytes(bytes.to_vec().into()),
        _ => return None,
    })
}

fn key_value<'a>(key: &MapKey) -> Value<'a> {
    match key {
        MapKey::Bool(key) => Value::Bool(*key),
        MapKey::I32(key) => Value::Int(i64::from(*key)),
        MapKey::I64(key) => Value::Int(*key),
        MapKey::U32(key) => Value::Uint(u64::from(*key)),
        MapKey::U64(key) => Value::Uint(*key),
        MapKey::String(key) => Value::owned(key.as_str()),
    }
}

impl Schema for Reflected {
    fn message(&self, name: &str) -> Option<MessageId> {
        self.ids.get(name).map(|id| MessageId(*id))
    }

    fn message_name(&self, id: MessageId) -> &str {
        self.messages[id.0 as usize].full_name()
    }

    fn field(&self, id: MessageId, name: &str) -> Option<Field> {
        let message = &self.messages[id.0 as usize];
        if let Some(field) = message.get_field_by_name(name) {
            return Some(self.declared(&field));
        }
        self.fields(id)
            .into_iter()
            .find(|field| &*field.name == name)
    }

    fn fields(&self, id: MessageId) -> Vec<Field> {
        let message = &self.messages[id.0 as usize];
        let own = message.fields().map(|field| self.declared(&field));
        let extensions = message.extensions().map(|extension| {
            let (kind, cardinality) = (extension.kind(), extension.cardinality());
            self.field_of(
                extension.full_name(),
                extension.number(),
                &kind,
                cardinality,
                extension.supports_presence(),
                None,
            )
        });
        own.chain(extensions).collect()
    }

    fn enum_value(&self, name: &str) -> Option<i32> {
        let (of, value) = name.rsplit_once('.')?;
        let found = self.pool.get_enum_by_name(of)?;
        found.get_value_by_name(value).map(|value| value.number())
    }

    fn unpack<'a>(
        &'a self,
        type_url: &str,
        value: &[u8],
        _: &mut Budget,
    ) -> Result<Value<'a>, ErrorKind> {
        let name = type_url.rsplit('/').next().unwrap_or(type_url);
        let invalid = || ErrorKind::invalid("conversion of an Any");
        let descriptor = self.pool.get_message_by_name(name).ok_or_else(invalid)?;
        let message = DynamicMessage::decode(descriptor, value).map_err(|_| invalid())?;
        self.meaning(&message)
    }
}

/// A prost-reflect message that implements [`Message`].
#[derive(Debug)]
struct View<'a> {
    schema: &'a Reflected,
    message: DynamicMessage,
}

impl<'a> Message<'a> for View<'a> {
    fn get(&self, field: &Field, _: &mut Budget) -> Result<Option<Value<'a>>, ErrorKind> {
        let descriptor = self.message.descriptor();
        if let Some(own) = descriptor.get_field(field.index) {
            if !self.message.has_field(&own) {
                return Ok(None);
            }
            return self.schema.value(&self.message.get_field(&own)).map(Some);
        }
        match descriptor.get_extension(field.index) {
            Some(extension) if self.message.has_extension(&extension) => self
                .schema
                .value(&self.message.get_extension(&extension))
                .map(Some),
            _ => Ok(None),
        }
    }
}

/// The entries of a map. A look-up searches them from the first to the last.
struct Entries<'a>(Vec<(Value<'a>, Value<'a>)>);

impl<'a> Map<'a> for Entries<'a> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn entry(&self, index: usize, _: &mut Budget) -> Result<(Value<'a>, Value<'a>), ErrorKind> {
        Ok(self.0[index].clone())
    }

    fn find(&self, key: &Key<'_>, budget: &mut Budget) -> Result<Option<Value<'a>>, ErrorKind> {
        budget.take_steps(self.0.len() as u64)?;
        let found = self
            .0
            .iter()
            .find(|(other, _)| Key::of(other) == Some(*key));
        Ok(found.map(|(_, value)| value.clone()))
    }
}

/// Returns a map with `entries`, whose keys must be distinct.
pub fn map<'a>(entries: Vec<(Value<'a>, Value<'a>)>) -> Value<'a> {
    Value::Map(MapValue::Shared(Rc::new(Entries(entries))))
}
