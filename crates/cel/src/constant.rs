//! Constants in expressions and in the declarations of fields.

use crate::time::{Duration, Timestamp};

/// A value that is known before the evaluation. Unlike a [`Value`](crate::Value), it can be shared
/// between threads.
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
    /// A duration.
    Duration(Duration),
    /// A point in time.
    Timestamp(Timestamp),
    /// A type, identified by its name.
    Type(Box<str>),
    /// A list.
    List(Box<[Constant]>),
}
