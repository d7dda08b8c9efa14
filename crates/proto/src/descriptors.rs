//! The compiled files, with look-ups of messages by name and of their places in the texts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use protobuf::descriptor::{DescriptorProto, FileDescriptorProto};
use protobuf::{Message, UnknownFields};

use crate::budget::Budget;
use crate::compiler::Compiler;
use crate::locations::Locations;
use crate::path::{self, below, index};
use crate::places::Places;
use crate::symbols::full_name;
use gateway_diagnostic::{Place, SourceFile};

/// The field number of the extensions of MessageOptions, FieldOptions and OneofOptions that carry
/// the rules of buf.validate.
pub const RULES_EXTENSION: u32 = 1159;

/// The compiled files: every file below the import paths and their imports, imports before
/// importers.
#[derive(Debug)]
pub struct Descriptors {
    pub(super) files: Vec<FileDescriptorProto>,
    /// The locations in each of the files.
    locations: Vec<Locations>,
    sources: BTreeMap<String, Arc<SourceFile>>,
    compiler: Compiler,
    pub(super) messages: HashMap<String, DescriptorAt>,
}

/// A compiled file without SourceCodeInfo, and the locations in it.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) file: FileDescriptorProto,
    pub(super) locations: Locations,
}

/// The location of the definition of a message or an enum.
#[derive(Debug)]
pub(super) struct DescriptorAt {
    /// The index of its file.
    pub(super) file: usize,
    /// The path in the file's descriptor, in the form of SourceCodeInfo.
    pub(super) path: Vec<i32>,
}

impl Descriptors {
    pub(super) fn new(
        files: Vec<Located>,
        sources: BTreeMap<String, Arc<SourceFile>>,
        compiler: Compiler,
    ) -> Self {
        let files = files.into_iter();
        let (files, locations): (Vec<_>, _) = files.map(|it| (it.file, it.locations)).unzip();
        let mut messages = HashMap::new();
        for (file, descriptor) in files.iter().enumerate() {
            for (at, message) in descriptor.message_type.iter().enumerate() {
                let name = full_name(descriptor.package(), message.name());
                collect(
                    message,
                    name,
                    DescriptorAt {
                        file,
                        path: vec![path::FILE_MESSAGE, index(at)],
                    },
                    &mut messages,
                );
            }
        }
        Self {
            files,
            locations,
            sources,
            compiler,
            messages,
        }
    }

    /// Returns every file, imports before importers, well-known types included where they are
    /// imported. They have no SourceCodeInfo.
    pub fn files(&self) -> &[FileDescriptorProto] {
        &self.files
    }

    /// Returns the user's files by import name. Other files come with this crate, or with protoc.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &Arc<SourceFile>)> {
        self.sources
            .iter()
            .map(|(name, file)| (name.as_str(), file))
    }

    /// Returns the user's file with this import name.
    pub fn source(&self, name: &str) -> Option<&Arc<SourceFile>> {
        self.sources.get(name)
    }

    /// Returns the full names of all messages, except those of map entries, in the order in which
    /// the files define them.
    pub fn message_names(&self) -> Vec<&str> {
        let named = self.messages.iter().filter(|(name, _)| {
            let message = self.message(name);
            message.is_some_and(|message| !message.options.map_entry())
        });
        let mut named: Vec<_> = named.collect();
        named.sort_unstable_by_key(|(_, at)| (at.file, &at.path));
        named.into_iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Returns the descriptor of a message by its full name, without a leading dot.
    pub fn message(&self, full_name: &str) -> Option<&DescriptorProto> {
        let DescriptorAt { file, path } = self.messages.get(full_name)?;
        let mut numbers = path.iter().skip(1).step_by(2).map(|&at| at as usize);
        let mut message = self.files.get(*file)?.message_type.get(numbers.next()?)?;
        for at in numbers {
            message = message.nested_type.get(at)?;
        }
        Some(message)
    }

    /// Returns the place of the name of a user's message.
    pub fn place_of(&self, message: &str) -> Option<Place> {
        let DescriptorAt { file, path } = self.messages.get(message)?;
        Some(self.places(*file)?.at(&below(path, path::NAME, None)))
    }

    /// Returns the file that defines a message.
    pub fn file_of(&self, message: &str) -> Option<&FileDescriptorProto> {
        self.files.get(self.messages.get(message)?.file)
    }

    /// Returns the places in the file at an index, or `None` if the file is not the user's.
    pub(super) fn places(&self, file: usize) -> Option<Places<'_>> {
        let source = self.source(self.files[file].name())?;
        Some(Places::of(
            &self.locations[file],
            source,
            self.compiler,
            &Budget::unlimited(),
        ))
    }

    /// Returns whether a message, or any message that its fields hold, carries rules of
    /// buf.validate.
    pub fn has_rules(&self, message: &str) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![message];
        while let Some(name) = open.pop() {
            let Some(message) = self.message(name) else {
                continue;
            };
            if !seen.insert(name) {
                continue;
            }
            if carries_rules(message) {
                return true;
            }
            let types = message.field.iter().map(|field| field.type_name());
            open.extend(types.map(|name| name.trim_start_matches('.')));
        }
        false
    }
}

/// Returns whether a message, one of its fields or one of its oneofs carries rules. Extensions that
/// the descriptor model does not know are kept as unknown fields.
fn carries_rules(message: &DescriptorProto) -> bool {
    let ruled = |fields: &UnknownFields| fields.get(RULES_EXTENSION).is_some();
    ruled(message.options.special_fields().unknown_fields())
        || message
            .field
            .iter()
            .any(|f| ruled(f.options.special_fields().unknown_fields()))
        || message
            .oneof_decl
            .iter()
            .any(|o| ruled(o.options.special_fields().unknown_fields()))
}

fn collect(
    message: &DescriptorProto,
    name: String,
    at: DescriptorAt,
    all: &mut HashMap<String, DescriptorAt>,
) {
    for (nested_at, nested) in message.nested_type.iter().enumerate() {
        let path = [&at.path[..], &[path::MESSAGE_MESSAGE, index(nested_at)]].concat();
        let file = at.file;
        collect(
            nested,
            full_name(&name, nested.name()),
            DescriptorAt { file, path },
            all,
        );
    }
    all.insert(name, at);
}
