//! Tests of `security` in routes.yaml on real sockets: key files that are added and removed, log
//! lines about peers that make a mistake, and the keys `allow` and `rate` of routes.
//!
//! The test of all mistakes needs pyzmq, and is skipped unless `GATEWAY_TEST_PYTHON` names a Python
//! that has pyzmq. Nearly all other peers use the codec of this repository.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::TEST_TIMEOUT;
use crate::support::gateway::{Gateway, engine_is};
use crate::support::process::Process;
use crate::support::pyzmq;
use crate::support::sealed::Peer;
use crate::support::sealed::pair::{client, client_as, keys, server};
use crate::support::sockets::connected;
use crate::support::zmtp::{Raw, Received, command, greeting, ready};
use gateway_zmtp::curve::{KeyPair, PublicKey};
use gateway_zmtp::session;

/// A gateway process with a directory of key files.
struct Secured {
    process: Process,
    files: tempfile::TempDir,
    ours: KeyPair,
}

fn write_public(path: &Path, key: PublicKey) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let temporary = path.with_extension("tmp");
    fs::write(
        &temporary,
        format!("metadata\ncurve\n    public-key = \"{key}\"\n"),
    )
    .unwrap();
    fs::rename(temporary, path).unwrap();
}

impl Secured {
    /// Starts a gateway whose frontend has this `security`, in which KEYS stands for the directory
    /// of key files. The folder `clients` of that directory contains the key of Alice.
    fn start(security: &str, alice: &KeyPair) -> Self {
        Self::start_with(security, alice, "")
    }

    /// Starts a gateway as [`Self::start`] does, with additional sections in its routes.yaml.
    fn start_with(security: &str, alice: &KeyPair, more: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let ours = keys();
        let secret = files.path().join("gateway.key_secret");
        fs::write(secret, format!("{}\n", &*ours.secret().to_z85())).unwrap();
        write_public(&files.path().join("clients/alice.key"), alice.public());
        let directory = files.path().display().to_string();
        let process =
            Process::start(&format!("{}{more}", yaml(security)).replace("KEYS", &directory));
        Self {
            process,
            files,
            ours,
        }
    }

    fn key_file(&self, name: &str) -> std::path::PathBuf {
        self.files.path().join(format!("clients/{name}.key"))
    }

    fn clients(&self) -> String {
        self.process.endpoint("frontend clients")
    }

    fn peer(&self, keys: &KeyPair) -> Peer {
        Peer::connect(&self.clients(), client(keys, self.ours.public()), "DEALER")
    }
}

fn yaml(security: &str) -> String {
    format!(
        r#"
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0", security: {security} }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0" }} }}
routes: {{ OPAQUE: {{ pool: people }} }}
reload: {{ settle: 20ms }}
admin: {{ bind: "127.0.0.1:0" }}
"#
    )
}

/// Starts a gateway with a channel that knows the keys of the publishers Feed and Guest and of the
/// subscriber Screen. Returns the gateway and its keys.
fn start_channel([feed, guest, screen]: [&KeyPair; 3]) -> (Gateway, KeyPair) {
    let directory = tempfile::tempdir().unwrap();
    let (files, ours) = (directory.path(), keys());
    fs::write(files.join("gateway.key_secret"), &*ours.secret().to_z85()).unwrap();
    write_public(&files.join("publishers/feed.key"), feed.public());
    write_public(&files.join("publishers/guest.key"), guest.public());
    write_public(&files.join("subscribers/screen.key"), screen.public());
    let side = |side: &str| {
        let security = format!("{{ curve: {{ secret: gateway.key_secret, peers: {side} }} }}");
        format!(r#"{side}: {{ bind: "tcp://127.0.0.1:0", security: {security} }}"#)
    };
    let yaml = format!(
        "channels: {{ ticks: {{ {}, {}, keep: last }} }}\n\
         routes: {{ OPEN: {{ publish: ticks }}, CLOSED: {{ publish: ticks, allow: feed }} }}",
        side("publishers"),
        side("subscribers"),
    );
    (Gateway::start_in(directory, &yaml), ours)
}

const CURVE: &str = "{ curve: { secret: KEYS/gateway.key_secret, peers: KEYS/clients } }";

#[test]
fn an_added_key_admits_its_owner_and_a_removed_key_ends_its_connections() {
    if !engine_is("native") {
        return;
    }
    let (alice, bob) = (keys(), keys());
    let mut gateway = Secured::start(CURVE, &alice);
    let mut first = gateway.peer(&alice).admitted();
    assert!(!gateway.peer(&bob).is_admitted());
    let line = gateway
        .process
        .await_line("frontend clients: a connection is refused: its key");
    // The log line contains the text to put into a key file.
    let message = line["message"].as_str().unwrap().to_owned();
    let entry = message
        .split("put ")
        .nth(1)
        .unwrap()
        .split(" into")
        .next()
        .unwrap();
    fs::write(gateway.key_file("bob"), format!("{entry}\n")).unwrap();
    gateway
        .process
        .await_line("reloaded: ~1 frontend (clients)");
    let mut second = gateway.peer(&bob).admitted();
    // An error in the key file of another peer does not affect the known peers.
    fs::write(gateway.key_file("carol"), "public-key = \"short\"\n").unwrap();
    let fault = gateway.process.await_line("this is not a public key");
    let place = fault["place"].as_str().unwrap();
    assert!(place.ends_with("clients/carol.key:1:15"), "{place}");
    fs::remove_file(gateway.key_file("alice")).unwrap();
    gateway
        .process
        .await_line("reloaded: ~1 frontend (clients)");
    assert!(first.is_ended());
    assert!(!gateway.peer(&alice).is_admitted());
    second.send(&[b"NOBODY", b""]);
    assert_eq!(second.message()[0], b"ERROR");
}

/// Alice's key is replaced: another file with her name contains the new key, and then the file with
/// the old key is removed.
#[test]
fn a_removed_key_ends_only_the_connections_that_were_made_with_it() {
    if !engine_is("native") {
        return;
    }
    let (old, new) = (keys(), keys());
    let mut gateway = Secured::start(CURVE, &old);
    let mut before = gateway.peer(&old).admitted();
    let text = format!(
        "metadata\n    name = \"alice\"\ncurve\n    public-key = \"{}\"\n",
        new.public()
    );
    fs::write(gateway.key_file("alice-2"), text).unwrap();
    gateway
        .process
        .await_line("reloaded: ~1 frontend (clients)");
    let mut after = gateway.peer(&new).admitted();
    fs::remove_file(gateway.key_file("alice")).unwrap();
    gateway
        .process
        .await_line("reloaded: ~1 frontend (clients)");
    assert!(before.is_ended());
    after.send(&[b"NOBODY", b""]);
    assert_eq!(after.message()[0], b"ERROR");
    assert_eq!(gateway.process.status()["principals"][0]["name"], "alice");
}

/// The folder does not exist when the gateway starts.
#[test]
fn keys_in_a_new_folder_below_the_peers_admit_their_owners_until_it_is_removed() {
    if !engine_is("native") {
        return;
    }
    let (alice, bob, carol) = (keys(), keys(), keys());
    let mut gateway = Secured::start(CURVE, &alice);
    let mut admitted = Vec::new();
    for (name, keys) in [("berlin/bob", &bob), ("berlin/carol", &carol)] {
        write_public(&gateway.key_file(name), keys.public());
        gateway
            .process
            .await_line("reloaded: ~1 frontend (clients)");
        admitted.push(gateway.peer(keys).admitted());
    }
    fs::remove_dir_all(gateway.files.path().join("clients/berlin")).unwrap();
    for mut peer in admitted {
        assert!(peer.is_ended());
    }
    gateway.peer(&alice).admitted();
}

/// docs/security.md describes these steps: for a while, peers may know either the old or the new
/// key of the gateway.
#[test]
fn the_gateways_key_is_replaced_while_connections_stay_open() {
    if !engine_is("native") {
        return;
    }
    let (alice, new) = (keys(), keys());
    let mut gateway = Secured::start(CURVE, &alice);
    let directory = gateway.files.path().display().to_string();
    fs::write(format!("{directory}/new"), &*new.secret().to_z85()).unwrap();
    let old_alone = format!("secret: {directory}/gateway.key_secret");
    let both = format!("secret: [{directory}/new, {directory}/gateway.key_secret]");
    let new_alone = format!("secret: {directory}/new");
    let replace = |gateway: &mut Secured, from: &str, to: &str| {
        let text = fs::read_to_string(gateway.process.file()).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(gateway.process.file(), text.replace(from, to)).unwrap();
        gateway
            .process
            .await_line("reloaded: ~1 frontend (clients)");
    };
    let by_new = |gateway: &Secured| {
        let security = client(&alice, new.public());
        Peer::connect(&gateway.clients(), security, "DEALER")
    };
    let before = gateway.peer(&alice).admitted();
    replace(&mut gateway, &old_alone, &both);
    let with_old = gateway.peer(&alice).admitted();
    let with_new = by_new(&gateway).admitted();
    replace(&mut gateway, &both, &new_alone);
    assert!(!gateway.peer(&alice).is_admitted());
    let line = gateway
        .process
        .await_line("frontend clients: a connection is refused: its server key");
    let message = line["message"].as_str().unwrap();
    assert!(message.contains(&new.public().to_string()), "{message}");
    for mut peer in [before, with_old, with_new, by_new(&gateway).admitted()] {
        peer.send(&[b"NOBODY", b""]);
        assert_eq!(peer.message()[0], b"ERROR");
    }
}

#[test]
fn the_request_of_a_worker_whose_key_is_removed_is_rejected() {
    if !engine_is("native") {
        return;
    }
    let (ours, theirs) = (keys(), keys());
    let files = tempfile::tempdir().unwrap();
    let directory = files.path().display();
    let key = files.path().join("workers/worker-1.key");
    fs::write(files.path().join("ours"), &*ours.secret().to_z85()).unwrap();
    write_public(&key, theirs.public());
    let curve = format!("{{ curve: {{ secret: {directory}/ours, peers: {directory}/workers }} }}");
    let yaml = yaml("none").replace(
        "people: { bind: \"tcp://127.0.0.1:0\" }",
        // Without heartbeats, nothing else ends the connection of a worker that does not answer.
        &format!("people: {{ bind: \"tcp://127.0.0.1:0\", heartbeat: off, security: {curve} }}"),
    );
    let process = Process::start(&yaml);
    let security = client(&theirs, ours.public());
    let pool = process.endpoint("pool people");
    let mut worker = Peer::connect(&pool, security, "DEALER").admitted();
    let clients = process.endpoint("frontend clients");
    let mut client = Peer::connect(&clients, session::SessionSecurity::None, "DEALER").admitted();
    client.send(&[b"OPAQUE", b"x"]);
    assert_eq!(worker.message()[1], b"OPAQUE");
    fs::remove_file(key).unwrap();
    let answer = client.message();
    let payload: serde_json::Value = serde_json::from_slice(&answer[1]).unwrap();
    assert_eq!(payload["reason"], "worker_lost", "{payload}");
    assert!(worker.is_ended());
}

/// First the file of the gateway's key is missing for a while, and then the directory with the keys
/// of its peers.
#[test]
fn an_error_in_the_gateways_own_files_keeps_the_keys_in_force() {
    if !engine_is("native") {
        return;
    }
    let (alice, bob) = (keys(), keys());
    let mut gateway = Secured::start(CURVE, &alice);
    let mut first = gateway.peer(&alice).admitted();
    for name in ["gateway.key_secret", "clients"] {
        let path = gateway.files.path().join(name);
        let away = path.with_extension("away");
        fs::rename(&path, &away).unwrap();
        gateway.process.await_line("reload failed: ");
        gateway.peer(&alice).admitted();
        assert!(!gateway.peer(&bob).is_admitted(), "{name}");
        fs::rename(&away, &path).unwrap();
        gateway.process.await_line("reload: nothing changed");
    }
    first.send(&[b"NOBODY", b""]);
    assert_eq!(first.message()[0], b"ERROR");
}

/// Each error prevents the files as a whole from taking effect. Nevertheless, a removed key is
/// refused, and a new key is admitted.
#[test]
fn a_removed_key_is_refused_despite_other_errors() {
    if !engine_is("native") {
        return;
    }
    type Break = fn(&Secured);
    let breaks: [(&str, Break); 5] = [
        ("routes.yaml cannot be parsed", |gateway| {
            fs::write(gateway.process.file(), "routes: {").unwrap();
        }),
        ("routes.yaml is removed", |gateway| {
            fs::remove_file(gateway.process.file()).unwrap();
        }),
        ("a route leads nowhere", |gateway| {
            let text = fs::read_to_string(gateway.process.file()).unwrap();
            let text = text.replacen("OPAQUE: { pool: people }", "OPAQUE: { pool: nobody }", 1);
            fs::write(gateway.process.file(), text).unwrap();
        }),
        ("the gateway's secret key is gone", |gateway| {
            fs::remove_file(gateway.files.path().join("gateway.key_secret")).unwrap();
        }),
        ("another key has two names", |gateway| {
            let text = fs::read(gateway.key_file("dora")).unwrap();
            fs::write(gateway.key_file("copy"), text).unwrap();
        }),
    ];
    for (what, broken) in breaks {
        let (alice, bob, dora) = (keys(), keys(), keys());
        let mut gateway = Secured::start(CURVE, &alice);
        write_public(&gateway.key_file("dora"), dora.public());
        gateway.process.await_line("reloaded: ~1 frontend");
        let mut first = gateway.peer(&alice).admitted();
        let mut other = gateway.peer(&dora).admitted();
        broken(&gateway);
        gateway.process.await_line("reload failed: ");
        write_public(&gateway.key_file("bob"), bob.public());
        let line = "reloaded the keys alone: ~1 frontend (clients)";
        gateway.process.await_line(line);
        gateway.peer(&bob).admitted();
        fs::remove_file(gateway.key_file("alice")).unwrap();
        gateway.process.await_line(line);
        assert!(first.is_ended(), "{what}");
        assert!(!gateway.peer(&alice).is_admitted(), "{what}");
        other.send(&[b"NOBODY", b""]);
        assert_eq!(other.message()[0], b"ERROR", "{what}");
    }
}

#[test]
fn both_kinds_of_peers_are_served_while_security_is_rolled_out() {
    if !engine_is("native") {
        return;
    }
    let alice = keys();
    let security = CURVE.replacen("} }", "}, anonymous: true }", 1);
    let gateway = Secured::start(&security, &alice);
    let pool = gateway.process.endpoint("pool people");
    let mut worker = Peer::connect(&pool, session::SessionSecurity::None, "DEALER").admitted();
    let mut known = gateway.peer(&alice).admitted();
    let mut other =
        Peer::connect(&gateway.clients(), session::SessionSecurity::None, "DEALER").admitted();
    for (client, principal) in [(&mut known, "alice#"), (&mut other, "anonymous#")] {
        client.send(&[b"OPAQUE", b"x"]);
        let request = worker.message();
        assert!(request[0].starts_with(principal.as_bytes()), "{request:?}");
        worker.send(&[&request[0], b"REPLY", b"y"]);
        assert_eq!(client.message(), [b"REPLY".to_vec(), b"y".to_vec()]);
    }
    let anonymous = |number: f64| {
        gateway
            .process
            .await_metrics("anonymous clients", |metrics| {
                metrics.sum("gateway_clients_anonymous", &["frontend=\"clients\""]) == number
            })
    };
    anonymous(1.0);
    assert_eq!(gateway.process.status()["frontends"][0]["anonymous"], 1);
    drop(other);
    anonymous(0.0);
    assert_eq!(gateway.process.status()["frontends"][0]["clients"], 1);
}

/// `/status` shows a client's rejections and open requests under the principal that its key stands
/// for.
#[test]
fn requests_are_counted_by_the_principals_of_their_clients() {
    if !engine_is("native") {
        return;
    }
    let alice = keys();
    let security = CURVE.replacen("} }", "}, anonymous: true }", 1);
    let gateway = Secured::start(&security, &alice);
    let metrics = gateway.process.get("/metrics").body;
    assert!(!metrics.contains("gateway_principal"), "{metrics}");
    let pool = gateway.process.endpoint("pool people");
    let mut worker = Peer::connect(&pool, session::SessionSecurity::None, "DEALER").admitted();
    let mut known = [(); 2].map(|()| gateway.peer(&alice).admitted());
    let mut other =
        Peer::connect(&gateway.clients(), session::SessionSecurity::None, "DEALER").admitted();
    other.send(&[b"NOBODY", b"x"]);
    assert_eq!(other.message()[0], b"ERROR");
    for client in &mut known {
        client.send(&[b"OPAQUE", b"x"]);
        let request = worker.message();
        worker.send(&[&request[0], b"REPLY", b"y"]);
        assert_eq!(client.message()[0], b"REPLY");
    }
    known[0].send(&[b"OPAQUE", b"held"]);
    worker.message();
    let entry = |name, clients, open, requests, rejected| {
        serde_json::json!({
            "name": name, "clients": clients, "open": open, "requests": requests,
            "rejected": rejected,
        })
    };
    let principals = |process: &Process| process.status()["principals"].clone();
    assert_eq!(
        principals(&gateway.process),
        serde_json::json!([entry("alice", 2, 1, 3, 0), entry("anonymous", 1, 0, 1, 1)])
    );
    let metrics = gateway.process.metrics();
    for (name, requests) in [("alice", 3.0), ("anonymous", 1.0)] {
        let labels = format!("principal=\"{name}\"");
        let counted = metrics.sum("gateway_principal_requests_total", &[&labels]);
        assert_eq!(counted, requests, "{name}");
    }
    drop(known);
    gateway
        .process
        .await_metrics("the disconnection of the known clients", |metrics| {
            metrics.sum("gateway_clients", &["frontend=\"clients\""]) == 1.0
        });
    // The counts remain, but `clients` and `open` count connected clients only.
    assert_eq!(principals(&gateway.process)[0], entry("alice", 0, 0, 3, 0));
}

#[test]
fn peers_at_unlisted_addresses_are_refused_before_their_greeting() {
    if !engine_is("native") {
        return;
    }
    let mut gateway = Secured::start("{ from: [10.0.0.0/8, \"::1\"] }", &keys());
    let _libzmq_client = connected(&zmq::Context::new(), zmq::DEALER, &gateway.clients());
    gateway
        .process
        .await_line("frontend clients: a connection is refused: its address is not in `from`");
    let mut peer = Peer::connect(&gateway.clients(), session::SessionSecurity::None, "DEALER");
    assert!(!peer.is_admitted());
    let gateway = Secured::start("{ from: 127.0.0.0/8 }", &keys());
    Peer::connect(&gateway.clients(), session::SessionSecurity::None, "DEALER").admitted();
}

/// Peers on ipc addresses are on this machine, so `from` does not apply to them.
#[test]
fn a_client_of_libzmq_with_a_key_is_served_over_ipc_whatever_from_contains() {
    if !engine_is("native") {
        return;
    }
    let alice = keys();
    let security = CURVE.replacen("} }", "}, from: 10.0.0.0/8 }", 1);
    let (directory, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ours = keys();
    fs::write(
        files.path().join("gateway.key_secret"),
        &*ours.secret().to_z85(),
    )
    .unwrap();
    write_public(&files.path().join("clients/alice.key"), alice.public());
    let endpoint = format!("ipc://{}/clients", directory.path().display());
    let yaml = yaml(&security)
        .replace("KEYS", &files.path().display().to_string())
        .replacen("tcp://127.0.0.1:0", &endpoint, 1);
    let process = Process::start(&yaml);
    let pool = process.endpoint("pool people");
    let mut worker = Peer::connect(&pool, session::SessionSecurity::None, "DEALER").admitted();
    let peer = pyzmq::Peer::by_curve(&endpoint, ours.public(), &alice);
    let Some(_running) = peer.start() else {
        eprintln!("skipped: GATEWAY_TEST_PYTHON does not name the Python of tests/venv.sh");
        return;
    };
    let request = worker.message();
    assert!(request[0].starts_with(b"alice#"), "{request:?}");
}

/// docs/security.md refers to these log lines for a roll-out, because they show the clients that
/// have no key yet.
#[test]
fn the_log_names_the_principal_of_each_client_at_the_level_debug() {
    if !engine_is("native") {
        return;
    }
    let alice = keys();
    let security = CURVE.replacen("} }", "}, anonymous: true }", 1);
    let more = "log: { level: debug }\n";
    let mut gateway = Secured::start_with(&security, &alice, more);
    let _known = gateway.peer(&alice).admitted();
    let line = gateway.process.await_line("client connected");
    assert_eq!(line["client"], "alice", "{line}");
    let none = session::SessionSecurity::None;
    let _other = Peer::connect(&gateway.clients(), none, "DEALER").admitted();
    let line = gateway.process.await_line("client connected");
    assert_eq!(line["client"], "anonymous", "{line}");
    let peer = line["peer"].as_str().unwrap();
    assert!(peer.starts_with("tcp://127.0.0.1:"), "{line}");
}

/// Each common mistake of a peer has a log line that explains it.
#[test]
fn each_mistake_of_a_peer_is_logged_with_its_remedy() {
    if !engine_is("native") {
        return;
    }
    if std::env::var_os("GATEWAY_TEST_PYTHON").is_none() {
        eprintln!("skipped: GATEWAY_TEST_PYTHON does not name the Python of tests/venv.sh");
        return;
    }
    let alice = keys();
    let mut gateway = Secured::start(CURVE, &alice);
    for (n, mistake) in mistakes(&gateway, &alice).into_iter().enumerate() {
        let Mistake { peer, hint } = mistake;
        // Each peer has its own address, because the log does not repeat a mistake of one peer.
        let from = format!("tcp://127.0.0.{}:0;", n + 2);
        let endpoint = peer.endpoint.replacen("tcp://", &from, 1);
        let peer = pyzmq::Peer { endpoint, ..peer };
        let mut running = peer.start();
        let deadline = Instant::now() + TEST_TIMEOUT;
        loop {
            let Some(line) = gateway.process.next_line(Duration::from_secs(1)) else {
                // Where CURVE is not expected, libzmq may disconnect before it has sent a byte, and
                // never connect again. The gateway cannot distinguish this from a check of whether
                // the port is open.
                assert!(Instant::now() < deadline, "{hint}");
                running = peer.start();
                continue;
            };
            let text = line["message"].as_str().unwrap_or_default();
            if text.contains("a connection is refused: ") && text.contains(&hint) {
                break;
            }
        }
        drop(running);
    }
    // A typo in a key file is reported, and the owner of the key stays unknown.
    let bob = keys();
    let typo = format!("~{}", &bob.public().to_string()[1..]);
    let text = format!("curve\n    public-key = \"{typo}\"\n");
    fs::write(gateway.key_file("bob"), text).unwrap();
    gateway.process.await_line("this is not a public key");
    let ours = gateway.ours.public();
    let _running = pyzmq::Peer::by_curve(&gateway.clients(), ours, &bob).start();
    gateway
        .process
        .await_line("frontend clients: a connection is refused: its key");
}

/// A peer that makes a mistake, and a text that the log line about the mistake contains.
struct Mistake {
    peer: pyzmq::Peer,
    hint: String,
}

fn mistakes(gateway: &Secured, alice: &KeyPair) -> Vec<Mistake> {
    let (clients, pool) = (gateway.clients(), gateway.process.endpoint("pool people"));
    let (ours, stranger) = (&gateway.ours, keys());
    let curve = |server, pair: &KeyPair| pyzmq::Peer::by_curve(&clients, server, pair);
    let known = curve(ours.public(), alice);
    let with = |mechanism| pyzmq::Peer {
        mechanism,
        ..known.clone()
    };
    let at_pool = |peer| pyzmq::Peer {
        endpoint: pool.clone(),
        ..peer
    };
    let server_key = format!("not the gateway's, which is {}", ours.public());
    let to_admit = format!("put public-key = \"{}\" into", stranger.public());
    let no_pair = "its public key and its secret key are not a pair: give it both keys of one file";
    let swapped = pyzmq::Peer {
        public: PublicKey::from_z85(&alice.secret().to_z85()).unwrap(),
        secret: alice.public().to_string(),
        ..known.clone()
    };
    let half = pyzmq::Peer {
        secret: stranger.secret().to_z85().to_string(),
        ..known.clone()
    };
    let mistakes = [
        (curve(keys().public(), alice), &*server_key),
        // The client's keys and the server's are swapped.
        (curve(alice.public(), ours), &server_key),
        (curve(ours.public(), &stranger), &to_admit),
        // In the first of these two cases, the secret key belongs to another pair. In the second
        // case, the public key and the secret key are swapped.
        (half, no_pair),
        (swapped, no_pair),
        (
            with("NULL"),
            "it has no key (mechanism NULL), and CURVE is required here: give it",
        ),
        (
            with("PLAIN"),
            "security mechanism PLAIN, and CURVE is required here",
        ),
        (at_pool(known.clone()), "there is no `security.curve` here"),
        (at_pool(with("PLAIN")), "there is no `security.plain` here"),
    ];
    let mistakes = mistakes.map(|(peer, hint)| Mistake {
        peer,
        hint: hint.to_owned(),
    });
    mistakes.into()
}

/// A peer that connects again and again, from one address and with one key, causes at most one log
/// line a minute.
#[test]
fn a_repeated_mistake_is_logged_once() {
    if !engine_is("native") {
        return;
    }
    let alice = keys();
    let mut gateway = Secured::start(CURVE, &alice);
    let (stranger, other) = (keys(), keys());
    for _ in 0..5 {
        assert!(!gateway.peer(&stranger).is_admitted());
    }
    assert!(!gateway.peer(&other).is_admitted());
    let mut reported = Vec::new();
    while reported.len() < 2 {
        let line = gateway
            .process
            .await_line("frontend clients: a connection is refused: its key");
        reported.push(line["message"].as_str().unwrap().to_owned());
    }
    assert!(
        reported[0].contains(&stranger.public().to_string()),
        "{reported:?}"
    );
    assert!(
        reported[1].contains(&other.public().to_string()),
        "{reported:?}"
    );
}

/// A worker that listens is the CURVE server. The gateway knows the worker's public key from a
/// file, and connects with the first of its own keys.
#[test]
fn a_worker_that_listens_is_identified_by_the_key_of_its_address() {
    if !engine_is("native") {
        return;
    }
    let (ours, theirs) = (keys(), keys());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let files = tempfile::tempdir().unwrap();
    let directory = files.path().display();
    fs::write(files.path().join("ours"), &*ours.secret().to_z85()).unwrap();
    fs::write(files.path().join("older"), &*keys().secret().to_z85()).unwrap();
    write_public(&files.path().join("worker.key"), theirs.public());
    let security = format!(
        "{{ curve: {{ secret: [{directory}/ours, {directory}/older], server: {{ \"{address}\": {directory}/worker.key }} }} }}"
    );
    let yaml = yaml("none").replace(
        "people: { bind: \"tcp://127.0.0.1:0\" }",
        &format!("people: {{ connect: \"{address}\", security: {security} }}"),
    );
    let mut process = Process::start(&yaml);
    let accept = |keys: &KeyPair| {
        let (stream, _) = listener.accept().unwrap();
        let security = server(keys, session::NullPeers::Refused);
        Peer::on(stream, security, session::Side::Listens, "DEALER").admitted()
    };
    let mut worker = accept(&theirs);
    assert_eq!(worker.end.key, Some(ours.public()));
    // Another key in the file ends the connection, and the next connection needs the other key.
    let others = keys();
    write_public(&files.path().join("worker.key"), others.public());
    process.await_line("reloaded: ~1 pool (people)");
    assert!(worker.is_ended());
    assert_eq!(accept(&others).end.key, Some(ours.public()));
}

/// A worker of libzmq that listens. With a secret key as its argument, it is a CURVE server.
const LISTENING_WORKER: &str = "
import sys, zmq
socket = zmq.Context().socket(zmq.DEALER)
if len(sys.argv) > 1:
    socket.curve_server, socket.curve_secretkey = True, sys.argv[1].encode()
print(socket.bind_to_random_port('tcp://127.0.0.1'), flush=True)
socket.recv_multipart()
";

/// A [`LISTENING_WORKER`], which is killed when this value is dropped.
struct ListeningWorker {
    child: Child,
    address: String,
}

impl ListeningWorker {
    /// Starts a worker that is the CURVE server with these keys, or has no keys. Returns `None`
    /// without `GATEWAY_TEST_PYTHON`.
    fn start(keys: Option<&KeyPair>) -> Option<Self> {
        let Some(python) = std::env::var_os("GATEWAY_TEST_PYTHON").filter(|_| engine_is("native"))
        else {
            eprintln!("skipped: GATEWAY_TEST_PYTHON does not name the Python of tests/venv.sh");
            return None;
        };
        let mut child = Command::new(python)
            .args(["-c", LISTENING_WORKER])
            .args(keys.map(|keys| keys.secret().to_z85().to_string()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut port).unwrap();
        let address = format!("tcp://127.0.0.1:{}", port.trim());
        Some(Self { child, address })
    }
}

impl Drop for ListeningWorker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a configuration whose pool connects to this address, with this `security`.
fn connecting_to(address: &str, security: &str) -> String {
    // Without heartbeats, nothing else ends the connection of a worker that does not answer.
    let pool =
        format!("people: {{ connect: \"{address}\", heartbeat: off, security: {security} }}");
    yaml("none").replace("people: { bind: \"tcp://127.0.0.1:0\" }", &pool)
}

/// Writes the gateway's own key and the key of a worker that listens. Returns the directory with
/// these files, and the `security` of a pool that connects to the worker.
fn files_of_a_pool(ours: &KeyPair, worker: PublicKey) -> (tempfile::TempDir, String) {
    let files = tempfile::tempdir().unwrap();
    let directory = files.path().display();
    fs::write(files.path().join("ours"), &*ours.secret().to_z85()).unwrap();
    write_public(&files.path().join("worker.key"), worker);
    let security =
        format!("{{ curve: {{ secret: {directory}/ours, server: {directory}/worker.key }} }}");
    (files, security)
}

/// libzmq closes the connection without an ERROR, so the log line names the possible causes.
#[test]
fn a_worker_of_libzmq_with_another_key_than_the_gateway_expects_is_explained() {
    let (ours, theirs, expected) = (keys(), keys(), keys());
    let Some(worker) = ListeningWorker::start(Some(&theirs)) else {
        return;
    };
    let (files, security) = files_of_a_pool(&ours, expected.public());
    let mut process = Process::start(&connecting_to(&worker.address, &security));
    let line = process.await_line("can't connect; trying again");
    let why = line["why"].as_str().unwrap();
    let cause = format!(
        "may have another key than `server`, or may not know the gateway's key {}",
        ours.public()
    );
    assert!(why.ends_with(&cause), "{why}");
    // With the worker's key, the pool has a worker.
    write_public(&files.path().join("worker.key"), theirs.public());
    process.await_line("worker connected");
}

/// On a connection that the gateway opens, it names its mechanism at once. libzmq then disconnects
/// before it names its own mechanism, so the log line names the possible causes.
#[test]
fn a_worker_of_libzmq_with_another_mechanism_than_the_gateway_is_explained() {
    let (ours, theirs) = (keys(), keys());
    let (_files, curve) = files_of_a_pool(&ours, theirs.public());
    for (worker_keys, security, cause) in [
        (
            Some(&theirs),
            "none",
            "the peer may require CURVE (there is no `security.curve` here)",
        ),
        (None, &*curve, "the peer may not use CURVE"),
    ] {
        let Some(worker) = ListeningWorker::start(worker_keys) else {
            return;
        };
        let mut process = Process::start(&connecting_to(&worker.address, security));
        let line = process.await_line("can't connect; trying again");
        let why = line["why"].as_str().unwrap();
        assert!(why.contains(cause), "{why}");
        // With the worker's mechanism, the pool has a worker.
        let right = if security == "none" { &*curve } else { "none" };
        fs::write(process.file(), connecting_to(&worker.address, right)).unwrap();
        process.await_line("worker connected");
    }
}

/// Both sides wait for a HELLO. The line appears long before the time for a handshake is over.
#[test]
fn a_worker_of_libzmq_that_is_a_server_although_the_gateway_is_one_is_explained() {
    let (ours, theirs) = (keys(), keys());
    let Some(worker) = ListeningWorker::start(Some(&theirs)) else {
        return;
    };
    let (_files, right) = files_of_a_pool(&ours, theirs.public());
    let wrong = right.replace("server:", "peers:");
    let mut process = Process::start(&connecting_to(&worker.address, &wrong));
    // If the expected line were missing, the next line would be about a refusal after ten seconds.
    let line = process.await_line("pool people: ");
    let message = line["message"].as_str().unwrap();
    assert!(message.contains("does not send its HELLO"), "{message}");
    assert!(message.contains("set server to its key"), "{message}");
    // With the worker's key at `server`, the pool has a worker.
    fs::write(process.file(), connecting_to(&worker.address, &right)).unwrap();
    process.await_line("worker connected");
}

/// `security` changes from `none` to `curve` and back while the pool is connected to a worker that
/// listens.
#[test]
fn a_pool_that_connects_is_secured_and_opened_again() {
    if !engine_is("native") {
        return;
    }
    let (ours, theirs) = (keys(), keys());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let (_files, curve) = files_of_a_pool(&ours, theirs.public());
    let mut process = Process::start(&connecting_to(&address, "none"));
    let keyless = || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        let mut raw = Raw { stream };
        raw.send(&[&greeting(1)[..], &command(&ready("DEALER", &[]))].concat());
        raw.receive_greeting();
        assert!(matches!(raw.receive(), Received::Command(_)));
        raw
    };
    let mut worker = keyless();
    fs::write(process.file(), connecting_to(&address, &curve)).unwrap();
    process.await_line("reloaded: ~1 pool (people)");
    assert!(matches!(worker.receive(), Received::End));
    let (stream, _) = listener.accept().unwrap();
    let security = server(&theirs, session::NullPeers::Refused);
    let mut worker = Peer::on(stream, security, session::Side::Listens, "DEALER").admitted();
    assert_eq!(worker.end.key, Some(ours.public()));
    // The encrypted connection stays open without `security`, and the next connection is in clear
    // text.
    fs::write(process.file(), connecting_to(&address, "none")).unwrap();
    process.await_line("reloaded: ~1 pool (people)");
    let clients = process.endpoint("frontend clients");
    let mut client = Peer::connect(&clients, session::SessionSecurity::None, "DEALER").admitted();
    client.send(&[b"OPAQUE", b"x"]);
    let request = worker.message();
    worker.send(&[&request[0], b"REPLY", b"y"]);
    assert_eq!(client.message(), [b"REPLY".to_vec(), b"y".to_vec()]);
    drop(worker);
    keyless();
}

#[test]
fn a_route_accepts_requests_of_its_principals_only() {
    if !engine_is("native") {
        return;
    }
    let (alice, bob) = (keys(), keys());
    let gateway = Secured::start(CURVE, &alice);
    write_public(&gateway.key_file("bob"), bob.public());
    let yaml = fs::read_to_string(gateway.process.file()).unwrap();
    let yaml = yaml.replace(
        "OPAQUE: {",
        "OTHER: { pool: people, allow: \"sensor-*\" }, OPAQUE: { allow: alice,",
    );
    fs::write(gateway.process.file(), yaml).unwrap();
    let mut gateway = gateway;
    loop {
        let line = gateway.process.await_line("reloaded");
        if line["message"].as_str().unwrap().contains("OTHER") {
            break;
        }
    }
    let pool = gateway.process.endpoint("pool people");
    let mut worker = Peer::connect(&pool, session::SessionSecurity::None, "DEALER").admitted();
    let (mut alice, mut bob) = (
        gateway.peer(&alice).admitted(),
        gateway.peer(&bob).admitted(),
    );
    for (client, kind, hint) in [
        (&mut bob, "OPAQUE", "from bob"),
        (&mut alice, "OTHER", "from alice"),
    ] {
        client.send(&[kind.as_bytes(), b"x"]);
        let answer = client.message();
        let text = String::from_utf8_lossy(&answer[1]).into_owned();
        assert!(
            answer[0] == b"ERROR" && text.contains("not_allowed") && text.contains(hint),
            "{text}"
        );
    }
    alice.send(&[b"OPAQUE", b"x"]);
    let request = worker.message();
    worker.send(&[&request[0], b"REPLY", b"y"]);
    assert_eq!(alice.message()[0], b"REPLY");
}

#[test]
fn a_rate_counts_all_connections_of_a_principal_and_rejections_say_how_long_to_wait() {
    if !engine_is("native") {
        return;
    }
    let (alice, bob) = (keys(), keys());
    let mut gateway = Secured::start(CURVE, &alice);
    write_public(&gateway.key_file("bob"), bob.public());
    gateway.process.await_line("reloaded");
    let yaml = fs::read_to_string(gateway.process.file()).unwrap();
    let yaml = yaml.replace("OPAQUE: {", "OPAQUE: { rate: { rate: 1/h, burst: 2 },");
    fs::write(gateway.process.file(), yaml).unwrap();
    gateway.process.await_line("reloaded: ~1 route (OPAQUE)");
    let pool = gateway.process.endpoint("pool people");
    let mut worker = Peer::connect(&pool, session::SessionSecurity::None, "DEALER").admitted();
    let mut answer = |client: &mut Peer, is_served: bool| {
        client.send(&[b"OPAQUE", b"x"]);
        if is_served {
            let request = worker.message();
            worker.send(&[&request[0], b"REPLY", b"y"]);
        }
        client.message()
    };
    let (mut one, mut two) = (
        gateway.peer(&alice).admitted(),
        gateway.peer(&alice).admitted(),
    );
    assert_eq!(answer(&mut one, true)[0], b"REPLY");
    assert_eq!(answer(&mut two, true)[0], b"REPLY");
    for client in [&mut one, &mut two] {
        let rejection = answer(client, false);
        let payload: serde_json::Value = serde_json::from_slice(&rejection[1]).unwrap();
        assert_eq!(payload["reason"], "rate_limited", "{payload}");
        let wait = payload["retry_after_ms"].as_u64().unwrap();
        assert!((3_500_000..=3_600_000).contains(&wait), "{wait}");
    }
    let mut bob = gateway.peer(&bob).admitted();
    assert_eq!(answer(&mut bob, true)[0], b"REPLY");
}

#[test]
fn each_side_of_a_channel_admits_its_own_keys() {
    if !engine_is("native") {
        return;
    }
    let [feed, guest, screen] = [keys(), keys(), keys()];
    let (gateway, ours) = start_channel([&feed, &guest, &screen]);
    let connect = |keys: &KeyPair, kind: &'static str, side: &str| {
        let endpoint = gateway.endpoint(&format!("ticks.{side}"));
        Peer::connect(&endpoint, client_as(kind, keys, ours.public()), kind)
    };
    assert!(!connect(&screen, "PUB", "publishers").is_admitted());
    assert!(!connect(&feed, "SUB", "subscribers").is_admitted());
    let subscribe = || {
        let mut subscriber = connect(&screen, "SUB", "subscribers").admitted();
        subscriber.send(&[b"\x01"]);
        subscriber
    };
    let [mut feed, mut guest] =
        [feed, guest].map(|keys| connect(&keys, "PUB", "publishers").admitted());
    feed.send(&[b"OPEN", b"first"]);
    // Both subscribers receive the message, either as a kept message or as a new message. The
    // gateway seals it separately for each subscriber.
    let mut subscribers = [subscribe(), subscribe()];
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.message(), [&b"OPEN"[..], b"first"]);
    }
    guest.send(&[b"CLOSED", b"not allowed"]);
    guest.send(&[b"OPEN", b"from a guest"]);
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.message(), [&b"OPEN"[..], b"from a guest"]);
    }
    let large = vec![7; 100_000];
    for payload in [&b""[..], b"x", &large] {
        feed.send(&[b"CLOSED", b"header", payload]);
        for subscriber in &mut subscribers {
            assert!(subscriber.message() == [&b"CLOSED"[..], b"header", payload]);
        }
    }
    let ledger = gateway.end();
    let rejected: u64 = ledger.rejected.iter().sum();
    assert_eq!((ledger.published, rejected), (5, 1));
}
