//! The MessagePack walk: a payload in MessagePack against a message.
//!
//! Reads the bytes once, builds nothing, and allocates nothing unless it fails, but for the keys of
//! a large map (`keys.rs`) and a message type with more than 256 fields (`needs.rs`). A message is a map keyed by proto or JSON names, or an array in
//! declaration order; nil is an absent field. Elements of lists and values of maps are never nil.

mod head;
mod keys;
mod known;
mod scalar;
mod values;

use prost_reflect::{DynamicMessage, MessageDescriptor};

use super::needs::FieldSet;
use super::table::{Cardinality, Field, Form, Kind, Message, Table};
use super::violation::{Checked, Fault, deeper, excerpt};
use super::{Layout, Schema, Scope, UnknownFields};
use crate::diagnostic::did_you_mean;
use head::{Head, Reader};
use keys::Keys;
use scalar::{scalar, short, utf8};

/// The first thing wrong with `payload`.
pub(super) fn check(schema: &Schema, payload: &[u8], depth: u32) -> Checked<()> {
    let walk = Walk {
        table: &schema.table,
        reject_unknown: schema.options.unknown_fields == UnknownFields::Reject,
        layout: schema.options.layout,
    };
    let mut reader = Reader::new(payload);
    walk.message(&mut reader, schema.root(), depth)?;
    match reader.left() {
        0 => Ok(()),
        left => {
            let found = format!("{left} bytes more");
            Err(Fault::new(reader.at(), "the end of the message", found))
        }
    }
}

/// The message that `payload`, which `check` has passed, means to whoever knows it by `descriptor`.
pub(super) fn values(
    schema: &Schema,
    payload: &[u8],
    descriptor: &MessageDescriptor,
) -> Checked<DynamicMessage> {
    values::read(&schema.table, schema.root, descriptor, payload)
}

struct Walk<'a> {
    table: &'a Table,
    reject_unknown: bool,
    layout: Layout,
}

impl<'a> Walk<'a> {
    /// One message, in the form that its type has.
    fn message(&self, reader: &mut Reader, scope: Scope<'a>, depth: u32) -> Checked<()> {
        match scope.message.form {
            Form::Fields => self.fields(reader, scope, depth),
            _ => self.known(reader, scope, depth),
        }
    }

    /// One message by its fields.
    fn fields(&self, reader: &mut Reader, scope: Scope<'a>, depth: u32) -> Checked<()> {
        let at = reader.at();
        match (reader.head()?, self.layout) {
            (Head::Map(count), Layout::Map | Layout::Any) => {
                self.keyed(reader, scope, count, at, depth)
            }
            (Head::Array(count), Layout::Array | Layout::Any) => {
                self.placed(reader, scope, count, at, depth)
            }
            (head, _) => Err(self.no_message(scope.message, head, at)),
        }
    }

    /// A message as a map of `count` pairs, keyed by field name.
    fn keyed(
        &self,
        reader: &mut Reader,
        scope: Scope<'a>,
        count: usize,
        start: usize,
        depth: u32,
    ) -> Checked<()> {
        let message = scope.message;
        let mut seen = Seen::default();
        let mut place = 0;
        for _ in 0..count {
            let at = reader.at();
            let key = key(reader)?;
            // Writers keep the declared order, mostly.
            let index = match message.declared_as(place, key) {
                Some(index) => Some(index),
                None => message.by_name(utf8(key, reader.at() - key.len())?),
            };
            match index {
                Some(index) => {
                    place = index as usize + 1;
                    seen.name(message, index, at)?;
                    if self.field(reader, scope, index, depth)? {
                        seen.hold(message, index, at)?;
                    }
                }
                None if self.reject_unknown => return Err(unknown_key(message, key, at)),
                None => reader.skip(depth)?,
            }
        }
        scope.complete(&seen.held, start)
    }

    /// A message as an array of `count` values in declaration order.
    fn placed(
        &self,
        reader: &mut Reader,
        scope: Scope<'a>,
        count: usize,
        start: usize,
        depth: u32,
    ) -> Checked<()> {
        let message = scope.message;
        let places = message.declared.len();
        if count > places {
            let expected = format!("at most {places} values, the fields of {}", message.name);
            return Err(Fault::new(start, expected, format!("{count}")));
        }
        let mut seen = Seen::default();
        for &index in &message.declared[..count] {
            let at = reader.at();
            if self.field(reader, scope, index, depth)? {
                seen.hold(message, index, at)?;
            }
        }
        scope.complete(&seen.held, start)
    }

    /// The value of a known field; false if it is absent, which is written as nil.
    #[inline]
    fn field(
        &self,
        reader: &mut Reader,
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
            Cardinality::Repeated => self.list(reader, scope, index, field, depth),
            Cardinality::Map => self.map(reader, scope, index, field, depth),
        };
        match checked {
            Ok(()) => Ok(true),
            Err(fault) => Err(fault.under(&*field.name)),
        }
    }

    /// Passes a nil, unless it is itself the value: `google.protobuf.Value` has one for null.
    #[inline]
    fn absent(&self, reader: &mut Reader, field: &Field) -> bool {
        reader.is_nil() && !self.is_value(field) && reader.nil()
    }

    fn is_value(&self, field: &Field) -> bool {
        let form = field.kind.message().map(|id| self.table[id].form);
        field.cardinality == Cardinality::Singular && form == Some(Form::Value)
    }

    #[inline]
    fn element(
        &self,
        reader: &mut Reader,
        scope: Scope<'a>,
        index: u32,
        kind: Kind,
        depth: u32,
    ) -> Checked<()> {
        match kind {
            Kind::Message(id) | Kind::Group(id) => {
                let depth = deeper(depth, reader.at())?;
                self.message(reader, scope.child(self.table, index, id), depth)
            }
            kind => scalar(self.table, reader, kind),
        }
    }

    /// A repeated field.
    fn list(
        &self,
        reader: &mut Reader,
        scope: Scope<'a>,
        index: u32,
        field: &Field,
        depth: u32,
    ) -> Checked<()> {
        let at = reader.at();
        let count = match reader.head()? {
            Head::Array(count) => count,
            head => {
                let expected = format!("an array of {}", field.kind.label(self.table));
                return Err(Fault::new(at, expected, head.describe()));
            }
        };
        for i in 0..count {
            if let Err(fault) = self.element(reader, scope, index, field.kind, depth) {
                return Err(fault.under(format!("[{i}]")));
            }
        }
        Ok(())
    }

    /// A map field.
    fn map(
        &self,
        reader: &mut Reader,
        scope: Scope<'a>,
        index: u32,
        field: &Field,
        depth: u32,
    ) -> Checked<()> {
        let at = reader.at();
        let head = reader.head()?;
        let entry = field
            .kind
            .message()
            .map(|id| scope.child(self.table, index, id));
        let (Head::Map(count), Some(entry)) = (head, entry) else {
            return Err(Fault::new(at, "a map", head.describe()));
        };
        let [key, value] = &*entry.message.fields else {
            return Err(Fault::new(
                at,
                "a map with keys and values",
                head.describe(),
            ));
        };
        let mut keys = Keys::new(self.table, key.kind, reader);
        for _ in 0..count {
            let key = keys.next(reader)?;
            // The value is the second field of an entry.
            if let Err(fault) = self.element(reader, entry, 1, value.kind, depth) {
                return Err(fault.under(key.segment()));
            }
        }
        Ok(())
    }

    #[cold]
    fn no_message(&self, message: &Message, head: Head, at: usize) -> Box<Fault> {
        let layout = match self.layout {
            Layout::Map => "a map",
            Layout::Array => "an array",
            Layout::Any => "a map or an array",
        };
        Fault::new(at, format!("{} as {layout}", message.name), head.describe())
    }
}

/// What one occurrence of a message holds so far.
#[derive(Default)]
struct Seen {
    named: FieldSet,
    held: FieldSet,
    oneofs: FieldSet,
}

impl Seen {
    /// A field's key was read at `at`.
    #[inline]
    fn name(&mut self, message: &Message, index: u32, at: usize) -> Checked<()> {
        if self.named.insert(index) {
            return Ok(());
        }
        let name = &*message.fields[index as usize].name;
        Err(Fault::new(at, "each field once", "it again").under(name))
    }

    /// A field whose key or value lies at `at` is not absent.
    #[inline]
    fn hold(&mut self, message: &Message, index: u32, at: usize) -> Checked<()> {
        self.held.insert(index);
        let field = &message.fields[index as usize];
        match field.oneof {
            Some(oneof) if !self.oneofs.insert(oneof) => {
                let fault = Fault::new(at, "at most one field of its oneof", "a second one");
                Err(fault.under(&*field.name))
            }
            _ => Ok(()),
        }
    }
}

/// A field's name, or at least a string.
#[inline]
fn key<'a>(reader: &mut Reader<'a>) -> Checked<&'a [u8]> {
    if let Some(text) = reader.short_string() {
        return Ok(text);
    }
    let at = reader.at();
    match reader.head()? {
        Head::Str(text) => Ok(text),
        head => Err(Fault::new(at, "a field's name", head.describe())),
    }
}

#[cold]
fn unknown_key(message: &Message, key: &[u8], at: usize) -> Box<Fault> {
    let mut expected = format!("a field of {}", message.name);
    let guess = String::from_utf8_lossy(short(key));
    if let Some(near) = did_you_mean(&guess, message.field_names()) {
        expected = format!("{expected} (did you mean {near:?}?)");
    }
    Fault::new(at, expected, format!("the key {}", excerpt(key)))
}
