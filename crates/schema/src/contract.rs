//! The contract of a schema: the message type and the settings against which payloads are checked.

use std::sync::Arc;

use crate::needs::Needs;
use crate::options::{Encoding, Options};
use crate::scope::Scope;
use crate::table::{MessageId, Table};

/// A message type, the encoding of its payloads, and the requirements beyond the type.
#[derive(Clone, Debug)]
pub(crate) struct Contract {
    pub encoding: Encoding,
    pub table: Arc<Table>,
    pub root: MessageId,
    pub options: Options,
    /// The fields that the type of the root message or `Schema::require` requires.
    pub needs: Needs,
}

impl Contract {
    /// Returns a contract that requires no more than the type of `root` does.
    pub(crate) fn new(
        encoding: Encoding,
        table: Arc<Table>,
        root: MessageId,
        options: Options,
    ) -> Self {
        let needs = table[root].needs.clone();
        Self {
            encoding,
            table,
            root,
            options,
            needs,
        }
    }

    /// Returns the fully qualified name of the root message.
    pub(crate) fn message_name(&self) -> &str {
        self.table.name(self.root)
    }

    /// Returns the scope of the root message: its type and the fields that it requires.
    pub(crate) fn root(&self) -> Scope<'_> {
        Scope {
            message: &self.table[self.root],
            needs: &self.needs,
        }
    }
}

/// Compares encoding, message name, options and needs. The definition of the message may differ.
impl PartialEq for Contract {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            encoding,
            table: _,
            root: _,
            options,
            needs,
        } = self;
        *encoding == other.encoding
            && self.message_name() == other.message_name()
            && *options == other.options
            && *needs == other.needs
    }
}

impl Eq for Contract {}
