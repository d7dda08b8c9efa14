//! What engine libzmq can't change while it runs is refused by name, and the rest of the edit with it. On that
//! engine whichever is tested otherwise.

use std::sync::Arc;

use crate::support::gateway::Gateway;
use crate::support::sockets::{receive, send, texts};
use gateway::config;
use gateway::reply::Reason;

/// Key, edit, and what is said to it; empty where it is taken up.
const EDITS: &[(&str, &str, &str, &str)] = &[
    (
        "workers",
        "workers: dealer",
        "workers: rep",
        "pool people: engine libzmq can't change workers while it runs",
    ),
    // What it does with `auto` is the same.
    ("workers", "workers: dealer", "workers: auto", ""),
    (
        "heartbeat",
        "heartbeat: 9s",
        "heartbeat: 8s",
        "pool people: engine libzmq can't change heartbeat while it runs",
    ),
    (
        "heartbeat",
        "heartbeat: 9s",
        "heartbeat: off",
        "can't change heartbeat while it runs: restart the gateway, or give the pool another name and address",
    ),
    (
        "per_worker",
        "per_worker: 50",
        "per_worker: 101",
        "pool people: engine libzmq can't change per_worker beyond 100 while it runs",
    ),
    ("per_worker", "per_worker: 50", "per_worker: 100", ""),
    (
        "limits.message",
        "message: 1MiB",
        "message: 5MiB",
        "frontend clients: engine libzmq can't change limits.message to more than twice what it was while it \
         runs: it may be 2097152B until the gateway is restarted",
    ),
    ("limits.message", "message: 1MiB", "message: 2MiB", ""),
    ("limits.message", "message: 1MiB", "message: 1KiB", ""),
    (
        "a pool's address",
        "DIRECTORY/people",
        "DIRECTORY/moved",
        "pool people: engine libzmq can't change its addresses while it runs",
    ),
    (
        "a frontend's address",
        "DIRECTORY/clients",
        "DIRECTORY/moved",
        "frontend clients: engine libzmq can't change its addresses while it runs",
    ),
    (
        "a pool's name on the same address",
        "people: {",
        "others: {",
        "pool others: can't listen on ipc://DIRECTORY/people: pool people still does",
    ),
    (
        "a frontend's name on the same address",
        "clients: {",
        "others: {",
        "frontend others: can't listen on ipc://DIRECTORY/clients: frontend clients still does",
    ),
    (
        "engine",
        "engine: libzmq",
        "engine: native",
        "the engine can't change while the gateway runs: restart it",
    ),
    ("identity", "identity: token", "identity: client", ""),
    ("balance", "least_busy", "round_robin", ""),
    ("queue", "queue: 60", "queue: 61", ""),
    ("queue_bytes", "7KiB", "8KiB", ""),
    ("errors", "errors: msgpack", "errors: json", ""),
];

#[test]
fn an_edit_with_a_part_that_cannot_change_is_refused_as_a_whole() {
    for (key, from, to, said) in EDITS {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        let text = r#"
engine: libzmq
frontends: { clients: { bind: "ipc://DIRECTORY/clients", errors: msgpack } }
pools:
  people: { bind: "ipc://DIRECTORY/people", workers: dealer, heartbeat: 9s, per_worker: 50, identity: token, balance: least_busy, queue: 60, queue_bytes: 7KiB, timeout: 20s }
limits: { message: 1MiB }
routes: { OPAQUE: { pool: people } }
"#;
        let gateway = Gateway::start_as(directory, &text.replace("DIRECTORY", &path));
        let edited = text.replacen(from, to, 1);
        assert_ne!(edited, text, "{key}");
        // Something in it that could be changed.
        let edited = edited.replacen("OPAQUE:", "OTHER:", 1);
        let name = if to.starts_with("others") && key.contains("pool") {
            edited.replace("pool: people", "pool: others")
        } else {
            edited
        };
        let file = gateway.file();
        std::fs::write(&file, name.replace("DIRECTORY", &path)).unwrap();
        let running = gateway.running.as_ref().unwrap();
        let loaded = config::load_after(&file, gateway.snapshot())
            .unwrap_or_else(|found| panic!("{key}: {found}"));
        let outcome = running.reloader().reload(Arc::new(loaded.snapshot));
        let taken_up = outcome.is_ok();
        let refusal = outcome.err().map_or(String::new(), |it| it.to_string());
        let said = said.replace("DIRECTORY", &path);
        assert_eq!(taken_up, said.is_empty(), "{key}, {to}: {refusal}");
        assert!(refusal.contains(&said), "{key}: {refusal}");
        // The whole of it, or nothing.
        let client = gateway.dealer();
        send(&client, &["nothing", ""]);
        let frames = receive(&client);
        let unknown = String::from_utf8_lossy(&frames[1]).contains(Reason::UnknownType.label());
        assert!(unknown, "{key}: {:?}", texts(&frames));
        let worker = gateway.worker();
        let kind = if taken_up { "OTHER" } else { "OPAQUE" };
        send(&client, &[kind, "x"]);
        let request = receive(&worker);
        assert_eq!(texts(&request[1..]), [kind, "x"], "{key}");
    }
}
