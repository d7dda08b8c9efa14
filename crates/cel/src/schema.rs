//! The facts about message types that an expression can use.

use crate::budget::Budget;
use crate::error::ErrorKind;
use crate::field::Field;
use crate::types::MessageId;
use crate::value::Value;

/// The message types and enums that expressions are checked against.
///
/// Names are looked up when an expression is compiled. The evaluation looks names up only for
/// values whose type was not known before (`dyn`, `Any`), and to compare whole messages or convert
/// them to JSON.
pub trait Schema: Send + Sync {
    /// Returns the message type with the full name `name`, if there is one.
    fn message(&self, name: &str) -> Option<MessageId>;

    /// Returns the full name of a message type.
    fn message_name(&self, id: MessageId) -> &str;

    /// Returns the field `name` of a message type. A `name` with a dot is the full name of an
    /// extension. Returns `None` if there is no such field or extension.
    fn field(&self, id: MessageId, name: &str) -> Option<Field>;

    /// Returns the fields and extensions of a message type.
    fn fields(&self, id: MessageId) -> Vec<Field>;

    /// Returns the number of an enum's value, if there is such a value. `name` is the full name of
    /// the enum, a dot, and the value's name.
    fn enum_value(&self, name: &str) -> Option<i32>;

    /// Returns the message inside an `Any` with this type URL and these bytes. A well-known message
    /// is returned as the value that CEL gives it ([`WellKnown`](crate::WellKnown)).
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Invalid`] if the type is not known or the bytes are not a message of that
    ///   type. The caller then keeps the `Any` itself as the value.
    /// - [`ErrorKind::Budget`] if `budget` is spent.
    fn unpack<'a>(
        &'a self,
        type_url: &str,
        value: &[u8],
        budget: &mut Budget,
    ) -> Result<Value<'a>, ErrorKind>;
}

/// A schema without messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMessages;

impl Schema for NoMessages {
    fn message(&self, _: &str) -> Option<MessageId> {
        None
    }

    fn message_name(&self, _: MessageId) -> &str {
        ""
    }

    fn field(&self, _: MessageId, _: &str) -> Option<Field> {
        None
    }

    fn fields(&self, _: MessageId) -> Vec<Field> {
        Vec::new()
    }

    fn enum_value(&self, _: &str) -> Option<i32> {
        None
    }

    fn unpack<'a>(
        &'a self,
        type_url: &str,
        _: &[u8],
        _: &mut Budget,
    ) -> Result<Value<'a>, ErrorKind> {
        Err(ErrorKind::invalid(format!(
            "the type {type_url} is not known"
        )))
    }
}
