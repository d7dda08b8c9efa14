//! One view of the encodings that key fields by name, for the values and places that rules need.
//!
//! A [`Source`] reads a payload that the walk has passed, by the same mapping as the walk, and relies on the
//! walk's verdict: a value that the walk would reject is skipped or read as zero.

pub(super) mod json;
pub(super) mod msgpack;

use std::borrow::Cow;

use prost_reflect::{DynamicMessage, Value};

use crate::table::{Enum, FieldKind, Form, Message};
use crate::violation::Checked;

/// The kind of a value, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// JSON's null or MessagePack's nil.
    Null,
    Bool,
    Text,
    /// Elements follow.
    List,
    /// Keys and values follow.
    Map,
    /// A number, or a value that the encoding alone has.
    Other,
}

/// The way in which a message is written.
pub(super) enum Writing {
    /// By its fields.
    Fields,
    /// As the bare value of its only field.
    Bare,
    /// In a form that the encoding has for the type.
    Own,
    /// As an object that names its type in `@type`.
    Typed { url: String },
}

/// Reads one payload from front to back.
pub(super) trait Source: Clone {
    /// The elements of a list or map that are still to read.
    type Elements;

    /// Whether null is a value of `google.protobuf.NullValue`, and not the absence of the field.
    const ENUM_HOLDS_NULL: bool;

    /// Returns the byte that is read next, which may be white space.
    fn at(&self) -> usize;

    /// Returns the byte where the next value begins.
    fn start(&mut self) -> usize;

    /// Returns the kind of the next value.
    fn shape(&mut self) -> Checked<Shape>;

    /// Returns how the next value writes a message of this type, which is not Struct, Value or ListValue.
    fn writing(&mut self, message: &Message) -> Checked<Writing>;

    /// Reads the next value into `made`, a message with a form of its own in this encoding.
    fn own(&mut self, form: Form, made: &mut DynamicMessage) -> Checked<()>;

    /// Skips the head of a list or map; of another value, the whole value, which has no elements then.
    fn open(&mut self) -> Checked<Self::Elements>;

    /// Returns whether an element or a pair follows.
    fn more(&mut self, elements: &mut Self::Elements) -> Checked<bool>;

    /// Reads the key of a pair as a name.
    fn name(&mut self) -> Checked<Cow<'_, str>>;

    /// Reads the key of a pair as a value of `kind`.
    fn key(&mut self, kind: FieldKind) -> Checked<Value>;

    /// Reads a string.
    fn text(&mut self) -> Checked<String>;

    /// Reads a bool.
    fn bool(&mut self) -> Checked<bool>;

    /// Reads a number.
    fn float(&mut self) -> Checked<f64>;

    /// Reads a whole number.
    fn integer(&mut self) -> Checked<i128>;

    /// Reads bytes.
    fn bytes(&mut self) -> Checked<Vec<u8>>;

    /// Reads a value of an enum, by name or number.
    fn number_of(&mut self, names: &Enum) -> Checked<i32>;

    /// Skips the next value. The walk has bounded its depth.
    fn skip(&mut self) -> Checked<()>;
}
