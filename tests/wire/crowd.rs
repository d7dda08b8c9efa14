//! Tests of thousands of clients at once: each is served, and an idle client costs little memory.
//!
//! `GATEWAY_TEST_CLIENTS` sets the number of clients (2,000 by default). For each client, this
//! process and the gateway each need a descriptor.

use crate::support::binary::binary;
use crate::support::gateway::{engine_is, on_this_engine};
use crate::support::process::Process;
use crate::support::turns;
use crate::support::zmtp::{Raw, Received, command, greeting, message, ready};
use std::io::Read;
use std::process::Command;

/// The maximum memory of the gateway for a connected and idle client, in KiB. The measured value is
/// under 1; the margin allows for systems that count memory differently. The test cannot bound the
/// memory of libzmq itself.
const IDLE_MAX_KIB: f64 = 4.0;

/// The maximum number of clients that have unanswered requests at the same time. It is small,
/// because the memory for requests adds to the measurement for idle clients.
const OPEN_REQUESTS_MAX: usize = 100;

const ROUTES: &str = r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0", per_worker: 100 } }
routes: { OPAQUE: { pool: people } }
admin: { bind: "127.0.0.1:0" }
"#;

/// A DEALER client on a plain TCP connection. A libzmq socket would cost this process another
/// descriptor, and threads.
struct Client(Raw);

impl Client {
    fn connect(endpoint: &str) -> Self {
        let mut raw = Raw::connect(endpoint);
        raw.send(&[&greeting(1)[..], &command(&ready("DEALER", &[]))].concat());
        Self(raw)
    }

    /// Waits for the greeting and the READY of the gateway.
    fn await_ready(&mut self) {
        self.0.stream.read_exact(&mut [0; 64]).unwrap();
        let answer = self.0.receive();
        let is_ready = matches!(&answer, Received::Command(body) if body.starts_with(b"\x05READY"));
        assert!(is_ready, "{answer:?}");
    }

    fn ask(&mut self, kind: &[u8], payload: &[u8]) {
        self.0.send(&message(&[kind, payload]));
    }

    fn answer(&mut self) -> Vec<Vec<u8>> {
        self.0.receive_message()
    }
}

/// Sends a request from every client, and passes the number and the answer of each client to
/// `check`. At most [`OPEN_REQUESTS_MAX`] requests are unanswered at a time.
fn all_ask(clients: &mut [Client], kind: &[u8], check: impl Fn(usize, Vec<Vec<u8>>)) {
    let mut first = 0;
    for group in clients.chunks_mut(OPEN_REQUESTS_MAX) {
        for (n, client) in group.iter_mut().enumerate() {
            client.ask(kind, (first + n).to_string().as_bytes());
        }
        for (n, client) in group.iter_mut().enumerate() {
            check(first + n, client.answer());
        }
        first += group.len();
    }
}

#[test]
fn thousands_of_clients_are_served_and_cost_little_while_idle() {
    let _turn = turns::take();
    let count = std::env::var("GATEWAY_TEST_CLIENTS");
    let count = count.map_or(2_000, |n| n.parse().expect("a number"));
    let process = Process::start(&on_this_engine(ROUTES));
    let endpoint = process.endpoint("frontend clients");
    let context = zmq::Context::new();
    let worker = process.peer(&context, zmq::DEALER, "pool people");
    let work = std::thread::spawn(move || {
        loop {
            let mut frames = worker.recv_multipart(0).expect("a request in time");
            frames[1] = b"REPLY".to_vec();
            let last = frames.last().is_some_and(|payload| payload == b"last");
            worker.send_multipart(frames, 0).unwrap();
            if last {
                return;
            }
        }
    });
    // The first client makes the gateway allocate the buffers that all clients share, and use pages
    // of memory for the first time.
    let mut first = [Client::connect(&endpoint)];
    first[0].await_ready();
    all_ask(&mut first, b"OPAQUE", |_, answer| {
        assert_eq!(answer[0], b"REPLY")
    });
    let (before, descriptors) = process.memory_and_descriptors();

    // As after a restart of the gateway, all clients send their greeting before any client reads
    // the gateway's greeting.
    let mut clients: Vec<_> = (0..count).map(|_| Client::connect(&endpoint)).collect();
    clients.iter_mut().for_each(Client::await_ready);
    let idle_kib = |when: &str| {
        let (now, _) = process.memory_and_descriptors();
        let each = now.saturating_sub(before) as f64 / count as f64;
        eprintln!("{count} idle clients {when}: {each:.2} KiB each");
        assert!(
            each <= IDLE_MAX_KIB || !engine_is("native"),
            "{when}: {each:.2} KiB"
        );
    };
    idle_kib("that have only connected");
    // The gateway's other threads open and close files, too, so the number of descriptors varies.
    let margin = 10;
    assert!(process.memory_and_descriptors().1 + margin >= descriptors + count);

    all_ask(&mut clients, b"NOBODY", |_, answer| {
        assert_eq!(answer[0], b"ERROR");
        assert!(answer[1].windows(12).any(|part| part == b"unknown_type"));
    });
    all_ask(&mut clients, b"OPAQUE", |n, answer| {
        assert_eq!(answer, [b"REPLY".to_vec(), n.to_string().into_bytes()]);
    });
    idle_kib("that have been served");

    // All clients disconnect at once, and the gateway then counts only the first one. Engine libzmq
    // counts a client until it has been idle for some time.
    drop(clients);
    if engine_is("native") {
        process.await_metrics("the disconnection of the clients", |metrics| {
            metrics.sum("gateway_clients", &[]) == 1.0
        });
    }
    first[0].ask(b"OPAQUE", b"last");
    assert_eq!(first[0].answer()[1], b"last");
    work.join().unwrap();
    process.metrics().assert_balanced();
}

/// Shells often set a soft limit of 1024 descriptors, which many clients would exceed.
#[test]
fn the_limit_of_descriptors_is_raised_to_the_hard_limit() {
    let mut shell = Command::new("sh");
    let limited = r#"ulimit -S -n 64 && exec "$0" "$@""#;
    shell.args(["-c", limited, &binary()]);
    let process = Process::start_by(shell, &on_this_engine(ROUTES));
    let endpoint = process.endpoint("frontend clients");
    let mut clients: Vec<_> = (0..200).map(|_| Client::connect(&endpoint)).collect();
    clients.iter_mut().for_each(Client::await_ready);
    all_ask(&mut clients, b"NOBODY", |_, answer| {
        assert_eq!(answer[0], b"ERROR");
    });
}
