//! What protoc rejects and the built-in compiler lets pass, so that both judge alike.
//!
//! Each check is here because protox 0.10 was seen to accept what it forbids; what protox finds
//! itself isn't checked again. Descriptors come in linked (types resolved, names full); nothing
//! here changes them, and each fault is reported at its place, all of them.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use protobuf::descriptor::field_descriptor_proto::{Label, Type};
use protobuf::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

use super::places::Places;
use super::{Compiler, index};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, SourceFile};

/// Field numbers of descriptor.proto: SourceCodeInfo's paths are made of them.
mod path {
    pub const FILE_MESSAGE: i32 = 4;
    pub const FILE_ENUM: i32 = 5;
    pub const FILE_EXTENSION: i32 = 7;
    pub const NAME: i32 = 1;
    pub const MESSAGE_FIELD: i32 = 2;
    pub const MESSAGE_MESSAGE: i32 = 3;
    pub const MESSAGE_ENUM: i32 = 4;
    pub const MESSAGE_EXTENSION_RANGE: i32 = 5;
    pub const MESSAGE_EXTENSION: i32 = 6;
    pub const MESSAGE_OPTIONS: i32 = 7;
    pub const MESSAGE_RESERVED: i32 = 9;
    pub const FIELD_EXTENDEE: i32 = 2;
    pub const FIELD_NUMBER: i32 = 3;
    pub const FIELD_TYPE_NAME: i32 = 6;
    pub const FIELD_OPTIONS: i32 = 8;
    pub const ENUM_VALUE: i32 = 2;
    pub const ENUM_RESERVED: i32 = 4;
    pub const OPTION_MAP_ENTRY: i32 = 7;
    pub const OPTION_PACKED: i32 = 2;
    pub const OPTION_LAZY: i32 = 5;
}

/// The messages that a proto3 file may extend: options.
const OPTIONS: &[&str] = &[
    ".google.protobuf.EnumOptions",
    ".google.protobuf.EnumValueOptions",
    ".google.protobuf.ExtensionRangeOptions",
    ".google.protobuf.FieldOptions",
    ".google.protobuf.FileOptions",
    ".google.protobuf.MessageOptions",
    ".google.protobuf.MethodOptions",
    ".google.protobuf.OneofOptions",
    ".google.protobuf.ServiceOptions",
];

/// Checks the user's files among `files`: those that `source` has a text of. `files` hold all that
/// they import.
pub fn verify<'a>(
    files: &'a [FileDescriptorProto],
    source: impl Fn(&str) -> Option<&'a Arc<SourceFile>>,
    found: &mut Diagnostics,
) {
    let types = Types::of(files);
    let mut extensions = HashMap::new();
    for file in files {
        let Some(source) = source(file.name()) else {
            continue;
        };
        let mut check = Check {
            file,
            places: Places::of(file, source, Compiler::Builtin),
            types: &types,
            extensions: &mut extensions,
            found,
        };
        check.file();
    }
}

/// What must be known of types when a field of another file names them. Names with a leading dot.
#[derive(Default)]
struct Types {
    /// Enums of proto2 files.
    closed: HashSet<String>,
    /// Enums whose first value isn't 0.
    without_zero: HashSet<String>,
    /// Messages with `message_set_wire_format`.
    message_sets: HashSet<String>,
}

impl Types {
    fn of(files: &[FileDescriptorProto]) -> Self {
        let mut types = Self::default();
        for file in files {
            let scope = match file.package() {
                "" => String::new(),
                package => format!(".{package}"),
            };
            let closed = !is_proto3(file);
            file.enum_type
                .iter()
                .for_each(|e| types.add_enum(&scope, e, closed));
            file.message_type
                .iter()
                .for_each(|m| types.add_message(&scope, m, closed));
        }
        types
    }

    fn add_enum(&mut self, scope: &str, e: &EnumDescriptorProto, closed: bool) {
        let name = format!("{scope}.{}", e.name());
        if e.value.first().is_some_and(|value| value.number() != 0) {
            self.without_zero.insert(name.clone());
        }
        if closed {
            self.closed.insert(name);
        }
    }

    fn add_message(&mut self, scope: &str, m: &DescriptorProto, closed: bool) {
        let name = format!("{scope}.{}", m.name());
        m.enum_type
            .iter()
            .for_each(|e| self.add_enum(&name, e, closed));
        m.nested_type
            .iter()
            .for_each(|n| self.add_message(&name, n, closed));
        if m.options.message_set_wire_format() {
            self.message_sets.insert(name);
        }
    }
}

/// One file's check.
struct Check<'a, 'b> {
    file: &'a FileDescriptorProto,
    places: Places<'a>,
    types: &'b Types,
    /// Who has an extension number of a message, in all files: the extension's name and place.
    extensions: &'b mut HashMap<(&'a str, i32), (&'a str, Place)>,
    found: &'b mut Diagnostics,
}

/// A run of numbers in a message or enum, its ends included; negative length if written reversed.
struct Numbers {
    range: RangeInclusive<i64>,
    reserved: bool,
    path: Vec<i32>,
}

impl<'a> Check<'a, '_> {
    fn file(&mut self) {
        let file = self.file;
        for (at, extension) in file.extension.iter().enumerate() {
            self.extension(extension, &[path::FILE_EXTENSION, index(at)]);
        }
        for (at, message) in file.message_type.iter().enumerate() {
            self.message(message, &[path::FILE_MESSAGE, index(at)]);
        }
        for (at, e) in file.enum_type.iter().enumerate() {
            self.enumeration(e, &[path::FILE_ENUM, index(at)]);
        }
    }

    fn message(&mut self, message: &'a DescriptorProto, at: &[i32]) {
        self.reserved_field_names(message, at);
        self.message_ranges(message, at);
        self.message_options(message, at);
        for (i, field) in message.field.iter().enumerate() {
            self.field(field, &below(at, path::MESSAGE_FIELD, i));
        }
        for (i, extension) in message.extension.iter().enumerate() {
            self.extension(extension, &below(at, path::MESSAGE_EXTENSION, i));
        }
        for (i, e) in message.enum_type.iter().enumerate() {
            self.enumeration(e, &below(at, path::MESSAGE_ENUM, i));
        }
        for (i, nested) in message.nested_type.iter().enumerate() {
            let at = below(at, path::MESSAGE_MESSAGE, i);
            if nested.options.map_entry() {
                self.map_entry(message, nested, &at);
            } else {
                self.message(nested, &at);
            }
        }
    }

    fn reserved_field_names(&mut self, message: &DescriptorProto, at: &[i32]) {
        let reserved: HashSet<_> = message.reserved_name.iter().collect();
        for (i, field) in message.field.iter().enumerate() {
            if field
                .name
                .as_ref()
                .is_some_and(|name| reserved.contains(name))
            {
                let place = below(&below(at, path::MESSAGE_FIELD, i), path::NAME, None);
                let text = format!("field name {:?} is reserved", field.name());
                self.fault(
                    text,
                    &place,
                    "reserved in this message",
                    "choose another name",
                );
            }
        }
    }

    fn message_ranges(&mut self, message: &DescriptorProto, at: &[i32]) {
        // Descriptors give the end of a message's range exclusive.
        let ends = |start: i32, end: i32| i64::from(start)..=i64::from(end) - 1;
        let mut all = Vec::new();
        for (i, r) in message.reserved_range.iter().enumerate() {
            let path = below(at, path::MESSAGE_RESERVED, i);
            all.push(Numbers {
                range: ends(r.start(), r.end()),
                reserved: true,
                path,
            });
        }
        for (i, r) in message.extension_range.iter().enumerate() {
            let path = below(at, path::MESSAGE_EXTENSION_RANGE, i);
            if is_proto3(self.file) {
                let help = "use a proto2 file, or google.protobuf.Any";
                self.fault(
                    "extension ranges are not allowed in proto3".to_owned(),
                    &path,
                    "",
                    help,
                );
            }
            all.push(Numbers {
                range: ends(r.start(), r.end()),
                reserved: false,
                path,
            });
        }
        self.ranges(all);
    }

    fn enumeration(&mut self, e: &EnumDescriptorProto, at: &[i32]) {
        let reserved: HashSet<_> = e.reserved_name.iter().collect();
        for (i, value) in e.value.iter().enumerate() {
            if value
                .name
                .as_ref()
                .is_some_and(|name| reserved.contains(name))
            {
                let place = below(&below(at, path::ENUM_VALUE, i), path::NAME, None);
                let text = format!("enum value name {:?} is reserved", value.name());
                self.fault(text, &place, "reserved in this enum", "choose another name");
            }
        }
        let ranges = e.reserved_range.iter().enumerate().map(|(i, r)| Numbers {
            range: i64::from(r.start())..=i64::from(r.end()),
            reserved: true,
            path: below(at, path::ENUM_RESERVED, i),
        });
        self.ranges(ranges.collect());
    }

    /// Neither reversed nor overlapping.
    fn ranges(&mut self, mut all: Vec<Numbers>) {
        all.retain(|numbers| {
            let reversed = numbers.range.is_empty();
            if reversed {
                let text = "the range ends before it starts".to_owned();
                self.fault(
                    text,
                    &numbers.path,
                    "expected LOW to HIGH",
                    "exchange the two numbers",
                );
            }
            !reversed
        });
        // Sorted by start, only the one that reaches furthest so far can overlap the next.
        all.sort_by_key(|numbers| *numbers.range.start());
        let mut all = all.into_iter();
        let Some(mut furthest) = all.next() else {
            return;
        };
        for numbers in all {
            if numbers.range.start() <= furthest.range.end() {
                self.overlap(&numbers, &furthest);
            }
            if numbers.range.end() > furthest.range.end() {
                furthest = numbers;
            }
        }
    }

    /// Reported at the one that is written later.
    fn overlap(&mut self, a: &Numbers, b: &Numbers) {
        let (mut later, mut earlier) = (a, b);
        let line = |numbers: &Numbers| {
            let place = self.places.at(&numbers.path);
            (place.line, place.column)
        };
        if line(a) < line(b) {
            (later, earlier) = (b, a);
        }
        let first = self.places.at(&earlier.path);
        let text = format!("{later} overlaps with {earlier}");
        let fault = Diagnostic::error(text)
            .at(self.places.at(&later.path))
            .note_at(format!("{earlier} is at"), first)
            .help("let each number be in one range");
        self.found.push(fault);
    }

    fn message_options(&mut self, message: &DescriptorProto, at: &[i32]) {
        let name = message.name();
        // Map entries that map fields make were told apart before.
        if message.options.map_entry() {
            self.explicit_map_entry(at);
        }
        if !message.options.message_set_wire_format() {
            return;
        }
        let options = below(at, path::MESSAGE_OPTIONS, None);
        if is_proto3(self.file) {
            let text = "a MessageSet is not allowed in proto3".to_owned();
            self.fault(text, &options, "", "leave the option out");
        }
        for i in 0..message.field.len() {
            let text = format!("MessageSet {name} has a field");
            let place = below(at, path::MESSAGE_FIELD, i);
            self.fault(
                text,
                &place,
                "expected extensions only",
                "leave the option message_set_wire_format out",
            );
        }
    }

    fn explicit_map_entry(&mut self, at: &[i32]) {
        let mut place = below(at, path::MESSAGE_OPTIONS, None);
        place.push(path::OPTION_MAP_ENTRY);
        let help = "leave it out; a field map<KEY, VALUE> makes such a message by itself";
        self.fault(
            "map_entry is set".to_owned(),
            &place,
            "only the compiler sets this option",
            help,
        );
    }

    /// Made by a map field, or by hand: what is written has a place for its name.
    fn map_entry(&mut self, parent: &'a DescriptorProto, entry: &'a DescriptorProto, at: &[i32]) {
        if self.places.has(&below(at, path::NAME, None)) {
            return self.message(entry, at);
        }
        let ending = format!(".{}.{}", parent.name(), entry.name());
        let field = parent
            .field
            .iter()
            .position(|f| f.type_name().ends_with(&ending));
        let parent_path = &at[..at.len() - 2];
        let place = match field {
            Some(i) => below(
                &below(parent_path, path::MESSAGE_FIELD, i),
                path::FIELD_TYPE_NAME,
                None,
            ),
            None => at.to_vec(),
        };
        let Some(value) = entry.field.iter().find(|f| f.number() == 2) else {
            return;
        };
        self.closed_enum(value, &place);
        if value.type_() == Type::TYPE_ENUM && self.types.without_zero.contains(value.type_name()) {
            let text = format!("the first value of {} is not 0", bare(value.type_name()));
            self.fault(
                text,
                &place,
                "an enum in a map must start with 0",
                "let the enum start with a value 0",
            );
        }
    }

    fn field(&mut self, field: &FieldDescriptorProto, at: &[i32]) {
        let place = below(at, path::FIELD_TYPE_NAME, None);
        self.closed_enum(field, &place);
        let options = below(at, path::FIELD_OPTIONS, None);
        if field.options.packed() && !(field.label() == Label::LABEL_REPEATED && is_packable(field))
        {
            let place = [&options[..], &[path::OPTION_PACKED]].concat();
            let text = "packed is set for a field that can't be packed".to_owned();
            self.fault(
                text,
                &place,
                "expected a repeated number, bool or enum",
                "leave it out",
            );
        }
        if field.options.lazy() && field.type_() != Type::TYPE_MESSAGE {
            let place = [&options[..], &[path::OPTION_LAZY]].concat();
            let text = "lazy is set for a field that is no message".to_owned();
            self.fault(text, &place, "expected a message field", "leave it out");
        }
    }

    /// proto3 can't keep an enum's unknown values where proto2 put them.
    fn closed_enum(&mut self, field: &FieldDescriptorProto, place: &[i32]) {
        let name = field.type_name();
        if is_proto3(self.file)
            && field.type_() == Type::TYPE_ENUM
            && self.types.closed.contains(name)
        {
            let text = format!("{} is a proto2 enum, used in a proto3 file", bare(name));
            self.fault(
                text,
                place,
                "expected an enum of a proto3 file",
                "define the enum in a proto3 file",
            );
        }
    }

    fn extension(&mut self, extension: &'a FieldDescriptorProto, at: &[i32]) {
        self.field(extension, at);
        let extendee = extension.extendee();
        let place = below(at, path::FIELD_EXTENDEE, None);
        if is_proto3(self.file) && !OPTIONS.contains(&extendee) {
            let text = format!("{} is extended in a proto3 file", bare(extendee));
            let help = "use a proto2 file, or google.protobuf.Any";
            self.fault(text, &place, "proto3 extends options only", help);
        }
        let optional_message =
            extension.label() == Label::LABEL_OPTIONAL && extension.type_() == Type::TYPE_MESSAGE;
        if self.types.message_sets.contains(extendee) && !optional_message {
            let text = format!(
                "{} extends a MessageSet with what is no optional message",
                extension.name()
            );
            self.fault(
                text,
                at,
                "expected optional MESSAGE",
                "wrap it in a message",
            );
        }
        self.extension_number(extension, at);
    }

    fn extension_number(&mut self, extension: &'a FieldDescriptorProto, at: &[i32]) {
        let (extendee, number) = (extension.extendee(), extension.number());
        let place = self.places.at(&below(at, path::FIELD_NUMBER, None));
        let first = self.extensions.get(&(extendee, number)).cloned();
        match first {
            None => {
                self.extensions
                    .insert((extendee, number), (extension.name(), place));
            }
            Some((name, first)) => {
                let text = format!(
                    "extension number {number} of {} is already used",
                    bare(extendee)
                );
                let fault = Diagnostic::error(text).at(place);
                self.found.push(
                    fault
                        .note_at(format!("by {name} at"), first)
                        .help("choose another number"),
                );
            }
        }
    }

    fn fault(&mut self, text: String, path: &[i32], label: &str, help: &str) {
        let place = self.places.at(path);
        self.found
            .push(Diagnostic::error(text).at(place).label(label).help(help));
    }
}

impl std::fmt::Display for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.reserved {
            "reserved"
        } else {
            "extension"
        };
        let (start, end) = self.range.clone().into_inner();
        match start == end {
            true => write!(f, "{kind} number {start}"),
            false => write!(f, "{kind} range {start} to {end}"),
        }
    }
}

/// The path of a descriptor's part: `field` of `at`, and which of them if it is repeated.
fn below(at: &[i32], field: i32, which: impl Into<Option<usize>>) -> Vec<i32> {
    let which = which.into().map(index);
    at.iter().copied().chain([field]).chain(which).collect()
}

fn is_proto3(file: &FileDescriptorProto) -> bool {
    file.syntax() == "proto3"
}

fn is_packable(field: &FieldDescriptorProto) -> bool {
    let unpackable = [
        Type::TYPE_STRING,
        Type::TYPE_BYTES,
        Type::TYPE_MESSAGE,
        Type::TYPE_GROUP,
    ];
    !unpackable.contains(&field.type_())
}

fn bare(name: &str) -> &str {
    name.trim_start_matches('.')
}
