//! Tests with large published sets of .proto files, for which both compilers must give the same
//! results.
//!
//! `tests/real_protos.sh` downloads one such set and runs these tests. `GATEWAY_REAL_PROTOS` lists
//! the directories, separated as in `PATH`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::judge;
use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, compile};

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else if path.extension().is_some_and(|e| e == "proto") {
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&path, &to).unwrap();
        }
    }
}

#[test]
fn both_compilers_agree_on_published_files() {
    let Some(directories) = std::env::var_os("GATEWAY_REAL_PROTOS") else {
        eprintln!(
            "skipped: GATEWAY_REAL_PROTOS names no directories (tests/real_protos.sh sets it)"
        );
        return;
    };
    let Some(python) = judge::python() else {
        return;
    };
    for root in std::env::split_paths(&directories) {
        let directory = tempfile::tempdir().unwrap();
        let all: PathBuf = directory.path().join("all");
        copy(&root, &all);
        // This directory contains protobuf's own tests, which do not compile together.
        let _ = fs::remove_dir_all(all.join("google/protobuf"));
        let start = Instant::now();
        let mut found = Diagnostics::new();
        let compiled = compile(std::slice::from_ref(&all), Compiler::Builtin, &mut found);
        let files = compiled.map(|compiled| compiled.sources().count());
        eprintln!(
            "{}: {files:?} files in {:?}",
            root.display(),
            start.elapsed()
        );
        let judged = judge::judge(&python, vec![all]);
        let case = &judged[0];
        assert!(case.theirs, "{}", case.theirs_report);
        assert!(case.ours, "{}", case.ours_report);
        let different = case.different.join("\n");
        assert_eq!(different, "", "{}", case.directory.display());
    }
}
