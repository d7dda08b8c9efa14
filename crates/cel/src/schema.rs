//! What an expression can know of message types.

use crate::budget::Budget;
use crate::error::ErrorKind;
use crate::field::Field;
use crate::types::MessageId;
use crate::value::Value;

/// The message types and enums that expressions are checked against.
///
/// A program asks for names while it is compiled; when it is evaluated, only where a value's type is not known
/// before (`dyn`, `Any`), and to compare whole messages.
pub trait Schema: Send + Sync {
    /// Returns the message type with the full name `name`.
    fn message(&self, name: &str) -> Option<MessageId>;

    /// Returns the full name of a message type.
    fn message_name(&self, id: MessageId) -> &str;

    /// Returns the field with the name `name`, or the extension if `name` has a dot.
    fn field(&self, id: MessageId, name: &str) -> Option<Field>;

    /// Returns the fields and extensions of a message type.
    fn fields(&self, id: MessageId) -> Vec<Field>;

    /// Returns the number of an enum's value. `name` is the full name of the enum, a dot, and the value's name.
    fn enum_value(&self, name: &str) -> Option<i32>;

    /// Returns the message that an `Any` with these contents stands for, as what it means ([`WellKnown`](crate::WellKnown)).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the type is not known or the bytes are not a message of it: then the `Any` stays one.
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
