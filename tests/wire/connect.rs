//! Tests of connections to peers that listen, and that may start late, stop and restart. The tests
//! cover every kind of address to connect to or to listen on, and the log lines about unsuitable
//! peers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};

use gateway::reply::Reason;

use crate::support::TEST_TIMEOUT;
use crate::support::gateway::{Gateway, engine_is, on_this_engine};
use crate::support::process::Process;
use crate::support::sockets::{answer, receive, rejected, send, socket, texts};
use crate::support::zmtp::{command, greeting, ready};

/// Starts a gateway whose only frontend and only pool have these settings.
fn between(clients: &str, people: &str) -> Gateway {
    Gateway::start(&routes(clients, people))
}

fn routes(clients: &str, people: &str) -> String {
    format!(
        r#"
frontends: {{ clients: {{ {clients} }} }}
pools: {{ people: {{ {people} }} }}
routes: {{ OPAQUE: {{ pool: people }} }}
"#
    )
}

const ANYWHERE: &str = r#"bind: "tcp://127.0.0.1:0""#;

/// Returns a socket that listens, and its address.
fn listening(
    context: &zmq::Context,
    kind: zmq::SocketType,
    endpoint: &str,
) -> (zmq::Socket, String) {
    let socket = socket(context, kind);
    socket.set_ipv6(endpoint.contains('[')).unwrap();
    socket.bind(endpoint).unwrap();
    let at = socket.get_last_endpoint().unwrap().unwrap();
    (socket, at)
}

/// Returns a port of this host on which no socket listens yet.
fn free_port(host: &str) -> u16 {
    let listener = TcpListener::bind((host, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[track_caller]
fn assert_served(client: &zmq::Socket, worker: &zmq::Socket) {
    send(client, &["OPAQUE", "h", "x"]);
    answer(worker, b"y");
    assert_eq!(texts(&receive(client)), ["REPLY", "h", "y"]);
}

/// Returns whether this machine has the address ::1, which some containers lack. Prints a note if
/// the address is missing.
fn has_ipv6() -> bool {
    let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
    if !has_ipv6 {
        eprintln!("not tested: this machine has no ::1");
    }
    has_ipv6
}

#[test]
fn a_worker_that_starts_later_is_found() {
    let port = free_port("127.0.0.1");
    let gateway = between(ANYWHERE, &format!(r#"connect: "tcp://127.0.0.1:{port}""#));
    let client = gateway.dealer();
    // The request is queued, because no worker listens yet. The rejection of the next message shows
    // that the gateway has received the request.
    send(&client, &["OPAQUE", "h", "x"]);
    send(&client, &["NOBODY", "x"]);
    rejected(&client, &[], Reason::UnknownType);
    let (worker, _) = listening(
        &gateway.context,
        zmq::DEALER,
        &format!("tcp://127.0.0.1:{port}"),
    );
    answer(&worker, b"y");
    assert_eq!(texts(&receive(&client)), ["REPLY", "h", "y"]);
}

#[test]
fn a_worker_that_restarts_is_found_again() {
    let context = zmq::Context::new();
    for (kind, workers) in [(zmq::DEALER, "dealer"), (zmq::REP, "rep")] {
        let (worker, at) = listening(&context, kind, "tcp://127.0.0.1:*");
        let gateway = between(ANYWHERE, &format!(r#"connect: "{at}", workers: {workers}"#));
        let client = gateway.dealer();
        let mut worker = Some(worker);
        for _ in 0..3 {
            let listener = match worker.take() {
                Some(listener) => listener,
                // The system may not free the port at once.
                None => loop {
                    let socket = socket(&context, kind);
                    if socket.bind(&at).is_ok() {
                        break socket;
                    }
                },
            };
            send(&client, &["OPAQUE", "x"]);
            let mut request = receive(&listener);
            let kind_at = request.len() - 2;
            request[kind_at] = b"REPLY".to_vec();
            send(&listener, &request);
            assert_eq!(texts(&receive(&client)), ["REPLY", "x"]);
            send(&client, &["OPAQUE", "held", "x"]);
            receive(&listener);
            drop(listener);
            rejected(&client, &["held"], Reason::WorkerLost);
        }
    }
}

#[test]
fn a_pool_connects_to_workers_and_accepts_workers() {
    let context = zmq::Context::new();
    let (called, at) = listening(&context, zmq::DEALER, "tcp://127.0.0.1:*");
    let gateway = between(
        ANYWHERE,
        &format!(r#"{ANYWHERE}, connect: "{at}", per_worker: 1"#),
    );
    let client = gateway.dealer();
    assert_served(&client, &called);
    let accepted = gateway.worker();
    if !engine_is("native") {
        return;
    }
    // Each worker holds one request at most, so each worker receives one of the two requests.
    for n in ["1", "2"] {
        send(&client, &["OPAQUE", n, "x"]);
    }
    let held = [&called, &accepted].map(|worker| (worker, receive(worker)));
    for (worker, request) in &held {
        send(worker, &[&request[0][..], b"REPLY", &request[2], b"y"]);
        let got = texts(&receive(&client));
        assert_eq!(got, ["REPLY", &texts(request)[2], "y"]);
    }
}

#[test]
fn clients_that_listen_are_served() {
    let context = zmq::Context::new();
    let (dealer, first) = listening(&context, zmq::DEALER, "tcp://127.0.0.1:*");
    let (req, second) = listening(&context, zmq::REQ, "tcp://127.0.0.1:*");
    let gateway = between(&format!(r#"connect: ["{first}", "{second}"]"#), ANYWHERE);
    let worker = gateway.worker();
    for client in [&dealer, &req, &dealer, &req] {
        assert_served(client, &worker);
        send(client, &["NOBODY", "x"]);
        rejected(client, &[], Reason::UnknownType);
    }
}

/// `localhost` may resolve to ::1 first, so the gateway must try all addresses of a host name.
#[test]
fn workers_are_connected_to_by_name() {
    let context = zmq::Context::new();
    let (worker, at) = listening(&context, zmq::DEALER, "tcp://127.0.0.1:*");
    let at = at.replace("127.0.0.1", "localhost");
    let gateway = between(ANYWHERE, &format!(r#"connect: "{at}""#));
    assert_served(&gateway.dealer(), &worker);
    let found = ("localhost", 1).to_socket_addrs().unwrap();
    if engine_is("native") && found.into_iter().any(|at| at.is_ipv6()) && has_ipv6() {
        let (worker, at) = listening(&context, zmq::DEALER, "tcp://[::1]:*");
        let at = at.replace("[::1]", "localhost");
        let gateway = between(ANYWHERE, &format!(r#"connect: "{at}""#));
        assert_served(&gateway.dealer(), &worker);
    }
}

#[test]
fn a_host_name_that_does_not_resolve_delays_no_peer() {
    let context = zmq::Context::new();
    let (worker, at) = listening(&context, zmq::DEALER, "tcp://127.0.0.1:*");
    let gateway = between(
        ANYWHERE,
        &format!(r#"connect: ["tcp://nobody.invalid:7", "{at}", "tcp://also.invalid:7"]"#),
    );
    assert_served(&gateway.dealer(), &worker);
}

#[test]
fn ipv6_works_for_listening_and_connecting_on_both_sides() {
    if !has_ipv6() {
        return;
    }
    let context = zmq::Context::new();
    let (worker, at) = listening(&context, zmq::DEALER, "tcp://[::1]:*");
    let six = r#"bind: "tcp://[::1]:0""#;
    let gateway = between(six, &format!(r#"{six}, connect: "{at}""#));
    let client = socket(&context, zmq::DEALER);
    client.set_ipv6(true).unwrap();
    client.connect(&gateway.endpoint("clients")).unwrap();
    assert_served(&client, &worker);
    let gateway = between(six, six);
    let endpoint = gateway.endpoint("people");
    assert!(
        endpoint.starts_with("tcp://[::1]:") && !endpoint.ends_with(":0"),
        "{endpoint}"
    );
    let [client, worker] = ["clients", "people"].map(|name| {
        let socket = socket(&context, zmq::DEALER);
        socket.set_ipv6(true).unwrap();
        socket.connect(&gateway.endpoint(name)).unwrap();
        socket
    });
    assert_served(&client, &worker);
}

#[test]
fn ipc_workers_are_connected_to_by_path_and_by_abstract_name() {
    let context = zmq::Context::new();
    let directory = tempfile::tempdir().unwrap();
    let mut endpoints = vec![format!("ipc://{}/worker", directory.path().display())];
    if cfg!(target_os = "linux") {
        endpoints.push(format!("ipc://@gateway connects {}", std::process::id()));
    }
    for endpoint in endpoints {
        // The worker starts after the gateway, stops, and starts again.
        let gateway = between(ANYWHERE, &format!(r#"connect: "{endpoint}""#));
        let client = gateway.dealer();
        for _ in 0..2 {
            let (worker, _) = listening(&context, zmq::DEALER, &endpoint);
            assert_served(&client, &worker);
            send(&client, &["OPAQUE", "held", "x"]);
            receive(&worker);
            drop(worker);
            rejected(&client, &["held"], Reason::WorkerLost);
        }
    }
}

/// Only engine native is tested, because libzmq takes over a path on which a program listens.
#[test]
fn an_ipc_path_is_taken_over_only_from_a_dead_listener() {
    if !engine_is("native") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("clients");
    let bind = format!(r#"bind: "ipc://{}""#, path.display());
    // A killed process leaves such a socket file, on which no process listens.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let gateway = between(&bind, ANYWHERE);
    let client = gateway.dealer();
    // One worker serves all requests. If each request had its own worker, a worker that has just
    // disconnected might receive the next request.
    let worker = gateway.worker();
    assert_served(&client, &worker);
    let file = directory.path().join("routes.yaml");
    std::fs::create_dir(directory.path().join("schemas")).unwrap();
    std::fs::write(&file, on_this_engine(&routes(&bind, ANYWHERE))).unwrap();
    let second = || {
        let loaded = gateway::config::load(&file).unwrap_or_else(|found| panic!("{found}"));
        let started = gateway::engine::start(std::sync::Arc::new(loaded.snapshot));
        started.err().expect("the path is in use").to_string()
    };
    let taken = second();
    assert!(
        taken.contains("frontend clients: can't listen on ipc://") && taken.contains("in use"),
        "{taken}"
    );
    assert_served(&gateway.dealer(), &worker);
    gateway.end();
    assert!(!path.exists(), "the gateway removes its path");
    std::fs::write(&path, "precious").unwrap();
    second();
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

/// Only engine native is tested. The peer behaves like JeroMQ 0.3, which speaks ZMTP 2.0 and cannot
/// read a greeting of version 3.1.
#[test]
fn a_peer_that_disconnects_during_its_greeting_is_logged() {
    if !engine_is("native") {
        return;
    }
    let mut process = Process::start(&on_this_engine(&routes(ANYWHERE, ANYWHERE)));
    let endpoint = process.endpoint("frontend clients");
    let at = endpoint.strip_prefix("tcp://").unwrap();
    // A connection without data is not logged: a health check may connect in this way.
    drop(TcpStream::connect(at).unwrap());
    let mut peer = TcpStream::connect(at).unwrap();
    peer.write_all(b"\xff\0\0\0\0\0\0\0\x01\x7f").unwrap();
    let from = format!("tcp://{}", peer.local_addr().unwrap());
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    let line = process.await_line("frontend clients: a connection is refused");
    assert_eq!(line["peer"], from);
    let message = line["message"].as_str().unwrap();
    assert!(
        message.contains("in the middle of its greeting"),
        "{message}"
    );
    assert_eq!(line["left_out"], 0);
}

/// Only engine native is tested. The system no longer knows the address when the gateway is
/// notified of the reset, so the gateway must have stored it.
#[test]
fn a_peer_that_resets_during_its_greeting_is_logged_with_its_address() {
    if !engine_is("native") {
        return;
    }
    let mut process = Process::start(&on_this_engine(&routes(ANYWHERE, ANYWHERE)));
    let endpoint = process.endpoint("frontend clients");
    let mut peer = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
    peer.write_all(b"\xff\0\0\0\0\0\0\0\x01\x7f").unwrap();
    // Once the gateway has sent its greeting, it has accepted the connection.
    peer.read_exact(&mut [0]).unwrap();
    let from = format!("tcp://{}", peer.local_addr().unwrap());
    let now = Some(std::time::Duration::ZERO);
    socket2::SockRef::from(&peer).set_linger(now).unwrap();
    drop(peer);
    let line = process.await_line("frontend clients: a connection is refused");
    assert_eq!(line["peer"], from);
    // The gateway cannot know why the peer has reset the connection, so the log names more than one
    // cause.
    let message = line["message"].as_str().unwrap();
    assert!(
        message.contains("in the middle of its greeting: the peer was stopped, or it speaks"),
        "{message}"
    );
}

/// Only engine native is tested. The gateway serves most of the connections, and connects again
/// soon after it has served one.
#[test]
fn a_peer_that_reconnects_again_and_again_does_not_fill_the_log() {
    if !engine_is("native") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let people = format!(r#"connect: "tcp://{at}""#);
    let mut process = Process::start(&on_this_engine(&routes(ANYWHERE, &people)));
    let began = std::time::Instant::now();
    let hello = [&greeting(1)[..], &command(&ready("DEALER", &[]))].concat();
    for n in 0..30 {
        let (mut stream, _) = listener.accept().unwrap();
        // Every third connection is closed at once.
        if n % 3 > 0 {
            stream.write_all(&hello).unwrap();
            // The gateway serves the peer once it has sent its greeting and READY.
            stream.read_exact(&mut [0; 64 + 2 + 6]).unwrap();
        }
    }
    let seconds = began.elapsed().as_secs() as usize + 1;
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    while let Some(line) = process.next_line(std::time::Duration::from_millis(300)) {
        let message = line["message"].as_str().unwrap_or_default().to_owned();
        *counts.entry(message).or_default() += 1;
    }
    println!("within {seconds} s: {counts:?}");
    for message in [
        "connected",
        "can't connect; trying again",
        "disconnected; trying again",
    ] {
        assert!(
            counts
                .get(message)
                .is_none_or(|count| *count <= seconds + 1),
            "{counts:?}"
        );
    }
    assert!(counts.contains_key("connected"));
}

/// Returns unsuitable peers: for each, the frontend or pool that it connects to, the bytes that it
/// sends, and the hint in the log.
fn misfits() -> [(&'static str, Vec<u8>, &'static str); 10] {
    let mut curve = greeting(1);
    curve[12..17].copy_from_slice(b"CURVE");
    let peer = |kind: &str| [&greeting(1)[..], &command(&ready(kind, &[]))].concat();
    let http = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    let tls = b"\x16\x03\x01\x02\0".to_vec();
    let zmtp_2 = b"\xff\0\0\0\0\0\0\0\x01\x7f\x01".to_vec();
    let (clients, people) = ("frontend clients", "pool people");
    [
        (clients, http, "it speaks HTTP"),
        (clients, tls, "it speaks TLS"),
        (
            people,
            b"\x01\0".to_vec(),
            "it speaks ZMTP 1.0; the gateway speaks ZMTP 3.0",
        ),
        (people, zmtp_2, "it speaks ZMTP 2.0"),
        (clients, curve.to_vec(), "security mechanism CURVE"),
        (
            clients,
            peer("SUB"),
            "a SUB socket at a frontend: that is a subscriber, and subscribers connect to the addresses of a channel's `subscribers`",
        ),
        (
            clients,
            peer("REP"),
            "a REP socket at a frontend: that is a worker, and workers connect to a pool's address",
        ),
        (
            people,
            peer("REQ"),
            "a REQ socket at a pool: that is a client, and clients connect to a frontend's address",
        ),
        (
            people,
            peer("PUSH"),
            "a PUSH socket at a pool: workers are DEALER or REP",
        ),
        (people, peer("DEALER"), "rep`: set `workers: auto`"),
    ]
}

/// Only engine native is tested. The log names the kind of the peer and the remedy.
#[test]
fn other_protocols_and_wrong_socket_types_are_logged() {
    if !engine_is("native") {
        return;
    }
    let people = format!("{ANYWHERE}, workers: rep");
    let mut process = Process::start(&on_this_engine(&routes(ANYWHERE, &people)));
    for (at, bytes, hint) in misfits() {
        let place = format!("{at}: a connection is refused");
        let endpoint = process.endpoint(at);
        let deadline = std::time::Instant::now() + TEST_TIMEOUT;
        // The log has at most one line a second for each cause at a frontend or pool, so the peer
        // connects again until its line appears.
        loop {
            let mut stream = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
            let from = format!("tcp://{}", stream.local_addr().unwrap());
            stream.write_all(&bytes).unwrap();
            let line = process.next_line(std::time::Duration::from_millis(200));
            let reported = line.is_some_and(|line| {
                let message = line["message"].as_str().unwrap_or_default();
                let reported = message.starts_with(&place) && message.contains(hint);
                assert!(!reported || line["peer"] == from, "{line}");
                reported
            });
            if reported {
                break;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "never reported: {hint}"
            );
        }
    }
}

/// Each gateway waits for the READY of the other.
#[test]
fn two_gateways_that_connect_to_each_other_are_logged() {
    if !engine_is("native") {
        return;
    }
    let other = between(ANYWHERE, ANYWHERE);
    for (clients, people, place, hint) in [
        (
            ANYWHERE.to_owned(),
            format!("connect: {:?}", other.endpoint("clients")),
            "pool people: the peer does not send its READY",
            "a pool connects to workers",
        ),
        (
            format!("connect: {:?}", other.endpoint("people")),
            ANYWHERE.to_owned(),
            "frontend clients: the peer does not send its READY",
            "a frontend connects to clients",
        ),
    ] {
        let start = std::time::Instant::now();
        let mut process = Process::start(&on_this_engine(&routes(&clients, &people)));
        let line = process.await_line(place);
        // A handshake may take ten seconds.
        let waited = start.elapsed();
        assert!(waited.as_secs() < 8, "{waited:?}");
        assert_eq!(line["level"], "WARN", "{line}");
        let reported = line["message"].as_str().unwrap();
        assert!(
            reported.contains("another gateway") && reported.contains(hint),
            "{reported}"
        );
        let address = if place.starts_with("pool") {
            "clients"
        } else {
            "people"
        };
        assert_eq!(
            line["peer"].as_str(),
            Some(&*other.endpoint(address)),
            "{line}"
        );
    }
}
