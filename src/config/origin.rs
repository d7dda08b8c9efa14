//! The origin of a configuration: a file, or a text that a program holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::environment::Environment;
use super::file::{read_text, source_file, too_large};
use super::inputs::{Earlier, FilesIdentity, Inputs, with_present_keys};
use super::yaml::FILE_MAX;
use crate::snapshot::Snapshot;
use gateway_diagnostic::{Diagnostic, SourceFile, shown};

/// The name that diagnostics show for a configuration without a file.
const TEXT_NAME: &str = "<text>";

/// The origin of a configuration, from which the gateway can read the configuration again.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The path of the file. For a text, the directory to which import paths are relative, joined
    /// with the name that diagnostics show.
    path: PathBuf,
    text: Option<Arc<str>>,
    /// The value that overrides the key `reload.watch`, if any.
    watch: Option<bool>,
    /// The environment when the origin was created. Every reload uses the same variables.
    environment: Environment,
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Origin {
    fn from(path: &P) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            text: None,
            watch: None,
            environment: Environment::of_process(),
        }
    }
}

impl Origin {
    /// Returns the origin of `text`, a routes.yaml whose import paths are relative to `directory`.
    pub(crate) fn of_text(text: impl Into<Arc<str>>, directory: &Path) -> Self {
        Self {
            path: directory.join(TEXT_NAME),
            text: Some(text.into()),
            watch: None,
            environment: Environment::of_process(),
        }
    }

    /// Sets the name of the text in diagnostics. This has no effect on a file.
    pub(crate) fn set_name(&mut self, name: &str) {
        if self.text.is_some() {
            self.path.set_file_name(name);
        }
    }

    /// Overrides the key `reload.watch` in this and later generations.
    pub(crate) fn set_watch(&mut self, watch: bool) {
        self.watch = Some(watch);
    }

    /// Returns the path of the file. For a text, returns the path that diagnostics show, which need
    /// not exist.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads every file of the configuration. `roots` are the [`FilesIdentity::roots`] of the
    /// previous read.
    pub fn read(&self, roots: &[PathBuf]) -> Inputs {
        self.read_earlier(Earlier { roots, texts: None })
    }

    /// Reads every file of the configuration. `seen` is the previous read: the result shares the
    /// texts of .proto files that are unchanged since then.
    pub(crate) fn read_after(&self, seen: &FilesIdentity) -> Inputs {
        self.read_earlier(seen.earlier())
    }

    fn read_earlier(&self, earlier: Earlier<'_>) -> Inputs {
        let inputs = Inputs::read_main(self.main(), &self.path, &self.environment, earlier);
        inputs.with_watch(self.watch)
    }

    /// Reads the key files and the files of users of the running configuration again. `in_force`
    /// identifies the files from which that configuration was loaded. Returns the next generation,
    /// which differs only in its keys and users, or `None` if the keys and users are unchanged. A
    /// file that cannot be read changes nothing.
    pub(crate) fn with_present_keys(
        &self,
        in_force: &FilesIdentity,
        running: &Snapshot,
    ) -> Option<Snapshot> {
        let main = in_force.main.as_ref()?;
        with_present_keys(main, &self.path, &self.environment, running)
    }

    fn main(&self) -> Result<Arc<SourceFile>, Box<Diagnostic>> {
        match &self.text {
            None => read_text(&self.path),
            Some(text) if text.len() > FILE_MAX => Err(too_large(&shown(&self.path))),
            Some(text) => Ok(source_file(shown(&self.path), text)),
        }
    }
}
