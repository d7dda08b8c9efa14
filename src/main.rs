//! The binary: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    match gateway::cli::parse() {
        Ok(arguments) => gateway::cli::execute(arguments),
        Err(code) => code,
    }
}
