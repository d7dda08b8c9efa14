//! The files that define messages, and the files that these files import.

use std::collections::{HashMap, HashSet};

use gateway_proto::{CompiledFile, Descriptors};

/// Returns the files that define these messages, and all files that these files import, directly or
/// indirectly. Each file comes after the files that it imports.
pub(super) fn needed<'a>(
    descriptors: &'a Descriptors,
    messages: &[&str],
) -> impl Iterator<Item = &'a CompiledFile> {
    let files = descriptors.compiled_files();
    let by_name: HashMap<&str, usize> = (files.iter().enumerate())
        .map(|(index, file)| (file.name(), index))
        .collect();
    let start = messages.iter();
    let mut open: Vec<usize> = start
        .filter_map(|name| descriptors.index_of_type(name))
        .collect();
    let mut needed = HashSet::new();
    while let Some(index) = open.pop() {
        if needed.insert(index) {
            let imports = files[index].imports();
            open.extend(imports.filter_map(|name| by_name.get(name).copied()));
        }
    }
    let files = files.iter().enumerate();
    files
        .filter(move |(index, _)| needed.contains(index))
        .map(|(_, file)| file)
}
