//! An error in a `.proto` text, with byte ranges instead of places in a file.

use std::ops::Range;
use std::sync::Arc;

use gateway_diagnostic::{Diagnostic, SourceFile};

/// An error at some place of a text.
#[derive(Clone, Debug)]
pub(super) struct TextFault {
    range: Range<usize>,
    message: String,
    label: String,
    note: Option<(&'static str, Range<usize>)>,
    help: Option<String>,
}

impl TextFault {
    /// Returns an error with this message, a sentence without a full stop.
    pub(crate) fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            range,
            message: message.into(),
            label: String::new(),
            note: None,
            help: None,
        }
    }

    /// Sets the text next to the caret, such as a description of the expected text.
    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds a note about `range`. The place of `range` follows the text, such as `the first is at`.
    pub(crate) fn note_at(mut self, text: &'static str, range: Range<usize>) -> Self {
        self.note = Some((text, range));
        self
    }

    /// Sets the remedy.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Sets the remedy unless there is one.
    pub(crate) fn or_help(self, help: &str) -> Self {
        match self.help {
            Some(_) => self,
            None => self.help(help),
        }
    }

    /// Returns the byte range of the error.
    pub(crate) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Returns the error in a box, which keeps results small.
    pub(crate) fn boxed(self) -> Box<Self> {
        Box::new(self)
    }

    /// Returns the diagnostic of the error in its file.
    pub(crate) fn within(self, file: &Arc<SourceFile>) -> Diagnostic {
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
