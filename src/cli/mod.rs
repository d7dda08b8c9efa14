//! The command line: one file per subcommand, and `log`.
//!
//! Exit codes: 0 fine, 1 the user's files or the system said no, 2 usage.

mod arguments;
mod ask;
mod check;
mod config_schema;
mod configuration;
mod filter;
mod init;
mod log;
mod output;
mod render;
mod run;
mod signals;

use std::io::{self, Write as _};
use std::process::ExitCode;

pub use arguments::Arguments;
use arguments::{Command, Warnings};
use ask::Question;

/// Reads the arguments of this process. Prints help and version where they are asked for, and what is wrong with the
/// arguments; then the error is the process's exit code.
pub fn parse() -> Result<Arguments, ExitCode> {
    Arguments::read().map_err(|answer| {
        let printed = answer.print().and_then(|()| io::stdout().flush());
        let code = u8::try_from(answer.exit_code()).unwrap_or(2);
        output::outcome(printed, ExitCode::from(code))
    })
}

/// Carries out the command and returns the process's exit code.
pub fn execute(arguments: Arguments) -> ExitCode {
    match arguments.command.clone().unwrap_or(Command::Run) {
        Command::Run => run::run(&arguments),
        Command::Check {
            path: _,
            format,
            strict,
            against,
        } => {
            let warnings = if strict {
                Warnings::Refused
            } else {
                Warnings::Allowed
            };
            check::check(
                arguments.configuration(),
                against.as_deref(),
                format,
                warnings,
            )
        }
        Command::Init { directory } => init::init(&directory),
        Command::ConfigSchema => config_schema::print(),
        Command::Health => ask::ask(arguments.configuration(), Question::Health),
        Command::Reload => ask::ask(arguments.configuration(), Question::Reload),
    }
}
