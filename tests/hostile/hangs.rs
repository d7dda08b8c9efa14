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

use crate::support::TEST_TIMEOUT;
use crate::support::binary::binary;
use crate::support::process::Process;
use crate::support::sockets::{connected, receive, send, texts};

/// A schema with a rule that adds a duration to the largest timestamp. The overflow may make a
/// library panic.
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

/// A gateway whose log is read up to `ready`, and no further.
struct UnreadGateway {
    child: Child,
    _log: BufReader<ChildStderr>,
    endpoint: String,
    _directory: tempfile::TempDir,
}

impl UnreadGateway {
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
            assert!(log.read_line(&mut line).unwrap() > 0, "the gateway ended");
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

impl Drop for UnreadGateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends SIGTERM, and returns the exit status of the process.
#[track_caller]
fn terminate(child: &mut Child) -> ExitStatus {
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    wait_for_end(child)
}

/// Waits until the process has ended, and returns its exit status.
#[track_caller]
fn wait_for_end(child: &mut Child) -> ExitStatus {
    let id = child.id().to_string();
    let waited = thread::scope(|scope| {
        let (sender, receiver) = channel();
        scope.spawn(move || sender.send(child.wait()));
        let waited = receiver.recv_timeout(TEST_TIMEOUT);
        if waited.is_err() {
            // This signal only makes `child.wait()` return. The test fails below.
            let _ = Command::new("kill").args(["-KILL", &id]).status();
        }
        waited
    });
    waited.expect("the gateway did not end").unwrap()
}

#[test]
fn failing_rules_and_an_unread_log_do_not_stop_the_gateway() {
    let yaml = r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes: { MEETING: { schema: demo.Meeting, pool: people } }
"#;
    let mut gateway = UnreadGateway::start(yaml, OVERFLOW);
    let context = zmq::Context::new();
    let client = connected(&context, zmq::DEALER, &gateway.endpoint);
    // The test has stopped reading the log. One log line for each of these messages would fill the
    // pipe many times.
    for _ in 0..30 {
        for _ in 0..100 {
            send(&client, &[&b"MEETING"[..], MEETING]);
        }
        for _ in 0..100 {
            assert_eq!(receive(&client)[0], b"ERROR");
        }
    }
    assert!(terminate(&mut gateway.child).success());
}

/// Returns a listener at `path` that accepts no connection, and the connections that fill its
/// backlog.
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
fn a_full_backlog_at_a_path_blocks_no_startup_reload_or_shutdown() {
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
    // The gateway does not start if another listener at its path has a full backlog.
    fs::write(directory.path().join("routes.yaml"), yaml(&taken, "")).unwrap();
    let mut child = Command::new(binary())
        .current_dir(&directory)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(wait_for_end(&mut child).code(), Some(1));
    let log = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert!(log.contains("its queue is full"), "{log}");
    // A running gateway rejects an edit that adds the path of this listener.
    let mut process = Process::start(&yaml(&free, ""));
    process.await_first_check();
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
    process.await_first_check();
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
    // A pipe that replaces the file permanently makes the reload fail.
    fs::remove_file(&proto).unwrap();
    let made = Command::new("mkfifo").arg(&proto).status().unwrap();
    assert!(made.success());
    process.await_line("reload failed");
    process.signal("TERM");
    assert!(process.wait().success());
}

/// Starts a gateway, and sends it SIGTERM after the first line of its log that contains `text`.
/// Returns its exit status and the rest of its log.
fn terminate_after(text: &str, directory: &Path) -> (ExitStatus, String) {
    let mut child = Command::new(binary())
        .current_dir(directory)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "no {text}");
    }
    let rest = thread::spawn(|| std::io::read_to_string(log).unwrap());
    let status = terminate(&mut child);
    (status, rest.join().unwrap())
}

/// Returns a configuration with many frontends, so that startup takes a while.
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
fn a_signal_at_any_point_of_startup_ends_the_gateway() {
    let directory = tempfile::tempdir().unwrap();
    let yaml = many_frontends("routes: { A: { pool: people } }");
    fs::write(directory.path().join("routes.yaml"), yaml).unwrap();
    for text in [
        "loaded",
        "frontend f0 listens",
        "frontend f199 listens",
        "pool people listens",
        "ready",
    ]
    .repeat(4)
    {
        let (status, log) = terminate_after(text, directory.path());
        // Until the gateway has installed its signal handlers, SIGTERM kills it.
        let is_killed = text == "loaded" && status.signal() == Some(15);
        assert!(status.success() || is_killed, "{text}: {status}: {log}");
    }
}

/// An edit and a SIGHUP may arrive after the gateway has read its files, and before it is ready.
#[test]
fn a_sighup_during_the_start_is_not_lost() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("routes.yaml");
    let yaml = |route: &str| {
        many_frontends(&format!(
            "reload: {{ watch: false }}\nroutes: {{ {route}: {{ pool: people }} }}"
        ))
    };
    for text in ["frontend f0 listens", "pool people listens", "ready"].repeat(4) {
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
        let await_line = |text: &str| {
            while !lines.recv_timeout(TEST_TIMEOUT).expect(text).contains(text) {}
        };
        await_line(text);
        fs::write(&file, yaml("B")).unwrap();
        let id = child.id().to_string();
        let sent = Command::new("kill").args(["-HUP", &id]).status().unwrap();
        assert!(sent.success());
        await_line("reloaded: +1 route (B)");
        assert!(terminate(&mut child).success());
        reader.join().unwrap();
    }
}

/// Runs the gateway with a standard output that cannot be written to, like a file on a full disk.
fn run_with_full_output(directory: &Path, arguments: &[&str]) -> Output {
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
        let output = run_with_full_output(directory, arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            errors.contains("can't write to standard output"),
            "{errors}"
        );
    }
    let usage = run_with_full_output(directory, &["no-such-command"]);
    assert_eq!(usage.status.code(), Some(2));
    let errors = texts(&[usage.stderr]).concat();
    assert!(errors.contains("no-such-command"), "{errors}");
}
