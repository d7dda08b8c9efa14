//! Tests of a log reader that stalls or closes its end: the gateway continues, and reports the
//! number of dropped lines.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value;

use crate::support::PATIENCE;
use crate::support::binary::binary;
use crate::support::gateway::on_this_engine;
use crate::support::sockets::socket;

/// The maximum number of requests whose answers are outstanding.
const WINDOW: usize = 100;

/// A gateway that logs every rejection, and the reading end of its log.
struct Chatty {
    process: Child,
    log: BufReader<ChildStderr>,
    client: zmq::Socket,
    _directory: tempfile::TempDir,
}

impl Chatty {
    /// Starts a gateway, and reads its log until it is ready.
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let yaml = on_this_engine(
            "frontends: { clients: { bind: \"tcp://127.0.0.1:0\" } }\n\
             pools: { people: { bind: \"tcp://127.0.0.1:0\" } }\n\
             routes: { A: { pool: people } }\n",
        );
        fs::write(directory.path().join("routes.yaml"), yaml).unwrap();
        let mut process = Command::new(binary())
            .args(["--log-format", "json"])
            .current_dir(&directory)
            .env("RUST_LOG", "gateway=debug")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let client = socket(&zmq::Context::new(), zmq::DEALER);
        client.set_rcvtimeo(PATIENCE.as_millis() as i32).unwrap();
        let mut gateway = Self {
            process,
            log,
            client,
            _directory: directory,
        };
        let lines = gateway.read_until("ready");
        let mut listens = lines.iter();
        let listens = listens.find(|it| it["message"] == "frontend clients listens");
        let endpoint = listens.unwrap()["endpoint"].as_str().unwrap();
        gateway.client.connect(endpoint).unwrap();
        gateway
    }

    /// Sends requests that are rejected, each of which is logged in a line. Asserts that each is
    /// answered with an ERROR.
    fn reject(&self, requests: usize) {
        for sent in 0..requests {
            self.client.send_multipart(["nobody's", ""], 0).unwrap();
            if sent >= WINDOW {
                self.hear();
            }
        }
        (0..requests.min(WINDOW)).for_each(|_| self.hear());
    }

    #[track_caller]
    fn hear(&self) {
        let answer = self.client.recv_multipart(0).expect("an answer");
        assert_eq!(answer[0], b"ERROR");
    }

    /// Returns the lines of the log up to and including the first one that contains `words`.
    fn read_until(&mut self, words: &str) -> Vec<Value> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "no {words:?}");
            lines.push(serde_json::from_str(&line).unwrap());
            if line.contains(words) {
                return lines;
            }
        }
    }

    fn end(&self) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Reads the rest of the log.
    fn rest(&mut self) -> Vec<Value> {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        let lines = rest.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Drop for Chatty {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the number of debug lines, each of which reports a single rejection.
fn reported(lines: &[Value]) -> usize {
    let debug = lines.iter().filter(|it| it["level"] == "DEBUG");
    debug.filter(|it| it["message"] == "rejected").count()
}

/// The log lines, a few MiB, exceed what the pipe and the gateway's own buffer hold.
#[test]
fn an_unread_log_blocks_nothing_and_dropped_lines_are_reported() {
    const REQUESTS: usize = 25_000;
    let mut gateway = Chatty::start();
    gateway.reject(REQUESTS);
    let mut lines = gateway.read_until("log lines dropped");
    gateway.end();
    lines.extend(gateway.rest());
    assert!(gateway.process.wait().unwrap().success());
    let dropped = lines.iter().filter(|it| it["dropped"].is_u64());
    let dropped: Vec<_> = dropped.collect();
    let count: u64 = dropped.iter().filter_map(|it| it["dropped"].as_u64()).sum();
    assert!(count > 0 && dropped.len() == 1, "{dropped:?}");
    assert_eq!(dropped[0]["level"], "WARN");
    let said = format!("{count} log lines dropped: they were not read in time");
    assert_eq!(dropped[0]["message"], said.as_str());
    // The dropped lines may include the line about the first rejection and those with the counts of
    // the others, which are not debug lines.
    let debug = reported(&lines);
    let off = debug as i64 + count as i64 - REQUESTS as i64;
    assert!((0..10).contains(&off), "{debug} + {count}");
    assert_eq!(lines.last().unwrap()["message"], "stopped");
}

/// The lines exceed what a pipe holds, and are read only after the gateway has been asked to stop.
#[test]
fn every_line_is_written_before_the_end() {
    const REQUESTS: usize = 2_000;
    let mut gateway = Chatty::start();
    gateway.reject(REQUESTS);
    gateway.end();
    let lines = gateway.rest();
    assert!(gateway.process.wait().unwrap().success());
    assert_eq!(reported(&lines), REQUESTS);
    assert_eq!(lines.last().unwrap()["message"], "stopped");
}

#[test]
fn a_log_without_a_reader_blocks_nothing() {
    let mut gateway = Chatty::start();
    // The reading end is closed. The field `log` needs a value, so the reading end of another
    // process replaces it.
    let other = Command::new("true").stderr(Stdio::piped()).spawn();
    let other = other.unwrap().stderr.take().unwrap();
    drop(std::mem::replace(&mut gateway.log, BufReader::new(other)));
    gateway.reject(2_000);
    gateway.end();
    assert!(gateway.process.wait().unwrap().success());
}
