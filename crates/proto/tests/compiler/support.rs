//! Makes temporary directories of files to compile, and renders diagnostics.

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

/// Compiles the files below `roots`. Returns the descriptors, and the rendered diagnostics with
/// paths relative to `hide`.
pub fn outcome(roots: &[PathBuf], hide: &Path) -> (Option<Descriptors>, String) {
    let mut found = Diagnostics::new();
    let compiled = compile(roots, Compiler::Builtin, &mut found);
    found.sort();
    assert_eq!(compiled.is_none(), found.has_errors(), "{found}");
    (compiled, rendered_below(hide, &found))
}

/// Compiles the files below `root` with a cache. Returns the same as [`outcome`].
pub fn outcome_with(cache: &mut Cache, root: &Path) -> (Option<Descriptors>, String) {
    let mut found = Diagnostics::new();
    let texts = Texts::read(&[root.to_path_buf()], Compiler::Builtin);
    let compiled = texts.compile(cache, &mut found);
    found.sort();
    assert_eq!(compiled.is_none(), found.has_errors(), "{found}");
    (compiled, rendered_below(root, &found))
}

/// Returns the rendered diagnostics, with paths relative to `root`.
pub fn rendered_below(root: &Path, found: &Diagnostics) -> String {
    let hidden = format!("{}/", root.display());
    let text = found.render(false).replace(&hidden, "");
    text.replace(&root.display().to_string(), ".")
}

/// Compiles files with these names and texts. Returns the same as [`outcome`].
pub fn compile_files(files: &[(&str, &str)]) -> (Option<Descriptors>, String) {
    let directory = root(files);
    outcome(&[directory.path().to_path_buf()], directory.path())
}

/// Returns the paths of a directory's entries, sorted.
pub fn sorted(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}
