//! Tests of the files that are compiled and of their names, with nested roots, copies and links.

use crate::support::{compile_files, outcome, root};

const STAMP: &str = "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; message Stamp { google.protobuf.Timestamp at = 1; }";
const TIMESTAMP: &str = "syntax = \"proto3\"; package google.protobuf; message Timestamp { int64 seconds = 1; int32 nanos = 2; }";

/// The second copy is not a valid file. It causes no error, since no copy is read.
#[test]
fn a_copy_of_a_well_known_file_under_its_own_name_is_ignored() {
    let unreadable =
        "syntax = \"proto2\"; message F { extensions 1000 [declaration = { number: 1000 }]; }";
    for copy in [TIMESTAMP, unreadable] {
        let (compiled, report) = compile_files(&[
            ("stamp.proto", STAMP),
            ("google/protobuf/timestamp.proto", copy),
        ]);
        assert_eq!(report, "");
        let compiled = compiled.unwrap();
        assert!(compiled.source("google/protobuf/timestamp.proto").is_none());
        assert!(compiled.message("google.protobuf.Timestamp").is_some());
    }
}

#[test]
fn a_copy_of_a_well_known_file_under_another_name_is_ignored() {
    let (compiled, report) = compile_files(&[
        ("stamp.proto", STAMP),
        ("third_party/google/protobuf/timestamp.proto", TIMESTAMP),
    ]);
    assert_eq!(report, "");
    assert_eq!(compiled.unwrap().files().len(), 2);
}

#[test]
fn a_file_of_the_first_root_takes_precedence_with_a_warning() {
    let both = root(&[
        ("one/a.proto", "message One {}"),
        ("two/a.proto", "message Two {}"),
    ]);
    let (compiled, report) = outcome(
        &[both.path().join("one"), both.path().join("two")],
        both.path(),
    );
    let compiled = compiled.unwrap();
    assert!(compiled.message("One").is_some() && compiled.message("Two").is_none());
    assert_eq!(
        report,
        "warning: two/a.proto is hidden by one/a.proto
  = note: both are imported as \"a.proto\"; the import path that comes first wins
  = help: rename or remove one of them
"
    );
}

#[test]
fn a_root_within_a_root_names_its_own_files() {
    let nested = root(&[
        (
            "app.proto",
            "import \"lib.proto\"; message App { optional Lib lib = 1; }",
        ),
        ("vendor/lib.proto", "message Lib {}"),
    ]);
    let roots = [
        nested.path().to_path_buf(),
        nested.path().join("vendor"),
        nested.path().to_path_buf(),
    ];
    let (compiled, report) = outcome(&roots, nested.path());
    assert_eq!(report, "");
    let compiled = compiled.unwrap();
    let names: Vec<_> = compiled.files().map(|f| f.name().to_owned()).collect();
    assert_eq!(names, ["lib.proto", "app.proto"]);
}

#[test]
fn a_file_of_a_root_within_a_root_may_be_imported_by_its_long_name() {
    let nested = root(&[
        (
            "app.proto",
            "import \"vendor/lib.proto\"; message App { optional Lib lib = 1; }",
        ),
        ("vendor/lib.proto", "message Lib {}"),
    ]);
    let (compiled, report) = outcome(
        &[nested.path().to_path_buf(), nested.path().join("vendor")],
        nested.path(),
    );
    assert_eq!(report, "");
    assert!(compiled.unwrap().source("lib.proto").is_none());
}

#[cfg(unix)]
mod links {
    use std::os::unix::fs::symlink;

    use crate::support::{outcome, root};

    #[test]
    fn directories_in_a_cycle_of_links_are_read_once() {
        let looped = root(&[("a/a.proto", "message A {}")]);
        symlink(looped.path(), looped.path().join("a/up")).unwrap();
        // A search that followed every link would read the file 2^n times, where n is the number of
        // links that a path may contain.
        symlink("../a", looped.path().join("a/self")).unwrap();
        symlink("../a", looped.path().join("a/same")).unwrap();
        let (compiled, report) = outcome(&[looped.path().to_path_buf()], looped.path());
        assert_eq!(report, "");
        assert_eq!(compiled.unwrap().files().len(), 1);
    }

    #[test]
    fn an_import_through_a_link_to_a_directory_is_found() {
        let linked = root(&[
            ("real/a.proto", "message A {}"),
            (
                "b.proto",
                "import \"zlink/a.proto\"; message B { optional A a = 1; }",
            ),
        ]);
        symlink("real", linked.path().join("zlink")).unwrap();
        let (compiled, report) = outcome(&[linked.path().to_path_buf()], linked.path());
        assert_eq!(report, "");
        assert_eq!(compiled.unwrap().files().len(), 2);
    }

    #[test]
    fn only_the_visible_links_of_a_config_map_are_read() {
        let map = root(&[
            ("..2026_01/a.proto", "message A {}"),
            (".hidden.proto", "nonsense"),
        ]);
        symlink("..2026_01", map.path().join("..data")).unwrap();
        symlink("..data/a.proto", map.path().join("a.proto")).unwrap();
        let (compiled, report) = outcome(&[map.path().to_path_buf()], map.path());
        assert_eq!(report, "");
        assert_eq!(compiled.unwrap().files().len(), 1);
    }

    #[test]
    fn an_unreadable_file_is_reported() {
        let broken = root(&[]);
        symlink("nowhere", broken.path().join("a.proto")).unwrap();
        symlink("/dev/zero", broken.path().join("endless.proto")).unwrap();
        let (_, report) = outcome(&[broken.path().to_path_buf()], broken.path());
        assert!(
            report.contains("error: can't read a.proto: No such file"),
            "{report}"
        );
        assert!(
            report.contains("error: can't read endless.proto: not a file"),
            "{report}"
        );
    }
}
