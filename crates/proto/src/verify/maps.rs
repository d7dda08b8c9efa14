//! Checks map fields, the types of their keys and values, and that no other field has the type of
//! their entries.

use std::collections::HashMap;

use protobuf::descriptor::field_descriptor_proto::{Label, Type};
use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto};

use super::{Check, bare};
use crate::features::{Features, place};
use crate::names::{ENTRY_SUFFIX, entry_name};
use crate::path::{self, below};
use crate::symbols::full_name;

impl<'a> Check<'a, '_, '_> {
    pub(super) fn maps(
        &mut self,
        message: &'a DescriptorProto,
        name: &str,
        features: Features,
        at: &[i32],
    ) {
        let types = message
            .field
            .iter()
            .enumerate()
            .map(|(i, field)| (field.type_name(), i));
        let types: HashMap<_, _> = types.collect();
        for entry in message
            .nested_type
            .iter()
            .filter(|nested| nested.options.map_entry())
        {
            let type_name = format!(".{name}.{}", entry.name());
            let field = types.get(&type_name[..]).copied().unwrap_or_default();
            let field = below(at, path::MESSAGE_FIELD, field);
            let place = below(&field, path::FIELD_TYPE_NAME, None);
            let [key, value] = &entry.field[..] else {
                continue;
            };
            if !is_key(key.type_()) {
                let text = "a map's key can't be of this type";
                self.report
                    .fault(text, &place, "expected a whole number, bool or string", "");
            }
            if self.has_entry_type(value) {
                self.entry_as_type(value, &place);
            }
            self.closed_enum(value, &place);
            let features = features.within(value.options.as_ref(), place::FIELD);
            self.open_enum(value, features, &place);
            let starts_at = self
                .enum_of(value.type_name())
                .and_then(|(e, _)| Some(e.value.first()?.number()));
            if starts_at.is_some_and(|number| number != 0) {
                let text = format!("the first value of {} is not 0", bare(value.type_name()));
                let help = "add a value 0 at the start of the enum";
                self.report
                    .fault(text, &place, "an enum in a map must start with 0", help);
            }
        }
    }

    /// Checks that a field or extension of the message `parent` does not have the type of a map's
    /// entries, unless the field is that map. As in protoc, a repeated field counts as the map if a
    /// map with the field's name would have the same entry type.
    pub(super) fn entry_type(&mut self, field: &FieldDescriptorProto, parent: &str, at: &[i32]) {
        if !self.has_entry_type(field) {
            return;
        }
        let is_the_map = field.label() == Label::LABEL_REPEATED
            && bare(field.type_name()) == full_name(parent, &entry_name(field.name()));
        if !is_the_map {
            self.entry_as_type(field, &below(at, path::FIELD_TYPE_NAME, None));
        }
    }

    fn has_entry_type(&self, field: &FieldDescriptorProto) -> bool {
        // The comparison of the suffix saves the look-up of most type names.
        field.type_name().ends_with(ENTRY_SUFFIX) && self.is_map(field)
    }

    fn entry_as_type(&mut self, field: &FieldDescriptorProto, place: &[i32]) {
        let text = format!("{} holds the entries of a map", bare(field.type_name()));
        let help = "write map<KEY, VALUE>, or define a message with a key and a value";
        self.report
            .fault(text, place, "only the map can have this type", help);
    }
}

fn is_key(kind: Type) -> bool {
    !matches!(
        kind,
        Type::TYPE_FLOAT
            | Type::TYPE_DOUBLE
            | Type::TYPE_BYTES
            | Type::TYPE_ENUM
            | Type::TYPE_MESSAGE
            | Type::TYPE_GROUP
    )
}
