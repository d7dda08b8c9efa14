//! The source that reads values for rules from a MessagePack payload.

use std::borrow::Cow;

use super::{Free, Shape, Source, Writing, float, whole};
use crate::msgpack::head::{MsgpackHead, MsgpackReader};
use crate::msgpack::keys::decimal;
use crate::msgpack::known::{timestamp_parts, wraps_fields};
use crate::msgpack::scalar;
use crate::rules::check::{NANOS, Value};
use crate::table::{FieldKind, Form, Message, Table};
use crate::violation::Checked;

/// A payload in MessagePack.
#[derive(Clone)]
pub(in crate::rules) struct MsgpackSource<'p>(MsgpackReader<'p>);

impl<'p> From<MsgpackReader<'p>> for MsgpackSource<'p> {
    /// Returns a source of the values that `reader` reads next.
    fn from(reader: MsgpackReader<'p>) -> Self {
        Self(reader)
    }
}

impl<'p> MsgpackSource<'p> {
    pub(crate) fn new(payload: &'p [u8]) -> Self {
        Self(MsgpackReader::new(payload))
    }

    fn integer(&mut self) -> Checked<i128> {
        Ok(scalar::integer(self.0.head()?).unwrap_or_default())
    }

    fn text(&mut self) -> Checked<Cow<'p, str>> {
        Ok(match self.0.head()? {
            MsgpackHead::Str(text) => String::from_utf8_lossy(text),
            _ => Cow::Borrowed(""),
        })
    }

    fn bytes(&mut self) -> Checked<Cow<'p, [u8]>> {
        match self.0.head()? {
            MsgpackHead::Bin(bytes) => Ok(bytes.into()),
            MsgpackHead::Array(count) => (0..count).map(|_| Ok(self.integer()? as u8)).collect(),
            _ => Ok((&[][..]).into()),
        }
    }
}

/// The fields of a message that are still to be read.
pub(in crate::rules) struct Fields {
    /// The number of pairs of the map, or of values of the array, that are still to be read.
    left: usize,
    /// The position, in declaration order, of the field that probably comes next.
    place: usize,
    /// True if the message is a map keyed by name, false if it is an array.
    keyed: bool,
}

impl<'p> Source<'p> for MsgpackSource<'p> {
    /// The number of elements or pairs that are still to be read.
    type Elements = usize;
    type Fields = Fields;

    const ENUM_HOLDS_NULL: bool = false;

    fn start(&mut self) -> usize {
        self.0.at()
    }

    fn shape(&mut self) -> Checked<Shape> {
        Ok(if self.0.is_nil() {
            Shape::Null
        } else {
            Shape::Other
        })
    }

    fn writing(&mut self, message: &Message) -> Checked<Writing<'p>> {
        let mut inside = self.0.clone();
        let head = inside.head()?;
        Ok(match (message.form, head) {
            (Form::Timestamp, MsgpackHead::Ext(..)) => Writing::Special,
            (Form::Wrapper, head) if !wraps_fields(message.fields[0].kind, head, &inside)? => {
                Writing::Bare
            }
            _ => Writing::Fields,
        })
    }

    fn special(&mut self, _: Form) -> Checked<Value<'p>> {
        let at = self.0.at();
        // In MessagePack, only a timestamp has a special encoding.
        let (seconds, nanos) = match self.0.head()? {
            MsgpackHead::Ext(_, data) => timestamp_parts(data, at)?,
            _ => (0, 0),
        };
        Ok(Value::Time(i128::from(seconds) * NANOS + i128::from(nanos)))
    }

    fn open(&mut self) -> Checked<usize> {
        Ok(match self.0.head()? {
            MsgpackHead::Array(count) | MsgpackHead::Map(count) => count,
            _ => 0,
        })
    }

    fn more(&mut self, elements: &mut usize) -> Checked<bool> {
        let more = *elements > 0;
        *elements = elements.saturating_sub(1);
        Ok(more)
    }

    fn open_fields(&mut self) -> Checked<Fields> {
        let (left, keyed) = match self.0.head()? {
            MsgpackHead::Map(count) => (count, true),
            MsgpackHead::Array(count) => (count, false),
            _ => (0, false),
        };
        Ok(Fields {
            left,
            place: 0,
            keyed,
        })
    }

    fn field(&mut self, fields: &mut Fields, message: &Message) -> Checked<Option<Option<u32>>> {
        if fields.left == 0 {
            return Ok(None);
        }
        fields.left -= 1;
        if !fields.keyed {
            let index = message.declared.get(fields.place).copied();
            fields.place += 1;
            return Ok(Some(index));
        }
        let key = match self.0.short_string() {
            Some(key) => key,
            None => match self.0.head()? {
                MsgpackHead::Str(key) => key,
                _ => return Ok(Some(None)),
            },
        };
        let index = message.declared_as(fields.place, key);
        let named = || message.by_name(std::str::from_utf8(key).ok()?);
        let index = index.or_else(named);
        if let Some(index) = index {
            fields.place = message.place_after(index);
        }
        Ok(Some(index))
    }

    fn key(&mut self, kind: FieldKind) -> Checked<Value<'p>> {
        Ok(match kind {
            FieldKind::String { .. } => Value::Text(self.text()?),
            FieldKind::Bool => {
                let head = self.0.head()?;
                Value::Bool(matches!(
                    head,
                    MsgpackHead::Bool(true) | MsgpackHead::Str(b"true")
                ))
            }
            kind => match self.0.head()? {
                // The option `text_keys` allows numeric keys that are written as strings.
                MsgpackHead::Str(text) => whole(kind, decimal(text).unwrap_or_default()),
                head => whole(kind, scalar::integer(head).unwrap_or_default()),
            },
        })
    }

    fn scalar(&mut self, table: &Table, kind: FieldKind) -> Checked<Value<'p>> {
        Ok(match kind {
            FieldKind::Double | FieldKind::Float => {
                float(kind, scalar::float(self.0.head()?).unwrap_or_default())
            }
            FieldKind::Bytes => Value::Bytes(self.bytes()?),
            FieldKind::Enum(id) => match self.0.head()? {
                MsgpackHead::Str(name) => {
                    let names = &table[id].names;
                    let number = std::str::from_utf8(name)
                        .ok()
                        .and_then(|name| names.get(name));
                    Value::Signed(number.copied().unwrap_or_default().into())
                }
                head => whole(kind, scalar::integer(head).unwrap_or_default()),
            },
            kind => self.key(kind)?,
        })
    }

    fn free(&mut self) -> Checked<Free<'p>> {
        let mut inside = self.0.clone();
        let value = match inside.head()? {
            MsgpackHead::Array(_) => return Ok(Free::List),
            MsgpackHead::Map(_) => return Ok(Free::Map),
            MsgpackHead::Bool(value) => Free::Bool(value),
            MsgpackHead::Str(text) => Free::Text(String::from_utf8_lossy(text)),
            head => scalar::float(head).map_or(Free::Null, Free::Number),
        };
        self.0 = inside;
        Ok(value)
    }

    fn skip(&mut self) -> Checked<()> {
        self.0.skip(u32::MAX)
    }
}
