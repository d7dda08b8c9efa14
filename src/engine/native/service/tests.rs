//! Tests of the engine's turns, one by one, with peers over real sockets.

use std::io::{Read, Write};
use std::net::TcpStream;

use mio::Events;

use super::traffic::WORK_UNTIMED;
use super::*;
use crate::core::Outlet;
use crate::engine::BoundAddress;
use crate::engine::native::connection::{Connection, HEAVY_MIN};
use crate::engine::native::peers::Priority;
use crate::engine::native::steps::Done;
use crate::engine::native::{EVENTS_MAX, Native, prepare};
use gateway_zmtp::pool::READ_BUFFER_SIZE;
use gateway_zmtp::{COMMAND, MORE, greeting, put_frame};

/// Connects a stranger, which sends nothing yet, to the first address of the frontend, pool or
/// channel `name`.
fn stranger(listening: &[BoundAddress], name: &str) -> TcpStream {
    let address = listening
        .iter()
        .find(|address| address.name == name)
        .unwrap();
    TcpStream::connect(address.endpoint.strip_prefix("tcp://").unwrap()).unwrap()
}

/// Sends the greeting and the READY of a peer.
fn introduce(stream: &mut TcpStream, ready: &[u8]) {
    let mut bytes = greeting::NULL_GREETING.to_vec();
    put_frame(&mut bytes, COMMAND, ready);
    stream.write_all(&bytes).unwrap();
}

/// Connects a peer like [`stranger`], and sends its greeting and its READY.
fn peer(listening: &[BoundAddress], name: &str, ready: &[u8]) -> TcpStream {
    let mut stream = stranger(listening, name);
    introduce(&mut stream, ready);
    stream
}

/// An engine whose turns this thread runs, with two peers that are served: a client and a worker,
/// or a publisher alone.
struct Engine {
    native: Native,
    events: Events,
    listening: Vec<BoundAddress>,
    /// The client or the publisher.
    client: TcpStream,
    worker: Option<TcpStream>,
}

const DEALER: &[u8] = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER";

impl Engine {
    /// Starts an engine with a client and a worker.
    fn start() -> Self {
        let text = "frontends: { clients: { bind: \"tcp://127.0.0.1:0\" } }
pools: { people: { bind: \"tcp://127.0.0.1:0\", per_worker: 1000 } }
routes: { OPAQUE: { pool: people } }";
        Self::start_with(text, [("clients", DEALER), ("people", DEALER)])
    }

    /// Starts an engine with a publisher.
    fn start_with_publisher() -> Self {
        let text = "channels: { ticks: { publishers: \"tcp://127.0.0.1:0\", subscribers: \"tcp://127.0.0.1:0\" } }
routes: { OPAQUE: { publish: ticks } }";
        let ready = b"\x05READY\x0bSocket-Type\0\0\0\x04XPUB";
        Self::start_with(text, [("ticks", ready)])
    }

    /// Starts an engine with the text of a routes.yaml, and connects peers. Each peer is given by
    /// the name of its address and by its READY. The first peer is the client or the publisher.
    fn start_with<const N: usize>(text: &str, peers: [(&str, &[u8]); N]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let routes = directory.path().join("routes.yaml");
        std::fs::write(&routes, text).unwrap();
        let loaded = crate::config::load(&routes).unwrap_or_else(|found| panic!("{found}"));
        let (start, reloader, _observer) = prepare(Arc::new(loaded.snapshot), || ()).unwrap();
        let listening = reloader.prepare(&start.snapshot).unwrap();
        let mut native = Native::new(start).unwrap();
        native.commit(Duration::ZERO);
        let connected: Vec<_> = peers
            .iter()
            .map(|(name, ready)| peer(&listening, name, ready))
            .collect();
        let mut connected = connected.into_iter();
        let mut engine = Self {
            native,
            events: Events::with_capacity(EVENTS_MAX),
            client: connected.next().unwrap(),
            worker: connected.next(),
            listening,
        };
        engine.await_peers(N);
        engine
    }

    /// Runs turns until this number of peers are served.
    fn await_peers(&mut self, count: usize) {
        let known = |native: &Native| {
            let peers = native.service.peers.all();
            peers.filter(|peer| peer.is_known()).count()
        };
        while known(&self.native) < count {
            self.turn();
        }
    }

    /// Connects further clients.
    fn clients(&mut self, count: usize) -> Vec<TcpStream> {
        let connect = |_| peer(&self.listening, "clients", DEALER);
        let clients: Vec<_> = (0..count).map(connect).collect();
        self.await_peers(2 + count);
        clients
    }

    /// Connects `count` strangers to the frontend, pool or channel `name`.
    fn strangers(&self, name: &str, count: usize) -> Vec<TcpStream> {
        (0..count)
            .map(|_| stranger(&self.listening, name))
            .collect()
    }

    /// Returns the number of connections of this priority that have something to read.
    fn ready(&self, priority: Priority) -> usize {
        self.native.service.peers.ready_count(priority)
    }

    /// Returns the number of messages that were received.
    fn received(&self) -> u64 {
        self.native.service.peers.counters().messages_in
    }

    /// Returns whether the worker has requests to answer.
    fn worker_holds_requests(&self) -> bool {
        let service = &self.native.service;
        let mut workers = service.peers.all().filter(|peer| peer.role().has_workers());
        workers.any(|worker| service.core.holds(worker.peer()))
    }

    fn turn(&mut self) {
        self.native.turn(&mut self.events).unwrap();
    }
}

/// Returns the bytes of `count` messages of type `kind`, as a client sends them.
fn messages(kind: &[u8], count: usize) -> Vec<u8> {
    let mut messages = Vec::new();
    for _ in 0..count {
        put_frame(&mut messages, MORE, kind);
        put_frame(&mut messages, 0, b"x");
    }
    messages
}

/// Sends messages of this type, and runs turns until the engine has received all of them. Returns
/// the number of turns, and the number of readings of the clock.
fn take_in(engine: &mut Engine, kind: &[u8], count: usize) -> (u64, u64) {
    engine.client.write_all(&messages(kind, count)).unwrap();
    let counts = |native: &Native| {
        let counters = native.service.peers.counters();
        (
            counters.messages_in,
            counters.turns.count(),
            native.clock.readings(),
        )
    };
    let before = counts(&engine.native);
    while counts(&engine.native).0 - before.0 < count as u64 {
        engine.turn();
    }
    let after = counts(&engine.native);
    (after.1 - before.1, after.2 - before.2)
}

#[test]
fn a_turn_reads_the_clock_twice_however_many_messages_it_takes_in() {
    let mut engine = Engine::start();
    let (turns, readings) = take_in(&mut engine, b"OPAQUE", WORK_UNTIMED / 2);
    assert_eq!(readings, 2 * turns);
    // There are far fewer turns than messages. Otherwise a reading for each message could go
    // unnoticed.
    assert!(turns < WORK_UNTIMED as u64 / 8, "{turns} turns");
}

/// One rejection counts as the work of many accepted messages.
#[test]
fn a_turn_with_much_work_reads_the_clock_more_often() {
    let mut engine = Engine::start();
    let (turns, readings) = take_in(&mut engine, b"nobody's", WORK_UNTIMED / 2);
    assert!(readings > 2 * turns, "{readings} readings in {turns} turns");
}

/// Sends [`WORK_UNTIMED`] / 2 messages that are rejected. Returns the maximum number of rejections
/// in a turn, if the time `step` passes between two readings of the clock.
fn rejections_in_a_turn(step: Duration) -> u64 {
    let mut engine = Engine::start();
    engine.native.clock.step_by(step);
    let count = WORK_UNTIMED / 2;
    engine
        .client
        .write_all(&messages(b"nobody's", count))
        .unwrap();
    let (mut before, mut most) = (engine.received(), 0);
    let all = before + count as u64;
    while before < all {
        engine.turn();
        let now = engine.received();
        most = most.max(now - before);
        before = now;
    }
    most
}

/// The work of a message is only estimated, and may be less than the estimate.
#[test]
fn the_turn_of_a_peer_ends_by_the_clock_and_not_by_the_estimated_work() {
    let all = WORK_UNTIMED as u64 / 2;
    assert_eq!(rejections_in_a_turn(Duration::ZERO), all);
    let slow = rejections_in_a_turn(Duration::from_millis(1));
    assert!(slow < all / 2, "{slow} of {all}");
}

/// Returns the maximum number of messages in a turn of a publisher that sends without a pause, if
/// the time `step` passes between two readings of the clock. Each message has `size` bytes.
fn most_published_in_a_turn(step: Duration, size: usize) -> u64 {
    const COUNT: u64 = 8_000;
    let mut engine = Engine::start_with_publisher();
    engine.native.clock.step_by(step);
    let mut publisher = engine.client.try_clone().unwrap();
    let mut message = Vec::new();
    put_frame(&mut message, MORE, b"OPAQUE");
    put_frame(&mut message, 0, &vec![b'x'; size]);
    let publishing = std::thread::spawn(move || {
        for _ in 0..COUNT / 100 {
            publisher.write_all(&message.repeat(100)).unwrap();
        }
    });
    let (mut before, mut most) = (0, 0);
    while before < COUNT {
        engine.turn();
        let now = engine.received();
        most = most.max(now - before);
        before = now;
    }
    publishing.join().unwrap();
    most
}

/// In the turn in which a publisher becomes heavy, it is read twice: once as a light peer, and once
/// as a heavy peer. So even a turn whose time is over takes in up to two buffers.
#[test]
fn a_turn_reads_several_buffers_of_a_busy_publisher_until_its_time_is_over() {
    let size = 1000;
    let two_buffers = (2 * READ_BUFFER_SIZE / size) as u64;
    let max = most_published_in_a_turn(Duration::ZERO, size);
    assert!(max > two_buffers, "{max} messages");
    let max = most_published_in_a_turn(Duration::from_millis(1), size);
    assert!(max <= two_buffers, "{max} messages");
}

/// A connection that stayed open would wait for its step for ever, and a frame that is sealed later
/// would be sent in place of the lost frame.
#[test]
fn a_connection_whose_step_is_lost_is_closed() {
    let mut engine = Engine::start();
    let service = &mut engine.native.service;
    let clients = service
        .peers
        .all()
        .filter(|connection| !connection.role().has_workers());
    let client = clients.map(Connection::peer).next().unwrap();
    service.finish_step(client, Done::Lost, Duration::ZERO);
    assert_eq!(
        service
            .peers
            .all()
            .filter(|connection| connection.is_known())
            .count(),
        1
    );
    assert!(engine.client.read_to_end(&mut Vec::new()).is_ok());
}

/// The number of clients that flood the engine.
const CROWD: usize = 20;

/// The number of messages of each client that floods the engine. The engine reads them in many
/// turns.
const FLOOD: usize = 20 * HEAVY_MIN;

#[test]
fn a_request_of_a_light_client_overtakes_requests_of_heavy_clients() {
    let mut engine = Engine::start();
    let mut crowd = engine.clients(CROWD);
    for client in &mut crowd {
        client.write_all(&messages(b"nobody's", FLOOD)).unwrap();
    }
    while engine.ready(Priority::Heavy) < CROWD {
        assert!(
            engine.received() < (CROWD * FLOOD) as u64,
            "not all are heavy"
        );
        engine.turn();
    }
    engine.native.clock.step_by(Duration::from_millis(1));
    engine.client.write_all(&messages(b"OPAQUE", 1)).unwrap();
    assert!(!engine.worker_holds_requests());
    engine.turn();
    assert!(engine.worker_holds_requests());
    assert_eq!(
        engine.ready(Priority::Heavy),
        CROWD,
        "a heavy client has nothing left to read"
    );
}

#[test]
fn a_request_of_a_light_client_is_written_before_heavy_clients_are_read() {
    let mut engine = Engine::start();
    let mut worker = engine.worker.take().unwrap();
    worker.set_nonblocking(true).unwrap();
    let mut crowd = engine.clients(CROWD);
    for client in &mut crowd {
        client.write_all(&messages(b"nobody's", FLOOD)).unwrap();
    }
    while engine.ready(Priority::Heavy) < CROWD {
        assert!(
            engine.received() < (CROWD * FLOOD) as u64,
            "not all are heavy"
        );
        engine.turn();
    }
    let native = &mut engine.native;
    while native.service.peers.is_dirty() {
        native.service.write(native.clock.now(), &native.clock);
    }
    let mut bytes = [0; 4096];
    while worker.read(&mut bytes).is_ok() {}
    for client in &mut crowd {
        client.set_nonblocking(true).unwrap();
        while client.read(&mut bytes).is_ok() {}
    }
    let received = engine.received();
    engine.client.write_all(&messages(b"OPAQUE", 1)).unwrap();
    // Runs only the part of a turn that reads, because the end of a turn would write, too.
    let native = &mut engine.native;
    native.poll.poll(&mut engine.events, None).unwrap();
    let now = native.clock.now();
    native.note_events(&engine.events, now);
    native.service.read(now, &native.clock);
    assert!(worker.read(&mut bytes).unwrap() > 0);
    assert_eq!(
        engine.ready(Priority::Heavy),
        CROWD,
        "a heavy client has nothing left to read"
    );
    // `read` wrote the request before it read the heavy clients, so their rejections are not
    // written yet.
    assert!(engine.received() > received + 1);
    for client in &mut crowd {
        let kind = client.read(&mut bytes).map_err(|error| error.kind());
        assert_eq!(kind, Err(std::io::ErrorKind::WouldBlock));
    }
}

/// The messages of the many light clients take several turns.
#[test]
fn a_heavy_client_is_read_in_each_turn_however_many_are_light() {
    let mut engine = Engine::start();
    let mut crowd = engine.clients(5 * CROWD);
    let flood = messages(b"OPAQUE", FLOOD);
    engine.client.write_all(&flood).unwrap();
    while engine.ready(Priority::Heavy) == 0 {
        assert!(engine.received() < FLOOD as u64, "it is not heavy");
        engine.turn();
    }
    engine.native.clock.step_by(Duration::from_millis(1));
    for client in &mut crowd {
        client.write_all(&messages(b"nobody's", 1)).unwrap();
    }
    // The system reports the input of all these clients in this turn.
    engine.turn();
    let mut left = engine.ready(Priority::Light);
    assert!(left > CROWD, "{left} are left");
    while left > 0 {
        let before = engine.received();
        engine.turn();
        let light = left - engine.ready(Priority::Light);
        let heavy = engine.received() - before - light as u64;
        assert!(heavy > 0, "{light} light ones were read, and no heavy one");
        left -= light;
    }
    assert_eq!(
        engine.ready(Priority::Heavy),
        1,
        "a heavy client has nothing left to read"
    );
}

/// The handshakes of the strangers take several turns.
#[test]
fn a_request_of_a_light_client_passes_the_handshakes_of_strangers() {
    let mut engine = Engine::start();
    let mut strangers = engine.strangers("clients", 10 * CROWD);
    while engine.native.service.connection_count() < 2 + strangers.len() {
        engine.turn();
    }
    engine.native.clock.step_by(Duration::from_millis(1));
    for stranger in &mut strangers {
        introduce(stranger, DEALER);
    }
    engine.turn();
    let left = engine.ready(Priority::Stranger);
    assert!(left > CROWD, "{left} are left");
    engine.client.write_all(&messages(b"OPAQUE", 1)).unwrap();
    assert!(!engine.worker_holds_requests());
    engine.turn();
    assert!(engine.worker_holds_requests());
    let still_left = engine.ready(Priority::Stranger);
    assert!(
        0 < still_left && still_left < left,
        "{still_left} of {left}"
    );
    engine.await_peers(2 + strangers.len());
}

#[test]
fn a_turn_accepts_few_connections_however_many_have_arrived() {
    let mut engine = Engine::start();
    let _waiting = ["clients", "people"].map(|name| engine.strangers(name, 5 * CROWD));
    let count = |engine: &Engine| engine.native.service.connection_count();
    engine.native.clock.step_by(Duration::from_millis(1));
    let all = 2 + 2 * 5 * CROWD;
    let mut before = count(&engine);
    while before < all {
        engine.turn();
        let now = count(&engine);
        assert!(
            before < now && now <= before + CROWD,
            "{now} after {before}"
        );
        before = now;
    }
}
