//! A payload that the walk has passed → the dynamic message against which rules are checked.
//!
//! Builds the whole message, so it runs only for schemas with rules.

use std::collections::HashMap;

use prost_reflect::prost::Message as _;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};

use super::dynamic::{LEVELS_MAX, deeper, map_key, set, whole};
use super::source::{Shape, Source, Writing};
use crate::contract::Contract;
use crate::table::{Cardinality, Field, FieldKind, Form, MessageId, Table};
use crate::violation::Checked;

/// Returns the message in `source`, the root of `contract`, which `descriptor` describes too.
pub(super) fn read<S: Source>(
    contract: &Contract,
    source: S,
    descriptor: &MessageDescriptor,
) -> Checked<DynamicMessage> {
    let table = &contract.table;
    Values { table, source }.message(contract.root, descriptor, LEVELS_MAX)
}

/// Reads messages of one table.
struct Values<'a, S> {
    table: &'a Table,
    source: S,
}

impl<S: Source> Values<'_, S> {
    /// Reads the next value, a message of type `id`, which `descriptor` describes too.
    fn message(
        &mut self,
        id: MessageId,
        descriptor: &MessageDescriptor,
        depth: u32,
    ) -> Checked<DynamicMessage> {
        let mut made = DynamicMessage::new(descriptor.clone());
        let message = &self.table[id];
        let form = message.form;
        if let Form::Struct | Form::ListValue | Form::Value = form {
            self.free(&mut made, form, depth)?;
            return Ok(made);
        }
        match self.source.writing(message)? {
            Writing::Fields => self.fields(id, &mut made, depth)?,
            Writing::Own => self.source.own(form, &mut made)?,
            Writing::Typed { url } => self.any(url, &mut made, depth)?,
            Writing::Bare => {
                let value = self.scalar(message.fields[0].kind)?;
                set(&mut made, 1, value)?;
            }
        }
        Ok(made)
    }

    /// Reads a message by its fields: keyed by name, or in declaration order.
    fn fields(&mut self, id: MessageId, made: &mut DynamicMessage, depth: u32) -> Checked<()> {
        let message = &self.table[id];
        let mut declared = match self.source.shape()? {
            Shape::List => Some(message.declared.iter()),
            _ => None,
        };
        let mut elements = self.source.open()?;
        while self.source.more(&mut elements)? {
            let index = match &mut declared {
                Some(declared) => declared.next().copied(),
                None => message.by_name(&self.source.name()?),
            };
            match index {
                Some(index) => self.field(&message.fields[index as usize], made, depth)?,
                None => self.source.skip()?,
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, made: &mut DynamicMessage, depth: u32) -> Checked<()> {
        let kind = field.kind;
        let holds_null = match kind {
            FieldKind::Message(id) | FieldKind::Group(id) => self.table[id].form == Form::Value,
            FieldKind::Enum(id) => S::ENUM_HOLDS_NULL && self.table[id].null,
            _ => false,
        };
        let holds_null = holds_null && field.cardinality == Cardinality::Singular;
        let absent = self.source.shape()? == Shape::Null && !holds_null;
        // An extension has no field in its descriptor; rules don't see extensions.
        let (false, Some(of)) = (absent, made.descriptor().get_field(field.number)) else {
            return self.source.skip();
        };
        let value = match field.cardinality {
            Cardinality::Singular => self.element(kind, &of, depth)?,
            Cardinality::Repeated => self.list(kind, &of, depth)?,
            Cardinality::Map => self.map(kind, &of, depth)?,
        };
        set(made, field.number, value)
    }

    fn list(&mut self, kind: FieldKind, of: &FieldDescriptor, depth: u32) -> Checked<Value> {
        let mut list = Vec::new();
        let mut elements = self.source.open()?;
        while self.source.more(&mut elements)? {
            list.push(self.element(kind, of, depth)?);
        }
        Ok(Value::List(list))
    }

    fn map(&mut self, kind: FieldKind, of: &FieldDescriptor, depth: u32) -> Checked<Value> {
        let mut made = HashMap::new();
        let fields = kind.message().map(|id| &*self.table[id].fields);
        let entry = of.kind().as_message().cloned();
        let (Some([key, value]), Some(entry)) = (fields, entry) else {
            self.source.skip()?;
            return Ok(Value::Map(made));
        };
        let of = entry.map_entry_value_field();
        let mut elements = self.source.open()?;
        while self.source.more(&mut elements)? {
            let key = map_key(self.source.key(key.kind)?)?;
            made.insert(key, self.element(value.kind, &of, depth)?);
        }
        Ok(Value::Map(made))
    }

    fn element(&mut self, kind: FieldKind, of: &FieldDescriptor, depth: u32) -> Checked<Value> {
        match (kind.message(), of.kind().as_message()) {
            (Some(id), Some(descriptor)) => {
                let depth = deeper(depth, self.source.at())?;
                Ok(Value::Message(self.message(id, descriptor, depth)?))
            }
            _ => self.scalar(kind),
        }
    }

    fn scalar(&mut self, kind: FieldKind) -> Checked<Value> {
        let source = &mut self.source;
        Ok(match kind {
            FieldKind::Double => Value::F64(source.float()?),
            FieldKind::Float => Value::F32(source.float()? as f32),
            FieldKind::Bool => Value::Bool(source.bool()?),
            FieldKind::String { .. } => Value::String(source.text()?),
            FieldKind::Bytes => Value::Bytes(source.bytes()?.into()),
            FieldKind::Enum(id) => Value::EnumNumber(source.number_of(&self.table[id])?),
            kind => whole(kind, source.integer()?),
        })
    }

    /// Reads an object that names the type of its other members, as the bytes that a protobuf writer would put
    /// in an Any.
    fn any(&mut self, url: String, made: &mut DynamicMessage, depth: u32) -> Checked<()> {
        let name = url.rsplit_once('/').map_or("", |(_, name)| name);
        let id = self.table.message(name);
        let of = made.descriptor().parent_pool().get_message_by_name(name);
        match (id, of) {
            (Some(id), Some(of)) => {
                let depth = deeper(depth, self.source.at())?;
                let inner = self.named(id, &of, depth)?;
                set(made, 2, Value::Bytes(inner.encode_to_vec().into()))?;
            }
            _ => self.source.skip()?,
        }
        set(made, 1, Value::String(url))
    }

    /// Reads the message in an object with a `@type`: the other members, or the member `value` if the message
    /// has a form of its own.
    fn named(
        &mut self,
        id: MessageId,
        of: &MessageDescriptor,
        depth: u32,
    ) -> Checked<DynamicMessage> {
        let mut inner = DynamicMessage::new(of.clone());
        if self.table[id].form == Form::Fields {
            self.fields(id, &mut inner, depth)?;
            return Ok(inner);
        }
        let mut members = self.source.open()?;
        while self.source.more(&mut members)? {
            if self.source.name()? == "value" {
                inner = self.message(id, of, depth)?;
            } else {
                self.source.skip()?;
            }
        }
        Ok(inner)
    }

    /// Reads any value as a Struct, Value or ListValue, in the fields that struct.proto gives them.
    fn free(&mut self, made: &mut DynamicMessage, form: Form, depth: u32) -> Checked<()> {
        let descriptor = made.descriptor();
        let inner = |number: u32| {
            let kind = descriptor.get_field(number)?.kind();
            Some(DynamicMessage::new(kind.as_message()?.clone()))
        };
        match (form, self.source.shape()?) {
            (Form::Struct, _) => {
                let entry = inner(1).map(|entry| entry.descriptor());
                let members = self.members(entry, depth)?;
                set(made, 1, members)
            }
            (Form::ListValue, _) => {
                let elements = self.elements(inner(1), depth)?;
                set(made, 1, elements)
            }
            (_, Shape::Map) => self.nested(made, 5, inner(5), Form::Struct, depth),
            (_, Shape::List) => self.nested(made, 6, inner(6), Form::ListValue, depth),
            (_, Shape::Null) => {
                self.source.skip()?;
                set(made, 1, Value::EnumNumber(0))
            }
            (_, Shape::Text) => set(made, 3, Value::String(self.source.text()?)),
            (_, Shape::Bool) => set(made, 4, Value::Bool(self.source.bool()?)),
            (_, Shape::Other) => set(made, 2, Value::F64(self.source.float()?)),
        }
    }

    /// Reads a list or map into `inner`, a ListValue or Struct, and sets it as the field `number` of a Value.
    fn nested(
        &mut self,
        made: &mut DynamicMessage,
        number: u32,
        inner: Option<DynamicMessage>,
        form: Form,
        depth: u32,
    ) -> Checked<()> {
        let Some(mut inner) = inner else {
            return self.source.skip();
        };
        let depth = deeper(depth, self.source.at())?;
        self.free(&mut inner, form, depth)?;
        set(made, number, Value::Message(inner))
    }

    /// Reads the members of a Struct, whose map has entries of type `entry`.
    fn members(&mut self, entry: Option<MessageDescriptor>, depth: u32) -> Checked<Value> {
        let value = entry.and_then(|entry| {
            let value = entry.map_entry_value_field().kind();
            Some(DynamicMessage::new(value.as_message()?.clone()))
        });
        let mut fields = HashMap::new();
        let mut members = self.source.open()?;
        while self.source.more(&mut members)? {
            let key = MapKey::String(self.source.name()?.into_owned());
            let value = self.value(value.clone(), depth)?;
            fields.extend(value.map(|value| (key, value)));
        }
        Ok(Value::Map(fields))
    }

    /// Reads the elements of a ListValue.
    fn elements(&mut self, element: Option<DynamicMessage>, depth: u32) -> Checked<Value> {
        let mut values = Vec::new();
        let mut elements = self.source.open()?;
        while self.source.more(&mut elements)? {
            values.extend(self.value(element.clone(), depth)?);
        }
        Ok(Value::List(values))
    }

    /// Reads the next value into `made`, an empty Value.
    fn value(&mut self, made: Option<DynamicMessage>, depth: u32) -> Checked<Option<Value>> {
        let Some(mut made) = made else {
            self.source.skip()?;
            return Ok(None);
        };
        self.free(&mut made, Form::Value, depth)?;
        Ok(Some(Value::Message(made)))
    }
}
