//! The command line: one file per subcommand, and `log`.
//!
//! Exit codes: 0 fine, 1 the user's files or the system said no, 2 usage.

mod check;
mod log;
mod run;
mod schema;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// What the user asked for.
#[derive(Debug, Parser)]
#[command(
    name = "gateway",
    version,
    about = "A schema gateway for ZeroMQ: checks every message at the edge, hands it to pools of workers, \
             answers every request exactly once.",
    after_help = AFTER_HELP,
    max_term_width = 100
)]
pub struct Arguments {
    /// The configuration; .proto files are found relative to it
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        default_value = "routes.yaml"
    )]
    config: PathBuf,

    /// How log lines are written to standard error
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    log_format: LogFormat,

    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "\
A routes.yaml that works, with the message demo.Person in a .proto file below
schemas/:

  frontends:
    clients: { bind: \"tcp://*:5559\" }
  pools:
    people: { bind: \"tcp://*:5560\" }
  routes:
    PROTOBUF: { schema: demo.Person, pool: people }

Clients (DEALER or REQ) send [type, header..., payload] to tcp://HOST:5559.
Workers (DEALER) connect to tcp://HOST:5560, get
[identity, type, header..., payload] and answer
[identity, reply type, header..., payload].

Edits to the configuration and the .proto files take hold while it runs; a
broken one changes nothing.

Signals: SIGTERM or SIGINT lets held requests finish (shutdown.grace), a second
one ends at once; SIGHUP loads the files anew.
Environment: RUST_LOG sets what is logged, such as RUST_LOG=gateway=debug for
every rejection; NO_COLOR turns colours off.
Exit codes: 0 fine, 1 the files or the system said no, 2 usage.";

#[derive(Clone, Copy, Debug, Subcommand)]
enum Command {
    /// Serve, and follow changes of the files; what `gateway` alone does
    Run,
    /// Read the configuration and its .proto files, report every fault with its place, and end
    Check {
        /// How faults are written
        #[arg(long, value_name = "FORMAT", default_value = "human")]
        format: CheckFormat,
    },
    /// Print a JSON Schema of the configuration, for editors to complete and check it by
    Schema,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CheckFormat {
    /// For people, to standard error
    Human,
    /// An array of objects, to standard output, for editors and CI
    Json,
}

/// Does what was asked for.
pub fn execute(arguments: Arguments) -> ExitCode {
    match arguments.command.unwrap_or(Command::Run) {
        Command::Run => run::run(&arguments),
        Command::Check { format } => check::check(&arguments.config, format),
        Command::Schema => schema::print(),
    }
}

/// Whether diagnostics on standard error are coloured.
fn colour() -> bool {
    // https://no-color.org
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
}
