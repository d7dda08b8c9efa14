//! Extensions: of what, with which numbers.

use protobuf::descriptor::FieldDescriptorProto;
use protobuf::descriptor::field_descriptor_proto::{Label, Type};

use super::super::parser::{MAX_FIELD_NUMBER, camel_case};
use super::super::path::{self, below};
use super::super::symbols::message_at;
use super::{Check, bare};
use crate::features::{Features, place};

/// The messages that a proto3 file may extend: options.
const OPTIONS: &[&str] = &[
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
    pub(super) fn extension(
        &mut self,
        extension: &'a FieldDescriptorProto,
        outer: Features,
        at: &[i32],
    ) {
        self.field(extension, outer, at);
        let extendee = extension.extendee();
        let place_ = below(at, path::FIELD_EXTENDEE, None);
        if self.is_proto3() && !OPTIONS.contains(&extendee) {
            let text = format!("{} is extended in a proto3 file", bare(extendee));
            let help = "use a proto2 file, or google.protobuf.Any";
            self.report
                .fault(text, &place_, "proto3 extends options only", help);
        }
        let features = outer.within(extension.options.as_ref(), place::FIELD);
        let required = extension.label() == Label::LABEL_REQUIRED
            || features.presence == crate::features::Presence::Required;
        if required {
            let text = format!("extension {} is required", extension.name());
            self.report.fault(text, at, "", "make it optional");
        }
        let own = camel_case(extension.name());
        if self.json_name_is_written(at) && extension.json_name() != own {
            let place = below(at, path::FIELD_JSON_NAME, None);
            self.report
                .fault("an extension with a json_name", &place, "", "leave it out");
        }
        let Some((symbol, linked)) = self.linker.get(extendee) else {
            return;
        };
        let Some(message) = message_at(&linked.file, &symbol.path) else {
            return;
        };
        let number = extension.number();
        let is_set = message.options.message_set_wire_format();
        let optional_message =
            extension.label() == Label::LABEL_OPTIONAL && extension.type_() == Type::TYPE_MESSAGE;
        if is_set && !optional_message {
            let text = format!(
                "{} extends a MessageSet with what is no optional message",
                extension.name()
            );
            self.report.fault(
                text,
                at,
                "expected optional MESSAGE",
                "wrap it in a message",
            );
        }
        let most = if is_set { i32::MAX } else { MAX_FIELD_NUMBER };
        self.number_in_range(number, most, at);
        let ranges = self.ranges.entry(extendee).or_insert_with(|| {
            message
                .extension_range
                .iter()
                .map(|range| (range.start(), range))
                .collect()
        });
        let nearest = ranges.range(..=number).next_back().map(|(_, range)| *range);
        let range = nearest.filter(|range| number < range.end());
        let Some(range) = range else {
            let place = below(at, path::FIELD_NUMBER, None);
            let text = format!("{number} is no extension number of {}", bare(extendee));
            let ranges: Vec<_> = message
                .extension_range
                .iter()
                .take(5)
                .map(|r| format!("{} to {}", r.start(), r.end() - 1))
                .collect();
            let label = match ranges.is_empty() {
                true => "it has no extension ranges".to_owned(),
                false => format!("expected {}", ranges.join(", ")),
            };
            return self.report.fault(text, &place, &label, "");
        };
        self.declared(extension, range, at);
    }

    fn json_name_is_written(&self, at: &[i32]) -> bool {
        let own = below(at, path::FIELD_JSON_NAME, None);
        self.parsed.json_names.contains(&own)
    }
}
