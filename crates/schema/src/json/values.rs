//! A payload that the walk has passed, as the message that it means: what rules are held against.
//!
//! Reads by the same mapping as the walk, and takes its verdict for granted: what the walk would refuse is
//! left out or read as zero here, but for times and what descriptors don't take, which are refused. It builds, so it is for schemas with rules alone.

use std::collections::HashMap;

use prost_reflect::prost::Message as _;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};

use super::base64::base64;
use super::head::{Head, Reader};
use super::number::Number;
use super::scalar::integer;
use super::time::{duration, timestamp};
use crate::rules::{deeper, map_key, set};
use crate::table::{Cardinality, Enum, Field, Form, Kind, MessageId, Table};
use crate::violation::{Checked, Fault, excerpt};

/// Reads messages of one table.
pub(super) struct Values<'a> {
    pub table: &'a Table,
}

impl Values<'_> {
    /// The message of type `id`, which `descriptor` describes too, that comes next.
    pub fn message(
        &self,
        reader: &mut Reader,
        id: MessageId,
        descriptor: &MessageDescriptor,
        depth: u32,
    ) -> Checked<DynamicMessage> {
        let mut made = DynamicMessage::new(descriptor.clone());
        let form = self.table[id].form;
        let object = reader.next() == Some(b'{');
        match form {
            Form::Struct | Form::ListValue | Form::Value => {
                self.free(reader, &mut made, form, depth)?;
            }
            Form::Any if object => self.any(reader, &mut made, depth)?,
            _ if object => self.fields(reader, id, &mut made, depth)?,
            Form::Wrapper => {
                let kind = self.table[id].fields[0].kind;
                let value = self.scalar(reader, kind)?;
                set(&mut made, 1, value)?;
            }
            Form::Timestamp | Form::Duration => {
                let at = reader.token();
                let text = text(reader.head()?);
                let read = match form {
                    Form::Timestamp => timestamp(text.as_bytes()),
                    _ => duration(text.as_bytes()),
                };
                let read = read.ok_or_else(|| Fault::new(at, "a time", excerpt(text.as_bytes())));
                let (seconds, nanos) = read?;
                set(&mut made, 1, Value::I64(seconds))?;
                set(&mut made, 2, Value::I32(nanos))?;
            }
            Form::FieldMask => {
                let paths = text(reader.head()?);
                let paths = paths.split(',').filter(|path| !path.is_empty());
                let paths = paths.map(|path| Value::String(snake_case(path)));
                set(&mut made, 1, Value::List(paths.collect()))?;
            }
            Form::Any | Form::Fields => {
                reader.head()?;
            }
        }
        Ok(made)
    }

    fn fields(
        &self,
        reader: &mut Reader,
        id: MessageId,
        made: &mut DynamicMessage,
        depth: u32,
    ) -> Checked<()> {
        let message = &self.table[id];
        reader.head()?;
        let mut more = reader.opened(b'}');
        while more {
            let key = reader.key()?;
            match message.by_name(&key.decoded()) {
                Some(index) => self.field(reader, &message.fields[index as usize], made, depth)?,
                // Walked before, within its depth.
                None => reader.skip(u32::MAX)?,
            }
            more = reader.another(b'}')?;
        }
        Ok(())
    }

    fn field(
        &self,
        reader: &mut Reader,
        field: &Field,
        made: &mut DynamicMessage,
        depth: u32,
    ) -> Checked<()> {
        let kind = field.kind;
        let null = match kind {
            Kind::Message(id) | Kind::Group(id) => self.table[id].form == Form::Value,
            Kind::Enum(id) => self.table[id].null,
            _ => false,
        };
        let null = null && field.cardinality == Cardinality::Singular;
        // An extension has no field there; rules don't see extensions.
        let of = made.descriptor().get_field(field.number);
        let absent = reader.next() == Some(b'n') && !null;
        let Some(of) = of.filter(|_| !absent) else {
            return reader.skip(u32::MAX);
        };
        let value = match field.cardinality {
            Cardinality::Singular => self.element(reader, kind, &of, depth)?,
            Cardinality::Repeated => {
                let mut list = Vec::new();
                reader.head()?;
                let mut more = reader.opened(b']');
                while more {
                    list.push(self.element(reader, kind, &of, depth)?);
                    more = reader.another(b']')?;
                }
                Value::List(list)
            }
            Cardinality::Map => self.map(reader, kind, &of, depth)?,
        };
        set(made, field.number, value)?;
        Ok(())
    }

    fn map(
        &self,
        reader: &mut Reader,
        kind: Kind,
        of: &FieldDescriptor,
        depth: u32,
    ) -> Checked<Value> {
        let mut made = HashMap::new();
        let fields = kind.message().map(|id| &*self.table[id].fields);
        let entry = of.kind().as_message().cloned();
        let (Some([key, value]), Some(entry)) = (fields, entry) else {
            reader.skip(u32::MAX)?;
            return Ok(Value::Map(made));
        };
        let of = entry.map_entry_value_field();
        reader.head()?;
        let mut more = reader.opened(b'}');
        while more {
            let name = reader.key()?.decoded();
            let key = match key.kind {
                Kind::String { .. } => Value::String(name.into_owned()),
                Kind::Bool => Value::Bool(&*name == "true"),
                kind => whole(
                    kind,
                    Number::parse(name.as_bytes()).and_then(Number::integer),
                ),
            };
            let value = self.element(reader, value.kind, &of, depth)?;
            made.insert(map_key(key)?, value);
            more = reader.another(b'}')?;
        }
        Ok(Value::Map(made))
    }

    fn element(
        &self,
        reader: &mut Reader,
        kind: Kind,
        of: &FieldDescriptor,
        depth: u32,
    ) -> Checked<Value> {
        match (kind.message(), of.kind().as_message()) {
            (Some(id), Some(descriptor)) => {
                let depth = deeper(depth, reader.at())?;
                Ok(Value::Message(self.message(reader, id, descriptor, depth)?))
            }
            _ => self.scalar(reader, kind),
        }
    }

    fn scalar(&self, reader: &mut Reader, kind: Kind) -> Checked<Value> {
        let head = reader.head()?;
        Ok(match kind {
            Kind::Double => Value::F64(float(head)),
            Kind::Float => Value::F32(float(head) as f32),
            Kind::Bool => Value::Bool(matches!(head, Head::Bool(true))),
            Kind::String { .. } => Value::String(text(head)),
            Kind::Bytes => Value::Bytes(bytes(reader, head)?.into()),
            Kind::Enum(id) => Value::EnumNumber(number(&self.table[id], head)),
            // Messages are read as such.
            Kind::Message(_) | Kind::Group(_) => Value::Bool(false),
            kind => whole(kind, integer(head)),
        })
    }

    /// An object whose `@type` says what message its other members are of: as the bytes that a
    /// protobuf writer would put in an Any.
    fn any(&self, reader: &mut Reader, made: &mut DynamicMessage, depth: u32) -> Checked<()> {
        let url = type_of(reader.clone())?;
        let name = url.rsplit_once('/').map_or("", |(_, name)| name);
        let id = self.table.message(name);
        let of = made.descriptor().parent_pool().get_message_by_name(name);
        match (id, of) {
            (Some(id), Some(of)) => {
                let depth = deeper(depth, reader.at())?;
                let mut inner = DynamicMessage::new(of.clone());
                match self.table[id].form {
                    Form::Fields => self.fields(reader, id, &mut inner, depth)?,
                    _ => {
                        reader.head()?;
                        let mut more = reader.opened(b'}');
                        while more {
                            match &*reader.key()?.bytes() {
                                b"value" => inner = self.message(reader, id, &of, depth)?,
                                _ => reader.skip(u32::MAX)?,
                            }
                            more = reader.another(b'}')?;
                        }
                    }
                }
                set(made, 2, Value::Bytes(inner.encode_to_vec().into()))?;
            }
            _ => reader.skip(u32::MAX)?,
        }
        set(made, 1, Value::String(url))
    }

    /// Struct, Value and ListValue: whatever it is, in the fields that struct.proto has for it.
    fn free(
        &self,
        reader: &mut Reader,
        made: &mut DynamicMessage,
        form: Form,
        depth: u32,
    ) -> Checked<()> {
        let descriptor = made.descriptor();
        let inner = |number: u32| {
            let kind = descriptor.get_field(number)?.kind();
            Some(DynamicMessage::new(kind.as_message()?.clone()))
        };
        let nested = match (form, reader.next()) {
            (Form::Value, Some(b'{')) => Some((5, Form::Struct)),
            (Form::Value, Some(b'[')) => Some((6, Form::ListValue)),
            _ => None,
        };
        if let Some((number, form)) = nested {
            let Some(mut inner) = inner(number) else {
                return reader.skip(u32::MAX);
            };
            let depth = deeper(depth, reader.at())?;
            self.free(reader, &mut inner, form, depth)?;
            set(made, number, Value::Message(inner))?;
            return Ok(());
        }
        match (form, reader.head()?) {
            (Form::Struct, _) => {
                let value = inner(1).and_then(|entry| {
                    let value = entry.descriptor().map_entry_value_field().kind();
                    Some(DynamicMessage::new(value.as_message()?.clone()))
                });
                let mut fields = HashMap::new();
                let mut more = reader.opened(b'}');
                while more {
                    let key = MapKey::String(reader.key()?.decoded().into_owned());
                    let value = self.value(reader, value.clone(), depth)?;
                    fields.extend(value.map(|value| (key, value)));
                    more = reader.another(b'}')?;
                }
                set(made, 1, Value::Map(fields))?;
            }
            (Form::ListValue, _) => {
                let mut values = Vec::new();
                let mut more = reader.opened(b']');
                while more {
                    values.extend(self.value(reader, inner(1), depth)?);
                    more = reader.another(b']')?;
                }
                set(made, 1, Value::List(values))?;
            }
            (_, Head::Null) => set(made, 1, Value::EnumNumber(0))?,
            (_, Head::Str(text)) => set(made, 3, Value::String(text.decoded().into_owned()))?,
            (_, Head::Bool(value)) => set(made, 4, Value::Bool(value))?,
            (_, head) => set(made, 2, Value::F64(float(head)))?,
        }
        Ok(())
    }

    fn value(
        &self,
        reader: &mut Reader,
        made: Option<DynamicMessage>,
        depth: u32,
    ) -> Checked<Option<Value>> {
        let Some(mut made) = made else {
            reader.skip(u32::MAX)?;
            return Ok(None);
        };
        self.free(reader, &mut made, Form::Value, depth)?;
        Ok(Some(Value::Message(made)))
    }
}

/// The `@type` of the object that comes next. It is looked for no further than it lies: the walk has seen to it
/// that it lies first, but for a few (`LATE_TYPES`), so that all is read once.
fn type_of(mut reader: Reader) -> Checked<String> {
    reader.head()?;
    let mut more = reader.opened(b'}');
    while more {
        if &*reader.key()?.bytes() == b"@type" {
            return Ok(text(reader.head()?));
        }
        reader.skip(u32::MAX)?;
        more = reader.another(b'}')?;
    }
    Ok(String::new())
}

fn whole(kind: Kind, value: Option<i128>) -> Value {
    let value = value.unwrap_or_default();
    match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(value as i32),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(value as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(value as u64),
        _ => Value::I64(value as i64),
    }
}

fn text(head: Head) -> String {
    match head {
        Head::Str(text) => text.decoded().into_owned(),
        _ => String::new(),
    }
}

fn float(head: Head) -> f64 {
    match head {
        Head::Number(number) => number.float(),
        Head::Str(text) => match &*text.bytes() {
            b"NaN" => f64::NAN,
            b"Infinity" => f64::INFINITY,
            b"-Infinity" => f64::NEG_INFINITY,
            bytes => Number::parse(bytes).map_or(0.0, Number::float),
        },
        _ => 0.0,
    }
}

fn number(one: &Enum, head: Head) -> i32 {
    match head {
        Head::Str(text) => one.names.get(&*text.decoded()).copied().unwrap_or_default(),
        head => integer(head).unwrap_or_default() as i32,
    }
}

fn bytes(reader: &mut Reader, head: Head) -> Checked<Vec<u8>> {
    let mut bytes = Vec::new();
    match head {
        Head::Str(text) => return Ok(base64(&text.bytes())),
        Head::Array => {
            let mut more = reader.opened(b']');
            while more {
                bytes.push(integer(reader.head()?).unwrap_or_default() as u8);
                more = reader.another(b']')?;
            }
        }
        _ => {}
    }
    Ok(bytes)
}

/// As in the `.proto`: a mask in JSON has each path in lower camel case.
fn snake_case(path: &str) -> String {
    let mut snake = String::with_capacity(path.len() + 4);
    for c in path.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
