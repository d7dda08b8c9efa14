//! The features, such as the presence of fields, that are in force for a field or an enum.
//!
//! proto2, proto3 and editions differ in a few features. A file, message, oneof, enum or field may
//! set features, and an inner setting overrides an outer one. rust-protobuf's descriptors are older
//! than editions, so the features are unknown fields of the options. This module reads the features
//! and does not check them.

use ::protobuf::descriptor::FileDescriptorProto;
use ::protobuf::well_known_types::empty::Empty;
use ::protobuf::{Message, UnknownValueRef};

use crate::path::FILE_EDITION;

/// The number of the `features` field in each options message of `descriptor.proto`.
pub mod place {
    /// The number in `FileOptions`.
    pub const FILE: u32 = 50;
    /// The number in `MessageOptions`.
    pub const MESSAGE: u32 = 12;
    /// The number in `FieldOptions`.
    pub const FIELD: u32 = 21;
    /// The number in `OneofOptions`.
    pub const ONEOF: u32 = 1;
    /// The number in `EnumOptions`.
    pub const ENUM: u32 = 7;
    /// The number in `EnumValueOptions`.
    pub const ENUM_VALUE: u32 = 2;
    /// The number in `ServiceOptions`.
    pub const SERVICE: u32 = 34;
    /// The number in `MethodOptions`.
    pub const METHOD: u32 = 35;
}

/// The numbers of the fields of `google.protobuf.FeatureSet`, and of their values.
pub(crate) mod feature {
    /// `field_presence`.
    pub(crate) const FIELD_PRESENCE: u32 = 1;
    /// `enum_type`.
    pub(crate) const ENUM_TYPE: u32 = 2;
    /// `repeated_field_encoding`.
    pub(crate) const REPEATED_FIELD_ENCODING: u32 = 3;
    /// `utf8_validation`.
    pub(crate) const UTF8_VALIDATION: u32 = 4;
    /// `message_encoding`.
    pub(crate) const MESSAGE_ENCODING: u32 = 5;
    /// `json_format`.
    pub(crate) const JSON_FORMAT: u32 = 6;
    /// `enforce_naming_style`.
    pub(crate) const ENFORCE_NAMING_STYLE: u32 = 7;
    /// `default_symbol_visibility`.
    pub(crate) const DEFAULT_SYMBOL_VISIBILITY: u32 = 8;
    /// A value of `field_presence`.
    pub(crate) const EXPLICIT: u64 = 1;
    /// A value of `field_presence`.
    pub(crate) const IMPLICIT: u64 = 2;
    /// A value of `field_presence`.
    pub(crate) const LEGACY_REQUIRED: u64 = 3;
    /// A value of `enum_type`.
    pub(crate) const OPEN: u64 = 1;
    /// A value of `enum_type`.
    pub(crate) const CLOSED: u64 = 2;
    /// A value of `repeated_field_encoding`.
    pub(crate) const PACKED: u64 = 1;
    /// A value of `repeated_field_encoding`.
    pub(crate) const EXPANDED: u64 = 2;
    /// A value of `utf8_validation`.
    pub(crate) const VERIFY: u64 = 2;
    /// A value of `utf8_validation`.
    pub(crate) const NONE: u64 = 3;
    /// A value of `message_encoding`.
    pub(crate) const LENGTH_PREFIXED: u64 = 1;
    /// A value of `message_encoding`.
    pub(crate) const DELIMITED: u64 = 2;
    /// A value of `json_format`.
    pub(crate) const ALLOW: u64 = 1;
    /// A value of `json_format`.
    pub(crate) const LEGACY_BEST_EFFORT: u64 = 2;
    /// A value of `enforce_naming_style`.
    pub(crate) const STYLE2024: u64 = 1;
    /// A value of `enforce_naming_style`.
    pub(crate) const STYLE_LEGACY: u64 = 2;
    /// A value of `default_symbol_visibility`.
    pub(crate) const EXPORT_ALL: u64 = 1;
    /// A value of `default_symbol_visibility`.
    pub(crate) const EXPORT_TOP_LEVEL: u64 = 2;
    /// A value of `default_symbol_visibility`.
    pub(crate) const STRICT: u64 = 4;
}

/// The numbers of `google.protobuf.Edition`.
pub(crate) mod edition {
    /// `EDITION_PROTO2`.
    pub(crate) const PROTO2: u64 = 998;
    /// `EDITION_PROTO3`.
    pub(crate) const PROTO3: u64 = 999;
    /// `EDITION_2023`; later editions follow, one number for each year.
    pub(crate) const EDITION_2023: u64 = 1000;
    /// `EDITION_2024`.
    pub(crate) const EDITION_2024: u64 = 1001;
}

/// The presence of a field, which decides whether an absent field differs from a field that holds
/// its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// An absent field is distinguished from a field that holds its default.
    Explicit,
    /// An absent field equals a field that holds its default.
    Implicit,
    /// The field must be present (`required` of proto2, `LEGACY_REQUIRED` of editions).
    Required,
}

impl Presence {
    /// Returns the presence that has this number in `FeatureSet.FieldPresence`.
    pub(crate) fn of_number(number: u64) -> Option<Self> {
        match number {
            feature::EXPLICIT => Some(Presence::Explicit),
            feature::IMPLICIT => Some(Presence::Implicit),
            feature::LEGACY_REQUIRED => Some(Presence::Required),
            _ => None,
        }
    }

    /// Returns [`Presence::Explicit`] for [`Presence::Implicit`], and any other presence unchanged.
    /// The presence of some fields, such as messages and members of a oneof, is never implicit.
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
    /// `enum_type = CLOSED`: a number that the enum does not define is not a value of the enum.
    pub closed_enum: bool,
    /// `utf8_validation = VERIFY`: strings must be UTF-8.
    pub utf8: bool,
    /// `message_encoding = DELIMITED`: messages are encoded as groups.
    pub delimited: bool,
    /// `repeated_field_encoding = PACKED`: writers pack repeated numbers. Readers always accept
    /// packed and unpacked numbers.
    pub packed: bool,
    /// `json_format = ALLOW`: the JSON names of a message's fields must differ.
    pub json: bool,
    /// `enforce_naming_style = STYLE2024`: names must follow the style guide.
    pub style: bool,
}

impl Features {
    /// Returns the features that follow from a file's syntax or edition, and from the options of
    /// the file. The syntax of a file that declares none is `proto2`.
    pub fn of_file(file: &FileDescriptorProto) -> Self {
        let edition = file.special_fields.unknown_fields().get(FILE_EDITION);
        let mut features = Self::of_syntax(file.syntax());
        features.style =
            matches!(edition, Some(UnknownValueRef::Varint(n)) if n >= edition::EDITION_2024);
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

    /// Returns these features with the changes that the `features` field of `options` makes.
    /// `place` is the number of this field in the message type of `options`.
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

    /// Applies an encoded `google.protobuf.FeatureSet`. Values that this module does not know
    /// change nothing.
    fn merge(&mut self, feature_set: &[u8]) {
        // `Empty` declares no fields, so every field of the set becomes an unknown field.
        let Ok(set) = Empty::parse_from_bytes(feature_set) else {
            return;
        };
        for (feature, value) in set.special_fields.unknown_fields() {
            let UnknownValueRef::Varint(value) = value else {
                continue;
            };
            match (feature, value) {
                (feature::FIELD_PRESENCE, value) => {
                    self.presence = Presence::of_number(value).unwrap_or(self.presence);
                }
                (feature::ENUM_TYPE, feature::OPEN) => self.closed_enum = false,
                (feature::ENUM_TYPE, feature::CLOSED) => self.closed_enum = true,
                (feature::REPEATED_FIELD_ENCODING, feature::PACKED) => self.packed = true,
                (feature::REPEATED_FIELD_ENCODING, feature::EXPANDED) => self.packed = false,
                (feature::UTF8_VALIDATION, feature::VERIFY) => self.utf8 = true,
                (feature::UTF8_VALIDATION, feature::NONE) => self.utf8 = false,
                (feature::MESSAGE_ENCODING, feature::LENGTH_PREFIXED) => self.delimited = false,
                (feature::MESSAGE_ENCODING, feature::DELIMITED) => self.delimited = true,
                (feature::JSON_FORMAT, feature::ALLOW) => self.json = true,
                (feature::JSON_FORMAT, feature::LEGACY_BEST_EFFORT) => self.json = false,
                (feature::ENFORCE_NAMING_STYLE, feature::STYLE2024) => self.style = true,
                (feature::ENFORCE_NAMING_STYLE, feature::STYLE_LEGACY) => self.style = false,
                _ => {}
            }
        }
    }
}
