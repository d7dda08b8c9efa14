//! Items of a message with `message_set_wire_format`. Each item is a group that holds the number
//! and the message of one extension.

use super::open::NO_GROUP;
use super::wire::{MESSAGE_SET_ITEM, WireReader, open_group, wrong_end};
use super::{Walk, unknown_field};
use crate::scope::Scope;
use crate::table::wire as wire_type;
use crate::violation::{Checked, Gather, deeper};

/// The field of an item that holds the number of the extension.
const TYPE: u32 = 2;

/// The field of an item that holds the message of the extension.
const MESSAGE: u32 = 3;

impl<'a, G: Gather> Walk<'a, G> {
    /// Reads an item after its tag, and checks the message in the item. The tag is at `start`. The
    /// fields [`TYPE`] and [`MESSAGE`] may be in either order. If a field is repeated, its first
    /// value is used. An item that lacks one of the two fields is ignored.
    pub(super) fn item(
        &self,
        reader: &mut WireReader,
        scope: Scope<'a>,
        start: usize,
        depth: u32,
    ) -> Checked<()> {
        let depth = deeper(depth, reader.at())?;
        let (mut number, mut body) = (None, None);
        loop {
            if reader.is_empty() {
                return Err(open_group(reader.at(), MESSAGE_SET_ITEM));
            }
            let at = reader.at();
            match reader.tag()? {
                (MESSAGE_SET_ITEM, wire_type::END_GROUP) => break,
                (end, wire_type::END_GROUP) => return Err(wrong_end(at, MESSAGE_SET_ITEM, end)),
                (TYPE, wire_type::VARINT) => {
                    // Parsers use the lower 32 bits of the extension's number.
                    let read = reader.varint()? as u32;
                    number.get_or_insert(read);
                }
                (MESSAGE, wire_type::LEN) => {
                    let read = reader.body()?;
                    body.get_or_insert(read);
                }
                (other, wire) => reader.skip(other, wire, depth)?,
            }
        }
        let (Some(number), Some(mut body)) = (number, body) else {
            return Ok(());
        };
        let message = scope.message;
        let index = message.by_number(number);
        let index = index.map(|index| (index, &message.fields[index as usize]));
        match index.and_then(|(index, field)| Some((index, field, field.kind.message()?))) {
            Some((index, field, id)) => {
                let depth = deeper(depth, body.at())?;
                let child = scope.child(self.table, index, id);
                let checked = self.message(&mut body, child, NO_GROUP, depth);
                checked.map_err(|fault| fault.under(&*field.name))
            }
            None if self.reject_unknown => Err(unknown_field(message, number, start)),
            None => Ok(()),
        }
    }
}
