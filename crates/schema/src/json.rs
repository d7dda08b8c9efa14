//! The JSON walk: the check of a payload in JSON against a message.
//!
//! The walk builds no data structure. It reads the bytes once, except in some well-known types
//! (`known.rs`). A walk that finds no violation allocates memory only for objects with many keys
//! that are not fields (`keys.rs`), for message types with more than 256 fields (`needs.rs`), and
//! for texts with escapes that must be decoded.
//!
//! A message is an object keyed by proto or JSON names. A field that is null is absent, unless null
//! is a value of its type. An element of a list or a value in a map must not be null, unless null
//! is a value of its type. In addition to ProtoJSON, the walk accepts the forms that serde_json
//! writes: bytes as an array of integers, and well-known types field by field.

pub(crate) mod head;
mod keys;
mod known;
pub(crate) mod number;
pub(crate) mod plain;
pub(crate) mod scalar;
mod text;
pub(crate) mod time;
mod unexpected;

use std::cell::Cell;
use std::marker::PhantomData;

use crate::contract::Contract;
use crate::named::{Seen, unknown_key};
use crate::options::UnknownFields;
use crate::scope::Scope;
use crate::table::{Cardinality, Field, FieldKind, Form, Message, Table};
use crate::violation::{Checked, Fault, Gather, deeper};
use head::{JsonHead, JsonReader, Names};
use keys::Keys;
use plain::Next;
use scalar::scalar;
use text::Text;

/// Checks `payload` against `contract`. `G` decides whether to continue after the first violation.
#[inline(never)]
pub(super) fn check<G: Gather>(contract: &Contract, payload: &[u8], depth: u32) -> Checked<()> {
    let walk = Walk::<G>::new(contract);
    let mut reader = JsonReader::new(payload);
    walk.message(&mut reader, contract.root(), depth)?;
    reader.end()
}

/// The walk through one payload.
pub(crate) struct Walk<'a, G> {
    table: &'a Table,
    reject_unknown: bool,
    faults: PhantomData<G>,
    /// The number of enclosing Any messages whose `@type` is not their first member; see
    /// `known.rs`.
    late_types: Cell<u32>,
}

/// The members that an object may hold in addition to the fields of its message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ExtraMembers {
    Nothing,
    /// The `@type` of a `google.protobuf.Any`.
    Type,
}

/// The fields and unknown names that were read so far from a message that is written as an object.
struct SeenFields<'p> {
    seen: Seen,
    /// The names that no field has. `None` until the first such name is read.
    unknown: Option<Names<'p>>,
    /// The position, in declaration order, of the field that probably comes next.
    place: usize,
}

impl SeenFields<'_> {
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
            faults: PhantomData,
            late_types: Cell::new(0),
        }
    }

    /// Reads a message: an object of its fields, or the JSON form of a well-known type.
    fn message(&self, reader: &mut JsonReader, scope: Scope<'a>, depth: u32) -> Checked<()> {
        match scope.message.form {
            Form::Fields => self.fields(reader, scope, depth),
            _ => self.known(reader, scope, depth),
        }
    }

    /// Reads a message that is written field by field.
    fn fields(&self, reader: &mut JsonReader, scope: Scope<'a>, depth: u32) -> Checked<()> {
        let at = reader.token();
        match reader.opening()? {
            JsonHead::Object => self.object(reader, scope, at, depth, ExtraMembers::Nothing),
            head => {
                let expected = format!("{} as an object", scope.message.name);
                Err(Fault::new(at, expected, head.describe()))
            }
        }
    }

    /// Reads the members of a message's object, after its `{`, which is at `start`.
    fn object(
        &self,
        reader: &mut JsonReader,
        scope: Scope<'a>,
        start: usize,
        depth: u32,
        extra: ExtraMembers,
    ) -> Checked<()> {
        // Most writers write the members in the declared order, in forms that `plain_members`
        // reads. These members are not marked as seen one by one. They are marked together, and
        // only if further members follow or the message has required fields.
        let members = &*scope.message.members;
        let (others, next) = match reader.opened(b'}') {
            true => reader.plain_members(members, |_, _| true),
            false => (members, Next::End),
        };
        let passed = members.len() - others.len();
        match next {
            Next::End if scope.needs.is_empty() => Ok(()),
            Next::End => G::over(|faults| {
                let fields = SeenFields::new(scope, passed);
                scope.complete(fields.seen.marked(), start, faults)
            }),
            Next::Another => self.remaining_members(reader, scope, passed, start, depth, extra),
        }
    }

    /// Reads the rest of an object after its first `passed` declared members were read.
    #[inline(never)]
    fn remaining_members(
        &self,
        reader: &mut JsonReader,
        scope: Scope<'a>,
        passed: usize,
        start: usize,
        depth: u32,
        extra: ExtraMembers,
    ) -> Checked<()> {
        G::over(|faults| {
            let mut fields = SeenFields::new(scope, passed);
            loop {
                self.member(reader, scope, &mut fields, depth, extra, faults)?;
                if !reader.another(b'}')? {
                    break;
                }
                let left = scope
                    .message
                    .members
                    .get(fields.place..)
                    .unwrap_or_default();
                let (others, next) =
                    reader.plain_members(left, |index, _| fields.seen.name_and_mark(index));
                fields.place += left.len() - others.len();
                if let Next::End = next {
                    break;
                }
            }
            scope.complete(fields.seen.marked(), start, faults)
        })
    }

    /// Reads a member in any form.
    #[inline(never)]
    fn member<'p>(
        &self,
        reader: &mut JsonReader<'p>,
        scope: Scope<'a>,
        fields: &mut SeenFields<'p>,
        depth: u32,
        extra: ExtraMembers,
        faults: &mut G,
    ) -> Checked<()> {
        let message = scope.message;
        let at = reader.token();
        let next = message.members.get(fields.place);
        let next = next.filter(|member| reader.expected(member));
        let (index, key) = match next {
            Some(member) => (Some(member.index), Text::default()),
            None => {
                let key = reader.key()?;
                (self.field_with_key(message, fields.place, key), key)
            }
        };
        let value = reader.token();
        let checked = match index {
            Some(index) => {
                fields.place = message.place_after(index);
                self.named(reader, scope, index, &mut fields.seen, at, depth)
            }
            None => self.unknown(
                reader,
                &mut fields.unknown,
                message,
                (key, at),
                depth,
                extra,
            ),
        };
        match checked {
            Ok(()) => Ok(()),
            Err(fault) => faults.keep(fault, || reader.skip_from(value, depth)),
        }
    }

    /// Reads the value after the unknown name at `at`. A name that was read before is a violation.
    /// If unknown fields are rejected, every unknown name is a violation, except an `@type` that
    /// `extra` allows.
    #[inline(never)]
    fn unknown<'p>(
        &self,
        reader: &mut JsonReader<'p>,
        names: &mut Option<Names<'p>>,
        message: &Message,
        (name, at): (Text<'p>, usize),
        depth: u32,
        extra: ExtraMembers,
    ) -> Checked<()> {
        let names = names.get_or_insert_with(|| Names::new(&reader.back(at)));
        names.add(name, at)?;
        let of_any = extra == ExtraMembers::Type && &*name.bytes() == b"@type";
        match self.reject_unknown && !of_any {
            true => Err(unknown_key(message, &name.bytes(), at)),
            false => reader.skip(depth),
        }
    }

    /// Returns the index of the field with this key, or `None` if the message has no such field.
    /// The field declared at `place` is tried first.
    #[inline]
    fn field_with_key(&self, message: &Message, place: usize, key: Text) -> Option<u32> {
        let next = |name| message.declared_as(place, name);
        (key.plain().and_then(next)).or_else(|| message.by_name(&key.decoded()))
    }

    /// Reads the value of the field whose key is at `at`.
    #[inline]
    fn named(
        &self,
        reader: &mut JsonReader,
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

    /// Reads the value of a known field. Returns false if the value is null, which means that the
    /// field is absent.
    #[inline]
    pub(crate) fn field(
        &self,
        reader: &mut JsonReader,
        scope: Scope<'a>,
        index: u32,
        depth: u32,
    ) -> Checked<bool> {
        let field = &scope.message.fields[index as usize];
        if field.cardinality == Cardinality::Singular && reader.plain(field.kind) {
            return Ok(true);
        }
        if reader.next() == Some(b'n') && !self.holds_null(field) {
            reader.head()?;
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

    /// Returns whether null is a value of the field and does not stand for its absence.
    #[cold]
    fn holds_null(&self, field: &Field) -> bool {
        let null = match field.kind {
            FieldKind::Message(id) | FieldKind::Group(id) => self.table[id].form == Form::Value,
            FieldKind::Enum(id) => self.table[id].null,
            _ => false,
        };
        null && field.cardinality == Cardinality::Singular
    }

    #[inline]
    fn element(
        &self,
        reader: &mut JsonReader,
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
        reader: &mut JsonReader,
        scope: Scope<'a>,
        index: u32,
        depth: u32,
        faults: &mut G,
    ) -> Checked<()> {
        let field = &scope.message.fields[index as usize];
        let at = reader.token();
        match reader.opening()? {
            JsonHead::Array => {}
            head => {
                let expected = format!("an array of {}", field.kind.label(self.table));
                return Err(Fault::new(at, expected, head.describe()));
            }
        }
        let mut more = reader.opened(b']');
        let mut i = 0usize;
        while more {
            if !reader.plain(field.kind) {
                let at = reader.token();
                if let Err(fault) = self.element(reader, scope, index, field.kind, depth) {
                    faults.keep(fault.under(format!("[{i}]")), || {
                        reader.skip_from(at, depth)
                    })?;
                }
            }
            i += 1;
            more = reader.another(b']')?;
        }
        Ok(())
    }

    /// Reads a map field.
    #[inline(never)]
    fn map(
        &self,
        reader: &mut JsonReader,
        scope: Scope<'a>,
        index: u32,
        depth: u32,
        faults: &mut G,
    ) -> Checked<()> {
        let field = &scope.message.fields[index as usize];
        let at = reader.token();
        let head = reader.head()?;
        let entry = field.kind.message();
        let entry = entry.map(|id| scope.child(self.table, index, id));
        let (JsonHead::Object, Some(entry)) = (head, entry) else {
            return Err(Fault::new(at, "an object", head.describe()));
        };
        let [key, value] = &*entry.message.fields else {
            let expected = "an object with keys and values";
            return Err(Fault::new(at, expected, head.describe()));
        };
        let mut keys = Keys::new(key.kind, reader);
        let mut more = reader.opened(b'}');
        while more {
            let key = keys.next(reader)?;
            let at = reader.token();
            let checked = match key {
                // The value is the second field of an entry, so its index is 1.
                Ok(key) => (self.element(reader, entry, 1, value.kind, depth))
                    .map_err(|fault| fault.under(key.segment())),
                Err(fault) => Err(fault),
            };
            if let Err(fault) = checked {
                faults.keep(fault, || reader.skip_from(at, depth))?;
            }
            more = reader.another(b'}')?;
        }
        Ok(())
    }
}
