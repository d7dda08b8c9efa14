//! `gateway schema`: the JSON Schema of routes.yaml, as it stands in the repository.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::config::JSON_SCHEMA;

pub(super) fn print() -> ExitCode {
    // A reader that went away has seen enough.
    let _ = io::stdout().write_all(JSON_SCHEMA.as_bytes());
    ExitCode::SUCCESS
}
