//! protoc as the second front end, and as the judge of the first.
//!
//! Set `GATEWAY_TEST_PROTOC` to a protoc program's path; without it these tests say so and pass.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gateway::diagnostic::Diagnostics;
use gateway::schema::compile::{Compiler, Descriptors, compile};

/// What the built-in compiler can't read, though protoc can.
const EDITIONS: &[&str] = &["edition", "edition_2024"];

fn protoc() -> Option<PathBuf> {
    let path = std::env::var_os("GATEWAY_TEST_PROTOC").map(PathBuf::from);
    if path.is_none() {
        eprintln!("skipped: GATEWAY_TEST_PROTOC does not name a protoc program");
    }
    path
}

/// Runs this test program again, alone, with a PATH of its own: the PATH belongs to a process.
fn alone(test: &str, path: &Path) -> bool {
    if std::env::var_os("GATEWAY_TEST_ALONE").is_some() {
        return false;
    }
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let dirs = [path.to_path_buf()]
        .into_iter()
        .chain(std::env::split_paths(&rest));
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("PATH", std::env::join_paths(dirs).unwrap())
        .env("GATEWAY_TEST_ALONE", "1")
        .status()
        .unwrap();
    assert!(status.success());
    true
}

/// A directory with the protoc under its name.
fn directory_of(protoc: &Path) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", protoc.display());
    let path = directory.path().join("protoc");
    fs::write(&path, script).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    directory
}

fn run(root: &Path, compiler: Compiler) -> (Option<Descriptors>, String) {
    let mut found = Diagnostics::new();
    let made = compile(&[root.to_path_buf()], compiler, &mut found);
    found.sort();
    let text = found
        .render(false)
        .replace(&format!("{}/", root.display()), "");
    (made, text)
}

#[test]
fn both_compilers_accept_the_valid_files_alike() {
    let Some(protoc) = protoc() else { return };
    let directory = directory_of(&protoc);
    if alone(
        "both_compilers_accept_the_valid_files_alike",
        directory.path(),
    ) {
        return;
    }
    let root = Path::new("tests/protos/valid");
    let (ours, _) = run(root, Compiler::Builtin);
    let (theirs, said) = run(root, Compiler::Protoc);
    assert_eq!(said, "");
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    let names = |d: &Descriptors| -> BTreeSet<String> {
        d.files().iter().map(|f| f.name().to_owned()).collect()
    };
    assert_eq!(names(&ours), names(&theirs));
    for (name, _) in ours.sources() {
        let of = |d: &Descriptors| {
            let mut file = d.files().iter().find(|f| f.name() == name).unwrap().clone();
            file.source_code_info = None.into();
            // protoc leaves proto2 unsaid.
            file.syntax = Some(file.syntax().replace("proto2", ""));
            protobuf::Message::write_to_bytes(&file).unwrap()
        };
        assert_eq!(of(&ours), of(&theirs), "{name}");
    }
    let place = |d: &Descriptors| {
        d.place_of("valid.CrlfBom")
            .or(d.place_of("CrlfBom"))
            .unwrap()
            .to_string()
    };
    assert_eq!(place(&ours), place(&theirs));
}

#[test]
fn both_compilers_reject_the_invalid_files() {
    let Some(protoc) = protoc() else { return };
    let directory = directory_of(&protoc);
    if alone("both_compilers_reject_the_invalid_files", directory.path()) {
        return;
    }
    for entry in fs::read_dir("tests/protos/invalid").unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if path.extension().is_some_and(|e| e == "stderr") || EDITIONS.contains(&stem) {
            continue;
        }
        let alone = tempfile::tempdir().unwrap();
        let root = if path.is_dir() {
            path.clone()
        } else {
            alone.path().to_path_buf()
        };
        if !path.is_dir() {
            fs::copy(&path, root.join(path.file_name().unwrap())).unwrap();
        }
        let (made, said) = run(&root, Compiler::Protoc);
        assert!(made.is_none(), "{} is accepted by protoc", path.display());
        assert!(said.contains(" --> "), "{}:\n{said}", path.display());
    }
}

#[test]
fn protoc_reads_editions_and_its_places_are_the_files() {
    let Some(protoc) = protoc() else { return };
    let directory = directory_of(&protoc);
    if alone(
        "protoc_reads_editions_and_its_places_are_the_files",
        directory.path(),
    ) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("e.proto");
    fs::write(&path, "edition = \"2023\";\nimport \"google/protobuf/timestamp.proto\";\nmessage E { google.protobuf.Timestamp at = 1; }").unwrap();
    let (made, said) = run(root.path(), Compiler::Protoc);
    assert_eq!(said, "");
    let made = made.unwrap();
    assert_eq!(made.files()[1].syntax(), "editions");
    assert_eq!(made.place_of("E").unwrap().line, 3);

    fs::write(
        &path,
        "syntax = \"proto3\";\n\n\tmessage A { Nothing n = 1; }\n",
    )
    .unwrap();
    let (made, said) = run(root.path(), Compiler::Protoc);
    assert!(made.is_none());
    assert_eq!(
        said,
        "error: \"Nothing\" is not defined
 --> e.proto:3:14
  |
3 |  message A { Nothing n = 1; }
  |              ^^^^^^^
"
    );
}

#[cfg(unix)]
#[test]
fn no_protoc_on_the_path_is_said() {
    if alone_without_protoc("no_protoc_on_the_path_is_said") {
        return;
    }
    let (made, said) = run(Path::new("tests/protos/valid"), Compiler::Protoc);
    assert!(made.is_none());
    assert!(
        said.starts_with("error: there is no protoc on the PATH"),
        "{said}"
    );
}

#[cfg(unix)]
fn alone_without_protoc(test: &str) -> bool {
    if std::env::var_os("GATEWAY_TEST_ALONE").is_some() {
        return false;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("PATH", "/nowhere")
        .env("GATEWAY_TEST_ALONE", "1")
        .status()
        .unwrap();
    assert!(status.success());
    true
}
