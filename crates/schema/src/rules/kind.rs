//! The kinds of standard rules: one for each type of field, with its number and name in
//! `FieldRules`.

use crate::table::{Cardinality, FieldKind, Form, Table};

/// A kind of standard rules: a field of the oneof `type` in `buf.validate.FieldRules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RuleKind {
    Float,
    Double,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum,
    Repeated,
    Map,
    Any,
    Duration,
    FieldMask,
    Timestamp,
}

/// The number of each kind in `FieldRules`, and its name.
const KINDS: [(u32, RuleKind, &str); 22] = [
    (1, RuleKind::Float, "float"),
    (2, RuleKind::Double, "double"),
    (3, RuleKind::Int32, "int32"),
    (4, RuleKind::Int64, "int64"),
    (5, RuleKind::Uint32, "uint32"),
    (6, RuleKind::Uint64, "uint64"),
    (7, RuleKind::Sint32, "sint32"),
    (8, RuleKind::Sint64, "sint64"),
    (9, RuleKind::Fixed32, "fixed32"),
    (10, RuleKind::Fixed64, "fixed64"),
    (11, RuleKind::Sfixed32, "sfixed32"),
    (12, RuleKind::Sfixed64, "sfixed64"),
    (13, RuleKind::Bool, "bool"),
    (14, RuleKind::String, "string"),
    (15, RuleKind::Bytes, "bytes"),
    (16, RuleKind::Enum, "enum"),
    (18, RuleKind::Repeated, "repeated"),
    (19, RuleKind::Map, "map"),
    (20, RuleKind::Any, "any"),
    (21, RuleKind::Duration, "duration"),
    (22, RuleKind::Timestamp, "timestamp"),
    (28, RuleKind::FieldMask, "field_mask"),
];

impl RuleKind {
    /// Returns the kind with this number in `FieldRules`, or `None` if no kind has this number.
    pub(super) fn of_number(number: u32) -> Option<Self> {
        let found = KINDS.iter().find(|(known, ..)| *known == number)?;
        Some(found.1)
    }

    /// Returns the name of the kind in `FieldRules`. The ids of its rules begin with this name.
    pub(super) fn name(self) -> &'static str {
        let found = KINDS.iter().find(|(_, kind, _)| *kind == self);
        found.map_or("", |found| found.2)
    }

    /// Returns the full name of the message that holds rules of the kind.
    pub(super) fn message_name(self) -> &'static str {
        match self {
            Self::Float => "buf.validate.FloatRules",
            Self::Double => "buf.validate.DoubleRules",
            Self::Int32 => "buf.validate.Int32Rules",
            Self::Int64 => "buf.validate.Int64Rules",
            Self::Uint32 => "buf.validate.UInt32Rules",
            Self::Uint64 => "buf.validate.UInt64Rules",
            Self::Sint32 => "buf.validate.SInt32Rules",
            Self::Sint64 => "buf.validate.SInt64Rules",
            Self::Fixed32 => "buf.validate.Fixed32Rules",
            Self::Fixed64 => "buf.validate.Fixed64Rules",
            Self::Sfixed32 => "buf.validate.SFixed32Rules",
            Self::Sfixed64 => "buf.validate.SFixed64Rules",
            Self::Bool => "buf.validate.BoolRules",
            Self::String => "buf.validate.StringRules",
            Self::Bytes => "buf.validate.BytesRules",
            Self::Enum => "buf.validate.EnumRules",
            Self::Repeated => "buf.validate.RepeatedRules",
            Self::Map => "buf.validate.MapRules",
            Self::Any => "buf.validate.AnyRules",
            Self::Duration => "buf.validate.DurationRules",
            Self::FieldMask => "buf.validate.FieldMaskRules",
            Self::Timestamp => "buf.validate.TimestampRules",
        }
    }

    /// Returns the kind of the rules that a field of this type and cardinality may have, or `None`
    /// if there are no standard rules for such a field. An element, key or map value counts as a
    /// singular field.
    pub(super) fn of_field(
        table: &Table,
        kind: FieldKind,
        cardinality: Cardinality,
    ) -> Option<Self> {
        match cardinality {
            Cardinality::Repeated => return Some(Self::Repeated),
            Cardinality::Map => return Some(Self::Map),
            Cardinality::Singular => {}
        }
        let Some(id) = kind.message() else {
            return Self::of_scalar(kind);
        };
        let message = &table[id];
        match message.form {
            Form::Timestamp => Some(Self::Timestamp),
            Form::Duration => Some(Self::Duration),
            Form::FieldMask => Some(Self::FieldMask),
            Form::Any => Some(Self::Any),
            Form::Wrapper => Self::of_scalar(message.fields.first()?.kind),
            Form::Fields | Form::Struct | Form::Value | Form::ListValue => None,
        }
    }

    fn of_scalar(kind: FieldKind) -> Option<Self> {
        Some(match kind {
            FieldKind::Double => Self::Double,
            FieldKind::Float => Self::Float,
            FieldKind::Int32 => Self::Int32,
            FieldKind::Int64 => Self::Int64,
            FieldKind::Uint32 => Self::Uint32,
            FieldKind::Uint64 => Self::Uint64,
            FieldKind::Sint32 => Self::Sint32,
            FieldKind::Sint64 => Self::Sint64,
            FieldKind::Fixed32 => Self::Fixed32,
            FieldKind::Fixed64 => Self::Fixed64,
            FieldKind::Sfixed32 => Self::Sfixed32,
            FieldKind::Sfixed64 => Self::Sfixed64,
            FieldKind::Bool => Self::Bool,
            FieldKind::String { .. } => Self::String,
            FieldKind::Bytes => Self::Bytes,
            FieldKind::Enum(_) => Self::Enum,
            FieldKind::Message(_) | FieldKind::Group(_) => return None,
        })
    }
}
