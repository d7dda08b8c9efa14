//! Tests of the time limits of handshakes and messages. These tests take as long as the limits, so
//! they should start before all others. They do, because libtest starts tests in the order of their
//! names.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::native::sealed::Secured;
use crate::support::attack::{CLIENTS, assert_bounded, yaml};
use crate::support::process::Process;
use crate::support::zmtp::{MORE, Raw, Received, greeting};

/// The time limits of 10 seconds for a handshake and 30 seconds for a message end a connection,
/// even though a byte arrives every second.
#[test]
fn slow_handshakes_and_slow_messages_are_disconnected() {
    let gateway = Process::start(&yaml(""));
    assert_bounded(&gateway, 20, || {
        let began = Instant::now();
        let mut strangers: Vec<Raw> = (0..20)
            .map(|_| Raw::connect(&gateway.endpoint(CLIENTS)))
            .collect();
        let mut incomplete: Vec<Raw> = (0..20)
            .map(|_| Raw::peer(&gateway.endpoint(CLIENTS), "DEALER"))
            .collect();
        let with_bytes = |raw: &Raw, bytes: Vec<u8>| (raw.stream.try_clone().unwrap(), bytes);
        let from_strangers = strangers
            .iter()
            .map(|raw| with_bytes(raw, greeting(1).to_vec()));
        let half = [&[MORE, 100][..], &[b'x'; 99]].concat();
        let from_incomplete = incomplete.iter().map(|raw| with_bytes(raw, half.clone()));
        let mut all: Vec<_> = from_strangers.chain(from_incomplete).collect();
        let sender = std::thread::spawn(move || {
            let (_sender, pause) = std::sync::mpsc::channel::<()>();
            for n in 0.. {
                // Connections that were closed, or have no bytes left to send, are removed.
                all.retain_mut(|(stream, bytes)| {
                    bytes
                        .get(n)
                        .is_some_and(|byte| stream.write_all(&[*byte]).is_ok())
                });
                if all.is_empty() {
                    break;
                }
                let _ = pause.recv_timeout(Duration::from_secs(1));
            }
        });
        for raw in &mut strangers {
            raw.receive_greeting();
            assert_eq!(raw.receive(), Received::End);
        }
        let duration = began.elapsed();
        let allowed = Duration::from_secs(10)..Duration::from_secs(20);
        assert!(allowed.contains(&duration), "{duration:?}");
        for raw in &mut incomplete {
            assert_eq!(raw.receive(), Received::End);
        }
        let duration = began.elapsed();
        let allowed = Duration::from_secs(30)..Duration::from_secs(45);
        assert!(allowed.contains(&duration), "{duration:?}");
        drop((strangers, incomplete));
        sender.join().unwrap();
    });
}

/// Peers stop after their greeting, in the middle of their HELLO, or after the gateway's WELCOME.
#[test]
fn stalled_handshakes_of_curve_are_disconnected() {
    let gateway = Secured::start();
    let hello = gateway.hello();
    let began = Instant::now();
    let held = [(64, 64), (hello.len() - 1, 64), (hello.len(), 64 + 170)].map(|(sent, size)| {
        let mut raw = Raw::connect(&gateway.endpoint());
        raw.send(&hello[..sent]);
        (raw, size)
    });
    for (mut raw, size) in held {
        let mut received = Vec::new();
        // The connection ends with a close or a reset.
        let _ = raw.stream.read_to_end(&mut received);
        assert_eq!(received.len(), size);
        let duration = began.elapsed();
        let allowed = Duration::from_secs(10)..Duration::from_secs(20);
        assert!(allowed.contains(&duration), "{duration:?}");
    }
    gateway.alice();
}
