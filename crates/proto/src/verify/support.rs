//! Checks `feature_support` of fields and enum values: the editions of a `feature_support` must not
//! contradict each other.

use protobuf::descriptor::{EnumDescriptorProto, FieldDescriptorProto};
use protobuf::{UnknownFields, UnknownValueRef};

use super::Check;
use super::features::messages;
use crate::path::{self, below};

/// The editions of a `feature_support`, by their numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Support {
    introduced: Option<i32>,
    deprecated: Option<i32>,
    removed: Option<i32>,
    has_warning: bool,
    has_error: bool,
}

impl Support {
    /// Returns the support that options declare in the field `number`. Editions that the options do
    /// not set are taken from `outer`. Returns `None` if the options declare no support.
    fn of(options: &UnknownFields, number: u32, outer: Support) -> Option<Self> {
        let declared = messages(options, number);
        if declared.is_empty() {
            return None;
        }
        let mut support = outer;
        for support_message in &declared {
            for (field, value) in support_message.special_fields.unknown_fields() {
                support.set(field, value);
            }
        }
        Some(support)
    }

    fn set(&mut self, field: u32, value: UnknownValueRef<'_>) {
        // An enum's number is the low 32 bits of a varint.
        let edition = match value {
            UnknownValueRef::Varint(number) => Some(number as i32),
            _ => None,
        };
        match field {
            path::SUPPORT_INTRODUCED => self.introduced = edition,
            path::SUPPORT_DEPRECATED => self.deprecated = edition,
            path::SUPPORT_WARNING => self.has_warning = true,
            path::SUPPORT_REMOVED => self.removed = edition,
            path::SUPPORT_REMOVAL_ERROR => self.has_error = true,
            _ => {}
        }
    }

    /// Returns the contradiction between the editions, if there is one.
    fn contradiction(self) -> Option<&'static str> {
        let introduced = self.introduced.unwrap_or_default();
        let deprecated = self.deprecated.unwrap_or_default();
        match (self.deprecated, self.has_warning) {
            (Some(edition), _) if edition < introduced => {
                return Some("is deprecated before it is introduced");
            }
            (Some(_), false) => return Some("is deprecated without a deprecation_warning"),
            (None, true) => return Some("has a deprecation_warning, but is never deprecated"),
            _ => {}
        }
        match self.removed {
            Some(removed) if deprecated >= removed => Some("is deprecated after it is removed"),
            Some(removed) if removed < introduced => Some("is removed before it is introduced"),
            Some(removed) if removed != introduced && !self.has_error => {
                Some("is removed without a removal_error")
            }
            None if self.has_error => Some("has a removal_error, but is never removed"),
            _ => None,
        }
    }

    /// Compares the support of an enum's value with the support of `field`, an option that has the
    /// enum as its type. Returns a description if the value is introduced before the option, or is
    /// removed or deprecated after the option. Otherwise, returns `None`.
    fn excess(self, field: Support) -> Option<&'static str> {
        let later = |own: Option<i32>, limit: Option<i32>| {
            limit.is_some_and(|limit| own.unwrap_or_default() > limit)
        };
        match () {
            () if self.introduced.unwrap_or_default() < field.introduced.unwrap_or_default() => {
                Some("is introduced before")
            }
            () if later(self.removed, field.removed) => Some("is removed after"),
            () if later(self.deprecated, field.deprecated) => Some("is deprecated after"),
            () => None,
        }
    }
}

impl Check<'_, '_, '_> {
    /// Checks the `feature_support` of a field. If the field has an enum as its type, also checks
    /// the support of the enum's values.
    pub(super) fn field_support(&mut self, field: &FieldDescriptorProto, at: &[i32]) {
        let Some(options) = field.options.as_ref() else {
            return;
        };
        let unknown = options.special_fields.unknown_fields();
        let number = path::OPTION_FEATURE_SUPPORT;
        let Some(support) = Support::of(unknown, number, Support::default()) else {
            return;
        };
        let place = [at, &[path::FIELD_OPTIONS, number as i32]].concat();
        if let Some(what) = support.contradiction() {
            let text = format!("{} {what}", field.name());
            return self.report.fault(text, &place, "", "");
        }
        let values = self.enum_of(field.type_name()).map(|(one, _)| &one.value);
        for value in values.into_iter().flatten() {
            let Some(own) = value.options.as_ref().and_then(|options| {
                let unknown = options.special_fields.unknown_fields();
                Support::of(unknown, path::VALUE_FEATURE_SUPPORT, support)
            }) else {
                continue;
            };
            let text = match (own.contradiction(), own.excess(support)) {
                (Some(what), _) => format!("{}, a value of {}, {what}", value.name(), field.name()),
                (None, Some(what)) => format!("{} {what} {} is", value.name(), field.name()),
                (None, None) => continue,
            };
            return self.report.fault(text, &place, "", "");
        }
    }

    /// Checks the `feature_support` of each value of an enum.
    pub(super) fn value_support(&mut self, one: &EnumDescriptorProto, at: &[i32]) {
        for (i, value) in one.value.iter().enumerate() {
            let Some(options) = value.options.as_ref() else {
                continue;
            };
            let unknown = options.special_fields.unknown_fields();
            let number = path::VALUE_FEATURE_SUPPORT;
            let support = Support::of(unknown, number, Support::default());
            if let Some(what) = support.and_then(Support::contradiction) {
                let value_at = below(at, path::ENUM_VALUE, i);
                let place = [&value_at[..], &[path::VALUE_OPTIONS, number as i32]].concat();
                let text = format!("{} {what}", value.name());
                self.report.fault(text, &place, "", "");
            }
        }
    }
}
