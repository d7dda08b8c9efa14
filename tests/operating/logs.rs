//! Tests of the log of a running gateway. They run the binary itself.
//!
//! The gateway logs its startup, reloads, workers that connect and disconnect, and rejected
//! requests. Peers cannot raise the rate of the lines. Colours appear only on a terminal.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::binary::binary;
use crate::support::gateway::{engine_is, on_this_engine, with_admin, yaml as yaml_of_people};
use crate::support::process::Process;
use crate::support::sockets::{answer, connected, named, receive, send};
use crate::support::zmtp::{Raw, message};
use crate::support::{ANN, TEST_TIMEOUT};

const PERSON: &str = "syntax = \"proto3\"; package demo; message Person { string name = 1; }";

/// Returns a routes.yaml for the engine under test, with additional settings of `reload` and
/// additional routes.
fn yaml(reload: &str, routes: &str) -> String {
    on_this_engine(&format!(
        r#"frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0", errors: json }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0", queue: 0, timeout: 5s }} }}
reload: {{ {reload} }}
routes:
  A: {{ schema: demo.Person, pool: people }}
{routes}"#
    ))
}

fn files(text: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("schemas")).unwrap();
    fs::write(directory.path().join("schemas/person.proto"), PERSON).unwrap();
    fs::write(directory.path().join("routes.yaml"), text).unwrap();
    directory
}

/// A gateway as a process, and the lines of its log.
struct Logged {
    process: Child,
    lines: Receiver<String>,
    /// The lines that [`Logged::await_line`] has passed over.
    seen: VecDeque<String>,
    directory: tempfile::TempDir,
}

impl Logged {
    fn start(text: &str, arguments: &[&str]) -> Self {
        Self::spawn(files(text), Command::new(binary()).args(arguments))
    }

    /// Starts a gateway with a command. RUST_LOG is removed, unless the command sets it.
    fn spawn(directory: tempfile::TempDir, command: &mut Command) -> Self {
        if !command.get_envs().any(|(name, _)| name == "RUST_LOG") {
            command.env_remove("RUST_LOG");
        }
        let mut process = command
            .current_dir(directory.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(process.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            process,
            lines,
            seen: VecDeque::new(),
            directory,
        }
    }

    /// Returns the next line that contains all of these words, and moves the lines before it to
    /// `seen`.
    #[track_caller]
    fn await_line(&mut self, words: &[&str]) -> String {
        let deadline = Instant::now() + TEST_TIMEOUT;
        loop {
            let timeout = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(timeout) else {
                panic!("no {words:?} in {:#?}", self.seen);
            };
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
            self.seen.push_back(line);
        }
    }

    fn write(&self, text: &str) {
        fs::write(self.directory.path().join("routes.yaml"), text).unwrap();
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Stops the gateway with SIGTERM, and returns the lines that have not been read yet.
    fn end(mut self) -> Vec<String> {
        self.signal("-TERM");
        assert!(self.process.wait().unwrap().success());
        self.lines.iter().collect()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the endpoint in a line of the human-readable log.
fn endpoint(line: &str) -> String {
    line.split("endpoint=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn the_configuration_and_the_addresses_are_logged_at_startup() {
    let mut gateway = Logged::start(&yaml("", ""), &[]);
    let loaded = gateway.await_line(&["loaded"]);
    assert!(
        loaded.contains("loaded 1 route, 1 pool, 1 frontend, 1 message"),
        "{loaded}"
    );
    assert!(loaded.contains("config=routes.yaml"), "{loaded}");
    let version = format!("version=\"{}\"", env!("GATEWAY_VERSION"));
    assert!(loaded.contains(&version), "{loaded}");
    for what in ["frontend clients listens", "pool people listens"] {
        let endpoint = endpoint(&gateway.await_line(&[what]));
        let port = endpoint.strip_prefix("tcp://127.0.0.1:").unwrap();
        assert!(port.parse::<u16>().unwrap() > 0, "{endpoint}");
    }
    assert!(gateway.await_line(&["ready"]).contains("generation=1"));
    assert!(
        gateway
            .end()
            .iter()
            .any(|line| line.contains("stopped received=0"))
    );
}

#[test]
fn a_reload_without_changes_is_logged_after_its_warnings() {
    let route = "  0x01: { pool: people }";
    let mut gateway = Logged::start(&yaml("settle: 20ms", route), &[]);
    gateway.await_line(&["ready"]);
    gateway.write(&yaml("settle: 20ms", &format!("{route} # a remark")));
    gateway.await_line(&["warning: \"0x01\" is a type of 4 letters"]);
    let line = gateway.await_line(&["reload: "]);
    let end = "reload: nothing changed; the files match the running configuration generation=1";
    assert!(line.ends_with(end), "{line}");
}

#[test]
fn a_reload_logs_its_changes_in_one_line() {
    let mut gateway = Logged::start(&yaml("settle: 20ms", ""), &[]);
    gateway.await_line(&["ready"]);
    let edited = yaml(
        "settle: 20ms",
        "  B: { pool: people }\n  \"C\\e[31m\": { pool: people }\n",
    );
    gateway.write(&edited.replace("queue: 0, timeout: 5s", "queue: 2, timeout: 6s"));
    let line = gateway.await_line(&["reloaded"]);
    // Route A inherits its timeout from the pool.
    let end = r"reloaded: ~1 pool (people), +2 routes (B, C\u{1b}[31m), ~1 route (A) generation=2";
    assert!(line.ends_with(end), "{line}");
    let many: String = (0..9)
        .map(|n| format!("  M{n}: {{ pool: people }}\n"))
        .collect();
    gateway.write(&yaml("settle: 20ms", &many));
    let line = gateway.await_line(&["reloaded"]);
    assert!(
        line.contains("+9 routes, ~1 route (A), -2 routes (B, "),
        "{line}"
    );
    gateway.write("routes: [");
    let line = gateway.await_line(&["reload failed"]);
    assert!(line.contains("generation=3"), "{line}");
    assert!(
        gateway
            .seen
            .iter()
            .any(|line| line.contains("--> routes.yaml:1:"))
    );
}

#[test]
fn rejections_are_logged_once_and_then_counted() {
    let mut gateway = Logged::start(&yaml("", ""), &["--log-format", "json"]);
    let json = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let at = json(&gateway.await_line(&["frontend clients listens"]))["endpoint"]
        .as_str()
        .unwrap()
        .to_owned();
    let context = zmq::Context::new();
    let client = named(&context, b"evil\n\x1b[31m", &at);
    let reject = |kind: &[u8], payload: &[u8]| {
        client.send_multipart([kind, payload], 0).unwrap();
        assert_eq!(client.recv_multipart(0).unwrap()[0], b"ERROR");
    };
    for n in 0..500 {
        // However many types a client invents, the log treats them as one kind of rejection.
        reject(format!("nobody\n\x1b[31m{n}").as_bytes(), b"");
        reject(b"A", b"\xff");
        reject(b"A", b"\x0a\x01x");
    }
    let lines: Vec<_> = gateway.end().iter().map(|line| json(line)).collect();
    let rejected = |reason: &str| -> Vec<Value> {
        let lines = lines.iter().filter(|line| line["reason"] == reason);
        lines.cloned().collect()
    };
    for (reason, route, level) in [
        ("unknown_type", None, "INFO"),
        ("schema_violation", Some("A"), "INFO"),
        ("queue_full", Some("A"), "WARN"),
    ] {
        let reported = rejected(reason);
        let single = reported
            .iter()
            .filter(|line| line["message"] == "rejected")
            .count() as u64;
        let counted: u64 = reported
            .iter()
            .filter_map(|line| line["left_out"].as_u64())
            .sum();
        assert_eq!(single + counted, 500, "{reported:#?}");
        // The first rejection has a line, and every ten seconds a line counts the later ones.
        assert!(reported.len() < 10, "{reported:#?}");
        let first = &reported[0];
        assert_eq!(first["route"].as_str(), route, "{first}");
        assert_eq!(first["level"], level);
        assert_eq!(
            (&first["frontend"], &first["generation"]),
            (&"clients".into(), &1.into())
        );
        assert_eq!(
            first["client"], "6576696c0a1b5b33316d",
            "the identity is in hex, because it is not printable"
        );
        assert!(!first["why"].as_str().unwrap().is_empty());
    }
}

/// Engine libzmq does not know the addresses of its peers.
#[test]
fn rejections_are_logged_for_each_client_with_the_address_and_type() {
    let routes = "  \"person.*\": { schema: { json: demo.Person }, pool: people }";
    let mut command = Command::new(binary());
    command.args(["--log-format", "json"]);
    let mut gateway = Logged::spawn(files(&yaml("", routes)), &mut command);
    let json = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let line = json(&gateway.await_line(&["frontend clients listens"]));
    let endpoint = line["endpoint"].as_str().unwrap();
    let context = zmq::Context::new();
    let clients = ["one", "two"].map(|name| named(&context, name.as_bytes(), endpoint));
    for client in clients.iter().cycle().take(100) {
        client.send_multipart(["person.new", "{"], 0).unwrap();
        assert_eq!(client.recv_multipart(0).unwrap()[0], b"ERROR");
    }
    let lines: Vec<_> = gateway.end().iter().map(|line| json(line)).collect();
    let reported = lines.iter().filter(|line| line["message"] == "rejected");
    let reported: Vec<_> = reported.collect();
    let mut clients: Vec<_> = reported
        .iter()
        .map(|line| line["client"].as_str())
        .collect();
    clients.sort_unstable();
    clients.dedup();
    assert_eq!(clients, [Some("one"), Some("two")]);
    assert!(reported.len() < 10, "{reported:#?}");
    let mut peers = std::collections::BTreeSet::new();
    for line in reported {
        assert_eq!(
            (&line["route"], &line["type"]),
            (&"person.*".into(), &"person.new".into())
        );
        let peer = line["peer"].as_str();
        if on_this_engine("").contains("libzmq") {
            assert_eq!(peer, None, "libzmq hides the addresses of its peers");
        } else {
            assert!(peer.unwrap().starts_with("tcp://127.0.0.1:"), "{line}");
        }
        peers.insert(peer.map(str::to_owned));
    }
    assert!(peers.len() <= 2);
}

/// A rule that takes too many steps or cannot be evaluated is an error in the schema. So the log
/// has a warning with the name of the rule, and the client receives code 13, INTERNAL.
#[test]
fn a_rule_that_fails_is_named_in_a_warning() {
    const RULED: &str = r#"syntax = "proto3"; package demo; import "buf/validate/validate.proto";
        message Many {
          option (buf.validate.message).cel = {id: "twins", message: "twins",
            expression: "this.n.all(a, this.n.exists(b, b == a))"};
          option (buf.validate.message).cel = {id: "share", message: "share", expression: "12 / this.of > 0"};
          repeated int32 n = 1; int32 of = 2; }"#;
    let routes =
        "  RULED: { schema: { json: demo.Many }, pool: people }\nlimits: { rules_cost: 2000 }";
    let directory = files(&yaml("", routes));
    fs::write(directory.path().join("schemas/many.proto"), RULED).unwrap();
    let mut command = Command::new(binary());
    command.args(["--log-format", "json"]);
    let mut gateway = Logged::spawn(directory, &mut command);
    let json = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let at = json(&gateway.await_line(&["frontend clients listens"]))["endpoint"].clone();
    let context = zmq::Context::new();
    let many = (0..100)
        .map(|n| n.to_string())
        .collect::<Vec<_>>()
        .join(",");
    for (payload, why) in [
        (
            format!(r#"{{"n":[{many}],"of":1}}"#),
            "it takes more steps than limits.rules_cost allows (rule twins)",
        ),
        (r#"{"n":[1]}"#.to_owned(), "division by zero (rule share)"),
    ] {
        // The log reports each reason once for each client, so each payload has its own client.
        let client = named(&context, why.as_bytes(), at.as_str().unwrap());
        client.send_multipart(["RULED", &payload], 0).unwrap();
        let frames = client.recv_multipart(0).unwrap();
        let reported: Value = serde_json::from_slice(&frames[1]).unwrap();
        assert_eq!(
            (&reported["reason"], &reported["code"]),
            (&"rule_failed".into(), &13.into()),
            "{reported}"
        );
        let line = json(&gateway.await_line(&["rule_failed"]));
        assert_eq!(
            (&line["level"], &line["route"]),
            (&"WARN".into(), &"RULED".into())
        );
        let reported = line["why"].as_str().unwrap();
        assert!(
            reported.contains("a rule of demo.Many could not be evaluated")
                && reported.ends_with(why),
            "{reported}"
        );
    }
}

#[test]
fn a_rejection_has_the_same_fields_at_the_levels_info_and_debug() {
    let mut command = Command::new(binary());
    command.args(["--log-format", "json"]);
    let command = command.env("RUST_LOG", "gateway=debug");
    let mut gateway = Logged::spawn(files(&yaml("", "")), command);
    let json = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let at = json(&gateway.await_line(&["frontend clients listens"]))["endpoint"].clone();
    let context = zmq::Context::new();
    let client = named(&context, b"one", at.as_str().unwrap());
    for _ in 0..3 {
        client.send_multipart([&b"A"[..], b"\xff"], 0).unwrap();
        assert_eq!(client.recv_multipart(0).unwrap()[0], b"ERROR");
    }
    let lines: Vec<_> = gateway.end().iter().map(|line| json(line)).collect();
    let fields = |level: &str| -> Vec<Vec<String>> {
        let lines = lines.iter().filter(|line| line["message"] == "rejected");
        let lines = lines.filter(|line| line["level"] == level);
        lines
            .map(|line| line.as_object().unwrap().keys().cloned().collect())
            .collect()
    };
    let (debug, info) = (fields("DEBUG"), fields("INFO"));
    assert_eq!((debug.len(), info.len()), (3, 1));
    assert!(
        debug.iter().all(|line| *line == info[0]),
        "{debug:?} {info:?}"
    );
}

#[test]
fn a_client_that_connects_is_named_at_level_debug() {
    if !engine_is("native") {
        return;
    }
    let mut command = Command::new(binary());
    command.args(["--log-format", "json", "--log-level", "debug"]);
    let mut gateway = Logged::spawn(files(&yaml("", "")), &mut command);
    let json = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let at = json(&gateway.await_line(&["frontend clients listens"]))["endpoint"].clone();
    let context = zmq::Context::new();
    let _client = named(&context, b"one", at.as_str().unwrap());
    let line = json(&gateway.await_line(&["client connected"]));
    assert_eq!(
        (&line["level"], &line["frontend"], &line["client"]),
        (&"DEBUG".into(), &"clients".into(), &"one".into())
    );
    let peer = line["peer"].as_str().unwrap();
    assert!(peer.starts_with("tcp://127.0.0.1:"), "{line}");
    gateway.end();
}

#[test]
fn the_argument_for_the_level_overrides_the_variable() {
    let start = |level: &str| {
        let mut command = Command::new(binary());
        command
            .args(["--log-level", level])
            .env("RUST_LOG", "gateway=error");
        Logged::spawn(files(&yaml("", "")), &mut command)
    };
    let mut info = start("info");
    info.await_line(&["INFO", "ready"]);
    assert!(!info.seen.iter().any(|line| line.contains("DEBUG")));
    info.end();
    let mut debug = start("debug");
    debug.await_line(&["DEBUG", "descriptors"]);
    debug.await_line(&["INFO", "ready"]);
    debug.end();
    let mut wrong = Command::new(binary());
    let refused = wrong.args(["--log-level", "loud"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_reload_changes_the_level_and_the_format_of_the_log() {
    let yaml_with = |log: &str| format!("{}{log}\n", yaml("", ""));
    let mut gateway = Logged::start(&yaml_with(""), &[]);
    gateway.await_line(&["ready"]);
    gateway.write(&yaml_with("log: { level: debug, format: json }"));
    let reloaded = gateway.await_line(&["reloaded: log"]);
    assert!(reloaded.contains(" INFO "), "{reloaded}");
    let set = gateway.await_line(&["the log has level debug, format json"]);
    let set: Value = serde_json::from_str(&set).unwrap();
    assert_eq!(set["level"], "INFO");
    // Diagnostics are logged in the new format as well.
    gateway.write("routes: [");
    let fault: Value = serde_json::from_str(&gateway.await_line(&["not valid YAML"])).unwrap();
    assert_eq!(fault["level"], "ERROR");
    gateway.await_line(&["reload failed"]);
    // The outcome of a reload is logged before the new level applies.
    gateway.write(&yaml_with("log: { level: error }"));
    gateway.await_line(&["reloaded: log"]);
    gateway.seen.clear();
    gateway.write("routes: [");
    let failed = gateway.await_line(&["reload failed"]);
    assert!(failed.contains("ERROR reload failed"), "{failed}");
    let has_info = gateway.seen.iter().any(|line| line.contains("INFO"));
    assert!(!has_info, "{:#?}", gateway.seen);
}

#[test]
fn the_command_line_and_the_variable_override_the_configuration() {
    let text = format!("{}log: {{ level: error, format: human }}\n", yaml("", ""));
    let arguments = ["--log-level", "info", "--log-format", "json"];
    let mut gateway = Logged::start(&text, &arguments);
    let ready: Value = serde_json::from_str(&gateway.await_line(&["ready"])).unwrap();
    assert_eq!(ready["level"], "INFO");
    let mut command = Command::new(binary());
    let mut gateway = Logged::spawn(files(&text), command.env("RUST_LOG", "info"));
    gateway.await_line(&["ready"]);
}

/// The human-readable log contains no control character from a peer.
#[test]
fn text_that_a_peer_chose_is_escaped_in_the_log() {
    let text = yaml(
        "",
        "  M: { schema: { msgpack: demo.Person, unknown_fields: reject }, pool: people }\n",
    );
    let mut gateway = Logged::start(&text, &[]);
    let at = endpoint(&gateway.await_line(&["frontend clients listens"]));
    let context = zmq::Context::new();
    let client = connected(&context, zmq::DEALER, &at);
    let reject = |kind: &[u8], payload: &[u8]| {
        client.send_multipart([kind, payload], 0).unwrap();
        assert_eq!(client.recv_multipart(0).unwrap()[0], b"ERROR");
    };
    reject(b"x\x1b[31m\ny", b"");
    // The payload is a map with a key that is not a field of the message.
    reject(b"M", b"\x81\xa8\x1b[31m\nab\x01");
    let field = gateway.await_line(&["schema_violation"]);
    let lines = gateway.end();
    for line in lines.iter().chain([&field]) {
        assert!(!line.contains('\u{1b}'), "{line:?}");
        assert!(
            line.starts_with("20"),
            "a peer has broken this line: {line:?}"
        );
    }
}

/// Asserts that a line has the name and the address of a worker. Engine libzmq knows neither the
/// name nor the address, so its lines have only the number of workers.
#[track_caller]
fn assert_names_worker(line: &str) {
    let name = r#"pool="people" seat=0 worker="worker1" peer="tcp://127.0.0.1:"#;
    let number = r#"pool="people" seat=0 workers="#;
    let fields = if engine_is("libzmq") { number } else { name };
    assert!(line.contains(fields), "{line}");
}

#[test]
fn workers_that_connect_and_disconnect_are_logged_and_then_counted() {
    let mut gateway = Logged::start(&yaml("", ""), &[]);
    let at = endpoint(&gateway.await_line(&["pool people listens"]));
    for n in 0..5 {
        let context = zmq::Context::new();
        let worker = named(&context, b"worker1", &at);
        if n == 0 {
            let line = gateway.await_line(&["worker connected"]);
            assert!(line.contains("workers=1"), "{line}");
            assert_names_worker(&line);
        }
        drop(worker);
        drop(context);
        if n == 0 {
            let line = gateway.await_line(&["worker disconnected"]);
            assert!(line.contains("workers=0"), "{line}");
            assert_names_worker(&line);
        }
    }
    let lines = gateway.end();
    let reported = lines.iter().filter(|line| line.contains("worker")).count();
    assert!(reported <= 4, "{lines:#?}");
}

#[test]
fn a_reload_logs_that_new_values_of_variables_need_a_restart() {
    let text = yaml_of_people("", r#"queue: "${GATEWAY_NO_SUCH_QUEUE:-7}""#);
    let mut process = Process::start(&text);
    process.await_first_check();
    let line = process.await_line("reload: nothing changed");
    let message = line["message"].as_str().unwrap();
    let words = "environment variables were read at startup, and changes to them need a restart";
    assert!(message.ends_with(words), "{message}");
    // The hint appears only if a value comes from the environment.
    fs::write(process.file(), yaml_of_people("", "queue: 7")).unwrap();
    process.reload();
    let line = process.await_line("reload: nothing changed");
    assert!(
        !line["message"].as_str().unwrap().contains("environment"),
        "{line}"
    );
}

#[test]
fn a_worker_that_has_never_answered_is_named_when_a_request_times_out() {
    if !engine_is("native") {
        return;
    }
    let mut process = Process::start(&yaml_of_people("", "timeout: 100ms"));
    let context = zmq::Context::new();
    let _worker = named(&context, b"worker1", &process.endpoint("pool people"));
    process.await_line("worker connected");
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    client.send_multipart([&b"PERSON"[..], ANN], 0).unwrap();
    receive(&client);
    let line = process.await_line("a worker that never answered let a request time out");
    let fields = (&line["pool"], &line["worker"], &line["seat"]);
    assert_eq!(fields, (&"people".into(), &"worker1".into(), &0.into()));
    assert!(
        line["peer"]
            .as_str()
            .unwrap()
            .starts_with("tcp://127.0.0.1:"),
        "{line}"
    );
}

/// The answers take more bytes than the system buffers for a client that does not read.
#[test]
fn a_drain_logs_that_clients_have_not_read_their_answers() {
    if !engine_is("native") {
        return;
    }
    let text = with_admin(
        "",
        "",
        "limits: { client_bytes: 1GiB }\nshutdown: { grace: 60s }",
    );
    let mut process = Process::start(&text);
    let context = zmq::Context::new();
    let worker = process.peer(&context, zmq::DEALER, "pool people");
    let mut client = Raw::peer(&process.endpoint("frontend clients"), "DEALER");
    for _ in 0..48 {
        client.send(&message(&[&b"PERSON"[..], ANN]));
        answer(&worker, &vec![0; 1 << 20]);
    }
    process.signal("TERM");
    let line = process.await_line("draining: waiting for clients to read their answers");
    assert!(line["answers"].as_u64().unwrap() > 0, "{line}");
    for _ in 0..48 {
        assert_eq!(client.receive_message()[1].len(), 1 << 20);
    }
    assert!(process.wait().success());
}

/// A worker at a frontend sends nothing, and looks like an idle client to the gateway. So the
/// warning has a condition: "if one is a worker".
#[test]
fn a_worker_that_connects_to_a_frontend_is_logged() {
    if !engine_is("native") {
        return;
    }
    let mut process = Process::start(&yaml_of_people("", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    // The warning does not count these two clients: `client` has sent a message, and a peer with a
    // REQ socket cannot be a worker that waits for requests.
    send(&client, &["nobody's", ""]);
    receive(&client);
    let _req = process.peer(&context, zmq::REQ, "frontend clients");
    let worker = process.peer(&context, zmq::DEALER, "frontend clients");
    process.await_metrics("three clients", |metrics| {
        metrics.sum("gateway_clients", &[]) == 3.0
    });
    client.send_multipart([&b"PERSON"[..], ANN], 0).unwrap();
    let line = process.await_line("DEALER peers at a frontend have sent nothing");
    assert_eq!(
        (&line["level"], &line["silent"]),
        (&"WARN".into(), &1.into())
    );
    assert_eq!(line["pool"], "people");
    let peers = line["peers"].as_str().unwrap();
    assert!(
        peers.starts_with("tcp://127.0.0.1:") && !peers.contains(','),
        "{line}"
    );
    let message = line["message"].as_str().unwrap();
    let cure = "if one is a worker of pool people, it is at the wrong address: workers connect to tcp://127.0.0.1:0";
    assert!(message.ends_with(cure), "{message}");
    drop(worker);
    let worker = process.peer(&context, zmq::DEALER, "pool people");
    answer(&worker, b"y");
    receive(&client);
}

/// Returns the two ends of a new pseudo-terminal: first the end for the test, then the end for the
/// program.
fn terminal() -> (fs::File, OwnedFd) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let terminal = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(Path::new(name.to_str().unwrap()))
        .unwrap();
    (fs::File::from(controller), terminal.into())
}

/// Runs a command with a terminal as its standard error, and returns the output to the terminal.
fn run_at_terminal(command: &mut Command) -> String {
    let (mut controller, terminal) = terminal();
    let mut child = command.stderr(Stdio::from(terminal)).spawn().unwrap();
    // `command` holds a copy of the end for the program, which would keep the terminal open.
    // Setting another stderr closes this copy.
    command.stderr(Stdio::null());
    let mut output = Vec::new();
    // Reading fails once no process has the terminal open.
    let _ = controller.read_to_end(&mut output);
    child.wait().unwrap();
    String::from_utf8_lossy(&output).into_owned()
}

#[test]
fn colours_appear_only_on_terminals_without_the_variable_no_color() {
    let broken = files("routes: [");
    // This configuration is valid, but the gateway exits because its address is in use.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let valid = files(&yaml("", "").replacen("127.0.0.1:0", &address, 1));
    for (directory, arguments, word) in [
        (&broken, &["check"][..], "error"),
        (&valid, &["run"][..], "can't listen"),
    ] {
        let gateway = || {
            let mut command = Command::new(binary());
            command.args(arguments).current_dir(directory.path());
            command
                .env_remove("RUST_LOG")
                .env_remove("NO_COLOR")
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            command
        };
        let shown = run_at_terminal(&mut gateway());
        assert!(
            shown.contains("\u{1b}[") && shown.contains(word),
            "{shown:?}"
        );
        let plain = run_at_terminal(gateway().env("NO_COLOR", "1"));
        assert!(
            !plain.contains('\u{1b}') && plain.contains(word),
            "{plain:?}"
        );
        let piped = gateway().stderr(Stdio::piped()).output().unwrap().stderr;
        let piped = String::from_utf8(piped).unwrap();
        assert!(
            !piped.contains('\u{1b}') && piped.contains(word),
            "{piped:?}"
        );
    }
}

/// The test causes more events than fit into inotify's queue, so the system drops the event of the
/// edit. The other events report no change. Without an event, the gateway reads the files again
/// only after five seconds. So a reload within four seconds was caused by the overflow.
#[test]
fn an_edit_whose_event_was_dropped_is_noticed() {
    const RELOAD_TIME_MAX: Duration = Duration::from_secs(4);
    let mut gateway = Logged::start(&yaml("settle: 20ms", ""), &[]);
    gateway.await_line(&["ready"]);
    let queue = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let queue: usize = queue.trim().parse().unwrap();
    let noise = ["one", "two"].map(|name| gateway.directory.path().join(name));
    for file in &noise {
        fs::write(file, "").unwrap();
    }
    // Several attempts are made, because a busy machine may be slow. Without the overflow, no
    // attempt would be fast enough.
    let is_in_time = (0..5).any(|n| {
        // This edit restarts the interval of five seconds.
        gateway.write(&yaml(
            "settle: 20ms",
            &format!("  FIRST{n}: {{ pool: people }}\n"),
        ));
        gateway.await_line(&["reloaded", &format!("+1 route (FIRST{n})")]);
        let start = Instant::now();
        gateway.signal("-STOP");
        // inotify merges equal consecutive events, so two files take turns. The files are opened
        // but not changed.
        for n in 0..2 * queue {
            drop(fs::File::open(&noise[n % 2]).unwrap());
        }
        gateway.write(&yaml(
            "settle: 20ms",
            &format!("  LAST{n}: {{ pool: people }}\n"),
        ));
        gateway.signal("-CONT");
        gateway.await_line(&["reloaded", &format!("+1 route (LAST{n})")]);
        start.elapsed() < RELOAD_TIME_MAX
    });
    assert!(is_in_time, "only the regular check noticed the edit");
}
