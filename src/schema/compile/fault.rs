//! Faults that the built-in compiler finds, in the gateway's words and at their places.
//!
//! protox says what is wrong; here it gets its place in the user's file, also where protox gives
//! none, and what to do about it. This module words faults; it never looks for them.

use super::outline::{MAX_NESTING, definition_of};
use super::sources::{Source, Sources, WELL_KNOWN};
use crate::diagnostic::{Diagnostic, Place, did_you_mean};

/// A name that another file defines, too: says where.
pub(super) fn with_other_half(fault: Diagnostic, sources: &Sources) -> Diagnostic {
    let said = fault.message.clone();
    let mut quoted = said.split('\'').skip(1).step_by(2);
    let (Some(name), Some(file)) = (quoted.next(), quoted.next()) else {
        return fault;
    };
    if !said.contains("is already defined in file") {
        return fault;
    }
    let name = name.rsplit('.').next().unwrap_or(name);
    let fault = match sources.get(file) {
        None => fault.note(format!("{file} comes with the gateway")),
        Some(other) => match definition_of(&other.file.text, name) {
            None => fault.note(format!("first defined in {}", other.file.path.display())),
            Some(range) => fault.note_at("first defined at", other.file.place_of_bytes(range)),
        },
    };
    fault.help(
        "all files below the import paths are compiled together: rename one, or leave one out",
    )
}

/// What protox isn't shown at all.
pub(super) fn refused(source: &Source) -> Option<Diagnostic> {
    if let Some(range) = source.outline.too_deep.clone() {
        return Some(
            Diagnostic::error(format!("brackets nest more than {MAX_NESTING} deep"))
                .at(source.file.place_of_bytes(range))
                .label("one too many")
                .help("nest less: messages may nest 31 deep"),
        );
    }
    let range = source.outline.edition.clone()?;
    Some(
        Diagnostic::error("the built-in compiler can't read editions")
            .at(source.file.place_of_bytes(range))
            .label("expected syntax = \"proto3\" or \"proto2\"")
            .help("in routes.yaml, say\nproto: { compiler: protoc }\nto have protoc read the files (it must be on the PATH)"),
    )
}

/// Each fault that one error of protox tells of. `offset` mends the offsets that it gives.
pub(super) fn faults_of(
    error: &dyn miette::Diagnostic,
    source: &Source,
    offset: &dyn Fn(usize) -> usize,
) -> Vec<Diagnostic> {
    let mut faults = vec![fault_of(error, source, offset)];
    let related = error.related().into_iter().flatten();
    faults.extend(related.map(|error| fault_of(error, source, offset)));
    faults
}

fn fault_of(
    error: &dyn miette::Diagnostic,
    source: &Source,
    offset: &dyn Fn(usize) -> usize,
) -> Diagnostic {
    let file = &source.file;
    let mut text = error.to_string().replace(['\n', '\r'], " ");
    let help = error.help().map(|help| help.to_string());
    // protox says so of imports, too.
    if text == "invalid group name" && help.as_ref().is_some_and(|h| h.starts_with("imports")) {
        text = "invalid import".to_owned();
    }
    let mut fault = Diagnostic::error(text);
    let mut labels: Vec<(String, Place)> = Vec::new();
    for label in error.labels().into_iter().flatten() {
        let start = offset(label.offset());
        let said = label
            .label()
            .unwrap_or_default()
            .trim_matches('…')
            .to_owned();
        labels.push((said, file.place_of_bytes(start..start + label.len())));
    }
    // Of two, one is the fault and the other what it contradicts.
    let is_other = |said: &str| said.contains("range") || said.starts_with("first");
    labels.sort_by_key(|(said, _)| {
        (
            is_other(said),
            !said.contains("again") && !said.starts_with("found"),
        )
    });
    let mut labels = labels.into_iter();
    match labels.next() {
        Some((said, place)) => {
            let said = if said.starts_with("found") || said.starts_with("defined") {
                String::new()
            } else {
                said
            };
            fault = fault.at(place).label(said);
        }
        None => fault = placed_by_outline(fault, source),
    }
    for (said, place) in labels {
        let said = if said.contains("here") {
            said.replace("here", "at")
        } else {
            format!("{said} at")
        };
        fault = fault.note_at(said.trim_start_matches("and "), place);
    }
    match help.or_else(|| what_to_do(&fault)) {
        Some(help) => fault.help(help),
        None => fault,
    }
}

/// What to do about a fault that protox has no word of help for.
fn what_to_do(fault: &Diagnostic) -> Option<String> {
    let says = |words: &str| fault.message.starts_with(words);
    if says("expected ';'") {
        let place = fault.place.as_ref()?;
        let line = place.file.line(place.line)?;
        // What comes before is on another line then.
        let before = line.chars().take(place.column as usize - 1);
        return before
            .into_iter()
            .all(char::is_whitespace)
            .then(|| "is the ; at the end of the line above missing?".to_owned());
    }
    says("required fields are not allowed in proto3").then(|| {
        "leave the word out; routes.yaml can ask for fields: require: [FIELD] beside the schema's name"
            .to_owned()
    })
}

/// A place for what protox gives none.
fn placed_by_outline(fault: Diagnostic, source: &Source) -> Diagnostic {
    let file = &source.file;
    let outline = &source.outline;
    if fault.message.starts_with("multiple package names") {
        if let [first, second, ..] = &outline.packages[..] {
            let first = file.place_of_bytes(first.clone());
            let second = file.place_of_bytes(second.clone());
            return fault
                .at(second)
                .label("a file has one package at most")
                .note_at("first named at", first);
        }
    }
    if fault.message.ends_with("reached end of file") {
        let end = outline.last.end;
        return fault
            .at(file.place_of_bytes(end..end))
            .label("the file ends here");
    }
    // A name in quotes is the best hint left.
    let quoted = fault
        .message
        .split('\'')
        .nth(1)
        .and_then(|name| name.rsplit('.').next());
    let range = quoted
        .and_then(|name| definition_of(&file.text, name))
        .unwrap_or(0..0);
    fault.at(file.place_of_bytes(range))
}

/// When linking, protox takes a column in bytes for one in characters; this takes it back.
pub(super) fn linked_offset(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    start + before[start..].chars().count()
}

pub(super) fn failed(source: &Source, reason: &str) -> Diagnostic {
    Diagnostic::error(format!(
        "the built-in compiler failed at this file: {reason}"
    ))
    .at(source.file.place(1, 1, 1))
    .help(
        "please report this with the file; in routes.yaml, proto: { compiler: protoc } may read it",
    )
}

pub(super) fn missing(import: &str, source: &Source, sources: &Sources) -> Diagnostic {
    let fault = Diagnostic::error(format!("{import:?} is not found"))
        .at(import_place(source, import))
        .label("no file of this name below the import paths");
    let roots: Vec<_> = sources
        .roots()
        .map(|root| root.display().to_string())
        .collect();
    let fault = fault.note(format!("import paths: {}", roots.join(", ")));
    let ending = format!("/{import}");
    if let Some((name, other)) = sources.iter().find(|(name, _)| name.ends_with(&ending)) {
        let below = other.file.path.display().to_string();
        let path = below.strip_suffix(&ending).unwrap_or(&below);
        return fault.help(format!(
            "import {name:?}, or add {path} to proto.import_paths"
        ));
    }
    let names = sources.iter().map(|(name, _)| name);
    let help = match did_you_mean(import, names.chain(WELL_KNOWN.iter().copied())) {
        Some(name) => format!("did you mean {name:?}?"),
        None => "put the file there, or its directory into proto.import_paths".to_owned(),
    };
    fault.help(help)
}

pub(super) fn import_place(source: &Source, import: &str) -> Place {
    let written = source.outline.imports.iter().find(|i| i.name == import);
    let range = written.map_or(0..0, |i| i.range.clone());
    source.file.place_of_bytes(range)
}
