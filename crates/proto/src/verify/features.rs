//! Checks of the features of editions, and of options that are not allowed for an element or in an
//! edition.

use std::collections::HashMap;

use protobuf::descriptor::field_descriptor_proto::{Label, Type};
use protobuf::descriptor::{FieldDescriptorProto, FieldOptions};
use protobuf::well_known_types::empty::Empty;
use protobuf::{Message as _, UnknownFields, UnknownValueRef};

use super::Check;
use super::fields::is_packable;
use crate::budget::OutOfTime;
use crate::features::{Features, Presence, edition, feature, place};
use crate::options::{OptionReader, visit};
use crate::parsed::{Entity, Value, WrittenOption};
use crate::path::{self, below};
use gateway_diagnostic::Diagnostic;

impl<'a> Check<'a, '_, '_> {
    /// Checks whether each option may be set on its element, in this edition.
    pub(super) fn written_options(&mut self) -> Result<(), OutOfTime> {
        let reader = OptionReader::of(self.files, self.options_view, self.index, self.budget);
        // The errors are cached by the address of the field that defines the option, because
        // finding them takes time in proportion to the options of this field.
        let mut known: HashMap<(*const FieldDescriptorProto, Entity, bool), Vec<String>> =
            HashMap::new();
        for written in &self.parsed.options {
            self.budget.step()?;
            let is_features = written.name[0].name == "features" && !written.name[0].is_extension;
            if is_features && !self.edition.is_edition() {
                self.fault_at_name(
                    written,
                    format!("{} has no features", self.edition.name()),
                    "write edition = \"2023\"; in place of the syntax to set features",
                );
                continue;
            }
            let mut wrong = Vec::new();
            let edition = self.edition.number();
            visit(&reader, written, &mut |field, in_group| {
                let Some(options) = field.options.as_ref() else {
                    return;
                };
                let key = (&raw const *field, written.entity, in_group);
                let found = known.entry(key).or_insert_with(|| {
                    let target = wrong_target(options, written.entity, field.name());
                    // protoc does not compare targets within groups.
                    let target = target.filter(|_| !in_group);
                    target
                        .into_iter()
                        .chain(wrong_edition(options, edition, field.name()))
                        .collect()
                });
                wrong.extend(found.iter().cloned());
            })?;
            for text in wrong {
                self.fault_at_name(written, text, "leave it out");
            }
            if is_features {
                self.known_value(written);
            }
        }
        Ok(())
    }

    fn fault_at_name(&mut self, written: &WrittenOption, text: String, help: &str) {
        self.report.push_with(|report| {
            let place = report.place_of(written.name_range.clone());
            let fault = Diagnostic::error(text).at(place);
            if help.is_empty() {
                fault
            } else {
                fault.help(help)
            }
        });
    }

    /// Checks that a feature is not set to the first value of its enum, which means "unknown".
    fn known_value(&mut self, written: &WrittenOption) {
        let unknown =
            |value: &Value| matches!(value, Value::Word(word) if word.ends_with("_UNKNOWN"));
        let in_entries = |value: &Value| match value {
            Value::Aggregate(entries) => entries.iter().any(|entry| unknown(&entry.value)),
            value => unknown(value),
        };
        if written.name.len() <= 2 && in_entries(&written.value) {
            self.fault_at_name(
                written,
                "a feature must have a known value".to_owned(),
                "choose another value",
            );
        }
    }

    /// Checks that a field without presence does not have a closed enum as its type. Such a field
    /// could not distinguish an unknown value from an absent value. This check applies to editions
    /// only.
    pub(super) fn open_enum(
        &mut self,
        field: &FieldDescriptorProto,
        features: Features,
        place: &[i32],
    ) {
        let name = field.type_name();
        let closed = |(_, features): (_, Features)| features.closed_enum;
        if self.edition.is_edition()
            && field.type_() == Type::TYPE_ENUM
            && self.is_implicit(field, features)
            && self.enum_of(name).is_some_and(closed)
        {
            let text = format!(
                "{} is a closed enum, in a field without presence",
                super::bare(name)
            );
            let help = "give the field presence, or use an open enum";
            self.report
                .fault(text, place, "expected an open enum", help);
        }
    }

    /// Checks whether the features of a field fit the field.
    pub(super) fn field_features(
        &mut self,
        field: &FieldDescriptorProto,
        features: Features,
        at: &[i32],
    ) {
        if !self.edition.is_edition() {
            return;
        }
        self.open_enum(field, features, &below(at, path::FIELD_TYPE_NAME, None));
        let set = own_features(field);
        let repeated = field.label() == Label::LABEL_REPEATED;
        let is_map = repeated && self.is_map(field);
        let message = matches!(field.type_(), Type::TYPE_MESSAGE | Type::TYPE_GROUP);
        let place = |feature: u32| {
            [
                at,
                &[path::FIELD_OPTIONS, place::FIELD as i32, feature as i32],
            ]
            .concat()
        };
        let strings = field.type_() == Type::TYPE_STRING || is_map && self.map_has_strings(field);
        let mut fault =
            |feature: u32, text: &str| self.report.fault(text, &place(feature), "", "leave it out");
        if let Some(text) = wrong_presence(field, set.presence) {
            fault(feature::FIELD_PRESENCE, text);
        }
        if let Some(packed) = set.packed {
            if !repeated {
                fault(
                    feature::REPEATED_FIELD_ENCODING,
                    "only repeated fields have a repeated_field_encoding",
                );
            } else if packed && !is_packable(field) {
                fault(
                    feature::REPEATED_FIELD_ENCODING,
                    "only repeated numbers, bools and enums can be packed",
                );
            }
        }
        if set.utf8 && !strings {
            fault(
                feature::UTF8_VALIDATION,
                "only strings have a utf8_validation",
            );
        }
        if set.delimited && (!message || is_map) {
            fault(
                feature::MESSAGE_ENCODING,
                "only message fields have a message_encoding",
            );
        }
    }

    pub(super) fn is_map(&self, field: &FieldDescriptorProto) -> bool {
        self.files
            .message(field.type_name())
            .is_some_and(|m| m.options.map_entry())
    }

    fn map_has_strings(&self, field: &FieldDescriptorProto) -> bool {
        let entry = self.files.message(field.type_name());
        entry.is_some_and(|m| m.field.iter().any(|f| f.type_() == Type::TYPE_STRING))
    }

    /// Checks that a file does not make all its fields required, and that it does not set the Java
    /// option that a feature replaces.
    pub(super) fn file_features(&mut self, features: Features) {
        if self.edition.is_edition() && self.file.options.java_string_check_utf8() {
            let text = "editions have no option java_string_check_utf8";
            let at = [path::FILE_OPTIONS, path::OPTION_JAVA_CHECK];
            let help = "write features.(pb.java).utf8_validation, defined in google/protobuf/java_features.proto";
            self.report.fault(text, &at, "", help);
        }
        if features.presence == Presence::Required {
            let written = self
                .parsed
                .options
                .iter()
                .find(|w| w.entity == Entity::File && w.name[0].name == "features");
            if let Some(written) = written {
                self.fault_at_name(
                    written,
                    "required can't be the file's default".to_owned(),
                    "set it on the fields that are required",
                );
            }
        }
    }
}

/// The features that a field's own options set.
#[derive(Default)]
struct OwnFeatures {
    presence: Option<Presence>,
    packed: Option<bool>,
    /// Set if the options set `utf8_validation`, to any value.
    utf8: bool,
    /// Set if the options set `message_encoding`, to any value.
    delimited: bool,
}

fn own_features(field: &FieldDescriptorProto) -> OwnFeatures {
    let mut own = OwnFeatures::default();
    let Some(options) = field.options.as_ref() else {
        return own;
    };
    for set in messages(options.special_fields.unknown_fields(), place::FIELD) {
        for (feature, value) in set.special_fields.unknown_fields() {
            let UnknownValueRef::Varint(value) = value else {
                continue;
            };
            match feature {
                feature::FIELD_PRESENCE => own.presence = Presence::of_number(value),
                feature::REPEATED_FIELD_ENCODING => own.packed = Some(value == feature::PACKED),
                feature::UTF8_VALIDATION => own.utf8 = true,
                feature::MESSAGE_ENCODING => own.delimited = true,
                _ => {}
            }
        }
    }
    own
}

/// Returns the reason why a field cannot have the presence that its options set. Returns `None` if
/// the field can have this presence, or if its options set no presence.
fn wrong_presence(
    field: &FieldDescriptorProto,
    presence: Option<Presence>,
) -> Option<&'static str> {
    let is_implicit = presence? == Presence::Implicit;
    let is_message = matches!(field.type_(), Type::TYPE_MESSAGE | Type::TYPE_GROUP);
    match () {
        () if field.label() == Label::LABEL_REPEATED => {
            Some("a repeated field has no presence to set")
        }
        () if field.has_extendee() && is_implicit => Some("an extension can't be without presence"),
        () if field.oneof_index.is_some() => Some("the presence of a oneof's field can't be set"),
        () if is_message && is_implicit => Some("a message field can't be without presence"),
        () => None,
    }
}

/// Returns the messages in an unknown field. They are parsed as [`Empty`], which keeps each of
/// their fields as an unknown field.
pub(super) fn messages(unknown: &UnknownFields, number: u32) -> Vec<Empty> {
    let values = unknown.iter().filter(|(n, _)| *n == number);
    let messages = values.filter_map(|(_, value)| match value {
        UnknownValueRef::LengthDelimited(bytes) => Empty::parse_from_bytes(bytes).ok(),
        _ => None,
    });
    messages.collect()
}

/// Returns the error of an option that is set on an element of the wrong kind. Returns `None` if
/// the option declares no targets, or if the kind of the element is one of them.
fn wrong_target(options: &FieldOptions, entity: Entity, name: &str) -> Option<String> {
    let unknown = options.special_fields.unknown_fields();
    let mut targets = unknown
        .iter()
        .filter(|(n, _)| *n == path::OPTION_TARGETS)
        .peekable();
    targets.peek()?;
    let fits = targets
        .any(|(_, value)| matches!(value, UnknownValueRef::Varint(n) if n == entity.target()));
    (!fits).then(|| format!("{name} can't be set on {}", entity.name()))
}

/// Returns the error of an option that is used in an edition that does not have it. Such an edition
/// is older than the edition that introduced the option, or not older than the edition that removed
/// it. Returns `None` if the edition has the option.
fn wrong_edition(options: &FieldOptions, edition: u64, name: &str) -> Option<String> {
    let support = messages(
        options.special_fields.unknown_fields(),
        path::OPTION_FEATURE_SUPPORT,
    );
    for support in support {
        let unknown = support.special_fields.unknown_fields();
        let number = |field: u32| match unknown.get(field) {
            Some(UnknownValueRef::Varint(n)) => Some(n),
            _ => None,
        };
        if number(path::SUPPORT_INTRODUCED).is_some_and(|introduced| edition < introduced) {
            let introduced = edition_name(number(path::SUPPORT_INTRODUCED)?);
            return Some(format!("{name} needs {introduced}"));
        }
        if number(path::SUPPORT_REMOVED).is_some_and(|removed| edition >= removed) {
            let removed = edition_name(number(path::SUPPORT_REMOVED)?);
            let why = match unknown.get(path::SUPPORT_REMOVAL_ERROR) {
                Some(UnknownValueRef::LengthDelimited(text)) => {
                    let text = String::from_utf8_lossy(text);
                    format!(": {}", text.trim().trim_end_matches('.'))
                }
                _ => String::new(),
            };
            return Some(format!("{name} was removed in {removed}{why}"));
        }
    }
    None
}

fn edition_name(number: u64) -> String {
    match number {
        edition::PROTO2 => "proto2".to_owned(),
        edition::PROTO3 => "proto3".to_owned(),
        number => format!(
            "edition {}",
            2023 + number.saturating_sub(edition::EDITION_2023)
        ),
    }
}
