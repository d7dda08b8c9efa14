//! What a `.proto` file's syntax or edition says about its fields and enums.
//!
//! proto2, proto3 and editions differ in four points that matter to a check; each is a feature that
//! file, message, oneof, enum and field may set, the inner over the outer. rust-protobuf's
//! descriptors are older than editions, so the features lie in the options' unknown fields. This
//! module reads them; it never decides what a field is.

use ::protobuf::well_known_types::empty::Empty;
use ::protobuf::{Message, UnknownValueRef};

/// Where the `features` field lies in each kind of options message of `descriptor.proto`.
pub(super) mod place {
    pub const FILE: u32 = 50;
    pub const MESSAGE: u32 = 12;
    pub const FIELD: u32 = 21;
    pub const ONEOF: u32 = 1;
    pub const ENUM: u32 = 7;
}

/// Whether an absent field can be told from one that holds its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Explicit,
    Implicit,
    Required,
}

/// The features in force at some place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    pub presence: Presence,
    pub closed_enum: bool,
    pub utf8: bool,
    pub delimited: bool,
}

impl Features {
    /// What a file's syntax (`proto2` when it says none, `proto3` or `editions`) gives.
    pub fn of_syntax(syntax: &str) -> Self {
        let proto2 = Self {
            presence: Presence::Explicit,
            closed_enum: true,
            utf8: false,
            delimited: false,
        };
        let edition = Self {
            closed_enum: false,
            utf8: true,
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
                (5, UnknownValueRef::Varint(1)) => self.delimited = false,
                (5, UnknownValueRef::Varint(2)) => self.delimited = true,
                _ => {}
            }
        }
    }
}
