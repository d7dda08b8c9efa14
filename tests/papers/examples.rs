//! Tests of the examples. Each example runs as its first line describes.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::gateway::{engine_is, on_this_engine};
use crate::support::sockets::{connected, receive, send};

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

/// A child process that is killed when this value is dropped.
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

/// Returns a command for an example, which Cargo puts next to the binary.
fn example(name: &str) -> Command {
    Command::new(Path::new(GATEWAY).with_file_name("examples").join(name))
}

/// Writes the repository's routes.yaml, with free ports, into `dir`. Returns the path.
fn routes(dir: &Path) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let original = std::fs::read_to_string(repository.join("routes.yaml")).unwrap();
    let free = original
        .replace("tcp://*:5559", "tcp://127.0.0.1:0")
        .replace("tcp://*:5560", "tcp://127.0.0.1:0");
    let schemas = repository.join("schemas");
    let path = dir.join("routes.yaml");
    let text = format!("{free}\nproto: {{ import_paths: [{schemas:?}] }}\n");
    std::fs::write(&path, on_this_engine(&text)).unwrap();
    path
}

/// Starts a gateway with two addresses, and returns the gateway and the addresses. These are for
/// clients and workers, or for publishers and subscribers.
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
fn the_client_and_worker_examples_exchange_messages() {
    let dir = tempfile::tempdir().unwrap();
    let (_gateway, clients, workers) = gateway(&routes(dir.path()));
    let _worker = Process::start(example("worker").arg(workers));
    let (succeeded, out, err) = Process::start(example("client").arg(clients)).wait();
    assert!(succeeded, "{out}{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines,
        [
            "PROTOBUF: REPLY Processed Protobuf: John Doe",
            "MSGPACK: REPLY Processed MsgPack: John Doe",
            "MSGPACK: refused, schema_violation: name: required field is missing at byte 0",
        ]
    );
}

/// Starts a gateway with the first routes.yaml of docs/channels.md, which has only a channel.
/// Returns the gateway and the addresses for publishers and subscribers.
fn channel(dir: &Path) -> (Process, String, String) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(repository.join("docs/channels.md")).unwrap();
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    let (shown, _) = rest.split_once("```").unwrap();
    let free = shown
        .replace("tcp://*:5561", "tcp://127.0.0.1:0")
        .replace("tcp://*:5562", "tcp://127.0.0.1:0");
    let path = dir.join("routes.yaml");
    let schemas = repository.join("schemas");
    let text = format!("{free}\nproto: {{ import_paths: [{schemas:?}] }}\n");
    std::fs::write(&path, on_this_engine(&text)).unwrap();
    gateway(&path)
}

#[test]
fn a_subscriber_receives_kept_messages_and_every_new_message() {
    if !engine_is("native") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (_gateway, publishers, subscribers) = channel(dir.path());
    let publish = || {
        let (succeeded, out, err) = Process::start(example("publisher").arg(&publishers)).wait();
        let expected =
            "asked for \"\"\npublished tick.Ann\npublished tick.Bob\npublished tick.Cid\n";
        assert!(succeeded && out == expected, "{out}{err}");
    };
    let (ann, bob) = ("tick.Ann: ann@example.com", "tick.Bob: bob@example.com");
    // When the subscriber of the test receives the message about Bob, the gateway has kept this
    // message and the message about Ann.
    let context = zmq::Context::new();
    let first = connected(&context, zmq::SUB, &subscribers);
    first.set_subscribe(b"tick.Bob").unwrap();
    publish();
    receive(&first);
    let mut second = Process::start(example("subscriber").arg(&subscribers));
    let mut lines = BufReader::new(second.0.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        assert_eq!(
            [
                lines.next().unwrap().unwrap(),
                lines.next().unwrap().unwrap()
            ],
            [ann, bob]
        );
        publish();
    }
}

/// Three concurrent calls are answered out of order, and a fourth call is rejected.
#[test]
fn the_client_with_concurrent_calls_handles_each_answer() {
    let dir = tempfile::tempdir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let routes = dir.path().join("routes.yaml");
    let text = format!(
        "frontends: {{ clients: {{ bind: \"tcp://127.0.0.1:0\" }} }}\npools: {{ people: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
         routes: {{ PERSON: {{ schema: {{ json: demo.Person, require: [name] }}, pool: people }} }}\n\
         proto: {{ import_paths: [{:?}] }}\n",
        repository.join("schemas")
    );
    std::fs::write(&routes, on_this_engine(&text)).unwrap();
    let (_gateway, clients, workers) = gateway(&routes);
    // No program listens at the second address.
    let client = Process::start(example("calls").args([&clients, "tcp://127.0.0.1:9"]));
    let context = zmq::Context::new();
    let worker = connected(&context, zmq::DEALER, &workers);
    let answer = |mut request: Vec<Vec<u8>>| {
        let payload: serde_json::Value = serde_json::from_slice(request.last().unwrap()).unwrap();
        request[1] = b"REPLY".to_vec();
        let name = payload["name"].as_str().unwrap();
        *request.last_mut().unwrap() = format!("hello {name}").into_bytes();
        send(&worker, &request);
    };
    // A worker receives only one request before its first answer.
    answer(receive(&worker));
    let [second, third] = [receive(&worker), receive(&worker)];
    answer(third);
    answer(second);
    let (succeeded, out, err) = client.wait();
    assert!(succeeded, "{out}{err}");
    let (answers, rejected) = out.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(answers, "Ann: hello Ann\nBob: hello Bob\nCid: hello Cid");
    assert!(
        rejected.starts_with("rejected, schema_violation: name: "),
        "{rejected}"
    );
}

#[test]
fn a_gateway_runs_inside_another_program() {
    let (succeeded, out, err) = Process::start(&mut example("embed")).wait();
    assert!(succeeded, "{out}{err}");
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
