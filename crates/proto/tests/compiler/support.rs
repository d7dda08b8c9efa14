//! Temporary directories of files to compile, and rendered diagnostics.

use std::fs;
use std::path::{Path, PathBuf};

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Cache, Compiler, Descriptors, Texts, compile};

/// Returns a temporary directory with these files, to be used as an import path.
pub fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

/// Compiles the files below `roots` and returns the descriptors and the rendered diagnostics, with
/// paths relative to `hide`.
pub fn outcome(roots: &[PathBuf], hide: &Path) -> (Option<Descriptors>, String) {
    let mut found = Diagnostics::new();
    let made = compile(roots, Compiler::Builtin, &mut found);
    found.sort();
    assert_eq!(made.is_none(), found.has_errors(), "{found}");
    (made, said_below(hide, &found))
}

/// Compiles the files below `root` with a cache and returns the same as [`outcome`].
pub fn outcome_with(cache: &mut Cache, root: &Path) -> (Option<Descriptors>, String) {
    let mut found = Diagnostics::new();
    let texts = Texts::read(&[root.to_path_buf()], Compiler::Builtin);
    let made = texts.compile(cache, &mut found);
    found.sort();
    assert_eq!(made.is_none(), found.has_errors(), "{found}");
    (made, said_below(root, &found))
}

/// Returns the rendered diagnostics, with paths relative to `root`.
pub fn said_below(root: &Path, found: &Diagnostics) -> String {
    let hidden = format!("{}/", root.display());
    let text = found.render(false).replace(&hidden, "");
    text.replace(&root.display().to_string(), ".")
}

pub fn of_files(files: &[(&str, &str)]) -> (Option<Descriptors>, String) {
    let directory = root(files);
    outcome(&[directory.path().to_path_buf()], directory.path())
}

pub fn sorted(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
