//! Required paths, which are field names separated by dots. This module adds a required path to the
//! `Needs` of a schema, the tree of the fields that a payload must contain.
//!
//! An error names the part of the path that does not resolve. The caller renders the error for
//! people.

use std::fmt;

use crate::contract::Contract;
use crate::needs::Needs;
use crate::options::Encoding;
use crate::table::{Cardinality, Form};

/// The field presence, as Protocol Buffers defines it, of a required field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// A writer that sets the field writes the field, even if the value is zero or empty.
    Explicit,
    /// A protobuf or ProtoJSON writer omits the field if the value is zero or empty, so a message
    /// with such a value is rejected. Lists, maps, and proto3 fields without `optional` have
    /// implicit presence.
    Implicit,
}

/// The maximum number of segments of a required path. The needs of a schema are as deep as its
/// longest path, and several functions recurse over them. Payloads are rarely deeper than a tenth
/// of this.
const SEGMENTS_MAX: usize = 100;

/// The reason why a required path names no field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequireError {
    /// A segment of the path is not the name of a field of the message that contains this segment.
    UnknownField {
        /// The segment.
        segment: String,
        /// The fully qualified name of the message.
        message: String,
        /// The names of the message's fields, for a suggestion.
        fields: Vec<String>,
    },
    /// A segment before the last names a field whose type has no fields.
    NotAMessage {
        /// The segment.
        segment: String,
        /// The type of the field that the segment names.
        kind: String,
    },
    /// The path has more than 100 segments.
    TooLong,
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
            RequireError::TooLong => write!(f, "the path has more than {SEGMENTS_MAX} segments"),
        }
    }
}

impl std::error::Error for RequireError {}

/// Adds the field at `path` to the needs of `contract`; see
/// [`Schema::require`](crate::Schema::require).
pub(crate) fn require(contract: &mut Contract, path: &str) -> Result<Presence, RequireError> {
    if path.split('.').nth(SEGMENTS_MAX).is_some() {
        return Err(RequireError::TooLong);
    }
    let mut needs = contract.needs.clone();
    let presence = resolve(contract, path, &mut needs)?;
    contract.needs = needs;
    Ok(presence)
}

fn resolve(
    contract: &Contract,
    path: &str,
    mut needs: &mut Needs,
) -> Result<Presence, RequireError> {
    let table = &*contract.table;
    let mut message = &table[contract.root];
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
            let is_omitted = field.implicit || field.cardinality != Cardinality::Singular;
            if is_omitted && contract.encoding != Encoding::Msgpack {
                presence = Presence::Implicit;
            }
            break;
        }
        let mut kind = field.kind;
        let mut index = index;
        if let (Cardinality::Map, Some(entry)) = (field.cardinality, kind.message()) {
            needs = needs.child_mut(index, &table[entry].needs);
            // The value is the second field of every entry, so its index is 1.
            index = 1;
            kind = table[entry].fields[1].kind;
        }
        let inner = kind
            .message()
            .filter(|id| has_fields(contract.encoding, table[*id].form));
        let id = inner.ok_or_else(|| RequireError::NotAMessage {
            segment: segment.to_owned(),
            kind: kind.label(table).to_owned(),
        })?;
        if field.cardinality == Cardinality::Map {
            needs.require(index);
        }
        needs = needs.child_mut(index, &table[id].needs);
        message = &table[id];
    }
    Ok(presence)
}

/// Returns whether `encoding` writes messages of this form field by field.
fn has_fields(encoding: Encoding, form: Form) -> bool {
    let is_free_form = matches!(form, Form::Struct | Form::Value | Form::ListValue);
    match encoding {
        Encoding::Protobuf => true,
        Encoding::Msgpack => !is_free_form,
        Encoding::Json => !is_free_form && form != Form::Any,
    }
}
