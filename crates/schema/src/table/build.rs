//! Conversion of descriptors to a [`Table`], the form that the walks read.
//!
//! The conversion runs when schemas are loaded, not while payloads are checked. Names in
//! descriptors may be missing or duplicated without causing a panic.

use ::protobuf::descriptor::field_descriptor_proto::{Label, Type};
use ::protobuf::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};
use rustc_hash::FxHashMap;

use super::declared::{Declared, DeclaredType, Definition, unqualified};
use super::error::TableError;
use super::reach::Chosen;
use super::root::Root;
use super::{Cardinality, Enum, Field, FieldKind, Form, Message, Table};
use gateway_proto::features::{Features, Presence, place};

impl Table {
    /// Builds the table of all messages and enums of `files`. The files must include all their
    /// imports, and all type names in them must be fully qualified, as in the output of a compiler.
    ///
    /// # Errors
    ///
    /// Fails if a type is missing or defined twice, or a message has more than 65,535 fields.
    pub fn build<'a>(
        files: impl IntoIterator<Item = &'a FileDescriptorProto>,
    ) -> Result<Self, TableError> {
        let declared = Declared::collect(files)?;
        declared.check()?;
        let chosen = Chosen::all(&declared);
        Builder { declared, chosen }.finish()
    }

    /// Builds a table that holds `roots`, the wanted types, and the types of all their fields, at
    /// any depth. A type is wanted if `wanted` returns true for its full name. If a root with
    /// [`Root::opens_any`] can contain a `google.protobuf.Any`, the table holds all messages and
    /// enums.
    ///
    /// `files` must include the files that define these types and the files that extend these
    /// messages.
    ///
    /// Fails if two types in `files` have the same name, or if the type of a field in the table is
    /// not defined. The number of fields is not checked.
    pub(crate) fn build_reached<'a>(
        files: impl IntoIterator<Item = &'a FileDescriptorProto>,
        roots: &[Root],
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Self, TableError> {
        let declared = Declared::collect(files)?;
        let chosen = Chosen::reached(&declared, roots, wanted);
        Builder { declared, chosen }.finish()
    }

    /// Checks that [`Self::build`] succeeds for these files, or returns its error.
    pub(crate) fn check<'a>(
        files: impl IntoIterator<Item = &'a FileDescriptorProto>,
    ) -> Result<(), TableError> {
        Declared::collect(files)?.check()
    }
}

/// The conversion of the chosen definitions.
struct Builder<'a> {
    declared: Declared<'a>,
    chosen: Chosen,
}

impl Builder<'_> {
    fn finish(self) -> Result<Table, TableError> {
        let messages = self.declared.messages.iter().zip(&self.chosen.messages);
        let mut by_name = FxHashMap::default();
        let mut built = Vec::with_capacity(self.chosen.messages.iter().flatten().count());
        for (source, id) in messages {
            let Some(id) = id else { continue };
            let message = self.message(source)?;
            if !message.map_entry {
                by_name.insert(source.name.clone(), *id);
            }
            built.push(message);
        }
        require_map_values(&mut built);
        let enums = self.declared.enums.iter().zip(&self.chosen.enums);
        Ok(Table {
            messages: built,
            enums: enums
                .filter(|(_, id)| id.is_some())
                .map(|(source, _)| enumeration(source))
                .collect(),
            by_name,
        })
    }

    fn message(&self, source: &Definition<DescriptorProto>) -> Result<Message, TableError> {
        let Definition {
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
        for extension in self.declared.extensions(name) {
            fields.push(self.field(
                &extension.name,
                extension.descriptor,
                extension.features,
                false,
            )?);
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
        // The key and the value of a map entry are never encoded as groups.
        features.delimited &= !in_map_entry;
        let kind = self.kind(name, descriptor, features)?;
        let repeated = descriptor.label() == Label::LABEL_REPEATED;
        let cardinality = match kind {
            FieldKind::Message(_) if repeated && self.has_entries(descriptor) => Cardinality::Map,
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
            // `Message::new` replaces this position for declared fields. Extensions keep it, and
            // thus come after all declared fields.
            place: u32::MAX - 1,
            // The compiler puts each proto3 `optional` field into a oneof of its own. Such a oneof
            // is ignored.
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

    /// Returns whether the type of a field is the entry of a map.
    fn has_entries(&self, descriptor: &FieldDescriptorProto) -> bool {
        match self.declared.named(unqualified(descriptor.type_name())) {
            Some(DeclaredType::Message(at)) => is_map_entry(self.declared.messages[at].descriptor),
            _ => false,
        }
    }

    fn kind(
        &self,
        field: &str,
        descriptor: &FieldDescriptorProto,
        features: Features,
    ) -> Result<FieldKind, TableError> {
        if let Some(scalar) = scalar(descriptor, features) {
            return Ok(scalar);
        }
        let found = match self.declared.type_of(field, descriptor)? {
            Some(DeclaredType::Enum(at)) => self.chosen.enums[at].map(FieldKind::Enum),
            Some(DeclaredType::Message(at)) => self.chosen.messages[at].map(|id| {
                let entry = is_map_entry(self.declared.messages[at].descriptor);
                let group = descriptor.type_() == Type::TYPE_GROUP;
                // Map entries are always length-prefixed.
                if group || features.delimited && !entry {
                    FieldKind::Group(id)
                } else {
                    FieldKind::Message(id)
                }
            }),
            None => None,
        };
        // All types of the fields of a chosen message are chosen. A type that is not found here is
        // therefore not defined.
        found.ok_or_else(|| TableError::NotDefined {
            field: field.to_owned(),
            name: descriptor.type_name().to_owned(),
        })
    }
}

/// Returns the kind of a field whose type is a scalar.
fn scalar(descriptor: &FieldDescriptorProto, features: Features) -> Option<FieldKind> {
    Some(match descriptor.type_?.enum_value().ok()? {
        Type::TYPE_DOUBLE => FieldKind::Double,
        Type::TYPE_FLOAT => FieldKind::Float,
        Type::TYPE_INT32 => FieldKind::Int32,
        Type::TYPE_INT64 => FieldKind::Int64,
        Type::TYPE_UINT32 => FieldKind::Uint32,
        Type::TYPE_UINT64 => FieldKind::Uint64,
        Type::TYPE_SINT32 => FieldKind::Sint32,
        Type::TYPE_SINT64 => FieldKind::Sint64,
        Type::TYPE_FIXED32 => FieldKind::Fixed32,
        Type::TYPE_FIXED64 => FieldKind::Fixed64,
        Type::TYPE_SFIXED32 => FieldKind::Sfixed32,
        Type::TYPE_SFIXED64 => FieldKind::Sfixed64,
        Type::TYPE_BOOL => FieldKind::Bool,
        Type::TYPE_STRING => FieldKind::String {
            utf8: features.utf8,
        },
        Type::TYPE_BYTES => FieldKind::Bytes,
        Type::TYPE_GROUP | Type::TYPE_MESSAGE | Type::TYPE_ENUM => return None,
    })
}

/// Converts an enum.
fn enumeration(source: &Definition<EnumDescriptorProto>) -> Enum {
    let Definition {
        name,
        descriptor,
        features,
    } = source;
    let values = descriptor.value.iter();
    let mut numbers: Vec<i32> = values.clone().map(|value| value.number()).collect();
    numbers.sort_unstable();
    Enum {
        null: name == "google.protobuf.NullValue",
        name: name.as_str().into(),
        closed: features.closed_enum,
        numbers: numbers.into(),
        names: values
            .map(|value| (value.name().into(), value.number()))
            .collect(),
    }
}

/// Makes the value of a map entry required if it is a message with required fields. An entry
/// without a value has the default value, which lacks these fields.
fn require_map_values(messages: &mut [Message]) {
    for at in 0..messages.len() {
        let entry = &messages[at];
        let value = entry.by_number(2).filter(|_| entry.map_entry);
        let Some(index) = value else { continue };
        let value_type = entry.fields[index as usize].kind.message();
        if value_type.is_some_and(|id| !messages[id.0 as usize].needs.is_empty()) {
            messages[at].needs.require(index);
        }
    }
}

/// Returns the form of a message. The forms of the well-known types rely on the fields of these
/// types. A user's own file may define a message with the name of a well-known type and other
/// fields. Such a message is written like any other message.
fn form(name: &str, fields: &[Field]) -> Form {
    use Cardinality::{Map, Repeated, Singular};
    use FieldKind::{
        Bool, Bytes, Double, Enum, Float, Int32, Int64, Message, String, Uint32, Uint64,
    };
    let mut fields: Vec<_> = fields
        .iter()
        .map(|field| (field.number, field.cardinality, field.kind))
        .collect();
    fields.sort_unstable_by_key(|(number, ..)| *number);
    let well_known = name.strip_prefix("google.protobuf.").unwrap_or_default();
    match (well_known, &fields[..]) {
        ("Timestamp", [(1, Singular, Int64), (2, Singular, Int32)]) => Form::Timestamp,
        ("Duration", [(1, Singular, Int64), (2, Singular, Int32)]) => Form::Duration,
        ("FieldMask", [(1, Repeated, String { .. })]) => Form::FieldMask,
        ("Any", [(1, Singular, String { .. }), (2, Singular, Bytes)]) => Form::Any,
        ("Struct", [(1, Map, Message(_))]) => Form::Struct,
        ("ListValue", [(1, Repeated, Message(_))]) => Form::ListValue,
        (
            "Value",
            [
                (1, Singular, Enum(_)),
                (2, Singular, Double),
                (3, Singular, String { .. }),
                (4, Singular, Bool),
                (5, Singular, Message(_)),
                (6, Singular, Message(_)),
            ],
        ) => Form::Value,
        ("DoubleValue", [(1, Singular, Double)])
        | ("FloatValue", [(1, Singular, Float)])
        | ("Int64Value", [(1, Singular, Int64)])
        | ("UInt64Value", [(1, Singular, Uint64)])
        | ("Int32Value", [(1, Singular, Int32)])
        | ("UInt32Value", [(1, Singular, Uint32)])
        | ("BoolValue", [(1, Singular, Bool)])
        | ("StringValue", [(1, Singular, String { .. })])
        | ("BytesValue", [(1, Singular, Bytes)]) => Form::Wrapper,
        _ => Form::Fields,
    }
}

fn is_map_entry(descriptor: &DescriptorProto) -> bool {
    // Every map entry from a compiler has a key and a value, and the walks rely on both.
    let numbers = descriptor.field.iter().map(FieldDescriptorProto::number);
    descriptor.options.map_entry() && numbers.eq([1, 2])
}

/// Returns the JSON name that protoc gives a field without an explicit JSON name.
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
