//! Checks fields: defaults, options that do not fit the type, and constructs that a syntax forbids.

use protobuf::descriptor::FieldDescriptorProto;
use protobuf::descriptor::field_descriptor_proto::{Label, Type};
use protobuf::descriptor::field_options::JSType;

use super::{Check, bare};
use crate::budget::OutOfTime;
use crate::features::{Features, Presence, place};
use crate::parsed::Edition;
use crate::path::{self, below};
use crate::symbols::NAME_LENGTH_MAX;

impl<'a> Check<'a, '_, '_> {
    /// Checks a field. `outer` are the features of the enclosing element.
    pub(super) fn field(
        &mut self,
        field: &'a FieldDescriptorProto,
        outer: Features,
        at: &[i32],
    ) -> Result<(), OutOfTime> {
        self.budget.step()?;
        let features = outer.within(field.options.as_ref(), place::FIELD);
        self.default(field, features, at);
        self.fitting_options(field, features, at);
        self.field_support(field, at);
        self.closed_enum(field, &below(at, path::FIELD_TYPE_NAME, None));
        self.field_features(field, features, at);
        self.field_style(field, features, at);
        if field.json_name().len() > NAME_LENGTH_MAX {
            let place = below(at, path::FIELD_JSON_NAME, None);
            let text = format!("a json_name of more than {NAME_LENGTH_MAX} bytes");
            self.report.fault(text, &place, "", "choose a shorter one");
        }
        if field.json_name().contains('\0') {
            let place = below(at, path::FIELD_JSON_NAME, None);
            self.report
                .fault("a json_name with a NUL in it", &place, "", "");
        }
        Ok(())
    }

    fn default(&mut self, field: &FieldDescriptorProto, features: Features, at: &[i32]) {
        if !field.has_default_value() {
            return;
        }
        let place = below(at, path::FIELD_DEFAULT, None);
        let leave = "leave it out";
        if field.label() == Label::LABEL_REPEATED {
            return self
                .report
                .fault("a default of a repeated field", &place, "", leave);
        }
        if self.is_proto3() {
            return self
                .report
                .fault("proto3 has no explicit defaults", &place, "", leave);
        }
        if self.is_implicit(field, features) {
            return self
                .report
                .fault("a default of a field without presence", &place, "", leave);
        }
        match field.type_() {
            Type::TYPE_MESSAGE | Type::TYPE_GROUP => {
                self.report
                    .fault("a message can't have a default", &place, "", leave);
            }
            Type::TYPE_ENUM => {
                let name = field.default_value();
                if self.files.value(field.type_name(), name).is_none() {
                    let text = format!("{} has no value {name:?}", bare(field.type_name()));
                    self.report
                        .fault(text, &place, "expected the name of one of its values", "");
                }
            }
            _ => {}
        }
    }

    /// Returns whether the field has implicit presence. Repeated fields, members of oneofs,
    /// extensions and messages never have implicit presence.
    pub(super) fn is_implicit(&self, field: &FieldDescriptorProto, features: Features) -> bool {
        let is_never_implicit = field.label() == Label::LABEL_REPEATED
            || field.oneof_index.is_some()
            || field.has_extendee()
            || matches!(field.type_(), Type::TYPE_MESSAGE | Type::TYPE_GROUP);
        features.presence == Presence::Implicit && !is_never_implicit
    }

    fn fitting_options(&mut self, field: &FieldDescriptorProto, features: Features, at: &[i32]) {
        let option = |number: i32| [at, &[path::FIELD_OPTIONS, number]].concat();
        let options = &field.options;
        let repeated = field.label() == Label::LABEL_REPEATED;
        if options.packed() && !(repeated && is_packable(field)) {
            let text = "packed is set for a field that can't be packed";
            let label = "expected a repeated number, bool or enum";
            self.report
                .fault(text, &option(path::OPTION_PACKED), label, "leave it out");
        }
        let packed_is_set = options.as_ref().is_some_and(|o| o.packed.is_some());
        if packed_is_set && self.edition.is_edition() {
            let text = "editions have no option packed";
            let help = "write features.repeated_field_encoding = PACKED or EXPANDED";
            self.report
                .fault(text, &option(path::OPTION_PACKED), "", help);
        }
        let unverified = super::unknown_flag(options.as_ref(), path::OPTION_UNVERIFIED_LAZY as u32);
        let lazy = [
            (options.lazy(), path::OPTION_LAZY),
            (unverified, path::OPTION_UNVERIFIED_LAZY),
        ];
        // A delimited message is a group.
        let is_group = features.delimited && !(repeated && self.is_map(field));
        let may_be_lazy = field.type_() == Type::TYPE_MESSAGE && !is_group;
        for (_, number) in lazy.into_iter().filter(|(set, _)| *set && !may_be_lazy) {
            let text = "lazy is set for a field that is not a message";
            let label = "expected a message field that is not delimited";
            self.report
                .fault(text, &option(number), label, "leave it out");
        }
        if unverified && field.has_extendee() {
            let text = "unverified_lazy is set for an extension";
            let at = option(path::OPTION_UNVERIFIED_LAZY);
            self.report.fault(text, &at, "", "leave it out");
        }
        let ctype_is_set = options.as_ref().is_some_and(|o| o.ctype.is_some());
        if ctype_is_set && self.edition >= Edition::Edition2024 {
            let help = "write features.(pb.cpp).string_type, defined in google/protobuf/cpp_features.proto";
            self.report.fault(
                "ctype was removed in edition 2024",
                &option(path::OPTION_CTYPE),
                "",
                help,
            );
        }
        let wide = matches!(
            field.type_(),
            Type::TYPE_INT64
                | Type::TYPE_UINT64
                | Type::TYPE_SINT64
                | Type::TYPE_FIXED64
                | Type::TYPE_SFIXED64
        );
        if options.jstype() != JSType::JS_NORMAL && !wide {
            let text = "jstype is set for a field that is not a 64-bit number";
            self.report
                .fault(text, &option(path::OPTION_JSTYPE), "", "leave it out");
        }
    }

    /// Checks that a field in a proto3 file does not have a closed enum as its type.
    pub(super) fn closed_enum(&mut self, field: &FieldDescriptorProto, place: &[i32]) {
        if !self.is_proto3() || field.type_() != Type::TYPE_ENUM {
            return;
        }
        let name = field.type_name();
        if self
            .enum_of(name)
            .is_some_and(|(_, features)| features.closed_enum)
        {
            let text = match self.files.get(name).map(|(_, linked)| linked.edition) {
                Some(Edition::Proto2) => {
                    format!("{} is a proto2 enum, used in a proto3 file", bare(name))
                }
                _ => format!("{} is a closed enum, used in a proto3 file", bare(name)),
            };
            let help = "define the enum in a proto3 file";
            self.report
                .fault(text, place, "expected an open enum", help);
        }
    }
}

pub(super) fn is_packable(field: &FieldDescriptorProto) -> bool {
    !matches!(
        field.type_(),
        Type::TYPE_STRING | Type::TYPE_BYTES | Type::TYPE_MESSAGE | Type::TYPE_GROUP
    )
}
