//! The errors of one file, each at its place, up to a bound.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

use crate::budget::{Budget, OutOfTime};
use crate::compiler::Compiler;
use crate::locations::Locations;
use crate::path;
use crate::places::Places;
use gateway_diagnostic::{Diagnostic, Place, Severity, SourceFile};

/// The maximum number of errors that are reported for one file. A longer list would not help, and
/// finding the place of each error takes time.
pub(super) const FAULTS_MAX: usize = 20;

/// Collects the errors of a file. The places in the file are decoded only when the first error
/// needs a place.
pub(super) struct FaultReport<'a> {
    locations: &'a Locations,
    source: &'a Arc<SourceFile>,
    budget: &'a Budget,
    places: OnceCell<Places<'a>>,
    faults: Vec<Diagnostic>,
}

impl<'a> FaultReport<'a> {
    /// Returns an empty report of a file that is processed within `budget`.
    pub(crate) fn of(
        locations: &'a Locations,
        source: &'a Arc<SourceFile>,
        budget: &'a Budget,
    ) -> Self {
        Self {
            locations,
            source,
            budget,
            places: OnceCell::new(),
            faults: Vec::new(),
        }
    }

    /// Returns the time that the work on the file may take.
    pub(crate) fn budget(&self) -> &'a Budget {
        self.budget
    }

    /// Returns whether there is an error.
    pub(crate) fn has_faults(&self) -> bool {
        self.faults
            .iter()
            .any(|fault| fault.severity == Severity::Error)
    }

    /// Returns whether further errors are ignored.
    pub(crate) fn is_full(&self) -> bool {
        self.faults.len() >= FAULTS_MAX
    }

    /// Returns all errors and warnings. Fails if the time was over before all of them were found.
    pub(crate) fn into_diagnostics(self) -> Result<Vec<Diagnostic>, OutOfTime> {
        self.budget.check()?;
        Ok(self.faults)
    }

    /// Adds the diagnostic that `fault` returns, unless the report is full.
    pub(crate) fn push_with(&mut self, fault: impl FnOnce(&Self) -> Diagnostic) {
        if self.faults.len() < FAULTS_MAX {
            let fault = fault(self);
            self.faults.push(fault);
        }
    }

    /// Adds an error of the descriptor at `path`. The error has no label if `label` is empty, and
    /// no help if `help` is empty.
    pub(crate) fn fault(
        &mut self,
        message: impl Into<String>,
        path: &[i32],
        label: &str,
        help: &str,
    ) {
        self.push_with(|report| {
            let mut fault = Diagnostic::error(message).at(report.place(path));
            if !label.is_empty() {
                fault = fault.label(label);
            }
            if help.is_empty() {
                fault
            } else {
                fault.help(help)
            }
        });
    }

    /// Returns the place of the descriptor at `path`, or of the nearest descriptor around it that
    /// has a place.
    pub(crate) fn place(&self, path: &[i32]) -> Place {
        let places = || Places::of(self.locations, self.source, Compiler::Builtin, self.budget);
        self.places.get_or_init(places).at(path)
    }

    /// Returns the place of a range of bytes.
    pub(crate) fn place_of(&self, range: Range<usize>) -> Place {
        self.source.place_of_bytes(range)
    }

    /// Returns whether a path leads to a value of an enum.
    pub(crate) fn is_enum_value(&self, at: &[i32]) -> bool {
        let [.., list, _, field, _] = at else {
            return false;
        };
        let in_file = at.len() == 4 && *list == path::FILE_ENUM;
        *field == path::ENUM_VALUE && (in_file || at.len() > 4 && *list == path::MESSAGE_ENUM)
    }
}
