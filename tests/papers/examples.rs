//! The examples are programs that work: each is run against a gateway, as its first line says.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::gateway::on_this_engine;

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

/// A program that ends with the test.
struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap_or_else(|error| {
            panic!("{error}: {command:?} (`cargo build --examples` builds the examples)")
        }))
    }

    fn wait(mut self) -> (bool, String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        let (stdout, stderr) = (self.0.stdout.take(), self.0.stderr.take());
        stdout.unwrap().read_to_string(&mut out).unwrap();
        stderr.unwrap().read_to_string(&mut err).unwrap();
        (self.0.wait().unwrap().success(), out, err)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Cargo puts examples beside the binary.
fn example(name: &str) -> Command {
    Command::new(Path::new(GATEWAY).with_file_name("examples").join(name))
}

/// The routes.yaml of the repository, on ports that are free.
fn routes(dir: &Path) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = std::fs::read_to_string(repository.join("routes.yaml")).unwrap();
    let free = shipped
        .replace("tcp://*:5559", "tcp://127.0.0.1:0")
        .replace("tcp://*:5560", "tcp://127.0.0.1:0");
    let schemas = repository.join("schemas");
    let path = dir.join("routes.yaml");
    let text = format!("{free}\nproto: {{ import_paths: [{schemas:?}] }}\n");
    std::fs::write(&path, on_this_engine(&text)).unwrap();
    path
}

/// A gateway, its frontend's address and its pool's.
fn gateway(routes: &Path) -> (Process, String, String) {
    let mut command = Command::new(GATEWAY);
    command
        .arg("--config")
        .arg(routes)
        .args(["--log-format", "json"])
        .env_remove("RUST_LOG");
    let mut gateway = Process::start(&mut command);
    let log = BufReader::new(gateway.0.stderr.take().unwrap());
    let lines = log
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap());
    let endpoints = lines
        .take_while(|line: &serde_json::Value| line["message"] != "ready")
        .filter_map(|line| Some(line["endpoint"].as_str()?.to_owned()));
    let [clients, workers] = <[String; 2]>::try_from(endpoints.collect::<Vec<_>>()).unwrap();
    (gateway, clients, workers)
}

#[test]
fn client_and_worker_meet_at_the_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let (_gateway, clients, workers) = gateway(&routes(dir.path()));
    let _worker = Process::start(example("worker").arg(workers));
    let (well, out, err) = Process::start(example("client").arg(clients)).wait();
    assert!(well, "{out}{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines,
        [
            "PROTOBUF: REPLY Processed Protobuf: John Doe",
            "MSGPACK: REPLY Processed MsgPack: John Doe",
            "MSGPACK: refused, schema_violation: name: expected a value, for it is required, found none at byte 0",
        ]
    );
}

#[test]
fn a_gateway_runs_inside_another_program() {
    let (well, out, err) = Process::start(&mut example("embed")).wait();
    assert!(well, "{out}{err}");
    let lines: Vec<&str> = out.lines().collect();
    let [loaded, answered, rejected, ledger] = lines[..] else {
        panic!("{out}");
    };
    assert!(loaded.starts_with("loaded 1 route, 1 pool, 1 frontend, "));
    assert_eq!(answered, r#"{"name": "Ann"} -> REPLY welcome"#);
    assert!(
        rejected.starts_with(r#"{"name": 7} -> ERROR {"code":3,"#),
        "{rejected}"
    );
    assert_eq!(ledger, "1 answered, 1 rejected");
}
