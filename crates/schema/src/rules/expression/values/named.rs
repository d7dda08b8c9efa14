//! Reads the values of a payload in the encodings that key fields by name: MessagePack and JSON.
//!
//! The walk over the payload has ensured that each field and each key of a map occurs at most once,
//! and that each oneof has at most one member.

use std::rc::Rc;

use gateway_cel::{ListValue, MapValue, Value};

use super::building::{Building, Part};
use super::meaning;
use super::tree::{Body, Content, ListNode, MapNode, Node};
use super::wanted::{Wanted, WantedFields};
use crate::rules::check::Value as Plain;
use crate::rules::judge::source::{Free, Shape, Source, Writing};
use crate::rules::unique::Distincts;
use crate::table::{Cardinality, Field, FieldKind, Form, MessageId, Table};
use crate::violation::{Checked, deeper};

/// The maximum depth of a payload. No walk allows a larger depth.
const LEVELS_MAX: u32 = 1000;

/// The kind of keys that are names, such as the keys of a JSON object.
const NAME: FieldKind = FieldKind::String { utf8: true };

/// Reads the next value, a message of type `id`. In each message, only the fields in `wanted` are
/// read.
///
/// # Errors
///
/// Fails if the payload is malformed. The walk has ruled this out.
pub(in crate::rules::expression) fn read<'p, S: Source<'p>>(
    table: &Table,
    wanted: &Wanted,
    id: MessageId,
    mut source: S,
) -> Checked<Node<'p>> {
    let reader = Reader { table, wanted };
    reader.message(&mut source, id, LEVELS_MAX)
}

#[derive(Clone, Copy)]
struct Reader<'d> {
    table: &'d Table,
    wanted: &'d Wanted,
}

impl Reader<'_> {
    fn message<'p, S: Source<'p>>(
        self,
        source: &mut S,
        id: MessageId,
        levels: u32,
    ) -> Checked<Node<'p>> {
        let message = &self.table[id];
        let at = source.start();
        let levels = deeper(levels, at)?;
        let value = |value| Node {
            at,
            value,
            body: None,
        };
        match message.form {
            Form::Struct | Form::ListValue | Form::Value => {
                return Ok(value(Ok(free(source, levels)?)));
            }
            _ => {}
        }
        match source.writing(message)? {
            Writing::Fields => self.fields(source, id, levels),
            Writing::Bare => {
                let kind = message.fields[0].kind;
                let scalar = source.scalar(self.table, kind)?;
                Ok(value(meaning::plain(self.table, kind, scalar)))
            }
            Writing::Special => match source.special(message.form)? {
                Plain::Paths(paths) => Ok(self.mask(id, at, paths)),
                own => Ok(value(meaning::plain(
                    self.table,
                    FieldKind::Message(id),
                    own,
                ))),
            },
            Writing::Typed { url } => self.typed(source, (id, at), url, levels),
        }
    }

    /// Reads a message that is written field by field.
    fn fields<'p, S: Source<'p>>(
        self,
        source: &mut S,
        id: MessageId,
        levels: u32,
    ) -> Checked<Node<'p>> {
        let message = &self.table[id];
        let wanted = self.wanted.of(id, message);
        if let Some(wanted) = wanted
            && wanted.is_flat
        {
            return self.flat(source, id, wanted);
        }
        let mut building = Building::new(source.start());
        let mut fields = source.open_fields()?;
        while let Some(index) = source.field(&mut fields, message)? {
            let is_wanted = |index: &u32| wanted.is_none_or(|wanted| wanted.has(*index));
            let Some(index) = index.filter(is_wanted) else {
                source.skip()?;
                continue;
            };
            let field = &message.fields[index as usize];
            if source.shape()? == Shape::Null && !self.holds_null::<S>(field) {
                source.skip()?;
                continue;
            }
            *building.field(index) = Some(self.field(source, field, levels)?);
        }
        // The messages inside this message were converted when they were read.
        let finish = |id, inner: Building<'p>| meaning::body(id, inner.at, Body::default());
        Ok(meaning::message(self.table, id, building, &finish))
    }

    /// Reads a message whose wanted fields are all scalars.
    fn flat<'p, S: Source<'p>>(
        self,
        source: &mut S,
        id: MessageId,
        wanted: &WantedFields,
    ) -> Checked<Node<'p>> {
        let message = &self.table[id];
        let at = source.start();
        let mut body = Body::default();
        body.fields.reserve(wanted.indices.len());
        let mut fields = source.open_fields()?;
        while let Some(index) = source.field(&mut fields, message)? {
            let Some(index) = index.filter(|index| wanted.indices.contains(index)) else {
                source.skip()?;
                continue;
            };
            let field = &message.fields[index as usize];
            if source.shape()? == Shape::Null && !self.holds_null::<S>(field) {
                source.skip()?;
                continue;
            }
            let at = source.start();
            let scalar = source.scalar(self.table, field.kind)?;
            let node = Node {
                at,
                value: meaning::plain(self.table, field.kind, scalar),
                body: None,
            };
            body.put(index, Content::One(node));
        }
        Ok(meaning::body(id, at, body))
    }

    /// Returns whether null is a value of the field and does not stand for its absence.
    fn holds_null<'p, S: Source<'p>>(self, field: &Field) -> bool {
        let null = match field.kind {
            FieldKind::Message(id) | FieldKind::Group(id) => self.table[id].form == Form::Value,
            FieldKind::Enum(id) => S::ENUM_HOLDS_NULL && self.table[id].null,
            _ => false,
        };
        null && field.cardinality == Cardinality::Singular
    }

    fn field<'p, S: Source<'p>>(
        self,
        source: &mut S,
        field: &Field,
        levels: u32,
    ) -> Checked<Part<'p>> {
        let at = source.start();
        match field.cardinality {
            Cardinality::Singular => Ok(Part::One(self.value(source, field.kind, levels)?)),
            Cardinality::Repeated => {
                let mut elements = Vec::new();
                let mut left = source.open()?;
                while source.more(&mut left)? {
                    elements.push(self.value(source, field.kind, levels)?);
                }
                Ok(Part::List { at, elements })
            }
            Cardinality::Map => {
                let entries = self.entries(source, field, levels)?;
                Ok(Part::Map {
                    at,
                    entries,
                    keys: Distincts::default(),
                })
            }
        }
    }

    fn entries<'p, S: Source<'p>>(
        self,
        source: &mut S,
        field: &Field,
        levels: u32,
    ) -> Checked<Vec<(Node<'p>, Node<'p>)>> {
        let mut entries = Vec::new();
        let entry = field.kind.message().map(|id| &*self.table[id].fields);
        let Some([of_key, of_value]) = entry else {
            source.skip()?;
            return Ok(entries);
        };
        let mut left = source.open()?;
        while source.more(&mut left)? {
            let at = source.start();
            let key = source.key(of_key.kind)?;
            let key = Node {
                at,
                value: meaning::plain(self.table, of_key.kind, key),
                body: None,
            };
            entries.push((key, self.value(source, of_value.kind, levels)?));
        }
        Ok(entries)
    }

    fn value<'p, S: Source<'p>>(
        self,
        source: &mut S,
        kind: FieldKind,
        levels: u32,
    ) -> Checked<Node<'p>> {
        if let Some(id) = kind.message() {
            return self.message(source, id, levels);
        }
        let at = source.start();
        let value = source.scalar(self.table, kind)?;
        Ok(Node {
            at,
            value: meaning::plain(self.table, kind, value),
            body: None,
        })
    }

    /// Returns a field mask with these paths.
    fn mask<'p>(self, id: MessageId, at: usize, paths: Vec<std::borrow::Cow<'p, str>>) -> Node<'p> {
        let elements = paths.into_iter().map(|path| Node {
            at,
            value: Ok(meaning::text(path)),
            body: None,
        });
        let list = ListNode {
            at,
            elements: elements.collect(),
        };
        let fields = vec![(0, Content::List(Rc::new(list)))];
        meaning::body(id, at, Body { fields })
    }

    /// Reads an object whose `@type` is `url`, and returns the message that the object contains. If
    /// the type is unknown, returns an `Any` that has only the URL.
    fn typed<'p, S: Source<'p>>(
        self,
        source: &mut S,
        (any, at): (MessageId, usize),
        url: std::borrow::Cow<'p, str>,
        levels: u32,
    ) -> Checked<Node<'p>> {
        let inner_id = url.rsplit_once('/').map(|(_, name)| name);
        let Some(inner_id) = inner_id.and_then(|name| self.table.message(name)) else {
            source.skip()?;
            let url = Node {
                at,
                value: Ok(meaning::text(url)),
                body: None,
            };
            let index = self.table[any].by_number(1).unwrap_or_default();
            let fields = vec![(index, Content::One(url))];
            return Ok(meaning::body(any, at, Body { fields }));
        };
        let mut inner = None;
        if self.table[inner_id].form == Form::Fields {
            inner = Some(self.fields(source, inner_id, levels)?);
        } else {
            let mut members = source.open()?;
            while source.more(&mut members)? {
                match source.key(NAME)? {
                    Plain::Text(name) if name == "value" => {
                        inner = Some(self.message(source, inner_id, levels)?);
                    }
                    _ => source.skip()?,
                }
            }
        }
        Ok(Node {
            at,
            value: inner.map_or(Ok(Value::Null), |inner| inner.value),
            body: None,
        })
    }
}

/// Reads the next value, of any kind, as `google.protobuf.Value` represents it.
fn free<'p, S: Source<'p>>(source: &mut S, levels: u32) -> Checked<Value<'p>> {
    let at = source.start();
    Ok(match source.free()? {
        Free::Null => Value::Null,
        Free::Bool(value) => Value::Bool(value),
        Free::Number(value) => Value::Double(value),
        Free::Text(text) => meaning::text(text),
        Free::List => {
            let levels = deeper(levels, at)?;
            let mut elements = Vec::new();
            let mut left = source.open()?;
            while source.more(&mut left)? {
                elements.push(node(source, levels)?);
            }
            Value::List(ListValue::Shared(Rc::new(ListNode { at, elements })))
        }
        Free::Map => {
            let levels = deeper(levels, at)?;
            let mut entries = Vec::new();
            let mut left = source.open()?;
            while source.more(&mut left)? {
                let at = source.start();
                let key = meaning::plain_text(source.key(NAME)?);
                let key = Node {
                    at,
                    value: Ok(key),
                    body: None,
                };
                entries.push((key, node(source, levels)?));
            }
            Value::Map(MapValue::Shared(Rc::new(MapNode::new(at, entries))))
        }
    })
}

fn node<'p, S: Source<'p>>(source: &mut S, levels: u32) -> Checked<Node<'p>> {
    Ok(Node {
        at: source.start(),
        value: Ok(free(source, levels)?),
        body: None,
    })
}
