//! Tests that malicious HTTP clients can neither reload the gateway nor harm other peers. The tests
//! run the binary itself.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::gateway::yaml;
use crate::support::process::{Answer, Process};
use crate::support::sockets::{receive, send};
use crate::support::{ANN, TEST_TIMEOUT};

#[test]
fn requests_that_a_browser_page_can_send_reload_nothing() {
    let process = Process::start(&yaml("", ""));
    process.await_first_check();
    fs::write(process.file(), yaml("  RAW: { pool: people }", "")).unwrap();
    let rebound = [("Host", "evil.example:9559")];
    assert_eq!(process.ask("POST", "/reload", &rebound).code, 403);
    // The listener is bound to a loopback address, so even a GET must have an address or
    // `localhost` as its Host.
    assert_eq!(process.ask("GET", "/status", &rebound).code, 403);
    for (name, value, code) in [
        ("Origin", "http://evil.example", 403),
        ("Origin", "null", 403),
        ("Sec-Fetch-Site", "cross-site", 403),
        ("Content-Type", "application/x-www-form-urlencoded", 415),
        ("Content-Type", "text/plain", 415),
        ("Content-Length", "5", 413),
        ("Transfer-Encoding", "chunked", 413),
    ] {
        let answer = process.ask("POST", "/reload", &[(name, value)]);
        assert_eq!(answer.code, code, "{name}: {value}: {}", answer.body);
    }
    let two = [("Host", "127.0.0.1"), ("Host", "evil.example")];
    assert_eq!(process.ask("POST", "/reload", &two).code, 400);
    assert_eq!(process.status()["generation"], 1);
    assert_eq!(
        process
            .ask("POST", "/reload", &[("Host", "localhost:1")])
            .code,
        200
    );
    assert_eq!(process.status()["generation"], 2);
}

#[test]
fn hostile_http_clients_affect_neither_requests_nor_memory() {
    let process = Process::start(&yaml("", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    let worker = process.peer(&context, zmq::DEALER, "pool people");
    let round_trip = || {
        send(&client, &[&b"PERSON"[..], ANN]);
        let request = receive(&worker);
        send(&worker, &[&request[0][..], b"REPLY", b"x"]);
        assert_eq!(receive(&client)[1], b"x");
    };
    round_trip();
    let (before, descriptors) = process.memory_and_descriptors();
    // The clients send nothing, a part of a head, a large head that does not end, or many requests
    // whose answers they do not read.
    let huge = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(1 << 20));
    let endless = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(10_000);
    let mut silent = Vec::new();
    for n in 0..200 {
        let mut stream = TcpStream::connect(process.admin()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let bytes = match n % 4 {
            0 => "",
            1 => "GET / HT",
            2 => &huge,
            _ => &endless,
        };
        // The socket may accept only a part of the bytes.
        let _ = stream.write_all(bytes.as_bytes());
        silent.push(stream);
        round_trip();
    }
    for _ in 0..200 {
        round_trip();
    }
    let (after, open) = process.memory_and_descriptors();
    assert!(after < before + 40_000, "{after} KiB after {before}");
    // When there were too many connections, the gateway closed the oldest.
    assert!(
        open < descriptors + 80,
        "{open} descriptors after {descriptors}"
    );
    // The first connection sent nothing, and was closed.
    let mut first = silent.swap_remove(0);
    first.set_nonblocking(false).unwrap();
    first.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    let mut rest = Vec::new();
    let ended = first.read_to_end(&mut rest);
    assert!(ended.is_ok() || rest.is_empty(), "{ended:?}");
    drop(silent);
    assert_eq!(process.get("/healthz").code, 200);
    process.metrics().assert_balanced();
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let process = Process::start(&yaml("", ""));
    let mut stream = TcpStream::connect(process.admin()).unwrap();
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    let head = format!(
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let _ = stream.write_all(head.as_bytes());
    let mut text = [0; 64];
    // The gateway rejects the request, or the connection is closed or reset before the answer is
    // read.
    if let Ok(n) = stream.read(&mut text) {
        let answer = String::from_utf8_lossy(&text[..n]).into_owned();
        assert!(n == 0 || Answer::parse(&answer).code == 431, "{answer}");
    }
    assert_eq!(process.get("/healthz").code, 200);
}
