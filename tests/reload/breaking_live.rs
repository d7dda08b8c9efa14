//! Tests of breaking edits of a running gateway's schemas. The tests run the binary itself, and
//! check its log and the schema in force afterwards.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use crate::support::ANN;
use crate::support::binary::binary;
use crate::support::gateway::on_this_engine;
use crate::support::sockets::{TEST_TIMEOUT_MS, receive, send, socket, texts};

const PERSON: &str = r#"syntax = "proto3";
package demo;
message Person {
  int32 id = 1;
  string name = 2;
}
"#;

/// A gateway as a process, with its log and a client.
struct Live {
    process: Child,
    log: Receiver<String>,
    directory: tempfile::TempDir,
    client: zmq::Socket,
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Live {
    fn start(breaking: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("schemas")).unwrap();
        write(&directory, PERSON, breaking);
        let mut process = Command::new(binary())
            .current_dir(directory.path())
            .env("RUST_LOG", "info")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, log) = mpsc::channel();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        std::thread::spawn(move || {
            let mut lines = lines.map_while(Result::ok);
            lines.try_for_each(|line| sender.send(line))
        });
        let context = zmq::Context::new();
        let client = socket(&context, zmq::DEALER);
        let live = Self {
            process,
            log,
            directory,
            client,
        };
        let log = live.log_until("ready");
        let at = |role: &str| {
            let line = log.lines().find(|line| line.contains(role)).unwrap();
            line.split('"').nth(1).unwrap().to_owned()
        };
        live.client.connect(&at("frontend clients")).unwrap();
        live
    }

    /// Returns the log up to and including the first line that contains `end`.
    #[track_caller]
    fn log_until(&self, end: &str) -> String {
        let mut log = String::new();
        while !log.contains(end) {
            match self
                .log
                .recv_timeout(Duration::from_millis(TEST_TIMEOUT_MS as u64))
            {
                Ok(line) => log.push_str(&(line + "\n")),
                Err(_) => panic!("no line with {end:?} in\n{log}"),
            }
        }
        log
    }

    fn edit(&self, proto: &str, breaking: &str) {
        write(&self.directory, proto, breaking);
    }

    /// Sends a payload, and returns its rejection as text. No worker is connected, so the reason
    /// shows whether the schema in force accepts the payload.
    fn judge(&self, kind: &[u8], payload: &[u8]) -> String {
        send(&self.client, &[kind, payload]);
        texts(&receive(&self.client)).concat()
    }
}

fn write(directory: &tempfile::TempDir, proto: &str, breaking: &str) {
    let yaml = format!(
        r#"
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0", errors: json }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0", timeout: 1ms }} }}
reload: {{ settle: 50ms }}
proto: {{ {breaking} }}
routes:
  PERSON: {{ schema: demo.Person, pool: people }}
  SECOND: {{ reply: {{ msgpack: demo.Person }}, pool: people }}
"#
    );
    // routes.yaml is written first, so that a reload between the two writes cannot find the new
    // .proto with the earlier setting.
    fs::write(directory.path().join("routes.yaml"), on_this_engine(&yaml)).unwrap();
    fs::write(directory.path().join("schemas/person.proto"), proto).unwrap();
}

/// Asserts that the log contains the expected text.
#[track_caller]
fn assert_contains(log: &str, expected: &str) {
    assert!(log.contains(expected), "{expected}\n-- in --\n{log}");
}

#[test]
fn reject_refuses_the_edit_and_the_old_snapshot_stays_in_force() {
    let live = Live::start("breaking: reject");
    let broken = PERSON.replace("  string name = 2;\n", "\n  int32 name = 2;\n");
    live.edit(&broken, "breaking: reject");
    let log = live.log_until("keeping the previous configuration");
    assert_contains(
        &log,
        "error: demo.Person.name changed its type from string to int32
 --> schemas/person.proto:6:9
  |
6 |   int32 name = 2;
  |         ^^^^ breaks messages of existing peers
  = note: the old definition was at schemas/person.proto:5:10: string name = 2;
  = note: affects route PERSON at name, in protobuf
  = note: affects route SECOND (reply) at name, in msgpack
  = help: keep the field as it was, and add another field for the new type;
          proto: { breaking: warn } accepts such edits with a warning
",
    );
    assert!(
        live.judge(b"PERSON", ANN).contains("no_worker"),
        "the payload passes the old schema"
    );
    // A later edit that breaks nothing takes effect, and another breaking edit is rejected again.
    let safe = PERSON
        .replace("message", "// People.\nmessage")
        .replace("}", "  string email = 3;\n}");
    live.edit(&safe, "breaking: reject");
    let log = live.log_until("reloaded");
    assert!(!log.contains("demo.Person"), "{log}");
    live.edit(
        &PERSON.replace("int32 id = 1", "int32 id = 7"),
        "breaking: reject",
    );
    assert_contains(
        &live.log_until("keeping the previous configuration"),
        "demo.Person.id changed its number from 1 to 7",
    );
}

#[test]
fn warn_applies_a_breaking_edit_with_a_warning() {
    let live = Live::start("");
    live.edit(&PERSON.replace("  string name = 2;\n", ""), "");
    let log = live.log_until("reloaded");
    assert_contains(
        &log,
        "warning: demo.Person.name was removed, and its number 2 is not reserved
 --> schemas/person.proto:3:9
  |
3 | message Person {
  |         ^^^^^^ breaks messages of existing peers
  = note: the old definition was at schemas/person.proto:5:10: string name = 2;
  = note: affects route PERSON at name, in protobuf
  = help: write `reserved 2;` in the message, so that nothing takes its number;
          proto: { breaking: reject } refuses such edits
",
    );
    assert_contains(
        &log,
        "demo.Person.name was removed, and its name is not reserved",
    );
    assert_contains(&log, "affects route SECOND (reply) at name, in msgpack");
}

#[test]
fn allow_applies_a_breaking_edit_silently() {
    let live = Live::start("breaking: reject");
    // The edit's own setting of `breaking` applies, so a single edit suffices.
    live.edit(
        &PERSON.replace("string name", "bytes name"),
        "breaking: allow",
    );
    let log = live.log_until("reloaded");
    assert!(!log.contains("demo.Person"), "{log}");
}
