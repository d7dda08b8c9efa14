//! Reads the standard rules of `bytes` values.

use std::collections::HashSet;

use super::rule::{ReadRules, RuleError, check};
use crate::rules::check::number::{End, NumberTest};
use crate::rules::check::text::BytesTest;
use crate::rules::check::{Check, Test};
use crate::rules::kind::RuleKind;
use crate::rules::option::{Entry, OptionValue, all, last};
use crate::rules::pattern;
use crate::rules::text::{hex, list};

/// The well-known forms, each with its field number, the name of its rule, its name in messages,
/// and the permitted lengths of a value.
const FORMS: [(u32, &str, &str, &[usize]); 4] = [
    (10, "ip", "IP address", &[4, 16]),
    (11, "ipv4", "IPv4 address", &[4]),
    (12, "ipv6", "IPv6 address", &[16]),
    (15, "uuid", "UUID", &[16]),
];

/// Returns the rules in `entries`, the fields of `BytesRules`.
///
/// # Errors
///
/// Returns a description of the first bad rule, in one sentence.
pub(super) fn rules(entries: &[Entry]) -> Result<ReadRules, RuleError> {
    let malformed = || "the bytes rules have a malformed value".to_owned();
    let mut read = ReadRules {
        checks: constant_and_lengths(entries).ok_or_else(malformed)?,
        pattern_bytes: 0,
    };
    if let Some(value) = last(entries, 4) {
        let text = value.text().ok_or_else(malformed)?;
        let compiled = pattern::compile(text)?;
        read.pattern_bytes = compiled.size;
        let message = format!("must match regex pattern `{text}`");
        let test = BytesTest::Pattern(compiled.regex);
        read.checks.push(rule("pattern", message, test));
    }
    read.checks.extend(parts(entries).ok_or_else(malformed)?);
    read.checks.extend(lists(entries).ok_or_else(malformed)?);
    read.checks.extend(forms(entries));
    Ok(read)
}

fn rule(name: &str, message: String, test: BytesTest) -> Check {
    check(RuleKind::Bytes, name, message, Test::Bytes(test))
}

fn constant_and_lengths(entries: &[Entry]) -> Option<Vec<Check>> {
    let mut checks = Vec::new();
    if let Some(value) = last(entries, 1) {
        let bytes = value.bytes()?;
        let message = format!("must be {}", hex(bytes));
        checks.push(rule("const", message, BytesTest::Equal(bytes.into())));
    }
    for (number, name, words) in [
        (13, "len", "must be"),
        (2, "min_len", "must be at least"),
        (3, "max_len", "must be at most"),
    ] {
        if let Some(value) = last(entries, number) {
            let bound = value.unsigned()?;
            let test = match name {
                "len" => NumberTest::Equal(bound),
                "min_len" => NumberTest::Inside(End::Inclusive(bound), End::Open),
                _ => NumberTest::Inside(End::Open, End::Inclusive(bound)),
            };
            let message = format!("{words} {bound} bytes");
            checks.push(rule(name, message, BytesTest::Length(test)));
        }
    }
    Some(checks)
}

fn parts(entries: &[Entry]) -> Option<Vec<Check>> {
    type PartRule = (u32, &'static str, &'static str, fn(Box<[u8]>) -> BytesTest);
    let parts: [PartRule; 3] = [
        (5, "prefix", "does not have prefix", BytesTest::Prefix),
        (6, "suffix", "does not have suffix", BytesTest::Suffix),
        (7, "contains", "does not contain", BytesTest::Contains),
    ];
    let mut checks = Vec::new();
    for (number, name, words, test) in parts {
        if let Some(value) = last(entries, number) {
            let part = value.bytes()?;
            let message = format!("{words} {}", hex(part));
            checks.push(rule(name, message, test(part.into())));
        }
    }
    Some(checks)
}

fn lists(entries: &[Entry]) -> Option<Vec<Check>> {
    type ListRule = (
        u32,
        &'static str,
        &'static str,
        fn(HashSet<Box<[u8]>>) -> BytesTest,
    );
    let lists: [ListRule; 2] = [
        (8, "in", "must be in list", BytesTest::In),
        (9, "not_in", "must not be in list", BytesTest::NotIn),
    ];
    let mut checks = Vec::new();
    for (number, name, words, test) in lists {
        let values: Option<Vec<&[u8]>> = all(entries, number).map(OptionValue::bytes).collect();
        let values = values?;
        if !values.is_empty() {
            let shown: Vec<_> = values
                .iter()
                .map(|value| String::from_utf8_lossy(value))
                .collect();
            let message = format!("{words} {}", list(&shown));
            let values = values.into_iter().map(Box::from).collect();
            checks.push(rule(name, message, test(values)));
        }
    }
    Some(checks)
}

/// Returns the rules of the well-known form. If several forms are set, the last form counts. If the
/// last form is set to false, there are no rules.
fn forms(entries: &[Entry]) -> Vec<Check> {
    let form_of = |entry: &Entry| FORMS.iter().find(|form| form.0 == entry.number);
    let mut chosen = entries.iter().rev();
    let chosen = chosen.find_map(|entry| Some((form_of(entry)?, entry.value.bool())));
    let Some(((_, name, words, lengths), true)) = chosen else {
        return Vec::new();
    };
    let message = format!("must be a valid {words}");
    let empty = format!("value is empty, which is not a valid {words}");
    vec![
        rule(name, message, BytesTest::Lengths(lengths)),
        rule(&format!("{name}_empty"), empty, BytesTest::NotEmpty),
    ]
}
