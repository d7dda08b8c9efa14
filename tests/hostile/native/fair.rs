//! Tests of many hostile peers at once, and of slow peers: the time and the memory that they take
//! together are bounded. These bounds hold for engine native.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::attack::{
    CLIENTS, IDLE, assert_bounded, assert_serves, await_rejection, drain, yaml,
};
use crate::support::process::Process;
use crate::support::turns;
use crate::support::zmtp::{LONG, MORE, Raw, Received, command, frame, greeting, message, ready};

/// The gateway reads from flooding peers in turns. The more peers there are, the shorter the turns.
#[test]
fn a_quiet_peer_waits_for_a_small_part_of_a_flood() {
    let gateway = Process::start(
        r#"
engine: native
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { idle: { bind: "tcp://127.0.0.1:0", queue: 1000000, per_worker: 1000 } }
routes: { OTHER: { pool: idle } }
"#,
    );
    let mut flooders: Vec<_> = (0..200)
        .map(|_| Raw::peer(&gateway.endpoint(CLIENTS), "DEALER"))
        .collect();
    let mut quiet = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let flood = message(&["OTHER", ""]).repeat(700);
    // All bytes arrive while the gateway is stopped. The bytes of the flooding peers arrive first.
    gateway.signal("STOP");
    for raw in &mut flooders {
        raw.send(&flood);
    }
    quiet.send(&message(&["OTHER", "quiet"]));
    gateway.signal("CONT");
    let context = zmq::Context::new();
    let worker = gateway.peer(&context, zmq::DEALER, IDLE);
    let before = (0..).find(|_| {
        let mut frames = worker.recv_multipart(0).unwrap();
        let found = frames[2] == b"quiet";
        frames[1] = b"REPLY".to_vec();
        worker.send_multipart(frames, 0).unwrap();
        found
    });
    let before = before.unwrap();
    println!("{before} of {} requests before the quiet peer's", 200 * 700);
    assert!(
        before <= 10_000,
        "{before} requests before the quiet peer's"
    );
}

/// The gateway buffers only few of the bytes that flooding peers send, and delays no other peer.
#[test]
fn an_endless_flood_from_many_peers_delays_no_other_peer() {
    let _turn = turns::take();
    let gateway = Process::start(&yaml(""));
    let done = Arc::new(AtomicBool::new(false));
    assert_bounded(&gateway, 64, || {
        let crowds = [(); 3].map(|()| {
            let crowd = (0..100).map(|_| {
                let raw = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
                raw.stream.set_nonblocking(true).unwrap();
                raw
            });
            crowd.collect::<Vec<_>>()
        });
        // All flooders connect before the flood, because each handshake would wait for its turn.
        let flooding: Vec<_> = crowds
            .into_iter()
            .map(|mut flooders| {
                let done = Arc::clone(&done);
                std::thread::spawn(move || {
                    let tiny = [0, 0].repeat(1 << 14);
                    // A write may end within an empty frame. The next write then completes it.
                    let mut half = vec![false; flooders.len()];
                    while !done.load(Ordering::Relaxed) {
                        for (raw, half) in flooders.iter_mut().zip(&mut half) {
                            match raw.stream.write(&tiny[usize::from(*half)..]) {
                                Ok(n) => *half ^= n % 2 == 1,
                                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                            }
                        }
                    }
                })
            })
            .collect();
        // Other peers are served all the time.
        let began = Instant::now();
        let mut other = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
        let mut times = Vec::new();
        while began.elapsed() < Duration::from_secs(3) {
            let asked = Instant::now();
            other.send(&message(&["NONE", "x"]));
            assert_eq!(other.receive_message()[0], b"ERROR");
            times.push(asked.elapsed());
        }
        done.store(true, Ordering::Relaxed);
        for flooders in flooding {
            flooders.join().unwrap();
        }
        times.sort_unstable();
        let median = times[times.len() / 2];
        println!("{} round trips, median {median:?}", times.len());
        assert!(median < Duration::from_millis(500), "{median:?}");
    });
}

/// The requests are valid, and as many as the default limits allow. The first flood is for a pool
/// that only this client uses. The second flood is for the pool that also serves the honest peers,
/// and may fill the queue of this pool.
#[test]
fn a_flood_of_valid_requests_delays_no_other_peer() {
    for kind in ["OTHER", "OPAQUE"] {
        flood(&Process::start(&yaml("")), kind);
    }
}

fn flood(gateway: &Process, kind: &str) {
    assert_bounded(gateway, 100, || {
        let mut flood = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
        let draining = drain(&flood);
        let valid = message(&[kind, "id", "a payload"]).repeat(1_000);
        for _ in 0..50 {
            flood.send(&valid);
        }
        // When this request is rejected, the gateway has read all earlier bytes.
        await_rejection(gateway);
        flood.stream.shutdown(std::net::Shutdown::Both).unwrap();
        draining.join().unwrap();
    });
}

/// Each incomplete message is within its limits, but all of them together would take 600 MiB.
#[test]
fn incomplete_messages_of_all_peers_together_are_bounded() {
    let gateway = Process::start(&yaml(""));
    let held = assert_bounded(&gateway, 420, || {
        let mut held = Vec::new();
        let part = vec![0; 15 << 20];
        for _ in 0..40 {
            let mut raw = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
            raw.send(&frame(MORE, b"OPAQUE"));
            raw.send(&[LONG]);
            raw.send(&(16_u64 << 20).to_be_bytes());
            raw.try_send(&part);
            held.push(raw);
        }
        // A large message is received nevertheless, because its bytes keep arriving.
        let mut honest = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
        honest.send(&message(&[&b"OPAQUE"[..], &b"large"[..], &part]));
        assert_eq!(
            honest.receive_message()[..2],
            [b"REPLY".to_vec(), b"large".to_vec()]
        );
        await_rejection(&gateway);
        held
    });
    drop(held);
    assert_serves(&gateway);
}

/// Hostile peers send most of a message at once, and then stop. A slow upload that continues is not
/// dropped.
#[test]
fn a_slow_upload_is_kept_while_stalled_messages_are_dropped() {
    let gateway = Process::start(&yaml(""));
    assert_bounded(&gateway, 420, || {
        let large = vec![0; 10 << 20];
        let upload = message(&[&b"OPAQUE"[..], &b"slow"[..], &large]);
        let (begun, mut rest) = upload.split_at(4 << 20);
        let mut slow = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
        slow.send(begun);
        let part = vec![0; 15 << 20];
        let mut held = Vec::new();
        for _ in 0..25 {
            let mut raw = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
            raw.send(&frame(MORE, b"OPAQUE"));
            raw.send(&[LONG]);
            raw.send(&(16_u64 << 20).to_be_bytes());
            raw.try_send(&part);
            held.push(raw);
            let (more, left) = rest.split_at(128 << 10);
            slow.send(more);
            rest = left;
        }
        slow.send(rest);
        assert_eq!(
            slow.receive_message()[..2],
            [b"REPLY".to_vec(), b"slow".to_vec()]
        );
    });
}

/// Thousands of handshakes may be in progress at once, if none of them takes long.
#[test]
fn handshakes_of_honest_peers_are_never_ended() {
    let _turn = turns::take();
    let gateway = Process::start(&yaml(""));
    let count = 4_300;
    let mut flooders: Vec<_> = (0..count)
        .map(|_| Raw::connect(&gateway.endpoint(CLIENTS)))
        .collect();
    for raw in &mut flooders {
        raw.send(&greeting(1));
        raw.send(&command(&ready("DEALER", &[])));
    }
    for raw in &mut flooders {
        raw.receive_greeting();
        assert!(matches!(raw.receive(), Received::Command(_)));
    }
}
