//! The diagnostics of one run.

use std::fmt;

use crate::diagnostic::{Diagnostic, Severity};

/// The most diagnostics that one rendering shows: nobody reads more, and they take time to write.
const RENDERED_MAX: usize = 1_000;

/// The diagnostics of one run, in the order in which they were added.
///
/// Displays as [rendered](Diagnostics::render) without colour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Returns an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a diagnostic.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Adds all diagnostics of `other`.
    pub fn append(&mut self, other: Diagnostics) {
        self.list.extend(other.list);
    }

    /// Returns whether there is an error.
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// Returns the number of errors.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// Returns the number of warnings.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    /// Returns whether there are no diagnostics.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Iterates over the diagnostics.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Iterates over the diagnostics, to add notes to them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Diagnostic> {
        self.list.iter_mut()
    }

    /// Sorts by file and place, and drops exact repetitions.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| a.order().cmp(&b.order()));
        self.list.dedup();
    }

    /// Renders the first 1,000 diagnostics for a person, with a blank line between two; with `colour`, with ANSI
    /// escapes for a terminal.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceFile;

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
