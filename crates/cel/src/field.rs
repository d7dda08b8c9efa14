//! The fields of messages, as a schema declares them.

use std::sync::Arc;

use crate::constant::Constant;
use crate::types::{MessageId, Primitive, Type};

/// A field of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The name as it is written in the `.proto` file, or the full name of an extension.
    pub name: Arc<str>,
    /// A number that identifies the field within its message, such as a field number or an index.
    /// The schema chooses the number, and [`Message::get`](crate::Message::get) finds the field by
    /// it.
    pub index: u32,
    /// The kind of the value, of the elements of a repeated field, or of the values of a map.
    pub kind: Kind,
    /// The number of values, and the presence of the field.
    pub label: Label,
    /// The default value that the schema declares, as proto2 allows, or `None` if the value of an
    /// unset field is the zero value.
    pub default: Option<Constant>,
}

/// The kind of a field's value, as far as it matters to an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `bool`.
    Bool,
    /// `int32`, `sint32` and `sfixed32`.
    Int32,
    /// `int64`, `sint64` and `sfixed64`.
    Int64,
    /// `uint32` and `fixed32`.
    Uint32,
    /// `uint64` and `fixed64`.
    Uint64,
    /// `float`.
    Float,
    /// `double`.
    Double,
    /// `string`.
    String,
    /// `bytes`.
    Bytes,
    /// An enum, whose values are integers.
    Enum,
    /// A message without a special meaning in CEL.
    Message(MessageId),
    /// A message with a special meaning in CEL.
    WellKnown(WellKnown),
}

/// The number of values of a field, and the presence of a single value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// One value, which is set if it is not zero.
    Implicit,
    /// One value, whose presence is recorded: a field that is set to zero is present.
    Explicit,
    /// A list.
    Repeated,
    /// A map with keys of this kind.
    Map(Kind),
}

/// A message with a special meaning in CEL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WellKnown {
    /// `google.protobuf.Any` stands for the message that it holds.
    Any,
    /// `google.protobuf.Duration`.
    Duration,
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// `google.protobuf.Struct` is a map.
    Struct,
    /// `google.protobuf.Value` stands for the value that it holds.
    Value,
    /// `google.protobuf.ListValue` is a list.
    ListValue,
    /// A wrapper stands for the value that it wraps. An unset field of a wrapper type stands for
    /// `null`.
    Wrapper(Wrapped),
}

/// The kind of the value in a wrapper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapped {
    /// `BoolValue`.
    Bool,
    /// `Int32Value`.
    Int32,
    /// `Int64Value`.
    Int64,
    /// `UInt32Value`.
    Uint32,
    /// `UInt64Value`.
    Uint64,
    /// `FloatValue`.
    Float,
    /// `DoubleValue`.
    Double,
    /// `StringValue`.
    String,
    /// `BytesValue`.
    Bytes,
}

impl WellKnown {
    /// Returns the special meaning in CEL of the message with the full name `name`, if it has
    /// one.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.strip_prefix("google.protobuf.")? {
            "Any" => Self::Any,
            "Duration" => Self::Duration,
            "Timestamp" => Self::Timestamp,
            "Struct" => Self::Struct,
            "Value" => Self::Value,
            "ListValue" => Self::ListValue,
            "BoolValue" => Self::Wrapper(Wrapped::Bool),
            "Int32Value" => Self::Wrapper(Wrapped::Int32),
            "Int64Value" => Self::Wrapper(Wrapped::Int64),
            "UInt32Value" => Self::Wrapper(Wrapped::Uint32),
            "UInt64Value" => Self::Wrapper(Wrapped::Uint64),
            "FloatValue" => Self::Wrapper(Wrapped::Float),
            "DoubleValue" => Self::Wrapper(Wrapped::Double),
            "StringValue" => Self::Wrapper(Wrapped::String),
            "BytesValue" => Self::Wrapper(Wrapped::Bytes),
            _ => return None,
        })
    }

    /// Returns the type of the message in an expression.
    pub fn to_type(self) -> Type {
        match self {
            Self::Any => Type::Any,
            Self::Duration => Type::Duration,
            Self::Timestamp => Type::Timestamp,
            Self::Struct => Type::json_object(),
            Self::Value => Type::Dyn,
            Self::ListValue => Type::list(Type::Dyn),
            Self::Wrapper(wrapped) => Type::Wrapper(wrapped.primitive()),
        }
    }
}

impl Wrapped {
    /// Returns the kind of the field `value` of the wrapper.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::Int32 => Kind::Int32,
            Self::Int64 => Kind::Int64,
            Self::Uint32 => Kind::Uint32,
            Self::Uint64 => Kind::Uint64,
            Self::Float => Kind::Float,
            Self::Double => Kind::Double,
            Self::String => Kind::String,
            Self::Bytes => Kind::Bytes,
        }
    }

    const fn primitive(self) -> Primitive {
        match self {
            Self::Bool => Primitive::Bool,
            Self::Int32 | Self::Int64 => Primitive::Int,
            Self::Uint32 | Self::Uint64 => Primitive::Uint,
            Self::Float | Self::Double => Primitive::Double,
            Self::String => Primitive::String,
            Self::Bytes => Primitive::Bytes,
        }
    }
}

impl Kind {
    /// Returns the kind of the message with the full name `name` and the number `id`.
    pub fn message(name: &str, id: MessageId) -> Self {
        WellKnown::named(name).map_or(Self::Message(id), Self::WellKnown)
    }

    /// Returns the type of one value of the kind.
    pub fn to_type(self) -> Type {
        match self {
            Self::Bool => Type::Bool,
            Self::Int32 | Self::Int64 | Self::Enum => Type::Int,
            Self::Uint32 | Self::Uint64 => Type::Uint,
            Self::Float | Self::Double => Type::Double,
            Self::String => Type::String,
            Self::Bytes => Type::Bytes,
            Self::Message(id) => Type::Message(id),
            Self::WellKnown(known) => known.to_type(),
        }
    }
}

impl Field {
    /// Returns the type of the field in an expression.
    pub fn to_type(&self) -> Type {
        match self.label {
            Label::Implicit | Label::Explicit => self.kind.to_type(),
            Label::Repeated => Type::list(self.kind.to_type()),
            Label::Map(key) => Type::map(key.to_type(), self.kind.to_type()),
        }
    }
}
