//! The state of a comparison of two schemas, and the breaks that it finds.

use std::collections::BTreeSet;

use crate::contract::Contract;
use crate::options::{Encoding, Layout};
use crate::schema::Schema;
use crate::table::{Message, MessageId, Table};
use gateway_diagnostic::Place;
use gateway_proto::{Definition, Definitions};

/// A change that breaks payloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakingChange {
    /// The full name of the field, enum value, message or enum.
    pub subject: String,
    /// The change to the subject: the rest of a sentence that starts with the subject.
    pub what: String,
    /// The path in a payload, such as `address.lines[].zip`. The path of the root message is empty.
    pub path: String,
    /// The place of the subject in the earlier files. If the subject is new, this is the place, in
    /// the earlier files, of the message that now contains the subject.
    pub before: Option<Place>,
    /// The place of the subject in the later files. If the subject was removed, this is the place,
    /// in the later files, of the message or enum that contained the subject.
    pub after: Option<Place>,
    /// The advice for making the change without breaking payloads.
    pub help: String,
}

/// A schema, and the definitions of its messages.
#[derive(Clone, Copy, Debug)]
pub struct Defined<'a> {
    /// The schema against which payloads are checked.
    pub schema: &'a Schema,
    /// The places of the definitions in the files that the schema was built from.
    pub definitions: &'a Definitions,
}

/// The general advice, for a break that has no more specific advice.
pub(super) const KEEP_HELP: &str = "keep the old definition, and add a new one instead";

/// The advice for a field that is new and required, or that became required.
pub(super) const NO_REQUIRED_HELP: &str =
    "make the field optional: earlier payloads lack the field";

/// The properties that identify a field in payloads.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldIdentity {
    pub numbers: bool,
    pub names: bool,
    pub order: bool,
}

impl FieldIdentity {
    pub(super) fn of(old: &Contract, new: &Contract) -> Self {
        let layout = |layout| {
            let allows =
                |contract: &Contract| [Layout::Any, layout].contains(&contract.options.layout);
            allows(old) && allows(new)
        };
        match new.encoding {
            Encoding::Protobuf => Self {
                numbers: true,
                names: false,
                order: false,
            },
            Encoding::Json => Self {
                numbers: false,
                names: true,
                order: false,
            },
            Encoding::Msgpack => Self {
                numbers: false,
                names: layout(Layout::Map),
                order: layout(Layout::Array),
            },
        }
    }
}

/// One of the two generations of `.proto` files.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub table: &'a Table,
    pub definitions: &'a Definitions,
}

impl<'a> Side<'a> {
    pub(super) fn of(defined: Defined<'a>) -> Self {
        Self {
            table: &defined.schema.contract().table,
            definitions: defined.definitions,
        }
    }

    pub(super) fn message(self, id: MessageId) -> (&'a Message, Option<&'a Definition>) {
        let message = &self.table[id];
        (message, self.definitions.messages.get(&*message.name))
    }
}

/// A message type, and the later message type that replaced it.
pub(super) struct Pair {
    pub old: MessageId,
    pub new: MessageId,
    pub path: String,
}

/// The comparison of two schemas.
pub(super) struct Comparison<'a> {
    pub old: Side<'a>,
    pub new: Side<'a>,
    pub identity: FieldIdentity,
    /// Set if the later schema rejects unknown fields.
    pub strict: bool,
    /// The pairs of message types that are still to be compared.
    pub open: Vec<Pair>,
    /// The pairs of message types that were compared.
    pub seen: BTreeSet<(MessageId, MessageId)>,
    /// The pairs of enums that were compared, by their indices in the tables.
    pub enums: BTreeSet<(u32, u32)>,
    pub found: Vec<BreakingChange>,
}

/// The two messages that are being compared, and the places of their definitions.
pub(super) struct MessagePair<'a> {
    pub old: &'a Message,
    pub new: &'a Message,
    pub before: Option<&'a Definition>,
    pub after: Option<&'a Definition>,
    pub path: String,
}

impl MessagePair<'_> {
    /// Returns a break of the field `name`. In the later files, the place of the break is the field
    /// `now`, or the message if it has no such field.
    pub(super) fn field(
        &self,
        name: &str,
        now: &str,
        what: String,
        help: impl Into<String>,
    ) -> BreakingChange {
        BreakingChange {
            subject: format!("{}.{name}", self.old.name),
            what,
            path: join(&self.path, name),
            before: self.before.and_then(|definition| definition.place_of(name)),
            after: self.after.and_then(|definition| definition.place_of(now)),
            help: help.into(),
        }
    }

    /// Returns a break of the message as a whole.
    pub(super) fn whole(&self, what: &str, help: &str) -> BreakingChange {
        BreakingChange {
            subject: self.old.name.to_string(),
            what: what.to_owned(),
            path: self.path.clone(),
            before: self.before.and_then(|definition| definition.place.clone()),
            after: self.after.and_then(|definition| definition.place.clone()),
            help: help.to_owned(),
        }
    }
}

pub(super) fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}
