//! The source that reads values for rules from a JSON payload.

use std::borrow::Cow;

use super::{Free, Shape, Source, Writing, float, whole};
use crate::json::head::{JsonHead, JsonReader};
use crate::json::number::Number;
use crate::json::plain::Next;
use crate::json::scalar::integer;
use crate::json::time::{duration, timestamp};
use crate::rules::base64::base64;
use crate::rules::check::{NANOS, Value};
use crate::table::{FieldKind, Form, Message, Table};
use crate::violation::Checked;

/// A payload in JSON.
#[derive(Clone)]
pub(in crate::rules) struct JsonSource<'p>(JsonReader<'p>);

impl<'p> From<JsonReader<'p>> for JsonSource<'p> {
    /// Returns a source of the values that `reader` reads next.
    fn from(reader: JsonReader<'p>) -> Self {
        Self(reader)
    }
}

impl<'p> JsonSource<'p> {
    pub(crate) fn new(payload: &'p [u8]) -> Self {
        Self(JsonReader::new(payload))
    }

    /// Returns the `@type` of the object that comes next, or an empty text if the object has none.
    ///
    /// The walk has ensured that at most `LATE_TYPES_MAX` nested objects have other members before
    /// `@type`, so no part of a payload is read more than a few times.
    fn type_url(&self) -> Checked<Cow<'p, str>> {
        let mut ahead = self.clone();
        let mut members = ahead.open()?;
        while ahead.more(&mut members)? {
            if &*ahead.0.key()?.bytes() == b"@type" {
                return ahead.text();
            }
            ahead.skip()?;
        }
        Ok(Cow::Borrowed(""))
    }

    /// Reads members of an object that are in declaration order and in their usual form. Stops
    /// before any other member, and before a member for which `accepts` returns false. `accepts`
    /// receives the field's index and the bytes of its value.
    #[inline]
    pub(in crate::rules) fn usual_fields(
        &mut self,
        fields: &mut Fields,
        message: &Message,
        accepts: impl FnMut(u32, &'p [u8]) -> bool,
    ) -> Checked<()> {
        if !self.more(&mut fields.members)? {
            fields.members = Elements::None;
            return Ok(());
        }
        let left = message.members.get(fields.place..).unwrap_or_default();
        let (others, next) = self.0.plain_members(left, accepts);
        fields.place += left.len() - others.len();
        fields.members = match next {
            Next::Another => Elements::Ahead { close: b'}' },
            Next::End => Elements::None,
        };
        Ok(())
    }

    fn text(&mut self) -> Checked<Cow<'p, str>> {
        Ok(match self.0.head()? {
            JsonHead::Str(text) => text.decoded(),
            _ => Cow::Borrowed(""),
        })
    }

    fn float(&mut self) -> Checked<f64> {
        Ok(match self.0.head()? {
            JsonHead::Number(number) => number.float(),
            JsonHead::Str(text) => match &*text.bytes() {
                b"NaN" => f64::NAN,
                b"Infinity" => f64::INFINITY,
                b"-Infinity" => f64::NEG_INFINITY,
                bytes => Number::parse(bytes).map_or(0.0, Number::float),
            },
            _ => 0.0,
        })
    }

    fn bytes(&mut self) -> Checked<Vec<u8>> {
        let mut ahead = self.0.clone();
        if let JsonHead::Str(text) = ahead.head()? {
            self.0 = ahead;
            return Ok(base64(&text.bytes()));
        }
        let mut bytes = Vec::new();
        let mut elements = self.open()?;
        while self.more(&mut elements)? {
            bytes.push(integer(self.0.head()?).unwrap_or_default() as u8);
        }
        Ok(bytes)
    }
}

/// The position of the reader in an object or array.
pub(in crate::rules) enum Elements {
    /// The end was read, or the value is neither an object nor an array.
    None,
    /// The opening bracket was read.
    Opened { close: u8 },
    /// An element was read.
    Begun { close: u8 },
    /// The comma before an element was read.
    Ahead { close: u8 },
}

/// The fields of a message that are still to be read.
pub(in crate::rules) struct Fields {
    members: Elements,
    /// The position, in declaration order, of the field that probably comes next.
    place: usize,
}

impl<'p> Source<'p> for JsonSource<'p> {
    type Elements = Elements;
    type Fields = Fields;

    const ENUM_HOLDS_NULL: bool = true;

    fn start(&mut self) -> usize {
        self.0.token()
    }

    fn shape(&mut self) -> Checked<Shape> {
        Ok(match self.0.next() {
            Some(b'n') => Shape::Null,
            Some(b'{') => Shape::Map,
            _ => Shape::Other,
        })
    }

    fn writing(&mut self, message: &Message) -> Checked<Writing<'p>> {
        Ok(match (message.form, self.shape()?) {
            (Form::Any, Shape::Map) => Writing::Typed {
                url: self.type_url()?,
            },
            (_, Shape::Map) => Writing::Fields,
            (Form::Wrapper, _) => Writing::Bare,
            _ => Writing::Special,
        })
    }

    fn special(&mut self, form: Form) -> Checked<Value<'p>> {
        let text = self.text()?;
        let time = match form {
            Form::Timestamp => timestamp(text.as_bytes()),
            Form::Duration => duration(text.as_bytes()),
            _ => {
                // An empty text has no paths. In other texts, commas separate paths, which may be
                // empty.
                let text = Some(&*text).filter(|text| !text.is_empty());
                let paths = text.into_iter().flat_map(|text| text.split(','));
                return Ok(Value::Paths(
                    paths.map(|path| snake_case(path).into()).collect(),
                ));
            }
        };
        let (seconds, nanos) = time.unwrap_or_default();
        Ok(Value::Time(i128::from(seconds) * NANOS + i128::from(nanos)))
    }

    fn open(&mut self) -> Checked<Elements> {
        Ok(match self.0.head()? {
            JsonHead::Array => Elements::Opened { close: b']' },
            JsonHead::Object => Elements::Opened { close: b'}' },
            _ => Elements::None,
        })
    }

    fn more(&mut self, elements: &mut Elements) -> Checked<bool> {
        match *elements {
            Elements::None => Ok(false),
            Elements::Opened { close } => {
                *elements = Elements::Begun { close };
                Ok(self.0.opened(close))
            }
            Elements::Begun { close } => self.0.another(close),
            Elements::Ahead { close } => {
                *elements = Elements::Begun { close };
                Ok(true)
            }
        }
    }

    fn open_fields(&mut self) -> Checked<Fields> {
        Ok(Fields {
            members: self.open()?,
            place: 0,
        })
    }

    fn field(&mut self, fields: &mut Fields, message: &Message) -> Checked<Option<Option<u32>>> {
        if !self.more(&mut fields.members)? {
            return Ok(None);
        }
        self.0.token();
        let next = message.members.get(fields.place);
        let index = match next.filter(|member| self.0.expected(member)) {
            Some(member) => Some(member.index),
            None => {
                let key = self.0.key()?;
                let declared = |name| message.declared_as(fields.place, name);
                let index = key.plain().and_then(declared);
                index.or_else(|| message.by_name(&key.decoded()))
            }
        };
        if let Some(index) = index {
            fields.place = message.place_after(index);
        }
        Ok(Some(index))
    }

    fn key(&mut self, kind: FieldKind) -> Checked<Value<'p>> {
        let name = self.0.key()?.decoded();
        Ok(match kind {
            FieldKind::String { .. } => Value::Text(name),
            FieldKind::Bool => Value::Bool(name == "true"),
            kind => {
                let number = Number::parse(name.as_bytes()).and_then(Number::integer);
                whole(kind, number.unwrap_or_default())
            }
        })
    }

    fn scalar(&mut self, table: &Table, kind: FieldKind) -> Checked<Value<'p>> {
        Ok(match kind {
            FieldKind::Double | FieldKind::Float => float(kind, self.float()?),
            FieldKind::Bool => Value::Bool(matches!(self.0.head()?, JsonHead::Bool(true))),
            FieldKind::String { .. } => Value::Text(self.text()?),
            FieldKind::Bytes => Value::Bytes(self.bytes()?.into()),
            FieldKind::Enum(id) => match self.0.head()? {
                JsonHead::Str(text) => {
                    let number = table[id].names.get(&*text.decoded()).copied();
                    Value::Signed(number.unwrap_or_default().into())
                }
                head => whole(kind, integer(head).unwrap_or_default()),
            },
            kind => whole(kind, integer(self.0.head()?).unwrap_or_default()),
        })
    }

    fn free(&mut self) -> Checked<Free<'p>> {
        match self.0.next() {
            Some(b'[') => return Ok(Free::List),
            Some(b'{') => return Ok(Free::Map),
            _ => {}
        }
        Ok(match self.0.head()? {
            JsonHead::Bool(value) => Free::Bool(value),
            JsonHead::Number(number) => Free::Number(number.float()),
            JsonHead::Str(text) => Free::Text(text.decoded()),
            _ => Free::Null,
        })
    }

    fn skip(&mut self) -> Checked<()> {
        self.0.skip(u32::MAX)
    }
}

/// Converts a path of a field mask from lower camel case, as JSON writes it, to the names in the
/// `.proto` file.
fn snake_case(path: &str) -> String {
    let mut snake = String::with_capacity(path.len() + 4);
    for c in path.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
