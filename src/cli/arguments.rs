//! The arguments of the command line, and its help.

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

/// The version, with the commit that it was built from where the build was told.
pub(super) const VERSION: &str = env!("GATEWAY_VERSION");

/// The arguments of the command line.
#[derive(Debug, Parser)]
#[command(
    name = "gateway",
    version = VERSION,
    about = "A schema gateway for ZeroMQ: checks every message at the edge, hands it to pools of workers, \
             answers every request exactly once.",
    after_help = AFTER_HELP,
    max_term_width = 100
)]
pub struct Arguments {
    /// The configuration, or a directory with a routes.yaml in it; .proto files are found relative to it [default:
    /// routes.yaml]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// How log lines are written to standard error
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    pub(super) log_format: LogFormat,

    /// What is logged, at least as severe as LEVEL; wins over RUST_LOG [default: info]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(super) log_level: Option<LogLevel>,

    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

impl Arguments {
    /// Reads the arguments of this process. The error is also that help or the version is asked for.
    pub(super) fn read() -> Result<Self, clap::Error> {
        let arguments = Self::try_parse()?;
        // Clap finds no conflict of an argument of a subcommand with one in front of the subcommand.
        if arguments.config.is_some() && arguments.path().is_some() {
            let text = "the configuration is named twice: by --config and by PATH";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, text));
        }
        if arguments.config.is_some() && matches!(arguments.command, Some(Command::Init { .. })) {
            let text = "init takes no --config: name the directory, gateway init DIRECTORY";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, text));
        }
        Ok(arguments)
    }

    /// Returns the path of the configuration.
    pub(super) fn configuration(&self) -> &Path {
        let path = self.path().or(self.config.as_deref());
        path.unwrap_or(Path::new("routes.yaml"))
    }

    /// Returns the configuration that a subcommand names by itself.
    fn path(&self) -> Option<&Path> {
        match &self.command {
            Some(Command::Check { path, .. }) => path.as_deref(),
            _ => None,
        }
    }
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
Logging: --log-level debug logs every rejection.
Environment: RUST_LOG sets what is logged of each part, such as
RUST_LOG=gateway::engine=debug; NO_COLOR turns colours off.
Exit codes: 0 fine, 1 the files or the system said no, 2 usage.";

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Command {
    /// Serve, and follow changes of the files; what `gateway` alone does
    Run,
    /// Read the configuration and its .proto files, report every fault with its place, and end
    Check {
        /// The configuration, instead of --config: a file, a directory with a routes.yaml in it, or - for standard
        /// input
        #[arg(value_name = "PATH")]
        path: Option<PathBuf>,

        /// How faults are written
        #[arg(long, value_name = "FORMAT", default_value = "human")]
        format: CheckFormat,

        /// Fail on warnings too
        #[arg(long)]
        strict: bool,

        /// Fail on changes of schemas that break peers of another configuration, such as the one in production: a file,
        /// or a directory with a routes.yaml in it
        #[arg(long, value_name = "PATH")]
        against: Option<PathBuf>,
    },
    /// Write a configuration to begin with, routes.yaml and a .proto file, where there is none
    Init {
        /// The directory, which is made if it is not there
        #[arg(default_value = ".")]
        directory: PathBuf,
    },
    /// Ask the running gateway, at the admin address of the configuration, whether it takes requests
    Health,
    /// Have the running gateway load its files now, and print what came of it
    Reload,
    /// Print a JSON Schema of the configuration, for editors to complete and check it by
    #[command(alias = "schema")]
    ConfigSchema,
}

/// What warnings do to a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Warnings {
    /// The check passes.
    Allowed,
    /// The check fails.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

/// The least severe lines that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CheckFormat {
    /// For people, to standard error
    Human,
    /// An array of objects, to standard output, for editors and CI
    Json,
}
