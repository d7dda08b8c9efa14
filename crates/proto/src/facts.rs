//! The facts that a compile needs about every linked file, even if the file is unchanged.
//!
//! The facts are kept next to the encoded descriptor. The descriptor of an unchanged file is
//! therefore decoded only if another file or a schema uses a definition in it.

use std::collections::BTreeMap;

use protobuf::UnknownValueRef;
use protobuf::descriptor::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use crate::path;
use crate::ruled::defines_rules;
use crate::top_names::TopNames;

/// The facts about one file.
#[derive(Debug)]
pub(super) struct Facts {
    /// The name by which other files import the file.
    pub name: String,
    pub package: String,
    /// The names of the files that the file imports, except by `import option`.
    pub imports: Box<[String]>,
    /// The names in `imports` that the file imports publicly.
    pub public_imports: Box<[String]>,
    /// The names of the files that the file imports by `import option`.
    pub option_imports: Box<[String]>,
    pub names: TopNames,
    /// The numbers of the extensions in the file, by the full name of the extended message, without
    /// a leading dot.
    pub extensions: BTreeMap<String, Vec<i32>>,
    /// The number of messages, except map entries.
    pub messages: usize,
    /// The largest number of fields of a message, without extensions.
    pub fields_max: usize,
    /// Set if the file has options that are rules of buf.validate, or predefined rules.
    pub has_rules: bool,
}

impl Facts {
    pub(crate) fn of(file: &FileDescriptorProto) -> Self {
        let mut facts = Self {
            name: file.name().to_owned(),
            package: file.package().to_owned(),
            imports: file.dependency.clone().into(),
            public_imports: public_imports(file).cloned().collect(),
            option_imports: option_imports(file).collect(),
            names: TopNames::of(file),
            extensions: BTreeMap::new(),
            messages: 0,
            fields_max: 0,
            has_rules: defines_rules(file),
        };
        facts.add_extensions(&file.extension);
        for message in &file.message_type {
            facts.add_message(message);
        }
        facts
    }

    /// Returns the names of all files that the file imports.
    pub(crate) fn all_imports(&self) -> impl Iterator<Item = &String> {
        self.imports.iter().chain(&self.option_imports)
    }

    /// Adds the facts of a message and of the messages nested in it. The parser bounds the nesting,
    /// and thus the depth of this recursion.
    fn add_message(&mut self, message: &DescriptorProto) {
        self.messages += usize::from(!message.options.map_entry());
        self.fields_max = self.fields_max.max(message.field.len());
        self.add_extensions(&message.extension);
        for nested in &message.nested_type {
            self.add_message(nested);
        }
    }

    fn add_extensions(&mut self, extensions: &[FieldDescriptorProto]) {
        for extension in extensions {
            let extendee = extension.extendee().trim_start_matches('.');
            match self.extensions.get_mut(extendee) {
                Some(numbers) => numbers.push(extension.number()),
                None => {
                    let numbers = vec![extension.number()];
                    self.extensions.insert(extendee.to_owned(), numbers);
                }
            }
        }
    }
}

/// Returns the names of the public imports of a file.
pub(super) fn public_imports(file: &FileDescriptorProto) -> impl Iterator<Item = &String> {
    let indices = file.public_dependency.iter();
    indices.filter_map(|&index| file.dependency.get(usize::try_from(index).ok()?))
}

/// Returns the names of the files that a file imports by `import option`.
fn option_imports(file: &FileDescriptorProto) -> impl Iterator<Item = String> {
    let unknown = file.special_fields.unknown_fields().into_iter();
    unknown.filter_map(|field| match field {
        (number, UnknownValueRef::LengthDelimited(name))
            if i32::try_from(number) == Ok(path::FILE_OPTION_DEPENDENCY) =>
        {
            String::from_utf8(name.to_vec()).ok()
        }
        _ => None,
    })
}
