#![forbid(unsafe_code)]
//! What a payload must look like: an encoding and a message of the compiled `.proto` files.
//!
//! `.proto` files → [`compile`] → descriptors → `table` → a [`Schema`] for each route, which the
//! walks (`protobuf`, `msgpack`, `json`) hold payloads against. Schema knows no sockets, no routes, no
//! clock; a payload can never make it panic, allocate without bound or recurse beyond `depth`.

pub mod breaking;

mod json;
mod keys;
mod msgpack;
mod named;
mod needs;
mod protobuf;
mod require;
mod rules;
mod table;
mod text;
mod violation;

use std::sync::Arc;

pub use gateway_proto::Definitions;
use needs::Needs;
pub use require::{Presence, RequireError};
pub use rules::Ruler;
use rules::Rules;
pub use table::{MessageId, Table};
use violation::Checked;
pub use violation::Violation;

/// How a payload's bytes are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Protocol Buffers' binary wire format.
    Protobuf,
    /// MessagePack, by the same `.proto` message.
    Msgpack,
    /// JSON as ProtoJSON has it, by the same `.proto` message.
    Json,
}

impl Encoding {
    /// The word of `routes.yaml`, logs and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Encoding::Protobuf => "protobuf",
            Encoding::Msgpack => "msgpack",
            Encoding::Json => "json",
        }
    }
}

/// What becomes of fields that the message does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UnknownFields {
    /// They pass, if they are well-formed.
    #[default]
    Allow,
    /// They are violations; so is a number that a closed enum does not have.
    Reject,
}

/// How MessagePack may write a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Keyed by field name.
    Map,
    /// Values in declaration order.
    Array,
    /// Either, each message for itself.
    #[default]
    Any,
}

/// What a route says about its schema beside encoding and message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// What becomes of fields that the message does not have.
    pub unknown_fields: UnknownFields,
    /// How MessagePack may write a message; nothing to the other encodings.
    pub layout: Layout,
    /// Whether [`Violation::others`] says what else is wrong.
    pub all_violations: bool,
}

/// What a route's payloads are held against.
#[derive(Clone, Debug)]
pub struct Schema {
    encoding: Encoding,
    table: Arc<Table>,
    root: MessageId,
    options: Options,
    /// What the root needs: its own required fields and the `require` paths.
    needs: Needs,
    /// What buf.validate asks of the root and what is below it; none if nothing.
    rules: Option<Rules>,
}

/// Whether two read alike in routes.yaml. What the message is made of may differ.
impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            encoding,
            table: _,
            root: _,
            options,
            needs,
            rules: _,
        } = self;
        *encoding == other.encoding
            && self.message_name() == other.message_name()
            && *options == other.options
            && *needs == other.needs
    }
}

impl Eq for Schema {}

impl Schema {
    /// A schema for the message `root` of `table`.
    pub fn new(encoding: Encoding, table: Arc<Table>, root: MessageId, options: Options) -> Self {
        let needs = table[root].needs.clone();
        Self {
            encoding,
            table,
            root,
            options,
            needs,
            rules: None,
        }
    }

    /// Holds payloads, of at most so many bytes, against these rules too; false if they were built for other
    /// messages.
    #[must_use]
    pub fn enforce(&mut self, ruler: &Arc<Ruler>, bytes: u64) -> bool {
        self.rules = ruler.rules(self.message_name(), bytes);
        self.rules.is_some()
    }

    /// The encoding that payloads must have.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What it is made of beside its encoding: alike only within one generation.
    pub fn identity(&self) -> (MessageId, Options) {
        (self.root, self.options)
    }

    /// The fully qualified name of the message that payloads must hold.
    pub fn message_name(&self) -> &str {
        self.table.name(self.root)
    }

    /// Whether `payload` is one whole, well-formed message of this schema; if not, the first thing
    /// that is wrong with it.
    ///
    /// `depth` is how many levels of messages may lie within each other below the root. It bounds
    /// the recursion, so the caller keeps it to what its stack holds: 1000 on 2 MiB.
    pub fn check(&self, payload: &[u8], depth: u32) -> Result<(), Violation> {
        let walked = match self.walk::<violation::First>(payload, depth) {
            Ok(()) => Ok(()),
            // A second walk, of a payload that is refused anyway.
            Err(_) if self.options.all_violations => {
                let verdict = self.walk::<violation::All>(payload, depth);
                verdict.map_err(|fault| fault.into_violation(true))
            }
            Err(fault) => Err(fault.into_violation(false)),
        };
        match &self.rules {
            None => walked,
            Some(rules) => walked.and_then(|()| rules.check(self, payload)),
        }
    }

    #[inline]
    fn walk<G: violation::Gather>(&self, payload: &[u8], depth: u32) -> Checked<()> {
        match self.encoding {
            Encoding::Protobuf => protobuf::check::<G>(self, payload, depth),
            Encoding::Msgpack => msgpack::check::<G>(self, payload, depth),
            Encoding::Json => json::check::<G>(self, payload, depth),
        }
    }

    fn root(&self) -> Scope<'_> {
        Scope {
            message: &self.table[self.root],
            needs: &self.needs,
        }
    }
}

/// One occurrence of a message in a payload: its type, and what it must hold in this place.
#[derive(Clone, Copy)]
struct Scope<'a> {
    message: &'a table::Message,
    needs: &'a Needs,
}

impl<'a> Scope<'a> {
    /// The message of type `id` in field `index` of this one.
    #[inline]
    fn child(self, table: &'a Table, index: u32, id: MessageId) -> Self {
        let message = &table[id];
        let needs = self.needs.child(index).unwrap_or(&message.needs);
        Self { message, needs }
    }

    /// That every field that must be present is in `seen`; none where nothing must be.
    #[inline]
    fn complete(
        self,
        seen: Option<&needs::FieldSet>,
        offset: usize,
        faults: &mut impl violation::Gather,
    ) -> Checked<()> {
        let Some(seen) = seen else { return Ok(()) };
        for index in self.needs.missing(seen) {
            faults.keep(self.lacks(index, offset), || Ok(()))?;
        }
        Ok(())
    }

    #[cold]
    fn lacks(self, index: u32, offset: usize) -> Box<violation::Fault> {
        let name = &*self.message.fields[index as usize].name;
        let fault = violation::Fault::new(offset, "a value, for it is required", "none").behind();
        // A map entry is not a level of the path.
        match self.message.map_entry {
            true => fault,
            false => fault.under(name),
        }
    }
}
