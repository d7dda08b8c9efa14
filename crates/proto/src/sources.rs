//! The `.proto` files below the import paths, with their names and texts.
//!
//! Every file is read once, here. Both compilers see only these texts, so names, bounds and places
//! are the same for both. A file's *name* is the text that an `import` uses: the path below the
//! root, with slashes. This module checks the encoding of each text and computes its [`Outline`],
//! but does not parse it. It writes no files.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::lexer::LooseTokens;
use crate::open::open_file;
use crate::outline::Outline;
use crate::well_known;
use gateway_diagnostic::{Diagnostic, Diagnostics, SourceFile, escaped, shown};

/// The maximum size of a file. The largest file of googleapis has 4.2 MiB. A compiler needs about a
/// hundred times a file's size in memory.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// The maximum size of all files together. googleapis, the largest public collection, has 30 MiB.
const TOTAL_BYTES_MAX: u64 = 128 << 20;

/// The maximum sum of [`Outline::definitions`] over all files. googleapis has 610,000. A definition
/// may have as few as two bytes of text, but takes a few hundred bytes of memory while it is
/// compiled. With this bound, a compile takes about a gigabyte at most.
const DEFINITIONS_MAX: usize = 1_000_000;

/// The maximum number of files. googleapis has 9,000.
const FILES_MAX: usize = 20_000;

/// The maximum depth of directories. Directories in practice nest less deeply. The stack of the
/// thread that walks the directories allows a far greater depth.
const DIRECTORY_DEPTH_MAX: usize = 64;

/// The maximum number of directory entries that the walks examine, including entries that are not
/// `.proto` files. If `/` is configured by mistake, this bound ends the walk soon.
const ENTRIES_MAX: usize = 500_000;

/// One file.
#[derive(Debug)]
pub(super) struct ProtoSource {
    /// The text, under the path that diagnostics show.
    pub file: Arc<SourceFile>,
    /// The outline of the text.
    pub outline: Arc<Outline>,
    /// A hash of the text.
    pub hash: u64,
    /// The canonical path on disk. It is the same for all names of one file.
    identity: PathBuf,
}

/// A text with its hash.
#[derive(Debug)]
pub(super) struct HashedText {
    pub file: Arc<SourceFile>,
    pub hash: u64,
}

/// All files, by name.
#[derive(Debug, Default)]
pub(super) struct ProtoSources {
    files: BTreeMap<String, ProtoSource>,
    roots: Vec<PathBuf>,
}

impl ProtoSources {
    /// Reads every `.proto` file below `roots`, and the other files below `roots` that they import.
    /// Files that have the same bytes as in `earlier` share the texts and outlines of `earlier`.
    pub(super) fn read(
        roots: &[PathBuf],
        earlier: Option<&ProtoSources>,
        found: &mut Diagnostics,
    ) -> Self {
        let mut reader = SourceReader::new(roots, earlier, found);
        reader.walk_roots();
        reader.follow_imports();
        let mut sources = reader.sources;
        sources.drop_second_names();
        sources.drop_copies_of_well_known();
        sources
    }

    /// Returns each file with its name, sorted by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &ProtoSource)> {
        self.files
            .iter()
            .map(|(name, source)| (name.as_str(), source))
    }

    /// Returns the file of this name.
    pub(super) fn get(&self, name: &str) -> Option<&ProtoSource> {
        self.files.get(name)
    }

    /// Returns the number of files.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Returns the roots, as diagnostics show them.
    pub(super) fn roots(&self) -> impl Iterator<Item = PathBuf> {
        self.roots.iter().map(|root| shown(root))
    }

    /// Returns the texts of the files, by name.
    pub(super) fn texts(&self) -> BTreeMap<String, HashedText> {
        let files = self.files.iter();
        let hashed = |source: &ProtoSource| HashedText {
            file: Arc::clone(&source.file),
            hash: source.hash,
        };
        files
            .map(|(name, source)| (name.clone(), hashed(source)))
            .collect()
    }

    /// Drops the user's copies of files that come with the built-in compiler. The compiler defines
    /// the types of these files itself, and cannot read the descriptor.proto of every release. A
    /// copy of validate.proto is kept, since it may be of another release.
    pub(super) fn drop_well_known(&mut self) {
        self.files
            .retain(|name, _| !well_known::has(name) || name == well_known::VALIDATE);
    }

    fn imported(&self) -> HashSet<&str> {
        let imports = self.files.values().flat_map(|s| &s.outline.imports);
        imports.map(|import| import.name.as_str()).collect()
    }

    /// Drops superfluous names of files. A file has several names if roots are nested or if
    /// symbolic links lead to it. It keeps the names by which other files import it, or its first
    /// name if no file imports it. If the file were compiled under each name, it would define
    /// everything twice.
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

    /// Drops copies of well-known files under other names (`third_party/google/protobuf/any.proto`)
    /// that no file imports, because they would only define the same types again.
    fn drop_copies_of_well_known(&mut self) {
        let imported: HashSet<String> = self.imported().into_iter().map(str::to_owned).collect();
        self.files.retain(|name, _| {
            let mut directories = ["/google/protobuf/", "/buf/validate/"].into_iter();
            let copy_of = directories.find_map(|of| Some(&name[name.find(of)? + 1..]));
            imported.contains(name) || !copy_of.is_some_and(well_known::has)
        });
    }
}

/// Returns whether a name may be imported: a relative path without backslashes, NULs, empty parts,
/// `.` and `..`.
fn is_plain(name: &str) -> bool {
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    !name.contains(['\\', '\0']) && name.split('/').all(plain)
}

struct SourceReader<'a> {
    sources: ProtoSources,
    /// The files of an earlier read.
    earlier: Option<&'a ProtoSources>,
    /// The canonical path of each root, or `None` if it cannot be resolved.
    identities: Vec<Option<PathBuf>>,
    entries: usize,
    bytes: u64,
    definitions: usize,
    /// The bytes of the file that is read. One buffer serves all files, because most of them are
    /// the same as in the earlier read, and their bytes are only compared.
    buffer: Vec<u8>,
    /// Set once a bound was exceeded and reported. Nothing more is read then.
    full: bool,
    found: &'a mut Diagnostics,
}

impl<'a> SourceReader<'a> {
    fn new(
        roots: &[PathBuf],
        earlier: Option<&'a ProtoSources>,
        found: &'a mut Diagnostics,
    ) -> Self {
        Self {
            earlier,
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
            definitions: 0,
            buffer: Vec::new(),
            full: false,
            found,
        }
    }

    fn walk_roots(&mut self) {
        for root in self.sources.roots.clone() {
            self.walk(&root, "", &mut HashSet::new(), 0);
        }
    }

    /// Walks a directory. `seen` holds the canonical paths of the directories of this root that
    /// were walked. Each directory is walked once. The walk therefore ends even if a symbolic link
    /// leads to a parent directory, and links between sibling directories do not multiply the work.
    /// An import that names a file by a path that was not walked still finds the file
    /// ([`Self::follow_imports`]).
    fn walk(&mut self, directory: &Path, prefix: &str, seen: &mut HashSet<PathBuf>, depth: usize) {
        let listed = fs::canonicalize(directory).and_then(|identity| {
            let of_other_root = depth > 0 && self.identities.contains(&Some(identity.clone()));
            // The files of a root inside this root have names relative to that inner root.
            if of_other_root || !seen.insert(identity.clone()) {
                return Ok((identity, Vec::new()));
            }
            let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
            entries.sort_by_key(fs::DirEntry::file_name);
            Ok((identity, entries))
        });
        let (identity, entries) = match listed {
            Ok(listed) => listed,
            Err(error) => return self.unreadable(directory, &error),
        };
        for entry in entries {
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                self.stop(format!(
                    "more than {ENTRIES_MAX} files and directories below the import paths"
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
            // Hidden entries belong to editors and version control, or are the `..data` of a
            // ConfigMap.
            if name.starts_with('.') {
                continue;
            }
            let is_proto = name.ends_with(".proto");
            let below = format!("{prefix}{name}");
            // The listing of a directory has the type of each entry. It does not have the type of a
            // symbolic link's target.
            let is_link = entry.file_type().map_or(true, |kind| kind.is_symlink());
            let is_directory = match is_link {
                true => fs::metadata(&path).map(|meta| meta.is_dir()),
                false => entry.file_type().map(|kind| kind.is_dir()),
            };
            match is_directory {
                Ok(true) if depth >= DIRECTORY_DEPTH_MAX => {
                    self.stop(format!(
                        "directories nest more than {DIRECTORY_DEPTH_MAX} deep at {}",
                        escaped(&shown(&path))
                    ));
                }
                Ok(true) => self.walk(&path, &format!("{below}/"), seen, depth + 1),
                Ok(false) if is_proto && is_link => self.read(below, &path, canonical(&path)),
                Ok(false) if is_proto => self.read(below, &path, identity.join(name)),
                Err(error) if is_proto => self.unreadable(&path, &error),
                // Other entries are ignored, broken links included.
                _ => {}
            }
        }
    }

    /// Reads the files that are imported by names under which the walk did not find them. These are
    /// files of a nested root that are imported by their path below the outer root, files below a
    /// second symbolic link to a directory, and files whose names do not end in `.proto`.
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
            self.read(name.clone(), &path, canonical(&path));
            let source = self.sources.files.get(&name);
            let imports = source.into_iter().flat_map(|s| &s.outline.imports);
            open.extend(imports.map(|import| import.name.clone()));
        }
    }

    /// Reads the file at `path`, and adds it as `name`. If the file can't be used, reports the
    /// reason. `identity` is the canonical path of the file.
    fn read(&mut self, name: String, path: &Path, identity: PathBuf) {
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
        if self.sources.len() >= FILES_MAX {
            return self.stop(format!(
                "more than {FILES_MAX} .proto files below the import paths"
            ));
        }
        match read_bounded(path, &mut self.buffer) {
            Ok(true) => {}
            Ok(false) => {
                let mib = FILE_BYTES_MAX >> 20;
                let message = format!("{} is larger than {mib} MiB", escaped(&shown(path)));
                return self.found.push(
                    Diagnostic::error(message)
                        .help("split it into several files, or move it out of the import paths"),
                );
            }
            Err(error) => return self.unreadable(path, &error),
        }
        self.bytes += self.buffer.len() as u64;
        if self.bytes > TOTAL_BYTES_MAX {
            let mib = TOTAL_BYTES_MAX >> 20;
            return self.stop(format!(
                "the .proto files below the import paths are larger than {mib} MiB together"
            ));
        }
        let source = match self.source(&name, path, identity) {
            Ok(source) => source,
            Err(diagnostic) => return self.found.push(*diagnostic),
        };
        self.definitions += source.outline.definitions;
        if self.definitions > DEFINITIONS_MAX {
            return self.stop(format!(
                "the .proto files below the import paths have more than {DEFINITIONS_MAX} definitions, options and other statements together"
            ));
        }
        self.sources.files.insert(name, source);
    }

    /// Returns the file whose bytes are in the buffer. If the earlier read had the same bytes under
    /// the same path, the file shares the text and the outline of that read. Fails if bytes outside
    /// of comments are not UTF-8.
    fn source(
        &self,
        name: &str,
        path: &Path,
        identity: PathBuf,
    ) -> Result<ProtoSource, Box<Diagnostic>> {
        let earlier = self.earlier.and_then(|earlier| earlier.get(name));
        // An earlier text from which a byte order mark was removed, or in which bytes were
        // replaced, differs from the bytes of the file. In this case, the bytes are decoded again.
        let same = earlier.filter(|it| it.file.text.as_bytes() == self.buffer);
        if let Some(same) = same.filter(|it| it.file.path == shown(path)) {
            return Ok(ProtoSource {
                file: Arc::clone(&same.file),
                outline: Arc::clone(&same.outline),
                hash: same.hash,
                identity,
            });
        }
        let file = decode(path, &self.buffer)?;
        let mut hasher = DefaultHasher::new();
        file.text.hash(&mut hasher);
        Ok(ProtoSource {
            outline: Arc::new(Outline::of(&file.text)),
            hash: hasher.finish(),
            file,
            identity,
        })
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        let path = escaped(&shown(path));
        self.found.push(
            Diagnostic::error(format!("can't read {path}: {error}"))
                .help("every .proto file below the import paths must be readable"),
        );
    }

    /// Reports a name that is not UTF-8, if it is the name of a `.proto` file, or of a directory
    /// that contains `.proto` files.
    fn bad_name(&mut self, path: &Path, depth: usize) {
        let is_proto = path.extension().is_some_and(|e| e == "proto");
        if is_proto || self.holds_protos(path, depth) {
            let path = escaped(&shown(path));
            self.found.push(
                Diagnostic::error(format!("the name of {path} is not UTF-8"))
                    .help("rename it, because no import can contain such a name"),
            );
        }
    }

    /// Returns whether a directory holds a `.proto` file, at any depth that a walk reaches. An
    /// unreadable directory counts as empty, and links are not followed.
    fn holds_protos(&mut self, directory: &Path, depth: usize) -> bool {
        let is_directory = fs::symlink_metadata(directory).is_ok_and(|meta| meta.is_dir());
        if !is_directory || depth >= DIRECTORY_DEPTH_MAX {
            return false;
        }
        let Ok(entries) = fs::read_dir(directory) else {
            return false;
        };
        for entry in entries.flatten() {
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
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
                "in proto.import_paths, name only the directories with this gateway's schemas",
            ));
        }
    }
}

/// Returns the canonical path of a file, or the path itself if it cannot be resolved.
fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Reads a file into a buffer, and returns false if the file is too large. The limit applies to the
/// bytes that are read, not to the size in the file's metadata.
fn read_bounded(path: &Path, buffer: &mut Vec<u8>) -> io::Result<bool> {
    buffer.clear();
    open_file(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(buffer)?;
    Ok(buffer.len() as u64 <= FILE_BYTES_MAX)
}

/// Returns the text of a file, without a byte order mark. Comments may be in any encoding: bytes in
/// them that are not UTF-8 are replaced. Elsewhere, such bytes are an error.
fn decode(path: &Path, bytes: &[u8]) -> Result<Arc<SourceFile>, Box<Diagnostic>> {
    let without_mark = |text: &str| text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
    if let Ok(text) = str::from_utf8(bytes) {
        return Ok(SourceFile::new(shown(path), without_mark(text)));
    }
    let mut text = String::with_capacity(bytes.len());
    // The offset of each replacement character in the text, and the offset of the replaced byte in
    // the file.
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
