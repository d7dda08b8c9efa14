//! One view of the encodings that key fields by name, for the values that rules are held against.
//!
//! A [`Source`] reads a payload that the walk has passed, by the same mapping as the walk, and relies on the
//! walk's verdict: a value that the walk would reject is read as zero.

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
    /// Keys and values follow.
    Map,
    Other,
}

/// The way in which a message is written.
pub(in crate::rules) enum Writing<'p> {
    /// By its fields.
    Fields,
    /// As the bare value of its only field.
    Bare,
    /// In a form that the encoding has for the type.
    Own,
    /// As an object that names its type in `@type`.
    Typed { url: Cow<'p, str> },
}

/// Reads one payload from front to back.
pub(in crate::rules) trait Source<'p>: Clone {
    /// The elements of a list or map that are still to read.
    type Elements;

    /// The fields of a message that are still to read.
    type Fields;

    /// Whether null is a value of `google.protobuf.NullValue`, and not the absence of the field.
    const ENUM_HOLDS_NULL: bool;

    /// Returns the byte where the next value begins.
    fn start(&mut self) -> usize;

    /// Returns the kind of the next value.
    fn shape(&mut self) -> Checked<Shape>;

    /// Returns how the next value writes a message of this type.
    fn writing(&mut self, message: &Message) -> Checked<Writing<'p>>;

    /// Reads the next value, a message with a form of its own in this encoding.
    fn own(&mut self, form: Form) -> Checked<Value<'p>>;

    /// Skips the head of a list or map; of another value, the whole value, which has no elements then.
    fn open(&mut self) -> Checked<Self::Elements>;

    /// Returns whether an element or a pair follows.
    fn more(&mut self, elements: &mut Self::Elements) -> Checked<bool>;

    /// Skips the head of a message that is written by its fields.
    fn open_fields(&mut self) -> Checked<Self::Fields>;

    /// Reads up to the value of the next field and returns the field's index, if the message knows it; `None`
    /// at the end of the message.
    fn field(
        &mut self,
        fields: &mut Self::Fields,
        message: &Message,
    ) -> Checked<Option<Option<u32>>>;

    /// Reads the key of a pair as a value of `kind`.
    fn key(&mut self, kind: FieldKind) -> Checked<Value<'p>>;

    /// Reads a scalar of `kind`.
    fn scalar(&mut self, table: &Table, kind: FieldKind) -> Checked<Value<'p>>;

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

/// Returns a float as a value of `kind`, in whose precision it is.
fn float(kind: FieldKind, value: f64) -> Value<'static> {
    Value::Float(match kind {
        FieldKind::Float => f64::from(value as f32),
        _ => value,
    })
}
