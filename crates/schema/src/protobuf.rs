//! The protobuf walk: the check of a payload in protobuf's wire format against a message.
//!
//! The walk reads the bytes once and builds no data structure. If it finds no violation, it
//! allocates memory only for required fields of message types with more than 256 fields
//! (`needs.rs`). The walk rejects every payload that a protobuf parser must reject. It also rejects
//! known fields with a wrong wire type. The walk skips the content of a value that the schema does
//! not restrict, such as a value of type `bytes`.

pub(crate) mod costly;
pub(crate) mod locate;
mod open;
mod sets;
pub(crate) mod wire;

use std::marker::PhantomData;

use crate::contract::Contract;
use crate::needs::IndexSet;
use crate::options::UnknownFields;
use crate::scope::Scope;
use crate::table::{EnumId, Field, FieldKind, Message, MessageId, Table, wire as wire_type};
use crate::violation::{Checked, Fault, Gather, deeper};
use locate::locate;
use open::{NO_GROUP, OpenMessage};
use wire::{MESSAGE_SET_ITEM, WireReader, open_group, wrong_end};

/// Checks `payload` against `contract`. `G` decides whether to continue after the first violation.
pub(super) fn check<G: Gather>(contract: &Contract, payload: &[u8], depth: u32) -> Checked<()> {
    Walk::<G>::new(contract).message(
        &mut WireReader::new(payload),
        contract.root(),
        NO_GROUP,
        depth,
    )
}

/// The walk through one payload.
pub(crate) struct Walk<'a, G> {
    table: &'a Table,
    reject_unknown: bool,
    faults: PhantomData<G>,
}

impl<'a, G: Gather> Walk<'a, G> {
    /// Returns a walk that checks payloads against `contract`.
    pub(crate) fn new(contract: &'a Contract) -> Self {
        Self {
            table: &contract.table,
            reject_unknown: contract.options.unknown_fields == UnknownFields::Reject,
            faults: PhantomData,
        }
    }

    /// Reads a message up to the end of `reader`. A message that is a group ends with the end tag
    /// of the field number `group` instead.
    fn message(
        &self,
        reader: &mut WireReader,
        scope: Scope<'a>,
        group: u32,
        depth: u32,
    ) -> Checked<()> {
        let tracked = !scope.needs.is_empty();
        let mut open = OpenMessage {
            scope,
            start: reader.at(),
            group,
            depth,
            seen: tracked.then(IndexSet::default),
        };
        G::over(|faults| self.records(reader, &mut open, faults))
    }

    /// Reads the records of a message. The fast path ([`WireReader::plain_fields`]) reads most
    /// scalar fields, and the general path reads all other records.
    fn records(
        &self,
        reader: &mut WireReader,
        open: &mut OpenMessage<'a>,
        faults: &mut G,
    ) -> Checked<()> {
        let message = open.scope.message;
        loop {
            let seen = &mut open.seen;
            reader.plain_fields(&message.plain, self.reject_unknown, |number| {
                if let Some(seen) = seen {
                    // The fast path takes only known fields, so the look-up finds an index.
                    if let Some(index) = message.by_number(number) {
                        seen.insert(index);
                    }
                }
            });
            if reader.is_empty() {
                break;
            }
            let at = reader.at();
            let Some((index, id, mut body)) = plain_message(message, reader) else {
                match self.record(reader, open, faults)? {
                    true => return open.complete(faults),
                    false => continue,
                }
            };
            reader.leave(&body);
            if let Some(seen) = &mut open.seen {
                seen.insert(index);
            }
            // A message that is nested too deep is reported at the position of its length. Since
            // the tag is one byte, the length is at `at + 1`.
            let walked = deeper(open.depth, at + 1).and_then(|depth| {
                let child = open.scope.child(self.table, index, id);
                self.message(&mut body, child, NO_GROUP, depth)
            });
            if let Err(fault) = walked {
                let fault = locate(fault.inside_value(), self.table, open, index, reader, at);
                faults.keep(fault, || Ok(()))?;
            }
        }
        if open.group != NO_GROUP {
            return Err(open_group(reader.at(), open.group));
        }
        open.complete(faults)
    }

    /// Reads a record in any form. Returns whether the record is the end of the open group.
    #[inline(never)]
    fn record(
        &self,
        reader: &mut WireReader,
        open: &mut OpenMessage<'a>,
        faults: &mut G,
    ) -> Checked<bool> {
        let (scope, depth) = (open.scope, open.depth);
        let message = scope.message;
        let at = reader.at();
        let (number, wire) = reader.tag()?;
        if wire == wire_type::END_GROUP {
            return match number == open.group {
                true => Ok(true),
                false => Err(wrong_end(at, open.group, number)),
            };
        }
        let value = reader.at();
        if message.message_set && (number, wire) == (MESSAGE_SET_ITEM, wire_type::START_GROUP) {
            if let Err(fault) = self.item(reader, scope, at, depth) {
                let fault = fault.inside_value();
                faults.keep(fault, || reader.skip_from(value, number, wire, depth))?;
            }
        } else if let Some(index) = message.by_number(number) {
            if let Some(seen) = &mut open.seen {
                seen.insert(index);
            }
            if let Err(mut fault) = self.field(reader, scope, index, wire, at, depth) {
                if wire == wire_type::LEN {
                    fault = fault.inside_value();
                }
                fault = locate(fault, self.table, open, index, reader, at);
                faults.keep(fault, || reader.skip_from(value, number, wire, depth))?;
            }
        } else if self.reject_unknown {
            let fault = unknown_field(message, number, at);
            faults.keep(fault, || reader.skip_from(value, number, wire, depth))?;
        } else {
            reader.skip(number, wire, depth)?;
        }
        Ok(false)
    }

    /// Reads a record of a known field: an element, or a packed run of elements.
    #[inline]
    pub(crate) fn field(
        &self,
        reader: &mut WireReader,
        scope: Scope<'a>,
        index: u32,
        wire: u8,
        at: usize,
        depth: u32,
    ) -> Checked<()> {
        let field = &scope.message.fields[index as usize];
        if wire == field.wire {
            return self.element(reader, scope, index, field, depth);
        }
        if wire == wire_type::LEN && field.packable {
            return self.packed(&mut reader.body()?, field);
        }
        Err(self.wrong_wire(field, wire, at))
    }

    #[inline]
    fn element(
        &self,
        reader: &mut WireReader,
        scope: Scope<'a>,
        index: u32,
        field: &Field,
        depth: u32,
    ) -> Checked<()> {
        match field.kind {
            FieldKind::String { utf8: true } => {
                let text = reader.delimited()?;
                utf8(text, reader.at() - text.len())
            }
            FieldKind::Message(id) => {
                let depth = deeper(depth, reader.at())?;
                let child = scope.child(self.table, index, id);
                let mut body = reader.body()?;
                self.message(&mut body, child, NO_GROUP, depth)
            }
            FieldKind::Group(id) => {
                let depth = deeper(depth, reader.at())?;
                let child = scope.child(self.table, index, id);
                self.message(reader, child, field.number, depth)
            }
            FieldKind::Enum(id) if self.reject_unknown => self.enumeration(reader, id),
            _ => match field.wire {
                wire_type::VARINT => reader.varint().map(drop),
                wire_type::I64 => reader.take(8).map(drop),
                wire_type::I32 => reader.take(4).map(drop),
                _ => reader.delimited().map(drop),
            },
        }
    }

    fn packed(&self, run: &mut WireReader, field: &Field) -> Checked<()> {
        match (field.kind, field.wire) {
            (FieldKind::Enum(id), _) if self.reject_unknown => {
                while !run.is_empty() {
                    self.enumeration(run, id)?;
                }
                Ok(())
            }
            (_, wire_type::I64) => whole_elements(run, 8),
            (_, wire_type::I32) => whole_elements(run, 4),
            _ => run.varints(),
        }
    }

    /// Reads an enum value for a schema that rejects unknown fields. A number that a closed enum
    /// does not define is a violation, because parsers treat such a number as an unknown field.
    fn enumeration(&self, reader: &mut WireReader, id: EnumId) -> Checked<()> {
        let at = reader.at();
        let number = reader.varint()? as i32;
        let enum_type = &self.table[id];
        if enum_type.closed && !enum_type.knows(number) {
            let expected = format!("a value of enum {}", enum_type.name);
            return Err(Fault::new(at, expected, format!("the number {number}")));
        }
        Ok(())
    }

    #[cold]
    fn wrong_wire(&self, field: &Field, wire: u8, at: usize) -> Box<Fault> {
        let kind = field.kind.label(self.table);
        let expected = wire_type::label(field.wire);
        let or_packed = if field.packable { ", or packed" } else { "" };
        Fault::new(
            at,
            format!("{kind} ({expected}{or_packed})"),
            wire_type::label(wire),
        )
    }
}

/// Returns the index, type and body of the next field, if the field is a message with a tag of one
/// byte and a length of at most two bytes. Otherwise returns `None`.
#[inline]
pub(crate) fn plain_message<'p>(
    message: &Message,
    reader: &WireReader<'p>,
) -> Option<(u32, MessageId, WireReader<'p>)> {
    let (number, body) = reader.plain_body(&message.plain)?;
    let index = message.by_number(number)?;
    let id = message.fields[index as usize].kind.message()?;
    Some((index, id, body))
}

#[inline]
fn utf8(text: &[u8], at: usize) -> Checked<()> {
    crate::text::utf8(text)
        .map_err(|good| Fault::new(at + good, "a string in UTF-8", "bytes that are not UTF-8"))
}

#[inline]
fn whole_elements(run: &WireReader, size: usize) -> Checked<()> {
    match run.left() % size {
        0 => Ok(()),
        left => Err(Fault::truncated(run.at() + run.left() - left, size, left)),
    }
}

#[cold]
fn unknown_field(message: &Message, number: u32, at: usize) -> Box<Fault> {
    Fault::new(
        at,
        format!("a field of {}", message.name),
        format!("field number {number}"),
    )
}
