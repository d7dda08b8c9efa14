//! Tests of edits that affect connected peers, on engine native: limits, heartbeats, worker kinds
//! and addresses change, and removed pools and frontends first deliver outstanding answers.

use crate::support::TEST_TIMEOUT;
use crate::support::process::Process;
use crate::support::sockets::{connected, reason_or_type, receive, send, texts};
use crate::support::zmtp::{Raw, Received, command, greeting, message, ready};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const CLIENTS: &str = "frontend clients";
const PEOPLE: &str = "pool people";

/// Returns a configuration with two frontends, a pool `people` with these settings, a pool `idle`,
/// and the keys in `more`.
fn yaml(people: &str, more: &str) -> String {
    format!(
        r#"
engine: native
frontends:
  clients: {{ bind: "tcp://127.0.0.1:0" }}
  other: {{ bind: "tcp://127.0.0.1:0" }}
pools:
  people: {{ {people} }}
  idle: {{ bind: "tcp://127.0.0.1:0" }}
routes: {{ OPAQUE: {{ pool: people }}, IDLE: {{ pool: idle }} }}
reload: {{ watch: false }}
admin: {{ bind: "127.0.0.1:0" }}
{more}
"#
    )
}

const BOUND: &str = r#"bind: "tcp://127.0.0.1:0""#;

/// Loads another configuration, which is in force when this function returns.
#[track_caller]
fn reload(gateway: &Process, yaml: &str) {
    std::fs::write(gateway.file(), yaml).unwrap();
    let answer = gateway.reload();
    assert_eq!(answer.code, 200, "{}", answer.body);
}

fn ask(client: &mut Raw, header: &str) {
    client.send(&message(&["OPAQUE", header, "x"]));
}

/// Answers the next request of the worker, and every PING before it.
#[track_caller]
fn answer(worker: &mut Raw) {
    let request = request(worker);
    worker.send(&message(&[&request[0][..], b"REPLY", &request[2], b"y"]));
}

#[track_caller]
fn request(worker: &mut Raw) -> Vec<Vec<u8>> {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        assert!(Instant::now() < deadline, "no request arrived");
        match worker.receive() {
            Received::Message(frames) => return frames,
            Received::Command(_) => worker.send(&command(b"\x04PONG")),
            Received::End => panic!("the worker was disconnected"),
        }
    }
}

/// Returns the type of the next answer, and its header or, for a rejection, the reason.
#[track_caller]
fn answered(client: &mut Raw) -> (String, String) {
    let frames = client.receive_message();
    let mut parts = texts(&frames);
    let header_or_reason = match &*parts[0] {
        "ERROR" => reason_or_type(&frames),
        _ => parts.swap_remove(1),
    };
    (parts.swap_remove(0), header_or_reason)
}

fn reply(header: &str) -> (String, String) {
    ("REPLY".into(), header.into())
}

/// The requests have no timeout, so without a returning worker they would never end.
#[test]
fn workers_of_a_removed_pool_may_return_for_queued_requests() {
    let settings = format!("{BOUND}, per_worker: 1, timeout: none, heartbeat: 100ms");
    let mut gateway = Process::start(&yaml(&settings, ""));
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    for header in ["held", "first", "second"] {
        ask(&mut client, header);
    }
    request(&mut worker);
    let without = r#"
engine: native
frontends: { clients: { bind: "tcp://127.0.0.1:0" }, other: { bind: "tcp://127.0.0.1:0" } }
pools: { idle: { bind: "tcp://127.0.0.1:0" } }
routes: { IDLE: { pool: idle } }
reload: { watch: false }
admin: { bind: "127.0.0.1:0" }
"#;
    reload(&gateway, without);
    drop(worker);
    assert_eq!(
        answered(&mut client),
        ("ERROR".into(), "worker_lost".into())
    );
    // A worker connects again. The last settings of the pool apply to it, including heartbeats.
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    let first = request(&mut worker);
    assert_eq!(
        worker.receive(),
        Received::Command(b"\x04PING\0\0".to_vec())
    );
    worker.send(&message(&[&first[0][..], b"REPLY", &first[2], b"y"]));
    assert_eq!(answered(&mut client), reply("first"));
    answer(&mut worker);
    assert_eq!(answered(&mut client), reply("second"));
    // No request is left, so the gateway closes the pool's connections.
    gateway.await_line(
        "the removed frontends, pools, channels and addresses have finished their requests",
    );
    assert_eq!(worker.receive(), Received::End);
}

/// A removed pool with `connect` reconnects to its workers until no request is queued any more.
#[test]
fn a_removed_pool_connects_again_for_queued_requests() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let settings =
        format!(r#"connect: "tcp://{at}", timeout: none, heartbeat: off, per_worker: 2"#);
    let mut gateway = Process::start(&yaml(&settings, ""));
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut worker = accept_worker(&listener);
    ask(&mut client, "held");
    request(&mut worker);
    ask(&mut client, "waits");
    request(&mut worker);
    let without = yaml(&settings, "").replace("OPAQUE: { pool: people }, ", "");
    let from = without.find("  people:").unwrap();
    let to = without.find("  idle:").unwrap();
    let without = [&without[..from], &without[to..]].concat();
    // A queued request also keeps a removed pool alive.
    drop(worker);
    for _ in 0..2 {
        assert_eq!(answered(&mut client).1, "worker_lost");
    }
    ask(&mut client, "later");
    reload(&gateway, &without);
    let mut worker = accept_worker(&listener);
    answer(&mut worker);
    assert_eq!(answered(&mut client), reply("later"));
    // After that, the gateway does not connect to the worker any more.
    gateway.await_line(
        "the removed frontends, pools, channels and addresses have finished their requests",
    );
    assert_eq!(worker.receive(), Received::End);
    let more = gateway.next_line(Duration::from_millis(500));
    assert!(more.is_none(), "{more:?}");
}

/// Accepts a connection of the gateway as a worker that listens, and completes the handshake.
#[track_caller]
fn accept_worker(listener: &TcpListener) -> Raw {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    let mut raw = Raw { stream };
    raw.send(&greeting(1));
    raw.send(&command(&ready("DEALER", &[])));
    raw.receive_greeting();
    let received = raw.receive();
    assert!(
        matches!(&received, Received::Command(body) if body.starts_with(b"\x05READY")),
        "{received:?}"
    );
    raw
}

/// If a socket with unread input is closed, the connection is reset, and the peer loses the data
/// that it has not read yet. The gateway must avoid this.
#[test]
fn a_removed_frontends_last_answers_arrive() {
    let mut gateway = Process::start(&yaml(BOUND, ""));
    let mut client = Raw::peer(&gateway.endpoint("frontend other"), "DEALER");
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    ask(&mut client, "large");
    let held = request(&mut worker);
    // The answer is larger than the buffers of the client's side, but fits into the buffers of both
    // sides together.
    let large = vec![b'y'; 3 << 20];
    worker.send(&message(&[&held[0][..], b"REPLY", &held[2], &large]));
    gateway.await_metrics("written answer", |metrics| {
        metrics.sum("gateway_in_flight", &[]) == 0.0
    });
    let other = r#"  other: { bind: "tcp://127.0.0.1:0" }"#;
    let without = yaml(BOUND, "").replace(other, "");
    reload(&gateway, &without);
    gateway.await_line(
        "the removed frontends, pools, channels and addresses have finished their requests",
    );
    // The client sends two further messages before it reads its answer. If the gateway had closed
    // the connection already, these messages would reset it.
    for _ in 0..2 {
        client.try_send(&message(&["OPAQUE", "more", "x"]));
        // The system has processed the message once it has processed this later request.
        gateway.metrics();
    }
    let frames = client.receive_message();
    assert_eq!(frames[1], b"large");
    assert!(frames[2] == large);
    assert_eq!(client.receive(), Received::End);
}

#[test]
fn limits_change_for_connected_peers() {
    let gateway = Process::start(&yaml(BOUND, ""));
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    let large = message(&["OPAQUE", "large", &"x".repeat(100_000)]);
    for _ in 0..2 {
        client.send(&large);
        answer(&mut worker);
        assert_eq!(answered(&mut client), reply("large"));
        reload(&gateway, &yaml(BOUND, "limits: { message: 64KiB }"));
        client.send(&large);
        assert_eq!(answered(&mut client), ("ERROR".into(), "too_large".into()));
        reload(&gateway, &yaml(BOUND, ""));
    }
}

#[test]
fn heartbeats_change_for_connected_peers() {
    let yaml_with = |heartbeat: &str| {
        yaml(
            &format!("{BOUND}, timeout: none, heartbeat: {heartbeat}"),
            "",
        )
    };
    let gateway = Process::start(&yaml_with("off"));
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    ask(&mut client, "1");
    let held = request(&mut worker);
    reload(&gateway, &yaml_with("50ms"));
    assert_eq!(
        worker.receive(),
        Received::Command(b"\x04PING\0\0".to_vec())
    );
    worker.send(&command(b"\x04PONG"));
    // With heartbeats off again, silence has no effect. Otherwise the worker would be lost after
    // 150 ms.
    reload(&gateway, &yaml_with("off"));
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(400) {
        gateway.metrics();
    }
    worker.send(&message(&[&held[0][..], b"REPLY", b"1", b"y"]));
    assert_eq!(answered(&mut client), reply("1"));
    // With heartbeats on, the silent worker is lost.
    ask(&mut client, "2");
    reload(&gateway, &yaml_with("50ms"));
    assert_eq!(
        answered(&mut client),
        ("ERROR".into(), "worker_lost".into())
    );
}

#[test]
fn a_worker_that_an_edit_forbids_finishes_and_is_disconnected() {
    let mut gateway = Process::start(&yaml(&format!("{BOUND}, timeout: none"), ""));
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut dealer = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    ask(&mut client, "held");
    let held = request(&mut dealer);
    reload(
        &gateway,
        &yaml(&format!("{BOUND}, timeout: none, workers: rep"), ""),
    );
    // The DEALER worker receives no new requests, though it has capacity.
    ask(&mut client, "later");
    let mut rep = Raw::peer(&gateway.endpoint(PEOPLE), "REP");
    let later = request(&mut rep);
    rep.send(&message(&[&later[0][..], b"", b"REPLY", b"later", b"y"]));
    assert_eq!(answered(&mut client), reply("later"));
    dealer.send(&message(&[&held[0][..], b"REPLY", b"held", b"y"]));
    assert_eq!(answered(&mut client), reply("held"));
    loop {
        match dealer.receive() {
            Received::End => break,
            Received::Command(_) => {}
            Received::Message(frames) => panic!("{frames:?}"),
        }
    }
    gateway.await_line(
        "the removed frontends, pools, channels and addresses have finished their requests",
    );
}

#[test]
fn connect_addresses_change_while_requests_are_held() {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let yaml_with = |listener: &TcpListener| {
        let at = listener.local_addr().unwrap();
        yaml(
            &format!(r#"connect: "tcp://{at}", timeout: none, heartbeat: off"#),
            "",
        )
    };
    let gateway = Process::start(&yaml_with(&listeners[0]));
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut first = accept_worker(&listeners[0]);
    ask(&mut client, "held");
    let held = request(&mut first);
    reload(&gateway, &yaml_with(&listeners[1]));
    let mut second = accept_worker(&listeners[1]);
    // The first worker receives no further request, and is disconnected once it has answered.
    for header in ["a", "b"] {
        ask(&mut client, header);
        answer(&mut second);
        assert_eq!(answered(&mut client), reply(header));
    }
    first.send(&message(&[&held[0][..], b"REPLY", b"held", b"y"]));
    assert_eq!(answered(&mut client), reply("held"));
    assert_eq!(first.receive(), Received::End);
}

/// A DEALER with two connections may answer on either, so the gateway opens only one at a time.
#[test]
fn an_address_that_moves_between_pools_is_connected_after_the_last_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let settings = format!(r#"connect: "tcp://{at}", timeout: none, heartbeat: off"#);
    let before = yaml(&settings, "");
    let mut gateway = Process::start(&before);
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut worker = accept_worker(&listener);
    ask(&mut client, "held");
    let held = request(&mut worker);
    reload(&gateway, &before.replace("people", "persons"));
    ask(&mut client, "new");
    listener.set_nonblocking(true).unwrap();
    // The gateway examines the pool periodically, and each rejection shows that it has taken
    // another turn.
    for _ in 0..20 {
        client.send(&message(&["NONE", "n", "x"]));
        assert_eq!(answered(&mut client).1, "unknown_type");
        let early = listener.accept().map(drop).map_err(|error| error.kind());
        assert_eq!(early, Err(std::io::ErrorKind::WouldBlock));
    }
    listener.set_nonblocking(false).unwrap();
    worker.send(&message(&[&held[0][..], b"REPLY", b"held", b"y"]));
    assert_eq!(answered(&mut client), reply("held"));
    assert_eq!(worker.receive(), Received::End);
    let mut worker = accept_worker(&listener);
    answer(&mut worker);
    assert_eq!(answered(&mut client), reply("new"));
    gateway.await_line(
        "the removed frontends, pools, channels and addresses have finished their requests",
    );
}

/// The limits that applied to a request apply to its answer.
#[test]
fn an_answer_has_the_limits_in_force_when_its_request_arrived() {
    let limits = |message, frames| {
        let limits = format!("limits: {{ message: {message}, frames: {frames} }}");
        yaml(&format!("{BOUND}, heartbeat: off, per_worker: 10"), &limits)
    };
    let gateway = Process::start(&limits("1MiB", 30));
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    let held = ["many", "large", "too many"].map(|header| {
        ask(&mut client, header);
        request(&mut worker)
    });
    reload(&gateway, &limits("1KiB", 4));
    let headers = |count| vec![&b"h"[..]; count];
    let large = vec![b'x'; 500_000];
    let bodies = [headers(20), vec![&large[..]], headers(40)];
    for (held, body) in held.iter().zip(&bodies) {
        let head = [&held[0][..], b"REPLY", &held[2]];
        worker.send(&message(&[&head[..], body].concat()));
    }
    for (header, body) in ["many", "large"].iter().zip(&bodies) {
        let whole = [&[&b"REPLY"[..], header.as_bytes()], &body[..]].concat();
        assert_eq!(client.receive_message(), whole);
    }
    assert_eq!(answered(&mut client).1, "bad_reply");
    // New messages are checked by the limits in force now.
    ask(&mut client, "now");
    let held = request(&mut worker);
    worker.send(&message(&[&held[0][..], b"REPLY", b"now", &large]));
    assert_eq!(answered(&mut client).1, "bad_reply");
}

/// libzmq does not reconnect after a ZMTP ERROR, so a peer that received an ERROR would be refused
/// until its program restarts.
#[test]
fn refused_libzmq_peers_are_served_after_the_edit_that_admits_them() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("ipc://{}", directory.path().join(name).display());
    let (left, right) = (at("left"), at("right"));
    let yaml = |clients: &str, people: &str, workers: &str| {
        let people = format!("bind: \"{people}\", workers: {workers}");
        yaml(&people, "").replacen("tcp://127.0.0.1:0", clients, 1)
    };
    let mut gateway = Process::start(&yaml(&left, &right, "rep"));
    let context = zmq::Context::new();
    let refused = "pool people: a connection is refused";
    // The client connects to the workers' address, until the two addresses are swapped.
    let client = connected(&context, zmq::REQ, &right);
    send(&client, &["OPAQUE", "id", "x"]);
    gateway.await_line(&format!("{refused}: a REQ socket"));
    reload(&gateway, &yaml(&right, &left, "rep"));
    // The pool does not accept this kind of worker until the next edit.
    let worker = connected(&context, zmq::DEALER, &left);
    gateway.await_line(&format!("{refused}: a DEALER socket"));
    reload(&gateway, &yaml(&right, &left, "auto"));
    let request = receive(&worker);
    send(&worker, &[&request[0][..], b"REPLY", b"id", b"y"]);
    assert_eq!(texts(&receive(&client)), ["REPLY", "id", "y"]);
}

/// The addresses are added again while the removed pool still holds a request, so the old listeners
/// are still open. The edit uses the same names or other names, and the peers connect over TCP or
/// over ipc.
#[test]
fn addresses_that_return_while_their_old_pool_holds_a_request_are_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let ipc = |name: &str| format!("ipc://{}", directory.path().join(name).display());
    let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let tcp = free.map(|free| format!("tcp://{}", free.local_addr().unwrap()));
    let (clients, people) = ([&tcp[0], &ipc("clients")], [&tcp[1], &ipc("people")]);
    let yaml_with = |name: &str| {
        let held = format!("routes: {{ MORE: {{ pool: {name} }}, ");
        yaml(BOUND, "")
            .replacen(
                "frontends:",
                &format!("frontends:\n  {name}: {{ bind: {clients:?} }}"),
                1,
            )
            .replacen(
                "pools:",
                &format!("pools:\n  {name}: {{ bind: {people:?}, timeout: none }}"),
                1,
            )
            .replacen("routes: {", &held, 1)
    };
    let gateway = Process::start(&yaml(BOUND, ""));
    let context = zmq::Context::new();
    for (transport, name) in [(0, "more"), (1, "more"), (0, "again"), (1, "again")] {
        let case = format!("over {}, as {name}", clients[transport]);
        reload(&gateway, &yaml_with("more"));
        let client = connected(&context, zmq::REQ, clients[transport]);
        let worker = connected(&context, zmq::DEALER, people[transport]);
        send(&client, &["MORE", "held"]);
        let held = receive(&worker);
        reload(&gateway, &yaml(BOUND, ""));
        reload(&gateway, &yaml_with(name));
        let status = gateway.status();
        let pools = status["pools"].as_array().unwrap();
        assert!(
            pools.iter().any(|pool| pool["name"] == name),
            "{case}: {status}"
        );
        send(&worker, &[&held[0][..], b"REPLY", b"owed"]);
        assert_eq!(texts(&receive(&client)), ["REPLY", "owed"], "{case}");
        // The worker that answered belongs to the new pool, or connects again.
        for address in clients {
            let newcomer = connected(&context, zmq::REQ, address);
            send(&newcomer, &["MORE", "x"]);
            let request = receive(&worker);
            send(&worker, &[&request[0][..], b"REPLY", b"y"]);
            assert_eq!(texts(&receive(&newcomer)), ["REPLY", "y"], "{case}");
        }
        drop((client, worker));
        gateway.await_metrics("disconnected worker", |metrics| {
            metrics.sum("gateway_pool_workers", &[]) == 0.0
        });
        reload(&gateway, &yaml(BOUND, ""));
    }
}

/// The number of edits that remove an address and put it back.
const RETURNS: usize = 40;

/// The number of moments, relative to the closing of the listener, at which an address is put back.
const MOMENTS: usize = 20;

/// The removed pool holds a request, and its listener closes some milliseconds after the answer.
/// The edit that puts the address back follows at different moments before, during and after the
/// closing.
#[test]
fn an_ipc_address_that_returns_while_its_listener_closes_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let people = format!("ipc://{}", directory.path().join("people").display());
    let without = yaml(BOUND, "");
    let with = without
        .replacen(
            "pools:",
            &format!("pools:\n  more: {{ bind: \"{people}\", timeout: none }}"),
            1,
        )
        .replacen("routes: {", "routes: { MORE: { pool: more }, ", 1);
    let gateway = Process::start(&with);
    let context = zmq::Context::new();
    let worker = connected(&context, zmq::DEALER, &people);
    let client = connected(&context, zmq::REQ, &gateway.endpoint(CLIENTS));
    for n in 0..RETURNS {
        send(&client, &["MORE", "held"]);
        let held = receive(&worker);
        reload(&gateway, &without);
        send(&worker, &[&held[0][..], b"REPLY", b"y"]);
        assert_eq!(texts(&receive(&client)), ["REPLY", "y"]);
        for _ in 0..n % MOMENTS {
            gateway.metrics();
        }
        // This reload fails if the address is still in use.
        reload(&gateway, &with);
    }
    // The worker connects again, if its connection was closed.
    send(&client, &["MORE", "last"]);
    let request = receive(&worker);
    send(&worker, &[&request[0][..], b"REPLY", b"y"]);
    assert_eq!(texts(&receive(&client)), ["REPLY", "y"]);
}
