//! Where in a payload that the walk has passed a path leads: for a rule that is broken there. Cold.

use super::head::Reader;
use super::keys::key;
use super::text::Text;
use crate::contract::Contract;
use crate::table::Cardinality;
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
    *at = reader.token();
    for step in path {
        let index = message.by_name(&step.field);
        let named = |key: Text| index.is_some() && message.by_name(&key.decoded()) == index;
        let (Some(index), true) = (index, member(&mut reader, named)?) else {
            break;
        };
        *at = reader.token();
        let field = &message.fields[index as usize];
        let mut kind = field.kind;
        if let Some(inside) = &step.inside {
            let entry = kind.message().map(|id| &*table[id].fields);
            let there = match (field.cardinality, entry) {
                (Cardinality::Map, Some([of_key, of_value])) => {
                    kind = of_value.kind;
                    let same = |text: Text| {
                        let key = key(of_key.kind, text);
                        key.is_some_and(|key| key.segment() == *inside)
                    };
                    member(&mut reader, same)?
                }
                _ => element(&mut reader, inside)?,
            };
            if !there {
                break;
            }
            *at = reader.token();
        }
        let Some(id) = kind.message() else { break };
        message = &table[id];
    }
    Ok(())
}

/// Gets to the value of the member of an object whose key is `wanted`; false if there is none.
fn member(reader: &mut Reader, wanted: impl Fn(Text) -> bool) -> Checked<bool> {
    if reader.next() != Some(b'{') {
        return Ok(false);
    }
    reader.head()?;
    let mut more = reader.opened(b'}');
    while more {
        reader.token();
        if wanted(reader.key()?) {
            return Ok(true);
        }
        reader.skip(u32::MAX)?;
        more = reader.another(b'}')?;
    }
    Ok(false)
}

/// Gets to the element of an array that `place`, as `[3]`, names; false if there is none.
fn element(reader: &mut Reader, place: &str) -> Checked<bool> {
    let place = place.trim_matches(['[', ']']).parse::<usize>();
    let (Ok(mut left), Some(b'[')) = (place, reader.next()) else {
        return Ok(false);
    };
    reader.head()?;
    let mut more = reader.opened(b']');
    while more && left > 0 {
        reader.skip(u32::MAX)?;
        left -= 1;
        more = reader.another(b']')?;
    }
    Ok(more)
}
