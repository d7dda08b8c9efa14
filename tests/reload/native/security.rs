//! Tests of edits of `security` while clients are connected and requests are in flight.

use std::fs;

use crate::support::gateway::engine_is;
use crate::support::process::Process;
use crate::support::sealed::Peer;
use crate::support::sealed::pair::{client, client_as, keys};
use crate::support::zmtp::{Raw, Received, command, greeting, message, ready};

const CLIENTS: &str = "frontend clients";
const OTHER: &str = "frontend other";

/// Returns a configuration with a frontend `clients` with this `security`, and a frontend `other`
/// without `security`.
fn yaml(security: &str) -> String {
    format!(
        r#"
frontends:
  clients: {{ bind: "tcp://127.0.0.1:0", security: {security} }}
  other: {{ bind: "tcp://127.0.0.1:0" }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0", per_worker: 1, heartbeat: off }} }}
routes: {{ OPAQUE: {{ pool: people }} }}
reload: {{ watch: false }}
admin: {{ bind: "127.0.0.1:0" }}
"#
    )
}

/// Loads another configuration, which is in force when this function returns.
#[track_caller]
fn reload(gateway: &Process, security: &str) {
    reload_as(gateway, &yaml(security));
}

#[track_caller]
fn reload_as(gateway: &Process, yaml: &str) {
    fs::write(gateway.file(), yaml).unwrap();
    let answer = gateway.reload();
    assert_eq!(answer.code, 200, "{}", answer.body);
}

/// Returns a client without a key that calls itself `alice`.
fn named(endpoint: &str) -> Raw {
    let mut raw = Raw::connect(endpoint);
    raw.send(&greeting(1));
    raw.send(&command(&ready("DEALER", &[("Identity", b"alice")])));
    raw.receive_greeting();
    assert!(matches!(raw.receive(), Received::Command(_)));
    raw
}

/// Receives the next request, and returns its token.
#[track_caller]
fn token(worker: &mut Raw, header: &str) -> Vec<u8> {
    let mut request = worker.receive_message();
    assert_eq!(request[2], header.as_bytes());
    request.swap_remove(0)
}

#[track_caller]
fn answer(worker: &mut Raw, token: &[u8], header: &str, client: &mut Raw) {
    worker.send(&message(&[token, b"REPLY", header.as_bytes(), b"y"]));
    let expected = [b"REPLY", header.as_bytes(), b"y"].map(<[u8]>::to_vec);
    assert_eq!(client.receive_message(), expected);
}

/// Workers answer with the tokens that they received before or after an edit.
#[test]
fn clients_without_a_key_stay_connected_with_anonymous() {
    if !engine_is("native") {
        return;
    }
    let (ours, alice) = (keys(), keys());
    let files = tempfile::tempdir().unwrap();
    let secret = files.path().join("gateway.key_secret");
    fs::write(&secret, &*ours.secret().to_z85()).unwrap();
    let curve = format!(
        "curve: {{ secret: {secret:?}, peers: {{ alice: \"{}\" }} }}",
        alice.public()
    );
    let both = format!("{{ {curve}, anonymous: true }}");
    let gateway = Process::start(&yaml("none"));
    let mut worker = Raw::peer(&gateway.endpoint("pool people"), "DEALER");
    let mut keyless = named(&gateway.endpoint(CLIENTS));
    let mut elsewhere = named(&gateway.endpoint(OTHER));
    for header in ["held", "queued"] {
        keyless.send(&message(&["OPAQUE", header, "x"]));
    }
    let held = token(&mut worker, "held");
    assert!(held.starts_with(b"alice#"), "{held:?}");

    reload(&gateway, &both);
    let status = gateway.status();
    for frontend in 0..2 {
        let frontend = &status["frontends"][frontend];
        assert_eq!(
            (&frontend["clients"], &frontend["anonymous"]),
            (&1.into(), &1.into())
        );
    }
    let security = client(&alice, ours.public());
    let mut known = Peer::connect(&gateway.endpoint(CLIENTS), security, "DEALER").admitted();
    answer(&mut worker, &held, "held", &mut keyless);
    // A queued request also keeps the principal under which it arrived.
    let queued = token(&mut worker, "queued");
    assert!(queued.starts_with(b"alice#"), "{queued:?}");
    answer(&mut worker, &queued, "queued", &mut keyless);
    for client in [&mut elsewhere, &mut keyless] {
        client.send(&message(&["OPAQUE", "after", "x"]));
        let after = token(&mut worker, "after");
        assert!(after.starts_with(b"anonymous#"), "{after:?}");
        answer(&mut worker, &after, "after", client);
    }
    // Only the owner of the key is Alice.
    known.send(&[b"OPAQUE", b"known", b"x"]);
    let of_alice = token(&mut worker, "known");
    assert!(of_alice.starts_with(b"alice#"), "{of_alice:?}");
    worker.send(&message(&[&of_alice[..], b"REPLY", b"y"]));
    assert_eq!(known.message()[0], b"REPLY");

    keyless.send(&message(&["OPAQUE", "back", "x"]));
    let back = token(&mut worker, "back");
    reload(&gateway, "none");
    answer(&mut worker, &back, "back", &mut keyless);
    reload(&gateway, &both);
    keyless.send(&message(&["OPAQUE", "again", "x"]));
    let again = token(&mut worker, "again");
    assert!(again.starts_with(b"anonymous#"), "{again:?}");
    answer(&mut worker, &again, "again", &mut keyless);

    // Without `anonymous`, only clients with a key are admitted.
    reload(&gateway, &format!("{{ {curve} }}"));
    assert_eq!(keyless.receive(), Received::End);
    known.send(&[b"NOBODY", b"x"]);
    assert_eq!(known.message()[0], b"ERROR");
    elsewhere.send(&message(&["NOBODY", "", "x"]));
    assert_eq!(elsewhere.receive_message()[0], b"ERROR");
}

/// The addresses of a gateway, each with the socket type of a peer there.
const ADDRESSES: [(&str, &str); 4] = [
    ("frontend clients", "DEALER"),
    ("pool people", "DEALER"),
    ("publisher side of channel ticks", "PUB"),
    ("subscriber side of channel ticks", "SUB"),
];

/// Returns a configuration whose addresses are [`ADDRESSES`], each with this security.
fn everywhere(security: &str) -> String {
    let side = format!("{{ bind: \"tcp://127.0.0.1:0\", security: {security} }}");
    format!(
        r#"
frontends: {{ clients: {side} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0", security: {security}, heartbeat: off }} }}
channels: {{ ticks: {{ publishers: {side}, subscribers: {side}, keep: last }} }}
routes: {{ OPAQUE: {{ pool: people }}, tick: {{ publish: ticks }} }}
reload: {{ watch: false }}
admin: {{ bind: "127.0.0.1:0" }}
"#
    )
}

/// `security` changes from `none` to `curve` and back while peers are connected to every kind of
/// address.
#[test]
fn every_kind_of_address_is_secured_and_opened_again() {
    if !engine_is("native") {
        return;
    }
    let (ours, alice, stranger) = (keys(), keys(), keys());
    let files = tempfile::tempdir().unwrap();
    let secret = files.path().join("gateway.key_secret");
    fs::write(&secret, &*ours.secret().to_z85()).unwrap();
    let (secret, key) = (secret.display(), alice.public());
    let curve = format!("{{ curve: {{ secret: {secret}, peers: {{ alice: \"{key}\" }} }} }}");
    let gateway = Process::start(&everywhere("none"));
    let keyless = || ADDRESSES.map(|(at, kind)| Raw::peer(&gateway.endpoint(at), kind));
    let with = |keys| {
        ADDRESSES.map(|(at, kind)| {
            let security = client_as(kind, keys, ours.public());
            Peer::connect(&gateway.endpoint(at), security, kind)
        })
    };
    let before = keyless();
    reload_as(&gateway, &everywhere(&curve));
    for mut peer in before {
        // A publisher receives the subscription of the channel before the end of the connection.
        while peer.receive() != Received::End {}
    }
    let mut known = with(&alice).map(Peer::admitted);
    for mut peer in with(&stranger) {
        assert!(!peer.is_admitted());
    }
    reload_as(&gateway, &everywhere("none"));
    // Peers with keys stay connected, and others are served as well.
    let [asking, working, publishing, subscribing] = &mut known;
    asking.send(&[b"OPAQUE", b"x"]);
    let request = working.message();
    working.send(&[&request[0], b"REPLY", b"y"]);
    assert_eq!(asking.message(), [&b"REPLY"[..], b"y"]);
    subscribing.send(&[b"\x01tick"]);
    publishing.send(&[b"tick", b"x"]);
    assert_eq!(subscribing.message(), [&b"tick"[..], b"x"]);
    let [_, _, mut publisher, _] = keyless();
    publisher.send(&message(&["tick", "y"]));
    assert_eq!(subscribing.message(), [&b"tick"[..], b"y"]);
}
