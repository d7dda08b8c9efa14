//! A steady client at full speed, while routes.yaml and the .proto files are rewritten again and again, in every
//! way that files change, a third of the edits broken: not one answer is lost or wrong, a good edit takes hold, a
//! broken one changes nothing, and neither memory nor descriptors grow. In a process of its own, whose
//! descriptors are counted.
//!
//! `SOAK_EDITS` says how many edits; `tests/soak.sh` makes a thousand.

#[path = "soak/editor.rs"]
mod editor;
#[path = "support/gateway.rs"]
mod gateway_support;

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use editor::{Editor, VANISHING};
use gateway_support::*;

/// Edits of a run that is part of every test run.
const EDITS: u64 = 150;

/// Messages that the steady client has open at once.
const BATCH: u64 = 50;

/// Reloads that failed so far.
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Descriptors of this process, and its memory in KiB.
fn footprint() -> (usize, usize) {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().count();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    (descriptors, kib.parse().unwrap())
}

fn patience() -> Instant {
    Instant::now() + Duration::from_millis(PATIENCE_MS as u64)
}

/// Sends and receives until told to end; gives how many of its messages were answered, rightly all.
fn steady_client(client: &zmq::Socket, done: &AtomicBool) -> u64 {
    let mut number = 0;
    while !done.load(Ordering::SeqCst) {
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
            let asked = open.remove(&answer[1]);
            let asked = asked.unwrap_or_else(|| panic!("nobody asked for {:?}", texts(&answer)));
            if asked.starts_with(b"\x08\x01\x10") {
                let said = String::from_utf8_lossy(&answer[2]);
                assert_eq!(answer[0], b"ERROR");
                assert!(
                    said.contains("schema_violation") && said.contains("name"),
                    "{said}"
                );
            } else {
                assert_eq!((&answer[0][..], &answer[2][..]), (&b"REPLY"[..], asked));
            }
        }
        number += BATCH;
    }
    number
}

/// Answers with what was asked until told to end.
fn echo(worker: &zmq::Socket, done: &AtomicBool) {
    worker.set_rcvtimeo(100).unwrap();
    while !done.load(Ordering::SeqCst) {
        if let Ok(mut frames) = worker.recv_multipart(0) {
            frames[1] = b"REPLY".to_vec();
            worker.send_multipart(frames, 0).unwrap();
        }
    }
}

/// Tells the other threads to end, also when this one fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn not_one_answer_is_lost_or_wrong_while_everything_is_rewritten() {
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
    let (served, client_done, over) = (
        AtomicU64::new(0),
        AtomicBool::new(false),
        AtomicBool::new(false),
    );
    let mut flat = None;
    let started = Instant::now();
    std::thread::scope(|scope| {
        let (client, worker) = (gateway.dealer(), gateway.worker());
        let (served, client_done, over) = (&served, &client_done, &over);
        let worker_ends_with_this = Ends(over);
        let client_ends_with_this = Ends(client_done);
        scope.spawn(move || echo(&worker, over));
        for pool in 0..VANISHING {
            let worker = gateway.context.socket(zmq::DEALER).unwrap();
            worker.set_linger(0).unwrap();
            worker.connect(&editor.vanishing(pool)).unwrap();
            scope.spawn(move || echo(&worker, over));
        }
        let steady = scope
            .spawn(move || served.store(steady_client(&client, client_done), Ordering::SeqCst));
        // Its settings are those that the files start with, but for how long they must be at rest.
        editor.write_probe(1);
        editor.write_protos(1);
        editor.write(0, &editor.yaml(1));
        let until = patience();
        while !editor.holds(1) {
            assert!(Instant::now() < until, "edit 1 never took hold");
        }
        let mut holds = 1;
        for n in 2..edits + 2 {
            assert!(!steady.is_finished(), "the steady client ended at edit {n}");
            holds = editor.edit(n, holds);
            if n == edits / 3 + 2 {
                flat = Some(footprint());
            }
        }
        drop(client_ends_with_this);
        steady.join().unwrap();
        drop(worker_ends_with_this);
    });
    let (descriptors, kib) = footprint();
    let (descriptors_before, kib_before) = flat.unwrap();
    let served = served.into_inner();
    let (failed, took) = (FAILED.load(Ordering::SeqCst), started.elapsed());
    println!(
        "{edits} edits, {failed} reloads refused, {served} messages of the steady client in {took:?}; \
         after a third of them and at the end: descriptors {descriptors_before}, {descriptors}; \
         KiB {kib_before}, {kib}"
    );
    assert!(failed >= edits / 3, "{failed} reloads failed");
    assert!(served > 1_000, "{served}");
    assert!(
        descriptors <= descriptors_before + 10,
        "{descriptors} after {descriptors_before}"
    );
    // Each edit's route has a name and counters for good.
    let most = kib_before + 4_000 + edits as usize;
    assert!(kib <= most, "{kib} KiB after {kib_before}");
    let ledger = gateway.end();
    assert!(ledger.answered + ledger.rejected.iter().sum::<u64>() >= served);
    assert_eq!(ledger.client_gone + ledger.client_slow, 0);
}
