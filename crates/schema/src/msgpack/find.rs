//! Where in a payload that the walk has passed a path leads: for a rule that is broken there. Cold.

use super::head::{Head, Reader};
use super::keys::read;
use crate::contract::Contract;
use crate::table::{Cardinality, Message};
use crate::violation::{Checked, Step};

/// The byte of the value at `path`, or of the last value on the way to it that is there.
pub(crate) fn offset(contract: &Contract, payload: &[u8], path: &[Step]) -> usize {
    let mut at = 0;
    // It was read before, from end to end.
    let _ = follow(contract, payload, path, &mut at);
    at
}

fn follow(contract: &Contract, payload: &[u8], path: &[Step], at: &mut usize) -> Checked<()> {
    let table = &contract.table;
    let mut message = &table[contract.root];
    let mut reader = Reader::new(payload);
    for step in path {
        let Some(index) = message.by_name(&step.field) else {
            break;
        };
        if !field(&mut reader, message, index)? {
            break;
        }
        *at = reader.at();
        let field = &message.fields[index as usize];
        let mut kind = field.kind;
        if let Some(inside) = &step.inside {
            let entry = kind.message().map(|id| &*table[id].fields);
            let there = match (field.cardinality, entry, reader.head()?) {
                (Cardinality::Map, Some([key, value]), Head::Map(count)) => {
                    kind = value.kind;
                    let mut there = false;
                    for _ in 0..count {
                        there = read(table, &mut reader, key.kind)?.segment() == *inside;
                        if there {
                            break;
                        }
                        reader.skip(u32::MAX)?;
                    }
                    there
                }
                (Cardinality::Repeated, _, Head::Array(count)) => {
                    let place = inside.trim_matches(['[', ']']).parse();
                    let place = place.unwrap_or(count);
                    for _ in 0..place.min(count) {
                        reader.skip(u32::MAX)?;
                    }
                    place < count
                }
                _ => false,
            };
            if !there {
                break;
            }
            *at = reader.at();
        }
        let Some(id) = kind.message() else { break };
        message = &table[id];
    }
    Ok(())
}

/// Gets to the value of field `index` of a message in either layout; false if it isn't there.
fn field(reader: &mut Reader, message: &Message, index: u32) -> Checked<bool> {
    match reader.head()? {
        Head::Map(count) => {
            for _ in 0..count {
                let key = match reader.head()? {
                    Head::Str(text) => std::str::from_utf8(text).ok(),
                    _ => None,
                };
                if key.and_then(|key| message.by_name(key)) == Some(index) {
                    return Ok(true);
                }
                reader.skip(u32::MAX)?;
            }
            Ok(false)
        }
        Head::Array(count) => {
            for declared in message.declared.iter().take(count) {
                if *declared == index {
                    return Ok(true);
                }
                reader.skip(u32::MAX)?;
            }
            Ok(false)
        }
        _ => Ok(false),
    }
}
