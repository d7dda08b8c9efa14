//! Tests of edits while requests are in flight.

use std::fs;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gateway::reload::ReloadOutcome;
use gateway::reply::Reason;

use crate::support::ANN;
use crate::support::edited::{Edited, routes_yaml, routes_yaml_without_engine};
use crate::support::gateway::{NEVER, engine_is, on_this_engine};
use crate::support::sockets::{
    SetOnDrop, TEST_TIMEOUT_MS, answer, connected, echo, receive, rejected, send, texts,
};

#[test]
fn pools_and_frontends_are_added_and_removed() {
    let edited = Edited::start();
    let directory = edited.gateway.directory.path().to_owned();
    let ipc = |name: &str| format!("ipc://{}", directory.join(name).display());
    let (clients, people) = (ipc("more-clients"), ipc("more-people"));
    let with_more = format!(
        r#"
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0" }}, more: {{ bind: "{clients}" }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0", timeout: 20s }}, more: {{ bind: "{people}" }} }}
reload: {{ settle: 20ms }}
routes: {{ OPAQUE: {{ pool: people }}, MORE: {{ pool: more }} }}
"#
    );
    let context = &edited.gateway.context;
    let client = connected(context, zmq::REQ, &clients);
    let worker = connected(context, zmq::DEALER, &people);
    let mut generation = 1;
    for _ in 0..3 {
        fs::write(&edited.file, on_this_engine(&with_more)).unwrap();
        generation += 1;
        edited.await_generation(generation);
        send(&client, &["MORE", "x"]);
        let held = receive(&worker);
        edited.write("");
        generation += 1;
        edited.await_generation(generation);
        // The removed pool serves its requests, and the removed frontend delivers the answers.
        send(&worker, &[&held[0][..], b"REPLY", b"owed"]);
        assert_eq!(texts(&receive(&client)), ["REPLY", "owed"]);
        send(&edited.client, &["MORE", "x"]);
        rejected(&edited.client, &[], Reason::UnknownType);
    }
}

#[test]
fn changed_settings_apply_at_once_and_connections_stay() {
    let edited = Edited::start();
    let strict = fs::read_to_string(&edited.file).unwrap();
    let strict = strict.replace("timeout: 20s", "timeout: 2s, queue: 1");
    fs::write(&edited.file, strict).unwrap();
    edited.await_generation(2);
    send(&edited.client, &["OPAQUE", "1", "x"]);
    send(&edited.client, &["OPAQUE", "2", "x"]);
    rejected(&edited.client, &["2"], Reason::QueueFull);
    rejected(&edited.client, &["1"], Reason::NoWorker);
}

#[test]
fn a_request_keeps_the_generation_in_force_when_it_arrived() {
    let edited = Edited::start();
    let worker = edited.gateway.worker();
    send(&edited.client, &["OPAQUE", "old", "x"]);
    let held = receive(&worker);
    let strict = fs::read_to_string(&edited.file).unwrap();
    let strict = strict.replace("OPAQUE: { pool", "OPAQUE: { reply: demo.Reply, pool");
    fs::write(&edited.file, strict).unwrap();
    edited.await_generation(2);
    send(&edited.client, &["OPAQUE", "new", "x"]);
    answer(&worker, b"\xff no Reply");
    let frames = receive(&edited.client);
    assert_eq!(texts(&frames[..2]), ["ERROR", "new"]);
    send(&worker, &[&held[0][..], b"REPLY", b"old", b"\xff no Reply"]);
    assert_eq!(texts(&receive(&edited.client))[..2], ["REPLY", "old"]);
}

/// Only engine native can change addresses while it runs.
#[test]
fn addresses_move_while_peers_stay_connected() {
    if !engine_is("native") {
        return;
    }
    // The frontend listens on all addresses later, so its port must be free on all of them. Other
    // tests leave many ports of 127.0.0.2 that cannot be bound for a minute.
    let free = || TcpListener::bind("0.0.0.0:0").unwrap();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port().to_string();
    let (first, second) = (free(), free());
    let (clients, people) = (port(&first), port(&second));
    drop((first, second));
    let yaml = |clients: &str, people: &str| {
        format!(
            r#"
frontends: {{ clients: {{ bind: "{clients}" }} }}
pools: {{ people: {{ bind: "{people}", timeout: 20s }} }}
reload: {{ settle: 20ms }}
routes: {{ OPAQUE: {{ pool: people }} }}
"#
        )
    };
    let localhost = |port: &str| format!("tcp://localhost:{port}");
    let edited = Edited::with_yaml(&yaml(&localhost(&clients), &localhost(&people)), NEVER);
    let reachable = |endpoint: &str, port: &str| {
        let endpoint = format!("{endpoint}:{port}");
        let client = connected(&edited.gateway.context, zmq::DEALER, &endpoint);
        send(&client, &["nothing", "x"]);
        rejected(&client, &[], Reason::UnknownType);
    };
    // The frontend and the pool swap their ports.
    let worker = edited.gateway.worker();
    send(&edited.client, &["OPAQUE", "x"]);
    let held = receive(&worker);
    let swapped = yaml(
        &format!("tcp://127.0.0.1:{people}"),
        &format!("tcp://127.0.0.1:{clients}"),
    );
    fs::write(&edited.file, on_this_engine(&swapped)).unwrap();
    edited.await_generation(2);
    reachable("tcp://127.0.0.1", &people);
    // Peers that were connected before keep their roles.
    send(&worker, &[&held[0][..], b"REPLY", b"y"]);
    assert_eq!(texts(&receive(&edited.client)), ["REPLY", "y"]);
    // The frontend's new address includes the old address, so it cannot be bound until the old
    // address is released. The pool keeps its port.
    let wider = yaml(
        &format!("tcp://*:{people}"),
        &format!("tcp://127.0.0.2:{clients}"),
    );
    fs::write(&edited.file, on_this_engine(&wider)).unwrap();
    edited.await_generation(3);
    reachable("tcp://127.0.0.3", &people);
    send(&edited.client, &["OPAQUE", "x"]);
    answer(&worker, b"z");
    assert_eq!(texts(&receive(&edited.client)), ["REPLY", "z"]);
}

/// Only engine native is tested. The second of two new addresses is in use, so the gateway releases
/// the first address again, and the running configuration stays in force. The gateway retries the
/// reload until the second address is free.
#[test]
fn a_reload_that_cannot_bind_changes_nothing_and_is_retried() {
    if !engine_is("native") {
        return;
    }
    // No other test binds this address.
    let listen = |port: u16| TcpListener::bind(("127.0.0.9", port));
    let taken = listen(0).unwrap();
    let taken_port = taken.local_addr().unwrap().port();
    let free_port = listen(0).unwrap().local_addr().unwrap().port();
    let edited = Edited::with_yaml(
        &routes_yaml_without_engine("", ""),
        Duration::from_millis(50),
    );
    let text = fs::read_to_string(&edited.file).unwrap();
    let more = format!(
        "frontends: {{ first: {{ bind: \"tcp://127.0.0.9:{free_port}\" }}, \
         second: {{ bind: \"tcp://127.0.0.9:{taken_port}\" }},"
    );
    let text = text.replace("frontends: {", &more);
    fs::write(&edited.file, text.replace("OPAQUE:", "OTHER:")).unwrap();
    let report = edited.reload();
    assert_eq!(report.outcome, ReloadOutcome::Refused);
    let reported = report.diagnostics.to_string();
    assert!(
        reported.contains(&format!(
            "frontend second: can't listen on tcp://127.0.0.9:{taken_port}"
        )),
        "{reported}"
    );
    // The running configuration also stays in force after retries. Usually some retries occur
    // during this loop.
    for _ in 0..20 {
        edited.await_route("OPAQUE", true);
        assert_eq!(edited.generation(), 1);
    }
    let deadline = Instant::now() + Duration::from_millis(TEST_TIMEOUT_MS as u64);
    // Each retry binds the first address for a moment.
    while listen(free_port).is_err() {
        assert!(
            Instant::now() < deadline,
            "the first address is still bound"
        );
    }
    drop(taken);
    edited.await_route("OTHER", true);
    assert_eq!(edited.generation(), 2);
    for port in [free_port, taken_port] {
        let endpoint = format!("tcp://127.0.0.9:{port}");
        let client = connected(&edited.gateway.context, zmq::DEALER, &endpoint);
        send(&client, &["nothing", "x"]);
        rejected(&client, &[], Reason::UnknownType);
    }
}

/// Sends requests in batches until `client_done` is set, and asserts that the right answers arrive
/// in order. Returns the number of requests.
fn steady_client(client: &zmq::Socket, client_done: &AtomicBool) -> u64 {
    let mut number = 0_u64;
    while !client_done.load(Ordering::SeqCst) {
        let batch = number..number + 50;
        for n in batch.clone() {
            send(client, &["OPAQUE", &n.to_string(), "x"]);
        }
        for n in batch {
            assert_eq!(texts(&receive(client)), ["REPLY", &n.to_string(), "x"]);
        }
        number += 50;
    }
    number
}

/// Makes edit `n`, in place or by renaming. Every third edit is broken.
fn rewrite(edited: &Edited, n: u64) {
    let text = match n % 3 {
        0 => "routes: {".to_owned(),
        _ => routes_yaml(
            &format!("  R{n}: {{ schema: demo.Person, pool: people }}"),
            "",
        ),
    };
    if n.is_multiple_of(2) {
        fs::write(&edited.file, text).unwrap();
    } else {
        let temporary = edited.file.with_extension("tmp");
        fs::write(&temporary, text).unwrap();
        fs::rename(&temporary, &edited.file).unwrap();
    }
}

/// A client sends at full speed during two hundred edits, a third of them broken.
#[test]
fn no_answer_is_lost_or_wrong_while_files_are_rewritten() {
    let edited = Edited::start();
    let (client_done, worker_done) = (AtomicBool::new(false), AtomicBool::new(false));
    let served = std::thread::scope(|scope| {
        let worker = edited.gateway.worker();
        let client = edited.gateway.dealer();
        let (client_done, worker_done) = (&client_done, &worker_done);
        let ends_worker = SetOnDrop(worker_done);
        let ends_client = SetOnDrop(client_done);
        scope.spawn(move || echo(&worker, worker_done));
        let served = scope.spawn(move || steady_client(&client, client_done));
        for n in 0..200 {
            rewrite(&edited, n);
            if n % 10 != 4 || n % 3 == 0 {
                continue;
            }
            // The same worker serves this request, because a second worker would change the order
            // of answers.
            let deadline = Instant::now() + Duration::from_millis(TEST_TIMEOUT_MS as u64);
            loop {
                send(&edited.client, &[format!("R{n}").as_bytes(), ANN]);
                if receive(&edited.client)[0] == b"REPLY" {
                    break;
                }
                assert!(Instant::now() < deadline, "edit {n} did not take effect");
            }
        }
        drop(ends_client);
        let served = served.join().unwrap();
        drop(ends_worker);
        served
    });
    assert!(served > 1_000, "{served}");
    let Edited { gateway, .. } = edited;
    let ledger = gateway.end();
    assert!(ledger.answered >= served);
    assert_eq!(ledger.client_gone + ledger.client_slow, 0);
}
