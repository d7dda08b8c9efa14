//! Diagnostics for programs, such as editors and CI. docs/operating.md documents the form. Later
//! versions can add keys, but do not remove any.

use serde::{Serialize, Serializer};

use crate::diagnostic::{Diagnostic, Note};
use crate::diagnostics::Diagnostics;
use crate::source::Place;

/// A diagnostic as a JSON object. Every key is present; a missing value is null.
#[derive(Serialize)]
struct DiagnosticEntry<'a> {
    #[serde(flatten)]
    location: Location,
    severity: &'static str,
    message: &'a str,
    label: Option<&'a str>,
    help: Option<&'a str>,
    related: Vec<Related>,
}

#[derive(Serialize)]
struct Related {
    #[serde(flatten)]
    location: Location,
    message: String,
}

/// The place of a diagnostic. Lines and columns are counted from 1. A column is the position of a
/// character in its line. The end is the first column after the place.
#[derive(Default, Serialize)]
struct Location {
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    end_line: Option<u32>,
    end_column: Option<u32>,
}

impl Location {
    fn of(place: Option<&Place>) -> Self {
        let Some(place) = place else {
            return Self::default();
        };
        Self {
            file: Some(place.file.path.display().to_string()),
            line: Some(place.line),
            column: Some(place.column),
            end_line: Some(place.line),
            end_column: Some(place.column.saturating_add(place.width)),
        }
    }
}

impl<'a> DiagnosticEntry<'a> {
    fn of(diagnostic: &'a Diagnostic) -> Self {
        // All fields are named, so that this does not compile if a diagnostic gets a new field.
        let Diagnostic {
            severity,
            message,
            place,
            label,
            notes,
            help,
        } = diagnostic;
        Self {
            location: Location::of(place.as_ref()),
            severity: severity.label(),
            message,
            label: Some(label.as_str()).filter(|label| !label.is_empty()),
            help: help.as_deref(),
            related: notes.iter().map(Related::of).collect(),
        }
    }
}

impl Related {
    fn of(note: &Note) -> Self {
        Self {
            location: Location::of(note.place.as_ref()),
            message: note.to_string(),
        }
    }
}

impl Serialize for Diagnostics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let left_out = self.left_out();
        serializer.collect_seq(self.iter().chain(&left_out).map(DiagnosticEntry::of))
    }
}

impl Diagnostics {
    /// Returns the diagnostics as a JSON array, with one object on each line.
    ///
    /// Lines and columns are counted from 1. A column is the position of a character in its line.
    /// Each key is present in each object. A missing value is null.
    pub fn to_json(&self) -> String {
        let left_out = self.left_out();
        let entries = self.iter().chain(&left_out).map(DiagnosticEntry::of);
        // The serialization of strings and numbers into memory cannot fail.
        let lines = entries.filter_map(|entry| serde_json::to_string(&entry).ok());
        let lines: Vec<_> = lines.collect();
        match lines.is_empty() {
            true => "[]".to_owned(),
            false => format!("[\n{}\n]", lines.join(",\n")),
        }
    }
}
