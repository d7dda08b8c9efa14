//! The faults of one file, each at its place, up to a bound.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

use protobuf::descriptor::FileDescriptorProto;

use crate::budget::{Budget, OutOfTime};
use crate::compiler::Compiler;
use crate::path;
use crate::places::Places;
use gateway_diagnostic::{Diagnostic, Place, Severity, SourceFile};

/// Faults that are told of one file. More help nobody, and each takes time to find its place.
pub(super) const MAX_FAULTS: usize = 20;

/// Collects the faults of a file. Its places are looked up only if there are any.
pub(super) struct FaultReport<'a> {
    file: &'a FileDescriptorProto,
    source: &'a Arc<SourceFile>,
    budget: &'a Budget,
    places: OnceCell<Places<'a>>,
    faults: Vec<Diagnostic>,
}

impl<'a> FaultReport<'a> {
    /// Returns an empty report of a file that is worked on within `budget`.
    pub fn of(
        file: &'a FileDescriptorProto,
        source: &'a Arc<SourceFile>,
        budget: &'a Budget,
    ) -> Self {
        Self {
            file,
            source,
            budget,
            places: OnceCell::new(),
            faults: Vec::new(),
        }
    }

    /// Returns the time that the work on the file may take.
    pub fn budget(&self) -> &'a Budget {
        self.budget
    }

    /// Returns whether there is an error.
    pub fn has_faults(&self) -> bool {
        self.faults
            .iter()
            .any(|fault| fault.severity == Severity::Error)
    }

    /// Whether no more will be told.
    pub fn is_full(&self) -> bool {
        self.faults.len() >= MAX_FAULTS
    }

    /// Returns all faults, warnings included. An error if the time was over before all were found.
    pub fn into_diagnostics(self) -> Result<Vec<Diagnostic>, OutOfTime> {
        self.budget.held()?;
        Ok(self.faults)
    }

    /// Adds what `fault` makes, unless there is enough.
    pub fn push_with(&mut self, fault: impl FnOnce(&Self) -> Diagnostic) {
        if self.faults.len() < MAX_FAULTS {
            let fault = fault(self);
            self.faults.push(fault);
        }
    }

    /// A fault of the descriptor at `path`.
    pub fn fault(&mut self, message: impl Into<String>, path: &[i32], label: &str, help: &str) {
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

    /// The place of the descriptor at `path`, or of what it is in.
    pub fn place(&self, path: &[i32]) -> Place {
        let places = || Places::of(self.file, self.source, Compiler::Builtin, self.budget);
        self.places.get_or_init(places).at(path)
    }

    /// The place of these bytes.
    pub fn place_of(&self, range: Range<usize>) -> Place {
        self.source.place_of_bytes(range)
    }

    /// Whether a path is that of an enum's value.
    pub fn is_enum_value(&self, at: &[i32]) -> bool {
        let [.., list, _, field, _] = at else {
            return false;
        };
        let in_file = at.len() == 4 && *list == path::FILE_ENUM;
        *field == path::ENUM_VALUE && (in_file || at.len() > 4 && *list == path::MESSAGE_ENUM)
    }
}
