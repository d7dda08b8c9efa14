//! Values that an expression or a field's declaration states.

use crate::time::{Duration, Timestamp};

/// A value that is known before anything is evaluated. Unlike a [`Value`](crate::Value), it can be
/// shared between threads.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
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
    String(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
    /// A length of time.
    Duration(Duration),
    /// A moment.
    Timestamp(Timestamp),
    /// A type, by its name.
    Type(Box<str>),
    /// A list.
    List(Box<[Constant]>),
}
