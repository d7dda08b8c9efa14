//! The brokers that are compared. Each broker is a separate process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gateway_diagnostic::Diagnostics;
use gateway_proto::Compiler;
use gateway_schema::{Encoding, Options, Schema, Table};
use gateway_zmtp::curve::PublicKey;
use tempfile::TempDir;

use crate::forwarder;

/// The argument that makes this program a zmq_proxy from clients to workers.
pub const PROXY: &str = "--proxy";

/// The argument that makes this program a zmq_proxy from XSUB to XPUB.
pub const CHANNEL_PROXY: &str = "--channel-proxy";

/// The argument that makes this program the bare forwarder.
pub const FORWARDER: &str = "--forwarder";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Proxy,
    Native,
    Libzmq,
    Forwarder,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Proxy, Kind::Native, Kind::Libzmq, Kind::Forwarder];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Proxy => "zmq_proxy",
            Kind::Native => "gateway, native",
            Kind::Libzmq => "gateway, libzmq",
            Kind::Forwarder => "bare forwarder",
        }
    }
}

/// A running broker.
pub struct Broker {
    pub kind: Kind,
    process: Child,
    pub clients: String,
    pub workers: String,
    /// The broker's public key, if its subscribers use CURVE.
    pub key: Option<PublicKey>,
    _directory: TempDir,
}

const SCHEMA: &str = r#"
    syntax = "proto3";
    package bench;
    message Blob { int32 id = 1; string name = 2; string email = 3; bytes rest = 4; }
"#;

impl Broker {
    pub fn start(kind: Kind) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let command = match kind {
            Kind::Proxy => this_program(PROXY, directory.path()),
            Kind::Forwarder => this_program(FORWARDER, directory.path()),
            Kind::Native => gateway("native", &pool(""), directory.path()),
            Kind::Libzmq => gateway("libzmq", &pool(""), directory.path()),
        };
        Self::start_by(kind, command, directory)
    }

    /// Starts a broker of a channel. Its publishers connect to the address in `clients`, and its
    /// subscribers to the address in `workers`.
    pub fn start_channel(kind: Kind) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let command = match kind {
            Kind::Proxy => this_program(CHANNEL_PROXY, directory.path()),
            Kind::Native => gateway("native", CHANNEL, directory.path()),
            Kind::Libzmq | Kind::Forwarder => unreachable!("no broker of channels"),
        };
        Self::start_by(kind, command, directory)
    }

    /// Starts the gateway as [`Self::start_channel`] does, with subscribers that use CURVE.
    pub fn start_sealed_channel() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let keys = crate::pair::keys();
        let secret = directory.path().join("gateway.key_secret");
        fs::write(secret, &*keys.secret().to_z85()).expect("a file");
        let command = gateway("native", SEALED_CHANNEL, directory.path());
        let mut broker = Self::start_by(Kind::Native, command, directory);
        broker.key = Some(keys.public());
        broker
    }

    /// Starts a broker by running `command`, which prints the broker's endpoints.
    pub fn start_by(kind: Kind, mut command: Command, directory: TempDir) -> Self {
        command.stdout(Stdio::piped());
        if matches!(kind, Kind::Native | Kind::Libzmq) {
            command.stderr(Stdio::piped()).stdout(Stdio::null());
        }
        let mut process = command.spawn().expect("the broker starts");
        let (clients, workers) = match kind {
            Kind::Proxy | Kind::Forwarder => endpoints(process.stdout.take()),
            Kind::Native | Kind::Libzmq => endpoints(process.stderr.take()),
        };
        Self {
            kind,
            process,
            clients,
            workers,
            key: None,
            _directory: directory,
        }
    }

    /// Returns the CPU time of all threads of the broker so far, including threads that have ended,
    /// in steps of 10 ms.
    pub fn cpu(&self) -> Duration {
        let path = format!("/proc/{}/stat", self.process.id());
        let stat = fs::read_to_string(path).expect("the broker runs");
        // The fields are split after the name, because the name may contain spaces. Fields 14 and
        // 15 in proc(5) are the user and the system time, in hundredths of a second.
        let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
        let spent = fields.split(' ').skip(11).take(2);
        let spent: u64 = spent
            .map(|ticks| ticks.parse::<u64>().expect("a number"))
            .sum();
        Duration::from_millis(10 * spent)
    }

    /// Returns the resident memory of the broker, in bytes.
    pub fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id());
        let status = fs::read_to_string(path).expect("the broker runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number
            .and_then(|kib| kib.parse::<u64>().ok())
            .expect("a size")
            << 10
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // If the process has already ended, the bench has failed elsewhere.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns a command that runs this program as the broker `role`, which prints its endpoints.
fn this_program(role: &str, directory: &Path) -> Command {
    let this = std::env::current_exe().expect("this program's path");
    let mut command = Command::new(this);
    command.arg(role).arg(directory);
    command
}

/// Returns the gateway's configuration as a broker of requests. `more` is YAML with further
/// settings of both the frontend and the pool.
pub fn pool(more: &str) -> String {
    format!(
        r#"
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0"{more} }} }}
pools: {{ workers: {{ bind: "tcp://127.0.0.1:0"{more} }} }}
routes: {{ BLOB: {{ schema: bench.Blob, pool: workers }} }}
limits: {{ client_bytes: 1GiB }}
"#
    )
}

/// The gateway's configuration as a broker of a channel.
const CHANNEL: &str = r#"
channels: { all: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0" } }
routes: { T*: { schema: bench.Blob, publish: all } }
"#;

const SEALED_CHANNEL: &str = r#"
channels:
  all:
    publishers: "tcp://127.0.0.1:0"
    subscribers: { bind: "tcp://127.0.0.1:0", security: { curve: { secret: gateway.key_secret, peers: any } } }
routes: { T*: { schema: bench.Blob, publish: all } }
"#;

/// Returns a command that runs a gateway on `engine`, with the configuration `routes`.
pub fn gateway(engine: &str, routes: &str, directory: &Path) -> Command {
    write_schema(directory);
    let file = directory.join("routes.yaml");
    fs::write(&file, format!("engine: {engine}\n{routes}")).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.args(["--log-format", "json", "-c"]).arg(file);
    command
}

fn write_schema(directory: &Path) -> PathBuf {
    let schemas = directory.join("schemas");
    fs::create_dir(&schemas).expect("a directory");
    fs::write(schemas.join("blob.proto"), SCHEMA).expect("a file");
    schemas
}

/// Returns the endpoints in a broker's first two lines: the clients' endpoint, then the workers'.
fn endpoints(from: Option<impl std::io::Read + Send + 'static>) -> (String, String) {
    let mut lines = BufReader::new(from.expect("a pipe")).lines();
    let mut found = Vec::new();
    while found.len() < 2 {
        let line = lines.next().expect("two endpoints").expect("text");
        // Only the field `endpoint` of a log line counts, because the text of a diagnostic may also
        // contain an endpoint.
        let logged = line.split_once("\"endpoint\":\"tcp://");
        let printed = line.strip_prefix("tcp://");
        if let Some(rest) = printed.or(logged.map(|(_, rest)| rest)) {
            let port = rest.trim_end_matches(|c: char| !c.is_ascii_digit());
            let port = port.split(|c: char| c == '"' || c.is_whitespace()).next();
            found.push(format!("tcp://{}", port.expect("an endpoint")));
        }
    }
    // Later output is read, too. Otherwise it would fill the pipe, and the broker would block.
    std::thread::spawn(move || lines.for_each(drop));
    let workers = found.pop().expect("two endpoints");
    (found.pop().expect("two endpoints"), workers)
}

/// Runs the bare forwarder, which checks payloads with the gateway's schema check.
pub fn run_forwarder(directory: &Path) {
    let roots = [write_schema(directory)];
    let mut found = Diagnostics::new();
    let descriptors = gateway_proto::compile(&roots, Compiler::Builtin, &mut found);
    let descriptors = descriptors.expect("the schema compiles");
    let table = Table::build(descriptors.files()).expect("a table");
    let blob = table.message("bench.Blob").expect("the message");
    let schema = Schema::new(
        Encoding::Protobuf,
        Arc::new(table),
        blob,
        Options::default(),
    );
    forwarder::run(schema).expect("the forwarder runs until it is killed");
}

/// Runs zmq_proxy between clients and workers. It checks nothing.
pub fn run_proxy(_directory: &Path) {
    proxy(zmq::ROUTER, zmq::DEALER);
}

/// Runs zmq_proxy between publishers and subscribers.
pub fn run_channel_proxy(_directory: &Path) {
    proxy(zmq::XSUB, zmq::XPUB);
}

fn proxy(front: zmq::SocketType, back: zmq::SocketType) {
    let context = zmq::Context::new();
    let [front, back] = [front, back].map(|kind| context.socket(kind).expect("a socket"));
    for socket in [&front, &back] {
        // Without high-water marks, the proxy can hold as many messages in flight as the gateway.
        socket.set_sndhwm(0).expect("an option");
        socket.set_rcvhwm(0).expect("an option");
        socket.bind("tcp://127.0.0.1:*").expect("a free port");
        println!(
            "{}",
            socket.get_last_endpoint().expect("bound").expect("text")
        );
    }
    zmq::proxy(&front, &back).expect("the proxy runs until it is killed");
}
