//! What a configuration is read from: every file once. What is loaded is therefore what was seen, and whatever
//! is written meanwhile is seen as another content by the next who reads.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::breaking::gate;
use super::file::{NOT_FOUND, REMOVED, read_text};
use super::loaded::Loaded;
use super::protos::{OfProtos, import_paths, named_roots};
use super::resolve::resolve;
use super::source::{self, Source};
use super::yaml;
use crate::snapshot::{Names, Snapshot};
use gateway_diagnostic::{Diagnostic, Diagnostics, SourceFile};
use gateway_proto::{Cache, Texts};
use gateway_schema::breaking::Breaking;

/// The files of a configuration, sound or not, as they were when they were read.
#[derive(Debug)]
pub struct Inputs {
    seen: Seen,
    /// routes.yaml; none where `found` says why.
    main: Option<(Arc<SourceFile>, Source)>,
    /// None where `found` says why.
    protos: Option<OfProtos>,
    /// Overrides `reload.watch`.
    watch: Option<bool>,
    /// What is wrong so far.
    found: Diagnostics,
}

/// What to know the content of a configuration's files by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The directories of .proto files, whether they are there or not; of a routes.yaml that can't be read,
    /// those that it had.
    pub roots: Vec<PathBuf>,
    /// Of the content of every file; equal content has an equal one.
    pub fingerprint: u64,
}

/// What a configuration is compared with.
#[derive(Clone, Copy, Debug)]
enum Predecessor<'a> {
    None,
    /// The generation that runs.
    Running(&'a Snapshot),
    /// A configuration that somebody names.
    Other(&'a Snapshot),
}

impl<'a> Predecessor<'a> {
    /// Returns the snapshot to compare with, and what comes of changes that break its peers unless the file says
    /// otherwise: who asks for a comparison wants to be stopped.
    fn compared(self) -> Option<(&'a Snapshot, Breaking)> {
        match self {
            Self::None => None,
            Self::Running(running) => Some((running, Breaking::default())),
            Self::Other(other) => Some((other, Breaking::Reject)),
        }
    }
}

impl Inputs {
    /// Reads the files of the configuration `path`; `roots` is what it had last.
    pub fn read(path: &Path, roots: &[PathBuf]) -> Self {
        Self::read_main(read_text(path), path, roots)
    }

    /// Reads the .proto files of a configuration whose routes.yaml has been read, and is at `path` or
    /// would be.
    pub(super) fn read_main(
        main: Result<Arc<SourceFile>, Box<Diagnostic>>,
        path: &Path,
        roots: &[PathBuf],
    ) -> Self {
        let mut found = Diagnostics::new();
        // Everything that is found on disk goes into it, where it is found: a second look might find another.
        let mut hasher = DefaultHasher::new();
        let file = match main {
            Ok(file) => {
                file.text.hash(&mut hasher);
                Some(file)
            }
            Err(fault) => {
                fault.render(false).hash(&mut hasher);
                found.push(*fault);
                None
            }
        };
        let main = file.and_then(|file| {
            let root = yaml::parse(&file, &mut found)?;
            let source = source::read_file(&root, &mut found);
            Some((file, source))
        });
        let (mut protos, mut roots) = (None, roots.to_vec());
        if let Some((_, source)) = &main {
            let directory = path.parent().unwrap_or(Path::new(""));
            roots = named_roots(source, directory);
            let there = import_paths(source, directory, &mut found);
            there.hash(&mut hasher);
            protos = there.map(|there| {
                let texts = (!there.is_empty()).then(|| Texts::read(&there, source.compiler));
                OfProtos(texts)
            });
        }
        if let Some(OfProtos(Some(texts))) = &protos {
            texts.hash(&mut hasher);
        }
        let fingerprint = hasher.finish();
        Self {
            seen: Seen { roots, fingerprint },
            main,
            protos,
            watch: None,
            found,
        }
    }

    /// Overrides the key `reload.watch`.
    pub(super) fn with_watch(self, watch: Option<bool>) -> Self {
        Self { watch, ..self }
    }

    /// What to know them by, when they are gone.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Resolves what was read; no file is looked at again. The error holds every fault found.
    pub fn load(self) -> Result<Loaded, Diagnostics> {
        self.load_with(&mut Cache::default())
    }

    /// Resolves what was read as [`Self::load`] does. `cache` is what later loads of the same files
    /// take over.
    pub fn load_with(self, cache: &mut Cache) -> Result<Loaded, Diagnostics> {
        self.load_as(Names::default(), 1, Predecessor::None, cache)
    }

    /// Resolves what was read as [`Self::load`] does. The error also holds what would break for the peers of `other`, a
    /// configuration that does not run here; what breaks is a warning if the file says `breaking: warn`.
    pub fn load_against(self, other: &Snapshot) -> Result<Loaded, Diagnostics> {
        let predecessor = Predecessor::Other(other);
        self.load_as(Names::default(), 1, predecessor, &mut Cache::default())
    }

    /// The same for the generation that is to follow `running`; beyond what is wrong with the files, what
    /// they break for its peers.
    pub fn load_after(self, running: &Snapshot) -> Result<Loaded, Diagnostics> {
        self.load_after_with(running, &mut Cache::default())
    }

    /// Resolves what was read as [`Self::load_after`] does. What `cache` has of an earlier load is taken
    /// over where the .proto files are unchanged.
    pub fn load_after_with(
        self,
        running: &Snapshot,
        cache: &mut Cache,
    ) -> Result<Loaded, Diagnostics> {
        let generation = running.generation + 1;
        let predecessor = Predecessor::Running(running);
        self.load_as(running.names.clone(), generation, predecessor, cache)
    }

    fn load_as(
        self,
        names: Names,
        generation: u64,
        predecessor: Predecessor<'_>,
        cache: &mut Cache,
    ) -> Result<Loaded, Diagnostics> {
        let Self {
            seen: _,
            main,
            protos,
            watch,
            mut found,
        } = self;
        let loaded = main.and_then(|(file, source)| {
            let breaking = source.breaking;
            let mut loaded = resolve(&file, source, protos, names, generation, cache, &mut found)?;
            if let Some(watch) = watch {
                loaded.snapshot.reload.watch = watch;
            }
            if let Some((before, default)) = predecessor.compared() {
                let breaking = breaking.unwrap_or(default);
                gate(before, &loaded.snapshot, breaking, &mut found);
            }
            Some(loaded)
        });
        if let Predecessor::Running(_) = predecessor {
            let missing = found
                .iter_mut()
                .filter(|it| it.help.as_deref() == Some(NOT_FOUND));
            missing.for_each(|fault| fault.help = Some(REMOVED.to_owned()));
        }
        found.sort();
        match loaded {
            Some(loaded) if !found.has_errors() => Ok(Loaded {
                warnings: found,
                ..loaded
            }),
            _ => Err(found),
        }
    }
}
