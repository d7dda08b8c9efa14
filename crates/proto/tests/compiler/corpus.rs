//! Tests with the corpus `tests/protos`: valid files compile, and each invalid file is rejected
//! with exactly the expected diagnostics.
//!
//! `tests/protos/invalid` has a file (or a directory of files) for each error, with the diagnostics
//! in `NAME.stderr`. Run with `BLESS=1` to rewrite these files, then review the diff.

use std::fs;
use std::path::PathBuf;

use crate::support::{compile_files, outcome, sorted};

#[test]
fn every_error_has_its_expected_text() {
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
        let (compiled, report) = outcome(std::slice::from_ref(&root), &root);
        let expected = path.with_extension("stderr");
        if bless {
            fs::write(&expected, &report).unwrap();
        }
        if compiled.is_some() || report != fs::read_to_string(&expected).unwrap_or_default() {
            wrong.push(format!("{}:\n{report}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases >= 150, "{cases} cases");
}

#[test]
fn valid_files_compile_together() {
    let root = PathBuf::from("tests/protos/valid");
    let (compiled, report) = outcome(std::slice::from_ref(&root), &root);
    assert_eq!(report, "");
    let compiled = compiled.unwrap();
    assert!(compiled.sources().count() >= 150);

    let names: Vec<_> = compiled.files().map(|file| file.name()).collect();
    for file in compiled.files() {
        let at = |name: &str| names.iter().position(|n| *n == name).unwrap();
        let own = at(file.name());
        assert!(
            file.dependency.iter().all(|import| at(import) < own),
            "{names:?}"
        );
    }
    let octal = compiled.message("valid.two.Everything").unwrap();
    let octal = octal.field.iter().find(|f| f.name() == "octal").unwrap();
    assert_eq!(octal.default_value(), "8");
    let place = compiled.place_of("valid.nested.Sibling.Inner").unwrap();
    assert_eq!(
        place.to_string(),
        "tests/protos/valid/nested/sibling.proto:3:27"
    );
    assert!(compiled.place_of("google.protobuf.Any").is_none());
    assert!(compiled.message("google.protobuf.Any").is_some());
    assert!(compiled.source("google/protobuf/any.proto").is_none());
}

#[test]
fn roots_without_proto_files_give_no_descriptors_and_no_errors() {
    let (compiled, report) = compile_files(&[("README", "no schema")]);
    assert_eq!(report, "");
    assert_eq!(compiled.unwrap().files().len(), 0);
}

#[test]
fn repeated_keys_of_an_aggregate_are_all_kept() {
    let (compiled, report) = compile_files(&[
        (
            "r.proto",
            "syntax = \"proto3\"; import \"google/protobuf/descriptor.proto\"; message R { repeated int32 n = 1; } extend google.protobuf.MessageOptions { R r = 50000; }",
        ),
        (
            "m.proto",
            "syntax = \"proto3\"; import \"r.proto\"; message M { option (r) = { n: 1 n: 2 n: 3 }; }",
        ),
    ]);
    assert_eq!(report, "");
    let compiled = compiled.unwrap();
    let options = &compiled.message("M").unwrap().options;
    let bytes = protobuf::Message::write_to_bytes(options.as_ref().unwrap()).unwrap();
    assert!(bytes.ends_with(&[3, 1, 2, 3]), "{bytes:?}");
}
