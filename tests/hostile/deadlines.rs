//! Tests of the time limits of handshakes and messages. The tests take as long as these limits, so
//! they start first and run in parallel to the others: libtest starts tests in the order of their
//! names.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::support::attack::{CLIENTS, bounded, yaml};
use crate::support::process::Process;
use crate::support::zmtp::{MORE, Raw, Said, greeting};

/// Both time limits, 10 seconds for a handshake and 30 for a message, end a connection although a
/// byte arrives every second.
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
                // Connections that were closed, or have no bytes left to send, are removed.
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
