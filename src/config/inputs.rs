//! What a configuration is read from, as it stands now: for whoever follows changes.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use super::protos::import_paths;
use super::{read, text};
use crate::diagnostic::Diagnostics;
use crate::schema::compile::outlines;

/// The files of a configuration, sound or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// The directories of .proto files; of a routes.yaml that can't be read, those that it had.
    pub roots: Vec<PathBuf>,
    /// Of the content of every file; equal content has an equal one.
    pub fingerprint: u64,
}

impl Inputs {
    /// Reads the files of the configuration `path`; `roots` is what it had last.
    pub fn of(path: &Path, roots: &[PathBuf]) -> Self {
        let mut ignored = Diagnostics::new();
        let directory = path.parent().unwrap_or(Path::new(""));
        let named = read(path, &mut ignored)
            .and_then(|(_, source)| import_paths(&source, directory, &mut ignored));
        let roots = named.unwrap_or_else(|| roots.to_vec());
        let mut hasher = DefaultHasher::new();
        match text(path) {
            Ok(file) => file.text.hash(&mut hasher),
            Err(fault) => fault.message.hash(&mut hasher),
        }
        for file in outlines(&roots) {
            file.name.hash(&mut hasher);
            file.source.text.hash(&mut hasher);
        }
        Self {
            roots,
            fingerprint: hasher.finish(),
        }
    }
}
