//! `require: [field.path]`: names from `routes.yaml` → the tree of needs that a walk follows.
//!
//! Resolves, and says precisely what does not resolve; rendering it for people is the caller's.

use std::fmt;

use super::table::{Cardinality, Form};
use super::{Encoding, Schema};

/// Whether the presence of a required field can be seen on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// A writer that sets the field writes it, whatever its value.
    Explicit,
    /// A protobuf or ProtoJSON writer leaves the field out when it holds zero or nothing (proto3
    /// without `optional`, and empty lists and maps), so a message with a zero there would be refused.
    Implicit,
}

/// A path that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequireError {
    /// A segment is no field of the message it was looked up in.
    UnknownField {
        /// The part of the path that is wrong.
        segment: String,
        /// The message without such a field.
        message: String,
        /// That message's field names.
        fields: Vec<String>,
    },
    /// A segment that is not the last names a field without fields of its own.
    NotAMessage {
        /// The field that ends the path early.
        segment: String,
        /// Its type.
        kind: String,
    },
}

impl fmt::Display for RequireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequireError::UnknownField {
                segment, message, ..
            } => write!(f, "message \"{message}\" has no field \"{segment}\""),
            RequireError::NotAMessage { segment, kind } => {
                write!(
                    f,
                    "field \"{segment}\" is of type {kind}, which has no fields"
                )
            }
        }
    }
}

impl std::error::Error for RequireError {}

impl Schema {
    /// Requires the field at `path` (proto or JSON names, with dots) to be present, and each message
    /// on the way to it; below a repeated or a map field, in each of its elements.
    ///
    /// In protobuf a field is present if its tag is, in MessagePack and JSON if its key or place is and
    /// holds no nil or null. A failed call changes nothing.
    pub fn require(&mut self, path: &str) -> Result<Presence, RequireError> {
        let mut needs = self.needs.clone();
        let presence = self.resolve(path, &mut needs)?;
        self.needs = needs;
        Ok(presence)
    }

    fn resolve(&self, path: &str, mut needs: &mut super::Needs) -> Result<Presence, RequireError> {
        let table = &*self.table;
        let mut message = &table[self.root];
        let mut segments = path.split('.').peekable();
        let mut presence = Presence::Explicit;
        while let Some(segment) = segments.next() {
            let index = message.by_name(segment);
            let index = index.ok_or_else(|| RequireError::UnknownField {
                segment: segment.to_owned(),
                message: message.name.to_string(),
                fields: message.field_names().map(str::to_owned).collect(),
            })?;
            let field = &message.fields[index as usize];
            needs.require(index);
            if segments.peek().is_none() {
                let unseen = field.implicit || field.cardinality != Cardinality::Singular;
                if unseen && self.encoding != Encoding::Msgpack {
                    presence = Presence::Implicit;
                }
                break;
            }
            let mut kind = field.kind;
            let mut index = index;
            if let (Cardinality::Map, Some(entry)) = (field.cardinality, kind.message()) {
                needs = needs.child_mut(table, index, entry);
                // The value lies second in every entry.
                index = 1;
                kind = table[entry].fields[1].kind;
            }
            let inner = kind.message().filter(|id| self.has_fields(table[*id].form));
            let id = inner.ok_or_else(|| RequireError::NotAMessage {
                segment: segment.to_owned(),
                kind: kind.label(table).to_owned(),
            })?;
            if field.cardinality == Cardinality::Map {
                needs.require(index);
            }
            needs = needs.child_mut(table, index, id);
            message = &table[id];
        }
        Ok(presence)
    }

    /// Whether this encoding writes messages of such a form by their fields.
    fn has_fields(&self, form: Form) -> bool {
        let free = matches!(form, Form::Struct | Form::Value | Form::ListValue);
        match self.encoding {
            Encoding::Protobuf => true,
            Encoding::Msgpack => !free,
            Encoding::Json => !free && form != Form::Any,
        }
    }
}
