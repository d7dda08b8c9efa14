//! Tests of the binary: panics, pipes, full queues and unread output never block the gateway, and
//! a signal ends it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use crate::support::PATIENCE;
use crate::support::binary::binary;
use crate::support::process::Process;
use crate::support::sockets::{connected, receive, send, texts};

/// A rule whose evaluation overflows the largest timestamp, where a library may panic.
const OVERFLOW: &str = r#"
syntax = "proto3";
package demo;
import "buf/validate/validate.proto";
message Meeting {
  string lasts = 1;
  option (buf.validate.message).cel = {
    id: "ends"
    expression: "timestamp('9999-12-31T23:59:59Z') + duration(this.lasts) < timestamp('9999-12-31T23:59:59Z')"
  };
}
"#;

/// A `demo.Meeting` of 292 years, which overflows any timestamp when it is added to the year 9999.
const MEETING: &[u8] = b"\x0a\x082562047h";

/// A gateway whose log is read up to `ready`, and not read any further.
struct Unread {
    child: Child,
    _log: BufReader<ChildStderr>,
    endpoint: String,
    _directory: tempfile::TempDir,
}

impl Unread {
    fn start(yaml: &str, proto: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let schemas = directory.path().join("schemas");
        fs::create_dir_all(&schemas).unwrap();
        fs::write(schemas.join("demo.proto"), proto).unwrap();
        fs::write(directory.path().join("routes.yaml"), yaml).unwrap();
        let mut child = Command::new(binary())
            .args(["--log-format", "json"])
            .current_dir(&directory)
            .env("RUST_LOG", "gateway=debug")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut endpoint = String::new();
        loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended");
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            match line["message"].as_str() {
                Some("frontend clients listens") => {
                    endpoint = line["endpoint"].as_str().unwrap().to_owned();
                }
                Some("ready") => break,
                _ => {}
            }
        }
        Self {
            child,
            _log: log,
            endpoint,
            _directory: directory,
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends SIGTERM, and returns the exit status of the process.
#[track_caller]
fn end(child: &mut Child) -> ExitStatus {
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    ended(child)
}

/// Waits until the process has ended, and returns its exit status.
#[track_caller]
fn ended(child: &mut Child) -> ExitStatus {
    let id = child.id().to_string();
    let waited = thread::scope(|scope| {
        let (ends, ended) = channel();
        scope.spawn(move || ends.send(child.wait()));
        let waited = ended.recv_timeout(PATIENCE);
        if waited.is_err() {
            // The signal only ends `child.wait()`; the test fails below.
            let _ = Command::new("kill").args(["-KILL", &id]).status();
        }
        waited
    });
    waited.expect("the gateway did not end").unwrap()
}

#[test]
fn rules_that_fail_stop_no_service_and_fill_no_pipe() {
    let yaml = r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes: { MEETING: { schema: demo.Meeting, pool: people } }
"#;
    let mut gateway = Unread::start(yaml, OVERFLOW);
    let context = zmq::Context::new();
    let client = connected(&context, zmq::DEALER, &gateway.endpoint);
    // The log lines of these messages would fill the pipe many times over.
    for _ in 0..30 {
        for _ in 0..100 {
            send(&client, &[&b"MEETING"[..], MEETING]);
        }
        for _ in 0..100 {
            assert_eq!(receive(&client)[0], b"ERROR");
        }
    }
    assert!(end(&mut gateway.child).success());
}

/// Returns a listener at `path` that accepts nothing, and as many connections as fill its backlog.
fn full_queue(path: &Path) -> (UnixListener, Vec<socket2::Socket>) {
    let listener = UnixListener::bind(path).unwrap();
    let mut waiting = Vec::new();
    let address = socket2::SockAddr::unix(path).unwrap();
    loop {
        let socket =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        match socket.connect(&address) {
            Ok(()) => waiting.push(socket),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                return (listener, waiting);
            }
        }
    }
}

#[test]
fn a_full_backlog_at_a_path_blocks_no_start_reload_or_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("taken");
    let _full = full_queue(&path);
    let yaml = |bind: &str, more: &str| {
        format!(
            "engine: native\n\
             frontends: {{ clients: {{ bind: [\"tcp://127.0.0.1:0\", {bind}] }} }}\n\
             pools: {{ people: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
             admin: {{ bind: \"127.0.0.1:0\" }}\n\
             routes: {{ A: {{ pool: people }}{more} }}\n"
        )
    };
    let taken = format!("\"ipc://{}\"", path.display());
    let free = format!("\"ipc://{}\"", directory.path().join("free").display());
    // The gateway does not start if the listener at its path has a full queue.
    fs::write(directory.path().join("routes.yaml"), yaml(&taken, "")).unwrap();
    let mut child = Command::new(binary())
        .current_dir(&directory)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(ended(&mut child).code(), Some(1));
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert!(said.contains("its queue is full"), "{said}");
    // A running gateway rejects an edit that adds the path of this listener.
    let mut process = Process::start(&yaml(&free, ""));
    process.await_first_look();
    fs::write(process.file(), yaml(&taken, "")).unwrap();
    process.await_line("reload failed");
    fs::write(process.file(), yaml(&free, ", B: { pool: people }")).unwrap();
    process.await_line("reloaded: +1 route (B)");
    fs::write(process.file(), yaml(&taken, "")).unwrap();
    process.await_line("reload failed");
    process.signal("TERM");
    assert!(process.wait().success());
}

#[test]
fn a_pipe_that_briefly_replaces_a_file_blocks_no_reload() {
    let yaml = |route: &str| {
        format!(
            "frontends: {{ clients: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
             pools: {{ people: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
             admin: {{ bind: \"127.0.0.1:0\" }}\n\
             reload: {{ settle: 1ms }}\n\
             routes: {{ {route}: {{ pool: people }} }}\n"
        )
    };
    let mut process = Process::start(&yaml("A"));
    process.await_first_look();
    let file = process.file();
    let proto = process.directory.path().join("schemas/person.proto");
    for n in 0..200 {
        for path in [&file, &proto] {
            let (pipe, kept) = (path.with_extension("pipe"), path.with_extension("kept"));
            let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
            assert!(made.success());
            fs::copy(path, &kept).unwrap();
            fs::rename(&pipe, path).unwrap();
            fs::rename(&kept, path).unwrap();
        }
        if n % 50 == 49 {
            fs::write(&file, yaml(&format!("R{n}"))).unwrap();
            loop {
                let line = process.await_line("reloaded");
                if line["message"].as_str().unwrap().contains(&format!("R{n}")) {
                    break;
                }
            }
        }
    }
    // A pipe that stays is reported.
    fs::remove_file(&proto).unwrap();
    let made = Command::new("mkfifo").arg(&proto).status().unwrap();
    assert!(made.success());
    process.await_line("reload failed");
    process.signal("TERM");
    assert!(process.wait().success());
}

/// Starts a gateway, sends it SIGTERM after the first line of its log that contains `begins`, and
/// returns its exit status and the rest of its log.
fn end_after(begins: &str, directory: &Path) -> (ExitStatus, String) {
    let mut child = Command::new(binary())
        .current_dir(directory)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(begins) {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "no {begins}");
    }
    let rest = thread::spawn(|| std::io::read_to_string(log).unwrap());
    let status = end(&mut child);
    (status, rest.join().unwrap())
}

/// Returns a configuration whose start takes a moment, because it has many frontends.
fn many_frontends(more: &str) -> String {
    let frontends: Vec<_> = (0..200)
        .map(|n| format!("  f{n}: {{ bind: \"tcp://127.0.0.1:0\" }}\n"))
        .collect();
    format!(
        "frontends:\n{}pools: {{ people: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
         admin: {{ bind: \"127.0.0.1:0\" }}\n{more}\n",
        frontends.concat()
    )
}

#[test]
fn a_signal_at_any_moment_of_the_start_ends_the_gateway() {
    let directory = tempfile::tempdir().unwrap();
    let yaml = many_frontends("routes: { A: { pool: people } }");
    fs::write(directory.path().join("routes.yaml"), yaml).unwrap();
    for moment in [
        "loaded",
        "frontend f0 listens",
        "frontend f199 listens",
        "pool people listens",
        "ready",
    ]
    .repeat(4)
    {
        let (status, said) = end_after(moment, directory.path());
        // Until the gateway has installed its signal handlers, SIGTERM kills it.
        let by_the_system = moment == "loaded" && status.signal() == Some(15);
        assert!(
            status.success() || by_the_system,
            "{moment}: {status}: {said}"
        );
    }
}

/// An edit and a SIGHUP may come after the gateway has read its files, and before it is ready.
#[test]
fn a_sighup_during_the_start_is_not_lost() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("routes.yaml");
    let yaml = |route: &str| {
        many_frontends(&format!(
            "reload: {{ watch: false }}\nroutes: {{ {route}: {{ pool: people }} }}"
        ))
    };
    for moment in ["frontend f0 listens", "pool people listens", "ready"].repeat(4) {
        fs::write(&file, yaml("A")).unwrap();
        let mut child = Command::new(binary())
            .current_dir(&directory)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let log = BufReader::new(child.stderr.take().unwrap());
        let reader = thread::spawn(move || {
            log.lines()
                .map_while(Result::ok)
                .for_each(|line| drop(sender.send(line)));
        });
        let await_line = |begins: &str| {
            while !lines.recv_timeout(PATIENCE).expect(moment).contains(begins) {}
        };
        await_line(moment);
        fs::write(&file, yaml("B")).unwrap();
        let id = child.id().to_string();
        let sent = Command::new("kill").args(["-HUP", &id]).status().unwrap();
        assert!(sent.success());
        await_line("reloaded: +1 route (B)");
        assert!(end(&mut child).success());
        reader.join().unwrap();
    }
}

fn to_a_full_disk(directory: &Path, arguments: &[&str]) -> Output {
    let full = File::options().write(true).open("/dev/full").unwrap();
    Command::new(binary())
        .args(arguments)
        .current_dir(directory)
        .stdout(full)
        .output()
        .unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn output_that_cannot_be_written_fails_every_command() {
    let process = Process::start(
        r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes: { A: { pool: people } }
"#,
    );
    let directory = process.directory.path();
    for arguments in [
        &["check"][..],
        &["check", "--format", "json"],
        &["config-schema"],
        &["--help"],
        &["--version"],
        &["check", "--help"],
    ] {
        let output = to_a_full_disk(directory, arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("can't write to standard output"), "{said}");
    }
    let usage = to_a_full_disk(directory, &["no-such-command"]);
    assert_eq!(usage.status.code(), Some(2));
    let said = texts(&[usage.stderr]).concat();
    assert!(said.contains("no-such-command"), "{said}");
}
