//! Tests of workers that are killed, are frozen or do not read: their requests are answered, and
//! other workers continue. This needs an engine that knows each worker, so only engine native is
//! tested.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::process::Process;
use crate::support::sockets::{reason_or_type, texts};
use crate::support::zmtp::{COMMAND, Raw, Received, command, greeting, message, ready};
use crate::support::{TEST_TIMEOUT, turns};

const CLIENTS: &str = "frontend clients";
const PEOPLE: &str = "pool people";

fn start(pool: &str, more: &str) -> Process {
    Process::start(&format!(
        r#"
engine: native
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0" }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0", {pool} }} }}
routes: {{ OPAQUE: {{ pool: people }} }}
admin: {{ bind: "127.0.0.1:0" }}
{more}
"#
    ))
}

/// A process that runs the example `worker`.
struct Worker(Child);

impl Worker {
    /// Starts a worker, and waits until the gateway knows the worker.
    fn start(gateway: &Process) -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_gateway"));
        let count = workers(gateway);
        let child = Command::new(binary.with_file_name("examples").join("worker"))
            .arg(gateway.endpoint(PEOPLE))
            .stdout(Stdio::null())
            .spawn();
        let child = child.expect("`cargo build --examples` builds the worker");
        gateway.await_metrics("a worker", |metrics| {
            metrics.sum("gateway_pool_workers", &[]) > count
        });
        Self(child)
    }

    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.unwrap().success());
        if name == "STOP" {
            // The process may still run for some microseconds after the signal.
            let stat = format!("/proc/{id}/status");
            let stopped = || {
                let file = BufReader::new(std::fs::File::open(&stat).unwrap());
                let mut lines = file.lines().map_while(Result::ok);
                lines.any(|line| line.starts_with("State:") && line.contains('T'))
            };
            let deadline = Instant::now() + TEST_TIMEOUT;
            while !stopped() {
                assert!(Instant::now() < deadline);
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn workers(gateway: &Process) -> f64 {
    gateway.metrics().sum("gateway_pool_workers", &[])
}

/// Sends `count` requests with the headers 0, 1 and so on.
fn ask(client: &mut Raw, count: usize) {
    for n in 0..count {
        client.send(&message(&["OPAQUE", &n.to_string(), "x"]));
    }
}

/// Receives one answer for each of `count` requests, and returns how often each reply type or
/// reason of rejection occurs.
#[track_caller]
fn answers(client: &mut Raw, count: usize) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let mut missing: Vec<_> = (0..count).map(|n| n.to_string().into_bytes()).collect();
    for _ in 0..count {
        let frames = client.receive_message();
        let at = missing.iter().position(|n| *n == frames[1]);
        missing.swap_remove(at.expect("answered once"));
        *found.entry(reason_or_type(&frames)).or_default() += 1;
    }
    found
}

/// An answer gives a worker room for another request, but a worker that is known to have
/// disconnected does not receive that request.
#[test]
fn a_worker_that_answers_and_disconnects_receives_nothing_more() {
    let gateway = start("heartbeat: off, timeout: none, per_worker: 1", "");
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    ask(&mut client, 2);
    let held = worker.receive_message();
    gateway.await_metrics("a queued request", |metrics| {
        metrics.sum("gateway_pool_queue_length", &[]) == 1.0
    });
    // The gateway must notice the answer and the disconnection in the same turn.
    gateway.signal("STOP");
    worker.send(&message(&[&held[0][..], b"REPLY", &held[2], b"y"]));
    worker.stream.shutdown(std::net::Shutdown::Write).unwrap();
    gateway.signal("CONT");
    assert_eq!(
        client.receive_message()[..2],
        [b"REPLY".to_vec(), b"0".to_vec()]
    );
    let mut next = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    let held = next.receive_message();
    next.send(&message(&[&held[0][..], b"REPLY", &held[2], b"y"]));
    assert_eq!(
        client.receive_message()[..2],
        [b"REPLY".to_vec(), b"1".to_vec()]
    );
}

/// To the gateway, a client at the address of workers is a worker that never answers a request.
#[test]
fn a_client_at_the_address_of_workers_is_named_and_receives_one_request_at_most() {
    let mut gateway = start("timeout: 1s, heartbeat: off", "");
    let mut misplaced = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    misplaced.send(&message(&["OPAQUE", "x"]));
    let line = gateway.await_line("a worker's message answers no request and is dropped: ");
    assert_eq!(
        (&line["level"], &line["pool"]),
        (&"WARN".into(), &"people".into())
    );
    let text = line["message"].as_str().unwrap();
    assert!(text.contains("clients connect to a frontend"), "{text}");
    let peer = misplaced.stream.local_addr().unwrap();
    assert_eq!(line["peer"], format!("tcp://{peer}"), "{line}");
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    ask(&mut client, 1);
    let first = answers(&mut client, 1);
    assert_eq!(first, BTreeMap::from([("timeout".into(), 1)]));
    // The worker receives one request before its first answer, so the other requests wait, although
    // the misplaced client holds no request.
    let _worker = Worker::start(&gateway);
    ask(&mut client, 50);
    let others = answers(&mut client, 50);
    assert_eq!(others, BTreeMap::from([("REPLY".into(), 50)]));
    gateway.await_line("a worker that never answered let a request time out");
}

#[test]
fn requests_of_a_killed_worker_are_answered_at_once() {
    let gateway = start("heartbeat: off, timeout: none, per_worker: 10", "");
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let victim = Worker::start(&gateway);
    let others = [Worker::start(&gateway), Worker::start(&gateway)];
    victim.signal("STOP");
    // The gateway prefers the least busy worker, so the victim receives some of the requests, but
    // at most ten (`per_worker`). Only the victim keeps its requests.
    ask(&mut client, 30);
    let held = "gateway_in_flight";
    let metrics = gateway.await_metrics("only the victim holds requests", |metrics| {
        let held = metrics.sum(held, &[]);
        metrics.sum("gateway_received_total", &[]) == 30.0 && (1.0..=10.0).contains(&held)
    });
    let held = metrics.sum(held, &[]) as usize;
    let began = Instant::now();
    victim.signal("KILL");
    let found = answers(&mut client, 30);
    let took = began.elapsed();
    println!("{held} answered within {took:?} of the kill");
    let expected = BTreeMap::from([("REPLY".into(), 30 - held), ("worker_lost".into(), held)]);
    assert_eq!(found, expected);
    ask(&mut client, 100);
    let all = BTreeMap::from([("REPLY".into(), 100)]);
    assert_eq!(answers(&mut client, 100), all);
    drop(others);
}

/// The median time from a worker's disconnection to the answer to its client is at most a
/// millisecond. On a busy machine, this may take three attempts.
#[test]
fn the_loss_of_a_worker_is_reported_within_a_millisecond() {
    let _turn = turns::take();
    let gateway = start("heartbeat: off, timeout: none", "");
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut attempts = (0..3).map(|_| median_loss_time(&gateway, &mut client));
    let prompt = attempts.any(|median| median <= Duration::from_millis(1));
    assert!(prompt, "the medians are printed");
}

/// Returns the median time from the disconnection of a worker to the answer to its client, over
/// twenty workers.
fn median_loss_time(gateway: &Process, client: &mut Raw) -> Duration {
    let mut times: Vec<_> = (0..20)
        .map(|_| {
            let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
            ask(client, 1);
            assert!(matches!(worker.receive(), Received::Message(_)));
            let ended = Instant::now();
            // The system closes the connections of a killed process in the same way.
            drop(worker);
            assert_eq!(reason_or_type(&client.receive_message()), "worker_lost");
            ended.elapsed()
        })
        .collect();
    times.sort_unstable();
    let median = times[times.len() / 2];
    println!(
        "median of {} from disconnection to answer: {median:?}; all: {times:?}",
        times.len()
    );
    median
}

/// A slow worker needs much longer to receive the request than the heartbeat allows it to be
/// silent.
#[test]
fn a_worker_that_receives_slowly_is_not_lost() {
    let gateway = start(
        "heartbeat: 100ms, timeout: none",
        "limits: { message: 32MiB }",
    );
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    // The client sends the request before the worker connects, because a connected worker would
    // have to answer PINGs meanwhile. The answer to the second message shows that the gateway has
    // received the first.
    let large = vec![b'x'; 24 << 20];
    client.send(&message(&[&b"OPAQUE"[..], b"0", &large]));
    client.send(&message(&["NONE", ""]));
    assert_eq!(client.receive_message()[0], b"ERROR");
    let at = gateway.endpoint(PEOPLE);
    let at: std::net::SocketAddr = at.strip_prefix("tcp://").unwrap().parse().unwrap();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    // The receive buffer of the worker is small.
    socket.set_recv_buffer_size(64 << 10).unwrap();
    socket.connect(&at.into()).unwrap();
    let stream = std::net::TcpStream::from(socket);
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    let mut worker = Raw { stream };
    worker.send(&greeting(1));
    worker.send(&command(&ready("DEALER", &[])));
    worker.receive_greeting();
    assert!(matches!(worker.receive(), Received::Command(_)));
    let began = Instant::now();
    // This simulates a link of 8 MiB a second: only bytes that would have arrived by now are read.
    let mut request = Vec::new();
    let mut piece = vec![0; 64 << 10];
    while request.len() < large.len() {
        let due = request.len() as f64 / large.len() as f64 * 3.0;
        if began.elapsed().as_secs_f64() < due {
            std::thread::yield_now();
            continue;
        }
        let n = worker.stream.read(&mut piece).unwrap();
        assert!(n > 0, "the worker was lost after {:?}", began.elapsed());
        request.extend_from_slice(&piece[..n]);
    }
    println!("{} bytes in {:?}", request.len(), began.elapsed());
    // PINGs may precede the request but never interrupt it.
    let token = loop {
        let (head, rest) = request.split_at(2);
        let (body, rest) = rest.split_at(usize::from(head[1]));
        match head[0] & COMMAND {
            0 => break body.to_vec(),
            _ => request = rest.to_vec(),
        }
    };
    worker.send(&command(b"\x04PONG"));
    worker.send(&message(&[&token[..], b"REPLY", b"0", b"y"]));
    assert_eq!(texts(&client.receive_message()), ["REPLY", "0", "y"]);
}

#[test]
fn a_frozen_workers_requests_are_answered_after_its_heartbeats() {
    let gateway = start("heartbeat: 200ms, timeout: none", "");
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let worker = Worker::start(&gateway);
    // The worker answers PINGs while it runs.
    ask(&mut client, 1);
    answers(&mut client, 1);
    worker.signal("STOP");
    let began = Instant::now();
    ask(&mut client, 5);
    let found = answers(&mut client, 5);
    let took = began.elapsed();
    println!("lost after {took:?}");
    assert_eq!(found, BTreeMap::from([("worker_lost".into(), 5)]));
    assert!(took >= Duration::from_millis(390), "{took:?}");
    // Three heartbeats are 600 ms. The bound allows for a busy machine.
    assert!(took < Duration::from_secs(3), "{took:?}");
    // The worker connects again once it continues.
    worker.signal("CONT");
    ask(&mut client, 1);
    let again = BTreeMap::from([("REPLY".into(), 1)]);
    assert_eq!(answers(&mut client, 1), again);
}

/// Answers that a worker sent before it disconnected count, although the gateway notices the
/// disconnection on a write to the worker.
#[test]
fn answers_sent_before_a_disconnect_count() {
    let gateway = start("heartbeat: off, timeout: none, per_worker: 100000", "");
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    const COUNT: usize = 1_700;
    ask(&mut client, COUNT);
    let mut replies = Vec::new();
    for _ in 0..COUNT {
        let request = worker.receive_message();
        replies.extend(message(&[&request[0][..], b"REPLY", b""]));
    }
    // The system accepts all replies at once, but they are more than the gateway reads in a turn.
    assert!(replies.len() < 60_000, "{}", replies.len());
    // If the worker leaves bytes unread, the system resets the connection.
    ask(&mut client, 1);
    gateway.await_metrics("a further request for the worker", |metrics| {
        metrics.sum("gateway_pool_handed_total", &[]) == COUNT as f64 + 1.0
    });
    gateway.signal("STOP");
    worker.send(&replies);
    drop(worker);
    ask(&mut client, 100);
    gateway.signal("CONT");
    let mut found = BTreeMap::new();
    for _ in 0..COUNT + 1 {
        *found
            .entry(reason_or_type(&client.receive_message()))
            .or_insert(0) += 1;
    }
    assert_eq!(found["REPLY"], COUNT, "{found:?}");
}

#[test]
fn a_worker_that_does_not_read_delays_no_other_peer() {
    let gateway = start("heartbeat: off, timeout: none, per_worker: 1000", "");
    let mute = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    let _good = Worker::start(&gateway);
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let (before, _) = gateway.memory_and_descriptors();
    let large = "x".repeat(100_000);
    let mut served = 0;
    for n in 0..600 {
        client.send(&message(&["OPAQUE", &n.to_string(), &large]));
    }
    // The worker that does not read holds only the requests that fit the system's buffers and the
    // worker's outbox. All other requests are answered.
    let metrics = gateway.await_metrics("the other requests are answered", |metrics| {
        let in_flight = metrics.sum("gateway_in_flight", &[]);
        metrics.sum("gateway_received_total", &[]) == 600.0 && in_flight < 200.0
    });
    let held = metrics.sum("gateway_in_flight", &[]) as usize;
    let (after, _) = gateway.memory_and_descriptors();
    println!(
        "the mute worker holds {held}; memory grew by {} KiB",
        after - before
    );
    drop(mute);
    let mut lost = 0;
    for _ in 0..600 {
        match &reason_or_type(&client.receive_message())[..] {
            "REPLY" => served += 1,
            "worker_lost" => lost += 1,
            other => panic!("{other}"),
        }
    }
    assert!(lost <= held && served + lost == 600, "{served} {lost}");
    assert!(served >= 400);
}

/// A worker may have to send an answer before it continues to read. If the gateway read only from
/// workers that read, the gateway and such a worker would wait for each other.
#[test]
fn a_worker_that_does_not_read_is_still_read() {
    let pool = "heartbeat: off, timeout: none, per_worker: 100000";
    let limits = "limits: { message: 512KiB, client_bytes: 1MiB }";
    let gateway = start(pool, limits);
    let mut first = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    first.send(&message(&["OPAQUE", "0", "x"]));
    let request = worker.receive_message();
    // The requests fill the system's buffers for the worker, and the worker's outbox to more than
    // half of `limits.client_bytes`. The gateway would not read from a client with such an outbox.
    let large = "x".repeat(500_000);
    let mut others: Vec<_> = (0..20)
        .map(|_| Raw::peer(&gateway.endpoint(CLIENTS), "DEALER"))
        .collect();
    for other in &mut others {
        for _ in 0..2 {
            other.send(&message(&["OPAQUE", "1", &large]));
        }
    }
    gateway.await_metrics("all requests are received", |metrics| {
        metrics.sum("gateway_received_total", &[]) == 41.0
    });
    worker.send(&message(&[&request[0][..], b"REPLY", b"0", b"y"]));
    assert_eq!(first.receive_message()[0], b"REPLY");
}
