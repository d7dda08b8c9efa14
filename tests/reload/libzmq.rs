//! Tests that engine libzmq refuses an edit of a setting that it cannot change while it runs. The
//! refusal names the setting, and no part of the edit is applied. These tests use engine libzmq in
//! every test run.

use std::sync::Arc;

use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::sockets::{answer, connected, receive, send, socket, texts};
use gateway::config;
use gateway::reply::Reason;

/// The key, the text before and after the edit, and the error, which is empty if the edit is
/// accepted.
const EDITS: &[(&str, &str, &str, &str)] = &[
    (
        "workers",
        "workers: dealer",
        "workers: rep",
        "pool people: engine libzmq can't change workers while the gateway runs",
    ),
    // Engine libzmq treats `auto` as `dealer`.
    ("workers", "workers: dealer", "workers: auto", ""),
    (
        "heartbeat",
        "heartbeat: 9s",
        "heartbeat: 8s",
        "pool people: engine libzmq can't change heartbeat while the gateway runs",
    ),
    (
        "heartbeat",
        "heartbeat: 9s",
        "heartbeat: off",
        "can't change heartbeat while the gateway runs: restart the gateway, or give the pool another name and address",
    ),
    (
        "per_worker",
        "per_worker: 50",
        "per_worker: 101",
        "pool people: engine libzmq can't change per_worker beyond 100 while the gateway runs",
    ),
    ("per_worker", "per_worker: 50", "per_worker: 100", ""),
    (
        "limits.message",
        "message: 1MiB",
        "message: 5MiB",
        "frontend clients: engine libzmq can't change limits.message to more than twice its first value while the \
         gateway runs: the value may be at most 2097152B until the gateway is restarted",
    ),
    ("limits.message", "message: 1MiB", "message: 2MiB", ""),
    ("limits.message", "message: 1MiB", "message: 1KiB", ""),
    (
        "a pool's address",
        "DIRECTORY/people",
        "DIRECTORY/moved",
        "pool people: engine libzmq can't change the addresses while the gateway runs",
    ),
    (
        "a frontend's address",
        "DIRECTORY/clients",
        "DIRECTORY/moved",
        "frontend clients: engine libzmq can't change the addresses while the gateway runs",
    ),
    (
        "a pool's name on the same address",
        "people: {",
        "others: {",
        "pool others: can't listen on ipc://DIRECTORY/people: pool people still listens there; engine libzmq \
         can't hand an address over: remove pool people in a separate edit first, or use another address",
    ),
    (
        "a frontend's name on the same address",
        "clients: {",
        "others: {",
        "frontend others: can't listen on ipc://DIRECTORY/clients: frontend clients still listens there",
    ),
    (
        "a channel's address for publishers",
        "DIRECTORY/from",
        "DIRECTORY/moved",
        "publisher side of channel ticks: engine libzmq can't change the addresses while the gateway runs: give \
         the channel with the new addresses another name, or restart",
    ),
    (
        "a channel's address for subscribers",
        "DIRECTORY/to",
        "DIRECTORY/moved",
        "subscriber side of channel ticks: engine libzmq can't change the addresses while the gateway runs",
    ),
    (
        "a channel's name on the same addresses",
        "ticks: {",
        "others: {",
        "publisher side of channel others: can't listen on ipc://DIRECTORY/from: publisher side of channel ticks still \
         listens there; engine libzmq can't hand an address over",
    ),
    ("upstream", "upstream: all", "upstream: subscriptions", ""),
    (
        "engine",
        "engine: libzmq",
        "engine: native",
        "the engine can't change while the gateway runs: restart the gateway",
    ),
    ("identity", "identity: token", "identity: client", ""),
    ("balance", "least_busy", "round_robin", ""),
    ("queue", "queue: 60", "queue: 61", ""),
    ("queue_bytes", "7KiB", "8KiB", ""),
    ("errors", "errors: msgpack", "errors: json", ""),
];

#[test]
fn an_edit_with_a_part_that_cannot_change_is_refused_as_a_whole() {
    for (key, from, to, expected) in EDITS {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        let text = r#"
engine: libzmq
frontends: { clients: { bind: "ipc://DIRECTORY/clients", errors: msgpack } }
pools:
  people: { bind: "ipc://DIRECTORY/people", workers: dealer, heartbeat: 9s, per_worker: 50, identity: token, balance: least_busy, queue: 60, queue_bytes: 7KiB, timeout: 20s }
channels: { ticks: { publishers: "ipc://DIRECTORY/from", subscribers: "ipc://DIRECTORY/to", upstream: all } }
limits: { message: 1MiB }
routes: { OPAQUE: { pool: people }, TICK: { publish: ticks } }
"#;
        let gateway = Gateway::start_as(directory, &text.replace("DIRECTORY", &path));
        let edited = text.replacen(from, to, 1);
        assert_ne!(edited, text, "{key}");
        // This part of the edit alone could be applied.
        let edited = edited.replacen("OPAQUE:", "OTHER:", 1);
        let name = match to.starts_with("others") {
            true if key.contains("pool") => edited.replace("pool: people", "pool: others"),
            true if key.contains("channel") => edited.replace("publish: ticks", "publish: others"),
            _ => edited,
        };
        let file = gateway.file();
        std::fs::write(&file, name.replace("DIRECTORY", &path)).unwrap();
        let running = gateway.running.as_ref().unwrap();
        let loaded = config::load_after(&file, gateway.snapshot())
            .unwrap_or_else(|found| panic!("{key}: {found}"));
        let outcome = running.reloader().reload(Arc::new(loaded.snapshot));
        let is_applied = outcome.is_ok();
        let refusal = outcome
            .err()
            .map_or(String::new(), |error| error.to_string());
        let expected = expected.replace("DIRECTORY", &path);
        assert_eq!(is_applied, expected.is_empty(), "{key}, {to}: {refusal}");
        assert!(refusal.contains(&expected), "{key}: {refusal}");
        // All of the edit takes effect, or nothing.
        let client = gateway.dealer();
        send(&client, &["nothing", ""]);
        let frames = receive(&client);
        let unknown = String::from_utf8_lossy(&frames[1]).contains(Reason::UnknownType.label());
        assert!(unknown, "{key}: {:?}", texts(&frames));
        let worker = gateway.worker();
        let kind = if is_applied { "OTHER" } else { "OPAQUE" };
        send(&client, &[kind, "x"]);
        let request = receive(&worker);
        assert_eq!(texts(&request[1..]), [kind, "x"], "{key}");
    }
}

/// The number of turns in which the worker connects over each transport. Every turn binds and
/// releases the addresses of both transports.
const TURNS: usize = 50;

/// A thread of libzmq closes a socket some time after the call of `zmq_close`, so the socket
/// listens a little longer.
#[test]
fn an_address_freed_by_one_edit_is_used_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("people").display().to_string();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let addresses = [format!("tcp://127.0.0.1:{port}"), format!("ipc://{path}")];
    let yaml = |pools: &str| {
        format!(
            "engine: libzmq\nfrontends: {{ clients: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
             pools: {{ stays: {{ bind: \"tcp://127.0.0.1:0\" }}{pools} }}\nroutes: {{ OPAQUE: {{ pool: stays }} }}\n\
             admin: {{ bind: \"127.0.0.1:0\" }}\nreload: {{ watch: false }}\n"
        )
    };
    let process = Process::start(&yaml(""));
    let edit = |text: &str| {
        std::fs::write(process.file(), text).unwrap();
        let report = process.reload().json();
        assert_eq!(report["outcome"], "applied", "{report}");
    };
    for turn in 0..2 * TURNS {
        // Each turn gives the pool another name, so that no socket is used again.
        let pool = format!("pool{turn}");
        edit(&yaml(&format!(", {pool}: {{ bind: {addresses:?} }}")));
        let context = zmq::Context::new();
        let _worker = connected(&context, zmq::DEALER, &addresses[turn % 2]);
        let of_pool = format!("pool={pool:?}");
        process.await_metrics("a worker", |metrics| {
            metrics.sum("gateway_pool_workers", &[&of_pool]) == 1.0
        });
        edit(&yaml(""));
    }
}

#[test]
fn an_address_of_a_removed_pool_is_free_once_its_request_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let bind = format!("ipc://{}", directory.path().join("people").display());
    let yaml = |pools: &str| {
        format!(
            "engine: libzmq\nfrontends: {{ clients: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
             pools: {{ stays: {{ bind: \"tcp://127.0.0.1:0\" }}, {pools} }}\nroutes: {{ OPAQUE: {{ pool: NAME }} }}\n"
        )
    };
    let people = yaml(&format!("people: {{ bind: {bind:?} }}")).replace("NAME", "people");
    let gateway = Gateway::start_as(directory, &people);
    let (client, worker) = (gateway.dealer(), gateway.worker());
    send(&client, &["OPAQUE", "x"]);
    let token = receive(&worker).remove(0);
    let running = gateway.running.as_ref().unwrap();
    let mut before = Arc::new(config::load(&gateway.file()).unwrap().snapshot);
    let mut edit = |text: String| {
        std::fs::write(gateway.file(), text).unwrap();
        let loaded = config::load_after(&gateway.file(), &before).unwrap();
        let snapshot = Arc::new(loaded.snapshot);
        let outcome = running.reloader().reload(Arc::clone(&snapshot));
        if outcome.is_ok() {
            before = snapshot;
        }
        outcome.map(drop)
    };
    let others = yaml(&format!("others: {{ bind: {bind:?} }}")).replace("NAME", "others");
    edit(yaml("").replace("NAME", "stays")).unwrap();
    let refusal = edit(others.clone()).unwrap_err().to_string();
    let closing = "pool people still listens there; it closes once its requests have their answers";
    assert!(refusal.contains(closing), "{refusal}");
    worker
        .send_multipart([&token, &b"REPLY"[..], b"y"], 0)
        .unwrap();
    assert_eq!(texts(&receive(&client)), ["REPLY", "y"]);
    // If this worker still existed, it would connect again, and might receive the next request.
    drop(worker);
    edit(others).unwrap();
    let worker = connected(&gateway.context, zmq::DEALER, &bind);
    send(&client, &["OPAQUE", "x"]);
    answer(&worker, b"z");
    assert_eq!(texts(&receive(&client)), ["REPLY", "z"]);
}

/// A frontend closes once every message is answered. The empty message that a probing socket sends
/// is never answered.
#[test]
fn a_frontend_with_a_probing_client_closes_when_it_is_removed() {
    let yaml = |frontends: &str| {
        format!(
            "engine: libzmq\nfrontends: {{ stays: {{ bind: \"tcp://127.0.0.1:0\" }}{frontends} }}\n\
             pools: {{ people: {{ bind: \"tcp://127.0.0.1:0\" }} }}\nroutes: {{ OPAQUE: {{ pool: people }} }}\n\
             admin: {{ bind: \"127.0.0.1:0\" }}\nreload: {{ watch: false }}\n"
        )
    };
    let mut process = Process::start(&yaml(", leaves: { bind: \"tcp://127.0.0.1:0\" }"));
    let context = zmq::Context::new();
    let client = socket(&context, zmq::DEALER);
    client.set_probe_router(true).unwrap();
    client
        .connect(&process.endpoint("frontend leaves"))
        .unwrap();
    send(&client, &["nothing", ""]);
    assert_eq!(texts(&receive(&client)[..1]), ["ERROR"]);
    std::fs::write(process.file(), yaml("")).unwrap();
    assert_eq!(process.reload().code, 200);
    process.await_line("frontend leaves has delivered all answers and is closed");
}

/// A route with `ack: false` answers no message that it publishes.
#[test]
fn a_frontend_whose_client_published_without_acknowledgement_closes_when_it_is_removed() {
    let yaml = |frontends: &str| {
        format!(
            "engine: libzmq\nfrontends: {{ stays: {{ bind: \"tcp://127.0.0.1:0\" }}{frontends} }}\n\
             channels: {{ ticks: {{ publishers: \"tcp://127.0.0.1:0\", subscribers: \"tcp://127.0.0.1:0\" }} }}\n\
             routes: {{ TICK: {{ publish: ticks, ack: false }} }}\n\
             admin: {{ bind: \"127.0.0.1:0\" }}\nreload: {{ watch: false }}\n"
        )
    };
    let mut process = Process::start(&yaml(", leaves: { bind: \"tcp://127.0.0.1:0\" }"));
    let context = zmq::Context::new();
    let client = socket(&context, zmq::DEALER);
    client
        .connect(&process.endpoint("frontend leaves"))
        .unwrap();
    send(&client, &["TICK", "x"]);
    send(&client, &["nothing", ""]);
    assert_eq!(texts(&receive(&client)[..1]), ["ERROR"]);
    std::fs::write(process.file(), yaml("")).unwrap();
    assert_eq!(process.reload().code, 200);
    process.await_line("frontend leaves has delivered all answers and is closed");
}

#[test]
fn an_answer_may_have_as_many_frames_as_were_allowed_when_its_request_arrived() {
    let yaml = |frames: u32| {
        format!(
            "engine: libzmq\nfrontends: {{ clients: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
             pools: {{ people: {{ bind: \"tcp://127.0.0.1:0\" }} }}\nroutes: {{ OPAQUE: {{ pool: people }} }}\n\
             limits: {{ frames: {frames} }}\n\
             admin: {{ bind: \"127.0.0.1:0\" }}\nreload: {{ watch: false }}\n"
        )
    };
    let process = Process::start(&yaml(16));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    let worker = process.peer(&context, zmq::DEALER, "pool people");
    let headers = ["1", "2", "3", "4", "5", "6", "7", "8"];
    let frames = |first: &[&'static str]| [first, &headers, &["payload"]].concat();
    send(&client, &frames(&["OPAQUE"]));
    let token = receive(&worker).remove(0);
    std::fs::write(process.file(), yaml(4)).unwrap();
    assert_eq!(process.reload().code, 200);
    let reply: Vec<&[u8]> = frames(&["REPLY"])
        .iter()
        .map(|frame| frame.as_bytes())
        .collect();
    worker
        .send_multipart([&[&token[..]], &reply[..]].concat(), 0)
        .unwrap();
    assert_eq!(texts(&receive(&client)), frames(&["REPLY"]));
}
