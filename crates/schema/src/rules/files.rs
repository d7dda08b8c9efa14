//! The files that define messages, and the files that they import.

use std::collections::{HashMap, HashSet};

use ::protobuf::UnknownValueRef;
use ::protobuf::descriptor::FileDescriptorProto;
use gateway_proto::Descriptors;

/// The field number, in FileDescriptorProto, of the imports that are only for options.
const OPTION_DEPENDENCY: u32 = 15;

/// Returns the files that these messages need, imports before importers.
pub(super) fn needed<'a>(
    descriptors: &'a Descriptors,
    messages: &[&str],
) -> impl Iterator<Item = &'a FileDescriptorProto> {
    let files = descriptors.files();
    let by_name: HashMap<&str, usize> = (files.iter().enumerate())
        .map(|(index, file)| (file.name(), index))
        .collect();
    let start = messages.iter().filter_map(|name| descriptors.file_of(name));
    let mut open: Vec<&str> = start.map(FileDescriptorProto::name).collect();
    let mut needed = HashSet::new();
    while let Some(index) = open.pop().and_then(|name| by_name.get(name)) {
        if needed.insert(*index) {
            open.extend(imports(&files[*index]));
        }
    }
    let files = files.iter().enumerate();
    files
        .filter(move |(index, _)| needed.contains(index))
        .map(|(_, file)| file)
}

/// Returns the imports of a file, including the imports that are only for options, for which the
/// descriptor model has no field.
fn imports(file: &FileDescriptorProto) -> impl Iterator<Item = &str> {
    let unknown = file.special_fields.unknown_fields().into_iter();
    let options = unknown.filter_map(|field| match field {
        (OPTION_DEPENDENCY, UnknownValueRef::LengthDelimited(name)) => {
            std::str::from_utf8(name).ok()
        }
        _ => None,
    });
    file.dependency.iter().map(String::as_str).chain(options)
}
