//! The compiled files, with look-ups of messages by name and of their places in the texts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use protobuf::descriptor::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};

use crate::budget::Budget;
use crate::compiler::Compiler;
use crate::facts::Facts;
use crate::lazy::LazyDescriptor;
use crate::locations::Locations;
use crate::path::{self, below, index};
use crate::places::Places;
use crate::ruled::carries_rules;
use crate::sources::HashedText;
use crate::symbols::{enum_at, full_name, message_at};
use crate::top_names::prefix_hashes;
use gateway_diagnostic::{Place, SourceFile};

/// The compiled files: every file below the import paths, and the imports of these files. Imports
/// come before importers.
///
/// The descriptor of a file that is unchanged since an earlier compile is decoded when it is first
/// read. A look-up thus decodes only the files that it needs.
#[derive(Debug)]
pub struct Descriptors {
    files: Vec<CompiledFile>,
    sources: BTreeMap<String, HashedText>,
    compiler: Compiler,
    /// The hash of the full name of each message and enum at the top level of a file, and the index
    /// of the file. Sorted by hash.
    tops: Vec<(u64, usize)>,
}

/// A compiled file.
#[derive(Debug)]
pub struct CompiledFile {
    descriptor: Arc<LazyDescriptor>,
    facts: Arc<Facts>,
    locations: Locations,
    /// The paths of all messages and enums by full name. They are computed at the first look-up.
    types: OnceLock<HashMap<String, TypePath>>,
}

/// The path of a message or an enum in the descriptor of its file, in the form of SourceCodeInfo.
#[derive(Debug)]
enum TypePath {
    Message(Vec<i32>),
    Enum(Vec<i32>),
}

/// The definition of a message or an enum.
#[derive(Clone, Copy, Debug)]
pub(super) struct TypeAt<'a, D> {
    /// The index of the file that contains the definition.
    pub(super) file: usize,
    /// The path in the file's descriptor, in the form of SourceCodeInfo.
    pub(super) path: &'a [i32],
    pub(super) descriptor: &'a D,
}

impl CompiledFile {
    /// Returns the compiled file of a descriptor without SourceCodeInfo. `locations` contains the
    /// information that SourceCodeInfo would contain.
    pub(super) fn new(
        descriptor: Arc<LazyDescriptor>,
        facts: Arc<Facts>,
        locations: Locations,
    ) -> Self {
        Self {
            descriptor,
            facts,
            locations,
            types: OnceLock::new(),
        }
    }

    /// Returns the name by which other files import the file.
    pub fn name(&self) -> &str {
        &self.facts.name
    }

    /// Returns the package.
    pub fn package(&self) -> &str {
        &self.facts.package
    }

    /// Returns the names of the files that the file imports, including by `import option`.
    pub fn imports(&self) -> impl Iterator<Item = &str> {
        self.facts.all_imports().map(String::as_str)
    }

    /// Returns whether the file has options that are rules of buf.validate, or predefined rules.
    pub fn has_rules(&self) -> bool {
        self.facts.has_rules
    }

    /// Returns the full names of the messages that extensions in the file extend.
    pub fn extendees(&self) -> impl Iterator<Item = &str> {
        self.facts.extensions.keys().map(String::as_str)
    }

    /// Returns the descriptor, without SourceCodeInfo.
    pub fn descriptor(&self) -> &FileDescriptorProto {
        &self.descriptor
    }

    /// Returns whether the descriptor is in memory in decoded form. Either the compile produced the
    /// descriptor in this form, or the descriptor has been read.
    pub fn is_decoded(&self) -> bool {
        self.descriptor.is_decoded()
    }

    /// Returns the full names of all messages and enums that the file defines, in no particular
    /// order.
    pub fn type_names(&self) -> impl Iterator<Item = &str> {
        self.types().keys().map(String::as_str)
    }

    fn types(&self) -> &HashMap<String, TypePath> {
        self.types.get_or_init(|| {
            let mut types = HashMap::new();
            let file = self.descriptor();
            for (at, message) in file.message_type.iter().enumerate() {
                let name = full_name(file.package(), message.name());
                add_types(
                    message,
                    name,
                    vec![path::FILE_MESSAGE, index(at)],
                    &mut types,
                );
            }
            for (at, one) in file.enum_type.iter().enumerate() {
                let path = TypePath::Enum(vec![path::FILE_ENUM, index(at)]);
                types.insert(full_name(file.package(), one.name()), path);
            }
            types
        })
    }
}

impl Descriptors {
    pub(super) fn new(
        files: Vec<CompiledFile>,
        sources: BTreeMap<String, HashedText>,
        compiler: Compiler,
    ) -> Self {
        let tops = files.iter().enumerate().flat_map(|(at, file)| {
            let types = file.facts.names.types.iter();
            types.map(move |&hash| (hash, at))
        });
        let mut tops: Vec<_> = tops.collect();
        tops.sort_unstable();
        Self {
            files,
            sources,
            compiler,
            tops,
        }
    }

    /// Returns the descriptors of all files, imports before importers. Files of well-known types
    /// are included if they are imported. The descriptors have no SourceCodeInfo.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &FileDescriptorProto> {
        self.files.iter().map(CompiledFile::descriptor)
    }

    /// Returns every file, in the order of [`Self::files`].
    pub fn compiled_files(&self) -> &[CompiledFile] {
        &self.files
    }

    /// Returns the user's files by import name. Files that come with this crate or with protoc are
    /// not included.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &Arc<SourceFile>)> {
        self.sources
            .iter()
            .map(|(name, text)| (name.as_str(), &text.file))
    }

    /// Returns a fingerprint of each of the user's files by import name. Equal texts have equal
    /// fingerprints.
    pub fn fingerprints(&self) -> impl Iterator<Item = (&str, u64)> {
        self.sources
            .iter()
            .map(|(name, text)| (name.as_str(), text.hash))
    }

    /// Returns the user's file with this import name.
    pub fn source(&self, name: &str) -> Option<&Arc<SourceFile>> {
        self.sources.get(name).map(|text| &text.file)
    }

    /// Returns the full names of all messages, except map entries, in the order in which the files
    /// define them.
    pub fn message_names(&self) -> Vec<&str> {
        let mut all = Vec::new();
        for file in &self.files {
            let types = file.types().iter();
            let named = types.filter_map(|(name, path)| match path {
                TypePath::Message(path) => {
                    let message = message_at(&file.descriptor, path)?;
                    (!message.options.map_entry()).then_some((path, name.as_str()))
                }
                TypePath::Enum(_) => None,
            });
            let mut named: Vec<_> = named.collect();
            named.sort_unstable();
            all.extend(named.into_iter().map(|(_, name)| name));
        }
        all
    }

    /// Returns the number of all messages, except map entries.
    pub fn message_count(&self) -> usize {
        self.files.iter().map(|file| file.facts.messages).sum()
    }

    /// Returns an upper bound of the number of fields of a message, extensions included.
    pub fn fields_bound(&self) -> usize {
        let files = self.files.iter();
        let own = files.map(|file| file.facts.fields_max).max();
        let extensions = self.files.iter().flat_map(|file| &file.facts.extensions);
        let extensions: usize = extensions.map(|(_, numbers)| numbers.len()).sum();
        own.unwrap_or_default() + extensions
    }

    /// Returns the descriptor of a message by its full name, without a leading dot.
    pub fn message(&self, full_name: &str) -> Option<&DescriptorProto> {
        Some(self.message_at(full_name)?.descriptor)
    }

    /// Returns the place of a message's name, or `None` if no file of the user defines the message.
    pub fn place_of(&self, message: &str) -> Option<Place> {
        let TypeAt { file, path, .. } = self.message_at(message)?;
        Some(self.places(file)?.at(&below(path, path::NAME, None)))
    }

    /// Returns the index, in [`Self::compiled_files`], of the file that defines a message or an
    /// enum.
    pub fn index_of_type(&self, full_name: &str) -> Option<usize> {
        Some(self.type_at(full_name)?.0)
    }

    pub(super) fn message_at(&self, full_name: &str) -> Option<TypeAt<'_, DescriptorProto>> {
        let (file, TypePath::Message(path)) = self.type_at(full_name)? else {
            return None;
        };
        let descriptor = message_at(&self.files[file].descriptor, path)?;
        Some(TypeAt {
            file,
            path,
            descriptor,
        })
    }

    pub(super) fn enum_at(&self, full_name: &str) -> Option<TypeAt<'_, EnumDescriptorProto>> {
        let (file, TypePath::Enum(path)) = self.type_at(full_name)? else {
            return None;
        };
        let descriptor = enum_at(&self.files[file].descriptor, path)?;
        Some(TypeAt {
            file,
            path,
            descriptor,
        })
    }

    /// Returns the index of the file that defines a message or an enum, and the path of the
    /// definition in this file. Decodes only files in which the hash of a top-level name equals the
    /// hash of `full_name` or of one of its scopes. The hashes of different names are rarely equal.
    fn type_at(&self, full_name: &str) -> Option<(usize, &TypePath)> {
        prefix_hashes(full_name).find_map(|hash| {
            let start = self.tops.partition_point(|(top, _)| *top < hash);
            let alike = self.tops[start..].iter();
            let mut alike = alike.take_while(|(top, _)| *top == hash);
            alike.find_map(|&(_, file)| Some((file, self.files[file].types().get(full_name)?)))
        })
    }

    /// Returns the places in the file at an index, or `None` if the file is not the user's.
    pub(super) fn places(&self, file: usize) -> Option<Places<'_>> {
        let file = &self.files[file];
        let source = self.source(file.name())?;
        Some(Places::of(
            &file.locations,
            source,
            self.compiler,
            &Budget::unlimited(),
        ))
    }

    /// Returns whether a message carries rules of buf.validate. The messages that its fields hold,
    /// directly or indirectly, count too.
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

/// Adds a message, and the messages and enums nested in it. The compilers bound the nesting, and
/// thus the depth of this recursion.
fn add_types(
    message: &DescriptorProto,
    name: String,
    path: Vec<i32>,
    types: &mut HashMap<String, TypePath>,
) {
    for (at, nested) in message.nested_type.iter().enumerate() {
        let own = below(&path, path::MESSAGE_MESSAGE, at);
        add_types(nested, full_name(&name, nested.name()), own, types);
    }
    for (at, one) in message.enum_type.iter().enumerate() {
        let own = below(&path, path::MESSAGE_ENUM, at);
        types.insert(full_name(&name, one.name()), TypePath::Enum(own));
    }
    types.insert(name, TypePath::Message(path));
}
