//! The protobuf walk: a payload in protobuf's wire format against a message.
//!
//! Reads the bytes once, builds nothing, and allocates nothing unless it fails (but for required
//! fields of a message type with more than 256 fields, see `needs.rs`). It refuses what a
//! protobuf parser must refuse, and a known field on a wrong wire type. It never looks at a value
//! further than the schema asks.

mod find;
mod locate;
mod sets;
mod wire;

use std::marker::PhantomData;

use super::needs::FieldSet;
use super::table::{EnumId, Field, Kind, Message, Table, wire as wire_type};
use super::violation::{Checked, Fault, Gather, deeper};
use super::{Schema, Scope, UnknownFields};
pub(super) use find::offset;
use locate::locate;
use wire::{Reader, open_group, wrong_end};

/// Stands for "not in a group" where a group's number is asked for.
const NO_GROUP: u32 = 0;

/// The first thing wrong with `payload`.
pub(super) fn check<G: Gather>(schema: &Schema, payload: &[u8], depth: u32) -> Checked<()> {
    let walk = Walk {
        table: &schema.table,
        reject_unknown: schema.options.unknown_fields == UnknownFields::Reject,
        faults: PhantomData::<G>,
    };
    walk.message(&mut Reader::new(payload), schema.root(), NO_GROUP, depth)
}

struct Walk<'a, G> {
    table: &'a Table,
    reject_unknown: bool,
    faults: PhantomData<G>,
}

impl<'a, G: Gather> Walk<'a, G> {
    /// One message: all of `reader`, or up to the end of `group`.
    fn message(
        &self,
        reader: &mut Reader,
        scope: Scope<'a>,
        group: u32,
        depth: u32,
    ) -> Checked<()> {
        G::over(|faults| self.records(reader, scope, group, depth, faults))
    }

    fn records(
        &self,
        reader: &mut Reader,
        scope: Scope<'a>,
        group: u32,
        depth: u32,
        faults: &mut G,
    ) -> Checked<()> {
        let start = reader.at();
        let message = scope.message;
        let tracked = !scope.needs.is_empty();
        let mut seen = tracked.then(FieldSet::default);
        loop {
            match &mut seen {
                None => reader.quick(&message.quick, |_| {}),
                Some(seen) => reader.quick(&message.quick, |number| {
                    seen.insert(message.by_number(number).unwrap_or_default());
                }),
            }
            if reader.is_empty() {
                break;
            }
            let at = reader.at();
            let (number, wire) = reader.tag()?;
            if wire == wire_type::END_GROUP {
                if number != group {
                    return Err(wrong_end(at, group, number));
                }
                return scope.complete(seen.as_ref(), start, faults);
            }
            let value = reader.at();
            if message.message_set && (number, wire) == (sets::ITEM, wire_type::START_GROUP) {
                if let Err(fault) = self.item(reader, scope, at, depth) {
                    let fault = fault.within();
                    faults.keep(fault, || reader.pass(value, number, wire, depth))?;
                }
            } else if let Some(index) = message.by_number(number) {
                if let Some(seen) = &mut seen {
                    seen.insert(index);
                }
                if let Err(mut fault) = self.field(reader, scope, index, wire, at, depth) {
                    if wire == wire_type::LEN {
                        fault = fault.within();
                    }
                    let field = &message.fields[index as usize];
                    fault = locate(fault, self.table, message, field, reader, start, at);
                    faults.keep(fault, || reader.pass(value, number, wire, depth))?;
                }
            } else if self.reject_unknown {
                let fault = unknown_field(message, number, at);
                faults.keep(fault, || reader.pass(value, number, wire, depth))?;
            } else {
                reader.skip(number, wire, depth)?;
            }
        }
        if group != NO_GROUP {
            return Err(open_group(reader.at(), group));
        }
        scope.complete(seen.as_ref(), start, faults)
    }

    /// One record of a known field: an element, or a packed run of them.
    #[inline]
    fn field(
        &self,
        reader: &mut Reader,
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
        reader: &mut Reader,
        scope: Scope<'a>,
        index: u32,
        field: &Field,
        depth: u32,
    ) -> Checked<()> {
        match field.kind {
            Kind::String { utf8: true } => {
                let text = reader.delimited()?;
                utf8(text, reader.at() - text.len())
            }
            Kind::Message(id) => {
                let depth = deeper(depth, reader.at())?;
                let child = scope.child(self.table, index, id);
                let mut body = reader.body()?;
                self.message(&mut body, child, NO_GROUP, depth)
            }
            Kind::Group(id) => {
                let depth = deeper(depth, reader.at())?;
                let child = scope.child(self.table, index, id);
                self.message(reader, child, field.number, depth)
            }
            Kind::Enum(id) if self.reject_unknown => self.enumeration(reader, id),
            _ => match field.wire {
                wire_type::VARINT => reader.varint().map(drop),
                wire_type::I64 => reader.take(8).map(drop),
                wire_type::I32 => reader.take(4).map(drop),
                _ => reader.delimited().map(drop),
            },
        }
    }

    fn packed(&self, run: &mut Reader, field: &Field) -> Checked<()> {
        match (field.kind, field.wire) {
            (Kind::Enum(id), _) if self.reject_unknown => {
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

    /// To a parser, a number that a closed enum does not have is an unknown field.
    fn enumeration(&self, reader: &mut Reader, id: EnumId) -> Checked<()> {
        let at = reader.at();
        let number = reader.varint()? as i32;
        let one = &self.table[id];
        if one.closed && !one.knows(number) {
            let expected = format!("a value of enum {}", one.name);
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

#[inline]
fn utf8(text: &[u8], at: usize) -> Checked<()> {
    super::text::utf8(text)
        .map_err(|good| Fault::new(at + good, "a string in UTF-8", "bytes that are not"))
}

#[inline]
fn whole_elements(run: &Reader, size: usize) -> Checked<()> {
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
