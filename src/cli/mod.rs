//! The command line: one file per subcommand, and `log`.
//!
//! Exit codes: 0 fine, 1 the user's files or the system said no, 2 usage.

mod arguments;
mod check;
mod log;
mod render;
mod run;
mod schema;

use std::process::ExitCode;

pub use arguments::Arguments;
use arguments::Command;

/// Carries out the command and returns the process's exit code.
pub fn execute(arguments: Arguments) -> ExitCode {
    match arguments.command.unwrap_or(Command::Run) {
        Command::Run => run::run(&arguments),
        Command::Check { format } => check::check(&arguments.config, format),
        Command::Schema => schema::print(),
    }
}
