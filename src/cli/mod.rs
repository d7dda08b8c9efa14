//! The command line: one file per subcommand, and `log`.
//!
//! Exit codes: 0 fine, 1 the user's files or the system said no, 2 usage.

mod arguments;
mod ask;
mod check;
mod config_schema;
mod configuration;
mod filter;
mod log;
mod output;
mod render;
mod run;
mod signals;

use std::process::ExitCode;

pub use arguments::Arguments;
use arguments::{Command, Warnings};
use ask::Question;

/// Carries out the command and returns the process's exit code.
pub fn execute(arguments: Arguments) -> ExitCode {
    match arguments.command.clone().unwrap_or(Command::Run) {
        Command::Run => run::run(&arguments),
        Command::Check {
            path,
            format,
            strict,
        } => {
            let warnings = if strict {
                Warnings::Refused
            } else {
                Warnings::Allowed
            };
            let path = path.as_deref().unwrap_or(&arguments.config);
            check::check(path, format, warnings)
        }
        Command::ConfigSchema => config_schema::print(),
        Command::Health => ask::ask(&arguments.config, Question::Health),
        Command::Reload => ask::ask(&arguments.config, Question::Reload),
    }
}
