//! The errors of reading an option.

use crate::budget::OutOfTime;
use gateway_diagnostic::Diagnostic;

/// The reason why an option is not read.
pub(super) enum OptionError {
    /// An error, and the half of the option that has the error. If the diagnostic has a place, the
    /// error is reported there, not at this half.
    Fault(Box<Diagnostic>, OptionPart),
    OutOfTime,
}

/// The half of an option statement that has the error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OptionPart {
    Name,
    Value,
}

impl OptionError {
    /// Returns an error of an option's name.
    pub(super) fn name(message: impl Into<String>) -> Self {
        OptionError::Fault(Box::new(Diagnostic::error(message)), OptionPart::Name)
    }

    /// Returns an error of an option's value.
    pub(super) fn value(diagnostic: Diagnostic) -> Self {
        OptionError::Fault(Box::new(diagnostic), OptionPart::Value)
    }

    /// Sets the help text, which proposes a correction.
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        self.map(|diagnostic| diagnostic.help(help))
    }

    /// Sets the text next to the caret, such as "expected an extension".
    pub(super) fn label(self, label: impl Into<String>) -> Self {
        self.map(|diagnostic| diagnostic.label(label))
    }

    fn map(self, change: impl FnOnce(Diagnostic) -> Diagnostic) -> Self {
        match self {
            OptionError::Fault(diagnostic, spot) => {
                OptionError::Fault(Box::new(change(*diagnostic)), spot)
            }
            OptionError::OutOfTime => self,
        }
    }
}

impl From<OutOfTime> for OptionError {
    fn from(OutOfTime: OutOfTime) -> Self {
        OptionError::OutOfTime
    }
}
