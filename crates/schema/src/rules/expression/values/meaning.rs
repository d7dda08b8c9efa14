//! Converts messages and scalars to the CEL values that expressions read.

use std::borrow::Cow;
use std::rc::Rc;

use gateway_cel::{
    Bytes, Duration, ErrorKind, ListValue, MapValue, MessageId as CelId, Text, Timestamp, Value,
};

use super::building::{Building, Part};
use super::tree::{Body, Content, ListNode, MapNode, Node};
use crate::rules::check::{NANOS, Value as Plain};
use crate::rules::expression::schema::kind;
use crate::table::{FieldKind, Form, MessageId, Table};

/// A function that converts a message inside another message.
type Finish<'f, 'a> = &'f dyn Fn(MessageId, Building<'a>) -> Node<'a>;

/// Converts a message that was read completely. `finish` converts the messages inside it.
pub(super) fn message<'a>(
    table: &Table,
    id: MessageId,
    mut building: Building<'a>,
    finish: Finish<'_, 'a>,
) -> Node<'a> {
    let at = building.at;
    let form = table[id].form;
    let number = |number| table[id].by_number(number);
    let value = match form {
        Form::Fields | Form::FieldMask | Form::Any => return fields(table, id, building, finish),
        Form::Timestamp | Form::Duration => {
            let part = |value| match value {
                Some(Value::Int(value)) => i128::from(value),
                _ => 0,
            };
            let (seconds, nanos) = (
                part(building.take(number(1))),
                part(building.take(number(2))),
            );
            time(form, seconds * NANOS + nanos)
        }
        Form::Wrapper => {
            let wrapped = kind(table, table[id].fields[0].kind);
            let value = building.take(Some(0));
            Ok(value.unwrap_or_else(|| Value::zero(wrapped)))
        }
        Form::Struct => Ok(match building.field(0).take() {
            Some(Part::Map { at, entries, .. }) => {
                Value::Map(MapValue::Shared(Rc::new(MapNode::new(at, entries))))
            }
            _ => Value::Map(MapValue::Empty),
        }),
        Form::ListValue => Ok(match building.field(0).take() {
            Some(Part::List { at, elements }) => list(at, elements),
            _ => Value::List(ListValue::Constant(&[])),
        }),
        Form::Value => return any_value(table, id, building, finish),
    };
    Node {
        at,
        value,
        body: None,
    }
}

fn list<'a>(at: usize, elements: Vec<Node<'a>>) -> Value<'a> {
    Value::List(ListValue::Shared(Rc::new(ListNode { at, elements })))
}

/// Returns a `google.protobuf.Value` as the value that it holds.
fn any_value<'a>(
    table: &Table,
    id: MessageId,
    mut building: Building<'a>,
    finish: Finish<'_, 'a>,
) -> Node<'a> {
    let at = building.at;
    let mut parts = building.fields.iter_mut();
    let set = parts.find_map(|(index, part)| Some((*index, part.take()?)));
    let value = match set {
        // The field with the number 1 is `null_value`, an enum, which would become an integer.
        Some((index, _)) if table[id].fields[index as usize].number == 1 => Ok(Value::Null),
        Some((_, Part::One(node))) => node.value,
        Some((index, Part::Message(inner))) => {
            match table[id].fields[index as usize].kind.message() {
                Some(inner_id) => finish(inner_id, *inner).value,
                None => Ok(Value::Null),
            }
        }
        _ => Ok(Value::Null),
    };
    Node {
        at,
        value,
        body: None,
    }
}

/// Converts a message to a CEL message with the same fields.
fn fields<'a>(
    table: &Table,
    id: MessageId,
    building: Building<'a>,
    finish: Finish<'_, 'a>,
) -> Node<'a> {
    // A loop needs less of the stack than iterators do, and messages nest up to `limits.depth`.
    let mut fields = Vec::with_capacity(building.fields.len());
    for (index, part) in building.fields {
        if let Some(part) = part {
            let inner_id = table[id].fields[index as usize].kind.message();
            fields.push((index, content(inner_id, part, finish)));
        }
    }
    if !fields.is_sorted_by_key(|(index, _)| *index) {
        fields.sort_unstable_by_key(|(index, _)| *index);
    }
    body(id, building.at, Body { fields })
}

/// Returns the message of type `id` with these fields.
pub(super) fn body<'a>(id: MessageId, at: usize, body: Body<'a>) -> Node<'a> {
    let body = Rc::new(body);
    Node {
        at,
        value: Ok(Value::shared_message(CelId(id.0), body.clone())),
        body: Some(body),
    }
}

fn content<'a>(inner_id: Option<MessageId>, part: Part<'a>, finish: Finish<'_, 'a>) -> Content<'a> {
    match (part, inner_id) {
        (Part::One(node), _) => Content::One(node),
        (Part::Message(inner), Some(id)) => Content::One(finish(id, *inner)),
        (Part::Message(inner), None) => Content::One(Node {
            at: inner.at,
            value: Ok(Value::Null),
            body: None,
        }),
        (Part::List { at, elements }, _) => Content::List(Rc::new(ListNode { at, elements })),
        (Part::Map { at, entries, .. }, _) => Content::Map(Rc::new(MapNode::new(at, entries))),
    }
}

/// Converts a time in nanoseconds to a timestamp or a duration, according to `form`. Returns an
/// error if the time is out of the range of this type.
pub(super) fn time<'a>(form: Form, nanos: i128) -> Result<Value<'a>, ErrorKind> {
    let (seconds, rest) = (nanos.div_euclid(NANOS), nanos.rem_euclid(NANOS));
    let seconds = i64::try_from(seconds).ok();
    if form == Form::Timestamp {
        let time = seconds.and_then(|seconds| Timestamp::new(seconds, rest as u32));
        return time
            .map(Value::Timestamp)
            .ok_or(ErrorKind::Range("google.protobuf.Timestamp"));
    }
    let duration = seconds.and_then(|seconds| Duration::new(seconds, rest as i32));
    duration
        .map(Value::Duration)
        .ok_or(ErrorKind::Range("google.protobuf.Duration"))
}

/// Converts a scalar, or a well-known type with a special form, to a CEL value. Returns an error
/// for a string that is not UTF-8, and for a time that is out of range.
pub(super) fn plain<'a>(
    table: &Table,
    kind: FieldKind,
    value: Plain<'a>,
) -> Result<Value<'a>, ErrorKind> {
    Ok(match value {
        Plain::Signed(value) => Value::Int(value),
        Plain::Unsigned(value) => Value::Uint(value),
        Plain::Float(value) => Value::Double(value),
        Plain::Bool(value) => Value::Bool(value),
        Plain::Text(text) => self::text(text),
        Plain::Bytes(_) if matches!(kind, FieldKind::String { .. }) => {
            return Err(ErrorKind::NotUtf8);
        }
        Plain::Bytes(Cow::Borrowed(bytes)) => Value::Bytes(Bytes::Borrowed(bytes)),
        Plain::Bytes(Cow::Owned(bytes)) => Value::Bytes(Bytes::Shared(bytes.into())),
        Plain::Time(nanos) => {
            let form = kind.message().map_or(Form::Duration, |id| table[id].form);
            return time(form, nanos);
        }
        Plain::Paths(_) => Value::Null,
    })
}

/// Converts a text to a CEL string.
pub(super) fn text(text: Cow<str>) -> Value {
    match text {
        Cow::Borrowed(text) => Value::String(Text::Borrowed(text)),
        Cow::Owned(text) => Value::owned(text),
    }
}

/// Converts a text key to a CEL string. Any other key becomes an empty string.
pub(super) fn plain_text(key: Plain) -> Value {
    match key {
        Plain::Text(key) => text(key),
        _ => Value::borrowed(""),
    }
}
