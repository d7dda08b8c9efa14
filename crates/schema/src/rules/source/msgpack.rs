//! MessagePack, as rules read it.

use std::borrow::Cow;

use prost_reflect::{DynamicMessage, Value};

use super::{Shape, Source, Writing};
use crate::msgpack::head::{MsgpackHead, MsgpackReader};
use crate::msgpack::known::{moment, wraps_fields};
use crate::msgpack::scalar::{float, integer};
use crate::rules::dynamic::{set, whole};
use crate::table::{Enum, FieldKind, Form, Message};
use crate::violation::Checked;

/// A payload in MessagePack.
#[derive(Clone)]
pub(in crate::rules) struct MsgpackSource<'p>(MsgpackReader<'p>);

impl<'p> MsgpackSource<'p> {
    pub fn new(payload: &'p [u8]) -> Self {
        Self(MsgpackReader::new(payload))
    }
}

impl Source for MsgpackSource<'_> {
    /// The number of elements or pairs.
    type Elements = usize;

    const ENUM_HOLDS_NULL: bool = false;

    fn at(&self) -> usize {
        self.0.at()
    }

    fn start(&mut self) -> usize {
        self.0.at()
    }

    fn shape(&mut self) -> Checked<Shape> {
        Ok(match self.0.clone().head()? {
            MsgpackHead::Nil => Shape::Null,
            MsgpackHead::Bool(_) => Shape::Bool,
            MsgpackHead::Str(_) => Shape::Text,
            MsgpackHead::Array(_) => Shape::List,
            MsgpackHead::Map(_) => Shape::Map,
            MsgpackHead::Uint(_)
            | MsgpackHead::Negative(_)
            | MsgpackHead::Float(_)
            | MsgpackHead::Bin(_)
            | MsgpackHead::Ext(..) => Shape::Other,
        })
    }

    fn writing(&mut self, message: &Message) -> Checked<Writing> {
        let mut inside = self.0.clone();
        let head = inside.head()?;
        Ok(match (message.form, head) {
            (Form::Timestamp, MsgpackHead::Ext(..)) => Writing::Own,
            (Form::Wrapper, head) if !wraps_fields(message.fields[0].kind, head, &inside)? => {
                Writing::Bare
            }
            _ => Writing::Fields,
        })
    }

    fn own(&mut self, _: Form, made: &mut DynamicMessage) -> Checked<()> {
        let at = self.0.at();
        // Only a timestamp has a form of its own.
        let MsgpackHead::Ext(_, data) = self.0.head()? else {
            return Ok(());
        };
        let (seconds, nanos) = moment(data, at)?;
        set(made, 1, Value::I64(seconds))?;
        set(made, 2, Value::I32(nanos as i32))
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

    fn name(&mut self) -> Checked<Cow<'_, str>> {
        Ok(match self.0.head()? {
            MsgpackHead::Str(text) => String::from_utf8_lossy(text),
            _ => Cow::Borrowed(""),
        })
    }

    fn key(&mut self, kind: FieldKind) -> Checked<Value> {
        Ok(match kind {
            FieldKind::String { .. } => Value::String(self.text()?),
            FieldKind::Bool => Value::Bool(self.bool()?),
            kind => whole(kind, self.integer()?),
        })
    }

    fn text(&mut self) -> Checked<String> {
        Ok(self.name()?.into_owned())
    }

    fn bool(&mut self) -> Checked<bool> {
        Ok(self.0.head()? == MsgpackHead::Bool(true))
    }

    fn float(&mut self) -> Checked<f64> {
        Ok(float(self.0.head()?).unwrap_or_default())
    }

    fn integer(&mut self) -> Checked<i128> {
        Ok(integer(self.0.head()?).unwrap_or_default())
    }

    fn bytes(&mut self) -> Checked<Vec<u8>> {
        match self.0.head()? {
            MsgpackHead::Bin(bytes) => Ok(bytes.to_vec()),
            MsgpackHead::Array(count) => (0..count).map(|_| Ok(self.integer()? as u8)).collect(),
            _ => Ok(Vec::new()),
        }
    }

    fn number_of(&mut self, names: &Enum) -> Checked<i32> {
        Ok(match self.0.head()? {
            MsgpackHead::Str(text) => {
                let name = String::from_utf8_lossy(text);
                names.names.get(&*name).copied().unwrap_or_default()
            }
            head => integer(head).unwrap_or_default() as i32,
        })
    }

    fn skip(&mut self) -> Checked<()> {
        self.0.skip(u32::MAX)
    }
}
