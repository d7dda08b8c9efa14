//! The facts about what was generated so far, on which later definitions rely.

use std::collections::BTreeSet;

/// The syntax of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Syntax {
    /// proto2, by a file without a `syntax` statement.
    Unnamed,
    Proto2,
    Proto3,
    Edition2023,
    Edition2024,
}

impl Syntax {
    pub(super) fn is_proto2(self) -> bool {
        self <= Syntax::Proto2
    }

    pub(super) fn is_edition(self) -> bool {
        self >= Syntax::Edition2023
    }
}

/// A file.
#[derive(Clone, Debug)]
pub(super) struct FileFacts {
    pub name: String,
    pub package: String,
    pub syntax: Syntax,
    /// The names follow the style of edition 2024.
    pub is_styled: bool,
    /// Fields have implicit presence unless they say otherwise.
    pub is_implicit: bool,
    /// Enums are closed unless they say otherwise.
    pub is_closed: bool,
    /// Messages are delimited unless fields say otherwise.
    pub is_delimited: bool,
    pub is_lite: bool,
    /// The indices of the files whose types the file may use, itself included.
    pub sees: BTreeSet<usize>,
    /// The indices of the files whose options the file may use.
    pub sees_options: BTreeSet<usize>,
    /// The indices of the files that the importers of the file see.
    pub public: BTreeSet<usize>,
}

/// The type of a field or an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueType {
    Scalar(&'static str),
    /// A message or an enum, by its index.
    Defined(usize),
}

/// A field of a message, as far as values of options need it.
#[derive(Clone, Debug)]
pub(super) struct FieldFacts {
    pub name: String,
    pub of: ValueType,
    pub is_repeated: bool,
}

/// A message or an enum.
#[derive(Clone, Debug)]
pub(super) struct TypeFacts {
    /// The full name, without a leading dot.
    pub full: String,
    /// The index of its file.
    pub file: usize,
    /// Other files may use it.
    pub is_exported: bool,
    pub form: TypeForm,
}

#[derive(Clone, Debug)]
pub(super) enum TypeForm {
    Message {
        fields: Vec<FieldFacts>,
        /// The free numbers of its extension ranges.
        free: Vec<i32>,
        is_set: bool,
    },
    Enum {
        values: Vec<String>,
        is_closed: bool,
        starts_at_zero: bool,
    },
}

/// The kind of definition that an option describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    File,
    Message,
    Field,
    Oneof,
    Enum,
    Value,
    Service,
    Method,
    Range,
}

/// The places, each with the message of its options and its name as a target.
pub(super) const PLACES: &[(Place, &str, &str)] = &[
    (Place::File, "FileOptions", "TARGET_TYPE_FILE"),
    (Place::Message, "MessageOptions", "TARGET_TYPE_MESSAGE"),
    (Place::Field, "FieldOptions", "TARGET_TYPE_FIELD"),
    (Place::Oneof, "OneofOptions", "TARGET_TYPE_ONEOF"),
    (Place::Enum, "EnumOptions", "TARGET_TYPE_ENUM"),
    (Place::Value, "EnumValueOptions", "TARGET_TYPE_ENUM_ENTRY"),
    (Place::Service, "ServiceOptions", "TARGET_TYPE_SERVICE"),
    (Place::Method, "MethodOptions", "TARGET_TYPE_METHOD"),
    (
        Place::Range,
        "ExtensionRangeOptions",
        "TARGET_TYPE_EXTENSION_RANGE",
    ),
];

/// An option that a generated file defines.
#[derive(Clone, Debug)]
pub(super) struct CustomOption {
    /// The full name, without a leading dot.
    pub full: String,
    pub file: usize,
    pub place: Place,
    pub of: ValueType,
    pub is_repeated: bool,
}

/// A message while its body is written.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// The full name, without a leading dot.
    pub full: String,
    /// The next number of a field.
    pub next: i32,
    /// The number of messages around it.
    pub depth: usize,
    pub fields: Vec<FieldFacts>,
    pub free: Vec<i32>,
    pub is_set: bool,
    /// It and all messages around it are exported.
    pub is_exported: bool,
}

/// A field, as far as its options depend on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldShape {
    pub of: ValueType,
    pub is_repeated: bool,
    pub is_map: bool,
    pub is_group: bool,
    pub is_extension: bool,
    pub is_in_oneof: bool,
}
