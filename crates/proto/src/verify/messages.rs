//! Checks messages: reserved numbers and names, options, oneofs.

use std::collections::{HashMap, HashSet};

use protobuf::descriptor::DescriptorProto;

use super::Check;
use crate::parser::FIELD_NUMBER_MAX;
use crate::path::{self, below, index};
use gateway_diagnostic::Diagnostic;

/// The numbers that protobuf reserves for itself.
pub(super) const PROTOBUF_NUMBERS: std::ops::RangeInclusive<i32> = 19_000..=19_999;

impl<'a> Check<'a, '_, '_> {
    pub(super) fn field_numbers(&mut self, message: &'a DescriptorProto, at: &[i32]) {
        let mut first: HashMap<i32, usize> = HashMap::new();
        let mut free = 0;
        for (i, field) in message.field.iter().enumerate() {
            let own = below(at, path::MESSAGE_FIELD, i);
            let number = field.number();
            self.number_in_range(number, FIELD_NUMBER_MAX, &own);
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
                // Each error suggests a number that no earlier error of the message has suggested.
                free = first_free(message, free).saturating_add(1);
                let help = match free - 1 {
                    next if next <= FIELD_NUMBER_MAX => {
                        format!("choose another number, such as {next}")
                    }
                    _ => "choose another number".to_owned(),
                };
                Diagnostic::error(format!("field number {number} is already used"))
                    .at(report.place(&below(&own, path::FIELD_NUMBER, None)))
                    .note(format!(
                        "this number belongs to field {} at {}",
                        message.field[earlier].name(),
                        report.place(&other)
                    ))
                    .help(help)
            });
        }
    }

    /// Checks the number of a field or extension.
    pub(super) fn number_in_range(&mut self, number: i32, max: i32, field: &[i32]) {
        let at = below(field, path::FIELD_NUMBER, None);
        if number < 1 || number > max {
            let label = format!("expected 1 to {max}");
            self.report.fault(
                format!("{number} can't be a field's number"),
                &at,
                &label,
                "",
            );
        } else if PROTOBUF_NUMBERS.contains(&number) {
            let text = format!("field number {number} is reserved for protobuf");
            self.report.fault(
                text,
                &at,
                "protobuf itself uses 19000 to 19999",
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

    /// Checks that a message or enum reserves no name twice, and uses no reserved name.
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
        let mut known: HashMap<&str, usize> = HashMap::new();
        for (i, name) in reserved.iter().enumerate() {
            let first = *known.entry(name).or_insert(i);
            if first != i {
                let text = format!("{what} {name:?} is reserved twice");
                self.report
                    .fault(text, &below(at, list, i), "", "leave one out");
            }
        }
        for (name, own) in used {
            let Some(&which) = known.get(name) else {
                continue;
            };
            self.report.push_with(|report| {
                Diagnostic::error(format!("{what} {name:?} is reserved"))
                    .at(report.place(&below(&own, path::NAME, None)))
                    .note_at("reserved at", report.place(&below(at, list, which)))
                    .help("choose another name")
            });
        }
    }

    pub(super) fn message_options(&mut self, message: &DescriptorProto, at: &[i32]) {
        if !message.options.message_set_wire_format() {
            return;
        }
        let option = [at, &[path::MESSAGE_OPTIONS, path::OPTION_MESSAGE_SET]].concat();
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
            if !used.contains(&index(i)) {
                let own = below(&below(at, path::MESSAGE_ONEOF, i), path::NAME, None);
                let text = format!("oneof {} has no field", oneof.name());
                self.report.fault(text, &own, "expected at least one", "");
            }
        }
    }
}

/// Returns the first free number that is at least `least` and greater than the valid numbers of all
/// fields. A number is free if neither the message nor protobuf reserves it, and if no extension
/// range contains it. The result may exceed the largest field number.
fn first_free(message: &DescriptorProto, least: i32) -> i32 {
    let numbers = message.field.iter().map(|field| field.number());
    let sound = numbers.filter(|number| (1..=FIELD_NUMBER_MAX).contains(number));
    let mut free = least.max(sound.max().unwrap_or_default() + 1);
    let reserved = message.reserved_range.iter().map(|r| (r.start(), r.end()));
    let extensions = message.extension_range.iter().map(|r| (r.start(), r.end()));
    let own = (*PROTOBUF_NUMBERS.start(), PROTOBUF_NUMBERS.end() + 1);
    let mut kept: Vec<_> = reserved.chain(extensions).chain([own]).collect();
    kept.sort_unstable();
    for (start, end) in kept {
        if start <= free && free < end {
            free = end;
        }
    }
    free
}
