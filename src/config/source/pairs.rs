//! The sections with named entries: frontends, pools, channels and routes.

use super::super::section::{Section, homes, plain_or_quoted};
use super::super::yaml::{Node, NodeKind};
use gateway_diagnostic::{Diagnostic, Diagnostics};

/// The maximum number of the section's pairs that are copied into the example of an error's help.
/// The example then fits into one line.
const WRITTEN_MAX: usize = 4;

/// Returns the first key in `pairs` that belongs one level deeper, in an entry whose name was
/// forgotten. By the JSON Schema of the file, such a key is a key of an entry of `section`, and its
/// value is a single value or a list. Returns `None` if there is no such key.
fn unnamed<'a>(pairs: &'a [(Node, Node)], section: &str) -> Option<&'a Node> {
    let has_value = |value: &Node| match &value.kind {
        NodeKind::Scalar(_, value) => *value != serde_yaml::Value::Null,
        NodeKind::List(_) | NodeKind::Unknown => true,
        NodeKind::Map(_) => false,
    };
    let found = pairs
        .iter()
        .find(|(key, value)| has_value(value) && homes(key.text()).contains(&section));
    found.map(|(key, _)| key)
}

/// Returns the error of a section that contains the keys of an entry without the entry's name.
fn name_forgotten(section: &str, what: &str, key: &Node, pairs: &[(Node, Node)]) -> Diagnostic {
    let (needs, name) = match what {
        "frontend" => ("a name", "clients"),
        "pool" => ("a name", "people"),
        "channel" => ("a name", "ticks"),
        _ => ("a type", "PROTOBUF"),
    };
    let written = pairs.iter().take(WRITTEN_MAX).map(|(key, value)| {
        let value = match &value.kind {
            NodeKind::Scalar(text, _) => plain_or_quoted(text),
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
            "write the keys below {needs} of your choice, such as\n{section}: {{ {name}: {{ {written} }} }}"
        ))
}

/// Returns whether an absent section is optional. The sections `frontends` and `pools` are optional
/// if there are channels, unless the section is nested in another section by mistake.
fn is_optional(top: &Section<'_>, key: &str) -> bool {
    let has_channels = top.has("channels") || top.misplaced("channels").is_some();
    has_channels && matches!(key, "frontends" | "pools") && top.misplaced(key).is_none()
}

/// Returns the pairs of a section. Reports a section that is empty, misplaced, or absent although
/// it is required.
pub(super) fn pairs<'a>(
    top: &mut Section<'a>,
    key: &'static str,
    what: &str,
    found: &mut Diagnostics,
) -> &'a [(Node, Node)] {
    let node = top.node(key);
    match node.map(|node| &node.kind) {
        Some(NodeKind::Map(pairs)) if !pairs.is_empty() => {
            if let Some(key_node) = unnamed(pairs, key) {
                found.push(name_forgotten(key, what, key_node, pairs));
                return &[];
            }
            return pairs;
        }
        Some(NodeKind::Unknown) => return &[],
        None if !top.is_sound() => return &[],
        None if is_optional(top, key) => return &[],
        _ => {}
    }
    let (wrong, place) = match node {
        Some(node) => {
            let empty = matches!(&node.kind, NodeKind::Map(_));
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
                .label(format!("expected {key} to begin in the first column"))
                .help(format!("indent {key} and its content less")),
        );
        return match &value.kind {
            NodeKind::Map(pairs) => pairs,
            _ => &[],
        };
    }
    let fault = Diagnostic::error(wrong).at(place);
    let example = match what {
        "frontend" => "clients: { bind: \"tcp://*:5559\" }",
        "pool" => "people: { bind: \"tcp://*:5560\" }",
        "channel" => "ticks: { publishers: \"tcp://*:5561\", subscribers: \"tcp://*:5562\" }",
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
