//! The command line: its arguments, its subcommands, and the log.
//!
//! Exit codes: 0 for success, 1 for an error of the user's files or the system, 2 for wrong usage.

mod arguments;
mod ask;
mod check;
mod config_schema;
mod configuration;
mod explain;
mod filter;
mod init;
mod keygen;
mod log;
mod output;
mod render;
mod run;
mod service;
mod signals;

use std::io::{self, Write as _};
use std::process::ExitCode;

pub use arguments::Arguments;
use arguments::{Command, Warnings};
use ask::AdminRequest;

/// Reads the arguments of this process. If they request the help or the version, or are invalid,
/// prints the answer and returns the exit code of the process as the error.
pub fn parse() -> Result<Arguments, ExitCode> {
    Arguments::read().map_err(|answer| {
        let printed = answer.print().and_then(|()| io::stdout().flush());
        let code = u8::try_from(answer.exit_code()).unwrap_or(2);
        output::outcome(printed, ExitCode::from(code))
    })
}

/// Runs the command and returns the exit code of the process. `release_memory` returns free memory
/// of the allocator to the system. It is a parameter because the program chooses the allocator.
pub fn execute(arguments: Arguments, release_memory: fn()) -> ExitCode {
    match arguments.command.clone().unwrap_or(Command::Run) {
        Command::Run => run::run(&arguments, release_memory),
        Command::Check {
            path: _,
            format,
            strict,
            against,
            explain,
        } => {
            if let Some(message) = explain {
                return explain::explain(arguments.configuration(), &message, format);
            }
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
        Command::Keygen {
            user: Some(user), ..
        } => keygen::user(&user),
        Command::Keygen { name, user: None } => keygen::keygen(&name.unwrap_or_default()),
        Command::ConfigSchema => config_schema::print(),
        Command::Health => ask::ask(arguments.configuration(), AdminRequest::Health),
        Command::Reload => ask::ask(arguments.configuration(), AdminRequest::Reload),
    }
}
