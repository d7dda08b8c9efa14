//! What the last compile made, for the next one in this process: of a thousand files, a reload that
//! changes one links that one and what imports it.
//!
//! A file is taken over if its text and path are the same, and all that it imports is taken over, too:
//! then its descriptor can't be another ([`super::linker`]). Nothing here compiles; two compiles
//! at a time don't wait for each other, the second finds nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::linker::Linked;
use super::sources::Sources;
use super::well_known;

static LAST: Mutex<Option<Cache>> = Mutex::new(None);

/// Texts of more bytes than this aren't kept: their descriptors need some twenty times as much memory.
const MAX_BYTES: usize = 32 << 20;

/// Files that compiled, by name.
#[derive(Default)]
pub(super) struct Cache {
    files: HashMap<String, Arc<Linked>>,
}

impl Cache {
    /// What the last compile made, if no other has taken it.
    pub fn take() -> Self {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        last.take().unwrap_or_default()
    }

    /// These files, unless they are too large together.
    pub fn of<'a>(files: impl Iterator<Item = &'a Arc<Linked>>) -> Self {
        let files: HashMap<_, _> = files
            .map(|linked| (linked.file.name().to_owned(), Arc::clone(linked)))
            .collect();
        let bytes: usize = files.values().map(|linked| linked.source.text.len()).sum();
        match bytes <= MAX_BYTES {
            true => Cache { files },
            false => Cache::default(),
        }
    }

    /// For the next compile.
    pub fn keep(self) {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(self);
    }

    /// Leaves the files that are as they were, with all that they import.
    pub fn unchanged(mut self, sources: &Sources) -> HashMap<String, Arc<Linked>> {
        let same = |name: &str, linked: &Linked| match sources.get(name) {
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
