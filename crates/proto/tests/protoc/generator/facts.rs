//! The facts about the generated definitions, on which later definitions rely.

use std::collections::BTreeSet;

/// The syntax of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Syntax {
    /// proto2, without a `syntax` statement.
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
    /// Fields that do not set the feature `field_presence` have implicit presence.
    pub is_implicit: bool,
    /// Enums that do not set the feature `enum_type` are closed.
    pub is_closed: bool,
    pub is_lite: bool,
    /// The indices of the files whose types the file may use, including the index of the file.
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

/// The facts about a message's field that are needed for values of options.
#[derive(Clone, Debug)]
pub(super) struct FieldFacts {
    pub name: String,
    /// For a group, the name of its message. In the text format, this name also refers to the
    /// field.
    pub group: Option<String>,
    pub ty: ValueType,
    pub is_repeated: bool,
}

/// A message or an enum.
#[derive(Clone, Debug)]
pub(super) struct TypeFacts {
    /// The full name, without a leading dot.
    pub full: String,
    /// The index of the file with the definition.
    pub file: usize,
    /// Other files may use the type.
    pub is_exported: bool,
    pub form: TypeForm,
}

#[derive(Clone, Debug)]
pub(super) enum TypeForm {
    Message {
        fields: Vec<FieldFacts>,
        /// The free numbers in the extension ranges.
        free: Vec<i32>,
        /// The message is a MessageSet.
        is_set: bool,
    },
    Enum {
        values: Vec<String>,
        is_closed: bool,
        starts_at_zero: bool,
    },
}

/// The kind of element on which an option is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
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

/// The kinds of elements, each with its options message and its name as a target.
pub(super) const ELEMENTS: &[(Element, &str, &str)] = &[
    (Element::File, "FileOptions", "TARGET_TYPE_FILE"),
    (Element::Message, "MessageOptions", "TARGET_TYPE_MESSAGE"),
    (Element::Field, "FieldOptions", "TARGET_TYPE_FIELD"),
    (Element::Oneof, "OneofOptions", "TARGET_TYPE_ONEOF"),
    (Element::Enum, "EnumOptions", "TARGET_TYPE_ENUM"),
    (Element::Value, "EnumValueOptions", "TARGET_TYPE_ENUM_ENTRY"),
    (Element::Service, "ServiceOptions", "TARGET_TYPE_SERVICE"),
    (Element::Method, "MethodOptions", "TARGET_TYPE_METHOD"),
    (
        Element::Range,
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
    pub element: Element,
    pub ty: ValueType,
    pub is_repeated: bool,
}

/// An extension of a generated message.
#[derive(Clone, Debug)]
pub(super) struct ExtensionFacts {
    /// The full name, without a leading dot.
    pub full: String,
    pub file: usize,
    /// The index of the extended message.
    pub extendee: usize,
    pub ty: ValueType,
    pub is_repeated: bool,
}

/// The message type of a map's entries.
#[derive(Clone, Debug)]
pub(super) struct EntryFacts {
    /// The full name, without a leading dot.
    pub full: String,
    pub file: usize,
}

/// A message while its body is written.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// The full name, without a leading dot.
    pub full: String,
    /// The next number of a field.
    pub next: i32,
    /// The number of enclosing messages.
    pub depth: usize,
    pub fields: Vec<FieldFacts>,
    pub free: Vec<i32>,
    pub is_set: bool,
    /// The message and all enclosing messages are exported.
    pub is_exported: bool,
}

/// The properties of a field on which its options depend.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldShape {
    pub ty: ValueType,
    pub is_repeated: bool,
    pub is_map: bool,
    pub is_group: bool,
    pub is_extension: bool,
    pub is_in_oneof: bool,
}
