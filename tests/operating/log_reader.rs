//! Tests of a gateway with a log reader that stalls or closes its end of the pipe. The gateway
//! continues, and reports the number of dropped lines.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value;

use crate::support::TEST_TIMEOUT;
use crate::support::binary::binary;
use crate::support::gateway::on_this_engine;
use crate::support::sockets::socket;

/// The maximum number of unanswered requests.
const UNANSWERED_MAX: usize = 100;

/// A gateway that logs every rejection, and the reading end of its log.
struct Verbose {
    process: Child,
    log: BufReader<ChildStderr>,
    client: zmq::Socket,
    _directory: tempfile::TempDir,
}

impl Verbose {
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
        client
            .set_rcvtimeo(TEST_TIMEOUT.as_millis() as i32)
            .unwrap();
        let mut gateway = Self {
            process,
            log,
            client,
            _directory: directory,
        };
        let lines = gateway.read_through("ready");
        let mut lines = lines.iter();
        let line = lines.find(|line| line["message"] == "frontend clients listens");
        let endpoint = line.unwrap()["endpoint"].as_str().unwrap();
        gateway.client.connect(endpoint).unwrap();
        gateway
    }

    /// Sends this number of invalid requests, and asserts that each is answered with an ERROR. The
    /// gateway logs a line about each.
    fn send_invalid(&self, requests: usize) {
        for sent in 0..requests {
            self.client.send_multipart(["nobody's", ""], 0).unwrap();
            if sent >= UNANSWERED_MAX {
                self.receive_error();
            }
        }
        (0..requests.min(UNANSWERED_MAX)).for_each(|_| self.receive_error());
    }

    #[track_caller]
    fn receive_error(&self) {
        let answer = self.client.recv_multipart(0).expect("an answer");
        assert_eq!(answer[0], b"ERROR");
    }

    /// Reads the log through the first line that contains `words`, and returns the lines.
    fn read_through(&mut self, words: &str) -> Vec<Value> {
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

    fn terminate(&self) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.unwrap().success());
    }

    /// Reads the log to its end, and returns the lines.
    fn read_to_end(&mut self) -> Vec<Value> {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        let lines = rest.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Drop for Verbose {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the number of debug lines about rejections. Each reports a single rejection.
fn debug_lines(lines: &[Value]) -> usize {
    let debug = lines.iter().filter(|line| line["level"] == "DEBUG");
    debug.filter(|line| line["message"] == "rejected").count()
}

/// The log lines take a few MiB, and fill the pipe and the gateway's own buffer.
#[test]
fn an_unread_log_blocks_nothing_and_dropped_lines_are_reported() {
    const REQUESTS: usize = 25_000;
    let mut gateway = Verbose::start();
    gateway.send_invalid(REQUESTS);
    let mut lines = gateway.read_through("log lines dropped");
    gateway.terminate();
    lines.extend(gateway.read_to_end());
    assert!(gateway.process.wait().unwrap().success());
    let reports = lines.iter().filter(|line| line["dropped"].is_u64());
    let reports: Vec<_> = reports.collect();
    assert_eq!(reports.len(), 1, "{reports:?}");
    let count = reports[0]["dropped"].as_u64().unwrap();
    assert!(count > 0, "{reports:?}");
    assert_eq!(reports[0]["level"], "WARN");
    let message = format!("{count} log lines dropped: they were not read in time");
    assert_eq!(reports[0]["message"], message.as_str());
    // The dropped lines may include a few that are not debug lines: the line about the first
    // rejection and the lines with the counts of later rejections.
    let debug = debug_lines(&lines);
    let others = debug as i64 + count as i64 - REQUESTS as i64;
    assert!((0..10).contains(&others), "{debug} + {count}");
    assert_eq!(lines.last().unwrap()["message"], "stopped");
}

/// The lines fill the pipe, and are read only after the gateway has received SIGTERM.
#[test]
fn every_line_is_written_before_the_gateway_exits() {
    const REQUESTS: usize = 2_000;
    let mut gateway = Verbose::start();
    gateway.send_invalid(REQUESTS);
    gateway.terminate();
    let lines = gateway.read_to_end();
    assert!(gateway.process.wait().unwrap().success());
    assert_eq!(debug_lines(&lines), REQUESTS);
    assert_eq!(lines.last().unwrap()["message"], "stopped");
}

#[test]
fn a_log_without_a_reader_blocks_nothing() {
    let mut gateway = Verbose::start();
    // The test closes its end of the pipe. The field `log` needs a value, and gets the pipe of
    // another process.
    let other = Command::new("true").stderr(Stdio::piped()).spawn();
    let other = other.unwrap().stderr.take().unwrap();
    drop(std::mem::replace(&mut gateway.log, BufReader::new(other)));
    gateway.send_invalid(2_000);
    gateway.terminate();
    assert!(gateway.process.wait().unwrap().success());
}
