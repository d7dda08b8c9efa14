//! The encodings, and the options of a schema.

/// The encoding of a payload's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// The binary wire format of Protocol Buffers.
    Protobuf,
    /// MessagePack: a message as a map keyed by field name, or as an array in declaration order.
    Msgpack,
    /// JSON, as ProtoJSON defines it.
    Json,
}

impl Encoding {
    /// Returns the encoding's lower-case name: `protobuf`, `msgpack` or `json`.
    pub fn label(self) -> &'static str {
        match self {
            Encoding::Protobuf => "protobuf",
            Encoding::Msgpack => "msgpack",
            Encoding::Json => "json",
        }
    }
}

/// The treatment of fields that the message does not define.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UnknownFields {
    /// Unknown fields pass if they are well-formed.
    #[default]
    Allow,
    /// Unknown fields are violations, and so are numbers that a closed enum does not define.
    Reject,
}

/// The layouts in which MessagePack may write a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Layout {
    /// A map keyed by field name.
    Map,
    /// An array of values in declaration order.
    Array,
    /// Either layout; each message in the payload chooses for itself.
    #[default]
    Any,
}

/// The treatment of MessagePack keys that are the text of a number or a bool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TextKeys {
    /// The keys of a map must have the type that the `.proto` file declares.
    #[default]
    Reject,
    /// A key that is a number or a bool may also be written as a text: a number as decimal digits
    /// without needless zeros, and a bool as `true` or `false`.
    Allow,
}

/// The options of a schema, in addition to its encoding and message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// The treatment of unknown fields.
    pub unknown_fields: UnknownFields,
    /// The layouts in which MessagePack may write a message; the other encodings ignore this
    /// option.
    pub layout: Layout,
    /// The treatment of MessagePack keys that are the text of a number or a bool; the other
    /// encodings ignore this option.
    pub text_keys: TextKeys,
    /// True if the violations after the first are listed in
    /// [`Violation::others`](crate::Violation::others).
    pub all_violations: bool,
}
