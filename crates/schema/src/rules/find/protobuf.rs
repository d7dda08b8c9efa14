//! The same for protobuf, which keys fields by number, and where the last of several records counts.

use crate::contract::Contract;
use crate::protobuf::locate::map_key;
use crate::protobuf::wire::{Records, WireReader};
use crate::table::{Cardinality, Field, wire as wire_type};
use crate::violation::Step;

/// As deep as a walk may go.
const DEPTH: u32 = 1000;

/// Returns the byte of the value at `path`, or of the last message on the way to it that is there.
pub(super) fn offset(contract: &Contract, payload: &[u8], path: &[Step]) -> usize {
    let table = &contract.table;
    let mut message = &table[contract.root];
    let mut body = WireReader::new(payload);
    let mut at = 0;
    for step in path {
        // A oneof, or a field that isn't there.
        let Some(index) = message.by_name(&step.field) else {
            break;
        };
        let field = &message.fields[index as usize];
        let (mut kind, mut tag_wire) = (field.kind, field.wire);
        let value = match (&step.inside, field.cardinality) {
            (Some(key), Cardinality::Map) => {
                let of_key = |reader: WireReader| map_key(table, field, reader);
                let entry = last(&body, field.number, |reader| {
                    of_key(reader).as_ref() == Some(key)
                });
                let entry = entry.and_then(|mut value| value.body().ok());
                let of = field.kind.message().map(|id| &table[id]);
                let of_value = of.and_then(|entry| entry.fields.get(1));
                if let Some(of_value) = of_value {
                    (kind, tag_wire) = (of_value.kind, of_value.wire);
                }
                // An entry without a value holds none to point at.
                entry.map(|entry| match last(&entry, 2, |_| true) {
                    Some(value) => value,
                    None => {
                        tag_wire = wire_type::START_GROUP;
                        entry
                    }
                })
            }
            (Some(place), _) => element(&body, field, place),
            (None, _) => last(&body, field.number, |_| true),
        };
        let Some(mut value) = value else { break };
        at = value.at();
        let Some(id) = kind.message() else { break };
        if tag_wire == wire_type::LEN {
            let Ok(inner) = value.body() else { break };
            value = inner;
        }
        at = value.at();
        (message, body) = (&table[id], value);
    }
    at
}

/// Returns the value of the last record of this number that `is` accepts at its tag: the one that counts.
fn last<'a>(
    body: &WireReader<'a>,
    number: u32,
    is: impl Fn(WireReader<'a>) -> bool,
) -> Option<WireReader<'a>> {
    let records = Records::from(body.clone()).filter(|record| record.number == number);
    let records = records.filter(|record| is(body.rewound(record.at)));
    records.last().map(|record| record.value)
}

/// Returns the element that `place`, as `[3]`, names.
fn element<'a>(body: &WireReader<'a>, field: &Field, place: &str) -> Option<WireReader<'a>> {
    let place = place.trim_matches(['[', ']']);
    let mut left: usize = place.parse().ok()?;
    for record in Records::from(body.clone()) {
        if record.number != field.number {
            continue;
        }
        if record.wire != wire_type::LEN || !field.packable {
            if left == 0 {
                return Some(record.value);
            }
            left -= 1;
            continue;
        }
        let mut run = record.value.clone().body().ok()?;
        while !run.is_empty() {
            if left == 0 {
                return Some(run);
            }
            left -= 1;
            run.skip(field.number, field.wire, DEPTH).ok()?;
        }
    }
    None
}
