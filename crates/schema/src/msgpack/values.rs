//! A payload that the walk has passed, as the message that it means: what rules are held against.
//!
//! Reads by the same mapping as the walk, and takes its verdict for granted: what the walk would refuse is
//! left out or read as zero here. It builds, so it is for schemas with rules alone.

use std::collections::HashMap;

use prost_reflect::{
    DynamicMessage, FieldDescriptor, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};

use super::head::{Head, Reader};
use super::known::moment;
use super::scalar::{float, integer};
use crate::rules::{MAX_DEPTH, deeper, map_key, set};
use crate::table::{Cardinality, Enum, Field, Form, Kind, MessageId, Table};
use crate::violation::Checked;

/// The message of type `id`, which `descriptor` describes too, that `payload` holds.
pub(super) fn read(
    table: &Table,
    id: MessageId,
    descriptor: &MessageDescriptor,
    payload: &[u8],
) -> Checked<DynamicMessage> {
    Values { table }.message(&mut Reader::new(payload), id, descriptor, MAX_DEPTH)
}

struct Values<'a> {
    table: &'a Table,
}

impl Values<'_> {
    fn message(
        &self,
        reader: &mut Reader,
        id: MessageId,
        descriptor: &MessageDescriptor,
        depth: u32,
    ) -> Checked<DynamicMessage> {
        let at = reader.at();
        let mut ahead = reader.clone();
        let head = ahead.head()?;
        let mut made = DynamicMessage::new(descriptor.clone());
        let form = self.table[id].form;
        match (form, head) {
            (Form::Timestamp, Head::Ext(_, data)) => {
                *reader = ahead;
                let (seconds, nanos) = moment(data, at)?;
                set(&mut made, 1, Value::I64(seconds))?;
                set(&mut made, 2, Value::I32(nanos as i32))?;
            }
            (Form::Struct | Form::ListValue | Form::Value, _) => {
                self.free(reader, &mut made, form, depth)?;
            }
            (Form::Wrapper, _) if !self.wrapped_as_message(id, head, &ahead)? => {
                let kind = self.table[id].fields[0].kind;
                let value = self.scalar(reader, kind)?;
                set(&mut made, 1, value)?;
            }
            _ => self.fields(reader, id, &mut made, depth)?,
        }
        Ok(made)
    }

    /// As the walk tells the two forms of a wrapper apart.
    fn wrapped_as_message(&self, id: MessageId, head: Head, inside: &Reader) -> Checked<bool> {
        let bytes = self.table[id].fields[0].kind == Kind::Bytes;
        Ok(match head {
            Head::Map(_) => true,
            Head::Array(0) => !bytes,
            Head::Array(_) => {
                let first = inside.clone().head()?;
                !bytes || !matches!(first, Head::Uint(_) | Head::Negative(_))
            }
            _ => false,
        })
    }

    fn fields(
        &self,
        reader: &mut Reader,
        id: MessageId,
        made: &mut DynamicMessage,
        depth: u32,
    ) -> Checked<()> {
        let message = &self.table[id];
        match reader.head()? {
            Head::Map(count) => {
                for _ in 0..count {
                    let key = match reader.head()? {
                        Head::Str(text) => std::str::from_utf8(text).ok(),
                        _ => None,
                    };
                    match key.and_then(|key| message.by_name(key)) {
                        Some(index) => {
                            self.field(reader, &message.fields[index as usize], made, depth)?;
                        }
                        // Walked before, within its depth.
                        None => reader.skip(u32::MAX)?,
                    }
                }
            }
            Head::Array(count) => {
                for &index in message.declared.iter().take(count) {
                    self.field(reader, &message.fields[index as usize], made, depth)?;
                }
            }
            _ => {}
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
        let form = kind.message().map(|id| self.table[id].form);
        let null = field.cardinality == Cardinality::Singular && form == Some(Form::Value);
        if !null && reader.nil() {
            return Ok(());
        }
        // An extension has no field there; rules don't see extensions.
        let Some(of) = made.descriptor().get_field(field.number) else {
            return reader.skip(u32::MAX);
        };
        let value = match field.cardinality {
            Cardinality::Singular => self.element(reader, kind, &of, depth)?,
            Cardinality::Repeated => self.list(reader, kind, &of, depth)?,
            Cardinality::Map => self.map(reader, kind, &of, depth)?,
        };
        set(made, field.number, value)?;
        Ok(())
    }

    fn list(
        &self,
        reader: &mut Reader,
        kind: Kind,
        of: &FieldDescriptor,
        depth: u32,
    ) -> Checked<Value> {
        let count = match reader.head()? {
            Head::Array(count) => count,
            _ => 0,
        };
        let elements = (0..count).map(|_| self.element(reader, kind, of, depth));
        Ok(Value::List(elements.collect::<Checked<_>>()?))
    }

    fn map(
        &self,
        reader: &mut Reader,
        kind: Kind,
        of: &FieldDescriptor,
        depth: u32,
    ) -> Checked<Value> {
        let count = match reader.head()? {
            Head::Map(count) => count,
            _ => 0,
        };
        let mut made = HashMap::new();
        let fields = kind.message().map(|id| &*self.table[id].fields);
        let entry = of.kind().as_message().cloned();
        if let (Some([key, value]), Some(entry)) = (fields, entry) {
            let of = entry.map_entry_value_field();
            for _ in 0..count {
                let key = self.scalar(reader, key.kind)?;
                let value = self.element(reader, value.kind, &of, depth)?;
                made.insert(map_key(key)?, value);
            }
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
        let whole = || integer(head).unwrap_or_default();
        Ok(match kind {
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(whole() as i32),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(whole() as i64),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(whole() as u32),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(whole() as u64),
            Kind::Double => Value::F64(float(head).unwrap_or_default()),
            Kind::Float => Value::F32(float(head).unwrap_or_default() as f32),
            Kind::Bool => Value::Bool(head == Head::Bool(true)),
            Kind::String { .. } => Value::String(text(head)),
            Kind::Bytes => Value::Bytes(bytes(reader, head)?.into()),
            Kind::Enum(id) => Value::EnumNumber(number(&self.table[id], head)),
            // Messages are read as such.
            Kind::Message(_) | Kind::Group(_) => Value::Bool(false),
        })
    }

    /// Struct, Value and ListValue: whatever it is, in the fields that struct.proto has for it.
    fn free(
        &self,
        reader: &mut Reader,
        made: &mut DynamicMessage,
        form: Form,
        depth: u32,
    ) -> Checked<()> {
        let of = |number| made.descriptor().get_field(number);
        let inner = |field: Option<FieldDescriptor>| {
            let made = field.and_then(|field| field.kind().as_message().cloned());
            made.map(DynamicMessage::new)
        };
        let head = match form {
            Form::Value => reader.clone().head()?,
            _ => reader.head()?,
        };
        match (form, head) {
            (Form::Struct, Head::Map(count)) => {
                let value = of(1).and_then(|field| field.kind().as_message().cloned());
                let value = value.map(|entry| entry.map_entry_value_field());
                let mut fields = HashMap::new();
                for _ in 0..count {
                    let key = MapKey::String(text(reader.head()?));
                    let value = self.value(reader, inner(value.clone()), depth)?;
                    fields.extend(value.map(|value| (key, value)));
                }
                set(made, 1, Value::Map(fields))?;
            }
            (Form::ListValue, Head::Array(count)) => {
                let mut values = Vec::new();
                for _ in 0..count {
                    values.extend(self.value(reader, inner(of(1)), depth)?);
                }
                set(made, 1, Value::List(values))?;
            }
            (Form::Value, Head::Map(_) | Head::Array(_)) => {
                let (number, form) = match head {
                    Head::Map(_) => (5, Form::Struct),
                    _ => (6, Form::ListValue),
                };
                if let Some(mut inner) = inner(of(number)) {
                    let depth = deeper(depth, reader.at())?;
                    self.free(reader, &mut inner, form, depth)?;
                    set(made, number, Value::Message(inner))?;
                }
            }
            (Form::Value, _) => {
                reader.head()?;
                match head {
                    Head::Nil => set(made, 1, Value::EnumNumber(0))?,
                    Head::Str(_) => set(made, 3, Value::String(text(head)))?,
                    Head::Bool(value) => set(made, 4, Value::Bool(value))?,
                    _ => set(made, 2, Value::F64(float(head).unwrap_or_default()))?,
                }
            }
            _ => {}
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
            return Ok(None);
        };
        self.free(reader, &mut made, Form::Value, depth)?;
        Ok(Some(Value::Message(made)))
    }
}

fn text(head: Head) -> String {
    match head {
        Head::Str(text) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    }
}

fn bytes(reader: &mut Reader, head: Head) -> Checked<Vec<u8>> {
    match head {
        Head::Bin(bytes) => Ok(bytes.to_vec()),
        Head::Array(count) => (0..count)
            .map(|_| Ok(integer(reader.head()?).unwrap_or_default() as u8))
            .collect(),
        _ => Ok(Vec::new()),
    }
}

fn number(one: &Enum, head: Head) -> i32 {
    match head {
        Head::Str(_) => one.names.get(&*text(head)).copied().unwrap_or_default(),
        head => integer(head).unwrap_or_default() as i32,
    }
}
