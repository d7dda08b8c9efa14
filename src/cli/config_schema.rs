//! `gateway config-schema`: the JSON Schema of routes.yaml, as it stands in the repository.

use std::process::ExitCode;

use super::output;
use crate::config::JSON_SCHEMA;

pub(super) fn print() -> ExitCode {
    output::print(JSON_SCHEMA, ExitCode::SUCCESS)
}
