//! The values that expressions take and return.

use std::fmt;
use std::rc::Rc;

use crate::budget::Budget;
use crate::constant::Constant;
use crate::error::ErrorKind;
use crate::field::{Field, Kind, Label, WellKnown, Wrapped};
use crate::text::{Bytes, Text};
use crate::time::{Duration, Timestamp};
use crate::types::MessageId;

/// 2^63, the smallest whole number above the range of an `int`.
pub(crate) const INT_BOUND: f64 = 9_223_372_036_854_775_808.0;

/// A value. Data of the payload or of the program is borrowed for `'a`; data that an evaluation
/// creates is reference-counted.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A signed integer, or the number of an enum's value.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// A floating-point number.
    Double(f64),
    /// A string.
    String(Text<'a>),
    /// Bytes.
    Bytes(Bytes<'a>),
    /// A duration.
    Duration(Duration),
    /// A point in time.
    Timestamp(Timestamp),
    /// A type, identified by its name.
    Type(Text<'a>),
    /// A list.
    List(ListValue<'a>),
    /// A map.
    Map(MapValue<'a>),
    /// A message.
    Message(MessageValue<'a>),
}

impl<'a> Value<'a> {
    /// Returns a string that is borrowed for `'a`.
    pub const fn borrowed(text: &'a str) -> Self {
        Self::String(Text::Borrowed(text))
    }

    /// Returns a string that is reference-counted.
    pub fn owned(text: impl Into<Rc<str>>) -> Self {
        Self::String(Text::Shared(text.into()))
    }

    /// Returns a message of the type `id` that is borrowed for `'a`.
    pub const fn message(id: MessageId, message: &'a (dyn Message<'a> + 'a)) -> Self {
        let source = MessageSource::Borrowed(message);
        Self::Message(MessageValue { id, source })
    }

    /// Returns a message of the type `id` that is reference-counted.
    pub fn shared_message(id: MessageId, message: Rc<dyn Message<'a> + 'a>) -> Self {
        let source = MessageSource::Shared(message);
        Self::Message(MessageValue { id, source })
    }

    /// Returns a message of the type `id` that has no field set.
    pub const fn empty_message(id: MessageId) -> Self {
        let source = MessageSource::Empty;
        Self::Message(MessageValue { id, source })
    }

    /// Returns a list of `elements`.
    pub fn list(elements: Vec<Self>) -> Self {
        Self::List(ListValue::Shared(Rc::new(elements)))
    }

    /// Returns the value of an unset field.
    pub fn unset(field: &'a Field) -> Self {
        match (&field.default, field.label) {
            (_, Label::Repeated) => Self::List(ListValue::Constant(&[])),
            (_, Label::Map(_)) => Self::Map(MapValue::Empty),
            (Some(default), _) => Self::from(default),
            (None, _) => Self::zero(field.kind),
        }
    }

    /// Returns the value of an unset field that has this kind and declares no default.
    pub const fn zero(kind: Kind) -> Self {
        match kind {
            Kind::Bool => Self::Bool(false),
            Kind::Int32 | Kind::Int64 | Kind::Enum => Self::Int(0),
            Kind::Uint32 | Kind::Uint64 => Self::Uint(0),
            Kind::Float | Kind::Double => Self::Double(0.0),
            Kind::String => Self::borrowed(""),
            Kind::Bytes => Self::Bytes(Bytes::Borrowed(&[])),
            Kind::Message(id) => Self::empty_message(id),
            Kind::WellKnown(WellKnown::Duration) => Self::Duration(Duration::ZERO),
            Kind::WellKnown(WellKnown::Timestamp) => Self::Timestamp(Timestamp::EPOCH),
            Kind::WellKnown(WellKnown::Struct) => Self::Map(MapValue::Empty),
            Kind::WellKnown(WellKnown::ListValue) => Self::List(ListValue::Constant(&[])),
            Kind::WellKnown(WellKnown::Any | WellKnown::Value | WellKnown::Wrapper(_)) => {
                Self::Null
            }
        }
    }

    /// Returns the value of a wrapper message whose field `value` is unset.
    pub const fn zero_wrapped(wrapped: Wrapped) -> Self {
        Self::zero(wrapped.kind())
    }

    /// Returns the value of an unset field, like [`Value::unset`], but without borrowing from
    /// `field`.
    pub(crate) fn unset_owned(field: &Field) -> Self {
        match (&field.default, field.label) {
            (Some(default), Label::Implicit | Label::Explicit) => match default {
                Constant::String(text) => Self::owned(&**text),
                Constant::Bytes(bytes) => Self::Bytes(Bytes::Shared((&**bytes).into())),
                Constant::Bool(value) => Self::Bool(*value),
                Constant::Int(value) => Self::Int(*value),
                Constant::Uint(value) => Self::Uint(*value),
                Constant::Double(value) => Self::Double(*value),
                // The constants above are the only ones that can be defaults.
                _ => Self::zero(field.kind),
            },
            (_, Label::Repeated) => Self::List(ListValue::Constant(&[])),
            (_, Label::Map(_)) => Self::Map(MapValue::Empty),
            (None, _) => Self::zero(field.kind),
        }
    }

    /// Returns whether the value is the default of a field without presence.
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Bool(value) => !value,
            Self::Int(value) => *value == 0,
            Self::Uint(value) => *value == 0,
            // Negative zero is written to the wire, so it is a value that is set.
            Self::Double(value) => value.to_bits() == 0,
            Self::String(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
            _ => false,
        }
    }
}

impl<'a> From<&'a Constant> for Value<'a> {
    fn from(constant: &'a Constant) -> Self {
        match constant {
            Constant::Null => Self::Null,
            Constant::Bool(value) => Self::Bool(*value),
            Constant::Int(value) => Self::Int(*value),
            Constant::Uint(value) => Self::Uint(*value),
            Constant::Double(value) => Self::Double(*value),
            Constant::String(text) => Self::borrowed(text),
            Constant::Bytes(bytes) => Self::Bytes(Bytes::Borrowed(bytes)),
            Constant::Duration(value) => Self::Duration(*value),
            Constant::Timestamp(value) => Self::Timestamp(*value),
            Constant::Type(name) => Self::Type(Text::Borrowed(name)),
            Constant::List(elements) => Self::List(ListValue::Constant(elements)),
        }
    }
}

/// A message whose fields are read when they are requested.
pub trait Message<'a> {
    /// Returns the value of `field`, or `None` if the field is unset. The caller then supplies the
    /// default.
    ///
    /// A field without presence that is zero may be returned as its zero value or as `None`. An
    /// empty repeated field or map may be returned as an empty value or as `None`. Well-known
    /// messages are returned as the values that CEL gives them: see [`WellKnown`]. An `Any` that
    /// cannot be decoded may be returned as a message of the type `google.protobuf.Any`, which is
    /// equal to any other such message with the same type URL and bytes.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Budget`] if `budget` is spent: a message may take steps for long reads.
    /// - [`ErrorKind::Invalid`] if the content of an `Any` cannot be decoded and the `Any` itself
    ///   is not returned instead.
    fn get(&self, field: &Field, budget: &mut Budget) -> Result<Option<Value<'a>>, ErrorKind>;
}

/// A list whose elements are read when they are requested.
pub trait List<'a> {
    /// Returns the number of elements.
    fn len(&self) -> usize;

    /// Returns the element at `index`, which must be less than [`List::len`]. The time of a call
    /// must not depend on the length of the list.
    ///
    /// # Errors
    ///
    /// Fails like [`Message::get`].
    fn get(&self, index: usize, budget: &mut Budget) -> Result<Value<'a>, ErrorKind>;

    /// Returns whether there are no elements.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A map whose values are read when they are requested.
pub trait Map<'a> {
    /// Returns the number of entries. No two entries have the same key.
    fn len(&self) -> usize;

    /// Returns the key and the value of the entry at `index`, which must be less than [`Map::len`].
    /// The time of a call must not depend on the length of the map.
    ///
    /// # Errors
    ///
    /// Fails like [`Message::get`].
    fn entry(&self, index: usize, budget: &mut Budget)
    -> Result<(Value<'a>, Value<'a>), ErrorKind>;

    /// Returns the value of the entry with the key `key`, or `None` if there is no such entry.
    /// Integer keys of different types are equal if their numbers are equal.
    ///
    /// A map that compares its keys with `key` takes one step for each comparison, and the steps
    /// for reading `key`.
    ///
    /// # Errors
    ///
    /// Fails like [`Message::get`].
    fn find(&self, key: &Key<'_>, budget: &mut Budget) -> Result<Option<Value<'a>>, ErrorKind>;

    /// Returns whether there are no entries.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A map key in a normal form: values that are equal as keys in CEL have equal `Key`s, even if they
/// are numbers of different types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key<'k> {
    /// A truth value.
    Bool(bool),
    /// An integer, or an integral double.
    Int(i64),
    /// An integer above the range of [`Key::Int`].
    Uint(u64),
    /// A string.
    String(&'k str),
}

impl<'k> Key<'k> {
    /// Returns `value` as a key, or `None` if it cannot be equal to any key.
    pub fn of(value: &'k Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Uint(value) => match i64::try_from(*value) {
                Ok(value) => Self::Int(value),
                Err(_) => Self::Uint(*value),
            },
            Value::Double(value) if value.fract() == 0.0 => {
                // All bounds are powers of two or their negatives, so the doubles are exact.
                if (-INT_BOUND..INT_BOUND).contains(value) {
                    Self::Int(*value as i64)
                } else if (INT_BOUND..2.0 * INT_BOUND).contains(value) {
                    Self::Uint(*value as u64)
                } else {
                    return None;
                }
            }
            Value::String(text) => Self::String(text),
            _ => return None,
        })
    }
}

/// A message and its type.
#[derive(Clone)]
pub struct MessageValue<'a> {
    id: MessageId,
    source: MessageSource<'a>,
}

#[derive(Clone)]
enum MessageSource<'a> {
    Borrowed(&'a (dyn Message<'a> + 'a)),
    Shared(Rc<dyn Message<'a> + 'a>),
    /// A message that has no field set.
    Empty,
}

impl<'a> MessageValue<'a> {
    /// Returns the type of the message.
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// Returns the value of `field`, or `None` if the field is unset.
    ///
    /// # Errors
    ///
    /// Fails like [`Message::get`].
    pub fn get(&self, field: &Field, budget: &mut Budget) -> Result<Option<Value<'a>>, ErrorKind> {
        match &self.source {
            MessageSource::Borrowed(message) => message.get(field, budget),
            MessageSource::Shared(message) => message.get(field, budget),
            MessageSource::Empty => Ok(None),
        }
    }

    /// Returns the value of `field`, or `None` if the macro `has` would report the field as unset.
    ///
    /// # Errors
    ///
    /// Fails like [`Message::get`].
    pub fn present(
        &self,
        field: &Field,
        budget: &mut Budget,
    ) -> Result<Option<Value<'a>>, ErrorKind> {
        let value = self.get(field, budget)?;
        Ok(value.filter(|value| match (field.label, value) {
            (Label::Implicit, value) => !value.is_zero(),
            (Label::Explicit, _) => true,
            (_, Value::List(list)) => !list.is_empty(),
            (_, Value::Map(map)) => !map.is_empty(),
            _ => true,
        }))
    }
}

impl fmt::Debug for MessageValue<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "message {}", self.id.0)
    }
}

/// A list.
#[derive(Clone)]
pub enum ListValue<'a> {
    /// A list that is borrowed for `'a`.
    Borrowed(&'a (dyn List<'a> + 'a)),
    /// A list that is reference-counted.
    Shared(Rc<dyn List<'a> + 'a>),
    /// A list of constants, such as a literal in the expression.
    Constant(&'a [Constant]),
}

impl<'a> ListValue<'a> {
    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Borrowed(list) => list.len(),
            Self::Shared(list) => list.len(),
            Self::Constant(list) => list.len(),
        }
    }

    /// Returns whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the element at `index`. Takes one step from `budget`.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::IndexOutOfRange`] if there is no such element, and otherwise like
    /// [`Message::get`].
    pub fn get(&self, index: usize, budget: &mut Budget) -> Result<Value<'a>, ErrorKind> {
        budget.take_steps(1)?;
        if index >= self.len() {
            return Err(ErrorKind::IndexOutOfRange);
        }
        match self {
            Self::Borrowed(list) => list.get(index, budget),
            Self::Shared(list) => list.get(index, budget),
            Self::Constant(list) => list
                .get(index)
                .map(Value::from)
                .ok_or(ErrorKind::IndexOutOfRange),
        }
    }
}

impl fmt::Debug for ListValue<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each element takes a step, so at most 1,000 elements are shown.
        let mut budget = Budget::new(1_000, 0);
        let elements = (0..self.len()).map_while(|at| self.get(at, &mut budget).ok());
        out.debug_list().entries(elements).finish()
    }
}

impl<'a> List<'a> for Vec<Value<'a>> {
    fn len(&self) -> usize {
        self.len()
    }

    fn get(&self, index: usize, _: &mut Budget) -> Result<Value<'a>, ErrorKind> {
        self.as_slice()
            .get(index)
            .cloned()
            .ok_or(ErrorKind::IndexOutOfRange)
    }
}

/// A map.
#[derive(Clone)]
pub enum MapValue<'a> {
    /// A map that is borrowed for `'a`.
    Borrowed(&'a (dyn Map<'a> + 'a)),
    /// A map that is reference-counted.
    Shared(Rc<dyn Map<'a> + 'a>),
    /// A map without entries.
    Empty,
}

impl<'a> MapValue<'a> {
    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        match self {
            Self::Borrowed(map) => map.len(),
            Self::Shared(map) => map.len(),
            Self::Empty => 0,
        }
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the key and the value of the entry at `index`. Takes one step from `budget`.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::IndexOutOfRange`] if there is no such entry, and otherwise like
    /// [`Message::get`].
    pub fn entry(
        &self,
        index: usize,
        budget: &mut Budget,
    ) -> Result<(Value<'a>, Value<'a>), ErrorKind> {
        budget.take_steps(1)?;
        if index >= self.len() {
            return Err(ErrorKind::IndexOutOfRange);
        }
        match self {
            Self::Borrowed(map) => map.entry(index, budget),
            Self::Shared(map) => map.entry(index, budget),
            Self::Empty => Err(ErrorKind::IndexOutOfRange),
        }
    }

    /// Returns the value of the entry with the key `key`, or `None` if there is no such entry.
    /// Takes one step from `budget`.
    ///
    /// # Errors
    ///
    /// Fails like [`Message::get`].
    pub fn find(
        &self,
        key: &Value<'_>,
        budget: &mut Budget,
    ) -> Result<Option<Value<'a>>, ErrorKind> {
        budget.take_steps(1)?;
        let Some(key) = Key::of(key) else {
            return Ok(None);
        };
        match self {
            Self::Borrowed(map) => map.find(&key, budget),
            Self::Shared(map) => map.find(&key, budget),
            Self::Empty => Ok(None),
        }
    }
}

impl fmt::Debug for MapValue<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Each entry takes a step, so at most 1,000 entries are shown.
        let mut budget = Budget::new(1_000, 0);
        let entries = (0..self.len()).map_while(|at| self.entry(at, &mut budget).ok());
        out.debug_map().entries(entries).finish()
    }
}
