//! The interface for reading the values that rules test, common to the encodings that key fields by
//! name.
//!
//! A [`Source`] reads a payload that the walk of its encoding has accepted, and interprets the
//! payload as the walk does. It relies on the verdict of the walk: a value that the walk would
//! reject is read as zero.

pub(in crate::rules) mod json;
pub(in crate::rules) mod msgpack;

use std::borrow::Cow;

use crate::rules::check::Value;
use crate::table::{FieldKind, Form, Message, Table};
use crate::violation::Checked;

/// The kind of a value, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Shape {
    /// JSON's null or MessagePack's nil.
    Null,
    /// A JSON object. For a map, the reader of MessagePack returns `Other`.
    Map,
    Other,
}

/// The form in which a message is written.
pub(in crate::rules) enum Writing<'p> {
    /// The fields of the message, keyed by name or, in a MessagePack array, in declaration order.
    Fields,
    /// The bare value of the message's only field.
    Bare,
    /// A special form that the encoding has for this type.
    Special,
    /// An object that names its type in `@type`.
    Typed { url: Cow<'p, str> },
}

/// A value of any kind that `google.protobuf.Value` can hold.
pub(in crate::rules) enum Free<'p> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'p, str>),
    /// A list, whose elements are read after [opening](Source::open) the list.
    List,
    /// A map, whose keys and values are read after [opening](Source::open) the map.
    Map,
}

/// A reader of one payload from front to back.
pub(in crate::rules) trait Source<'p>: Clone {
    /// The elements of a list or map that are still to be read.
    type Elements;

    /// The fields of a message that are still to be read.
    type Fields;

    /// True if null is a value of `google.protobuf.NullValue` and does not stand for an absent
    /// field.
    const ENUM_HOLDS_NULL: bool;

    /// Returns the byte where the next value begins.
    fn start(&mut self) -> usize;

    /// Returns the kind of the next value.
    fn shape(&mut self) -> Checked<Shape>;

    /// Returns the form in which the next value, a message of this type, is written.
    fn writing(&mut self, message: &Message) -> Checked<Writing<'p>>;

    /// Reads the next value, a message that is written in a [special form](Writing::Special).
    fn special(&mut self, form: Form) -> Checked<Value<'p>>;

    /// Skips the head of a list or map. Any other value is skipped as a whole, and has no elements.
    fn open(&mut self) -> Checked<Self::Elements>;

    /// Moves to the next element or pair, and returns whether there is one. If not, skips the end
    /// of the list or map.
    fn more(&mut self, elements: &mut Self::Elements) -> Checked<bool>;

    /// Skips the head of a message that is written field by field.
    fn open_fields(&mut self) -> Checked<Self::Fields>;

    /// Reads up to the value of the next field and returns the field's index, or `Some(None)` if
    /// the message has no such field. Returns `None` at the end of the message.
    fn field(
        &mut self,
        fields: &mut Self::Fields,
        message: &Message,
    ) -> Checked<Option<Option<u32>>>;

    /// Reads the key of a pair as a value of `kind`.
    fn key(&mut self, kind: FieldKind) -> Checked<Value<'p>>;

    /// Reads a scalar of `kind`.
    fn scalar(&mut self, table: &Table, kind: FieldKind) -> Checked<Value<'p>>;

    /// Reads the next value, of any kind. A list or map is not consumed.
    fn free(&mut self) -> Checked<Free<'p>>;

    /// Skips the next value. The walk has bounded its depth.
    fn skip(&mut self) -> Checked<()>;
}

/// Returns a whole number as a value of an integer kind.
fn whole(kind: FieldKind, value: i128) -> Value<'static> {
    match kind {
        FieldKind::Uint32 | FieldKind::Fixed32 | FieldKind::Uint64 | FieldKind::Fixed64 => {
            Value::Unsigned(value as u64)
        }
        _ => Value::Signed(value as i64),
    }
}

/// Returns a float as a value of `kind`, rounded to the precision of `kind`.
fn float(kind: FieldKind, value: f64) -> Value<'static> {
    Value::Float(match kind {
        FieldKind::Float => f64::from(value as f32),
        _ => value,
    })
}
