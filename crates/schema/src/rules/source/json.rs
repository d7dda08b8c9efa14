//! JSON, as rules read it.

use std::borrow::Cow;

use prost_reflect::{DynamicMessage, Value};

use super::{Shape, Source, Writing};
use crate::json::head::{JsonHead, JsonReader};
use crate::json::number::Number;
use crate::json::scalar::integer;
use crate::json::time::{duration, timestamp};
use crate::rules::base64::base64;
use crate::rules::dynamic::{set, whole};
use crate::table::{Enum, FieldKind, Form, Message};
use crate::violation::{Checked, Fault, excerpt};

/// A payload in JSON.
#[derive(Clone)]
pub(in crate::rules) struct JsonSource<'p>(JsonReader<'p>);

impl<'p> JsonSource<'p> {
    pub fn new(payload: &'p [u8]) -> Self {
        Self(JsonReader::new(payload))
    }

    /// Returns the `@type` of the object that comes next.
    ///
    /// The walk has made sure that `@type` comes first, except in a few objects (`LATE_TYPES`), so each payload
    /// is read about once.
    fn type_url(&self) -> Checked<String> {
        let mut ahead = self.clone();
        let mut members = ahead.open()?;
        while ahead.more(&mut members)? {
            if ahead.name()? == "@type" {
                return ahead.text();
            }
            ahead.skip()?;
        }
        Ok(String::new())
    }
}

/// The members or elements of an object or array.
pub(in crate::rules) enum Elements {
    /// The value has none.
    None,
    /// The opening bracket was read.
    Opened { close: u8 },
    /// An element was read.
    Begun { close: u8 },
}

impl Source for JsonSource<'_> {
    type Elements = Elements;

    const ENUM_HOLDS_NULL: bool = true;

    fn at(&self) -> usize {
        self.0.at()
    }

    fn start(&mut self) -> usize {
        self.0.token()
    }

    fn shape(&mut self) -> Checked<Shape> {
        Ok(match self.0.next() {
            Some(b'n') => Shape::Null,
            Some(b't' | b'f') => Shape::Bool,
            Some(b'"') => Shape::Text,
            Some(b'[') => Shape::List,
            Some(b'{') => Shape::Map,
            _ => Shape::Other,
        })
    }

    fn writing(&mut self, message: &Message) -> Checked<Writing> {
        Ok(match (message.form, self.shape()?) {
            (Form::Any, Shape::Map) => Writing::Typed {
                url: self.type_url()?,
            },
            (_, Shape::Map) => Writing::Fields,
            (Form::Wrapper, _) => Writing::Bare,
            _ => Writing::Own,
        })
    }

    fn own(&mut self, form: Form, made: &mut DynamicMessage) -> Checked<()> {
        let at = self.0.token();
        let text = self.text()?;
        let time = match form {
            Form::Timestamp => timestamp(text.as_bytes()),
            Form::Duration => duration(text.as_bytes()),
            Form::FieldMask => {
                let paths = text.split(',').filter(|path| !path.is_empty());
                let paths = paths.map(|path| Value::String(snake_case(path)));
                return set(made, 1, Value::List(paths.collect()));
            }
            _ => return Ok(()),
        };
        let no_time = || Fault::new(at, "a time", excerpt(text.as_bytes()));
        let (seconds, nanos) = time.ok_or_else(no_time)?;
        set(made, 1, Value::I64(seconds))?;
        set(made, 2, Value::I32(nanos))
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
        }
    }

    fn name(&mut self) -> Checked<Cow<'_, str>> {
        Ok(self.0.key()?.decoded())
    }

    fn key(&mut self, kind: FieldKind) -> Checked<Value> {
        let name = self.0.key()?.decoded();
        Ok(match kind {
            FieldKind::String { .. } => Value::String(name.into_owned()),
            FieldKind::Bool => Value::Bool(name == "true"),
            kind => {
                let number = Number::parse(name.as_bytes()).and_then(Number::integer);
                whole(kind, number.unwrap_or_default())
            }
        })
    }

    fn text(&mut self) -> Checked<String> {
        Ok(match self.0.head()? {
            JsonHead::Str(text) => text.decoded().into_owned(),
            _ => String::new(),
        })
    }

    fn bool(&mut self) -> Checked<bool> {
        Ok(matches!(self.0.head()?, JsonHead::Bool(true)))
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

    fn integer(&mut self) -> Checked<i128> {
        Ok(integer(self.0.head()?).unwrap_or_default())
    }

    fn bytes(&mut self) -> Checked<Vec<u8>> {
        if self.shape()? == Shape::Text {
            return Ok(match self.0.head()? {
                JsonHead::Str(text) => base64(&text.bytes()),
                _ => Vec::new(),
            });
        }
        let mut bytes = Vec::new();
        let mut elements = self.open()?;
        while self.more(&mut elements)? {
            bytes.push(self.integer()? as u8);
        }
        Ok(bytes)
    }

    fn number_of(&mut self, names: &Enum) -> Checked<i32> {
        Ok(match self.0.head()? {
            JsonHead::Str(text) => (names.names.get(&*text.decoded()).copied()).unwrap_or_default(),
            head => integer(head).unwrap_or_default() as i32,
        })
    }

    fn skip(&mut self) -> Checked<()> {
        self.0.skip(u32::MAX)
    }
}

/// Returns a path of a field mask as in the `.proto`: JSON has each path in lower camel case.
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
