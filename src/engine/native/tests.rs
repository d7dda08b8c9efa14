//! The engine's turns, one by one, with peers over real sockets.

use std::io::Write;
use std::net::TcpStream;

use super::*;
use crate::core::Outlet;
use crate::engine::Listening;
use gateway_zmtp::{COMMAND, MORE, greeting, put_frame};

/// A peer of this type that has said so.
fn peer(listening: &[Listening], name: &str, ready: &[u8]) -> TcpStream {
    let at = listening.iter().find(|at| at.name == name).unwrap();
    let mut stream = TcpStream::connect(at.endpoint.strip_prefix("tcp://").unwrap()).unwrap();
    let mut bytes = greeting::OURS.to_vec();
    put_frame(&mut bytes, COMMAND, ready);
    stream.write_all(&bytes).unwrap();
    stream
}

#[test]
fn a_turn_reads_the_clock_twice_however_many_messages_it_takes_in() {
    let directory = tempfile::tempdir().unwrap();
    let routes = directory.path().join("routes.yaml");
    let text = "frontends: { clients: { bind: \"tcp://127.0.0.1:0\" } }
pools: { people: { bind: \"tcp://127.0.0.1:0\", per_worker: 1000 } }
routes: { OPAQUE: { pool: people } }";
    std::fs::write(&routes, text).unwrap();
    let loaded = crate::config::load(&routes).unwrap_or_else(|found| panic!("{found}"));
    let (start, reloader, _observer) = prepare(Arc::new(loaded.snapshot)).unwrap();
    let listening = reloader.prepare(&start.snapshot).unwrap();
    let mut native = Native::new(start).unwrap();
    native.commit(Duration::ZERO);
    let mut events = Events::with_capacity(EVENTS);
    let ready = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER";
    let mut client = peer(&listening, "clients", ready);
    let _worker = peer(&listening, "people", ready);
    while native
        .service
        .peers
        .all()
        .filter(|it| it.is_known())
        .count()
        < 2
    {
        native.turn(&mut events).unwrap();
    }
    let mut requests = Vec::new();
    for _ in 0..WORK_UNTIMED / 2 {
        put_frame(&mut requests, MORE, b"OPAQUE");
        put_frame(&mut requests, 0, b"x");
    }
    client.write_all(&requests).unwrap();
    let counts = |native: &Native| {
        let counters = native.service.peers.counters();
        (
            counters.messages_in,
            counters.turns,
            native.clock.readings(),
        )
    };
    let before = counts(&native);
    while counts(&native).0 - before.0 < WORK_UNTIMED as u64 / 2 {
        native.turn(&mut events).unwrap();
    }
    let after = counts(&native);
    let (turns, readings) = (after.1 - before.1, after.2 - before.2);
    assert_eq!(readings, 2 * turns);
    // A few at most, so that a reading a message would show.
    assert!(turns < WORK_UNTIMED as u64 / 8, "{turns} turns");
}
