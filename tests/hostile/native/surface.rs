//! Tests of hostile peers against the real binary: its memory stays bounded, and other peers are
//! served meanwhile. These bounds hold for engine native, but not for engine libzmq.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use crate::support::attack::{
    CLIENTS, IDLE, PEOPLE, Service, assert_bounded, assert_serves, await_rejection, drain, yaml,
};
use crate::support::process::Process;
use crate::support::zmtp::{
    COMMAND, LONG, MORE, Raw, Received, command, frame, greeting, message, ping, ready,
};
use crate::support::{TEST_TIMEOUT, turns};

#[test]
fn handshakes_that_never_end_block_no_other_peer() {
    let _turn = turns::take();
    let gateway = Process::start(&yaml(""));
    let began = Instant::now();
    let mut held = assert_bounded(&gateway, 32, || {
        let mut held = Vec::new();
        for n in 0..5_000 {
            let mut raw = Raw::connect(&gateway.endpoint(CLIENTS));
            match n % 3 {
                0 => {}
                1 => drop(raw.try_send(&greeting(1)[..30])),
                _ => drop(raw.try_send(&greeting(1))),
            }
            held.push(raw);
        }
        held
    });
    // The oldest connection is closed while the other connections are open, long before the
    // deadline of its handshake. It may not have received the whole greeting.
    let end = held[0].stream.read_to_end(&mut Vec::new());
    end.expect("the end of the connection");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    let (_, descriptors) = gateway.memory_and_descriptors();
    assert!(descriptors < 4_096 + 100, "{descriptors} descriptors");
    assert_serves(&gateway);
}

#[test]
fn endless_frames_cost_no_memory() {
    let gateway = Process::start(&yaml(""));
    assert_bounded(&gateway, 48, || {
        for body in [&b""[..], b"x", &[0; 1_000], &[0; 300_000]] {
            let mut raw = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
            let frames = frame(MORE, body).repeat(100_000 / (body.len() + 2) + 1);
            let mut sent = 0;
            while sent < 64 << 20 {
                raw.send(&frames);
                // Small frames take longer per byte, so their bytes count tenfold.
                sent += frames.len() * if body.len() < 100 { 10 } else { 1 };
            }
            raw.send(&frame(0, b""));
            assert!(raw.receive_message().contains(&b"ERROR".to_vec()));
        }
    });
}

#[test]
fn announced_bytes_that_never_arrive_cost_no_memory() {
    let _turn = turns::take();
    let gateway = Process::start(&yaml(""));
    assert_bounded(&gateway, 24, || {
        let mut held = Vec::new();
        for _ in 0..1_000 {
            let mut raw = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
            let mut half = frame(MORE, b"OPAQUE");
            half.push(LONG);
            half.extend_from_slice(&(16_u64 << 20).to_be_bytes());
            half.push(0);
            raw.send(&half);
            held.push(raw);
        }
        await_rejection(&gateway);
        held
    });
}

/// Each request arrives in the same read as 40 KB of another message. A queued request must not
/// keep the other message in memory.
#[test]
fn queued_requests_cost_only_their_own_bytes() {
    let pool = r#"
engine: native
admin: { bind: "127.0.0.1:0" }
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { idle: { bind: "tcp://127.0.0.1:0", queue: 10000 } }
routes: { OTHER: { pool: idle, timeout: none } }
"#;
    let gateway = Process::start(pool);
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let unknown = message(&["NONE", &"x".repeat(40_000)]);
    let request = message(&["OTHER", &"y".repeat(100)]);
    let both = [unknown, request].concat();
    let (before, _) = gateway.memory_and_descriptors();
    for _ in 0..2_000 {
        client.send(&both);
        assert_eq!(client.receive_message()[0], b"ERROR");
    }
    let (after, _) = gateway.memory_and_descriptors();
    let grown = after.saturating_sub(before) >> 10;
    println!("memory grew by {grown} MiB");
    let waiting = gateway.metrics().sum("gateway_pool_queue_length", &[]);
    assert_eq!(waiting, 2_000.0);
    assert!(grown < 16, "memory grew by {grown} MiB");
}

#[test]
fn incomplete_messages_cost_only_the_bytes_that_have_arrived() {
    let gateway = Process::start(&yaml(""));
    let held = assert_bounded(&gateway, 100, || {
        let mut held = Vec::new();
        for _ in 0..50 {
            let mut raw = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
            raw.send(&frame(MORE, b"OPAQUE"));
            raw.send(&[LONG]);
            raw.send(&(16_u64 << 20).to_be_bytes());
            raw.send(&vec![0; 1 << 20]);
            held.push(raw);
        }
        await_rejection(&gateway);
        held
    });
    // The memory after the peers have disconnected is printed, but not bounded.
    let (before, _) = gateway.memory_and_descriptors();
    drop(held);
    let deadline = Instant::now() + TEST_TIMEOUT;
    while gateway.memory_and_descriptors().1 > 40 {
        assert!(Instant::now() < deadline, "connections are still open");
    }
    let (after, _) = gateway.memory_and_descriptors();
    println!("{before} KiB, then {after} KiB");
    assert_serves(&gateway);
}

/// When a peer disconnected, libzmq up to 4.3.2 never freed the frames of its incomplete message
/// (CVE-2021-20234). In this test, each peer connects after the gateway has disconnected the
/// previous peer.
#[test]
fn incomplete_messages_of_peers_that_disconnect_hold_no_memory() {
    let gateway = Process::start(&yaml(""));
    let part = vec![0; 512 << 10];
    assert_bounded(&gateway, 64, || {
        for _ in 0..250 {
            let mut raw = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
            raw.send(&frame(MORE, b"OPAQUE"));
            raw.send(&frame(MORE, &part));
            raw.send(&[LONG]);
            raw.send(&(8_u64 << 20).to_be_bytes());
            raw.send(&part);
            raw.stream.shutdown(std::net::Shutdown::Write).unwrap();
            while raw.receive() != Received::End {}
        }
    });
}

/// A small message that never becomes complete must not keep the memory of a large request.
#[test]
fn incomplete_messages_hold_no_memory_of_complete_messages() {
    let gateway = Process::start(&yaml(""));
    let context = zmq::Context::new();
    let worker = gateway.peer(&context, zmq::DEALER, IDLE);
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let large = vec![7; 15 << 20];
    let round_trip = |client: &mut Raw| {
        client.send(&frame(MORE, b"OTHER"));
        client.send(&[LONG]);
        client.send(&(large.len() as u64).to_be_bytes());
        client.send(&large);
        let token = worker.recv_multipart(0).unwrap().swap_remove(0);
        let answer = [&token[..], b"REPLY", b""];
        worker.send_multipart(answer, 0).unwrap();
        assert_eq!(client.receive_message(), [&b"REPLY"[..], b""]);
    };
    round_trip(&mut client);
    assert_bounded(&gateway, 40, || {
        let mut held = Vec::new();
        for _ in 0..10 {
            let mut raw = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
            raw.send(&frame(MORE, b"OTHER"));
            raw.send(&[LONG]);
            raw.send(&(40_u64 << 10).to_be_bytes());
            raw.send(&[0]);
            held.push(raw);
            round_trip(&mut client);
        }
        held
    });
}

/// A frame that a peer may not send after READY ends the connection and costs no memory, however
/// often it is sent.
#[test]
fn invalid_frames_after_ready_cost_no_memory() {
    let gateway = Process::start(&yaml(""));
    let mut huge = vec![COMMAND | LONG];
    huge.extend_from_slice(&(1_u64 << 62).to_be_bytes());
    let again = command(&ready("DEALER", &[("Identity", &[7; 255])]));
    let unknown = command(&[b"\x09SUBSCRIBE", &[7; 8_000][..]].concat());
    assert_bounded(&gateway, 24, || {
        for name in [CLIENTS, IDLE] {
            for nonsense in [&[0x80][..], &[COMMAND | MORE, 0], &again, &huge] {
                for _ in 0..200 {
                    let mut raw = Raw::peer(&gateway.endpoint(name), "DEALER");
                    raw.try_send(nonsense);
                    // The gateway does not read the bytes after the invalid frame.
                    raw.try_send(&message(&["OTHER", &"x".repeat(60_000)]));
                    raw.receive_error();
                }
            }
            // An unknown command is ignored, and does not end the connection.
            let mut raw = Raw::peer(&gateway.endpoint(name), "DEALER");
            for _ in 0..2_000 {
                raw.send(&unknown);
            }
            raw.send(&ping(0, b"x"));
            assert_eq!(raw.receive(), Received::Command(b"\x04PONGx".to_vec()));
        }
    });
}

#[test]
fn bytes_that_arrive_one_by_one_delay_no_other_peer() {
    let gateway = Process::start(&yaml(""));
    assert_bounded(&gateway, 16, || {
        let endpoint = gateway.endpoint(CLIENTS);
        let drips: Vec<_> = (0..4)
            .map(|_| {
                let mut raw = Raw::peer(&endpoint, "DEALER");
                std::thread::spawn(move || {
                    let request = message(&["OPAQUE", "id", &"x".repeat(300)]);
                    for _ in 0..20 {
                        for byte in &request {
                            raw.send(&[*byte]);
                        }
                        assert_eq!(raw.receive_message()[1], b"id");
                    }
                })
            })
            .collect();
        for drip in drips {
            drip.join().unwrap();
        }
    });
}

#[test]
fn connections_that_open_and_close_leave_no_memory_in_use() {
    let gateway = Process::start(&yaml(""));
    assert_serves(&gateway);
    let (_, before) = gateway.memory_and_descriptors();
    assert_bounded(&gateway, 24, || {
        let ready = command(&ready("DEALER", &[]));
        for n in 0..6_000 {
            let mut raw = Raw::connect(&gateway.endpoint(CLIENTS));
            match n % 4 {
                0 => {}
                1 => drop(raw.try_send(b"GET / HTTP/1.1\r\n\r\n")),
                2 => drop(raw.try_send(&[&greeting(1)[..], &ready].concat())),
                _ => drop(raw.try_send(&[&greeting(1)[..], &ready, &ping(9_999, b"")].concat())),
            }
        }
    });
    let deadline = Instant::now() + TEST_TIMEOUT;
    while gateway.memory_and_descriptors().1 > before + 2 {
        assert!(Instant::now() < deadline, "descriptors are still open");
    }
}

/// Each PING has a slightly shorter TTL than the previous PING.
#[test]
fn pings_with_all_kinds_of_ttl_leave_no_memory_in_use() {
    let gateway = Process::start(&yaml(""));
    assert_bounded(&gateway, 16, || {
        let pings: Vec<u8> = (1..=u16::MAX)
            .rev()
            .flat_map(|ttl| ping(ttl, b""))
            .collect();
        for _ in 0..20 {
            let mut raw = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
            let drained = drain(&raw);
            raw.send(&pings);
            raw.stream.shutdown(std::net::Shutdown::Write).unwrap();
            drained.join().unwrap();
        }
    });
}

#[test]
fn pings_of_a_peer_that_does_not_read_cost_no_memory() {
    let gateway = Process::start(&yaml("limits: { client_bytes: 16MiB }"));
    for name in [CLIENTS, IDLE] {
        assert_bounded(&gateway, 16, || {
            let mut raw = Raw::peer(&gateway.endpoint(name), "DEALER");
            let pings = ping(0, &[7; 16]).repeat(10_000);
            for _ in 0..200 {
                // The gateway reads every PING, but does not answer all of them.
                raw.send(&pings);
            }
            raw
        });
    }
}

/// The messages are as small and as many as possible, and several peers send at once.
#[test]
fn floods_of_tiny_messages_delay_no_other_peer() {
    let gateway = Process::start(&yaml(
        "limits: { client_bytes: 1MiB, client_requests: 100 }",
    ));
    assert_bounded(&gateway, 48, || {
        let endpoint = gateway.endpoint(CLIENTS);
        let floods: Vec<_> = (0..4)
            .map(|_| {
                let mut raw = Raw::peer(&endpoint, "DEALER");
                std::thread::spawn(move || {
                    let drained = drain(&raw);
                    let tiny = [0, 0].repeat(1 << 15);
                    for _ in 0..10 {
                        raw.send(&tiny);
                    }
                    raw.stream.shutdown(std::net::Shutdown::Both).unwrap();
                    drained.join().unwrap();
                })
            })
            .collect();
        for flood in floods {
            flood.join().unwrap();
        }
    });
}

/// A single read returns more small requests than the gateway processes in one turn.
#[test]
fn a_flood_is_read_in_turns() {
    let gateway = Process::start(&yaml(""));
    let mut flood = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut other = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let tiny = message(&["OTHER", ""]);
    let count = (32 << 10) / tiny.len();
    // The bytes of both peers arrive while the gateway is stopped. The bytes of the flood arrive
    // first.
    gateway.signal("STOP");
    flood.send(&tiny.repeat(count));
    other.send(&message(&["OTHER", "other"]));
    gateway.signal("CONT");
    let context = zmq::Context::new();
    let worker = gateway.peer(&context, zmq::DEALER, IDLE);
    let before = (0..).find(|_| {
        let mut frames = worker.recv_multipart(0).unwrap();
        let found = frames[2] == b"other";
        frames[1] = b"REPLY".to_vec();
        worker.send_multipart(frames, 0).unwrap();
        found
    });
    let before = before.unwrap();
    println!("{before} of {count} requests before the other peer's");
    assert!(before <= 1_100, "{before} of {count} requests");
}

/// While the gateway itself is paused, its peers seem silent, but must not be disconnected.
#[test]
fn a_gateway_that_was_paused_loses_no_worker() {
    let _turn = turns::take();
    let pools = r#"{ people: { bind: "tcp://127.0.0.1:0", heartbeat: 200ms } }"#;
    let gateway = Process::start(&format!(
        r#"
engine: native
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0" }} }}
pools: {pools}
routes: {{ OPAQUE: {{ pool: people }} }}
"#
    ));
    // There are more connections than one poll of the gateway can report.
    let mut clients: Vec<_> = (0..1_200)
        .map(|_| Raw::peer(&gateway.endpoint(CLIENTS), "DEALER"))
        .collect();
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    assert_eq!(
        worker.receive(),
        Received::Command(b"\x04PING\0\0".to_vec())
    );
    gateway.signal("STOP");
    let stopped = Instant::now();
    for raw in &mut clients {
        raw.send(&ping(0, b""));
    }
    worker.send(&command(b"\x04PONG"));
    while stopped.elapsed() < Duration::from_millis(700) {
        std::thread::yield_now();
    }
    gateway.signal("CONT");
    clients[0].send(&message(&["OPAQUE", "x"]));
    loop {
        match worker.receive() {
            Received::Command(_) => worker.send(&command(b"\x04PONG")),
            Received::Message(frames) => break assert_eq!(frames[1], b"OPAQUE"),
            Received::End => panic!("the worker was disconnected"),
        }
    }
}

/// The gateway stops reading from a client that does not read its answers. The client's writes then
/// block, and no other peer is affected.
#[test]
fn a_client_that_does_not_read_is_not_read() {
    let gateway = Process::start(&yaml("limits: { client_bytes: 1MiB }"));
    assert_bounded(&gateway, 24, || {
        let mut raw = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
        raw.stream
            .set_write_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        let request = message(&["OPAQUE", &"x".repeat(10_000)]);
        let mut sent = 0_u64;
        // The system and the gateway hold a few MiB for this client.
        while sent < 1 << 30 {
            match raw.stream.write(&request) {
                Ok(n) => sent += n as u64,
                Err(error) => {
                    let blocked = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                    assert!(blocked.contains(&error.kind()), "{error}");
                    break;
                }
            }
        }
        println!("the client could send {} MiB", sent >> 20);
        assert!(sent < 200 << 20, "the gateway continues to read");
        raw
    });
}

/// When a client stops reading, its answers are queued up to `limits.client_bytes`, and further
/// answers are dropped and counted. Meanwhile the gateway does not read the client's requests, and
/// serves other peers. No request and no other answer is lost.
#[test]
fn answers_are_queued_for_a_client_up_to_its_bound() {
    const ANSWERS: usize = 500;
    const PAYLOAD: usize = 100_000;
    let bound = (4 << 20) as f64;
    let gateway = Process::start(&yaml(
        "limits: { client_bytes: 4MiB }\nadmin: { bind: \"127.0.0.1:0\" }",
    ));
    let mut slow_reader = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let context = zmq::Context::new();
    let worker = gateway.peer(&context, zmq::DEALER, IDLE);
    let answer = |payload: &[u8]| {
        let token = worker.recv_multipart(0).unwrap().swap_remove(0);
        worker
            .send_multipart([&token[..], b"REPLY", payload], 0)
            .unwrap();
    };
    // The gateway reads all these requests at once, because no answer is queued yet.
    slow_reader.send(&message(&["OTHER", "x"]).repeat(ANSWERS));
    let large = vec![7; PAYLOAD];
    for _ in 0..ANSWERS {
        answer(&large);
    }
    let metrics = gateway.await_metrics("every answer", |metrics| {
        metrics.sum("gateway_engine_messages_total", &["direction=\"in\""]) >= 2.0 * ANSWERS as f64
    });
    let unsent = metrics.sum("gateway_engine_unsent_bytes", &[]);
    println!("{unsent} bytes are queued");
    assert!(
        unsent <= bound && unsent > bound - 2.0 * PAYLOAD as f64,
        "{unsent} bytes are queued"
    );
    let other = ["route=\"OTHER\""];
    let slow = ["route=\"OTHER\"", "outcome=\"client_slow\""];
    let dropped = metrics.sum("gateway_requests_total", &slow) as usize;
    assert!((1..ANSWERS).contains(&dropped), "{dropped}");
    // The client continues to send. The gateway does not read its requests, but reads the requests
    // of other clients.
    slow_reader.send(&message(&["OTHER", "more"]).repeat(10));
    let metrics = gateway.await_metrics("the pause", |metrics| {
        metrics.sum("gateway_engine_paused_peers", &[]) == 1.0
    });
    metrics.assert_balanced();
    assert_serves(&gateway);
    let received = gateway.metrics().sum("gateway_received_total", &other);
    assert_eq!(received, ANSWERS as f64, "the gateway has read a request");
    // The client reads again. The queued answers arrive, and the requests that the client sent
    // meanwhile are served.
    for _ in 0..ANSWERS - dropped {
        assert_eq!(slow_reader.receive_message(), [&b"REPLY"[..], &large]);
    }
    for _ in 0..10 {
        answer(b"y");
        assert_eq!(slow_reader.receive_message(), [&b"REPLY"[..], b"y"]);
    }
    let metrics = gateway.metrics();
    assert_eq!(
        metrics.sum("gateway_requests_total", &slow) as usize,
        dropped
    );
    for gauge in ["gateway_engine_paused_peers", "gateway_engine_unsent_bytes"] {
        assert_eq!(metrics.sum(gauge, &[]), 0.0, "{gauge}");
    }
}

#[test]
fn without_descriptors_accepting_pauses_and_resumes() {
    let mut gateway = Process::start_with_descriptors(64, &yaml(""));
    let served = Service::start(&gateway);
    let mut held = Vec::new();
    let mut waiting = Vec::new();
    for n in 0..100 {
        let mut raw = Raw::connect(&gateway.endpoint(CLIENTS));
        raw.send(&greeting(1));
        raw.send(&command(&ready("DEALER", &[])));
        match n {
            0..30 => {
                raw.receive_greeting();
                assert!(matches!(raw.receive(), Received::Command(_)));
                held.push(raw);
            }
            _ => waiting.push(raw),
        }
    }
    // This line is logged at most once a second, so the next two lines take at least a second.
    gateway.await_line("can't accept connections");
    served.end();
    let (began, cpu) = (Instant::now(), gateway.cpu());
    gateway.await_line("can't accept connections");
    gateway.await_line("can't accept connections");
    let wall = began.elapsed().as_millis() as u64 / 10;
    let used = gateway.cpu() - cpu;
    println!("{used} of {wall} hundredths of a second");
    assert!(
        used * 10 < wall.max(100),
        "{used} of {wall}: the loop spins"
    );
    // The connected peers are served, and a waiting peer is served once there are free descriptors.
    for raw in &mut held {
        raw.send(&ping(0, b"x"));
        assert_eq!(raw.receive(), Received::Command(b"\x04PONGx".to_vec()));
    }
    held.clear();
    let raw = &mut waiting[0];
    raw.receive_greeting();
    assert!(matches!(raw.receive(), Received::Command(_)));
    waiting.clear();
    assert_serves(&gateway);
}

/// Descriptors for workers and HTTP remain, however many clients connect, and however long they
/// stay.
#[test]
fn clients_leave_descriptors_for_workers_and_http() {
    let mut gateway =
        Process::start_with_descriptors(64, &yaml("admin: { bind: \"127.0.0.1:0\" }"));
    let hello = [&greeting(1)[..], &command(&ready("DEALER", &[]))].concat();
    let mut clients: Vec<_> = (0..100)
        .map(|_| {
            let mut raw = Raw::connect(&gateway.endpoint(CLIENTS));
            raw.send(&hello);
            raw
        })
        .collect();
    gateway.await_line("can't accept connections");
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    assert_eq!(gateway.get("/healthz").code, 200);
    let client = &mut clients[0];
    client.receive_greeting();
    assert!(matches!(client.receive(), Received::Command(_)));
    client.send(&message(&["OPAQUE", "1", "x"]));
    let request = worker.receive_message();
    worker.send(&message(&[&request[0][..], b"REPLY", b"1", b"y"]));
    assert_eq!(client.receive_message()[0], b"REPLY");
}

/// The gateway does not retry a write to a peer that does not read, because the system reports when
/// the socket can take more bytes.
#[test]
fn writes_to_a_peer_without_room_are_not_retried() {
    let gateway = Process::start(&yaml("admin: { bind: \"127.0.0.1:0\" }"));
    let mut slow_reader = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let full = || gateway.metrics().sum("gateway_engine_full_total", &[]);
    let service = Service::start(&gateway);
    let large = "x".repeat(15 << 20);
    slow_reader.send(&message(&["OPAQUE", "1", &large]));
    // The answer is larger than the socket buffers of both sides.
    gateway.await_metrics("a stalled client", |metrics| {
        metrics.sum("gateway_engine_stalled_clients", &[]) > 0.0
    });
    // Each ERROR for this client takes a turn of its own.
    let before = full();
    for n in 0..200 {
        slow_reader.send(&message(&["NONE", &n.to_string(), "x"]));
        await_rejection(&gateway);
    }
    let tried = full() - before;
    println!("tried {tried} times in 200 turns");
    assert!(tried < 20.0, "tried {tried} times in 200 turns");
    assert_eq!(slow_reader.receive_message()[1], b"1");
    service.end();
}

/// Silent peers are disconnected when no descriptor is left for other peers.
#[test]
fn unknown_peers_cannot_use_up_the_descriptors() {
    let mut gateway = Process::start_with_descriptors(64, &yaml(""));
    let held: Vec<_> = (0..100)
        .map(|_| Raw::connect(&gateway.endpoint(CLIENTS)))
        .collect();
    gateway.await_line("can't accept connections");
    assert_serves(&gateway);
    drop(held);
}
