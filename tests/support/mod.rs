//! The modules that the test programs share. Each program includes all of them and uses some.
//!
//! - `attack`: Hostile and honest peers, against the binary.
//! - `binary`: The binary under test.
//! - `cgroup`: A cgroup with a limit on memory.
//! - `edited`: A gateway in this process whose files are edited.
//! - `gateway`: A gateway in this process.
//! - `process`: The gateway's binary as a process, and its answers over HTTP.
//! - `pyzmq`: Clients of pyzmq.
//! - `random`: A seeded generator and mutations.
//! - `sealed`: Peers that speak CURVE.
//! - `sockets`: Sockets of libzmq, and the messages that go through them.
//! - `turns`: Turns of tests that must not run at the same time.
//! - `zmtp`: A ZMTP peer that sends the bytes that a test chooses.
#![allow(dead_code)] // No program uses every helper.

pub mod attack;
pub mod binary;
pub mod cgroup;
pub mod edited;
pub mod gateway;
pub mod process;
pub mod pyzmq;
#[path = "../../crates/schema/tests/support/random.rs"]
pub mod random;
pub mod sealed;
pub mod sockets;
pub mod turns;
pub mod zmtp;

use std::fs;
use std::time::Duration;

/// The time after which a test fails. No test waits that long if nothing is wrong.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(40);

/// The content of schemas/person.proto in the directory of every gateway that `gateway` and
/// `process` start.
pub const PERSON: &str = r#"
    syntax = "proto3";
    package demo;
    message Person { int32 id = 1; string name = 2; string email = 3; }
    message Reply { string text = 1; }
"#;

/// A `demo.Person` with id 1 and name `Ann`, in protobuf.
pub const ANN: &[u8] = b"\x08\x01\x12\x03Ann";

/// Returns the number of KiB in the line `name` of /proc/PROCESS/status. `process` is an id or
/// `self`.
pub fn memory_kib(process: &str, name: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Returns the number of open descriptors, and the resident memory in KiB, of a process or of
/// `self`.
pub fn footprint(process: &str) -> (usize, usize) {
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    (descriptors, memory_kib(process, "VmRSS:"))
}
