//! The inputs of a configuration. Each file is read only once: the bytes that are compared with the
//! previous read are the bytes that are loaded. The next read finds any later change.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::breaking::gate;
use super::environment::Environment;
use super::explain::Explanation;
use super::file::{NOT_FOUND_HELP, REMOVED_HELP, read_text};
use super::keys::{KeyFiles, masked_at};
use super::loaded::Loaded;
use super::protos::{ProtoTexts, Protos, import_paths, named_roots};
use super::resolve::{Succession, resolve};
use super::security::{secure, secure_again};
use super::source::{self, Source};
use super::yaml;
use crate::snapshot::{Names, Snapshot};
use gateway_diagnostic::{Diagnostic, Diagnostics, SourceFile};
use gateway_proto::{Cache, Texts};
use gateway_schema::breaking::BreakingPolicy;

/// The files of a configuration, valid or not, as they were when they were read.
#[derive(Debug)]
pub struct Inputs {
    seen: FilesIdentity,
    /// The text of routes.yaml and its parsed sections, or `None` after an error, which is in
    /// `found`.
    main: Option<(Arc<SourceFile>, Source)>,
    /// The .proto files, or `None` after an error, which is in `found`.
    protos: Option<ProtoTexts>,
    keys: KeyFiles,
    /// The mask of a routes.yaml that contains secret keys.
    mask: Option<Mask>,
    /// The value that overrides the key `reload.watch`, if any.
    watch: Option<bool>,
    /// The diagnostics so far.
    found: Diagnostics,
}

/// The text that diagnostics show in place of a routes.yaml that contains secret keys.
#[derive(Debug)]
struct Mask {
    file: Arc<SourceFile>,
    shown: Arc<SourceFile>,
}

impl Mask {
    fn of(file: &Arc<SourceFile>, source: &Source) -> Option<Self> {
        let exposed: Vec<_> = source.exposed().collect();
        (!exposed.is_empty()).then(|| Self {
            file: Arc::clone(file),
            shown: masked_at(file, &exposed),
        })
    }

    fn apply(&self, found: &mut Diagnostics) {
        for fault in found.iter_mut() {
            let notes = fault.notes.iter_mut().map(|note| &mut note.place);
            for place in [&mut fault.place].into_iter().chain(notes).flatten() {
                if Arc::ptr_eq(&place.file, &self.file) {
                    place.file = Arc::clone(&self.shown);
                }
            }
        }
    }
}

/// The identity of the content of a configuration's files.
#[derive(Clone, Debug)]
pub struct FilesIdentity {
    /// The paths to watch in addition to routes.yaml, whether they exist or not: the directories of
    /// .proto files, and the files and directories that contain keys or users. If routes.yaml
    /// cannot be read or parsed, these are the paths of the previous read.
    pub roots: Vec<PathBuf>,
    /// The fingerprint of the content of every file. Equal content has equal fingerprints.
    pub fingerprint: u64,
    /// The text of routes.yaml, or `None` after an error. The text names the key files to read
    /// again.
    pub(super) main: Option<Arc<SourceFile>>,
    /// The .proto files. The next read shares the texts that are unchanged. If routes.yaml cannot
    /// be read or parsed, these are the files of the previous read.
    texts: Option<Arc<Texts>>,
}

/// Comparisons ignore the texts of files, which the fingerprint covers.
impl PartialEq for FilesIdentity {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            roots,
            fingerprint,
            main: _,
            texts: _,
        } = self;
        *roots == other.roots && *fingerprint == other.fingerprint
    }
}

impl Eq for FilesIdentity {}

/// The results of a read that the next read uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Earlier<'a> {
    pub(super) roots: &'a [PathBuf],
    pub(super) texts: Option<&'a Arc<Texts>>,
}

impl FilesIdentity {
    /// Returns the results of this read that the next read uses.
    pub(super) fn earlier(&self) -> Earlier<'_> {
        Earlier {
            roots: &self.roots,
            texts: self.texts.as_ref(),
        }
    }
}

/// The configuration with which a new configuration is compared.
#[derive(Clone, Copy, Debug)]
enum Predecessor<'a> {
    None,
    /// The running generation.
    Running(&'a Snapshot),
    /// Another configuration, named on the command line.
    Other(&'a Snapshot),
}

impl<'a> Predecessor<'a> {
    /// Returns the snapshot to compare with, and the default treatment of changes that break peers
    /// of this snapshot. A comparison from the command line rejects such changes. Returns `None` if
    /// there is no predecessor.
    fn compared(self) -> Option<(&'a Snapshot, BreakingPolicy)> {
        match self {
            Self::None => None,
            Self::Running(running) => Some((running, BreakingPolicy::default())),
            Self::Other(other) => Some((other, BreakingPolicy::Reject)),
        }
    }
}

impl Inputs {
    /// Reads the files of the configuration at `path`. `roots` are the [`FilesIdentity::roots`] of
    /// the previous read.
    pub fn read(path: &Path, roots: &[PathBuf]) -> Self {
        let earlier = Earlier { roots, texts: None };
        Self::read_main(read_text(path), path, &Environment::of_process(), earlier)
    }

    /// Reads the other files of a configuration. `main` is the text of its routes.yaml, or the
    /// error of reading it. Paths in the text are relative to the directory of `path`. The values
    /// of variables come from `environment`. `earlier` contains the results of the previous read.
    pub(super) fn read_main(
        main: Result<Arc<SourceFile>, Box<Diagnostic>>,
        path: &Path,
        environment: &Environment,
        earlier: Earlier<'_>,
    ) -> Self {
        let mut found = Diagnostics::new();
        // Each file is hashed when it is read, because a second read might return other content.
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
            let root = yaml::parse(&file, environment, &mut found)?;
            let source = source::read_file(&root, &mut found);
            Some((file, source))
        });
        let (mut protos, mut keys) = (None, KeyFiles::default());
        let mut roots = earlier.roots.to_vec();
        let mut texts = earlier.texts.cloned();
        if let Some((_, source)) = &main {
            let directory = path.parent().unwrap_or(Path::new(""));
            roots = named_roots(source, directory);
            let named = source.key_files().map(|(_, path)| path);
            let named = named.chain(source.users_files());
            roots.extend(named.map(|path| directory.join(path)));
            keys = KeyFiles::read(source.key_files(), source.users_files(), directory);
            keys.hash(&mut hasher);
            let import_paths = import_paths(source, directory, &mut found);
            import_paths.hash(&mut hasher);
            protos = import_paths.map(|paths| {
                let read = || Texts::read_after(texts.as_deref(), &paths, source.compiler);
                ProtoTexts((!paths.is_empty()).then(|| Arc::new(read())))
            });
        }
        if let Some(ProtoTexts(Some(read))) = &protos {
            read.hash(&mut hasher);
        }
        if let Some(ProtoTexts(read)) = &protos {
            texts.clone_from(read);
        }
        let fingerprint = hasher.finish();
        let mask = main
            .as_ref()
            .and_then(|(file, source)| Mask::of(file, source));
        Self {
            seen: FilesIdentity {
                roots,
                fingerprint,
                main: main.as_ref().map(|(file, _)| Arc::clone(file)),
                texts,
            },
            mask,
            main,
            protos,
            keys,
            watch: None,
            found,
        }
    }

    /// Overrides the key `reload.watch` if `watch` is set.
    pub(super) fn with_watch(self, watch: Option<bool>) -> Self {
        Self { watch, ..self }
    }

    /// Returns the identity of the content, to be kept after the inputs are used.
    pub fn seen(&self) -> &FilesIdentity {
        &self.seen
    }

    /// Resolves the inputs without reading any file again. On failure, returns all errors.
    pub fn load(self) -> Result<Loaded, Diagnostics> {
        self.load_with(&mut Cache::default())
    }

    /// Resolves the inputs like [`Self::load`]. `cache` receives the compiled .proto files, which
    /// later loads reuse.
    pub(crate) fn load_with(self, cache: &mut Cache) -> Result<Loaded, Diagnostics> {
        self.load_as(Names::default(), 1, Predecessor::None, cache)
    }

    /// Resolves the inputs like [`Self::load`]. Changes that would break peers of `other`, a
    /// configuration that is not running, are errors unless the key `breaking` says otherwise.
    pub(crate) fn load_against(self, other: &Snapshot) -> Result<Loaded, Diagnostics> {
        let predecessor = Predecessor::Other(other);
        self.load_as(Names::default(), 1, predecessor, &mut Cache::default())
    }

    /// Resolves the inputs for the generation that follows `running`. Changes that would break
    /// peers of `running` are warnings, or errors if the file says `breaking: reject`.
    pub fn load_after(self, running: &Snapshot) -> Result<Loaded, Diagnostics> {
        self.load_after_with(running, &mut Cache::default())
    }

    /// Resolves the inputs like [`Self::load_after`]. For unchanged .proto files, reuses the
    /// results of an earlier load, which are in `cache`.
    pub(crate) fn load_after_with(
        self,
        running: &Snapshot,
        cache: &mut Cache,
    ) -> Result<Loaded, Diagnostics> {
        let generation = running.generation + 1;
        let predecessor = Predecessor::Running(running);
        self.load_as(running.names.clone(), generation, predecessor, cache)
    }

    /// Returns the rules of a message of the .proto files, even if no route names the message. The
    /// error contains the errors in the files, or says that there is no such message.
    pub fn explain(self, message: &str) -> Result<Explanation, Diagnostics> {
        let Self {
            main,
            protos,
            mask,
            mut found,
            ..
        } = self;
        let rules = main.zip(protos).and_then(|((file, source), texts)| {
            let (ProtoTexts(texts), mut cache) = (texts, Cache::default());
            let protos = Protos::compile(&file, &source, texts.as_deref(), &mut cache, &mut found)?;
            let rules = protos.explain(message, &mut found)?;
            Some((rules, source.limits.rules_cost))
        });
        if let Some(mask) = mask {
            mask.apply(&mut found);
        }
        found.sort();
        match rules {
            Some((rules, rules_cost)) if !found.has_errors() => Ok(Explanation {
                rules,
                rules_cost,
                warnings: found,
            }),
            _ => Err(found),
        }
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
            keys,
            mask,
            watch,
            mut found,
        } = self;
        // Errors that exclude only single keys or single users. The rest of the configuration is
        // loaded.
        let mut left_out = Diagnostics::new();
        let succession = Succession { names, generation };
        let loaded = main.and_then(|(file, source)| {
            let has_variables = has_variables(&file.text);
            let breaking = source.breaking;
            let secured = secure(&source, &keys, &mut found, &mut left_out);
            let mut loaded = resolve(
                &file, source, protos, secured, succession, cache, &mut found,
            )?;
            loaded.has_variables = has_variables;
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
                .filter(|fault| fault.help.as_deref() == Some(NOT_FOUND_HELP));
            missing.for_each(|fault| fault.help = Some(REMOVED_HELP.to_owned()));
        }
        let is_sound = !found.has_errors();
        found.append(left_out);
        if let Some(mask) = mask {
            mask.apply(&mut found);
        }
        found.sort();
        match loaded {
            Some(loaded) if is_sound => Ok(Loaded {
                warnings: found,
                ..loaded
            }),
            _ => Err(found),
        }
    }
}

/// Reads the key files and the files of users of the running configuration again. `main` is the
/// text of its routes.yaml. Returns the next generation, which differs only in its keys and users,
/// or `None` if the keys and users are unchanged.
pub(super) fn with_present_keys(
    main: &Arc<SourceFile>,
    path: &Path,
    environment: &Environment,
    running: &Snapshot,
) -> Option<Snapshot> {
    let mut found = Diagnostics::new();
    let root = yaml::parse(main, environment, &mut found)?;
    let source = source::read_file(&root, &mut found);
    let directory = path.parent().unwrap_or(Path::new(""));
    let keys = KeyFiles::read(source.key_files(), source.users_files(), directory);
    secure_again(&source, &keys, running).apply(&source, running)
}

/// Returns whether a routes.yaml seems to refer to variables of the environment.
fn has_variables(text: &str) -> bool {
    text.lines()
        .any(|line| line.contains("${") && !line.trim_start().starts_with('#'))
}
