//! What a parser makes of one file: a descriptor with names as written, and its options unread.
//!
//! Nothing here judges: the linker resolves names and reads options, `verify` checks.

use std::collections::HashSet;
use std::ops::Range;

use protobuf::descriptor::FileDescriptorProto;

use crate::features::edition;
use crate::path;

/// The dialect of a file; ordered by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Edition {
    Proto2,
    Proto3,
    Edition2023,
    Edition2024,
}

impl Edition {
    /// The numbers of google.protobuf.Edition.
    pub fn number(self) -> u64 {
        match self {
            Edition::Proto2 => edition::PROTO2,
            Edition::Proto3 => edition::PROTO3,
            Edition::Edition2023 => edition::EDITION_2023,
            Edition::Edition2024 => edition::EDITION_2024,
        }
    }

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Edition::Proto2 => "proto2",
            Edition::Proto3 => "proto3",
            Edition::Edition2023 => "edition 2023",
            Edition::Edition2024 => "edition 2024",
        }
    }

    /// Whether features may be set, as opposed to a syntax that fixes them.
    pub fn is_edition(self) -> bool {
        self >= Edition::Edition2023
    }
}

/// One file, parsed.
#[derive(Debug)]
pub(super) struct Parsed {
    /// Types are as written, defaults and json_names are in it; options aren't, but for those that
    /// a parser itself sets (`map_entry`, and `message_set_wire_format` where it is written).
    pub file: FileDescriptorProto,
    pub edition: Edition,
    /// Every option statement, in the order of the file.
    pub options: Vec<Written>,
    /// `import option`: names, and where.
    pub option_imports: Vec<String>,
    /// `export` and `local`: the path of the message or enum, and the number of SymbolVisibility.
    pub visibility: Vec<(Vec<i32>, Visibility)>,
    /// Paths of the json_names that were written.
    pub json_names: HashSet<Vec<i32>>,
}

/// What a message or enum says of who may use it; numbers of google.protobuf.SymbolVisibility.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visibility {
    Local = 1,
    Export = 2,
}

/// What an option may be set on.
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
    /// The message of descriptor.proto that holds its options, without google.protobuf.
    pub fn options(self) -> &'static str {
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

    /// The number of its field `options`.
    pub fn options_field(self) -> i32 {
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

    /// The number of google.protobuf.FieldOptions.OptionTargetType.
    pub fn target(self) -> u64 {
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

    /// As people call it.
    pub fn name(self) -> &'static str {
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
pub(super) struct Written {
    /// Path of what it is set on.
    pub owner: Vec<i32>,
    pub entity: Entity,
    /// At least one.
    pub name: Vec<Part>,
    /// Of the whole name.
    pub name_range: Range<usize>,
    pub value: Value,
    pub value_range: Range<usize>,
}

/// One part of an option's name.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Without brackets; a leading dot stays.
    pub name: String,
    pub is_extension: bool,
}

/// The value of an option, or of a field within an aggregate.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Word(String),
    /// Positive, up to 64 bits.
    Integer(u64, Base),
    /// What stands behind the minus.
    Negative(u64, Base),
    Float(f64),
    Text(Vec<u8>),
    Aggregate(Vec<Entry>),
    /// Within an aggregate only.
    List(Vec<(Value, Range<usize>)>),
}

/// How a whole number is written. Within an aggregate it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Ten,
    /// Hexadecimal or octal.
    Other,
}

/// One `name: value` within an aggregate.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// A field's name; in brackets, an extension's or (with a slash) a type's for an Any.
    pub name: String,
    pub bracketed: bool,
    pub range: Range<usize>,
    pub value: Value,
}
