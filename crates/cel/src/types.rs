//! The types that the checker knows.

use std::sync::Arc;

/// The number that a [`Schema`](crate::Schema) assigns to a message type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u32);

/// A type that a wrapper message such as `google.protobuf.Int64Value` wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Primitive {
    /// `BoolValue`.
    Bool,
    /// `Int32Value` and `Int64Value`.
    Int,
    /// `UInt32Value` and `UInt64Value`.
    Uint,
    /// `FloatValue` and `DoubleValue`.
    Double,
    /// `StringValue`.
    String,
    /// `BytesValue`.
    Bytes,
}

impl Primitive {
    /// Returns the type of the wrapped value.
    pub const fn plain(self) -> Type {
        match self {
            Self::Bool => Type::Bool,
            Self::Int => Type::Int,
            Self::Uint => Type::Uint,
            Self::Double => Type::Double,
            Self::String => Type::String,
            Self::Bytes => Type::Bytes,
        }
    }
}

/// The static type of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Any type. The type of the value is known only when the expression is evaluated.
    Dyn,
    /// The type of `null`.
    Null,
    /// `bool`.
    Bool,
    /// A signed integer of 64 bits. Enums are of this type too.
    Int,
    /// An unsigned integer of 64 bits.
    Uint,
    /// A floating-point number of 64 bits.
    Double,
    /// `string`.
    String,
    /// `bytes`.
    Bytes,
    /// `google.protobuf.Duration`.
    Duration,
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// `google.protobuf.Any`, which stands for the value that it holds.
    Any,
    /// A value of a primitive type, or `null`.
    Wrapper(Primitive),
    /// A list of elements of a type.
    List(Arc<Type>),
    /// A map from keys of the first type to values of the second.
    Map(Arc<(Type, Type)>),
    /// A message.
    Message(MessageId),
    /// The type of a type.
    Type(Arc<Type>),
    /// A type that the caller of this crate defines, with its name and its type parameters. Only
    /// functions that the caller defines return and accept values of this type.
    Opaque(Arc<str>, Arc<[Type]>),
    /// A type parameter of a generic function. In a signature, equal numbers stand for equal types.
    Parameter(u32),
}

impl Type {
    /// Returns the type of lists of `element`.
    pub fn list(element: Self) -> Self {
        Self::List(Arc::new(element))
    }

    /// Returns the type of maps from `key` to `value`.
    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new((key, value)))
    }

    /// Returns the type of values of `google.protobuf.Struct`.
    pub fn json_object() -> Self {
        Self::map(Self::String, Self::Dyn)
    }

    pub(crate) const fn is_dyn(&self) -> bool {
        matches!(self, Self::Dyn | Self::Any)
    }

    /// Returns the type in readable form, with message types named by `message_name`.
    pub(crate) fn text(&self, message_name: &dyn Fn(MessageId) -> String) -> String {
        let simple = match self {
            Self::Dyn => "dyn",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Duration => "google.protobuf.Duration",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::Any => "google.protobuf.Any",
            Self::Wrapper(primitive) => {
                return format!("{} or null", primitive.plain().text(message_name));
            }
            Self::List(element) => return format!("list({})", element.text(message_name)),
            Self::Map(pair) => {
                let (key, value) = (pair.0.text(message_name), pair.1.text(message_name));
                return format!("map({key}, {value})");
            }
            Self::Message(id) => return message_name(*id),
            Self::Type(_) => "type",
            Self::Opaque(name, _) => return name.to_string(),
            Self::Parameter(_) => "any type",
        };
        simple.to_owned()
    }
}
