//! The fields that rules read.

use rustc_hash::FxHashMap;

use crate::table::{Cardinality, Field, FieldKind, Form, Message, MessageId, Table};

/// The maximum number of wanted fields of a message that is read as [flat](WantedFields::is_flat).
/// The indices of these fields are searched one by one.
const FLAT_MAX: usize = 32;

/// The fields that rules read, and the message fields that contain such fields, by message type.
#[derive(Debug, Default)]
pub(in crate::rules) struct Wanted {
    /// True if a rule may read any field.
    pub all: bool,
    fields: FxHashMap<u32, WantedFields>,
}

/// The fields of one message type that rules read, and the fields that contain such fields.
#[derive(Debug, Default)]
pub(super) struct WantedFields {
    /// The indices of the fields, in ascending order.
    pub indices: Vec<u32>,
    /// True if there are at most [`FLAT_MAX`] fields and all of them are singular scalars outside
    /// oneofs. A value then only replaces an earlier value of the same field.
    pub is_flat: bool,
}

impl WantedFields {
    /// Returns whether the field of this index is wanted.
    pub(super) fn has(&self, index: u32) -> bool {
        self.indices.binary_search(&index).is_ok()
    }
}

/// The empty set of wanted fields, for a message from which rules read no field.
static NONE: WantedFields = WantedFields {
    indices: Vec::new(),
    is_flat: true,
};

impl Wanted {
    /// Adds a field of a message.
    pub(crate) fn insert(&mut self, message: u32, index: u32) {
        let fields = &mut self.fields.entry(message).or_default().indices;
        if let Err(at) = fields.binary_search(&index) {
            fields.insert(at, index);
        }
    }

    /// Sets [`WantedFields::is_flat`] of each message type. Must be called after all fields were
    /// added.
    pub(crate) fn finish(&mut self, table: &Table) {
        for (id, wanted) in &mut self.fields {
            let fields = &table[MessageId(*id)].fields;
            let is_scalar = |index: &u32| {
                let field = &fields[*index as usize];
                let is_message = field.kind.message().is_some();
                field.cardinality == Cardinality::Singular && !is_message && field.oneof.is_none()
            };
            let few = wanted.indices.len() <= FLAT_MAX;
            wanted.is_flat = few && wanted.indices.iter().all(is_scalar);
        }
    }

    /// Returns whether all wanted fields of a message of type `id` are scalars, and all wanted
    /// strings are known to be UTF-8 because the walk has checked them.
    pub(crate) fn is_sound(&self, id: MessageId, message: &Message) -> bool {
        let is_sound = |field: &Field| {
            field.kind.message().is_none() && field.kind != FieldKind::String { utf8: false }
        };
        match self.of(id, message) {
            Some(wanted) => {
                let mut fields = wanted.indices.iter();
                wanted.is_flat && fields.all(|index| is_sound(&message.fields[*index as usize]))
            }
            // Any field may be read.
            None => message.fields.iter().all(is_sound),
        }
    }

    /// Returns the wanted fields of a message, or `None` if all fields are wanted.
    ///
    /// All fields of a map entry are wanted. All fields of a well-known type with a special form
    /// are wanted, too.
    pub(super) fn of(&self, id: MessageId, message: &Message) -> Option<&WantedFields> {
        if self.all || message.form != Form::Fields || message.map_entry {
            return None;
        }
        Some(self.fields.get(&id.0).unwrap_or(&NONE))
    }
}
