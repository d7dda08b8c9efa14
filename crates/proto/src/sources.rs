//! The `.proto` files below the import paths: which there are, under which names, and their texts.
//!
//! Every file is read once, here; the compilers see these texts and no others, so that names,
//! bounds and places are the same for all of them. A file's *name* is what an `import` says: its
//! path below its root, with slashes. This module reads; it never looks into a text further than
//! its [`Outline`], and never writes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::lexer::LooseTokens;
use crate::open::open_file;
use crate::outline::Outline;
use crate::well_known;
use gateway_diagnostic::{Diagnostic, Diagnostics, SourceFile, escaped, shown};

/// Largest file: of googleapis, the largest has 4.2 MiB, the next 1.5 MiB;
/// a compiler needs about a hundred times a file's size in memory.
const MAX_FILE_BYTES: u64 = 8 << 20;

/// All files together; googleapis, the largest public collection, has 30 MiB.
const MAX_TOTAL_BYTES: u64 = 128 << 20;

/// Files; googleapis has 9,000.
const MAX_FILES: usize = 20_000;

/// Directories below each other: beyond what people nest, well below what the walk's stack takes.
const MAX_DIRECTORIES_DEEP: usize = 64;

/// Entries that a walk looks at, `.proto` or not: a root set to `/` by mistake ends soon.
const MAX_ENTRIES: usize = 500_000;

/// One file.
#[derive(Debug)]
pub(super) struct ProtoSource {
    /// The text, and the path as people know it.
    pub file: Arc<SourceFile>,
    /// Of the text.
    pub outline: Outline,
    /// What the path comes to on disk: two names of one file have it in common.
    identity: PathBuf,
}

/// All files, by name.
#[derive(Debug, Default)]
pub(super) struct ProtoSources {
    files: BTreeMap<String, ProtoSource>,
    roots: Vec<PathBuf>,
}

impl ProtoSources {
    /// Every file below `roots`, and what they import from there.
    pub(super) fn read(roots: &[PathBuf], found: &mut Diagnostics) -> Self {
        let mut reader = SourceReader::new(roots, found);
        reader.walk_roots();
        reader.follow_imports();
        let mut sources = reader.sources;
        sources.drop_second_names();
        sources.drop_copies_of_well_known();
        sources
    }

    /// Each file with its name, sorted by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &ProtoSource)> {
        self.files
            .iter()
            .map(|(name, source)| (name.as_str(), source))
    }

    /// The file of this name.
    pub(super) fn get(&self, name: &str) -> Option<&ProtoSource> {
        self.files.get(name)
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// The roots, as people know them.
    pub(super) fn roots(&self) -> impl Iterator<Item = PathBuf> {
        self.roots.iter().map(|root| shown(root))
    }

    /// The files, without what only a compiler needs.
    pub(super) fn texts(&self) -> BTreeMap<String, Arc<SourceFile>> {
        let files = self.files.iter();
        files
            .map(|(name, source)| (name.clone(), Arc::clone(&source.file)))
            .collect()
    }

    /// Drops the copies of the files that the built-in compiler brings along, under whose names
    /// it would never look at them: it knows these types by heart, and can't read every release's
    /// descriptor.proto.
    pub(super) fn drop_well_known(&mut self) {
        self.files.retain(|name, _| !well_known::has(name));
    }

    fn imported(&self) -> HashSet<&str> {
        let imports = self.files.values().flat_map(|s| &s.outline.imports);
        imports.map(|import| import.name.as_str()).collect()
    }

    /// A file that can be reached by several names (roots nested in one another, symlinks) is
    /// compiled under the names by which it is imported, or else under one of them: compiled under
    /// each it would define everything twice.
    fn drop_second_names(&mut self) {
        let imported = self.imported();
        let mut names: HashMap<&Path, Vec<&str>> = HashMap::new();
        for (name, source) in &self.files {
            names.entry(&source.identity).or_default().push(name);
        }
        let mut superfluous = BTreeSet::new();
        for names in names.values().filter(|names| names.len() > 1) {
            let any = names.iter().any(|name| imported.contains(name));
            let kept = |at: usize, name: &str| {
                if any {
                    imported.contains(name)
                } else {
                    at == 0
                }
            };
            let dropped = names
                .iter()
                .enumerate()
                .filter(|(at, name)| !kept(*at, name));
            superfluous.extend(dropped.map(|(_, name)| (*name).to_owned()));
        }
        self.files.retain(|name, _| !superfluous.contains(name));
    }

    /// A copy of a well-known file under another name (`third_party/google/protobuf/any.proto`)
    /// that nobody imports by that name would only define the same types again.
    fn drop_copies_of_well_known(&mut self) {
        let imported: HashSet<String> = self.imported().into_iter().map(str::to_owned).collect();
        self.files.retain(|name, _| {
            let copy_of = name.find("/google/protobuf/").map(|at| &name[at + 1..]);
            imported.contains(name) || !copy_of.is_some_and(well_known::has)
        });
    }
}

/// Whether an import may say this: a relative path without detours.
fn is_plain(name: &str) -> bool {
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    !name.contains(['\\', '\0']) && name.split('/').all(plain)
}

struct SourceReader<'a> {
    sources: ProtoSources,
    /// What each root comes to on disk; none for one that can't be resolved.
    identities: Vec<Option<PathBuf>>,
    entries: usize,
    bytes: u64,
    /// A bound was passed and said; nothing more is read.
    full: bool,
    found: &'a mut Diagnostics,
}

impl<'a> SourceReader<'a> {
    fn new(roots: &[PathBuf], found: &'a mut Diagnostics) -> Self {
        Self {
            identities: roots
                .iter()
                .map(|root| fs::canonicalize(root).ok())
                .collect(),
            sources: ProtoSources {
                files: BTreeMap::new(),
                roots: roots.to_vec(),
            },
            entries: 0,
            bytes: 0,
            full: false,
            found,
        }
    }

    fn walk_roots(&mut self) {
        for root in self.sources.roots.clone() {
            self.walk(&root, "", &mut HashSet::new(), 0);
        }
    }

    /// `seen`: the directories of this root that were walked, by what they come to on disk. Each
    /// is walked once, so that a symlink to a directory above it, or to many beside it, ends; an
    /// import by its other name still finds a file ([`Self::follow_imports`]).
    fn walk(&mut self, directory: &Path, prefix: &str, seen: &mut HashSet<PathBuf>, depth: usize) {
        let entries = match fs::canonicalize(directory).and_then(|identity| {
            let of_other_root = depth > 0 && self.identities.contains(&Some(identity.clone()));
            // A root inside this root gives its files their names.
            if of_other_root || !seen.insert(identity) {
                return Ok(Vec::new());
            }
            let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
            entries.sort_by_key(fs::DirEntry::file_name);
            Ok(entries)
        }) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(directory, &error),
        };
        for entry in entries {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                self.stop(format!(
                    "more than {MAX_ENTRIES} files and directories below the import paths"
                ));
            }
            if self.full {
                return;
            }
            let path = entry.path();
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                self.bad_name(&path, depth);
                continue;
            };
            // Hidden entries are editors' and version control's, and the `..data` of a ConfigMap.
            if name.starts_with('.') {
                continue;
            }
            let is_proto = name.ends_with(".proto");
            let below = format!("{prefix}{name}");
            match fs::metadata(&path) {
                Ok(meta) if meta.is_dir() && depth >= MAX_DIRECTORIES_DEEP => {
                    self.stop(format!(
                        "directories nest more than {MAX_DIRECTORIES_DEEP} deep at {}",
                        escaped(&shown(&path))
                    ));
                }
                Ok(meta) if meta.is_dir() => {
                    self.walk(&path, &format!("{below}/"), seen, depth + 1)
                }
                Ok(_) if is_proto => self.read(below, &path),
                Err(error) if is_proto => self.unreadable(&path, &error),
                // What isn't a .proto file may be anything, broken links included.
                _ => {}
            }
        }
    }

    /// Reads what is imported and wasn't met on the walk: by its name in an outer root, through a
    /// second symlink, or without `.proto` at its end.
    fn follow_imports(&mut self) {
        let names = self.sources.imported().into_iter();
        let mut open: BTreeSet<String> = names.map(str::to_owned).collect();
        let mut seen = HashSet::new();
        while let Some(name) = open.pop_first() {
            let known = self.sources.files.contains_key(&name) || !seen.insert(name.clone());
            if known || !is_plain(&name) || self.full {
                continue;
            }
            let roots = self.sources.roots.iter();
            let path = roots
                .map(|root| root.join(&name))
                .find(|path| path.is_file());
            let Some(path) = path else { continue };
            self.read(name.clone(), &path);
            let source = self.sources.files.get(&name);
            let imports = source.into_iter().flat_map(|s| &s.outline.imports);
            open.extend(imports.map(|import| import.name.clone()));
        }
    }

    fn read(&mut self, name: String, path: &Path) {
        let identity = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if let Some(first) = self.sources.files.get(&name) {
            if first.identity != identity {
                let path = escaped(&shown(path));
                let first = escaped(&first.file.path);
                self.found.push(
                    Diagnostic::warning(format!("{path} is hidden by {first}"))
                        .note(format!(
                            "both are imported as {name:?}; the import path that comes first wins"
                        ))
                        .help("rename or remove one of them"),
                );
            }
            return;
        }
        if self.sources.len() >= MAX_FILES {
            return self.stop(format!(
                "more than {MAX_FILES} .proto files below the import paths"
            ));
        }
        let bytes = match read_bounded(path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                let mib = MAX_FILE_BYTES >> 20;
                let message = format!("{} is larger than {mib} MiB", escaped(&shown(path)));
                return self.found.push(
                    Diagnostic::error(message)
                        .help("split it into several files, or move it out of the import paths"),
                );
            }
            Err(error) => return self.unreadable(path, &error),
        };
        self.bytes += bytes.len() as u64;
        if self.bytes > MAX_TOTAL_BYTES {
            let mib = MAX_TOTAL_BYTES >> 20;
            return self.stop(format!(
                "the .proto files below the import paths are larger than {mib} MiB together"
            ));
        }
        let file = match decode(path, bytes) {
            Ok(file) => file,
            Err(diagnostic) => return self.found.push(*diagnostic),
        };
        let outline = Outline::of(&file.text);
        self.sources.files.insert(
            name,
            ProtoSource {
                file,
                outline,
                identity,
            },
        );
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        let path = escaped(&shown(path));
        self.found.push(
            Diagnostic::error(format!("can't read {path}: {error}"))
                .help("every .proto file below the import paths must be readable"),
        );
    }

    /// Reports a name that is not UTF-8, if it is that of a `.proto` file or of a directory that holds some.
    fn bad_name(&mut self, path: &Path, depth: usize) {
        let is_proto = path.extension().is_some_and(|e| e == "proto");
        if is_proto || self.holds_protos(path, depth) {
            let path = escaped(&shown(path));
            self.found.push(
                Diagnostic::error(format!("the name of {path} is not UTF-8"))
                    .help("rename it: no import could name it"),
            );
        }
    }

    /// Returns whether a directory holds a `.proto` file, at any depth that is looked at. What can't be read holds
    /// none, and links are not followed.
    fn holds_protos(&mut self, directory: &Path, depth: usize) -> bool {
        let is_directory = fs::symlink_metadata(directory).is_ok_and(|meta| meta.is_dir());
        if !is_directory || depth >= MAX_DIRECTORIES_DEEP {
            return false;
        }
        let Ok(entries) = fs::read_dir(directory) else {
            return false;
        };
        for entry in entries.flatten() {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return false;
            }
            let path = entry.path();
            let is_proto = path.extension().is_some_and(|e| e == "proto");
            if is_proto || self.holds_protos(&path, depth + 1) {
                return true;
            }
        }
        false
    }

    fn stop(&mut self, message: String) {
        if !std::mem::replace(&mut self.full, true) {
            self.found.push(Diagnostic::error(message).help(
                "let proto.import_paths name the directories with this gateway's schemas only",
            ));
        }
    }
}

/// None: too large. Bounded by what is read, not by what the file's size claims.
fn read_bounded(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    open_file(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= MAX_FILE_BYTES).then_some(bytes))
}

/// The text of a file. Comments may be in any encoding: what is no UTF-8 in them is replaced.
fn decode(path: &Path, bytes: Vec<u8>) -> Result<Arc<SourceFile>, Box<Diagnostic>> {
    let without_mark = |text: &str| text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Ok(SourceFile::new(shown(path), without_mark(&text))),
        Err(error) => error.into_bytes(),
    };
    let mut text = String::with_capacity(bytes.len());
    // Where each replacement is, in the text, and what it stands for, in the bytes.
    let mut replaced: BTreeMap<usize, usize> = BTreeMap::new();
    let mut read = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        read += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            replaced.insert(text.len(), read);
            text.push('\u{fffd}');
            read += chunk.invalid().len();
        }
    }
    let mut tokens = LooseTokens::of(&text);
    let outside = tokens.find_map(|token| replaced.range(token.range()).next());
    let Some((&at, &byte)) = outside else {
        return Ok(SourceFile::new(shown(path), without_mark(&text)));
    };
    let file = SourceFile::new(shown(path), text);
    let place = file.place_of_bytes(at..at + '\u{fffd}'.len_utf8());
    Err(Box::new(
        Diagnostic::error("the file is not UTF-8")
            .at(place)
            .label(format!("byte {byte} is not part of a UTF-8 character"))
            .help("save it as UTF-8"),
    ))
}
