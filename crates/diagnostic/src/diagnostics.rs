//! The diagnostics of one run.

use std::fmt;

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::Place;

/// The maximum number of kept diagnostics of each severity. More diagnostics would take memory and
/// time, and would not be read, so they are only counted.
const KEPT_MAX: usize = 200;

/// The diagnostics of one run, in the order in which they were added. The first 200 diagnostics of
/// each severity are kept. Further diagnostics are only counted.
///
/// `Display` writes the [rendered](Diagnostics::render) diagnostics without colour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    errors: SeverityCount,
    warnings: SeverityCount,
}

/// The numbers of diagnostics of one severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct SeverityCount {
    /// The number of diagnostics in the list.
    kept: usize,
    /// The number of diagnostics that are only counted.
    left_out: usize,
}

impl Diagnostics {
    /// Returns an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a diagnostic, or only counts it if 200 diagnostics of its severity are kept already. A
    /// diagnostic that is equal to a kept diagnostic is dropped.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.contains(&diagnostic) {
            return;
        }
        let tally = self.tally(diagnostic.severity);
        if tally.kept == KEPT_MAX {
            tally.left_out += 1;
            return;
        }
        tally.kept += 1;
        self.list.push(diagnostic);
    }

    /// Adds a diagnostic at the place that `place` returns. If 200 diagnostics of its severity are
    /// kept already, the diagnostic is only counted. `place` is not called then, because the search
    /// for a place can take long.
    pub fn push_at(&mut self, diagnostic: Diagnostic, place: impl FnOnce() -> Option<Place>) {
        let tally = self.tally(diagnostic.severity);
        if tally.kept == KEPT_MAX {
            tally.left_out += 1;
            return;
        }
        self.push(Diagnostic {
            place: place(),
            ..diagnostic
        });
    }

    /// Adds all diagnostics of `other`.
    pub fn append(&mut self, other: Diagnostics) {
        self.errors.left_out += other.errors.left_out;
        self.warnings.left_out += other.warnings.left_out;
        other
            .list
            .into_iter()
            .for_each(|diagnostic| self.push(diagnostic));
    }

    fn tally(&mut self, severity: Severity) -> &mut SeverityCount {
        match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        }
    }

    /// Returns whether there is an error.
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// Returns the number of errors, including errors that are not kept.
    pub fn errors(&self) -> usize {
        self.errors.kept + self.errors.left_out
    }

    /// Returns the number of warnings, including warnings that are not kept.
    pub fn warnings(&self) -> usize {
        self.warnings.kept + self.warnings.left_out
    }

    /// Returns whether there are no diagnostics.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns a diagnostic that states how many errors and warnings are not kept, or `None` if all
    /// are kept.
    pub fn left_out(&self) -> Option<Diagnostic> {
        let counted = |n: usize, what: &str| match n {
            0 => None,
            1 => Some(format!("1 more {what}")),
            n => Some(format!("{n} more {what}s")),
        };
        let parts = [
            counted(self.errors.left_out, "error"),
            counted(self.warnings.left_out, "warning"),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        let message = format!("and {}", parts.join(" and "));
        match (parts.is_empty(), self.errors.left_out) {
            (true, _) => None,
            (false, 0) => Some(Diagnostic::warning(message)),
            (false, _) => Some(Diagnostic::error(message)),
        }
    }

    /// Iterates over the diagnostics that are kept.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Iterates over the diagnostics that are kept, so that notes can be added to them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Diagnostic> {
        self.list.iter_mut()
    }

    /// Sorts the diagnostics by file and place, and drops exact repetitions.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| a.order().cmp(&b.order()));
        self.list.dedup();
        let errors = self
            .list
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error);
        self.errors.kept = errors.count();
        self.warnings.kept = self.list.len() - self.errors.kept;
    }

    /// Renders the diagnostics for a person, separated by blank lines. With `colour`, the text has
    /// ANSI escapes for a terminal.
    pub fn render(&self, colour: bool) -> String {
        let mut texts: Vec<_> = self.list.iter().map(|d| d.render(colour)).collect();
        if let Some(left_out) = self.left_out() {
            texts.push(format!("{}\n", left_out.message));
        }
        texts.join("\n")
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
    fn diagnostics_beyond_the_limit_of_a_severity_are_only_counted() {
        let mut all = Diagnostics::new();
        for n in 0..KEPT_MAX + 1 {
            all.push(Diagnostic::warning(format!("doubtful {n}")));
        }
        assert_eq!(all.left_out().unwrap().message, "and 1 more warning");
        let mut others = Diagnostics::new();
        for n in 0..KEPT_MAX + 3 {
            others.push(Diagnostic::error(format!("wrong {n}")));
        }
        all.append(others);
        assert_eq!((all.errors(), all.warnings()), (KEPT_MAX + 3, KEPT_MAX + 1));
        assert_eq!(all.iter().count(), 2 * KEPT_MAX);
        let left_out = all.left_out().unwrap();
        assert_eq!(left_out.severity, Severity::Error);
        assert_eq!(left_out.message, "and 3 more errors and 1 more warning");
        let ends = format!("\n{}\n", left_out.message);
        assert!(all.render(false).ends_with(&ends), "{}", all.render(false));
    }

    #[test]
    fn diagnostics_are_sorted_by_place_without_repetitions() {
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
