//! The binary: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use gateway::cli::Arguments;

fn main() -> ExitCode {
    gateway::cli::execute(Arguments::parse())
}
