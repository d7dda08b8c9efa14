//! A fault in a `.proto` text, before it is tied to its file; and faults that concern files as such.
//!
//! This module words faults; it never looks for them.

use std::ops::Range;
use std::sync::Arc;

use super::outline::MAX_NESTING;
use super::sources::{Source, Sources};
use super::well_known;
use gateway_diagnostic::{Diagnostic, Place, SourceFile, did_you_mean};

/// What is wrong at some place of a text.
#[derive(Clone, Debug)]
pub(super) struct TextFault {
    range: Range<usize>,
    message: String,
    label: String,
    note: Option<(&'static str, Range<usize>)>,
    help: Option<String>,
}

impl TextFault {
    /// What is wrong, in a sentence without a full stop.
    pub fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            range,
            message: message.into(),
            label: String::new(),
            note: None,
            help: None,
        }
    }

    /// What was expected there.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// What is connected with it and lies at `range`; `text` ends before its place.
    pub fn note_at(mut self, text: &'static str, range: Range<usize>) -> Self {
        self.note = Some((text, range));
        self
    }

    /// What to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, where nothing better is known.
    pub fn or_help(self, help: &str) -> Self {
        match self.help {
            Some(_) => self,
            None => self.help(help),
        }
    }

    /// Where it is.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// For results, which should be small.
    pub fn boxed(self) -> Box<Self> {
        Box::new(self)
    }

    /// In its file.
    pub fn within(self, file: &Arc<SourceFile>) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(self.message).at(file.place_of_bytes(self.range));
        if !self.label.is_empty() {
            diagnostic = diagnostic.label(self.label);
        }
        if let Some((text, range)) = self.note {
            diagnostic = diagnostic.note_at(text, file.place_of_bytes(range));
        }
        match self.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }
}

/// What no compiler is shown.
pub(super) fn too_deep(source: &Source) -> Option<Diagnostic> {
    let range = source.outline.too_deep.clone()?;
    let fault = TextFault::new(range, format!("brackets nest more than {MAX_NESTING} deep"));
    let fault = fault
        .label("one too many")
        .help("nest less: messages may nest 31 deep");
    Some(fault.within(&source.file))
}

/// The compiler itself failed.
pub(super) fn failed(source: &Source, reason: &str) -> Diagnostic {
    Diagnostic::error(format!(
        "the built-in compiler failed at this file: {reason}"
    ))
    .at(source.file.place(1, 1, 1))
    .help(
        "please report this with the file; in routes.yaml, proto: { compiler: protoc } may read it",
    )
}

/// An import of the file `name` that names no file.
pub(super) fn missing(import: &str, name: &str, source: &Source, sources: &Sources) -> Diagnostic {
    let fault = Diagnostic::error(format!("{import:?} is not found"))
        .at(import_place(source, import))
        .label("no file of this name below the import paths");
    let roots: Vec<_> = sources
        .roots()
        .map(|root| root.display().to_string())
        .collect();
    let fault = fault.note(format!("import paths: {}", roots.join(", ")));
    let ending = format!("/{import}");
    // A file that imports itself would be wrong, too.
    let others = || sources.iter().filter(|(other, _)| *other != name);
    if let Some((name, other)) = others().find(|(other, _)| other.ends_with(&ending)) {
        let below = other.file.path.display().to_string();
        let path = below.strip_suffix(&ending).unwrap_or(&below);
        return fault.help(format!(
            "import {name:?}, or add {path} to proto.import_paths"
        ));
    }
    let mut names: Vec<&str> = well_known::names().collect();
    names.extend(others().map(|(other, _)| other));
    let help = match did_you_mean(import, names) {
        Some(name) => format!("did you mean {name:?}?"),
        None => "put the file there, or its directory into proto.import_paths".to_owned(),
    };
    fault.help(help)
}

/// Where a file imports another.
pub(super) fn import_place(source: &Source, import: &str) -> Place {
    let written = source.outline.imports.iter().find(|i| i.name == import);
    let range = written.map_or(0..0, |i| i.range.clone());
    source.file.place_of_bytes(range)
}
