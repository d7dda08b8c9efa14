//! protoc as the front end: its descriptors, and its diagnostics at the places of the originals.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gateway_diagnostic::Diagnostics;
use gateway_proto::{Compiler, Descriptors, compile};

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
fn protoc_reads_editions_and_its_places_are_the_files() {
    let Some(protoc) = protoc() else { return };
    let directory = directory_of(&protoc);
    if alone(
        "front_end::protoc_reads_editions_and_its_places_are_the_files",
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
    if alone_without_protoc("front_end::no_protoc_on_the_path_is_said") {
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
