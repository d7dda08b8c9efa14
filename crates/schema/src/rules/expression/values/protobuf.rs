//! Reads the values of a payload in protobuf's wire format.
//!
//! If a singular field occurs several times, the last record counts. The records of a message field
//! are merged, and a member of a oneof replaces the member that was set before it.

use gateway_cel::Value;

use super::building::{Building, Part};
use super::meaning;
use super::tree::{Body, Content, Node};
use super::wanted::{Wanted, WantedFields};
use crate::protobuf::wire::WireReader;
use crate::rules::check::Value as Plain;
use crate::rules::judge::protobuf::{scalar, scalar_or_bytes};
use crate::rules::unique::Distincts;
use crate::rules::zero::zero;
use crate::table::{Cardinality, Field, FieldKind, Form, MessageId, Table, wire};
use crate::violation::{Checked, deeper};

/// The maximum depth of a payload. No walk allows a larger depth.
const LEVELS_MAX: u32 = 1000;

/// The maximum depth of the message in an `Any`. The walk does not check such messages. Protobuf's
/// own parsers have the same limit by default.
const ANY_LEVELS_MAX: u32 = 100;

/// Reads a message of type `id`. In each message, only the fields in `wanted` are read, or all
/// fields if `wanted` is `None`.
///
/// # Errors
///
/// Fails if `payload` is malformed. The walk has ruled this out.
pub(in crate::rules::expression) fn read<'a>(
    table: &Table,
    wanted: Option<&Wanted>,
    id: MessageId,
    payload: &'a [u8],
) -> Checked<Node<'a>> {
    let reader = Reader { table, wanted };
    reader.whole(id, &mut WireReader::new(payload), LEVELS_MAX)
}

#[derive(Clone, Copy)]
struct Reader<'d> {
    table: &'d Table,
    /// The fields to read, or `None` for all.
    wanted: Option<&'d Wanted>,
}

impl Reader<'_> {
    /// Reads a message to the end of `reader`, or to the end of the group that `reader` is in.
    fn whole<'a>(
        self,
        id: MessageId,
        reader: &mut WireReader<'a>,
        levels: u32,
    ) -> Checked<Node<'a>> {
        let message = &self.table[id];
        if let Some(wanted) = self.wanted.and_then(|wanted| wanted.of(id, message))
            && wanted.is_flat
        {
            return self.flat(id, reader, wanted, levels);
        }
        let mut building = Building::new(reader.at());
        self.records(id, reader, &mut building, levels)?;
        Ok(self.finished(id, building, levels))
    }

    /// Reads a message whose wanted fields are all scalars.
    fn flat<'a>(
        self,
        id: MessageId,
        reader: &mut WireReader<'a>,
        wanted: &WantedFields,
        levels: u32,
    ) -> Checked<Node<'a>> {
        let message = &self.table[id];
        let at = reader.at();
        let mut body = Body::default();
        body.fields.reserve(wanted.indices.len());
        while !reader.is_empty() {
            let (number, kind) = reader.tag()?;
            if kind == wire::END_GROUP {
                break;
            }
            let index = message.by_number(number);
            let index = index.filter(|&index| {
                kind == message.fields[index as usize].wire && wanted.indices.contains(&index)
            });
            let Some(index) = index else {
                reader.skip(number, kind, levels)?;
                continue;
            };
            let field = &message.fields[index as usize];
            let at = reader.at();
            let node = match usual(reader, field.kind)? {
                Some(value) => Some(Node {
                    at,
                    value: Ok(value),
                    body: None,
                }),
                None => self.scalar(reader, field)?,
            };
            if let Some(node) = node {
                body.put(index, Content::One(node));
            }
        }
        Ok(meaning::body(id, at, body))
    }

    fn finished<'a>(self, id: MessageId, building: Building<'a>, levels: u32) -> Node<'a> {
        let inside = levels.saturating_sub(1);
        let node = meaning::message(self.table, id, building, &|id, inner| {
            self.finished(id, inner, inside)
        });
        match self.table[id].form {
            Form::Any => self.opened(id, node, levels),
            _ => node,
        }
    }

    fn records<'a>(
        self,
        id: MessageId,
        reader: &mut WireReader<'a>,
        building: &mut Building<'a>,
        levels: u32,
    ) -> Checked<()> {
        let message = &self.table[id];
        let wanted = self.wanted.and_then(|wanted| wanted.of(id, message));
        while !reader.is_empty() {
            let (number, kind) = reader.tag()?;
            if kind == wire::END_GROUP {
                break;
            }
            let index = message.by_number(number);
            let index = index.filter(|&index| {
                let field = &message.fields[index as usize];
                let fits = kind == field.wire || field.packable && kind == wire::LEN;
                // A member of a oneof is read even if it is not wanted, since it may replace a
                // member that is wanted.
                let member = field.oneof.is_some();
                fits && (member || wanted.is_none_or(|wanted| wanted.has(index)))
            });
            match index {
                Some(index) => {
                    let field = &message.fields[index as usize];
                    self.record(reader, kind, (index, field), building, levels)?;
                }
                None => reader.skip(number, kind, levels)?,
            }
        }
        Ok(())
    }

    fn record<'a>(
        self,
        reader: &mut WireReader<'a>,
        kind: u8,
        (index, field): (u32, &Field),
        building: &mut Building<'a>,
        levels: u32,
    ) -> Checked<()> {
        match field.cardinality {
            Cardinality::Singular => self.singular(reader, (index, field), building, levels),
            Cardinality::Repeated => {
                let at = reader.at();
                let part = building.field(index).get_or_insert_with(|| Part::List {
                    at,
                    elements: Vec::new(),
                });
                let Part::List { elements, .. } = part else {
                    return reader.skip(field.number, kind, levels);
                };
                if kind == field.wire {
                    elements.extend(self.element(reader, field, levels)?);
                    return Ok(());
                }
                let mut run = reader.body()?;
                while !run.is_empty() {
                    elements.extend(self.element(&mut run, field, levels)?);
                }
                Ok(())
            }
            Cardinality::Map => {
                let at = reader.at();
                let entry = self.entry(reader, field, levels)?;
                let part = building.field(index).get_or_insert_with(|| Part::Map {
                    at,
                    entries: Vec::new(),
                    keys: Distincts::default(),
                });
                let (Part::Map { entries, keys, .. }, Some((plain, pair))) = (part, entry) else {
                    return Ok(());
                };
                match keys.insert(plain, entries.len()) {
                    Some(before) => entries[before] = pair,
                    None => entries.push(pair),
                }
                Ok(())
            }
        }
    }

    fn singular<'a>(
        self,
        reader: &mut WireReader<'a>,
        (index, field): (u32, &Field),
        building: &mut Building<'a>,
        levels: u32,
    ) -> Checked<()> {
        if let Some(id) = field.kind.message() {
            let levels = deeper(levels, reader.at())?;
            if let Some(oneof) = field.oneof {
                building.choose(oneof, index);
            }
            let start = reader.at();
            let part = building
                .field(index)
                .get_or_insert_with(|| Part::Message(Box::new(Building::new(start))));
            let Part::Message(inner) = part else {
                return reader.skip(field.number, field.wire, levels);
            };
            if field.wire == wire::START_GROUP {
                inner.at = start;
                return self.records(id, reader, inner, levels);
            }
            let mut body = reader.body()?;
            inner.at = body.at();
            return self.records(id, &mut body, inner, levels);
        }
        // A number that a closed enum does not define is an unknown field, which sets nothing.
        if let Some(node) = self.scalar(reader, field)? {
            if let Some(oneof) = field.oneof {
                building.choose(oneof, index);
            }
            *building.field(index) = Some(Part::One(node));
        }
        Ok(())
    }

    /// Reads an element. Returns `None` for a number that the closed enum of the field does not
    /// define.
    fn element<'a>(
        self,
        reader: &mut WireReader<'a>,
        field: &Field,
        levels: u32,
    ) -> Checked<Option<Node<'a>>> {
        let Some(id) = field.kind.message() else {
            return self.scalar(reader, field);
        };
        let levels = deeper(levels, reader.at())?;
        let node = match field.wire {
            wire::START_GROUP => self.whole(id, reader, levels)?,
            _ => self.whole(id, &mut reader.body()?, levels)?,
        };
        Ok(Some(node))
    }

    fn scalar<'a>(self, reader: &mut WireReader<'a>, field: &Field) -> Checked<Option<Node<'a>>> {
        let (at, start) = (reader.at(), reader.clone());
        reader.skip(field.number, field.wire, 0)?;
        let value = plain(field.kind, &start)?;
        if let (FieldKind::Enum(id), Plain::Signed(number)) = (field.kind, &value) {
            let known = &self.table[id];
            if known.closed && !known.knows(*number as i32) {
                return Ok(None);
            }
        }
        Ok(Some(Node {
            at,
            value: meaning::plain(self.table, field.kind, value),
            body: None,
        }))
    }

    /// Reads an entry of a map. Returns the key as a plain value, and the key and the value as CEL
    /// values. Returns `None` if the value is a number that its closed enum does not define.
    fn entry<'a>(
        self,
        reader: &mut WireReader<'a>,
        field: &Field,
        levels: u32,
    ) -> Checked<Option<(Plain<'a>, (Node<'a>, Node<'a>))>> {
        let mut body = reader.body()?;
        let at = body.at();
        let entry = field.kind.message().map(|id| &*self.table[id].fields);
        let Some([of_key, of_value]) = entry else {
            return Ok(None);
        };
        let levels = deeper(levels, at)?;
        let (mut key, mut building) = (None, Building::new(at));
        let mut known = true;
        while !body.is_empty() {
            match body.tag()? {
                (1, kind) if kind == of_key.wire => {
                    key = Some(plain(of_key.kind, &body)?);
                    body.skip(1, kind, levels)?;
                }
                (2, kind) if kind == of_value.wire && of_value.kind.message().is_some() => {
                    self.singular(&mut body, (1, of_value), &mut building, levels)?;
                }
                (2, kind) if kind == of_value.wire => {
                    let value = self.scalar(&mut body, of_value)?;
                    known &= value.is_some();
                    *building.field(1) = value.map(Part::One);
                }
                (number, kind) => body.skip(number, kind, levels)?,
            }
        }
        let Some(key) = key.or_else(|| zero(of_key.kind)).filter(|_| known) else {
            return Ok(None);
        };
        let value = match (building.field(1).take(), of_value.kind.message()) {
            (Some(Part::One(node)), _) => node,
            (Some(Part::Message(inner)), Some(id)) => self.finished(id, *inner, levels),
            (_, Some(id)) => self.finished(id, Building::new(at), levels),
            _ => Node {
                at,
                value: match zero(of_value.kind) {
                    Some(zero) => meaning::plain(self.table, of_value.kind, zero),
                    None => Ok(Value::Null),
                },
                body: None,
            },
        };
        let of_key = Node {
            at,
            value: meaning::plain(self.table, of_key.kind, key.clone()),
            body: None,
        };
        Ok(Some((key, (of_key, value))))
    }

    /// Returns the message in an `Any`. Returns the `Any` itself if the type is unknown, if the
    /// bytes are not a message of this type, or if the message is nested too deep.
    fn opened<'a>(self, id: MessageId, any: Node<'a>, levels: u32) -> Node<'a> {
        let part = |number| {
            let index = self.table[id].by_number(number)?;
            let content = any.body.as_ref()?.field(index)?;
            content.value().ok()
        };
        let value = match (part(1), part(2)) {
            (Some(Value::String(url)), value) => {
                let inner_id = url.rsplit_once('/').map(|(_, name)| name);
                let inner_id = inner_id.and_then(|name| self.table.message(name));
                let bytes = match value {
                    Some(Value::Bytes(gateway_cel::Bytes::Borrowed(bytes))) => bytes,
                    _ => &[],
                };
                inner_id
                    .zip(levels.min(ANY_LEVELS_MAX).checked_sub(1))
                    .and_then(|(inner_id, levels)| {
                        self.whole(inner_id, &mut WireReader::new(bytes), levels)
                            .ok()
                    })
            }
            _ => None,
        };
        Node {
            at: any.at,
            value: value.map_or(any.value, |inner| inner.value),
            body: None,
        }
    }
}

/// Returns the value of a scalar. A string that is not UTF-8 becomes [`Plain::Bytes`] if its type
/// allows such strings. This is no error yet, because a later record may replace the string, and
/// the rules may not read the string.
fn plain<'a>(kind: FieldKind, value: &WireReader<'a>) -> Checked<Plain<'a>> {
    match kind {
        FieldKind::String { utf8: false } => scalar_or_bytes(kind, value),
        _ => scalar(kind, value),
    }
}

/// Reads a scalar of a common kind. Reads nothing and returns `None` for any other kind, and for a
/// string that is not UTF-8.
#[inline]
fn usual<'a>(reader: &mut WireReader<'a>, kind: FieldKind) -> Checked<Option<Value<'a>>> {
    Ok(Some(match kind {
        FieldKind::Int32 => Value::Int((reader.varint()? as i32).into()),
        FieldKind::Int64 => Value::Int(reader.varint()? as i64),
        FieldKind::Uint32 => Value::Uint((reader.varint()? as u32).into()),
        FieldKind::Uint64 => Value::Uint(reader.varint()?),
        FieldKind::Bool => Value::Bool(reader.varint()? != 0),
        FieldKind::String { .. } => {
            let mut ahead = reader.clone();
            let Ok(text) = std::str::from_utf8(ahead.delimited()?) else {
                return Ok(None);
            };
            *reader = ahead;
            Value::borrowed(text)
        }
        _ => return Ok(None),
    }))
}
