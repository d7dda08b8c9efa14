//! The extensions of the rule messages of `buf.validate`, such as `StringRules`. The options of
//! such an extension define predefined rules.

use std::collections::HashMap;

use ::protobuf::UnknownValueRef;
use ::protobuf::descriptor::{DescriptorProto, FieldDescriptorProto};
use gateway_proto::{Descriptors, PREDEFINED_EXTENSION};

use super::text::{RuleText, predefined};

// The field numbers of extensions and of messages in FileDescriptorProto and in DescriptorProto.

const FILE_EXTENSION: i32 = 7;
const FILE_MESSAGE: i32 = 4;
const MESSAGE_EXTENSION: i32 = 6;
const MESSAGE_MESSAGE: i32 = 3;

/// An extension and the place of its definition.
pub(in crate::rules) struct Extension<'a> {
    pub field: &'a FieldDescriptorProto,
    pub file: &'a str,
    /// The path of the extension in the descriptor of the file.
    pub path: Vec<i32>,
}

impl Extension<'_> {
    /// Returns the predefined rules that the extension defines.
    ///
    /// # Errors
    ///
    /// Fails if the rules cannot be read. The error describes the problem in one sentence.
    pub(in crate::rules) fn rules(&self) -> Result<Vec<RuleText>, String> {
        let mut option = Vec::new();
        for (number, value) in self.field.options.special_fields.unknown_fields() {
            if let (PREDEFINED_EXTENSION, UnknownValueRef::LengthDelimited(bytes)) = (number, value)
            {
                option.extend_from_slice(bytes);
            }
        }
        predefined(&option)
    }
}

/// Returns the extensions by their full names. Extensions in files without rules are left out,
/// because such extensions define no predefined rules.
pub(in crate::rules) fn all_extensions(
    descriptors: &Descriptors,
) -> HashMap<String, Extension<'_>> {
    let mut found = Extensions {
        all: HashMap::new(),
        file: "",
    };
    let files = descriptors.compiled_files().iter();
    for compiled in files.filter(|file| file.has_rules()) {
        let file = compiled.descriptor();
        found.file = compiled.name();
        found.add(file.package(), &file.extension, &[FILE_EXTENSION]);
        for (at, message) in (0..).zip(&file.message_type) {
            found.add_nested(file.package(), message, &[FILE_MESSAGE, at]);
        }
    }
    found.all
}

struct Extensions<'a> {
    all: HashMap<String, Extension<'a>>,
    file: &'a str,
}

impl<'a> Extensions<'a> {
    fn add(&mut self, scope: &str, fields: &'a [FieldDescriptorProto], path: &[i32]) {
        for (at, field) in (0..).zip(fields) {
            let extension = Extension {
                field,
                file: self.file,
                path: [path, &[at]].concat(),
            };
            self.all.insert(qualified(scope, field.name()), extension);
        }
    }

    /// Adds the extensions that a message and the messages nested in it define. The compiler bounds
    /// the nesting, and thus the recursion.
    fn add_nested(&mut self, scope: &str, message: &'a DescriptorProto, path: &[i32]) {
        let name = qualified(scope, message.name());
        self.add(
            &name,
            &message.extension,
            &[path, &[MESSAGE_EXTENSION]].concat(),
        );
        for (at, nested) in (0..).zip(&message.nested_type) {
            self.add_nested(&name, nested, &[path, &[MESSAGE_MESSAGE, at]].concat());
        }
    }
}

fn qualified(scope: &str, name: &str) -> String {
    match scope {
        "" => name.to_owned(),
        scope => format!("{scope}.{name}"),
    }
}
