//! Where a configuration comes from: a file, or a text that a program holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_diagnostic::{Diagnostic, SourceFile, shown};

use super::file::{read_text, source_file, too_large};
use super::inputs::Inputs;
use super::yaml::FILE_MAX;

/// The name that diagnostics show for a configuration without a file.
const TEXT_NAME: &str = "<text>";

/// Where a configuration comes from, for a follower to read it again.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The file; of a text, a path in the directory that its import paths are relative to.
    path: PathBuf,
    text: Option<Arc<str>>,
    /// Overrides `reload.watch`.
    watch: Option<bool>,
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Origin {
    fn from(path: &P) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            text: None,
            watch: None,
        }
    }
}

impl Origin {
    /// Returns the origin of `text`, a routes.yaml whose import paths are relative to `directory`.
    pub fn of_text(text: impl Into<Arc<str>>, directory: &Path) -> Self {
        Self {
            path: directory.join(TEXT_NAME),
            text: Some(text.into()),
            watch: None,
        }
    }

    /// Names the text in diagnostics; no effect on a file.
    pub fn set_name(&mut self, name: &str) {
        if self.text.is_some() {
            self.path.set_file_name(name);
        }
    }

    /// Overrides the key `reload.watch`, whatever it says in this and later generations.
    pub fn set_watch(&mut self, watch: bool) {
        self.watch = Some(watch);
    }

    /// Returns the file; of a text, a path in its directory at which there is no file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads every file of the configuration. `roots` are the directories of .proto files that it
    /// had last.
    pub fn read(&self, roots: &[PathBuf]) -> Inputs {
        Inputs::read_main(self.main(), &self.path, roots).with_watch(self.watch)
    }

    fn main(&self) -> Result<Arc<SourceFile>, Box<Diagnostic>> {
        match &self.text {
            None => read_text(&self.path),
            Some(text) if text.len() > FILE_MAX => Err(too_large(&shown(&self.path))),
            Some(text) => Ok(source_file(shown(&self.path), text)),
        }
    }
}
