//! `gateway check`: every fault of every file, or a line that says that all is well.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use super::{CheckFormat, colour};
use crate::config;
use gateway_diagnostic::Diagnostics;

pub(super) fn check(path: &Path, format: CheckFormat) -> ExitCode {
    match (config::load(path), format) {
        (Ok(loaded), CheckFormat::Json) => {
            list(&loaded.warnings);
            ExitCode::SUCCESS
        }
        (Err(found), CheckFormat::Json) => {
            list(&found);
            ExitCode::FAILURE
        }
        (Ok(loaded), CheckFormat::Human) => {
            report(&loaded.warnings);
            // A reader that went away has seen enough.
            let _ = writeln!(io::stdout(), "{}: {}", path.display(), loaded.summary());
            ExitCode::SUCCESS
        }
        (Err(found), CheckFormat::Human) => {
            report(&found);
            ExitCode::FAILURE
        }
    }
}

/// Prints diagnostics to standard output as one JSON array, which is there however many they are.
fn list(found: &Diagnostics) {
    let _ = writeln!(io::stdout(), "{}", found.to_json());
}

/// Prints diagnostics to standard error.
fn report(found: &Diagnostics) {
    if !found.is_empty() {
        let _ = io::stderr().write_all(rendered(found).as_bytes());
    }
}

/// Diagnostics as people read them, and how many there are.
pub(super) fn rendered(found: &Diagnostics) -> String {
    let count = |n: usize, what: &str| match n {
        0 => None,
        1 => Some(format!("1 {what}")),
        n => Some(format!("{n} {what}s")),
    };
    let counts = [
        count(found.errors(), "error"),
        count(found.warnings(), "warning"),
    ];
    let counts: Vec<_> = counts.into_iter().flatten().collect();
    format!("{}\n{}\n", found.render(colour()), counts.join(", "))
}
