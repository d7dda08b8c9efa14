//! The settings of the process that concern no message: reloads, the log and the admin listener.

use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;

/// The settings for reloading changed files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadSettings {
    /// True if files are watched for changes. SIGHUP reloads them in any case.
    pub watch: bool,
    /// The time for which files must stay unchanged before they are reloaded, so that a burst of
    /// writes causes one reload.
    pub settle: Duration,
}

/// The level and the format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe lines that are logged.
    pub level: LogLevel,
    /// The format of lines.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            format: LogFormat::Human,
        }
    }
}

/// The least severe lines that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the usual names of log levels")]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// Every level, from the fewest lines to the most.
    pub const ALL: [Self; 6] = [
        Self::Off,
        Self::Error,
        Self::Warn,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// Returns the name of the level in routes.yaml, on the command line and in RUST_LOG.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

impl LogFormat {
    /// Returns the name of the format in routes.yaml and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Json => "json",
        }
    }
}

/// The settings of the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// The address to listen on; port 0 lets the system choose.
    pub bind: SocketAddr,
}
