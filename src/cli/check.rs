//! `gateway check`: every fault of every file, or a line that says that all is well.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use super::arguments::CheckFormat;
use super::render::rendered;
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
