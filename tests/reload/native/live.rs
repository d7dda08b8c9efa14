//! Tests of most rows of the table "What takes effect live" in docs/operating.md, on engine native:
//! a key is edited on a running gateway, and the edit applies to the next message.

use std::fs;
use std::time::{Duration, Instant};

use gateway::reload::ReloadOutcome;
use gateway::reply::Reason;

use crate::support::edited::Edited;
use crate::support::gateway::{Gateway, NEVER, engine_is};
use crate::support::sockets::{Frames, TEST_TIMEOUT_MS, answer, receive, rejected, send, texts};
use crate::support::zmtp::{Raw, Received};

const ROUTES: &str = r#"
frontends:
  clients: { bind: "tcp://127.0.0.1:0", errors: msgpack }
  more: { bind: "tcp://127.0.0.1:0" }
pools:
  people: { bind: "tcp://127.0.0.1:0", workers: auto, identity: token, balance: least_busy, per_worker: 10, queue: 100, queue_bytes: 1MiB, timeout: 60s, heartbeat: off }
  others: { bind: "tcp://127.0.0.1:0" }
limits: { message: 1MiB, frames: 16, depth: 100, clients: 100, client_requests: 100, client_bytes: 1MiB, rules: 1MiB }
shutdown: { grace: 1h }
reload: { settle: 20ms, watch: true }
routes:
  OPAQUE: { pool: people }
  NEST: { schema: live.Nest, pool: people }
  RULED: { schema: live.Ruled, pool: people }
"#;

const PROTO: &str = r#"syntax = "proto3"; package live; import "buf/validate/validate.proto";
message Nest { Nest below = 1; }
message Ruled { string name = 1 [(buf.validate.field).cel_expression = "this != ''"]; }
"#;

/// The path of `validate.proto`, which is unchanged from upstream.
const VALIDATE: &str = "crates/proto/src/well_known/buf/validate/validate.proto";

/// Starts a gateway, or returns `None` if engine native is not under test.
fn start() -> Option<Edited> {
    if !engine_is("native") {
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let schemas = directory.path().join("schemas");
    fs::create_dir_all(schemas.join("buf/validate")).unwrap();
    fs::copy(VALIDATE, schemas.join("buf/validate/validate.proto")).unwrap();
    fs::write(schemas.join("live.proto"), PROTO).unwrap();
    Some(Edited::of_gateway(
        Gateway::start_in(directory, ROUTES),
        NEVER,
    ))
}

/// Replaces `from` with `to` in routes.yaml, and reloads it.
#[track_caller]
fn edit(edited: &Edited, from: &str, to: &str) {
    let text = fs::read_to_string(&edited.file).unwrap();
    assert!(text.contains(from), "no {from:?}");
    fs::write(&edited.file, text.replacen(from, to, 1)).unwrap();
    let report = edited.reload();
    // The follower may have loaded the edit already after a file event.
    assert!(report.outcome.is_good(), "{from:?}: {}", report.diagnostics);
}

/// Sends a message of this type with this number of headers and this payload. Returns the reason of
/// its rejection, or an empty string if it is not rejected at once.
fn rejection_of(client: &zmq::Socket, kind: &str, headers: usize, payload: &[u8]) -> &'static str {
    let mut frames = vec![kind.as_bytes(), b"probe"];
    frames.resize(2 + headers, b"header");
    frames.push(payload);
    send(client, &frames);
    // A rejection of the first message arrives before the rejection of this message.
    send(client, &["no such route", "mark", ""]);
    let answer = receive(client);
    if answer[1] == b"mark" {
        return "";
    }
    assert_eq!(receive(client)[1], b"mark");
    let text = String::from_utf8_lossy(&answer[answer.len() - 1]).into_owned();
    let mut labels = Reason::ALL.iter().map(|reason| reason.label());
    labels.find(|label| text.contains(label)).expect("a reason")
}

/// A function that sends a message, and returns the reason of its rejection or an empty string.
type Probe = fn(&Edited) -> &'static str;

/// Edits that make the gateway reject a message: the key, the old text, the new text, the function
/// that sends the message, and the reason.
const STRICTER_EDITS: &[(&str, &str, &str, Probe, Reason)] = &[
    ("queue", "queue: 100", "queue: 1", opaque, Reason::QueueFull),
    (
        "queue_bytes",
        "queue_bytes: 1MiB",
        "queue_bytes: 1KiB",
        opaque,
        Reason::QueueFull,
    ),
    (
        "limits.message",
        "message: 1MiB",
        "message: 1KiB",
        opaque,
        Reason::TooLarge,
    ),
    (
        "limits.frames",
        "frames: 16",
        "frames: 4",
        opaque,
        Reason::Malformed,
    ),
    (
        "limits.depth",
        "depth: 100",
        "depth: 1",
        nested,
        Reason::SchemaViolation,
    ),
    (
        "limits.rules",
        "rules: 1MiB",
        "rules: 1KiB",
        ruled,
        Reason::SchemaViolation,
    ),
    (
        "limits.clients",
        "clients: 100",
        "clients: 1",
        another,
        Reason::ClientLimit,
    ),
    (
        "limits.client_requests",
        "client_requests: 100",
        "client_requests: 1",
        opaque,
        Reason::ClientLimit,
    ),
    (
        "limits.client_bytes",
        "client_bytes: 1MiB",
        "client_bytes: 1KiB",
        opaque,
        Reason::TooLarge,
    ),
    (
        "timeout",
        "timeout: 60s",
        "timeout: 1ms",
        late,
        Reason::NoWorker,
    ),
    (
        "routes",
        "  OPAQUE: {",
        "  CLEAR: {",
        opaque,
        Reason::UnknownType,
    ),
    (
        "schema",
        "OPAQUE: {",
        "OPAQUE: { schema: live.Nest,",
        opaque,
        Reason::SchemaViolation,
    ),
    (
        "route.frontends",
        "OPAQUE: {",
        "OPAQUE: { frontends: [more],",
        opaque,
        Reason::NotAllowed,
    ),
];

fn opaque(edited: &Edited) -> &'static str {
    rejection_of(&edited.client, "OPAQUE", 4, &[0xff; 2_000])
}

fn nested(edited: &Edited) -> &'static str {
    rejection_of(&edited.client, "NEST", 1, b"\x0a\x02\x0a\x00")
}

fn ruled(edited: &Edited) -> &'static str {
    let name = [&b"\x0a\xd0\x0f"[..], &[b'x'; 2_000]].concat();
    rejection_of(&edited.client, "RULED", 1, &name)
}

/// Sends a request from a client that has just connected. Returns the same value as
/// [`rejection_of`].
fn another(edited: &Edited) -> &'static str {
    rejection_of(&edited.gateway.dealer(), "OPAQUE", 1, b"x")
}

/// Sends a request. Waits for its timeout if the edit has shortened the timeout.
fn late(edited: &Edited) -> &'static str {
    let text = fs::read_to_string(&edited.file).unwrap();
    send(&edited.client, &["OPAQUE", "probe", "x"]);
    if text.contains("60s") {
        return "";
    }
    rejected(&edited.client, &["probe"], Reason::NoWorker);
    Reason::NoWorker.label()
}

#[test]
fn a_stricter_key_applies_to_the_next_message() {
    for (key, from, to, probe, reason) in STRICTER_EDITS {
        let Some(edited) = start() else { return };
        assert_eq!(probe(&edited), "", "{key} before");
        edit(&edited, from, to);
        assert_eq!(probe(&edited), reason.label(), "{key}");
        edit(&edited, to, from);
        assert_eq!(probe(&edited), "", "{key} after the reverse edit");
    }
}

#[test]
fn rejections_have_the_encoding_of_the_edit() {
    let Some(edited) = start() else { return };
    edit(&edited, "errors: msgpack", "errors: json");
    send(&edited.client, &["no such route", ""]);
    let rejection = receive(&edited.client);
    let json: serde_json::Value = serde_json::from_slice(&rejection[1]).unwrap();
    assert_eq!(json["reason"], Reason::UnknownType.label());
}

#[test]
fn workers_see_the_identity_of_the_edit() {
    let Some(edited) = start() else { return };
    let client = edited.gateway.named_dealer(b"me");
    let ask = || {
        send(&client, &["OPAQUE", "x"]);
        let request = answer(edited.worker(), b"y");
        assert_eq!(receive(&client)[0], b"REPLY");
        request[0].clone()
    };
    assert_ne!(ask(), b"me");
    edit(&edited, "identity: token", "identity: client");
    assert_eq!(ask(), b"me");
}

#[test]
fn per_worker_applies_to_connected_workers() {
    let Some(edited) = start() else { return };
    send(&edited.client, &["OPAQUE", "probe", "x"]);
    receive(edited.worker());
    edit(&edited, "queue: 100", "queue: 0");
    assert_eq!(opaque(&edited), "", "the worker has room");
    receive(edited.worker());
    edit(&edited, "per_worker: 10", "per_worker: 2");
    assert_eq!(opaque(&edited), Reason::QueueFull.label());
    edit(&edited, "per_worker: 2", "per_worker: 3");
    assert_eq!(opaque(&edited), "");
    receive(edited.worker());
}

#[test]
fn balance_applies_to_the_next_request() {
    let Some(edited) = start() else { return };
    let (one, other) = (edited.gateway.worker(), edited.gateway.worker());
    // Returns the worker that has received the request.
    let taker = || {
        let mut items = [
            one.as_poll_item(zmq::POLLIN),
            other.as_poll_item(zmq::POLLIN),
        ];
        assert!(zmq::poll(&mut items, i64::from(TEST_TIMEOUT_MS)).unwrap() > 0);
        if items[0].is_readable() { &one } else { &other }
    };
    let ask = || send(&edited.client, &["OPAQUE", "x"]);
    let reply = |worker: &zmq::Socket, request: &Frames| {
        send(worker, &[&request[0][..], b"REPLY", b"y"]);
        assert_eq!(receive(&edited.client)[0], b"REPLY");
    };
    // This is repeated until each worker holds one request, which shows that both are connected.
    let (busy, held, free, second) = loop {
        ask();
        let first = taker();
        let held = receive(first);
        ask();
        let then = taker();
        let second = receive(then);
        if !std::ptr::eq(first, then) {
            break (first, held, then, second);
        }
        reply(first, &held);
        reply(first, &second);
    };
    reply(free, &second);
    ask();
    assert!(std::ptr::eq(taker(), free), "the worker without a request");
    let request = receive(free);
    edit(&edited, "least_busy", "round_robin");
    reply(free, &request);
    ask();
    assert!(std::ptr::eq(taker(), busy), "the next worker in turn");
    let request = receive(busy);
    reply(busy, &request);
    reply(busy, &held);
}

#[test]
fn workers_of_the_wrong_kind_receive_no_further_requests() {
    for kind in ["rep", "dealer"] {
        let Some(edited) = start() else { return };
        let (dealer, rep) = (
            edited.gateway.worker(),
            edited.gateway.peer(zmq::REP, "people"),
        );
        let served_by = || {
            send(&edited.client, &["OPAQUE", "x"]);
            let deadline = Instant::now() + Duration::from_millis(TEST_TIMEOUT_MS as u64);
            while edited.client.poll(zmq::POLLIN, 1).unwrap() == 0 {
                assert!(Instant::now() < deadline, "no worker answers");
                if let Ok(request) = dealer.recv_multipart(zmq::DONTWAIT) {
                    send(&dealer, &[&request[0][..], b"REPLY", b"dealer"]);
                }
                if rep.recv_multipart(zmq::DONTWAIT).is_ok() {
                    send(&rep, &["REPLY", "rep"]);
                }
            }
            texts(&receive(&edited.client))[1].clone()
        };
        // This is repeated until both workers have answered, which shows that both are connected.
        let first = served_by();
        let deadline = Instant::now() + Duration::from_millis(TEST_TIMEOUT_MS as u64);
        while served_by() == first {
            assert!(Instant::now() < deadline, "only one worker answers");
        }
        edit(&edited, "workers: auto", &format!("workers: {kind}"));
        for _ in 0..10 {
            assert_eq!(served_by(), kind);
        }
    }
}

#[test]
fn a_new_heartbeat_applies_to_existing_connections() {
    let Some(edited) = start() else { return };
    let mut worker = Raw::peer(&edited.gateway.endpoint("people"), "DEALER");
    edit(&edited, "heartbeat: off", "heartbeat: 50ms");
    let received = worker.receive();
    assert!(
        matches!(&received, Received::Command(body) if body.starts_with(b"\x04PING")),
        "{received:?}"
    );
}

#[test]
fn a_removed_frontend_rejects_requests_and_delivers_its_answers() {
    let Some(edited) = start() else { return };
    let client = edited.gateway.peer(zmq::DEALER, "more");
    send(&client, &["OPAQUE", "owed", "x"]);
    let held = receive(edited.worker());
    edit(&edited, "  more: {", "  less: {");
    send(&client, &["OPAQUE", "new", "x"]);
    rejected(&client, &["new"], Reason::ShuttingDown);
    send(edited.worker(), &[&held[0][..], b"REPLY", b"owed", b"y"]);
    assert_eq!(texts(&receive(&client)), ["REPLY", "owed", "y"]);
}

#[test]
fn the_grace_of_the_edit_applies() {
    let Some(edited) = start() else { return };
    send(&edited.client, &["OPAQUE", "held", "x"]);
    receive(edited.worker());
    edit(&edited, "grace: 1h", "grace: 10ms");
    edited.gateway.control().drain();
    rejected(&edited.client, &["held"], Reason::ShuttingDown);
    let Edited { gateway, .. } = edited;
    gateway.end();
}

#[test]
fn without_watch_an_edit_waits_for_a_reload_request() {
    let Some(edited) = start() else { return };
    edit(&edited, "watch: true", "watch: false");
    let before = edited.generation();
    let more = fs::read_to_string(&edited.file).unwrap();
    fs::write(
        &edited.file,
        more.replace("  NEST:", "  MORE: { pool: people }\n  NEST:"),
    )
    .unwrap();
    // These round trips take longer than the follower would need to notice and load the edit.
    for _ in 0..1_000 {
        assert_eq!(edited.generation(), before);
    }
    assert_eq!(edited.reload().outcome, ReloadOutcome::Applied);
    assert_eq!(edited.generation(), before + 1);
    // The watch is turned on again.
    edit(&edited, "watch: false", "watch: true");
    let more = fs::read_to_string(&edited.file).unwrap();
    fs::write(&edited.file, more.replace("  MORE:", "  STILL:")).unwrap();
    edited.await_generation(before + 3);
}

#[test]
fn another_engine_needs_a_restart() {
    let Some(edited) = start() else { return };
    let text = fs::read_to_string(&edited.file).unwrap();
    let text = text.replace("engine: native", "engine: libzmq");
    fs::write(&edited.file, text.replace("OPAQUE:", "OTHER:")).unwrap();
    let report = edited.reload();
    assert_eq!(report.outcome, ReloadOutcome::Refused);
    let reported = report.diagnostics.to_string();
    assert!(
        reported.contains("the engine can't change while the gateway runs: restart the gateway"),
        "{reported}"
    );
    edited.await_route("OPAQUE", true);
    assert_eq!(edited.generation(), 1);
}

const TICKS: &str = r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
channels:
  ticks: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0", keep: { last: 10 }, upstream: all }
reload: { settle: 20ms, watch: true }
routes:
  tick: { schema: live.Tick, publish: ticks }
"#;

#[test]
fn kept_messages_that_a_new_rule_forbids_are_not_sent() {
    if !engine_is("native") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let schemas = directory.path().join("schemas");
    fs::create_dir_all(schemas.join("buf/validate")).unwrap();
    fs::copy(VALIDATE, schemas.join("buf/validate/validate.proto")).unwrap();
    let tick = |rule: &str| {
        let text = format!(
            "syntax = \"proto3\"; package live; import \"buf/validate/validate.proto\";
             message Tick {{ int32 price = 1 {rule}; }}"
        );
        fs::write(schemas.join("live.proto"), text).unwrap();
    };
    tick("");
    let edited = Edited::of_gateway(Gateway::start_in(directory, TICKS), NEVER);
    let publisher = edited.gateway.peer(zmq::XPUB, "ticks.publishers");
    receive(&publisher);
    let subscriber = |prefix: &str| {
        let socket = edited.gateway.peer(zmq::SUB, "ticks.subscribers");
        socket.set_subscribe(prefix.as_bytes()).unwrap();
        socket
    };
    let prices = [b"\x08\x05", b"\x08\x32"];
    for price in prices {
        send(&publisher, &[&b"tick"[..], price]);
    }
    let early = subscriber("tick");
    for price in prices {
        assert_eq!(receive(&early)[1], price);
    }
    tick("[(buf.validate.field).int32.gt = 9]");
    assert!(edited.reload().outcome.is_good());
    assert_eq!(receive(&subscriber("t"))[1], b"\x08\x32");
}
