//! Conversion of descriptors to a [`Table`], the form that the walks read.
//!
//! The conversion runs off the data path, once per generation. Names in descriptors may be missing
//! or duplicated without causing a panic.

use ::protobuf::descriptor::field_descriptor_proto::{Label, Type};
use ::protobuf::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};
use rustc_hash::FxHashMap;

use super::error::{FIELDS_MAX, TableError};
use super::{Cardinality, Enum, EnumId, Field, FieldKind, Form, Message, MessageId, Table};
use gateway_proto::features::{Features, Presence, place};

impl Table {
    /// Builds the table of all messages and enums of `files`: a complete set, imports included,
    /// with all names fully qualified, as compilers produce it.
    ///
    /// # Errors
    ///
    /// Fails if a type is missing or defined twice, or a message has more than 65,534 fields.
    pub fn build(files: &[FileDescriptorProto]) -> Result<Self, TableError> {
        let mut builder = Builder::default();
        for file in files {
            let features = Features::of_file(file);
            let package = file.package();
            for message in &file.message_type {
                builder.collect(message, package, features)?;
            }
            for one in &file.enum_type {
                builder.collect_enum(one, package, features)?;
            }
            builder.collect_extensions(&file.extension, package, features);
        }
        builder.finish()
    }
}

/// The types by name, collected from all files before any field is resolved.
#[derive(Default)]
struct Builder<'a> {
    types: FxHashMap<String, Named>,
    messages: Vec<DeclaredMessage<'a>>,
    enums: Vec<Enum>,
    extensions: FxHashMap<&'a str, Vec<Extension<'a>>>,
}

/// The definition that a type name refers to.
#[derive(Clone, Copy)]
enum Named {
    Message(MessageId),
    Enum(EnumId),
}

struct DeclaredMessage<'a> {
    name: String,
    descriptor: &'a DescriptorProto,
    features: Features,
}

struct Extension<'a> {
    name: String,
    descriptor: &'a FieldDescriptorProto,
    features: Features,
}

impl<'a> Builder<'a> {
    fn collect(
        &mut self,
        descriptor: &'a DescriptorProto,
        scope: &str,
        outer: Features,
    ) -> Result<(), TableError> {
        let name = qualified(scope, descriptor.name());
        let features = outer.within(descriptor.options.as_ref(), place::MESSAGE);
        self.declare(&name, Named::Message(MessageId(self.messages.len() as u32)))?;
        self.messages.push(DeclaredMessage {
            name: name.clone(),
            descriptor,
            features,
        });
        for nested in &descriptor.nested_type {
            self.collect(nested, &name, features)?;
        }
        for one in &descriptor.enum_type {
            self.collect_enum(one, &name, features)?;
        }
        self.collect_extensions(&descriptor.extension, &name, features);
        Ok(())
    }

    fn collect_enum(
        &mut self,
        descriptor: &EnumDescriptorProto,
        scope: &str,
        outer: Features,
    ) -> Result<(), TableError> {
        let name = qualified(scope, descriptor.name());
        let features = outer.within(descriptor.options.as_ref(), place::ENUM);
        self.declare(&name, Named::Enum(EnumId(self.enums.len() as u32)))?;
        let values = descriptor.value.iter();
        let mut numbers: Vec<i32> = values.clone().map(|value| value.number()).collect();
        numbers.sort_unstable();
        self.enums.push(Enum {
            null: name == "google.protobuf.NullValue",
            name: name.into(),
            closed: features.closed_enum,
            numbers: numbers.into(),
            names: values
                .map(|value| (value.name().into(), value.number()))
                .collect(),
        });
        Ok(())
    }

    fn collect_extensions(
        &mut self,
        extensions: &'a [FieldDescriptorProto],
        scope: &str,
        features: Features,
    ) {
        for descriptor in extensions {
            let extendee = unqualified(descriptor.extendee());
            self.extensions
                .entry(extendee)
                .or_default()
                .push(Extension {
                    name: format!("[{}]", qualified(scope, descriptor.name())),
                    descriptor,
                    features,
                });
        }
    }

    fn declare(&mut self, name: &str, id: Named) -> Result<(), TableError> {
        match self.types.insert(name.to_owned(), id) {
            None => Ok(()),
            Some(_) => Err(TableError::DefinedTwice {
                name: name.to_owned(),
            }),
        }
    }

    fn finish(mut self) -> Result<Table, TableError> {
        let messages = self.messages.iter().map(|source| self.message(source));
        let mut messages = messages.collect::<Result<Vec<_>, _>>()?;
        require_map_values(&mut messages);
        let by_name = (0u32..)
            .zip(&self.messages)
            .map(|(id, source)| (source.name.clone(), MessageId(id)))
            .filter(|(_, id)| !messages[id.0 as usize].map_entry)
            .collect();
        Ok(Table {
            messages,
            enums: std::mem::take(&mut self.enums),
            by_name,
        })
    }

    fn message(&self, source: &DeclaredMessage) -> Result<Message, TableError> {
        let DeclaredMessage {
            name,
            descriptor,
            features,
        } = source;
        let mut fields = Vec::with_capacity(descriptor.field.len());
        for field in &descriptor.field {
            let oneof = usize::try_from(field.oneof_index.unwrap_or(-1)).ok();
            let oneof = oneof.and_then(|index| descriptor.oneof_decl.get(index));
            let features = match oneof {
                Some(oneof) => features.within(oneof.options.as_ref(), place::ONEOF),
                None => *features,
            };
            fields.push(self.field(field.name(), field, features, is_map_entry(descriptor))?);
        }
        for extension in self.extensions.get(name.as_str()).into_iter().flatten() {
            fields.push(self.field(
                &extension.name,
                extension.descriptor,
                extension.features,
                false,
            )?);
        }
        if fields.len() > FIELDS_MAX {
            return Err(TableError::TooManyFields {
                message: name.clone(),
            });
        }
        let mut message = Message::new(name, form(name, &fields), fields);
        message.map_entry = is_map_entry(descriptor);
        message.message_set = descriptor.options.message_set_wire_format();
        Ok(message)
    }

    fn field(
        &self,
        name: &str,
        descriptor: &FieldDescriptorProto,
        outer: Features,
        in_map_entry: bool,
    ) -> Result<Field, TableError> {
        let mut features = outer.within(descriptor.options.as_ref(), place::FIELD);
        // The key and value of a map entry are never delimited.
        features.delimited &= !in_map_entry;
        let kind = self.kind(name, descriptor, features)?;
        let repeated = descriptor.label() == Label::LABEL_REPEATED;
        let of_entries = |id: MessageId| is_map_entry(self.messages[id.0 as usize].descriptor);
        let cardinality = match kind {
            FieldKind::Message(id) if repeated && of_entries(id) => Cardinality::Map,
            _ if repeated => Cardinality::Repeated,
            _ => Cardinality::Singular,
        };
        let singular = cardinality == Cardinality::Singular;
        let in_oneof = descriptor.oneof_index.is_some();
        let presence = match descriptor.label() {
            Label::LABEL_REQUIRED => Presence::Required,
            _ if in_oneof || kind.message().is_some() => features.presence.max_explicit(),
            _ => features.presence,
        };
        Ok(Field {
            number: u32::try_from(descriptor.number()).unwrap_or(0),
            kind,
            cardinality,
            wire: kind.wire(),
            packable: cardinality == Cardinality::Repeated
                && !matches!(kind, FieldKind::String { .. } | FieldKind::Bytes)
                && kind.message().is_none(),
            required: singular && presence == Presence::Required,
            implicit: singular && presence == Presence::Implicit,
            place: u32::MAX - 1,
            // A proto3 `optional` field is alone in a synthetic oneof, which does not count.
            oneof: (descriptor
                .oneof_index
                .filter(|_| !descriptor.proto3_optional()))
            .and_then(|index| u32::try_from(index).ok()),
            name: name.into(),
            json_name: match &descriptor.json_name {
                _ if name.starts_with('[') => name.into(),
                Some(given) => given.as_str().into(),
                None => camel_case(name).into(),
            },
        })
    }

    fn kind(
        &self,
        field: &str,
        descriptor: &FieldDescriptorProto,
        features: Features,
    ) -> Result<FieldKind, TableError> {
        let name = unqualified(descriptor.type_name());
        let missing = || TableError::NotDefined {
            field: field.to_owned(),
            name: name.to_owned(),
        };
        let message = || match self.types.get(name) {
            Some(&Named::Message(id)) => Ok(id),
            _ => Err(missing()),
        };
        // Descriptors whose names are not resolved yet may have a type name without a type.
        let known = descriptor.type_.and_then(|kind| kind.enum_value().ok());
        Ok(match known {
            Some(Type::TYPE_DOUBLE) => FieldKind::Double,
            Some(Type::TYPE_FLOAT) => FieldKind::Float,
            Some(Type::TYPE_INT32) => FieldKind::Int32,
            Some(Type::TYPE_INT64) => FieldKind::Int64,
            Some(Type::TYPE_UINT32) => FieldKind::Uint32,
            Some(Type::TYPE_UINT64) => FieldKind::Uint64,
            Some(Type::TYPE_SINT32) => FieldKind::Sint32,
            Some(Type::TYPE_SINT64) => FieldKind::Sint64,
            Some(Type::TYPE_FIXED32) => FieldKind::Fixed32,
            Some(Type::TYPE_FIXED64) => FieldKind::Fixed64,
            Some(Type::TYPE_SFIXED32) => FieldKind::Sfixed32,
            Some(Type::TYPE_SFIXED64) => FieldKind::Sfixed64,
            Some(Type::TYPE_BOOL) => FieldKind::Bool,
            Some(Type::TYPE_STRING) => FieldKind::String {
                utf8: features.utf8,
            },
            Some(Type::TYPE_BYTES) => FieldKind::Bytes,
            Some(Type::TYPE_GROUP) => FieldKind::Group(message()?),
            Some(Type::TYPE_MESSAGE | Type::TYPE_ENUM) | None => {
                match self.types.get(name).ok_or_else(missing)? {
                    Named::Enum(id) => FieldKind::Enum(*id),
                    Named::Message(id) => self.delimited_or_not(*id, features),
                }
            }
        })
    }

    /// Returns the kind of a message field by its features. Map entries are always length-prefixed.
    fn delimited_or_not(&self, id: MessageId, features: Features) -> FieldKind {
        let entry = is_map_entry(self.messages[id.0 as usize].descriptor);
        if features.delimited && !entry {
            FieldKind::Group(id)
        } else {
            FieldKind::Message(id)
        }
    }
}

/// Makes the value of a map entry required if it is a message with required fields. An entry
/// without a value holds the default value, which lacks them.
fn require_map_values(messages: &mut [Message]) {
    for at in 0..messages.len() {
        let entry = &messages[at];
        let value = entry.by_number(2).filter(|_| entry.map_entry);
        let Some(index) = value else { continue };
        let of = entry.fields[index as usize].kind.message();
        if of.is_some_and(|id| !messages[id.0 as usize].needs.is_empty()) {
            messages[at].needs.require(index);
        }
    }
}

fn form(name: &str, fields: &[Field]) -> Form {
    match name.strip_prefix("google.protobuf.") {
        Some("Timestamp") => Form::Timestamp,
        Some("Duration") => Form::Duration,
        Some("FieldMask") => Form::FieldMask,
        Some("Any") => Form::Any,
        Some("Struct") => Form::Struct,
        Some("Value") => Form::Value,
        Some("ListValue") => Form::ListValue,
        Some(
            "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value"
            | "UInt32Value" | "BoolValue" | "StringValue" | "BytesValue",
        ) if fields.len() == 1 => Form::Wrapper,
        _ => Form::Fields,
    }
}

fn is_map_entry(descriptor: &DescriptorProto) -> bool {
    // Every map entry from a compiler has a key and a value, and the walks rely on both.
    let numbers = descriptor.field.iter().map(FieldDescriptorProto::number);
    descriptor.options.map_entry() && numbers.eq([1, 2])
}

fn qualified(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}

fn unqualified(name: &str) -> &str {
    name.strip_prefix('.').unwrap_or(name)
}

/// Returns the JSON name that protoc gives a field without an explicit one.
fn camel_case(name: &str) -> String {
    let mut upper = false;
    let mut json = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                json.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => json.push(c),
        }
    }
    json
}
