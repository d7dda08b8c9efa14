//! `type`, `envelope` and `errors` of a frontend are edited while requests are in flight: what is under way ends as
//! it began.

use std::fs;

use crate::support::edited::Edited;
use crate::support::gateway::{Gateway, NEVER, engine_is};
use crate::support::sockets::{receive, send, texts};

const ROUTES: &str = r#"
frontends:
  clients: { bind: "tcp://127.0.0.1:0" }
pools:
  people: { bind: "tcp://127.0.0.1:0", per_worker: 1, timeout: 60s }
reload: { settle: 20ms }
routes:
  T: { pool: people }
"#;

const CLIENTS: &str = "clients: { bind: \"tcp://127.0.0.1:0\"";

fn start() -> Option<Edited> {
    let gateway = || Gateway::start_in(tempfile::tempdir().unwrap(), ROUTES);
    engine_is("native").then(|| Edited::following(gateway(), NEVER))
}

#[track_caller]
fn edit(edited: &Edited, from: &str, to: &str) {
    let text = fs::read_to_string(&edited.file).unwrap();
    assert!(text.contains(from), "no {from:?}");
    fs::write(&edited.file, text.replacen(from, to, 1)).unwrap();
    let report = edited.reload();
    assert!(report.outcome.is_good(), "{}", report.diagnostics);
}

#[track_caller]
fn expect(socket: &zmq::Socket, frames: &[&str]) {
    assert_eq!(texts(&receive(socket)), frames);
}

#[test]
fn a_clients_answer_has_the_form_in_which_it_asked() {
    let Some(edited) = start() else { return };
    let (client, worker) = (edited.gateway.dealer(), edited.gateway.worker());
    let echo = || {
        let request = receive(&worker);
        send(&worker, &request);
    };
    let plain = format!("{CLIENTS}, type: T");
    send(&client, &["T", "typed"]);
    edit(&edited, CLIENTS, &plain);
    send(&client, &["plain"]);
    edit(&edited, ", type: T", ", envelope: routed");
    send(&client, &["address", "", "T", "routed"]);
    send(&client, &["address", "", "U", "routed"]);
    // The rejection comes at once, and in the envelope.
    let said = receive(&client);
    assert_eq!(texts(&said[..3]), ["address", "", "ERROR"]);
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
fn a_type_that_loses_its_route_is_no_edit() {
    let Some(edited) = start() else { return };
    edit(&edited, CLIENTS, &format!("{CLIENTS}, type: T"));
    let text = fs::read_to_string(&edited.file).unwrap();
    fs::write(&edited.file, text.replace("  T: {", "  U: {")).unwrap();
    let report = edited.reload();
    assert!(!report.outcome.is_good());
    let told = report.diagnostics.to_string();
    assert!(told.contains("no route matches the type \"T\""), "{told}");
    let (client, worker) = (edited.gateway.dealer(), edited.gateway.worker());
    send(&client, &["p"]);
    let request = receive(&worker);
    send(&worker, &request);
    expect(&client, &["p"]);
}
