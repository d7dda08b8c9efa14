//! Tests of protoc as the front end: its descriptors, and its diagnostics with places in the
//! user's files.

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

/// Runs one test again in a child process that has `path` first in its PATH, and asserts that the
/// child succeeds. Returns true in the parent process. In the child, returns false without running
/// anything, and the caller must then perform the test.
fn run_in_child(test: &str, path: &Path) -> bool {
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

/// Returns a directory with a script named `protoc` that runs the given protoc.
fn directory_of(protoc: &Path) -> tempfile::TempDir {
    script(&format!("exec '{}' \"$@\"", protoc.display()))
}

/// Returns a directory with a shell script named `protoc` that has this text.
fn script(text: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("protoc");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    directory
}

fn run(root: &Path, compiler: Compiler) -> (Option<Descriptors>, String) {
    let mut found = Diagnostics::new();
    let compiled = compile(&[root.to_path_buf()], compiler, &mut found);
    found.sort();
    let text = found
        .render(false)
        .replace(&format!("{}/", root.display()), "");
    (compiled, text)
}

#[test]
fn protoc_reads_editions_and_reports_places_in_the_users_files() {
    let Some(protoc) = protoc() else { return };
    let directory = directory_of(&protoc);
    if run_in_child(
        "front_end::protoc_reads_editions_and_reports_places_in_the_users_files",
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
    assert_eq!(made.files().nth(1).unwrap().syntax(), "editions");
    assert_eq!(made.place_of("E").unwrap().line, 3);

    fs::write(
        &path,
        "syntax = \"proto3\";\n\n\tmessage A { Nothing n = 1; }\n",
    )
    .unwrap();
    let (compiled, report) = run(root.path(), Compiler::Protoc);
    assert!(compiled.is_none());
    assert_eq!(
        report,
        "error: \"Nothing\" is not defined
 --> e.proto:3:14
  |
3 |  message A { Nothing n = 1; }
  |              ^^^^^^^
"
    );
}

/// The user has no copy of validate.proto.
#[test]
fn protoc_finds_the_validate_proto_of_the_gateway() {
    let Some(protoc) = protoc() else { return };
    let directory = directory_of(&protoc);
    let test = "front_end::protoc_finds_the_validate_proto_of_the_gateway";
    if run_in_child(test, directory.path()) {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let text = "syntax = \"proto3\"; import \"buf/validate/validate.proto\";
        message M { string a = 1 [(buf.validate.field).string.email = true]; }";
    fs::write(root.path().join("m.proto"), text).unwrap();
    let (compiled, report) = run(root.path(), Compiler::Protoc);
    assert_eq!(report, "");
    assert!(compiled.unwrap().has_rules("M"));
}

#[cfg(unix)]
#[test]
fn a_missing_protoc_is_reported() {
    if run_in_child_without_protoc("front_end::a_missing_protoc_is_reported") {
        return;
    }
    let (compiled, report) = run(Path::new("tests/protos/valid"), Compiler::Protoc);
    assert!(compiled.is_none());
    assert!(
        report.starts_with("error: there is no protoc on the PATH"),
        "{report}"
    );
}

/// Returns the peak resident memory of this process, in KiB.
#[cfg(target_os = "linux")]
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

#[cfg(unix)]
#[test]
fn a_killed_protoc_is_reported_with_its_signal() {
    let directory = script("kill -9 $$");
    let test = "front_end::a_killed_protoc_is_reported_with_its_signal";
    if run_in_child(test, directory.path()) {
        return;
    }
    let (compiled, report) = run(Path::new("tests/protos/valid"), Compiler::Protoc);
    assert!(compiled.is_none());
    assert_eq!(report, "error: protoc failed: signal: 9 (SIGKILL)\n");
}

#[cfg(target_os = "linux")]
#[test]
fn two_hundred_megabytes_on_stderr_take_little_memory() {
    let directory = script("head -c 200000000 /dev/zero | tr '\\0' 'x' >&2; exit 3");
    let test = "front_end::two_hundred_megabytes_on_stderr_take_little_memory";
    if run_in_child(test, directory.path()) {
        return;
    }
    let before = peak_kib();
    let (compiled, report) = run(Path::new("tests/protos/valid"), Compiler::Protoc);
    assert!(compiled.is_none());
    assert!(
        report.starts_with("error: protoc failed: exit status: 3\n"),
        "{}",
        report.len()
    );
    assert!(
        report.ends_with("x…\n") && report.len() < 1_000,
        "{}",
        report.len()
    );
    let grown = peak_kib() - before;
    assert!(grown < 64 << 10, "{grown} KiB");
}

/// Does the same as [`run_in_child`], with a PATH on which there is no protoc.
#[cfg(unix)]
fn run_in_child_without_protoc(test: &str) -> bool {
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
