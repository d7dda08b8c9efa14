//! `gateway check`, which reports every error of every file, or prints a summary if the files are
//! valid.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use super::arguments::{CheckFormat, Warnings};
use super::configuration::{STANDARD_INPUT, STANDARD_INPUT_SHOWN, file_of};
use super::output;
use super::render::rendered;
use crate::config::{self, Inputs, Loaded, Origin};
use gateway_diagnostic::{Diagnostic, Diagnostics, escaped};

/// Checks the configuration at `path`: a file, a directory with a routes.yaml in it, or `-` for
/// standard input. If `against` is the path of another configuration, also checks that the
/// configuration at `path` breaks no peers of the other configuration.
pub(super) fn check(
    path: &Path,
    against: Option<&Path>,
    format: CheckFormat,
    warnings: Warnings,
) -> ExitCode {
    let other = match against.map(|path| config::load(&file_of(path))) {
        None => None,
        Some(Ok(other)) => Some(other.snapshot),
        Some(Err(found)) => return failed(&found, format),
    };
    let load = |inputs: Inputs| match &other {
        Some(other) => inputs.load_against(other),
        None => inputs.load(),
    };
    let (shown, inputs) = read(path);
    match inputs.and_then(load) {
        Ok(loaded) => passed(&shown, &loaded, format, warnings),
        Err(found) => failed(&found, format),
    }
}

/// Reads the configuration at `path`, and returns it together with its name for messages.
pub(super) fn read(path: &Path) -> (String, Result<Inputs, Diagnostics>) {
    if path == Path::new(STANDARD_INPUT) {
        return (STANDARD_INPUT_SHOWN.to_owned(), read_standard_input());
    }
    let path = file_of(path);
    (escaped(&path), Ok(Inputs::read(&path, &[])))
}

/// Reads the configuration from standard input. Its import paths are relative to the working
/// directory.
fn read_standard_input() -> Result<Inputs, Diagnostics> {
    let mut bytes = Vec::new();
    let bound = config::FILE_MAX as u64 + 1;
    let read = io::stdin().lock().take(bound).read_to_end(&mut bytes);
    let too_large = format!("it has more than {} MiB", config::FILE_MAX >> 20);
    let text = match read {
        Err(error) => Err(error.to_string()),
        Ok(_) if bytes.len() > config::FILE_MAX => Err(too_large),
        Ok(_) => String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned()),
    };
    match text {
        Ok(text) => {
            let mut origin = Origin::of_text(text, Path::new(""));
            origin.set_name(STANDARD_INPUT_SHOWN);
            Ok(origin.read(&[]))
        }
        Err(error) => {
            let mut found = Diagnostics::new();
            found.push(Diagnostic::error(format!(
                "can't read standard input: {error}"
            )));
            Err(found)
        }
    }
}

/// Reports the errors of a configuration, and returns the exit code of a failure.
pub(super) fn failed(found: &Diagnostics, format: CheckFormat) -> ExitCode {
    match format {
        CheckFormat::Json => list(found, ExitCode::FAILURE),
        CheckFormat::Human => {
            report(found);
            ExitCode::FAILURE
        }
    }
}

/// Prints the warnings of a configuration that can be loaded. In the human format, also prints the
/// summary of the configuration if the check passes. Returns the exit code.
fn passed(shown: &str, loaded: &Loaded, format: CheckFormat, warnings: Warnings) -> ExitCode {
    let is_refused = warnings == Warnings::Refused && !loaded.warnings.is_empty();
    // A gateway runs without the keys and users that have errors, but a check must fail.
    let lacks_keys = loaded.warnings.has_errors();
    let code = if is_refused || lacks_keys {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    };
    match format {
        CheckFormat::Json => list(&loaded.warnings, code),
        CheckFormat::Human => {
            report(&loaded.warnings);
            if lacks_keys {
                return code;
            }
            if is_refused {
                let _ = writeln!(
                    io::stderr(),
                    "{shown}: failed, because --strict does not allow warnings"
                );
                return code;
            }
            output::print(&format!("{shown}: ok: {}\n", loaded.summary()), code)
        }
    }
}

/// Prints diagnostics to standard output as one JSON array, even if there are none.
fn list(found: &Diagnostics, code: ExitCode) -> ExitCode {
    output::print(&format!("{}\n", found.to_json()), code)
}

/// Prints diagnostics to standard error.
pub(super) fn report(found: &Diagnostics) {
    if !found.is_empty() {
        let _ = io::stderr().write_all(rendered(found).as_bytes());
    }
}
