//! What a `.proto` file's syntax or edition says about its fields and enums.
//!
//! proto2, proto3 and editions differ in four points that matter to a check; each is a feature that
//! file, message, oneof, enum and field may set, the inner over the outer. rust-protobuf's
//! descriptors are older than editions, so the features lie in the options' unknown fields. This
//! module reads them; it never decides what a field is.

use ::protobuf::descriptor::FileDescriptorProto;
use ::protobuf::well_known_types::empty::Empty;
use ::protobuf::{Message, UnknownValueRef};

/// Where the `features` field lies in each kind of options message of `descriptor.proto`.
pub(in crate::schema) mod place {
    pub const FILE: u32 = 50;
    pub const MESSAGE: u32 = 12;
    pub const FIELD: u32 = 21;
    pub const ONEOF: u32 = 1;
    pub const ENUM: u32 = 7;
    pub const ENUM_VALUE: u32 = 2;
    pub const SERVICE: u32 = 34;
    pub const METHOD: u32 = 35;
}

/// The field of FileDescriptorProto that holds its edition, and the number of edition 2024.
const EDITION: u32 = 14;
const EDITION_2024: u64 = 1001;

/// Whether an absent field can be told from one that holds its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::schema) enum Presence {
    Explicit,
    Implicit,
    Required,
}

/// The features in force at some place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::schema) struct Features {
    pub presence: Presence,
    pub closed_enum: bool,
    pub utf8: bool,
    pub delimited: bool,
    /// Repeated numbers are packed by whoever writes them; readers take both.
    pub packed: bool,
    /// JSON names may not clash.
    pub json: bool,
    /// Names must be of the style of edition 2024.
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
