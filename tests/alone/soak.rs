//! A soak test: a client sends at full speed while routes.yaml and the .proto files are rewritten
//! again and again, in the ways of editors and deployment tools. A third of the edits have errors.
//! The test asserts that no answer is lost or wrong, that each valid edit takes effect, that an
//! invalid edit changes nothing, and that neither the memory nor the number of descriptors of this
//! process grows.
//!
//! `SOAK_EDITS` sets the number of edits; `tests/alone/soak.sh` makes a thousand.

mod editor;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use editor::{Editor, VANISHING_POOLS};

use crate::support::gateway::{Gateway, NEVER};
use crate::support::sockets::{SetOnDrop, TEST_TIMEOUT_MS, connected, echo, receive, send, texts};
use crate::support::{ANN, footprint, turns};

/// The number of edits in an ordinary test run.
const EDITS: u64 = 60;

/// The number of requests that the client has open at once.
const BATCH: u64 = 50;

/// The number of reloads that have failed so far.
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Returns the deadline of a step that begins now.
fn deadline() -> Instant {
    Instant::now() + Duration::from_millis(TEST_TIMEOUT_MS as u64)
}

/// Sends requests and receives their answers until `client_done` is set. Asserts that all answers
/// are right, and returns their number.
fn steady_client(client: &zmq::Socket, client_done: &AtomicBool) -> u64 {
    let mut number = 0;
    while !client_done.load(Ordering::SeqCst) {
        let mut open = HashMap::new();
        for n in number..number + BATCH {
            let (kind, payload): (_, &[u8]) = match n % 10 {
                // A field of the wrong type.
                7 => ("PROTOBUF", b"\x08\x01\x10\x05"),
                3 | 5 => ("PROTOBUF", ANN),
                _ => ("OPAQUE", b"opaque"),
            };
            let header = n.to_string();
            send(client, &[kind.as_bytes(), header.as_bytes(), payload]);
            open.insert(header.into_bytes(), payload);
        }
        while !open.is_empty() {
            let answer = receive(client);
            assert_eq!(answer.len(), 3, "{:?}", texts(&answer));
            let payload = open.remove(&answer[1]);
            let payload =
                payload.unwrap_or_else(|| panic!("an answer to no request: {:?}", texts(&answer)));
            if payload.starts_with(b"\x08\x01\x10") {
                let text = String::from_utf8_lossy(&answer[2]);
                assert_eq!(answer[0], b"ERROR");
                assert!(
                    text.contains("schema_violation") && text.contains("name"),
                    "{text}"
                );
            } else {
                assert_eq!((&answer[0][..], &answer[2][..]), (&b"REPLY"[..], payload));
            }
        }
        number += BATCH;
    }
    number
}

/// Runs the steady client and the workers until `edits` edits have been made. Returns the footprint
/// of this process after a third of the edits, and the number of requests of the steady client.
fn rewrite(gateway: &Gateway, editor: &Editor, edits: u64) -> ((usize, usize), u64) {
    let (client_done, workers_done) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (client, worker) = (gateway.dealer(), gateway.worker());
        let (client_done, workers_done) = (&client_done, &workers_done);
        let ends_workers = SetOnDrop(workers_done);
        let ends_client = SetOnDrop(client_done);
        scope.spawn(move || echo(&worker, workers_done));
        for pool in 0..VANISHING_POOLS {
            let endpoint = editor.vanishing(pool);
            let worker = connected(&gateway.context, zmq::DEALER, &endpoint);
            scope.spawn(move || echo(&worker, workers_done));
        }
        let steady = scope.spawn(move || steady_client(&client, client_done));
        // Edit 1 sets `reload.settle` to 20 ms, so that the following edits take effect sooner.
        editor.write_probe(1);
        editor.write_protos(1);
        editor.write(0, &editor.yaml(1));
        let deadline = deadline();
        while !editor.is_in_force(1) {
            assert!(Instant::now() < deadline, "edit 1 did not take effect");
        }
        let (mut in_force, mut footprint_before) = (1, None);
        for n in 2..edits + 2 {
            assert!(!steady.is_finished(), "the steady client ended at edit {n}");
            in_force = editor.edit(n, in_force);
            if n == edits / 3 + 2 {
                footprint_before = Some(footprint("self"));
            }
        }
        drop(ends_client);
        let served = steady.join().unwrap();
        drop(ends_workers);
        (footprint_before.unwrap(), served)
    })
}

#[test]
fn no_answer_is_lost_or_wrong_while_all_files_are_rewritten() {
    let _turn = turns::take();
    let edits = std::env::var("SOAK_EDITS").map_or(EDITS, |n| n.parse().unwrap());
    let gateway = Gateway::people("");
    let following = gateway.follow_with_admin(NEVER, |found| {
        if found.has_errors() {
            FAILED.fetch_add(1, Ordering::SeqCst);
        }
    });
    let editor = Editor {
        directory: gateway.directory.path().to_owned(),
        file: gateway.file(),
        client: gateway.dealer(),
        following,
    };
    let started = Instant::now();
    let ((descriptors_before, kib_before), served) = rewrite(&gateway, &editor, edits);
    let (descriptors, kib) = footprint("self");
    let (failed, took) = (FAILED.load(Ordering::SeqCst), started.elapsed());
    println!(
        "{edits} edits, {failed} reloads refused, {served} messages of the steady client in {took:?}; \
         after a third of the edits and at the end: descriptors {descriptors_before}, {descriptors}; \
         KiB {kib_before}, {kib}"
    );
    assert!(failed >= edits / 3, "{failed} reloads failed");
    assert!(served > 1_000, "{served}");
    assert!(
        descriptors <= descriptors_before + 10,
        "{descriptors} after {descriptors_before}"
    );
    // The gateway never frees the name and the counters of a removed route. Each edit has a route
    // of its own.
    let most = kib_before + 4_000 + edits as usize;
    assert!(kib <= most, "{kib} KiB after {kib_before}");
    let ledger = gateway.end();
    assert!(ledger.answered + ledger.rejected.iter().sum::<u64>() >= served);
    assert_eq!(ledger.client_gone + ledger.client_slow, 0);
}
