//! Checks enums: the numbers and names of their values.

use std::collections::HashMap;

use protobuf::descriptor::EnumDescriptorProto;

use super::Check;
use crate::features::{Features, place};
use crate::path::{self, below};
use gateway_diagnostic::Diagnostic;

impl<'a> Check<'a, '_, '_> {
    pub(super) fn enumeration(&mut self, e: &'a EnumDescriptorProto, outer: Features, at: &[i32]) {
        let features = outer.within(e.options.as_ref(), place::ENUM);
        let Some(first) = e.value.first() else {
            let text = format!("enum {} has no value", e.name());
            return self.report.fault(
                text,
                &below(at, path::NAME, None),
                "expected at least one",
                "",
            );
        };
        if !features.closed_enum && first.number() != 0 {
            let place = below(&below(at, path::ENUM_VALUE, 0), path::VALUE_NUMBER, None);
            let text = format!("the first value of {} is not 0", e.name());
            let label = "expected 0: it is the value of absent fields";
            self.report.fault(
                text,
                &place,
                label,
                "add a value 0 at the start of the enum, such as UNSPECIFIED",
            );
        }
        let values = e.value.iter().enumerate();
        let names = values.map(|(i, value)| (value.name(), below(at, path::ENUM_VALUE, i)));
        self.reserved_names(
            &e.reserved_name,
            at,
            path::ENUM_RESERVED_NAME,
            names,
            "enum value name",
        );
        self.enum_ranges(e, at);
        self.aliases(e, at);
        self.value_names(e, at);
        self.enum_style(e, features, at);
        self.value_support(e, at);
    }

    fn aliases(&mut self, e: &EnumDescriptorProto, at: &[i32]) {
        let mut first: HashMap<i32, usize> = HashMap::new();
        let allowed = e.options.allow_alias();
        let mut any = false;
        for (i, value) in e.value.iter().enumerate() {
            let earlier = *first.entry(value.number()).or_insert(i);
            if earlier == i {
                continue;
            }
            any = true;
            if allowed {
                continue;
            }
            let number =
                |i: usize| below(&below(at, path::ENUM_VALUE, i), path::VALUE_NUMBER, None);
            self.report.push_with(|report| {
                Diagnostic::error(format!("enum number {} is already used", value.number()))
                    .at(report.place(&number(i)))
                    .note(format!(
                        "this number belongs to value {} at {}",
                        e.value[earlier].name(),
                        report.place(&number(earlier))
                    ))
                    .help("choose another number, or write option allow_alias = true; if both are intended")
            });
        }
        let option = [at, &[path::ENUM_OPTIONS, path::OPTION_ALLOW_ALIAS]].concat();
        let is_set = e
            .options
            .as_ref()
            .is_some_and(|options| options.allow_alias.is_some());
        if is_set && !allowed {
            let text = "allow_alias = false has no effect";
            self.report.fault(text, &option, "", "leave the option out");
        } else if allowed && !any {
            let text = format!("enum {} allows aliases, but has none", e.name());
            self.report.fault(text, &option, "", "leave the option out");
        }
    }

    /// Checks that no two values with different numbers get the same name from code generators.
    /// Code generators remove the enum's name as a prefix of the values' names.
    fn value_names(&mut self, e: &EnumDescriptorProto, at: &[i32]) {
        let mut first: HashMap<String, usize> = HashMap::new();
        for (i, value) in e.value.iter().enumerate() {
            let short = without_prefix(e.name(), value.name());
            let earlier = *first.entry(short.clone()).or_insert(i);
            let other = &e.value[earlier];
            if earlier == i || other.number() == value.number() || other.name() == value.name() {
                continue;
            }
            let name = |i: usize| below(&below(at, path::ENUM_VALUE, i), path::NAME, None);
            self.report.push_with(|report| {
                Diagnostic::error(format!(
                    "{} is the same as {} to code generators",
                    value.name(),
                    other.name()
                ))
                .at(report.place(&name(i)))
                .label(format!(
                    "both are {short:?} without case, underscores and the enum's name"
                ))
                .note(format!(
                    "{} is at {}",
                    other.name(),
                    report.place(&name(earlier))
                ))
                .help("rename one of them")
            });
        }
    }
}

/// Returns a value's name in camel case, without the enum's name as a prefix, as code generators
/// derive it. The comparison with the prefix ignores case and underscores.
fn without_prefix(enum_name: &str, value: &str) -> String {
    let plain = |name: &str| -> String {
        name.chars()
            .filter(|&c| c != '_')
            .map(|c| c.to_ascii_lowercase())
            .collect()
    };
    let prefix = plain(enum_name);
    let mut rest = value.chars();
    let mut wanted = prefix.chars().peekable();
    while wanted.peek().is_some() {
        match rest.next() {
            Some('_') => {}
            Some(c) if Some(&c.to_ascii_lowercase()) == wanted.peek() => {
                wanted.next();
            }
            _ => return camel(value),
        }
    }
    let rest = rest.as_str().trim_start_matches('_');
    // A value whose whole name is the prefix keeps its name.
    if rest.is_empty() {
        camel(value)
    } else {
        camel(rest)
    }
}

/// Converts `FOO_BAR` and `foo_bar` to `FooBar`.
fn camel(name: &str) -> String {
    let mut made = String::new();
    let mut upper = true;
    for c in name.chars() {
        if c != '_' {
            made.push(if upper {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            });
        }
        upper = c == '_';
    }
    made
}
