//! Sets the version that the program displays, including the commit that it is built from.

use std::path::Path;
use std::process::Command;

/// The sources of the program. The build script runs again only when one of them or
/// `GATEWAY_COMMIT` changes, since a change of the sources compiles the program anyway. A new
/// commit alone does not cause a rebuild.
const SOURCES: [&str; 5] = ["build.rs", "Cargo.toml", "Cargo.lock", "src", "crates"];

fn main() {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    println!("cargo::rerun-if-env-changed=GATEWAY_COMMIT");
    let commit = std::env::var("GATEWAY_COMMIT").ok().or_else(checked_out);
    match version(env!("CARGO_PKG_VERSION"), &commit.unwrap_or_default()) {
        Ok(shown) => println!("cargo::rustc-env=GATEWAY_VERSION={shown}"),
        Err(what) => println!("cargo::error={what}"),
    }
}

/// Returns the displayed version: the number, followed by the commit unless `commit` is empty.
///
/// Returns an error if `commit` has characters other than ASCII letters, digits and `-`.
fn version(number: &str, commit: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    match commit {
        "" => Ok(number.to_owned()),
        commit if commit.bytes().all(fits) => Ok(format!("{number} ({commit})")),
        _ => Err(format!("GATEWAY_COMMIT is no commit: {commit:?}")),
    }
}

/// Returns the commit that is checked out, with `-dirty` appended if files differ from it. Returns
/// `None` if the sources were copied without their history, or if git is not installed.
fn checked_out() -> Option<String> {
    // A directory further up may belong to an unrelated repository.
    if !Path::new(".git").exists() {
        return None;
    }
    let words = [
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
        "--exclude=*",
    ];
    let reported = Command::new("git").args(words).output().ok()?;
    let commit = String::from_utf8(reported.stdout).ok()?;
    reported.status.success().then(|| commit.trim().to_owned())
}
