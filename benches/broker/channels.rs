//! Publish and subscribe: one publisher sends bursts of messages, and each subscriber receives the
//! messages that match its prefixes.
//!
//! The peers write ZMTP by hand and cost next to nothing. The next burst is sent once every
//! subscriber has received all bursts but the last. The queue of a subscriber is therefore shorter
//! than the default bound of any broker, and a lost message stops the load.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use gateway_zmtp::curve::{OVERHEAD, PublicKey};
use gateway_zmtp::session::Side;

use crate::brokers::Broker;
use crate::load::{Loaded, blob};
use crate::pair::{End, client_as, keys};
use crate::zmtp;

/// The time without progress after which the bench fails, because the broker has lost a message.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(20);

/// The maximum number of bursts by which the publisher is ahead of the slowest subscriber.
const BURSTS_AHEAD_MAX: usize = 2;

/// The number of message types of a load in which one message in a hundred matches.
const TYPES: usize = 100;

/// The prefixes of the subscribers.
#[derive(Clone, Copy)]
enum Matching {
    /// Each subscriber receives every message.
    All,
    /// Each subscriber has one prefix, which one message in a hundred matches.
    OneInHundred,
    /// Each subscriber has this number of prefixes, which no other subscriber has. Each message
    /// matches one prefix of one subscriber.
    Prefixes(usize),
}

/// A load on a channel.
pub struct ChannelLoad {
    pub name: String,
    /// The messages of a burst, encoded.
    burst: Vec<u8>,
    /// The prefixes of each subscriber.
    prefixes: Vec<Vec<Vec<u8>>>,
    /// For each subscriber, the bytes of a burst that it receives.
    received: Vec<Vec<u8>>,
    /// The number of deliveries of a burst to all subscribers together.
    deliveries: usize,
}

impl ChannelLoad {
    pub fn all() -> Vec<Self> {
        let mut loads = Vec::new();
        for (size, name, burst) in [
            (60, "60 B", 1_000),
            (1_000, "1 KB", 500),
            (64_000, "64 KB", 100),
        ] {
            for (matching, which) in [
                (Matching::All, "all match"),
                (Matching::OneInHundred, "1 in 100 matches"),
            ] {
                for subscribers in [1, 10, 100] {
                    let plural = if subscribers == 1 { "" } else { "s" };
                    let name = format!("{name}, {subscribers} subscriber{plural}, {which}");
                    loads.push(Self::new(name, size, burst, subscribers, matching));
                }
            }
        }
        let name = "60 B, 10 subscribers with 1000 prefixes each".to_owned();
        loads.push(Self::new(name, 60, 10_000, 10, Matching::Prefixes(1_000)));
        loads
    }

    /// Returns the loads that measure the cost of encryption.
    pub fn sealed() -> Vec<Self> {
        let load = |name: &str, size, burst| {
            let name = format!("{name}, 10 subscribers, all match");
            Self::new(name, size, burst, 10, Matching::All)
        };
        vec![
            load("60 B", 60, 1_000),
            load("1 KB", 1_000, 500),
            load("64 KB", 64_000, 100),
        ]
    }

    fn new(
        name: String,
        size: usize,
        burst: usize,
        subscribers: usize,
        matching: Matching,
    ) -> Self {
        let payload = blob(size);
        // A burst of large messages that all match must fit into the queue of a subscriber.
        let burst = match matching {
            Matching::All => burst.min((2 << 20) / size),
            Matching::OneInHundred | Matching::Prefixes(_) => burst,
        };
        let types = match matching {
            Matching::Prefixes(each) => each * subscribers,
            Matching::All | Matching::OneInHundred => TYPES,
        };
        let kind = |n: usize| format!("T{:05}.", n % types).into_bytes();
        let prefixes: Vec<Vec<Vec<u8>>> = (0..subscribers)
            .map(|n| match matching {
                Matching::All => vec![b"T".to_vec()],
                Matching::OneInHundred => vec![kind(n)],
                Matching::Prefixes(each) => (n * each..(n + 1) * each).map(kind).collect(),
            })
            .collect();
        let mut load = Self {
            name,
            burst: Vec::new(),
            received: vec![Vec::new(); subscribers],
            prefixes,
            deliveries: 0,
        };
        for n in 0..burst {
            let kind = kind(n);
            let message = zmtp::message(&[&kind, &payload]);
            load.burst.extend(&message);
            for (prefixes, received) in load.prefixes.iter().zip(&mut load.received) {
                if prefixes.iter().any(|prefix| kind.starts_with(prefix)) {
                    received.extend(&message);
                    load.deliveries += 1;
                }
            }
        }
        load
    }

    /// Connects the peers of a load to a broker, and waits until every subscription has taken
    /// effect.
    pub fn connect(&self, broker: &Broker) -> Connected<'_> {
        let mut publisher = Publisher::connect(&broker.clients);
        let mut subscribers = Vec::new();
        for (n, (prefixes, received)) in self.prefixes.iter().zip(&self.received).enumerate() {
            let change = |first: u8, prefix: &[u8]| [&[first], prefix].concat();
            let mut changes: Vec<_> = prefixes.iter().map(|prefix| change(1, prefix)).collect();
            // Only this subscriber has this prefix. Once the broker cancels the subscription at the
            // publisher, all earlier subscriptions are in force.
            let own = format!("ready-{n}");
            changes.push(change(1, own.as_bytes()));
            changes.push(change(0, own.as_bytes()));
            let stream = match broker.key {
                None => subscribe(&broker.workers, &changes),
                Some(key) => subscribe_sealed(&broker.workers, &changes, key),
            };
            publisher.await_change(&change(0, own.as_bytes()));
            let expected = match broker.key {
                None => Expected::Bytes(received),
                Some(_) => Expected::Sealed(sealed_size(received)),
            };
            subscribers.push((stream, expected));
        }
        Connected {
            load: self,
            publisher: publisher.stream,
            subscribers,
        }
    }
}

/// Connects a subscriber, and sends its subscriptions and cancellations.
fn subscribe(endpoint: &str, changes: &[Vec<u8>]) -> TcpStream {
    let mut stream = zmtp::connect(endpoint, b"SUB");
    let bytes: Vec<u8> = changes
        .iter()
        .flat_map(|change| zmtp::message(&[change]))
        .collect();
    stream.write_all(&bytes).expect("the broker reads");
    stream
}

/// Connects a subscriber as [`subscribe`] does, with CURVE.
fn subscribe_sealed(endpoint: &str, changes: &[Vec<u8>], server: PublicKey) -> TcpStream {
    let mut stream = zmtp::connect_tcp(endpoint);
    let security = client_as("SUB", &keys(), server);
    let mut end = End::new(security, Side::Connects, "SUB");
    let mut chunk = [0; 4096];
    loop {
        let out = std::mem::take(&mut end.out);
        stream.write_all(&out).expect("the broker reads");
        if end.is_met() {
            break;
        }
        let n = stream.read(&mut chunk).expect("a handshake");
        assert!(n > 0, "the broker disconnected");
        end.hear(&chunk[..n]);
    }
    for change in changes {
        end.say(std::slice::from_ref(change));
    }
    stream.write_all(&end.out).expect("the broker reads");
    stream
}

/// Returns the size of messages in bytes after each frame has been sealed in a separate box.
/// `messages` contains the encoded messages in clear text.
fn sealed_size(messages: &[u8]) -> usize {
    let mut rest = messages;
    let mut size = 0;
    while let [flags, short, ..] = rest {
        let (header, body) = match flags & 2 {
            0 => (2, usize::from(*short)),
            _ => (
                9,
                u64::from_be_bytes(rest[1..9].try_into().expect("eight bytes")) as usize,
            ),
        };
        rest = &rest[header + body..];
        let boxed = body + OVERHEAD;
        size += boxed + if boxed < 256 { 2 } else { 9 };
    }
    size
}

/// A publisher that reads its subscriptions.
struct Publisher {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Publisher {
    fn connect(endpoint: &str) -> Self {
        let stream = zmtp::connect(endpoint, b"XPUB");
        stream
            .set_read_timeout(Some(PROGRESS_TIMEOUT))
            .expect("an option");
        Self {
            stream,
            input: Vec::new(),
        }
    }

    /// Reads subscriptions and cancellations up to and including `wanted`.
    fn await_change(&mut self, wanted: &[u8]) {
        let mut chunk = [0; 4096];
        loop {
            while let [_, length, rest @ ..] = &self.input[..]
                && let Some(change) = rest.get(..usize::from(*length))
            {
                let is_wanted = change == wanted;
                self.input.drain(..2 + usize::from(self.input[1]));
                if is_wanted {
                    return;
                }
            }
            let n = self.stream.read(&mut chunk).expect("a subscription");
            assert!(n > 0, "the broker disconnected");
            self.input.extend_from_slice(&chunk[..n]);
        }
    }
}

/// The connected peers of a load.
pub struct Connected<'a> {
    load: &'a ChannelLoad,
    publisher: TcpStream,
    subscribers: Vec<(TcpStream, Expected<'a>)>,
}

/// The bytes that a subscriber receives of a burst.
#[derive(Clone, Copy)]
enum Expected<'a> {
    Bytes(&'a [u8]),
    /// This number of sealed bytes, which the subscriber counts and does not open.
    Sealed(usize),
}

impl Expected<'_> {
    fn size(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Sealed(size) => size,
        }
    }

    /// Returns whether `bytes` are the expected bytes at position `at`. Always true for sealed
    /// bytes, which are not compared.
    fn has(self, at: usize, bytes: &[u8]) -> bool {
        match self {
            Self::Bytes(expected) => expected[at..at + bytes.len()] == *bytes,
            Self::Sealed(_) => true,
        }
    }
}

impl Connected<'_> {
    /// Publishes bursts for the time `lasting`, and waits until all are received.
    pub fn run(self, lasting: Duration) -> Loaded {
        let (done, bursts_done) = channel();
        let (bursts, took) = thread::scope(|scope| {
            let (publisher, burst) = (self.publisher, &self.load.burst);
            let publishing = scope.spawn(move || publish(publisher, burst, lasting, &bursts_done));
            let is_over = || publishing.is_finished();
            receive(self.subscribers, &done, is_over);
            publishing.join().expect("the broker loses no message")
        });
        Loaded {
            round_trips: bursts * self.load.deliveries,
            took,
            latencies: Vec::new(),
        }
    }
}

/// Sends bursts for the time `lasting`, and waits until all are received. Returns the number of
/// bursts, and the time until the last burst was received.
fn publish(
    mut stream: TcpStream,
    burst: &[u8],
    lasting: Duration,
    done: &Receiver<()>,
) -> (usize, Duration) {
    let start = Instant::now();
    let (mut sent, mut received) = (0, 0);
    loop {
        while sent < received + BURSTS_AHEAD_MAX && start.elapsed() < lasting {
            stream.write_all(burst).expect("the broker reads");
            sent += 1;
        }
        if received == sent {
            return (sent, start.elapsed());
        }
        done.recv_timeout(PROGRESS_TIMEOUT)
            .expect("every message arrives");
        received += 1;
    }
}

/// A subscriber that reads and checks the messages for it.
struct Subscriber<'a> {
    stream: mio::net::TcpStream,
    expected: Expected<'a>,
    /// The number of received bytes of the current burst.
    at: usize,
    /// The number of bursts that were received completely.
    bursts: usize,
}

/// Reads the messages for the subscribers until `is_over` returns true, and notifies `done` of each
/// burst that all subscribers have received.
fn receive(streams: Vec<(TcpStream, Expected<'_>)>, done: &Sender<()>, is_over: impl Fn() -> bool) {
    let mut poll = Poll::new().expect("a poll");
    let mut subscribers = Vec::new();
    for (stream, expected) in streams {
        stream.set_nonblocking(true).expect("an option");
        let mut stream = mio::net::TcpStream::from_std(stream);
        let token = Token(subscribers.len());
        let registry = poll.registry();
        registry
            .register(&mut stream, token, Interest::READABLE)
            .expect("a descriptor");
        subscribers.push(Subscriber {
            stream,
            expected,
            at: 0,
            bursts: 0,
        });
    }
    let mut events = Events::with_capacity(1024);
    let mut chunk = vec![0; 256 << 10];
    let mut reported = 0;
    while !is_over() {
        poll.poll(&mut events, Some(Duration::from_millis(10)))
            .expect("events");
        for event in &events {
            subscribers[event.token().0].read(&mut chunk);
        }
        let received = subscribers.iter().map(|subscriber| subscriber.bursts).min();
        while reported < received.unwrap_or(0) {
            // The publisher may have ended by now because of an error of its own.
            let _ = done.send(());
            reported += 1;
        }
    }
}

impl Subscriber<'_> {
    /// Reads all available bytes, and checks them.
    fn read(&mut self, chunk: &mut [u8]) {
        loop {
            let n = match self.stream.read(chunk) {
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            };
            assert!(n > 0, "the broker disconnected");
            let mut rest = &chunk[..n];
            while !rest.is_empty() {
                let piece = rest.len().min(self.expected.size() - self.at);
                let (new, later) = rest.split_at(piece);
                assert!(self.expected.has(self.at, new), "a wrong message");
                rest = later;
                self.at += piece;
                if self.at == self.expected.size() {
                    self.at = 0;
                    self.bursts += 1;
                }
            }
            if n < chunk.len() {
                return;
            }
        }
    }
}
