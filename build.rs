//! Gives the crate its version as people see it: with the commit that it is built from, where the environment variable
//! `GATEWAY_COMMIT` names one, as release builds do. It asks no version control, whose every commit would compile the
//! crate anew.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=GATEWAY_COMMIT");
    let version = env!("CARGO_PKG_VERSION");
    let commit = std::env::var("GATEWAY_COMMIT").unwrap_or_default();
    if !commit.bytes().all(|b| b.is_ascii_alphanumeric()) {
        println!("cargo::error=GATEWAY_COMMIT is no commit: {commit:?}");
        return;
    }
    let shown = match commit.as_str() {
        "" => version.to_owned(),
        commit => format!("{version} ({commit})"),
    };
    println!("cargo::rustc-env=GATEWAY_VERSION={shown}");
}
