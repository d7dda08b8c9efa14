//! The features of a `.proto` file's syntax or edition that are in force for a field or an enum.
//!
//! proto2, proto3 and editions differ in a few features. A file, message, oneof, enum or field may set
//! each of them, and an inner setting overrides an outer one. rust-protobuf's descriptors are older than
//! editions, so the features are unknown fields of the options. This module only reads them.

use ::protobuf::descriptor::FileDescriptorProto;
use ::protobuf::well_known_types::empty::Empty;
use ::protobuf::{Message, UnknownValueRef};

/// The number of the `features` field in each options message of `descriptor.proto`.
pub mod place {
    /// In `FileOptions`.
    pub const FILE: u32 = 50;
    /// In `MessageOptions`.
    pub const MESSAGE: u32 = 12;
    /// In `FieldOptions`.
    pub const FIELD: u32 = 21;
    /// In `OneofOptions`.
    pub const ONEOF: u32 = 1;
    /// In `EnumOptions`.
    pub const ENUM: u32 = 7;
    /// In `EnumValueOptions`.
    pub const ENUM_VALUE: u32 = 2;
    /// In `ServiceOptions`.
    pub const SERVICE: u32 = 34;
    /// In `MethodOptions`.
    pub const METHOD: u32 = 35;
}

/// The field of FileDescriptorProto that holds its edition, and the number of edition 2024.
const EDITION: u32 = 14;
const EDITION_2024: u64 = 1001;

/// Whether an absent field can be told from one that holds its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// An absent field is distinguished from one that holds its default.
    Explicit,
    /// An absent field equals one that holds its default.
    Implicit,
    /// The field must be present (`required` of proto2, `LEGACY_REQUIRED` of editions).
    Required,
}

impl Presence {
    /// Returns the presence of a field that has explicit presence by its kind, such as a message or a member of a oneof.
    pub fn max_explicit(self) -> Self {
        match self {
            Presence::Implicit => Presence::Explicit,
            other => other,
        }
    }
}

/// The features in force at some place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// `field_presence`.
    pub presence: Presence,
    /// `enum_type = CLOSED`: a number that the enum does not define is not a value of it.
    pub closed_enum: bool,
    /// `utf8_validation = VERIFY`: strings must be UTF-8.
    pub utf8: bool,
    /// `message_encoding = DELIMITED`: messages are encoded as groups.
    pub delimited: bool,
    /// `repeated_field_encoding = PACKED`: writers pack repeated numbers. Readers accept both.
    pub packed: bool,
    /// `json_format = ALLOW`: the JSON names of a message's fields must differ.
    pub json: bool,
    /// `enforce_naming_style = STYLE2024`: names must follow the style guide.
    pub style: bool,
}

impl Features {
    /// What a file's syntax (`proto2` when it says none, `proto3` or `editions`) or edition gives,
    /// and the file's own options.
    pub fn of_file(file: &FileDescriptorProto) -> Self {
        let edition = file.special_fields.unknown_fields().get(EDITION);
        let mut features = Self::of_syntax(file.syntax());
        features.style = matches!(edition, Some(UnknownValueRef::Varint(n)) if n >= EDITION_2024);
        features.within(file.options.as_ref(), place::FILE)
    }

    fn of_syntax(syntax: &str) -> Self {
        let proto2 = Self {
            presence: Presence::Explicit,
            closed_enum: true,
            utf8: false,
            delimited: false,
            packed: false,
            json: false,
            style: false,
        };
        let edition = Self {
            closed_enum: false,
            utf8: true,
            packed: true,
            json: true,
            ..proto2
        };
        match syntax {
            "proto3" => Self {
                presence: Presence::Implicit,
                ..edition
            },
            "editions" => edition,
            _ => proto2,
        }
    }

    /// These features, changed by what `options` sets in its field `place`.
    pub fn within<M: Message>(mut self, options: Option<&M>, place: u32) -> Self {
        let unknown = options.map(|options| options.special_fields().unknown_fields());
        for (number, value) in unknown.into_iter().flatten() {
            match value {
                UnknownValueRef::LengthDelimited(set) if number == place => self.merge(set),
                _ => {}
            }
        }
        self
    }

    /// Applies an encoded `google.protobuf.FeatureSet`; a value that is new to us changes nothing.
    fn merge(&mut self, feature_set: &[u8]) {
        // A message without fields keeps every field as an unknown one.
        let Ok(set) = Empty::parse_from_bytes(feature_set) else {
            return;
        };
        for (feature, value) in set.special_fields.unknown_fields() {
            match (feature, value) {
                (1, UnknownValueRef::Varint(1)) => self.presence = Presence::Explicit,
                (1, UnknownValueRef::Varint(2)) => self.presence = Presence::Implicit,
                (1, UnknownValueRef::Varint(3)) => self.presence = Presence::Required,
                (2, UnknownValueRef::Varint(1)) => self.closed_enum = false,
                (2, UnknownValueRef::Varint(2)) => self.closed_enum = true,
                (4, UnknownValueRef::Varint(2)) => self.utf8 = true,
                (4, UnknownValueRef::Varint(3)) => self.utf8 = false,
                (3, UnknownValueRef::Varint(1)) => self.packed = true,
                (3, UnknownValueRef::Varint(2)) => self.packed = false,
                (5, UnknownValueRef::Varint(1)) => self.delimited = false,
                (5, UnknownValueRef::Varint(2)) => self.delimited = true,
                (6, UnknownValueRef::Varint(1)) => self.json = true,
                (6, UnknownValueRef::Varint(2)) => self.json = false,
                (7, UnknownValueRef::Varint(1)) => self.style = true,
                (7, UnknownValueRef::Varint(2)) => self.style = false,
                _ => {}
            }
        }
    }
}
