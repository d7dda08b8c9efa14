//! Tests of CURVE on real sockets: clients, workers that connect and that listen, rejected peers,
//! and reloads.
//!
//! The Python that `GATEWAY_TEST_PYTHON` names runs the peers of libzmq with pyzmq. Without the
//! variable, their test is skipped.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::support::TEST_TIMEOUT;
use crate::support::gateway::{Gateway, engine_is};
use crate::support::sealed::Peer;
use crate::support::sealed::pair::{End, client, keys, server};
use gateway::security::{Curve, KnownPeers, Security, Servers};
use gateway::snapshot::Snapshot;
use gateway_zmtp::curve::KeyPair;
use gateway_zmtp::session::{self, NullPeers, Side};

const YAML: &str = r#"
engine: native
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes: { OPAQUE: { pool: people } }
"#;

/// Returns a `Security` in which peers need one of the `known` keys, each given with its name.
fn security(ours: &KeyPair, known: &[(&str, &KeyPair)]) -> Security {
    let named = known
        .iter()
        .map(|(name, keys)| (keys.public(), Arc::from(*name)));
    Security {
        curve: Some(Curve {
            keys: [ours.clone()].into(),
            peers: KnownPeers::Named(named.collect::<HashMap<_, _>>()),
            servers: Servers::None,
        }),
        plain: None,
        null: NullPeers::Refused,
        from: Arc::default(),
    }
}

/// Sets the security of the only frontend and of the only pool.
fn secure(snapshot: &mut Snapshot, clients: Option<Security>, people: Option<Security>) {
    for frontend in snapshot.frontends.values_mut() {
        frontend.security = clients.clone().map(Arc::new);
    }
    for pool in snapshot.pools.values_mut() {
        let mut settings = (**pool).clone();
        settings.security = people.clone().map(Arc::new);
        *pool = Arc::new(settings);
    }
}

fn start(clients: Option<Security>, people: Option<Security>) -> Gateway {
    let directory = tempfile::tempdir().unwrap();
    Gateway::start_edited(directory, YAML, |snapshot| {
        secure(snapshot, clients, people);
    })
}

/// Reloads the gateway with this security for clients, and without security for workers.
fn reload(gateway: &Gateway, clients: Option<Security>) {
    let loaded = gateway::config::load_after(&gateway.file(), gateway.snapshot()).unwrap();
    let mut snapshot = loaded.snapshot;
    secure(&mut snapshot, clients, None);
    let running = gateway.running.as_ref().unwrap();
    running.reloader().reload(Arc::new(snapshot)).unwrap();
}

/// Sends requests of many sizes from `client` to `worker`, answers each request, and checks the
/// frames of the requests and of the answers.
fn exchange(client: &mut Peer, worker: &mut Peer, principal: &str) {
    for size in [0, 1, 60, 255, 300, 70_000, 1_000_000] {
        let body: Vec<u8> = (0..size).map(|n| n as u8).collect();
        client.send(&[b"OPAQUE", b"header", &body]);
        let request = worker.message();
        let token = String::from_utf8(request[0].clone()).unwrap();
        assert!(token.starts_with(&format!("{principal}#")), "{token}");
        assert!(request[1..] == [b"OPAQUE".to_vec(), b"header".to_vec(), body.clone()]);
        worker.send(&[token.as_bytes(), b"REPLY", &body]);
        assert!(client.message() == [b"REPLY".to_vec(), body]);
    }
}

#[test]
fn clients_and_workers_with_known_keys_are_served() {
    if !engine_is("native") {
        return;
    }
    let (ours, alice, worker) = (keys(), keys(), keys());
    let clients = security(&ours, &[("alice", &alice)]);
    let people = security(&ours, &[("worker", &worker)]);
    let gateway = start(Some(clients), Some(people));
    let security = client(&worker, ours.public());
    let mut worker = Peer::connect(&gateway.endpoint("people"), security, "DEALER").admitted();
    let security = client(&alice, ours.public());
    let mut alice = Peer::connect(&gateway.endpoint("clients"), security, "DEALER").admitted();
    exchange(&mut alice, &mut worker, "alice");
    alice.end.ping();
    alice.write();
    assert_eq!(gateway.end().answered, 7);
}

#[test]
fn a_worker_that_listens_may_be_the_server() {
    if !engine_is("native") {
        return;
    }
    let (ours, theirs) = (keys(), keys());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let yaml = YAML.replacen(
        "people: { bind: \"tcp://127.0.0.1:0\" }",
        &format!(
            "people: {{ connect: \"tcp://{}\" }}",
            listener.local_addr().unwrap()
        ),
        1,
    );
    let mut people = security(&ours, &[]);
    let curve = people.curve.as_mut().unwrap();
    curve.servers = Servers::One(theirs.public());
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start_edited(directory, &yaml, |snapshot| {
        secure(snapshot, None, Some(people))
    });
    let (stream, _) = listener.accept().unwrap();
    let security = server(&theirs, NullPeers::Refused);
    let mut worker = Peer::on(stream, security, Side::Listens, "DEALER").admitted();
    assert_eq!(worker.end.key, Some(ours.public()));
    let client = gateway.dealer();
    client.send_multipart(["OPAQUE", "x"], 0).unwrap();
    let request = worker.message();
    worker.send(&[&request[0], b"REPLY", b"y"]);
    let reply = client.recv_multipart(0).unwrap();
    assert_eq!(reply, [b"REPLY".to_vec(), b"y".to_vec()]);
    drop(gateway);
}

#[test]
fn unknown_peers_are_rejected_without_an_error() {
    if !engine_is("native") {
        return;
    }
    let (ours, alice) = (keys(), keys());
    let gateway = start(Some(security(&ours, &[("alice", &alice)])), None);
    let clients = gateway.endpoint("clients");
    let cases = [
        ("an unknown key", client(&keys(), ours.public())),
        ("another server key", client(&alice, keys().public())),
        (
            "its own key as the server's",
            client(&alice, alice.public()),
        ),
        ("no key", session::SessionSecurity::None),
    ];
    for (case, security) in cases {
        let mut peer = Peer::connect(&clients, security, "DEALER");
        assert!(peer.is_ended() && !peer.end.is_met(), "{case}");
        assert!(peer.end.heard.is_empty(), "{case}: {:?}", peer.end.heard);
    }
    // A peer with a key is rejected at an address without security.
    let security = client(&alice, ours.public());
    let stream = TcpStream::connect(gateway.endpoint("people").strip_prefix("tcp://").unwrap());
    let mut peer = stream.unwrap();
    peer.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    peer.write_all(&End::new(security, Side::Connects, "DEALER").out)
        .unwrap();
    // The peer receives at most the greeting, and its connection may be reset.
    let mut received = Vec::new();
    let _ = peer.read_to_end(&mut received);
    assert!(received.len() <= 64, "{received:?}");
}

#[test]
fn added_and_removed_keys_take_effect_on_a_live_address() {
    if !engine_is("native") {
        return;
    }
    let (ours, alice, bob) = (keys(), keys(), keys());
    let gateway = start(None, None);
    let clients = gateway.endpoint("clients");
    let connect = |keys: &KeyPair| Peer::connect(&clients, client(keys, ours.public()), "DEALER");
    let mut raw = TcpStream::connect(clients.strip_prefix("tcp://").unwrap()).unwrap();
    raw.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    let mut hello = gateway_zmtp::greeting::NULL_GREETING.to_vec();
    gateway_zmtp::command::put_ready(&mut hello, "DEALER");
    raw.write_all(&hello).unwrap();
    let mut greeting = [0; 64 + 8];
    raw.read_exact(&mut greeting).unwrap();
    // Once the address requires CURVE, a peer that connected without a key is disconnected.
    reload(&gateway, Some(security(&ours, &[("alice", &alice)])));
    let mut rest = Vec::new();
    let _ = raw.read_to_end(&mut rest);
    let mut first = connect(&alice).admitted();
    assert!(!connect(&bob).is_admitted());
    // A peer with an added key is admitted, and other connections stay open.
    let both = security(&ours, &[("alice", &alice), ("bob", &bob)]);
    reload(&gateway, Some(both));
    let mut second = connect(&bob).admitted();
    // A removed key ends the connections that were made with this key.
    reload(&gateway, Some(security(&ours, &[("bob", &bob)])));
    assert!(first.is_ended());
    assert!(!connect(&alice).is_admitted());
    // Once the address has no security again, an encrypted connection stays open, and new peers
    // need no key.
    reload(&gateway, None);
    second.send(&[b"NOBODY", b""]);
    assert_eq!(second.message()[0], b"ERROR");
    raw = TcpStream::connect(clients.strip_prefix("tcp://").unwrap()).unwrap();
    raw.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    raw.write_all(&hello).unwrap();
    raw.read_exact(&mut greeting).unwrap();
    drop(gateway);
}

const PYZMQ: &str = "
import sys, zmq
kind, endpoint, server, public, secret = sys.argv[1:6]
socket = zmq.Context().socket(getattr(zmq, kind))
socket.linger, socket.rcvtimeo = 0, 20000
socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = (key.encode() for key in (server, public, secret))
socket.connect(endpoint)
if len(sys.argv) > 6:
    for size in (0, 1, 60, 70000, 10 << 20) * 2:
        socket.send_multipart([b'OPAQUE', bytes(size)])
        reply = socket.recv_multipart()
        assert reply == [b'REPLY', bytes(size)], (size, [frame[:200] for frame in reply])
# A worker works until the test ends it.
while len(sys.argv) == 6:
    *token, kind, body = socket.recv_multipart()
    assert all(name.startswith(b'alice#') for name in token), token
    socket.send_multipart([*token, b'REPLY', body])
";

#[test]
fn clients_and_workers_of_libzmq_are_served() {
    let Some(python) = std::env::var_os("GATEWAY_TEST_PYTHON").filter(|_| engine_is("native"))
    else {
        eprintln!("skipped: GATEWAY_TEST_PYTHON does not name the Python of tests/venv.sh");
        return;
    };
    for (client_kind, worker_kind) in [("REQ", "DEALER"), ("DEALER", "DEALER"), ("REQ", "REP")] {
        let (ours, alice, worker) = (keys(), keys(), keys());
        let clients = security(&ours, &[("alice", &alice)]);
        let people = security(&ours, &[("worker", &worker)]);
        let gateway = start(Some(clients), Some(people));
        let start = |kind: &str, endpoint: String, keys: &KeyPair, more: &[&str]| {
            let (server, public) = (ours.public().to_string(), keys.public().to_string());
            let secret = keys.secret().to_z85();
            let arguments = [kind, &endpoint, &server, &public, &secret];
            Command::new(&python)
                .args(["-c", PYZMQ])
                .args(arguments)
                .args(more)
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        };
        let mut worker = start(worker_kind, gateway.endpoint("people"), &worker, &[]);
        let mut client = start(
            client_kind,
            gateway.endpoint("clients"),
            &alice,
            &["client"],
        );
        let served = client.wait().unwrap().success();
        let _ = worker.kill();
        let _ = worker.wait();
        assert!(served, "{client_kind} and {worker_kind}");
        assert_eq!(gateway.end().answered, 10);
    }
}
