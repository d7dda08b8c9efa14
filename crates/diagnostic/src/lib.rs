#![forbid(unsafe_code)]
//! What is said to people about their files: one type from parse to terminal.
//!
//! A [`Diagnostic`] says what is wrong, where (file, line, column, the line itself), what was
//! expected and what to do. [`Diagnostics`] collects all of one run, so that a person mends a file
//! in one go. This module renders; it never reads a file and never decides what is wrong.

mod json;
mod render;
mod source;
mod suggest;

use std::fmt;
use std::path::{Path, PathBuf};

pub use source::{Place, SourceFile};
pub use suggest::{did_you_mean, did_you_mean_qualified, one_of};

/// Diagnostics that one rendering shows: more can't be read, and take time to write.
const RENDERED_MAX: usize = 1_000;

/// Whether a diagnostic stops the file from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file can't be used.
    Error,
    /// The file works, but probably not as meant.
    Warning,
}

impl Severity {
    /// The word that people read.
    pub fn label(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// What is connected with a diagnostic, in words and perhaps by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// With a place it ends before it: `the first is at`.
    pub text: String,
    /// Where that is.
    pub place: Option<Place>,
}

impl From<String> for Note {
    fn from(text: String) -> Self {
        Self { text, place: None }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{} {place}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the file from being used.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where; none for what has no text, such as a missing file.
    pub place: Option<Place>,
    /// What was expected there: shown beside the caret.
    pub label: String,
    /// What is connected with it: who needs the file, where the other half of a conflict is.
    pub notes: Vec<Note>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without a place yet.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            place: None,
            label: String::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// A warning without a place yet.
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    /// Sets the place.
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Sets what was expected there.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds what is connected with it.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(Note::from(note.into()));
        self
    }

    /// Adds what is connected with it and stands at `place`; `text` ends before it: `the first is at`.
    pub fn note_at(mut self, text: impl Into<String>, place: Place) -> Self {
        let text = text.into();
        let place = Some(place);
        self.notes.push(Note { text, place });
        self
    }

    /// Sets what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Orders files by name, then by place in the file; what has no place comes first.
    fn order(&self) -> (Option<(&Path, u32, u32)>, Severity, &str) {
        let place = self.place.as_ref();
        let place = place.map(|p| (p.file.path.as_path(), p.line, p.column));
        (place, self.severity, &self.message)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// Everything that one run found, errors and warnings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Nothing found yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds all of `other`.
    pub fn append(&mut self, other: Diagnostics) {
        self.list.extend(other.list);
    }

    /// Whether anything stops the files from being used.
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many errors.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    /// Whether nothing at all was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Each one, to look at.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Each one, to add a note to.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Diagnostic> {
        self.list.iter_mut()
    }

    /// Sorts by file and place and drops exact repetitions.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| a.order().cmp(&b.order()));
        self.list.dedup();
    }

    /// The text of all, a blank line between two; empty for none.
    pub fn render(&self, colour: bool) -> String {
        let shown = self.list.iter().take(RENDERED_MAX);
        let mut texts: Vec<_> = shown.map(|d| d.render(colour)).collect();
        if let more @ 1.. = self.list.len().saturating_sub(RENDERED_MAX) {
            texts.push(format!("and {more} more\n"));
        }
        texts.join("\n")
    }

    fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|d| d.severity == severity).count()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// A path as diagnostics show it: below the working directory, relative to it.
pub fn shown(path: &Path) -> PathBuf {
    let relative = std::env::current_dir()
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
    relative.unwrap_or_else(|| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_by_place_and_without_repetitions() {
        let file = SourceFile::new("a", "one\ntwo\n");
        let mut all = Diagnostics::new();
        all.push(Diagnostic::error("later").at(file.place(2, 1, 3)));
        all.push(Diagnostic::warning("earlier").at(file.place(1, 1, 3)));
        all.push(Diagnostic::error("later").at(file.place(2, 1, 3)));
        all.push(Diagnostic::error("nowhere"));
        all.sort();
        let messages: Vec<_> = all.iter().map(|d| d.message.as_str()).collect();
        assert_eq!(messages, ["nowhere", "earlier", "later"]);
        assert_eq!((all.errors(), all.warnings()), (2, 1));
    }
}
