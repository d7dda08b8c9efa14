//! A fault in a `.proto` text, before it is tied to its file.

use std::ops::Range;
use std::sync::Arc;

use gateway_diagnostic::{Diagnostic, SourceFile};

/// What is wrong at some place of a text.
#[derive(Clone, Debug)]
pub(super) struct TextFault {
    range: Range<usize>,
    message: String,
    label: String,
    note: Option<(&'static str, Range<usize>)>,
    help: Option<String>,
}

impl TextFault {
    /// What is wrong, in a sentence without a full stop.
    pub fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            range,
            message: message.into(),
            label: String::new(),
            note: None,
            help: None,
        }
    }

    /// What was expected there.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// What is connected with it and lies at `range`; `text` ends before its place.
    pub fn note_at(mut self, text: &'static str, range: Range<usize>) -> Self {
        self.note = Some((text, range));
        self
    }

    /// What to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, where nothing better is known.
    pub fn or_help(self, help: &str) -> Self {
        match self.help {
            Some(_) => self,
            None => self.help(help),
        }
    }

    /// Where it is.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// For results, which should be small.
    pub fn boxed(self) -> Box<Self> {
        Box::new(self)
    }

    /// In its file.
    pub fn within(self, file: &Arc<SourceFile>) -> Diagnostic {
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
