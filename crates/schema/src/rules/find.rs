//! The byte at which the value of a path begins, in a payload that the walk has passed: for a rule that the
//! value breaks.

mod protobuf;

use prost_reflect::Value;

use super::source::json::JsonSource;
use super::source::msgpack::MsgpackSource;
use super::source::{Shape, Source};
use crate::contract::Contract;
use crate::options::Encoding;
use crate::table::{Cardinality, FieldKind, Message};
use crate::violation::{Checked, Step, excerpt};

/// Returns the byte of the value at `path`, or of the last value on the way to it that is there.
pub(super) fn offset(contract: &Contract, payload: &[u8], path: &[Step]) -> usize {
    match contract.encoding {
        Encoding::Protobuf => protobuf::offset(contract, payload, path),
        Encoding::Msgpack => offset_in(contract, MsgpackSource::new(payload), path),
        Encoding::Json => offset_in(contract, JsonSource::new(payload), path),
    }
}

fn offset_in(contract: &Contract, mut source: impl Source, path: &[Step]) -> usize {
    let mut at = source.start();
    // The walk has read the payload from end to end, so there is no error to report.
    let _ = follow(contract, &mut source, path, &mut at);
    at
}

fn follow(
    contract: &Contract,
    source: &mut impl Source,
    path: &[Step],
    at: &mut usize,
) -> Checked<()> {
    let table = &contract.table;
    let mut message = &table[contract.root];
    for step in path {
        let Some(index) = message.by_name(&step.field) else {
            break;
        };
        if !go_to_field(source, message, index)? {
            break;
        }
        *at = source.start();
        let field = &message.fields[index as usize];
        let mut kind = field.kind;
        if let Some(inside) = &step.inside {
            let entry = kind.message().map(|id| &*table[id].fields);
            let found = match (field.cardinality, entry) {
                (Cardinality::Map, Some([of_key, of_value])) => {
                    kind = of_value.kind;
                    go_to_key(source, of_key.kind, inside)?
                }
                _ => go_to_element(source, inside)?,
            };
            if !found {
                break;
            }
            *at = source.start();
        }
        let Some(id) = kind.message() else { break };
        message = &table[id];
    }
    Ok(())
}

/// Reads up to the value of field `index`; false if the message, which comes next, lacks the field.
fn go_to_field(source: &mut impl Source, message: &Message, index: u32) -> Checked<bool> {
    let mut declared = match source.shape()? {
        Shape::Map => None,
        Shape::List => Some(message.declared.iter()),
        _ => return Ok(false),
    };
    let mut elements = source.open()?;
    while source.more(&mut elements)? {
        let next = match &mut declared {
            Some(declared) => declared.next().copied(),
            None => message.by_name(&source.name()?),
        };
        if next == Some(index) {
            return Ok(true);
        }
        source.skip()?;
    }
    Ok(false)
}

/// Reads up to the value of the key that `segment`, as `["k"]` or `[7]`, names; false if the map lacks the key.
fn go_to_key(source: &mut impl Source, kind: FieldKind, segment: &str) -> Checked<bool> {
    if source.shape()? != Shape::Map {
        return Ok(false);
    }
    let mut elements = source.open()?;
    while source.more(&mut elements)? {
        if key_segment(&source.key(kind)?) == segment {
            return Ok(true);
        }
        source.skip()?;
    }
    Ok(false)
}

/// Returns the segment of a path that names a key.
fn key_segment(key: &Value) -> String {
    match key {
        Value::String(text) => format!("[{}]", excerpt(text.as_bytes())),
        Value::Bool(value) => format!("[{value}]"),
        Value::I32(value) => format!("[{value}]"),
        Value::I64(value) => format!("[{value}]"),
        Value::U32(value) => format!("[{value}]"),
        Value::U64(value) => format!("[{value}]"),
        _ => String::new(),
    }
}

/// Reads up to the element that `segment`, as `[3]`, names; false if the list lacks the element.
fn go_to_element(source: &mut impl Source, segment: &str) -> Checked<bool> {
    let place = segment.trim_matches(['[', ']']).parse::<usize>();
    let (Ok(mut left), Shape::List) = (place, source.shape()?) else {
        return Ok(false);
    };
    let mut elements = source.open()?;
    while source.more(&mut elements)? {
        if left == 0 {
            return Ok(true);
        }
        left -= 1;
        source.skip()?;
    }
    Ok(false)
}
