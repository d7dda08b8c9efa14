//! Tests of engine native with ZMTP written by hand: the engine's answers to peers that send given
//! bytes. Engine libzmq leaves these answers to libzmq, so it is not tested here.

use std::time::{Duration, Instant};

use crate::support::gateway::{Gateway, engine_is};
use crate::support::sockets::{Error, answer, read_rejection, receive, rejection, send, texts};
use crate::support::zmtp::{
    COMMAND, LONG, MORE, Raw, Received, command, frame, greeting, long, message, ping, ready,
};

fn native() -> bool {
    engine_is("native")
}

fn connect(gateway: &Gateway, name: &str) -> Raw {
    Raw::connect(&gateway.endpoint(name))
}

/// Connects a peer that speaks ZMTP 3.`minor` and sends this READY. Returns the command or message
/// that the gateway sends after its greeting.
fn answer_to_ready(gateway: &Gateway, name: &str, minor: u8, ready: &[u8]) -> Received {
    let mut raw = connect(gateway, name);
    raw.send(&greeting(minor));
    raw.receive_greeting();
    raw.send(&command(ready));
    raw.receive()
}

/// Asserts that a libzmq worker receives a request of type OPAQUE from a raw client, and that the
/// client receives the answer.
#[track_caller]
fn assert_served(gateway: &Gateway, raw: &mut Raw) {
    let worker = gateway.worker();
    raw.send(&message(&["OPAQUE", "id", "x"]));
    answer(&worker, b"y");
    assert_eq!(texts(&raw.receive_message()), ["REPLY", "id", "y"]);
}

#[test]
fn each_peer_receives_the_matching_socket_type_in_both_versions() {
    if !native() {
        return;
    }
    let gateway = Gateway::people("");
    for (name, theirs, ours) in [
        ("clients", "DEALER", "ROUTER"),
        ("clients", "REQ", "ROUTER"),
        ("clients", "ROUTER", "ROUTER"),
        ("people", "DEALER", "ROUTER"),
        ("people", "REP", "DEALER"),
    ] {
        for minor in [0, 1, 2] {
            let expected = Received::Command(ready(ours, &[]));
            let answer = answer_to_ready(&gateway, name, minor, &ready(theirs, &[]));
            assert_eq!(answer, expected, "{theirs} at {name}, 3.{minor}");
        }
    }
}

#[test]
fn the_gateway_sends_its_ready_after_the_ready_of_the_peer() {
    if !native() {
        return;
    }
    let gateway = Gateway::people("");
    let mut raw = connect(&gateway, "clients");
    raw.receive_greeting();
    raw.send(&greeting(1));
    // The gateway must read these commands before the READY that follows, but does not answer them.
    raw.send(&ping(0, b""));
    raw.send(&command(b"\x05HELLO"));
    raw.send(&command(&ready("DEALER", &[])));
    assert_eq!(raw.receive(), Received::Command(ready("ROUTER", &[])));
    assert_served(&gateway, &mut raw);
}

#[test]
fn metadata_is_read_in_any_order_and_the_identity_is_in_the_token() {
    if !native() {
        return;
    }
    let gateway = Gateway::people("");
    let mut raw = connect(&gateway, "clients");
    raw.send(&greeting(1));
    raw.receive_greeting();
    let mut body = b"\x05READY\x05X-App\0\0\0\x03abc\x08IDENTITY\0\0\0\x03ann".to_vec();
    body.extend_from_slice(b"\x0bsocket-type\0\0\0\x06DEALER\x08Resource\0\0\0\0");
    raw.send(&command(&body));
    assert_eq!(raw.receive(), Received::Command(ready("ROUTER", &[])));
    let worker = gateway.worker();
    raw.send(&message(&["OPAQUE", "x"]));
    let request = answer(&worker, b"y");
    assert!(request[0].starts_with(b"ann#"), "{:?}", texts(&request));
    raw.receive_message();
}

#[test]
fn a_wrong_socket_type_receives_the_remedy() {
    if !native() {
        return;
    }
    let gateway = Gateway::people("workers: rep");
    for (name, theirs, hint) in [
        ("clients", "PULL", "clients are DEALER or REQ"),
        ("clients", "", "clients are DEALER or REQ"),
        ("clients", "dealer", "clients are DEALER or REQ"),
        ("people", "PUSH", "workers are DEALER or REP"),
    ] {
        let mut raw = connect(&gateway, name);
        raw.send(&greeting(1));
        raw.receive_greeting();
        raw.send(&command(&ready(theirs, &[])));
        let reason = raw.receive_error();
        assert!(reason.contains(hint), "{theirs:?} at {name}: {reason}");
    }
}

/// If the gateway sent an ERROR, libzmq would not connect again after the edit.
#[test]
fn a_socket_type_that_an_edit_can_admit_is_disconnected_without_an_error() {
    if !native() {
        return;
    }
    let gateway = Gateway::people("workers: rep");
    let cases = [
        ("clients", "REP"),
        ("people", "REQ"),
        ("people", "ROUTER"),
        ("people", "DEALER"),
        ("clients", "SUB"),
        ("people", "PUB"),
    ];
    let refused = cases.map(|(name, theirs)| {
        let mut raw = connect(&gateway, name);
        raw.send(&greeting(1));
        raw.receive_greeting();
        raw.send(&command(&ready(theirs, &[])));
        raw.try_send(&message(&["OPAQUE", "x"]).repeat(100));
        raw
    });
    for mut raw in refused {
        assert_eq!(raw.receive(), Received::End);
    }
    assert_eq!(gateway.end().received, 0);
}

#[test]
fn broken_handshakes_receive_the_reason() {
    if !native() {
        return;
    }
    let gateway = Gateway::people("");
    let long_identity = ready("DEALER", &[("Identity", &[b'x'; 256])]);
    let huge = ready("DEALER", &[("X", &vec![0; 9000])]);
    let cases: [(Vec<u8>, &str); 8] = [
        (message(&["OPAQUE", "x"]), "a message before READY"),
        // The start of this message would be lost, because it precedes READY.
        (
            [frame(MORE, b"A"), command(&ready("DEALER", &[]))].concat(),
            "a message before READY",
        ),
        (
            [frame(MORE, b""), command(&ready("DEALER", &[]))].concat(),
            "a message before READY",
        ),
        (command(b""), "a command without a name"),
        (command(b"\x05READY\x08Identity\0\0\0\x09x"), "cut short"),
        (command(&long_identity), "more than 255 bytes"),
        (command(&huge), "a command of 90"),
        (vec![0x08], "flags 0x08"),
    ];
    for (bytes, hint) in cases {
        let mut raw = connect(&gateway, "clients");
        raw.send(&greeting(1));
        raw.receive_greeting();
        raw.send(&bytes);
        let reason = raw.receive_error();
        assert!(reason.contains(hint), "{hint}: {reason}");
    }
}

#[test]
fn a_forbidden_frame_after_ready_disconnects_that_peer_alone() {
    if !native() {
        return;
    }
    let gateway = Gateway::people("");
    let mut other = Raw::peer(&gateway.endpoint("clients"), "DEALER");
    let mut oversize = vec![COMMAND | LONG];
    oversize.extend_from_slice(&(8193_u64).to_be_bytes());
    let mut endless = vec![LONG];
    endless.extend_from_slice(&u64::MAX.to_be_bytes());
    for (bytes, hint) in [
        (command(&ready("DEALER", &[])), "a second READY"),
        (oversize, "a command of 8193 bytes"),
        (endless, "18446744073709551615 bytes"),
        (vec![0x80], "flags 0x80"),
        (vec![COMMAND | MORE, 0], "flags 0x05"),
        (command(b"\x04PING\0"), "a PING without a TTL"),
        (ping(0, &[0; 17]), "more than 16 bytes"),
        (command(b"\xffX"), "a command without a name"),
    ] {
        for name in ["clients", "people"] {
            let mut raw = Raw::peer(&gateway.endpoint(name), "DEALER");
            raw.send(&bytes);
            // The gateway reads no later message, even if there are many.
            raw.try_send(&message(&["OPAQUE", "x"]).repeat(1000));
            let reason = raw.receive_error();
            assert!(reason.contains(hint), "{hint}: {reason}");
        }
    }
    assert_served(&gateway, &mut other);
    assert_eq!(gateway.end().received, 1);
}

#[test]
fn an_error_from_a_peer_ends_its_connection() {
    if !native() {
        return;
    }
    let gateway = Gateway::people("");
    let mut raw = Raw::peer(&gateway.endpoint("clients"), "DEALER");
    raw.send(&command(b"\x05ERROR\x02no"));
    assert_eq!(raw.receive(), Received::End);
}

#[test]
fn foreign_protocols_are_disconnected_by_their_first_bytes() {
    if !native() {
        return;
    }
    let gateway = Gateway::people("");
    let mut curve = greeting(1);
    curve[12..17].copy_from_slice(b"CURVE");
    let strangers: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        // These greetings are ZMTP 1.0 with a short length of the identity, ZMTP 1.0 with a long
        // length, and ZMTP 2.0.
        b"\x01\x00",
        b"\xff\0\0\0\0\0\0\0\x02\x00x",
        b"\xff\0\0\0\0\0\0\0\x01\x7f\x01",
        &curve,
    ];
    // All peers connect at once, because the gateway names its mechanism to a silent peer after a
    // second.
    let connect = |bytes| ["clients", "people"].map(|name| (connect(&gateway, name), bytes));
    let connected: Vec<_> = strangers.into_iter().flat_map(connect).collect();
    for (mut raw, bytes) in connected {
        raw.receive_greeting();
        raw.try_send(bytes);
        // The gateway disconnects without waiting for further bytes.
        assert_eq!(raw.receive(), Received::End, "{bytes:?}");
    }
    let mut raw = Raw::peer(&gateway.endpoint("clients"), "DEALER");
    assert_served(&gateway, &mut raw);
}

#[test]
fn pings_are_answered_with_their_context_even_inside_a_message() {
    if !native() {
        return;
    }
    let gateway = Gateway::people("");
    let pong = |context: &[u8]| Received::Command([b"\x04PONG", context].concat());
    for name in ["clients", "people"] {
        let mut raw = Raw::peer(&gateway.endpoint(name), "DEALER");
        for context in [&b""[..], b"x", &[7; 16]] {
            raw.send(&ping(0, context));
            assert_eq!(raw.receive(), pong(context));
        }
    }
    let mut raw = Raw::peer(&gateway.endpoint("clients"), "DEALER");
    raw.send(&frame(MORE, b"OPAQUE"));
    raw.send(&ping(0, b"in"));
    assert_eq!(raw.receive(), pong(b"in"));
    raw.send(&command(b"\x09SUBSCRIBE"));
    raw.send(&frame(0, b"x"));
    let worker = gateway.worker();
    answer(&worker, b"y");
    assert_eq!(texts(&raw.receive_message()), ["REPLY", "y"]);
}

#[test]
fn a_peer_silent_beyond_the_ttl_of_its_own_ping_is_disconnected() {
    if !native() {
        return;
    }
    let gateway = Gateway::people("heartbeat: off");
    let client = gateway.dealer();
    let mut worker = Raw::peer(&gateway.endpoint("people"), "DEALER");
    worker.send(&ping(3, b""));
    assert!(matches!(worker.receive(), Received::Command(_)));
    let began = Instant::now();
    send(&client, &["OPAQUE", "x"]);
    assert!(matches!(worker.receive(), Received::Message(_)));
    let error = rejection(&client, &[]);
    assert_eq!(error.reason, "worker_lost");
    assert!(began.elapsed() >= Duration::from_millis(250));
    assert_eq!(worker.receive(), Received::End);
    // A TTL of 0 cancels the first TTL: silence for longer than 300 ms changes nothing.
    let mut worker = Raw::peer(&gateway.endpoint("people"), "DEALER");
    worker.send(&ping(3, b""));
    worker.send(&ping(0, b""));
    let mut other = Raw::peer(&gateway.endpoint("people"), "DEALER");
    other.send(&ping(5, b""));
    for _ in 0..2 {
        // After their PONGs, both workers are silent. Only `other` is lost, because its TTL of 500
        // ms still applies.
        assert!(matches!(worker.receive(), Received::Command(_)));
    }
    assert!(matches!(other.receive(), Received::Command(_)));
    assert_eq!(other.receive(), Received::End);
    send(&client, &["OPAQUE", "x"]);
    let Received::Message(request) = worker.receive() else {
        panic!("the worker is not lost");
    };
    worker.send(&message(&[&request[0][..], b"REPLY", b"y"]));
    assert_eq!(texts(&receive(&client)), ["REPLY", "y"]);
}

#[test]
fn long_and_short_frames_are_equivalent_and_bytes_may_arrive_one_by_one() {
    if !native() {
        return;
    }
    let gateway = Gateway::people("");
    let mut raw = connect(&gateway, "clients");
    let ready = command(&ready("DEALER", &[]));
    let mut bytes = [&greeting(1)[..], &ready].concat();
    bytes.extend(long(MORE, b"OPAQUE"));
    bytes.extend(long(MORE, b"id"));
    bytes.extend(ping(0, b"p"));
    bytes.extend(long(0, b"x"));
    for byte in bytes {
        raw.send(&[byte]);
    }
    raw.receive_greeting();
    assert!(matches!(raw.receive(), Received::Command(_)), "READY");
    assert_eq!(raw.receive(), Received::Command(b"\x04PONGp".to_vec()));
    let worker = gateway.worker();
    let request = answer(&worker, &[b'y'; 256]);
    assert_eq!(texts(&request[1..]), ["OPAQUE", "id", "x"]);
    let reply = raw.receive_message();
    assert_eq!(reply[1..], [b"id".to_vec(), vec![b'y'; 256]]);
}

#[test]
fn a_whole_dialogue_may_arrive_in_one_write() {
    if !native() {
        return;
    }
    let gateway = Gateway::people("");
    let worker = gateway.worker();
    let mut raw = connect(&gateway, "clients");
    let mut bytes = greeting(1).to_vec();
    bytes.extend(command(&ready("DEALER", &[])));
    // The gateway cannot read all these messages at once.
    let count = 5_000;
    for n in 0..count {
        bytes.extend(message(&[
            "OPAQUE",
            &n.to_string(),
            "a payload of some length",
        ]));
    }
    raw.send(&bytes);
    raw.stream.shutdown(std::net::Shutdown::Write).unwrap();
    for n in 0..count {
        let request = answer(&worker, b"y");
        assert_eq!(texts(&request[2..3]), [n.to_string()]);
    }
    drop(raw);
    let ledger = gateway.end();
    assert_eq!(ledger.received, count);
    assert_eq!(ledger.answered + ledger.client_gone, count);
}

#[test]
fn an_oversize_message_is_skipped_as_it_streams_and_the_next_one_is_served() {
    if !native() {
        return;
    }
    let gateway = Gateway::start(
        r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes: { OPAQUE: { pool: people } }
limits: { message: 64KiB }
"#,
    );
    let mut raw = Raw::peer(&gateway.endpoint("clients"), "DEALER");
    let large = vec![b'x'; 1 << 20];
    raw.send(&message(&[&b"OPAQUE"[..], &b"1"[..], &large]));
    raw.send(&message(&[&b"OPAQUE"[..], &b"2"[..], &large, b"", &large]));
    // The limit applies to the whole message, not to each frame.
    let mut frames = vec![&b"OPAQUE"[..], b"3"];
    frames.resize(14, &large[..7_000]);
    raw.send(&message(&frames));
    for header in ["1", "2", "3"] {
        let reply = raw.receive_message();
        assert_eq!(texts(&reply[..2]), ["ERROR", header]);
        let error: Error = read_rejection(reply.last().unwrap());
        assert_eq!(error.reason, "too_large");
    }
    assert_served(&gateway, &mut raw);
}

#[test]
fn too_many_frames_are_malformed_and_the_next_message_is_served() {
    if !native() {
        return;
    }
    let gateway = Gateway::people("");
    let mut raw = Raw::peer(&gateway.endpoint("clients"), "DEALER");
    for frames in [17, 20, 1_000, 100_000] {
        raw.send(&message(&vec!["OPAQUE"; frames]));
        let reply = raw.receive_message();
        let error: Error = read_rejection(reply.last().unwrap());
        assert_eq!(error.reason, "malformed", "{frames}");
        assert!(error.message.contains("more than 16 frames"));
    }
    assert_served(&gateway, &mut raw);
}

/// Two connections with the same identity are two clients, and each receives its own answers.
#[test]
fn two_clients_with_the_same_identity_are_both_served() {
    if !native() {
        return;
    }
    for identity in ["token", "client"] {
        let gateway = Gateway::people(&format!("identity: {identity}"));
        let worker = gateway.worker();
        let clients = ["1", "2"].map(|n| {
            let client = gateway.named_dealer(b"ann");
            send(&client, &["OPAQUE", n, "x"]);
            (client, n)
        });
        for _ in 0..2 {
            answer(&worker, b"y");
        }
        for (client, n) in &clients {
            assert_eq!(texts(&receive(client)), ["REPLY", n, "y"], "{identity}");
        }
    }
}
