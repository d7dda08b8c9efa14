//! Adds the element of a repeated field, or the key of a map entry, to the path of a violation.
//!
//! Walks do not count elements, because counting would slow down the check of valid payloads. After
//! a violation, [`locate`] reads the message with the violation again, up to the faulty record.

use super::open::OpenMessage;
use super::wire::{Records, WireReader};
use crate::table::{Cardinality, Field, FieldKind, Table, wire as wire_type};
use crate::violation::{Fault, excerpt};

/// Adds the path segment of a field to the path of a violation. The field is field `index` of the
/// open message, and the field's record at `at` holds the violation.
#[cold]
pub(super) fn locate(
    fault: Box<Fault>,
    table: &Table,
    open: &OpenMessage,
    index: u32,
    reader: &WireReader,
    at: usize,
) -> Box<Fault> {
    let message = open.scope.message;
    let field = &message.fields[index as usize];
    // The entry of a map adds no segment. The field of the map adds the segment of the key.
    if message.map_entry {
        return fault;
    }
    let segment = match field.cardinality {
        Cardinality::Singular => None,
        Cardinality::Repeated => {
            let index = element_index(&reader.rewound(open.start), field, at, fault.offset);
            Some(format!("[{index}]"))
        }
        Cardinality::Map => map_key(table, field, reader.rewound(at)),
    };
    match segment {
        Some(segment) => fault.under(segment).under(&*field.name),
        None => fault.under(&*field.name),
    }
}

/// Returns the index of the element that holds a violation. The index is the number of the field's
/// elements in the records before `at`, plus the number of elements before `offset` in a packed run
/// at `at`.
fn element_index(start: &WireReader, field: &Field, at: usize, offset: usize) -> usize {
    let mut elements = 0;
    for record in Records::from(start.clone()) {
        if record.number != field.number {
            continue;
        }
        let packed = record.wire == wire_type::LEN && field.packable;
        elements += match (packed, record.value.clone().body()) {
            (true, Ok(run)) if record.at == at => run.elements_before(offset, field.wire),
            (true, Ok(run)) => run.elements_before(usize::MAX, field.wire),
            _ => usize::from(record.at < at),
        };
        if record.at == at {
            break;
        }
    }
    elements
}

/// Returns the path segment of a map entry's key, such as `["k"]` or `[7]`, or `None` if the key
/// cannot be read. `reader` must be at the tag of the entry.
pub(crate) fn map_key(table: &Table, field: &Field, mut reader: WireReader) -> Option<String> {
    reader.tag().ok()?;
    let entry = &table[field.kind.message()?];
    let kind = entry.fields.first()?.kind;
    let mut key = match kind {
        FieldKind::String { .. } => "\"\"".to_owned(),
        FieldKind::Bool => "false".to_owned(),
        _ => "0".to_owned(),
    };
    let last = Records::from(reader.body().ok()?)
        .filter(|record| record.number == 1)
        .last();
    if let Some(mut record) = last {
        let value = &mut record.value;
        let fixed = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |n, byte| n << 8 | u64::from(*byte))
        };
        key = match (kind, record.wire) {
            (FieldKind::String { utf8 }, wire_type::LEN) => {
                let text = value.delimited().ok()?;
                if utf8 {
                    std::str::from_utf8(text).ok()?;
                }
                excerpt(text)
            }
            (FieldKind::Bool, wire_type::VARINT) => (value.varint().ok()? != 0).to_string(),
            (FieldKind::Int32, wire_type::VARINT) => (value.varint().ok()? as i32).to_string(),
            (FieldKind::Int64, wire_type::VARINT) => (value.varint().ok()? as i64).to_string(),
            (FieldKind::Uint32, wire_type::VARINT) => (value.varint().ok()? as u32).to_string(),
            (FieldKind::Uint64, wire_type::VARINT) => value.varint().ok()?.to_string(),
            (FieldKind::Sint32 | FieldKind::Sint64, wire_type::VARINT) => {
                let zigzag = value.varint().ok()?;
                ((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)).to_string()
            }
            (FieldKind::Fixed32, wire_type::I32) => fixed(value.take(4).ok()?).to_string(),
            (FieldKind::Sfixed32, wire_type::I32) => {
                (fixed(value.take(4).ok()?) as i32).to_string()
            }
            (FieldKind::Fixed64, wire_type::I64) => fixed(value.take(8).ok()?).to_string(),
            (FieldKind::Sfixed64, wire_type::I64) => {
                (fixed(value.take(8).ok()?) as i64).to_string()
            }
            _ => return None,
        };
    }
    Some(format!("[{key}]"))
}
