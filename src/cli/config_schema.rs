//! `gateway config-schema`, which prints `routes.schema.json`, the JSON Schema of routes.yaml.

use std::process::ExitCode;

use super::output;
use crate::config::JSON_SCHEMA;

pub(super) fn print() -> ExitCode {
    output::print(JSON_SCHEMA, ExitCode::SUCCESS)
}
