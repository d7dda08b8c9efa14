//! Messages as such: numbers and names that are taken, options, oneofs.

use std::collections::{HashMap, HashSet};

use protobuf::descriptor::DescriptorProto;

use super::super::parser::MAX_FIELD_NUMBER;
use super::super::path::{self, below};
use super::Check;
use crate::diagnostic::Diagnostic;

/// Numbers that protobuf keeps for itself.
pub(super) const OWN_NUMBERS: std::ops::RangeInclusive<i32> = 19_000..=19_999;

impl<'a> Check<'a, '_, '_> {
    pub(super) fn field_numbers(&mut self, message: &'a DescriptorProto, at: &[i32]) {
        let mut first: HashMap<i32, usize> = HashMap::new();
        for (i, field) in message.field.iter().enumerate() {
            let own = below(at, path::MESSAGE_FIELD, i);
            let number = field.number();
            self.number_in_range(number, MAX_FIELD_NUMBER, &own);
            let Some(earlier) = first.insert(number, i) else {
                continue;
            };
            first.insert(number, earlier);
            let other = below(
                &below(at, path::MESSAGE_FIELD, earlier),
                path::FIELD_NUMBER,
                None,
            );
            self.report.push_with(|report| {
                Diagnostic::error(format!("field number {number} is already used"))
                    .at(report.place(&below(&own, path::FIELD_NUMBER, None)))
                    .note(format!(
                        "by {} at {}",
                        message.field[earlier].name(),
                        report.place(&other)
                    ))
                    .help("choose another number")
            });
        }
    }

    /// Of a field or extension.
    pub(super) fn number_in_range(&mut self, number: i32, most: i32, field: &[i32]) {
        let at = below(field, path::FIELD_NUMBER, None);
        if number < 1 || number > most {
            let label = format!("expected 1 to {most}");
            self.report.fault(
                format!("{number} can't be a field's number"),
                &at,
                &label,
                "",
            );
        } else if OWN_NUMBERS.contains(&number) {
            let text = format!("field number {number} is protobuf's own");
            self.report.fault(
                text,
                &at,
                "19000 to 19999 are kept for it",
                "choose another number",
            );
        }
    }

    pub(super) fn reserved_field_names(&mut self, message: &DescriptorProto, at: &[i32]) {
        let fields = message.field.iter().enumerate();
        let names = fields.map(|(i, field)| (field.name(), below(at, path::MESSAGE_FIELD, i)));
        self.reserved_names(
            &message.reserved_name,
            at,
            path::MESSAGE_RESERVED_NAME,
            names,
            "field name",
        );
    }

    /// Of a message or enum: none twice, none used.
    pub(super) fn reserved_names<'n>(
        &mut self,
        reserved: &[String],
        at: &[i32],
        list: i32,
        used: impl Iterator<Item = (&'n str, Vec<i32>)>,
        what: &str,
    ) {
        if reserved.is_empty() {
            return;
        }
        let mut known = HashSet::new();
        for (i, name) in reserved.iter().enumerate() {
            if !known.insert(name.as_str()) {
                let text = format!("{what} {name:?} is reserved twice");
                self.report
                    .fault(text, &below(at, list, i), "", "leave one out");
            }
        }
        for (name, own) in used.filter(|(name, _)| known.contains(name)) {
            let text = format!("{what} {name:?} is reserved");
            let place = below(&own, path::NAME, None);
            self.report
                .fault(text, &place, "reserved here", "choose another name");
        }
    }

    pub(super) fn message_options(&mut self, message: &DescriptorProto, at: &[i32]) {
        if !message.options.message_set_wire_format() {
            return;
        }
        let option = [&below(at, path::MESSAGE_OPTIONS, None)[..], &[1]].concat();
        if self.is_proto3() {
            let text = "a MessageSet is not allowed in proto3";
            self.report.fault(text, &option, "", "leave the option out");
        }
        for i in 0..message.field.len() {
            let text = format!("MessageSet {} has a field", message.name());
            let place = below(at, path::MESSAGE_FIELD, i);
            self.report.fault(
                text,
                &place,
                "expected extensions only",
                "leave the option message_set_wire_format out",
            );
        }
    }

    pub(super) fn oneofs(&mut self, message: &DescriptorProto, at: &[i32]) {
        let used: HashSet<_> = message
            .field
            .iter()
            .filter_map(|field| field.oneof_index)
            .collect();
        for (i, oneof) in message.oneof_decl.iter().enumerate() {
            if !used.contains(&super::index(i)) {
                let own = below(&below(at, path::MESSAGE_ONEOF, i), path::NAME, None);
                let text = format!("oneof {} has no field", oneof.name());
                self.report.fault(text, &own, "expected at least one", "");
            }
        }
    }
}
