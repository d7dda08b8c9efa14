//! Checks that the JSON names of fields differ within a message.

use std::collections::HashMap;

use protobuf::descriptor::DescriptorProto;

use super::Check;
use crate::features::Features;
use crate::names::camel_case;
use crate::path::{self, below};
use gateway_diagnostic::Diagnostic;

impl<'a> Check<'a, '_, '_> {
    pub(super) fn json_names(
        &mut self,
        message: &'a DescriptorProto,
        features: Features,
        at: &[i32],
    ) {
        if super::unknown_flag(message.options.as_ref(), path::OPTION_LEGACY_JSON_CONFLICTS) {
            return;
        }
        // Field masks use the default names, and JSON uses the explicit names. The fields must
        // differ in both kinds of names, so they are compared twice.
        for use_explicit in [false, true] {
            self.json_names_of(message, features, at, use_explicit);
        }
    }

    fn json_names_of(
        &mut self,
        message: &DescriptorProto,
        features: Features,
        at: &[i32],
        use_explicit: bool,
    ) {
        let mut first: HashMap<String, (usize, bool)> = HashMap::new();
        for (i, field) in message.field.iter().enumerate() {
            let default = camel_case(field.name());
            let is_explicit = use_explicit && field.json_name() != default;
            let name = if is_explicit {
                field.json_name().to_owned()
            } else {
                default
            };
            let place = |i: usize, is_explicit: bool| {
                let field = if is_explicit {
                    path::FIELD_JSON_NAME
                } else {
                    path::NAME
                };
                below(&below(at, path::MESSAGE_FIELD, i), field, None)
            };
            if is_explicit && name.starts_with('[') && name.ends_with(']') {
                let text = format!("{name:?} can't be a json_name");
                self.report.fault(
                    text,
                    &place(i, true),
                    "names in brackets are for extensions",
                    "",
                );
                continue;
            }
            let (earlier, earlier_explicit) =
                *first.entry(name.clone()).or_insert((i, is_explicit));
            let was_reported = use_explicit && !is_explicit && !earlier_explicit;
            let is_allowed = !(features.json || is_explicit && earlier_explicit);
            if earlier == i || was_reported || is_allowed {
                continue;
            }
            self.report.push_with(|report| {
                let other = message.field[earlier].name();
                Diagnostic::error(format!(
                    "field {} has the JSON name {name:?} of field {other}",
                    field.name()
                ))
                .at(report.place(&place(i, is_explicit)))
                .note(format!(
                    "{other} is at {}",
                    report.place(&place(earlier, earlier_explicit))
                ))
                .help("rename one, or give one a json_name of its own")
            });
        }
    }
}
