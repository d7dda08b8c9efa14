//! The messages and enums of a table, as the CEL compiler looks them up.

use std::collections::HashMap;
use std::sync::Arc;

use gateway_cel::{Budget, Constant, ErrorKind, Field, Kind, Label, MessageId, Schema, Value};
use gateway_proto::Descriptors;
use rustc_hash::FxHashMap;

use crate::table::{self, Cardinality, FieldKind, Table};

/// The messages and enums of a [`Table`].
pub(super) struct TableSchema {
    table: Arc<Table>,
    /// The numbers of enum values by their full names.
    values: HashMap<String, i32>,
    /// The defaults that fields declare, by message and index.
    defaults: FxHashMap<(u32, u32), Constant>,
}

impl TableSchema {
    /// Returns the schema of `table`, which was built from `descriptors`.
    pub(super) fn new(descriptors: &Descriptors, table: &Arc<Table>) -> Self {
        let mut values = HashMap::new();
        for one in &table.enums {
            for (name, number) in &one.names {
                values.insert(format!("{}.{name}", one.name), *number);
            }
        }
        Self {
            defaults: defaults(descriptors, table),
            table: Arc::clone(table),
            values,
        }
    }

    fn field_of(&self, id: MessageId, index: u32) -> Option<Field> {
        let message = self.table.messages.get(id.0 as usize)?;
        let field = message.fields.get(index as usize)?;
        let (kind, label) = match field.cardinality {
            Cardinality::Map => {
                let entry = &self.table[field.kind.message()?].fields;
                let [key, value] = &**entry else { return None };
                let label = Label::Map(kind(&self.table, key.kind));
                (kind(&self.table, value.kind), label)
            }
            Cardinality::Repeated => (kind(&self.table, field.kind), Label::Repeated),
            Cardinality::Singular if field.implicit => {
                (kind(&self.table, field.kind), Label::Implicit)
            }
            Cardinality::Singular => (kind(&self.table, field.kind), Label::Explicit),
        };
        Some(Field {
            name: field.name.trim_matches(['[', ']']).into(),
            index,
            kind,
            label,
            default: self.defaults.get(&(id.0, index)).cloned(),
        })
    }
}

impl Schema for TableSchema {
    fn message(&self, name: &str) -> Option<MessageId> {
        self.table.message(name).map(|id| MessageId(id.0))
    }

    fn message_name(&self, id: MessageId) -> &str {
        let message = self.table.messages.get(id.0 as usize);
        message.map_or("", |message| &message.name)
    }

    fn field(&self, id: MessageId, name: &str) -> Option<Field> {
        let message = self.table.messages.get(id.0 as usize)?;
        let written = if name.contains('.') {
            format!("[{name}]")
        } else {
            name.to_owned()
        };
        let index = message.by_name(&written)?;
        // An expression names a field as the `.proto` file does, not as JSON does.
        let known = *message.fields.get(index as usize)?.name == *written;
        known.then(|| self.field_of(id, index)).flatten()
    }

    fn fields(&self, id: MessageId) -> Vec<Field> {
        let message = self.table.messages.get(id.0 as usize);
        let count = message.map_or(0, |message| message.fields.len() as u32);
        (0..count)
            .filter_map(|index| self.field_of(id, index))
            .collect()
    }

    fn enum_value(&self, name: &str) -> Option<i32> {
        self.values.get(name).copied()
    }

    /// Returns an error, so that an `Any` that an expression builds remains an `Any`. The `Any`s of
    /// payloads are unpacked when they are read.
    fn unpack<'a>(
        &'a self,
        type_url: &str,
        _: &[u8],
        _: &mut Budget,
    ) -> Result<Value<'a>, ErrorKind> {
        Err(ErrorKind::invalid(format!("{type_url} is not unpacked")))
    }
}

/// Returns the CEL kind of the values of a field. For a list, this is the kind of its elements.
pub(super) fn kind(table: &Table, kind: FieldKind) -> Kind {
    match kind {
        FieldKind::Double => Kind::Double,
        FieldKind::Float => Kind::Float,
        FieldKind::Int32 | FieldKind::Sint32 | FieldKind::Sfixed32 => Kind::Int32,
        FieldKind::Int64 | FieldKind::Sint64 | FieldKind::Sfixed64 => Kind::Int64,
        FieldKind::Uint32 | FieldKind::Fixed32 => Kind::Uint32,
        FieldKind::Uint64 | FieldKind::Fixed64 => Kind::Uint64,
        FieldKind::Bool => Kind::Bool,
        FieldKind::String { .. } => Kind::String,
        FieldKind::Bytes => Kind::Bytes,
        FieldKind::Enum(_) => Kind::Enum,
        FieldKind::Message(id) | FieldKind::Group(id) => {
            Kind::message(table.name(id), MessageId(id.0))
        }
    }
}

fn defaults(descriptors: &Descriptors, table: &Table) -> FxHashMap<(u32, u32), Constant> {
    let mut defaults = FxHashMap::default();
    for name in table.message_names() {
        let (Some(id), Some(message)) = (table.message(name), descriptors.message(name)) else {
            continue;
        };
        for field in &message.field {
            let index = table[id].by_number(field.number() as u32);
            let (Some(written), Some(index)) = (&field.default_value, index) else {
                continue;
            };
            let table_field = &table[id].fields[index as usize];
            if let Some(value) = constant(table, table_field, written) {
                defaults.insert((id.0, index), value);
            }
        }
    }
    defaults
}

/// Returns the default value of a field, parsed from its text in a descriptor, or `None` if the
/// text is not a value of the field's type.
fn constant(table: &Table, field: &table::Field, written: &str) -> Option<Constant> {
    Some(match field.kind {
        FieldKind::Double | FieldKind::Float => Constant::Double(written.parse().ok()?),
        FieldKind::Bool => Constant::Bool(written == "true"),
        FieldKind::String { .. } => Constant::String(written.into()),
        FieldKind::Bytes => Constant::Bytes(gateway_proto::unescaped(written).into()),
        FieldKind::Enum(id) => Constant::Int(i64::from(*table[id].names.get(written)?)),
        FieldKind::Uint32 | FieldKind::Uint64 | FieldKind::Fixed32 | FieldKind::Fixed64 => {
            Constant::Uint(written.parse().ok()?)
        }
        FieldKind::Message(_) | FieldKind::Group(_) => return None,
        _ => Constant::Int(written.parse().ok()?),
    })
}
