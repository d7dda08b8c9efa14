//! What is compiled, what is refused, and the very words for it.
//!
//! `tests/protos/invalid` has a file (or a directory of files) per fault, with the diagnostics
//! beside it in `NAME.stderr`; run with `BLESS=1` to write these anew, and read the difference.

use std::fs;
use std::path::{Path, PathBuf};

use gateway::diagnostic::Diagnostics;
use gateway::schema::compile::{Compiler, Descriptors, compile};

/// A directory with these files, as an import path.
fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

/// Compiles, and gives the diagnostics as people read them, with paths below `root`.
fn outcome(roots: &[PathBuf], hide: &Path) -> (Option<Descriptors>, String) {
    let mut found = Diagnostics::new();
    let made = compile(roots, Compiler::Builtin, &mut found);
    found.sort();
    assert_eq!(made.is_none(), found.has_errors(), "{found}");
    let hidden = format!("{}/", hide.display());
    let text = found.render(false).replace(&hidden, "");
    (made, text.replace(&hide.display().to_string(), "."))
}

fn of_files(files: &[(&str, &str)]) -> (Option<Descriptors>, String) {
    let directory = root(files);
    outcome(&[directory.path().to_path_buf()], directory.path())
}

fn sorted(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_fault_is_said_in_these_words() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    let mut cases = 0;
    for path in sorted("tests/protos/invalid") {
        if path.extension().is_some_and(|e| e == "stderr") {
            continue;
        }
        cases += 1;
        let alone = tempfile::tempdir().unwrap();
        let root = if path.is_dir() {
            path.clone()
        } else {
            fs::copy(&path, alone.path().join(path.file_name().unwrap())).unwrap();
            alone.path().to_path_buf()
        };
        let (made, said) = outcome(&[root.clone()], &root);
        let expected = path.with_extension("stderr");
        if bless {
            fs::write(&expected, &said).unwrap();
        }
        if made.is_some() || said != fs::read_to_string(&expected).unwrap_or_default() {
            wrong.push(format!("{}:\n{said}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases >= 25, "{cases} cases");
}
