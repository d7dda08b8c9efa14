//! The results of one compile that the next compile reuses. A reload that changes one of a thousand
//! files thus links only that file and its importers.
//!
//! A file is reused if its text and path are unchanged and all of its imports are reused. If the
//! linker ([`super::linker`]) linked such a file again, the descriptor would be the same. The
//! descriptor stays encoded until a definition in it is used. This module compiles nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::facts::Facts;
use crate::features::Features;
use crate::lazy::LazyDescriptor;
use crate::linked::LinkedFile;
use crate::locations::Locations;
use crate::parsed::Edition;
use crate::sources::ProtoSources;
use crate::well_known;
use gateway_diagnostic::SourceFile;

/// The files of a compile. The next compile reuses the unchanged files.
///
/// The owner of a cache decides which compiles share it. Such compiles run one after the other.
/// Compiles with separate caches do not affect each other. A cache affects only the duration of a
/// compile, never its result. A cache takes less memory than the texts of the files.
#[derive(Debug, Default)]
pub struct Cache {
    /// The files by name.
    files: HashMap<String, CachedFile>,
}

/// A linked file in encoded form, which takes a fraction of the memory of the decoded form.
#[derive(Debug)]
struct CachedFile {
    /// The descriptor, encoded.
    file: Arc<[u8]>,
    facts: Arc<Facts>,
    names_bytes: usize,
    locations: Locations,
    edition: Edition,
    features: Features,
    source: Arc<SourceFile>,
}

impl CachedFile {
    /// Returns the encoded form of a file, or `None` if its descriptor exceeds the 2 GiB that can
    /// be encoded.
    fn of(linked: &LinkedFile) -> Option<Self> {
        Some(Self {
            file: linked.file.encode()?,
            // The facts and locations of a file that was linked in this run lie in memory between
            // parts of descriptors. When the descriptors are freed, the facts and locations would
            // keep the memory pages around them in use. The cache therefore keeps copies.
            facts: match linked.file.is_encoded() {
                true => Arc::clone(&linked.facts),
                false => Arc::new(Facts::of(&linked.file)),
            },
            names_bytes: linked.names_bytes,
            locations: match linked.file.is_encoded() {
                true => linked.locations.clone(),
                false => linked.locations.moved(),
            },
            edition: linked.edition,
            features: linked.features,
            source: Arc::clone(&linked.source),
        })
    }

    fn unpack(self) -> LinkedFile {
        LinkedFile {
            file: Arc::new(LazyDescriptor::of_encoded(self.file)),
            facts: self.facts,
            names_bytes: self.names_bytes,
            locations: self.locations,
            edition: self.edition,
            features: self.features,
            source: self.source,
        }
    }
}

impl Cache {
    /// Returns a cache of these files.
    pub(super) fn of<'a>(files: impl Iterator<Item = &'a Arc<LinkedFile>>) -> Self {
        let packed =
            files.filter_map(|linked| Some((linked.name().to_owned(), CachedFile::of(linked)?)));
        Cache {
            files: packed.collect(),
        }
    }

    /// Returns the unchanged files whose imports, direct and indirect, are all unchanged.
    pub(super) fn unchanged(mut self, sources: &ProtoSources) -> HashMap<String, Arc<LinkedFile>> {
        self.files.retain(|name, packed| match sources.get(name) {
            Some(source) if source.file == packed.source => {
                // The two source files are equal, and only the new one is kept.
                packed.source = Arc::clone(&source.file);
                true
            }
            Some(_) => false,
            None => well_known::text(name) == Some(&packed.source.text),
        });
        let mut importers: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut changed: Vec<&str> = Vec::new();
        for (name, packed) in &self.files {
            for import in packed.facts.all_imports() {
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
        let files = self.files.into_iter();
        files
            .map(|(name, packed)| (name, Arc::new(packed.unpack())))
            .collect()
    }
}
