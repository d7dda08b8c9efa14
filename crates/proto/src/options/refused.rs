//! Why an option is not read.

use crate::budget::OutOfTime;
use gateway_diagnostic::Diagnostic;

/// What keeps an option from being read.
pub(super) enum Refused {
    /// What is wrong with it, and where, unless the diagnostic has a place of its own.
    Fault(Box<Diagnostic>, Spot),
    OutOfTime,
}

/// The half of an option statement that is at fault.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    Name,
    Value,
}

impl Refused {
    /// Returns a fault of an option's name.
    pub fn name(message: impl Into<String>) -> Self {
        Refused::Fault(Box::new(Diagnostic::error(message)), Spot::Name)
    }

    /// Returns a fault of an option's value.
    pub fn value(diagnostic: Diagnostic) -> Self {
        Refused::Fault(Box::new(diagnostic), Spot::Value)
    }

    /// Adds what to do.
    pub fn help(self, help: impl Into<String>) -> Self {
        self.map(|diagnostic| diagnostic.help(help))
    }

    /// Adds what was expected.
    pub fn label(self, label: impl Into<String>) -> Self {
        self.map(|diagnostic| diagnostic.label(label))
    }

    fn map(self, change: impl FnOnce(Diagnostic) -> Diagnostic) -> Self {
        match self {
            Refused::Fault(diagnostic, spot) => Refused::Fault(Box::new(change(*diagnostic)), spot),
            Refused::OutOfTime => self,
        }
    }
}

impl From<OutOfTime> for Refused {
    fn from(OutOfTime: OutOfTime) -> Self {
        Refused::OutOfTime
    }
}
