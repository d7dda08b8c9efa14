//! Checks extensions: the extended messages and the numbers.

use protobuf::descriptor::field_descriptor_proto::{Label, Type};
use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto};

use super::{Check, bare, is_lite};
use crate::budget::OutOfTime;
use crate::features::{Features, Presence, place};
use crate::names::camel_case;
use crate::parser::FIELD_NUMBER_MAX;
use crate::path::{self, below};
use crate::symbols::message_at;
use crate::well_known;

/// The maximum number of ranges that a label names. A longer list would not help.
const RANGES_NAMED_MAX: usize = 5;

/// The messages that a proto3 file may extend: the options messages of descriptor.proto.
const OPTIONS_MESSAGES: &[&str] = &[
    ".google.protobuf.EnumOptions",
    ".google.protobuf.EnumValueOptions",
    ".google.protobuf.ExtensionRangeOptions",
    ".google.protobuf.FieldOptions",
    ".google.protobuf.FileOptions",
    ".google.protobuf.MessageOptions",
    ".google.protobuf.MethodOptions",
    ".google.protobuf.OneofOptions",
    ".google.protobuf.ServiceOptions",
    ".google.protobuf.StreamOptions",
];

impl<'a> Check<'a, '_, '_> {
    /// Checks an extension. `outer` are the features of the enclosing element.
    pub(super) fn extension(
        &mut self,
        extension: &'a FieldDescriptorProto,
        outer: Features,
        at: &[i32],
    ) -> Result<(), OutOfTime> {
        self.field(extension, outer, at)?;
        let extendee = extension.extendee();
        self.entry_type(extension, bare(extendee), at);
        if self.is_proto3() && !OPTIONS_MESSAGES.contains(&extendee) {
            let place = below(at, path::FIELD_EXTENDEE, None);
            let text = format!("{} is extended in a proto3 file", bare(extendee));
            let help = "use a proto2 file, or google.protobuf.Any";
            self.report
                .fault(text, &place, "proto3 extends options only", help);
        }
        let features = outer.within(extension.options.as_ref(), place::FIELD);
        let is_required =
            extension.label() == Label::LABEL_REQUIRED || features.presence == Presence::Required;
        if is_required {
            let text = format!("extension {} is required", extension.name());
            self.report.fault(text, at, "", "make it optional");
        }
        let own = camel_case(extension.name());
        if self.json_name_is_written(at) && extension.json_name() != own {
            let place = below(at, path::FIELD_JSON_NAME, None);
            self.report
                .fault("an extension with a json_name", &place, "", "leave it out");
        }
        let found = self.files.get(extendee);
        if is_lite(self.file) && found.is_some_and(|(_, linked)| !is_lite(&linked.file)) {
            let place = below(at, path::FIELD_EXTENDEE, None);
            let text = format!(
                "{} is extended in a file with optimize_for = LITE_RUNTIME, but defined in a file without this option",
                bare(extendee)
            );
            let help = "leave optimize_for out of this file, or define the extension in another";
            self.report.fault(text, &place, "", help);
        }
        let extended = found.and_then(|(symbol, linked)| message_at(&linked.file, &symbol.path));
        if let Some(message) = extended {
            self.extension_of(message, extension, features, at);
        }
        Ok(())
    }

    /// Checks an extension against the message that it extends, including the message's extension
    /// ranges.
    fn extension_of(
        &mut self,
        message: &'a DescriptorProto,
        extension: &'a FieldDescriptorProto,
        features: Features,
        at: &[i32],
    ) {
        let is_message_set = message.options.message_set_wire_format();
        // A delimited message is a group.
        let is_optional_message = extension.label() == Label::LABEL_OPTIONAL
            && extension.type_() == Type::TYPE_MESSAGE
            && !features.delimited;
        if is_message_set && !is_optional_message {
            let text = format!(
                "{} extends a MessageSet, but is not an optional message",
                extension.name()
            );
            self.report.fault(
                text,
                at,
                "expected optional MESSAGE",
                "wrap it in a message",
            );
        }
        // protoc does not compare extensions with the declarations in descriptor.proto.
        let found = self.files.get(extension.extendee());
        let is_compared =
            found.is_some_and(|(_, linked)| linked.file.name() != well_known::DESCRIPTOR);
        let max = if is_message_set {
            i32::MAX
        } else {
            FIELD_NUMBER_MAX
        };
        let number = extension.number();
        self.number_in_range(number, max, at);
        let ranges = self.ranges.entry(extension.extendee());
        let ranges = ranges.or_insert_with(|| {
            let ranges = message.extension_range.iter();
            ranges.map(|range| (range.start(), range)).collect()
        });
        let nearest = ranges.range(..=number).next_back().map(|(_, range)| *range);
        match nearest.filter(|range| number < range.end()) {
            Some(range) if is_compared => self.declared(extension, range, at),
            Some(_) => {}
            None => self.outside_ranges(message, extension, at),
        }
    }

    /// Reports an extension whose number is in none of the message's extension ranges.
    fn outside_ranges(
        &mut self,
        message: &DescriptorProto,
        extension: &FieldDescriptorProto,
        at: &[i32],
    ) {
        let place = below(at, path::FIELD_NUMBER, None);
        let text = format!(
            "{} is not an extension number of {}",
            extension.number(),
            bare(extension.extendee())
        );
        let ranges: Vec<_> = message
            .extension_range
            .iter()
            .take(RANGES_NAMED_MAX)
            .map(|r| format!("{} to {}", r.start(), r.end() - 1))
            .collect();
        let label = if ranges.is_empty() {
            "the message has no extension ranges".to_owned()
        } else {
            format!("expected {}", ranges.join(", "))
        };
        self.report.fault(text, &place, &label, "");
    }

    fn json_name_is_written(&self, at: &[i32]) -> bool {
        let own = below(at, path::FIELD_JSON_NAME, None);
        self.parsed.json_names.contains(&own)
    }
}
