//! The result of parsing one file: a descriptor in which names are as written, and a list of
//! options that are not yet interpreted.
//!
//! This module checks nothing: the linker resolves names and reads options, and `verify` checks the
//! result.

use std::collections::HashSet;
use std::ops::Range;

use protobuf::descriptor::FileDescriptorProto;

use crate::features::edition;
use crate::locations::Locations;
use crate::path;

/// The syntax or the edition of a file, ordered from the oldest to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Edition {
    Proto2,
    Proto3,
    Edition2023,
    Edition2024,
}

impl Edition {
    /// Returns the number in google.protobuf.Edition.
    pub(crate) fn number(self) -> u64 {
        match self {
            Edition::Proto2 => edition::PROTO2,
            Edition::Proto3 => edition::PROTO3,
            Edition::Edition2023 => edition::EDITION_2023,
            Edition::Edition2024 => edition::EDITION_2024,
        }
    }

    /// Returns the name as people write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Edition::Proto2 => "proto2",
            Edition::Proto3 => "proto3",
            Edition::Edition2023 => "edition 2023",
            Edition::Edition2024 => "edition 2024",
        }
    }

    /// Returns whether a file may set features. The features of proto2 and proto3 are fixed.
    pub(crate) fn is_edition(self) -> bool {
        self >= Edition::Edition2023
    }
}

/// One parsed file.
#[derive(Debug)]
pub(super) struct Parsed {
    /// The descriptor. Types are as written. Defaults and json_names are included. The descriptor
    /// contains no options, except `map_entry`, and `message_set_wire_format` where the file sets
    /// it to true.
    pub file: FileDescriptorProto,
    /// The locations of everything but options.
    pub locations: Locations,
    pub edition: Edition,
    /// Every option that is set, in the order of the file.
    pub options: Vec<WrittenOption>,
    /// The names of the files that are imported by `import option`.
    pub option_imports: Vec<String>,
    /// The visibility (`export` or `local`) of each message or enum that declares it, by path.
    pub visibility: Vec<(Vec<i32>, Visibility)>,
    /// The paths of the explicit json_names.
    pub json_names: HashSet<Vec<i32>>,
}

/// The visibility that a message or an enum declares, with the numbers of
/// google.protobuf.SymbolVisibility.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visibility {
    Local = 1,
    Export = 2,
}

/// The kind of an element on which an option may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Entity {
    File,
    Message,
    Field,
    Oneof,
    Enum,
    EnumValue,
    ExtensionRange,
    Service,
    Method,
}

impl Entity {
    /// Returns the name of the message of descriptor.proto that holds the element's options,
    /// without google.protobuf.
    pub(crate) fn options(self) -> &'static str {
        match self {
            Entity::File => "FileOptions",
            Entity::Message => "MessageOptions",
            Entity::Field => "FieldOptions",
            Entity::Oneof => "OneofOptions",
            Entity::Enum => "EnumOptions",
            Entity::EnumValue => "EnumValueOptions",
            Entity::ExtensionRange => "ExtensionRangeOptions",
            Entity::Service => "ServiceOptions",
            Entity::Method => "MethodOptions",
        }
    }

    /// Returns the number of the field `options` in the element's descriptor.
    pub(crate) fn options_field(self) -> i32 {
        match self {
            Entity::File => path::FILE_OPTIONS,
            Entity::Message => path::MESSAGE_OPTIONS,
            Entity::Field => path::FIELD_OPTIONS,
            Entity::Oneof => path::ONEOF_OPTIONS,
            Entity::Enum => path::ENUM_OPTIONS,
            Entity::EnumValue => path::VALUE_OPTIONS,
            Entity::ExtensionRange => path::RANGE_OPTIONS,
            Entity::Service => path::SERVICE_OPTIONS,
            Entity::Method => path::METHOD_OPTIONS,
        }
    }

    /// Returns the number in google.protobuf.FieldOptions.OptionTargetType.
    pub(crate) fn target(self) -> u64 {
        match self {
            Entity::File => 1,
            Entity::ExtensionRange => 2,
            Entity::Message => 3,
            Entity::Field => 4,
            Entity::Oneof => 5,
            Entity::Enum => 6,
            Entity::EnumValue => 7,
            Entity::Service => 8,
            Entity::Method => 9,
        }
    }

    /// Returns the name with its article, as diagnostics show it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Entity::File => "a file",
            Entity::ExtensionRange => "an extension range",
            Entity::Message => "a message",
            Entity::Field => "a field",
            Entity::Oneof => "a oneof",
            Entity::Enum => "an enum",
            Entity::EnumValue => "an enum value",
            Entity::Service => "a service",
            Entity::Method => "a method",
        }
    }
}

/// An option as written.
#[derive(Clone, Debug)]
pub(super) struct WrittenOption {
    /// The path of the element that the option is set on.
    pub owner: Vec<i32>,
    pub entity: Entity,
    /// The parts of the name, at least one.
    pub name: Vec<Part>,
    /// The byte range of the whole name.
    pub name_range: Range<usize>,
    pub value: Value,
    pub value_range: Range<usize>,
}

/// One part of an option's name.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The name, without the parentheses of an extension; a leading dot is kept.
    pub name: String,
    pub is_extension: bool,
}

/// The value of an option, or of a field within an aggregate.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Word(String),
    /// A whole number without a sign, of up to 64 bits.
    Integer(u64, Base),
    /// The number after the minus sign.
    Negative(u64, Base),
    Float(f64),
    Text(Vec<u8>),
    Aggregate(Vec<Entry>),
    /// A list, which occurs within an aggregate only.
    List(Vec<(Value, Range<usize>)>),
}

/// The base in which a whole number is written. The base matters only within aggregates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Ten,
    /// Hexadecimal or octal.
    Other,
}

/// One `name: value` within an aggregate.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The name of a field. If `bracketed` is true, the text between the brackets. A text with a
    /// slash is the name of the type in an Any, and any other text is the name of an extension.
    pub name: String,
    pub bracketed: bool,
    pub range: Range<usize>,
    pub value: Value,
}
