//! The arguments of the command line, and its help.

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::snapshot::{LogFormat, LogLevel};

/// The version, with the commit if it is known.
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
    /// The configuration: a file, or a directory with a routes.yaml in it; import paths are
    /// relative to the file's directory [default: routes.yaml]
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The format of log lines on standard error; takes precedence over the configuration [default:
    /// human]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(super) log_format: Option<LogFormat>,

    /// The least severe lines that are logged; takes precedence over RUST_LOG, which takes
    /// precedence over the configuration [default: info]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(super) log_level: Option<LogLevel>,

    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

impl Arguments {
    /// Reads the arguments of this process. A request for help or the version is an error, too.
    pub(super) fn read() -> Result<Self, clap::Error> {
        let arguments = Self::try_parse()?;
        // Clap finds no conflict between an argument of a subcommand and an argument before the
        // subcommand.
        if arguments.config.is_some() && arguments.path().is_some() {
            let text = "the configuration is named twice: by --config and by PATH";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, text));
        }
        if arguments.config.is_some() && matches!(arguments.command, Some(Command::Init { .. })) {
            let text = "init takes no --config: name the directory as an argument, as in `gateway init DIRECTORY`";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, text));
        }
        Ok(arguments)
    }

    /// Returns the path of the configuration.
    pub(super) fn configuration(&self) -> &Path {
        let path = self.path().or(self.config.as_deref());
        path.unwrap_or(Path::new("routes.yaml"))
    }

    /// Returns the path of the configuration that is an argument of the subcommand, such as PATH of
    /// `check`. Returns `None` if there is no such argument.
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

Edits to the configuration and the .proto files take effect without a restart;
an edit with an error changes nothing.

Signals: SIGTERM or SIGINT lets open requests finish (shutdown.grace), a second
one ends the gateway at once; SIGHUP loads the files again.
Logging: --log-level debug logs every rejection; log: { level: debug } in the
configuration does so without a restart.
Environment: RUST_LOG sets the level of each part, such as
RUST_LOG=gateway::engine=debug; NO_COLOR turns colours off.
Exit codes: 0 success, 1 an error of the files or the system, 2 wrong usage.";

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Command {
    /// Serve, and follow changes of the files; this is the default without a command
    Run,
    /// Read the configuration and its .proto files, report every error with its place, and exit
    Check {
        /// The configuration, instead of --config: a file, a directory with a routes.yaml in it, or
        /// - for standard input
        #[arg(value_name = "PATH")]
        path: Option<PathBuf>,

        /// The format of the errors
        #[arg(long, value_name = "FORMAT", default_value = "human")]
        format: CheckFormat,

        /// Fail on warnings too
        #[arg(long)]
        strict: bool,

        /// Compare the schemas with another configuration, such as the one in production (a file,
        /// or a directory with a routes.yaml in it), and fail on changes that break the peers of
        /// that configuration
        #[arg(long, value_name = "PATH")]
        against: Option<PathBuf>,

        /// Print the buf.validate rules of a message and of the messages in its fields, with the
        /// cost of each rule
        #[arg(long, value_name = "MESSAGE", conflicts_with_all = ["against", "strict"])]
        explain: Option<String>,
    },
    /// Write a first configuration, routes.yaml and a .proto file, unless one of the files exists
    Init {
        /// The directory, which is created if it does not exist
        #[arg(default_value = ".")]
        directory: PathBuf,
    },
    /// Make a CURVE key pair in the working directory: NAME.key with the public key and
    /// NAME.key_secret with both keys. With --user, print the line of a PLAIN user instead
    Keygen {
        /// The name of the keys' owner
        #[arg(required_unless_present = "user", conflicts_with = "user")]
        name: Option<String>,
        /// Read a password from standard input, and print NAME:HASH for a file of users
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// Ask the running gateway, at the admin address of the configuration, whether it accepts
    /// requests
    Health,
    /// Make the running gateway load its files now, and print the outcome
    Reload,
    /// Print a JSON Schema of the configuration, for completion and checks in editors
    #[command(alias = "schema")]
    ConfigSchema,
}

/// The effect of warnings on a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Warnings {
    /// The check passes.
    Allowed,
    /// The check fails.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CheckFormat {
    /// For people, to standard error
    Human,
    /// An array of objects, to standard output, for editors and CI
    Json,
}
