//! The sections of named things: frontends, pools and routes.

use super::super::section::Section;
use super::super::yaml::{Kind, Node};
use gateway_diagnostic::{Diagnostic, Diagnostics};

/// Returns the pairs of a section that must be there and must not be empty.
pub(super) fn pairs<'a>(
    top: &mut Section<'a>,
    key: &'static str,
    what: &str,
    found: &mut Diagnostics,
) -> &'a [(Node, Node)] {
    let node = top.node(key);
    match node.map(|node| &node.kind) {
        Some(Kind::Map(pairs)) if !pairs.is_empty() => return pairs,
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
