//! Reads the standard rules of `string` values.

use std::collections::HashSet;

use super::rule::{ReadRules, RuleError, check};
use crate::rules::check::number::{End, NumberTest};
use crate::rules::check::text::TextTest;
use crate::rules::check::{Check, Test};
use crate::rules::format::{
    Header, HostBits, IpVersion, Port, is_address, is_email, is_host_and_port, is_hostname,
    is_http_header_name, is_http_header_value, is_ip, is_ip_prefix, is_protobuf_dot_fqn,
    is_protobuf_fqn, is_tuuid, is_ulid, is_uri, is_uri_ref, is_uuid,
};
use crate::rules::kind::RuleKind;
use crate::rules::option::{Entry, OptionValue, all, last};
use crate::rules::pattern;
use crate::rules::text::list;

/// The field number of `well_known_regex`.
const KNOWN_REGEX: u32 = 24;

/// The field number of `strict`, which selects the grammar of `well_known_regex`.
const STRICT: u32 = 25;

/// A well-known form: its field number, the name of its rule, its name in messages, and the
/// function that recognizes values of the form.
type Form = (u32, &'static str, &'static str, fn(&str) -> bool);

const FORMS: [Form; 19] = [
    (12, "email", "email address", is_email),
    (13, "hostname", "hostname", is_hostname),
    (14, "ip", "IP address", |text| is_ip(text, IpVersion::Any)),
    (15, "ipv4", "IPv4 address", |text| {
        is_ip(text, IpVersion::V4)
    }),
    (16, "ipv6", "IPv6 address", |text| {
        is_ip(text, IpVersion::V6)
    }),
    (17, "uri", "URI", is_uri),
    (21, "address", "hostname, or ip address", is_address),
    (22, "uuid", "UUID", is_uuid),
    (26, "ip_with_prefixlen", "IP prefix", |text| {
        is_ip_prefix(text, IpVersion::Any, HostBits::Any)
    }),
    (
        27,
        "ipv4_with_prefixlen",
        "IPv4 address with prefix length",
        |text| is_ip_prefix(text, IpVersion::V4, HostBits::Any),
    ),
    (
        28,
        "ipv6_with_prefixlen",
        "IPv6 address with prefix length",
        |text| is_ip_prefix(text, IpVersion::V6, HostBits::Any),
    ),
    (29, "ip_prefix", "IP prefix", |text| {
        is_ip_prefix(text, IpVersion::Any, HostBits::Zero)
    }),
    (30, "ipv4_prefix", "IPv4 prefix", |text| {
        is_ip_prefix(text, IpVersion::V4, HostBits::Zero)
    }),
    (31, "ipv6_prefix", "IPv6 prefix", |text| {
        is_ip_prefix(text, IpVersion::V6, HostBits::Zero)
    }),
    (32, "host_and_port", "host and port pair", |text| {
        is_host_and_port(text, Port::Required)
    }),
    (33, "tuuid", "trimmed UUID", is_tuuid),
    (35, "ulid", "ULID", is_ulid),
    (
        37,
        "protobuf_fqn",
        "fully-qualified Protobuf name",
        is_protobuf_fqn,
    ),
    (
        38,
        "protobuf_dot_fqn",
        "fully-qualified Protobuf name with a leading dot",
        is_protobuf_dot_fqn,
    ),
];

/// The field number of `uri_ref`, which is not in [`FORMS`] because it accepts the empty text.
const URI_REF: u32 = 18;

/// Returns the rules in `entries`, the fields of `StringRules`.
///
/// # Errors
///
/// Returns a description of the first bad rule, in one sentence.
pub(super) fn rules(entries: &[Entry]) -> Result<ReadRules, RuleError> {
    let malformed = || "the string rules have a malformed value".to_owned();
    let mut read = ReadRules {
        checks: constant_and_lengths(entries).ok_or_else(malformed)?,
        pattern_bytes: 0,
    };
    if let Some(value) = last(entries, 6) {
        let text = value.text().ok_or_else(malformed)?;
        let compiled = pattern::compile(text)?;
        read.pattern_bytes = compiled.size;
        let message = format!("does not match regex pattern `{text}`");
        let test = TextTest::Pattern(compiled.regex);
        read.checks.push(rule("pattern", message, test));
    }
    read.checks.extend(parts(entries).ok_or_else(malformed)?);
    read.checks.extend(lists(entries).ok_or_else(malformed)?);
    read.checks.extend(forms(entries)?);
    Ok(read)
}

fn rule(name: &str, message: String, test: TextTest) -> Check {
    check(RuleKind::String, name, message, Test::Text(test))
}

fn constant_and_lengths(entries: &[Entry]) -> Option<Vec<Check>> {
    let mut checks = Vec::new();
    if let Some(value) = last(entries, 1) {
        let text = value.text()?;
        let message = format!("must equal `{text}`");
        checks.push(rule("const", message, TextTest::Equal(text.into())));
    }
    let exactly = NumberTest::Equal;
    let at_least = |bound| NumberTest::Inside(End::Inclusive(bound), End::Open);
    let at_most = |bound| NumberTest::Inside(End::Open, End::Inclusive(bound));
    type LengthRule = (u32, &'static str, &'static str, fn(u64) -> NumberTest<u64>);
    let characters: [LengthRule; 3] = [
        (19, "len", "must be", exactly),
        (2, "min_len", "must be at least", at_least),
        (3, "max_len", "must be at most", at_most),
    ];
    let bytes: [LengthRule; 3] = [
        (20, "len_bytes", "must be", exactly),
        (4, "min_bytes", "must be at least", at_least),
        (5, "max_bytes", "must be at most", at_most),
    ];
    for (number, name, words, test) in characters {
        if let Some(value) = last(entries, number) {
            let bound = value.unsigned()?;
            let message = format!("{words} {bound} characters");
            checks.push(rule(name, message, TextTest::Length(test(bound))));
        }
    }
    for (number, name, words, test) in bytes {
        if let Some(value) = last(entries, number) {
            let bound = value.unsigned()?;
            let message = format!("{words} {bound} bytes");
            checks.push(rule(name, message, TextTest::Bytes(test(bound))));
        }
    }
    Some(checks)
}

fn parts(entries: &[Entry]) -> Option<Vec<Check>> {
    type PartRule = (u32, &'static str, &'static str, fn(Box<str>) -> TextTest);
    let parts: [PartRule; 4] = [
        (7, "prefix", "does not have prefix", TextTest::Prefix),
        (8, "suffix", "does not have suffix", TextTest::Suffix),
        (
            9,
            "contains",
            "does not contain substring",
            TextTest::Contains,
        ),
        (23, "not_contains", "contains substring", TextTest::Lacks),
    ];
    let mut checks = Vec::new();
    for (number, name, words, test) in parts {
        if let Some(value) = last(entries, number) {
            let part = value.text()?;
            let message = format!("{words} `{part}`");
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
        fn(HashSet<Box<str>>) -> TextTest,
    );
    let lists: [ListRule; 2] = [
        (10, "in", "must be in list", TextTest::In),
        (11, "not_in", "must not be in list", TextTest::NotIn),
    ];
    let mut checks = Vec::new();
    for (number, name, words, test) in lists {
        let values: Option<Vec<&str>> = all(entries, number).map(OptionValue::text).collect();
        let values = values?;
        if !values.is_empty() {
            let message = format!("{words} {}", list(&values));
            let values = values.into_iter().map(Box::from).collect();
            checks.push(rule(name, message, test(values)));
        }
    }
    Some(checks)
}

/// Returns the rules of the well-known form. If several forms are set, the last form counts. If the
/// last form is set to false, there are no rules.
fn forms(entries: &[Entry]) -> Result<Vec<Check>, RuleError> {
    let is_form = |number| number == URI_REF || FORMS.iter().any(|form| form.0 == number);
    let mut chosen = entries.iter().rev();
    let chosen = chosen.find(|entry| entry.number == KNOWN_REGEX || is_form(entry.number));
    let Some(entry) = chosen else {
        return Ok(Vec::new());
    };
    if entry.number == KNOWN_REGEX {
        return headers(entries, entry.value);
    }
    if !entry.value.bool() {
        return Ok(Vec::new());
    }
    let Some((_, name, words, is_form)) = FORMS.iter().find(|form| form.0 == entry.number) else {
        let message = "must be a valid URI Reference".to_owned();
        return Ok(vec![rule("uri_ref", message, TextTest::Form(is_uri_ref))]);
    };
    let message = match *name {
        "host_and_port" => "must be a valid host (hostname or IP address) and port pair".to_owned(),
        _ => format!("must be a valid {words}"),
    };
    Ok(or_empty(name, message, words, *is_form))
}

/// Returns the two rules of a well-known form. The rule `name` requires that a text is empty or has
/// the form. The rule `name_empty` requires that a text is not empty. An empty text thus breaks
/// only the second rule.
fn or_empty(name: &str, message: String, words: &str, is_form: fn(&str) -> bool) -> Vec<Check> {
    let empty = format!("value is empty, which is not a valid {words}");
    vec![
        rule(name, message, TextTest::EmptyOr(is_form)),
        rule(&format!("{name}_empty"), empty, TextTest::NotEmpty),
    ]
}

fn headers(entries: &[Entry], value: OptionValue) -> Result<Vec<Check>, RuleError> {
    let strict = last(entries, STRICT).is_none_or(OptionValue::bool);
    let words = "HTTP header name";
    let name = "well_known_regex.header_name";
    match value.unsigned() {
        Some(0) => Ok(Vec::new()),
        Some(1) => {
            let is_name: fn(&str) -> bool = if strict {
                |text| is_http_header_name(text, Header::Strict)
            } else {
                |text| is_http_header_name(text, Header::Loose)
            };
            Ok(or_empty(
                name,
                format!("must be a valid {words}"),
                words,
                is_name,
            ))
        }
        Some(2) => {
            let is_value: fn(&str) -> bool = if strict {
                |text| is_http_header_value(text, Header::Strict)
            } else {
                |text| is_http_header_value(text, Header::Loose)
            };
            let message = "must be a valid HTTP header value".to_owned();
            let name = "well_known_regex.header_value";
            Ok(vec![rule(name, message, TextTest::Form(is_value))])
        }
        other => {
            let number = other.unwrap_or_default();
            Err(format!("there is no well_known_regex of number {number}"))
        }
    }
}
