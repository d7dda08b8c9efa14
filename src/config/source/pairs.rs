//! The sections of named things: frontends, pools and routes.

use super::super::section::{Section, plain_or_quoted};
use super::super::yaml::{Kind, Node};
use gateway_diagnostic::{Diagnostic, Diagnostics};

/// Pairs that an example repeats.
const WRITTEN_MAX: usize = 4;

/// The keys of one entry of each section.
const KEYS: [(&str, &[&str]); 3] = [
    ("frontend", &["bind", "connect", "errors"]),
    (
        "pool",
        &[
            "bind",
            "connect",
            "workers",
            "identity",
            "balance",
            "per_worker",
            "queue",
            "queue_bytes",
            "timeout",
            "heartbeat",
        ],
    ),
    (
        "route",
        &["schema", "reply", "pool", "timeout", "frontends"],
    ),
];

/// Returns the first key of a section that belongs within an entry: a key of an entry with a value of its own. The
/// name of the entry was forgotten then.
fn unnamed<'a>(pairs: &'a [(Node, Node)], what: &str) -> Option<&'a Node> {
    let (_, keys) = KEYS.iter().find(|(entry, _)| *entry == what)?;
    let has_value = |value: &Node| match &value.kind {
        Kind::Scalar(_, value) => *value != serde_yaml::Value::Null,
        Kind::List(_) => true,
        Kind::Map(_) => false,
    };
    let found = pairs
        .iter()
        .find(|(key, value)| keys.contains(&key.text()) && has_value(value));
    found.map(|(key, _)| key)
}

/// Returns the fault of a section that holds what one of its entries should.
fn name_forgotten(section: &str, what: &str, key: &Node, pairs: &[(Node, Node)]) -> Diagnostic {
    let (needs, name) = match what {
        "frontend" => ("a name", "clients"),
        "pool" => ("a name", "people"),
        _ => ("a type", "PROTOBUF"),
    };
    let written = pairs.iter().take(WRITTEN_MAX).map(|(key, value)| {
        let value = match &value.kind {
            Kind::Scalar(text, _) => plain_or_quoted(text),
            _ => "…".to_owned(),
        };
        format!("{}: {value}", key.text())
    });
    let written: Vec<_> = written.collect();
    let written = written.join(", ");
    let key_text = key.text();
    Diagnostic::error(format!("a {what} needs {needs}"))
        .at(key.place.clone())
        .label(format!("{key_text:?} is a key of a {what}"))
        .help(format!(
            "write it below {needs} of your choice, such as\n{section}: {{ {name}: {{ {written} }} }}"
        ))
}

/// Returns the pairs of a section that must be there and must not be empty.
pub(super) fn pairs<'a>(
    top: &mut Section<'a>,
    key: &'static str,
    what: &str,
    found: &mut Diagnostics,
) -> &'a [(Node, Node)] {
    let node = top.node(key);
    match node.map(|node| &node.kind) {
        Some(Kind::Map(pairs)) if !pairs.is_empty() => {
            if let Some(key_node) = unnamed(pairs, what) {
                found.push(name_forgotten(key, what, key_node, pairs));
                return &[];
            }
            return pairs;
        }
        None if !top.is_sound() => return &[],
        _ => {}
    }
    let (wrong, place) = match node {
        Some(node) => {
            let empty = matches!(&node.kind, Kind::Map(_));
            let what = if empty {
                "an empty map".to_owned()
            } else {
                node.found()
            };
            (format!("{key:?} can't be {what}"), node.place.clone())
        }
        None => (format!("the file has no {key:?}"), top.place().clone()),
    };
    if let Some((misplaced, value, inside)) = top.misplaced(key) {
        let fault = Diagnostic::error(format!("{key:?} is indented as if it belonged to {inside}"));
        let fault = fault.at(misplaced.place.clone());
        found.push(
            fault
                .label("expected it to begin in the first column")
                .help(format!("indent {key}, and what is below it, less")),
        );
        return match &value.kind {
            Kind::Map(pairs) => pairs,
            _ => &[],
        };
    }
    let fault = Diagnostic::error(wrong).at(place);
    let example = match what {
        "frontend" => "clients: { bind: \"tcp://*:5559\" }",
        "pool" => "people: { bind: \"tcp://*:5560\" }",
        _ => "PROTOBUF: { schema: demo.Person, pool: people }",
    };
    let fault = fault
        .label(format!("expected at least one {what} below {key}"))
        .help(format!("such as\n{key}:\n  {example}"));
    match (node, key) {
        (None, "frontends") => top.lacks(&["frontends"], fault),
        (None, "pools") => top.lacks(&["pools"], fault),
        (None, _) => top.lacks(&["routes"], fault),
        (Some(_), _) => found.push(fault),
    }
    &[]
}
