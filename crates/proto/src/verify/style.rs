//! Checks names for the style that edition 2024 enforces unless a feature says otherwise.

use protobuf::descriptor::field_descriptor_proto::Type;
use protobuf::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, ServiceDescriptorProto,
};

use super::Check;
use crate::features::{Features, place};
use crate::path::{self, below};

/// The required style of a name.
#[derive(Clone, Copy)]
enum NameStyle {
    Title,
    Lower,
    Upper,
}

impl Check<'_, '_, '_> {
    pub(super) fn file_style(&mut self, features: Features) {
        self.file_features(features);
        let package = self.file.package();
        if features.style && !package.is_empty() && !NameStyle::Lower.fits(package) {
            let text = format!("package {package:?} is not in lower_snake_case",);
            self.report
                .fault(text, &[path::FILE_PACKAGE], "", STYLE_HELP);
        }
    }

    pub(super) fn message_style(
        &mut self,
        message: &DescriptorProto,
        features: Features,
        at: &[i32],
    ) {
        self.check_name(features, NameStyle::Title, "message", message.name(), at);
        for (i, oneof) in message.oneof_decl.iter().enumerate() {
            let features = features.within(oneof.options.as_ref(), place::ONEOF);
            self.check_name(
                features,
                NameStyle::Lower,
                "oneof",
                oneof.name(),
                &below(at, path::MESSAGE_ONEOF, i),
            );
        }
    }

    pub(super) fn field_style(
        &mut self,
        field: &FieldDescriptorProto,
        features: Features,
        at: &[i32],
    ) {
        if field.type_() != Type::TYPE_GROUP {
            self.check_name(features, NameStyle::Lower, "field", field.name(), at);
        }
    }

    pub(super) fn enum_style(&mut self, e: &EnumDescriptorProto, features: Features, at: &[i32]) {
        self.check_name(features, NameStyle::Title, "enum", e.name(), at);
        for (i, value) in e.value.iter().enumerate() {
            let features = features.within(value.options.as_ref(), place::ENUM_VALUE);
            self.check_name(
                features,
                NameStyle::Upper,
                "enum value",
                value.name(),
                &below(at, path::ENUM_VALUE, i),
            );
        }
    }

    pub(super) fn service_style(
        &mut self,
        service: &ServiceDescriptorProto,
        outer: Features,
        at: &[i32],
    ) {
        let features = outer.within(service.options.as_ref(), place::SERVICE);
        self.check_name(features, NameStyle::Title, "service", service.name(), at);
        for (i, method) in service.method.iter().enumerate() {
            let features = features.within(method.options.as_ref(), place::METHOD);
            self.check_name(
                features,
                NameStyle::Title,
                "method",
                method.name(),
                &below(at, path::SERVICE_METHOD, i),
            );
        }
    }

    fn check_name(
        &mut self,
        features: Features,
        style: NameStyle,
        what: &str,
        name: &str,
        at: &[i32],
    ) {
        if features.style && !style.fits(name) {
            let text = format!("{what} name {name:?} is not in {}", style.name());
            self.report
                .fault(text, &below(at, path::NAME, None), "", STYLE_HELP);
        }
    }
}

const STYLE_HELP: &str = "rename it, or write option features.enforce_naming_style = STYLE_LEGACY;";

impl NameStyle {
    fn name(self) -> &'static str {
        match self {
            NameStyle::Title => "TitleCase",
            NameStyle::Lower => "lower_snake_case",
            NameStyle::Upper => "UPPER_SNAKE_CASE",
        }
    }

    fn fits(self, name: &str) -> bool {
        let starts = |is: fn(&char) -> bool| name.chars().next().is_some_and(|c| is(&c));
        let has_misplaced_underscore = name.ends_with('_')
            || name
                .as_bytes()
                .windows(2)
                .any(|pair| pair[0] == b'_' && !pair[1].is_ascii_alphabetic());
        match self {
            NameStyle::Title => starts(char::is_ascii_uppercase) && !name.contains('_'),
            NameStyle::Lower => {
                starts(char::is_ascii_lowercase)
                    && !has_misplaced_underscore
                    && !name.contains(|c: char| c.is_ascii_uppercase())
            }
            NameStyle::Upper => {
                starts(char::is_ascii_uppercase)
                    && !has_misplaced_underscore
                    && !name.contains(|c: char| c.is_ascii_lowercase())
            }
        }
    }
}
