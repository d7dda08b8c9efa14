//! The MessagePack walk: the check of a payload in MessagePack against a message.
//!
//! The walk reads the bytes once and builds no data structure. If it finds no violation, it
//! allocates memory only for the keys of a large map (`keys.rs`) and for message types with more
//! than 256 fields (`needs.rs`).
//!
//! A message is a map from the names of its fields to their values, or an array of the values in
//! declaration order. A name is the field's proto name or JSON name, and each field occurs at most
//! once. A field that is nil is absent, and elements of lists and values of maps must not be nil.
//! The type `google.protobuf.Value` is an exception, because nil is one of its values. The value of
//! an unknown field may contain maps with keys of any type, and with duplicate keys.

pub(crate) mod head;
pub(crate) mod keys;
pub(crate) mod known;
mod plain;
pub(crate) mod scalar;

use std::marker::PhantomData;

use crate::contract::Contract;
use crate::keys::Key;
use crate::named::{Seen, unknown_key};
use crate::options::{Layout, TextKeys, UnknownFields};
use crate::scope::Scope;
use crate::table::{Cardinality, Field, FieldKind, Form, Message, Table};
use crate::violation::{Checked, Fault, Gather, counted, deeper};
use head::{MsgpackHead, MsgpackReader};
use keys::Keys;
use scalar::{scalar, utf8};

/// Returns whether `payload` is one whole, well-formed map whose first key is a string.
#[cold]
pub(super) fn is_keyed_map(payload: &[u8], depth: u32) -> bool {
    let mut reader = MsgpackReader::new(payload);
    let is_map = matches!(reader.head(), Ok(MsgpackHead::Map(1..)));
    let is_keyed = is_map && matches!(reader.head(), Ok(MsgpackHead::Str(_)));
    is_keyed && reader.skip_from(0, depth).is_ok() && reader.left() == 0
}

/// Checks `payload` against `contract`. `G` decides whether to continue after the first violation.
#[inline(never)]
pub(super) fn check<G: Gather>(contract: &Contract, payload: &[u8], depth: u32) -> Checked<()> {
    let walk = Walk::<G>::new(contract);
    let mut reader = MsgpackReader::new(payload);
    walk.message(&mut reader, contract.root(), depth)?;
    match reader.left() {
        0 => Ok(()),
        left => {
            let found = format!("{} more", counted(left, "byte"));
            Err(Fault::new(reader.at(), "the end of the message", found))
        }
    }
}

/// The walk through one payload.
pub(crate) struct Walk<'a, G> {
    table: &'a Table,
    reject_unknown: bool,
    layout: Layout,
    text_keys: TextKeys,
    faults: PhantomData<G>,
}

/// The fields and unknown keys that were read so far from a message that is written as a map.
struct SeenFields<'a, 'p> {
    seen: Seen,
    /// The keys that are not names of fields. `None` until the first such key is read.
    unknown: Option<Keys<'a, 'p>>,
    /// The position, in declaration order, of the field that probably comes next.
    place: usize,
}

impl SeenFields<'_, '_> {
    /// Returns the state of a message after its first `passed` declared fields were read.
    fn new(scope: Scope, passed: usize) -> Self {
        let mut seen = Seen::new(!scope.needs.is_empty());
        for member in &scope.message.members[..passed] {
            seen.name_and_mark(member.index);
        }
        Self {
            seen,
            unknown: None,
            place: passed,
        }
    }
}

impl<'a, G: Gather> Walk<'a, G> {
    /// Returns a walk that checks payloads against `contract`.
    pub(crate) fn new(contract: &'a Contract) -> Self {
        Self {
            table: &contract.table,
            reject_unknown: contract.options.unknown_fields == UnknownFields::Reject,
            layout: contract.options.layout,
            text_keys: contract.options.text_keys,
            faults: PhantomData,
        }
    }

    /// Reads a message: a map or an array of its fields, or the form of a well-known type.
    fn message(&self, reader: &mut MsgpackReader, scope: Scope<'a>, depth: u32) -> Checked<()> {
        match scope.message.form {
            Form::Fields => self.fields(reader, scope, depth),
            _ => self.known(reader, scope, depth),
        }
    }

    /// Reads a message that is written field by field.
    #[inline]
    fn fields(&self, reader: &mut MsgpackReader, scope: Scope<'a>, depth: u32) -> Checked<()> {
        let at = reader.at();
        if self.layout != Layout::Array
            && let Some(count) = reader.short_map()
        {
            return self.keyed(reader, scope, count, at, depth);
        }
        self.any_fields(reader, scope, depth)
    }

    /// Reads a message that is written field by field, as a map or an array of any size. A form
    /// that the layout does not allow is a violation.
    #[inline(never)]
    fn any_fields(&self, reader: &mut MsgpackReader, scope: Scope<'a>, depth: u32) -> Checked<()> {
        let at = reader.at();
        let head = match reader.short_array() {
            Some(count) => MsgpackHead::Array(count),
            None => reader.head()?,
        };
        match (head, self.layout) {
            (MsgpackHead::Map(count), Layout::Map | Layout::Any) => {
                self.keyed(reader, scope, count, at, depth)
            }
            (MsgpackHead::Array(count), Layout::Array | Layout::Any) => {
                G::over(|faults| self.placed(reader, scope, count, at, depth, faults))
            }
            (head, _) => Err(self.no_message(scope.message, head, at)),
        }
    }

    /// Reads a message as a map of `count` pairs, keyed by field name.
    #[inline(never)]
    fn keyed(
        &self,
        reader: &mut MsgpackReader,
        scope: Scope<'a>,
        count: usize,
        start: usize,
        depth: u32,
    ) -> Checked<()> {
        // Most writers write the pairs in the declared order, in forms that `plain_pairs` reads.
        // These pairs are not marked as seen one by one. They are marked together, and only if
        // further pairs follow or the message has required fields.
        let members = &*scope.message.members;
        let likely = &members[..members.len().min(count)];
        let passed = likely.len() - reader.plain_pairs(likely, |_, _| true).len();
        if passed == count && scope.needs.is_empty() {
            return Ok(());
        }
        self.remaining_pairs(reader, scope, passed, count - passed, start, depth)
    }

    /// Reads the last `left` pairs of a map. The pairs before them were the first `passed` fields
    /// of the message, in declaration order.
    #[inline(never)]
    fn remaining_pairs(
        &self,
        reader: &mut MsgpackReader,
        scope: Scope<'a>,
        passed: usize,
        mut left: usize,
        start: usize,
        depth: u32,
    ) -> Checked<()> {
        G::over(|faults| {
            let mut fields = SeenFields::new(scope, passed);
            while left > 0 {
                self.pair(reader, scope, &mut fields, depth, faults)?;
                left -= 1;
                let likely = scope
                    .message
                    .members
                    .get(fields.place..)
                    .unwrap_or_default();
                let likely = &likely[..likely.len().min(left)];
                let others =
                    reader.plain_pairs(likely, |index, _| fields.seen.name_and_mark(index));
                let passed = likely.len() - others.len();
                (fields.place, left) = (fields.place + passed, left - passed);
            }
            scope.complete(fields.seen.marked(), start, faults)
        })
    }

    /// Reads a pair in any form.
    #[inline(never)]
    fn pair<'p>(
        &self,
        reader: &mut MsgpackReader<'p>,
        scope: Scope<'a>,
        fields: &mut SeenFields<'a, 'p>,
        depth: u32,
        faults: &mut G,
    ) -> Checked<()> {
        let message = scope.message;
        let at = reader.at();
        let (index, key) = any_key(reader, message, fields.place)?;
        let value = reader.at();
        let checked = match index {
            Some(index) => {
                fields.place = message.place_after(index);
                self.named(reader, scope, index, &mut fields.seen, at, depth)
            }
            None => self.unknown(reader, &mut fields.unknown, message, key, at, depth),
        };
        match checked {
            Ok(()) => Ok(()),
            Err(fault) => faults.keep(fault, || reader.skip_from(value, depth)),
        }
    }

    /// Reads the value after the unknown key at `at`. A key that was read before is a violation. If
    /// unknown fields are rejected, every unknown key is a violation.
    #[cold]
    fn unknown<'p>(
        &self,
        reader: &mut MsgpackReader<'p>,
        keys: &mut Option<Keys<'a, 'p>>,
        message: &Message,
        key: &'p [u8],
        at: usize,
        depth: u32,
    ) -> Checked<()> {
        let name = FieldKind::String { utf8: true };
        let keys = keys
            .get_or_insert_with(|| Keys::new(self.table, name, TextKeys::Reject, &reader.back(at)));
        keys.add(Key::Text(utf8(key, reader.at() - key.len())?), at)?;
        match self.reject_unknown {
            true => Err(unknown_key(message, key, at)),
            false => reader.skip(depth),
        }
    }

    /// Reads the value of the field whose key is at `at`, and adds the field to `seen`. A field
    /// that was read before is a violation.
    #[inline]
    fn named(
        &self,
        reader: &mut MsgpackReader,
        scope: Scope<'a>,
        index: u32,
        seen: &mut Seen,
        at: usize,
        depth: u32,
    ) -> Checked<()> {
        seen.name(scope.message, index, at)?;
        match self.field(reader, scope, index, depth) {
            Ok(false) => Ok(()),
            Ok(true) => seen.mark_member(scope.message, index, at),
            Err(fault) => {
                seen.mark(index);
                Err(fault)
            }
        }
    }

    /// Reads a message as an array of `count` values in declaration order.
    fn placed(
        &self,
        reader: &mut MsgpackReader,
        scope: Scope<'a>,
        count: usize,
        start: usize,
        depth: u32,
        faults: &mut G,
    ) -> Checked<()> {
        let message = scope.message;
        let places = message.declared.len();
        if count > places {
            let expected = format!("at most {places} values, the fields of {}", message.name);
            return Err(Fault::new(start, expected, format!("{count}")));
        }
        let mut seen = Seen::new(!scope.needs.is_empty());
        let mut members = &message.members[..count];
        loop {
            members = reader.plain_values(members, |index, _| {
                seen.mark(index);
                true
            });
            let [member, others @ ..] = members else {
                break;
            };
            let (index, at) = (member.index, reader.at());
            members = others;
            let checked = match self.field(reader, scope, index, depth) {
                Ok(true) => seen.mark_member(message, index, at),
                Ok(false) => Ok(()),
                Err(fault) => {
                    seen.mark(index);
                    Err(fault)
                }
            };
            if let Err(fault) = checked {
                faults.keep(fault, || reader.skip_from(at, depth))?;
            }
        }
        scope.complete(seen.marked(), start, faults)
    }

    /// Reads the value of a known field. Returns false if the value is nil, which means that the
    /// field is absent.
    #[inline]
    pub(crate) fn field(
        &self,
        reader: &mut MsgpackReader,
        scope: Scope<'a>,
        index: u32,
        depth: u32,
    ) -> Checked<bool> {
        match reader.plain_value(&scope.message.fields[index as usize]) {
            true => Ok(true),
            false => self.any_field(reader, scope, index, depth),
        }
    }

    /// Reads the value of a known field in any form.
    #[inline(never)]
    fn any_field(
        &self,
        reader: &mut MsgpackReader,
        scope: Scope<'a>,
        index: u32,
        depth: u32,
    ) -> Checked<bool> {
        let field = &scope.message.fields[index as usize];
        if self.absent(reader, field) {
            return Ok(false);
        }
        let checked = match field.cardinality {
            Cardinality::Singular => self.element(reader, scope, index, field.kind, depth),
            Cardinality::Repeated => {
                G::over(|faults| self.list(reader, scope, index, depth, faults))
            }
            Cardinality::Map => G::over(|faults| self.map(reader, scope, index, depth, faults)),
        };
        match checked {
            Ok(()) => Ok(true),
            Err(fault) => Err(fault.under(&*field.name)),
        }
    }

    /// Takes a nil that stands for an absent field, and returns whether there was such a nil. For a
    /// `google.protobuf.Value`, nil is a value.
    #[inline]
    fn absent(&self, reader: &mut MsgpackReader, field: &Field) -> bool {
        reader.is_nil() && !self.is_value(field) && reader.nil()
    }

    fn is_value(&self, field: &Field) -> bool {
        let form = field.kind.message().map(|id| self.table[id].form);
        field.cardinality == Cardinality::Singular && form == Some(Form::Value)
    }

    #[inline]
    fn element(
        &self,
        reader: &mut MsgpackReader,
        scope: Scope<'a>,
        index: u32,
        kind: FieldKind,
        depth: u32,
    ) -> Checked<()> {
        match kind {
            FieldKind::Message(id) | FieldKind::Group(id) => {
                let depth = deeper(depth, reader.at())?;
                self.message(reader, scope.child(self.table, index, id), depth)
            }
            kind => scalar(self.table, reader, kind),
        }
    }

    /// Reads a repeated field.
    fn list(
        &self,
        reader: &mut MsgpackReader,
        scope: Scope<'a>,
        index: u32,
        depth: u32,
        faults: &mut G,
    ) -> Checked<()> {
        let field = &scope.message.fields[index as usize];
        let at = reader.at();
        let head = match reader.short_array() {
            Some(count) => MsgpackHead::Array(count),
            None => reader.head()?,
        };
        let count = match head {
            MsgpackHead::Array(count) => count,
            head => {
                let expected = format!("an array of {}", field.kind.label(self.table));
                return Err(Fault::new(at, expected, head.describe()));
            }
        };
        for i in 0..count {
            if reader.plain(field.kind) {
                continue;
            }
            let at = reader.at();
            if let Err(fault) = self.element(reader, scope, index, field.kind, depth) {
                faults.keep(fault.under(format!("[{i}]")), || {
                    reader.skip_from(at, depth)
                })?;
            }
        }
        Ok(())
    }

    /// Reads a map field.
    #[inline(never)]
    fn map(
        &self,
        reader: &mut MsgpackReader,
        scope: Scope<'a>,
        index: u32,
        depth: u32,
        faults: &mut G,
    ) -> Checked<()> {
        let field = &scope.message.fields[index as usize];
        let at = reader.at();
        let head = reader.head()?;
        let entry = field
            .kind
            .message()
            .map(|id| scope.child(self.table, index, id));
        let (MsgpackHead::Map(count), Some(entry)) = (head, entry) else {
            return Err(Fault::new(at, "a map", head.describe()));
        };
        let [key, value] = &*entry.message.fields else {
            return Err(Fault::new(
                at,
                "a map with keys and values",
                head.describe(),
            ));
        };
        let mut keys = Keys::new(self.table, key.kind, self.text_keys, reader);
        for _ in 0..count {
            let at = reader.at();
            let key = match keys.next(reader) {
                Ok(key) => key,
                Err(fault) => {
                    faults.keep(fault, || {
                        reader
                            .skip_from(at, depth)
                            .and_then(|()| reader.skip(depth))
                    })?;
                    continue;
                }
            };
            let at = reader.at();
            // The value is the second field of an entry, so its index is 1.
            if let Err(fault) = self.element(reader, entry, 1, value.kind, depth) {
                faults.keep(fault.under(key.segment()), || reader.skip_from(at, depth))?;
            }
        }
        Ok(())
    }

    #[cold]
    fn no_message(&self, message: &Message, head: MsgpackHead, at: usize) -> Box<Fault> {
        let layout = match self.layout {
            Layout::Map => "a map",
            Layout::Array => "an array",
            Layout::Any => "a map or an array",
        };
        Fault::new(at, format!("{} as {layout}", message.name), head.describe())
    }
}

/// Reads the next key. Returns the index of the field with this name, and the key. The index is
/// `None` if the message has no such field. `place` is the position, in declaration order, of the
/// field that probably comes next.
#[inline(never)]
pub(crate) fn any_key<'p>(
    reader: &mut MsgpackReader<'p>,
    message: &Message,
    place: usize,
) -> Checked<(Option<u32>, &'p [u8])> {
    let key = key(reader)?;
    let index = match message.declared_as(place, key) {
        Some(index) => Some(index),
        None => message.by_name(utf8(key, reader.at() - key.len())?),
    };
    Ok((index, key))
}

/// Reads a key, which must be a string but need not be the name of a field of the message.
#[inline]
fn key<'a>(reader: &mut MsgpackReader<'a>) -> Checked<&'a [u8]> {
    if let Some(text) = reader.short_string() {
        return Ok(text);
    }
    let at = reader.at();
    match reader.head()? {
        MsgpackHead::Str(text) => Ok(text),
        head => Err(Fault::new(at, "a field's name", head.describe())),
    }
}
