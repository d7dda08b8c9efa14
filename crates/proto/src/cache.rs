//! What one compile leaves for the next: of a thousand files, a reload that changes one links that
//! one and what imports it.
//!
//! A file is taken over if its text and path are the same, and all that it imports is taken over, too:
//! then its descriptor can't be another ([`super::linker`]). Nothing here compiles.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::linked::LinkedFile;
use crate::sources::ProtoSources;
use crate::well_known;

/// Texts of more bytes than this aren't kept: their descriptors need some twenty times as much memory.
const TEXTS_MAX: usize = 32 << 20;

/// The files that a compile has made, which the next compile of the same files takes over where they
/// are unchanged.
///
/// Its owner decides what is compiled again and again: compiles that share a cache run one after the
/// other, those with caches of their own know nothing of each other. A cache never changes what a
/// compile says, only how long it takes. It holds descriptors of at most 32 MiB of text, and none of
/// larger sets of files.
#[derive(Debug, Default)]
pub struct Cache {
    /// By name.
    files: HashMap<String, Arc<LinkedFile>>,
}

impl Cache {
    /// Returns a cache of these files; an empty one if they are too large together.
    pub(super) fn of<'a>(files: impl Iterator<Item = &'a Arc<LinkedFile>>) -> Self {
        let files: HashMap<_, _> = files
            .map(|linked| (linked.file.name().to_owned(), Arc::clone(linked)))
            .collect();
        let bytes: usize = files.values().map(|linked| linked.source.text.len()).sum();
        if bytes > TEXTS_MAX {
            return Cache::default();
        }
        Cache { files }
    }

    /// Returns the files that are as they were, with all that they import.
    pub(super) fn unchanged(mut self, sources: &ProtoSources) -> HashMap<String, Arc<LinkedFile>> {
        let same = |name: &str, linked: &LinkedFile| match sources.get(name) {
            Some(source) => source.file == linked.source,
            None => well_known::has(name),
        };
        self.files.retain(|name, linked| same(name, linked));
        let mut importers: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut changed: Vec<&str> = Vec::new();
        for (name, linked) in &self.files {
            for import in linked.imports() {
                importers.entry(import).or_default().push(name);
                if !self.files.contains_key(import) {
                    changed.push(name);
                }
            }
        }
        let mut gone: HashSet<String> = HashSet::new();
        while let Some(name) = changed.pop() {
            if gone.insert(name.to_owned()) {
                changed.extend(importers.get(name).into_iter().flatten());
            }
        }
        self.files.retain(|name, _| !gone.contains(name));
        self.files
    }
}
