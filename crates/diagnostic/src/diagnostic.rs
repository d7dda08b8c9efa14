//! One problem of a file.

use std::fmt;
use std::path::Path;

use crate::source::Place;

/// The severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, but probably does not mean what its author intended.
    Warning,
}

impl Severity {
    /// Returns the lower-case name that people read: `error` or `warning`.
    pub fn label(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// A remark on a diagnostic, such as the place of an earlier definition with the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The text of the remark. If there is a place, it is shown after the text, so the text ends
    /// with a phrase such as `the first is at`.
    pub text: String,
    /// The place that the remark is about.
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

/// One problem of a file: the error, its place, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The severity of the problem.
    pub severity: Severity,
    /// The problem, in one sentence without a full stop.
    pub message: String,
    /// The place of the problem, or `None` if no place in a file can be shown, as for a missing
    /// file.
    pub place: Option<Place>,
    /// The text next to the caret, such as a description of the expected text, or empty.
    pub label: String,
    /// Remarks, such as the name of a file that imports this one, or the place of an earlier
    /// definition with the same name.
    pub notes: Vec<Note>,
    /// The remedy for the problem.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Returns an error that has only a message.
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

    /// Returns a warning that has only a message.
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

    /// Sets the text next to the caret, such as a description of the expected text.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds a remark.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(Note::from(note.into()));
        self
    }

    /// Adds a remark about `place`. The place is shown after `text`, such as `the first is at`.
    pub fn note_at(mut self, text: impl Into<String>, place: Place) -> Self {
        let text = text.into();
        let place = Some(place);
        self.notes.push(Note { text, place });
        self
    }

    /// Sets the remedy.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Returns a key that sorts by file, then by place in the file, then by severity and message.
    /// Diagnostics without a place sort first.
    pub(crate) fn order(&self) -> (Option<(&Path, u32, u32)>, Severity, &str) {
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
