//! Many at once, and slow ones: what each may take of the gateway's time and memory is bounded together, not only one
//! by one. What the native engine does.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::attack::{CLIENTS, IDLE, bounded, drain, is_refused, serves, yaml};
use crate::support::process::Process;
use crate::support::turns;
use crate::support::zmtp::{LONG, MORE, Raw, Said, command, frame, greeting, message, ready};

/// A crowd that floods is taken in by turns, each of which is the smaller the more there are.
#[test]
fn a_quiet_peer_waits_for_little_of_what_a_crowd_says() {
    let gateway = Process::start(
        r#"
engine: native
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { idle: { bind: "tcp://127.0.0.1:0", queue: 1000000, per_worker: 1000 } }
routes: { OTHER: { pool: idle } }
"#,
    );
    let mut crowd: Vec<_> = (0..200)
        .map(|_| Raw::peer(&gateway.endpoint(CLIENTS), "DEALER"))
        .collect();
    let mut quiet = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let flood = message(&["OTHER", ""]).repeat(700);
    // All are there when it looks, the crowd first.
    gateway.signal("STOP");
    for raw in &mut crowd {
        raw.say(&flood);
    }
    quiet.say(&message(&["OTHER", "quiet"]));
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
    println!("{before} of {} before the quiet one's", 200 * 700);
    assert!(before <= 10_000, "{before} before the quiet one's");
}

/// What they have read of them and not taken in is little each, and nobody else is held up.
#[test]
fn a_crowd_that_floods_without_end_holds_up_nobody() {
    let _turn = turns::take();
    let gateway = Process::start(&yaml(""));
    let done = Arc::new(AtomicBool::new(false));
    bounded(&gateway, 64, || {
        let crowds: Vec<_> = (0..3)
            .map(|_| {
                let mut crowd: Vec<_> = (0..100)
                    .map(|_| Raw::peer(&gateway.endpoint(CLIENTS), "DEALER"))
                    .collect();
                for raw in &mut crowd {
                    raw.stream.set_nonblocking(true).unwrap();
                }
                let done = Arc::clone(&done);
                std::thread::spawn(move || {
                    let tiny = [0, 0].repeat(1 << 14);
                    // Streams of frames of nothing mean the same wherever they go on.
                    let mut half = vec![false; crowd.len()];
                    while !done.load(Ordering::Relaxed) {
                        for (raw, half) in crowd.iter_mut().zip(&mut half) {
                            match raw.stream.write(&tiny[usize::from(*half)..]) {
                                Ok(n) => *half ^= n % 2 == 1,
                                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                            }
                        }
                    }
                })
            })
            .collect();
        // Others are served all the time.
        let began = Instant::now();
        let mut other = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
        let mut times = Vec::new();
        while began.elapsed() < Duration::from_secs(3) {
            let asked = Instant::now();
            other.say(&message(&["NONE", "x"]));
            assert_eq!(other.hear_message()[0], b"ERROR");
            times.push(asked.elapsed());
        }
        done.store(true, Ordering::Relaxed);
        for crowd in crowds {
            crowd.join().unwrap();
        }
        times.sort_unstable();
        let median = times[times.len() / 2];
        println!("{} round trips, median {median:?}", times.len());
        assert!(median < Duration::from_millis(500), "{median:?}");
    });
}

/// Requests that are in order, as many as go through, by the limits that a gateway has if nobody sets any: to a pool of
/// their own; and to the pool that the honest are served by too, where one client may leave no place in the queue.
#[test]
fn a_flood_of_valid_requests_holds_up_nobody() {
    for kind in ["OTHER", "OPAQUE"] {
        flood(&Process::start(&yaml("")), kind);
    }
}

fn flood(gateway: &Process, kind: &str) {
    bounded(gateway, 100, || {
        let mut flood = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
        let drained = drain(&flood);
        let valid = message(&[kind, "id", "a payload"]).repeat(1_000);
        for _ in 0..50 {
            flood.say(&valid);
        }
        // All of it is taken in once that is answered.
        is_refused(gateway);
        flood.stream.shutdown(std::net::Shutdown::Both).unwrap();
        drained.join().unwrap();
    });
}

/// Each is within its bounds; all of them together would be 600 MiB.
#[test]
fn half_messages_of_all_peers_together_are_bounded() {
    let gateway = Process::start(&yaml(""));
    let held = bounded(&gateway, 420, || {
        let mut held = Vec::new();
        let part = vec![0; 15 << 20];
        for _ in 0..40 {
            let mut raw = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
            raw.say(&frame(MORE, b"OPAQUE"));
            raw.say(&[LONG]);
            raw.say(&(16_u64 << 20).to_be_bytes());
            raw.try_say(&part);
            held.push(raw);
        }
        // One that goes on comes through, however large.
        let mut honest = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
        honest.say(&message(&[b"OPAQUE", &b"large"[..], &part]));
        assert_eq!(
            honest.hear_message()[..2],
            [b"REPLY".to_vec(), b"large".to_vec()]
        );
        is_refused(&gateway);
        held
    });
    drop(held);
    serves(&gateway);
}

/// Others send most of theirs at once and stop; an upload that goes on all the while, more slowly than they came, is
/// not what has to go.
#[test]
fn a_slow_upload_is_not_given_up_for_those_that_stop() {
    let gateway = Process::start(&yaml(""));
    bounded(&gateway, 420, || {
        let large = vec![0; 10 << 20];
        let upload = message(&[b"OPAQUE", &b"slow"[..], &large]);
        let (begun, mut rest) = upload.split_at(4 << 20);
        let mut slow = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
        slow.say(begun);
        let part = vec![0; 15 << 20];
        let mut held = Vec::new();
        for _ in 0..25 {
            let mut raw = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
            raw.say(&frame(MORE, b"OPAQUE"));
            raw.say(&[LONG]);
            raw.say(&(16_u64 << 20).to_be_bytes());
            raw.try_say(&part);
            held.push(raw);
            let (more, left) = rest.split_at(128 << 10);
            slow.say(more);
            rest = left;
        }
        slow.say(rest);
        assert_eq!(
            slow.hear_message()[..2],
            [b"REPLY".to_vec(), b"slow".to_vec()]
        );
    });
}

/// Both bounds of time, seen from outside: who doesn't say what it is, and whose message doesn't come. A byte now and then
/// makes neither any faster.
#[test]
fn slow_handshakes_and_slow_messages_are_disconnected() {
    let gateway = Process::start(&yaml(""));
    bounded(&gateway, 20, || {
        let began = Instant::now();
        let mut strangers: Vec<Raw> = (0..20)
            .map(|_| Raw::connect(&gateway.endpoint(CLIENTS)))
            .collect();
        let mut halves: Vec<Raw> = (0..20)
            .map(|_| Raw::peer(&gateway.endpoint(CLIENTS), "DEALER"))
            .collect();
        let drips = |raw: &Raw, bytes: Vec<u8>| (raw.stream.try_clone().unwrap(), bytes);
        let of_strangers = strangers.iter().map(|raw| drips(raw, greeting(1).to_vec()));
        let half = [&[MORE, 100][..], &[b'x'; 99]].concat();
        let of_halves = halves.iter().map(|raw| drips(raw, half.clone()));
        let mut all: Vec<_> = of_strangers.chain(of_halves).collect();
        let dripping = std::thread::spawn(move || {
            let (_never, moment) = std::sync::mpsc::channel::<()>();
            for n in 0.. {
                // Those that were hung up on drop out.
                all.retain_mut(|(stream, bytes)| {
                    bytes
                        .get(n)
                        .is_some_and(|byte| stream.write_all(&[*byte]).is_ok())
                });
                if all.is_empty() {
                    break;
                }
                let _ = moment.recv_timeout(Duration::from_secs(1));
            }
        });
        for raw in &mut strangers {
            raw.hear_greeting();
            assert_eq!(raw.hear(), Said::End);
        }
        let took = began.elapsed();
        let allowed = Duration::from_secs(10)..Duration::from_secs(20);
        assert!(allowed.contains(&took), "{took:?}");
        for raw in &mut halves {
            assert_eq!(raw.hear(), Said::End);
        }
        let took = began.elapsed();
        let allowed = Duration::from_secs(30)..Duration::from_secs(45);
        assert!(allowed.contains(&took), "{took:?}");
        drop((strangers, halves));
        dripping.join().unwrap();
    });
}

/// Thousands at once are all let in: none has lingered, so none has to make way.
#[test]
fn honest_newcomers_are_never_cut() {
    let _turn = turns::take();
    let gateway = Process::start(&yaml(""));
    let count = 4_300;
    let mut crowd: Vec<_> = (0..count)
        .map(|_| Raw::connect(&gateway.endpoint(CLIENTS)))
        .collect();
    for raw in &mut crowd {
        raw.say(&greeting(1));
        raw.say(&command(&ready("DEALER", &[])));
    }
    for raw in &mut crowd {
        raw.hear_greeting();
        assert!(matches!(raw.hear(), Said::Command(_)));
    }
}
