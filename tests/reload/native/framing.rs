//! Tests of edits of a frontend's `type`, `envelope` and `errors`, and of a pool's `frames`, while
//! requests are in flight. The form of a request stays in force for its answer. A queued request is
//! handed to a worker in the new form.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::edited::Edited;
use crate::support::gateway::{Gateway, NEVER, engine_is};
use crate::support::sockets::{TEST_TIMEOUT_MS, receive, send, texts};

const ROUTES: &str = r#"
frontends:
  clients: { bind: "tcp://127.0.0.1:0" }
pools:
  people: { bind: "tcp://127.0.0.1:0", frames: typed, per_worker: 1, timeout: 60s }
reload: { settle: 20ms }
routes:
  T: { pool: people }
"#;

/// The maximum time of each step, even on a busy machine.
const TEST_TIMEOUT: Duration = Duration::from_millis(TEST_TIMEOUT_MS as u64);

const CLIENTS: &str = "clients: { bind: \"tcp://127.0.0.1:0\"";

fn start() -> Option<Edited> {
    let gateway = || Gateway::start_in(tempfile::tempdir().unwrap(), ROUTES);
    engine_is("native").then(|| Edited::of_gateway(gateway(), NEVER))
}

#[track_caller]
fn edit(edited: &Edited, from: &str, to: &str) {
    let text = fs::read_to_string(&edited.file).unwrap();
    assert!(text.contains(from), "no {from:?}");
    fs::write(&edited.file, text.replacen(from, to, 1)).unwrap();
    let report = edited.reload();
    assert!(report.outcome.is_good(), "{}", report.diagnostics);
}

/// Waits until the gateway has received `count` requests, because an edit applies only to later
/// requests.
#[track_caller]
fn await_received(edited: &Edited, count: u64) {
    let observer = edited.gateway.running.as_ref().unwrap().observer();
    let deadline = Instant::now() + TEST_TIMEOUT;
    while observer
        .sample(TEST_TIMEOUT)
        .expect("a sample")
        .ledger
        .received
        < count
    {
        assert!(Instant::now() < deadline, "fewer than {count} requests");
        std::thread::yield_now();
    }
}

#[track_caller]
fn expect(socket: &zmq::Socket, frames: &[&str]) {
    assert_eq!(texts(&receive(socket)), frames);
}

#[test]
fn a_workers_answer_is_read_in_the_form_of_its_request() {
    let Some(edited) = start() else { return };
    let (client, worker) = (edited.gateway.dealer(), edited.gateway.worker());
    let form = |frames: &str| match frames {
        "typed" => &["T", "id", "p"][..],
        "payload" => &["p"],
        _ => &["", "p"],
    };
    let mut before = "typed";
    for after in [
        "payload",
        "delimited",
        "typed",
        "delimited",
        "payload",
        "typed",
    ] {
        // One request is at the worker, and one is queued.
        for _ in 0..2 {
            send(&client, &["T", "id", "p"]);
        }
        let held = receive(&worker);
        assert_eq!(texts(&held[1..]), form(before));
        edit(
            &edited,
            &format!("frames: {before}"),
            &format!("frames: {after}"),
        );
        send(&worker, &held);
        let reply = |frames: &str| if frames == "typed" { "T" } else { "REPLY" };
        expect(&client, &[reply(before), "id", "p"]);
        let queued = receive(&worker);
        assert_eq!(texts(&queued[1..]), form(after), "after {before}");
        send(&worker, &queued);
        expect(&client, &[reply(after), "id", "p"]);
        before = after;
    }
}

#[test]
fn an_answer_has_the_form_of_its_request() {
    let Some(edited) = start() else { return };
    let (client, worker) = (edited.gateway.dealer(), edited.gateway.worker());
    let echo = || {
        let request = receive(&worker);
        send(&worker, &request);
    };
    let plain = format!("{CLIENTS}, type: T");
    // One request was sent at startup, to read the generation.
    let received = 1;
    send(&client, &["T", "typed"]);
    await_received(&edited, received + 1);
    edit(&edited, CLIENTS, &plain);
    send(&client, &["plain"]);
    await_received(&edited, received + 2);
    edit(&edited, ", type: T", ", envelope: routed");
    send(&client, &["address", "", "T", "routed"]);
    send(&client, &["address", "", "U", "routed"]);
    // The rejection is sent at once, in the envelope.
    let rejection = receive(&client);
    assert_eq!(texts(&rejection[..3]), ["address", "", "ERROR"]);
    edit(&edited, ", envelope: routed", ", errors: { as: payload }");
    for answer in [
        &["T", "typed"][..],
        &["plain"],
        &["address", "", "T", "routed"],
    ] {
        echo();
        expect(&client, answer);
    }
    send(&client, &["U", "id", "p"]);
    assert_eq!(receive(&client).len(), 1);
    edit(&edited, ", errors: { as: payload }", "");
    send(&client, &["U", "id", "p"]);
    assert_eq!(receive(&client).len(), 3);
}

#[test]
fn an_edit_that_leaves_a_frontends_type_without_a_route_is_rejected() {
    let Some(edited) = start() else { return };
    edit(&edited, CLIENTS, &format!("{CLIENTS}, type: T"));
    let text = fs::read_to_string(&edited.file).unwrap();
    fs::write(&edited.file, text.replace("  T: {", "  U: {")).unwrap();
    let report = edited.reload();
    assert!(!report.outcome.is_good());
    let reported = report.diagnostics.to_string();
    assert!(
        reported.contains("no route matches the type \"T\""),
        "{reported}"
    );
    let (client, worker) = (edited.gateway.dealer(), edited.gateway.worker());
    send(&client, &["p"]);
    let request = receive(&worker);
    send(&worker, &request);
    expect(&client, &["p"]);
}
