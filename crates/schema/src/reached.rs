//! The files that a table is built from: the files that define the messages of schemas and the
//! types of their fields, and the files that extend these messages. No other file is decoded.

use std::collections::{BTreeSet, HashMap, HashSet};

use ::protobuf::descriptor::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};
use gateway_proto::{CompiledFile, Descriptors};

use crate::table::{ANY, Root};

/// The types that a table must hold although no field of a root has them.
pub(super) struct Wanted<P, N> {
    /// Returns whether a file of this package may define such types.
    pub(super) in_package: P,
    /// Returns whether the type of this full name is such a type.
    pub(super) named: N,
}

/// Returns the files that define the types `roots`, the `wanted` types, and the types of the fields
/// of these types, direct and indirect. Extensions count as fields. Also returns the files that
/// extend one of these types. The files keep their order.
///
/// Returns all files if a root with [`Root::opens_any`] has a field of type `Any`, direct or
/// indirect.
pub(super) fn files<'a>(
    descriptors: &'a Descriptors,
    roots: &[Root<'a>],
    wanted: Wanted<impl Fn(&str) -> bool, impl Fn(&str) -> bool>,
) -> Vec<&'a FileDescriptorProto> {
    let mut reach = FileReach::new(descriptors);
    let opening = roots.iter().filter(|root| root.opens_any);
    reach.add(opening.map(|root| root.name).collect());
    if reach.seen.contains(ANY) {
        return descriptors.files().collect();
    }
    reach.add(roots.iter().map(|root| root.name).collect());
    let files = descriptors.compiled_files().iter();
    let files = files.filter(|file| (wanted.in_package)(file.package()));
    let names = files.flat_map(CompiledFile::type_names);
    reach.add(names.filter(|name| (wanted.named)(name)).collect());
    let files = reach.files.into_iter();
    files
        .map(|index| descriptors.compiled_files()[index].descriptor())
        .collect()
}

/// The types that are reached so far, and the indices of the files that define or extend them.
struct FileReach<'a> {
    descriptors: &'a Descriptors,
    seen: HashSet<&'a str>,
    files: BTreeSet<usize>,
    /// The indices of the files that extend each message. The entry of a message is removed when
    /// the message is reached.
    extending: HashMap<&'a str, Vec<usize>>,
    /// The indices of the files whose extensions were read.
    extensions_read: HashSet<usize>,
}

impl<'a> FileReach<'a> {
    fn new(descriptors: &'a Descriptors) -> Self {
        let mut extending: HashMap<_, Vec<_>> = HashMap::new();
        for (index, file) in descriptors.compiled_files().iter().enumerate() {
            for extendee in file.extendees() {
                extending.entry(extendee).or_default().push(index);
            }
        }
        Self {
            descriptors,
            seen: HashSet::new(),
            files: BTreeSet::new(),
            extending,
            extensions_read: HashSet::new(),
        }
    }

    /// Adds the types in `pending`, the types of their fields, direct and indirect, and the files
    /// of all these types. Names that no file defines are ignored.
    fn add(&mut self, mut pending: Vec<&'a str>) {
        while let Some(name) = pending.pop() {
            if self.seen.contains(name) {
                continue;
            }
            let Some(index) = self.descriptors.index_of_type(name) else {
                continue;
            };
            self.seen.insert(name);
            self.files.insert(index);
            let Some(message) = self.descriptors.message(name) else {
                continue;
            };
            pending.extend(message.field.iter().map(type_of));
            for index in self.extending.remove(name).unwrap_or_default() {
                self.files.insert(index);
                // This adds the types of all extensions in the file, even of extensions of other
                // messages. The table is then built from more files than necessary, but lacks no
                // type.
                if !self.extensions_read.insert(index) {
                    continue;
                }
                let file = self.descriptors.compiled_files()[index].descriptor();
                pending.extend(file.extension.iter().map(type_of));
                for message in &file.message_type {
                    add_extensions(message, &mut pending);
                }
            }
        }
    }
}

/// Adds the types of the extensions that a message and the messages nested in it define. The
/// compilers bound the nesting, and thus the recursion.
fn add_extensions<'a>(message: &'a DescriptorProto, types: &mut Vec<&'a str>) {
    types.extend(message.extension.iter().map(type_of));
    for nested in &message.nested_type {
        add_extensions(nested, types);
    }
}

/// Returns the full name of a field's type, without its leading dot, or an empty text if the type
/// is a scalar.
fn type_of(field: &FieldDescriptorProto) -> &str {
    field.type_name().trim_start_matches('.')
}
