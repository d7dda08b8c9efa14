//! Clients that keep a number of requests in flight, and workers that echo every message.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::brokers::Broker;
use crate::{libzmq, zmtp};

/// A load on a broker.
pub struct Load {
    pub name: String,
    /// The time for which the clients send requests.
    pub lasting: Duration,
    peers: Peers,
    /// The frames of a request.
    request: [Vec<u8>; 2],
    clients: usize,
    /// The number of requests that a client has in flight.
    window: usize,
}

/// The sockets of clients and workers.
#[derive(Clone, Copy)]
enum Peers {
    /// Plain TCP streams. The peers write ZMTP by hand and cost next to nothing.
    Bare,
    /// Sockets of libzmq, which most users use.
    Libzmq,
}

/// The results of a load.
pub struct Loaded {
    pub round_trips: usize,
    pub took: Duration,
    /// The latencies of one client's requests, sorted.
    pub latencies: Vec<Duration>,
}

const WORKERS: usize = 2;

impl Load {
    pub fn all(lasting: Duration) -> Vec<Self> {
        let load = |name: &str, size, clients, window, peers| Self {
            name: match window {
                1 => name.to_owned(),
                _ => format!("{name}, {clients} clients with {window} requests in flight each"),
            },
            lasting,
            peers,
            request: [b"BLOB".to_vec(), blob(size)],
            clients,
            window,
        };
        vec![
            load("60 B", 60, 2, 100, Peers::Bare),
            load("60 B", 60, 2, 1_000, Peers::Bare),
            load("60 B", 60, 4, 500, Peers::Bare),
            load("60 B, libzmq's peers", 60, 2, 100, Peers::Libzmq),
            load("60 B, libzmq's peers", 60, 4, 500, Peers::Libzmq),
            load("1 KB, libzmq's peers", 1_000, 4, 250, Peers::Libzmq),
            load("8 KB, libzmq's peers", 8_000, 4, 100, Peers::Libzmq),
            load("1 KB", 1_000, 2, 100, Peers::Bare),
            load("8 KB", 8_000, 2, 100, Peers::Bare),
            load("1 MB", 1_000_000, 2, 4, Peers::Bare),
            load("60 B, one at a time", 60, 1, 1, Peers::Bare),
        ]
    }

    /// Loads a broker for the time `lasting`.
    pub fn run(&self, broker: &Broker, lasting: Duration) -> Loaded {
        let workers: Vec<_> = (0..WORKERS).map(|_| self.worker(broker)).collect();
        let start = Instant::now();
        let clients: Vec<_> = (0..self.clients)
            .map(|_| {
                let endpoint = broker.clients.clone();
                let (request, window) = (self.request.clone(), self.window);
                let (peers, end) = (self.peers, start + lasting);
                thread::spawn(move || match peers {
                    Peers::Libzmq => libzmq::client(&endpoint, &request, window, end),
                    Peers::Bare => {
                        let request = zmtp::message(&request.each_ref().map(|frame| &frame[..]));
                        client(&endpoint, &request, window, end)
                    }
                })
            })
            .collect();
        let ended: Vec<_> = clients
            .into_iter()
            .map(|client| client.join().expect("right answers"))
            .collect();
        let took = start.elapsed();
        drop(workers);
        let round_trips = ended.iter().map(|(answered, _)| answered).sum();
        let mut latencies = ended
            .into_iter()
            .next()
            .map(|client| client.1)
            .unwrap_or_default();
        latencies.sort_unstable();
        Loaded {
            round_trips,
            took,
            latencies,
        }
    }

    fn worker(&self, broker: &Broker) -> Worker {
        match self.peers {
            Peers::Bare => Worker::Bare(echo(&broker.workers)),
            Peers::Libzmq => Worker::Libzmq(libzmq::echo(&broker.workers)),
        }
    }
}

/// A worker that runs until it is dropped.
enum Worker {
    Bare(TcpStream),
    Libzmq(#[expect(dead_code, reason = "for its drop")] libzmq::Worker),
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Self::Bare(stream) = self {
            // The worker may have disconnected by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Returns a payload of `size` bytes that is valid by the schema.
pub fn blob(size: usize) -> Vec<u8> {
    let mut bytes = b"\x08\x2a\x12\x0cAda Lovelace\x1a\x0fada@example.org\x22".to_vec();
    let missing = size - bytes.len();
    // The varint of a length below 128 takes one byte. Longer lengths take more.
    let mut varint = Vec::new();
    let mut rest = missing - 1 - usize::from(missing > 129) - usize::from(missing > 16_386);
    let length = rest;
    while rest >= 128 {
        varint.push(rest as u8 | 128);
        rest >>= 7;
    }
    varint.push(rest as u8);
    bytes.extend(&varint);
    bytes.resize(bytes.len() + length, b'x');
    bytes
}

/// Connects a number of clients, which then send nothing.
pub fn connect(broker: &Broker, clients: usize) -> Vec<TcpStream> {
    (0..clients)
        .map(|_| zmtp::connect(&broker.clients, b"DEALER"))
        .collect()
}

/// Starts a worker on a thread, which answers every request with the request's own bytes. Returns
/// the worker's connection. The worker ends when the connection is shut down.
fn echo(endpoint: &str) -> TcpStream {
    let stream = zmtp::connect(endpoint, b"DEALER");
    let mut other = stream.try_clone().expect("a descriptor");
    thread::spawn(move || {
        let mut buffer = vec![0; 256 << 10];
        while let Ok(n @ 1..) = other.read(&mut buffer) {
            if other.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
    });
    stream
}

/// Runs a client that keeps `window` requests in flight until `end`. Returns the number of answers,
/// and their latencies.
fn client(endpoint: &str, request: &[u8], window: usize, end: Instant) -> (usize, Vec<Duration>) {
    let mut stream = zmtp::connect(endpoint, b"DEALER");
    let burst = request.repeat(window);
    let mut buffer = vec![0; (256 << 10).max(request.len())];
    let mut writer = stream.try_clone().expect("a descriptor");
    // Large bursts are written by another thread, so that neither side waits for the other to read.
    let (to_writer, counts) = std::sync::mpsc::channel::<usize>();
    let request_length = request.len();
    let direct = burst.len() <= 64 << 10;
    let writer_burst = burst.clone();
    let writing = (!direct).then(|| {
        thread::spawn(move || {
            for n in counts {
                writer
                    .write_all(&writer_burst[..n * request_length])
                    .expect("the broker reads");
            }
        })
    });
    let send = |stream: &mut TcpStream, n: usize| match direct {
        true => stream
            .write_all(&burst[..n * request_length])
            .expect("the broker reads"),
        false => to_writer.send(n).expect("the writer writes"),
    };
    let mut sent_at = std::collections::VecDeque::new();
    let mut latencies = Vec::new();
    let mut matched = 0;
    let mut answered = 0;
    sent_at.extend(std::iter::repeat_n(Instant::now(), window));
    send(&mut stream, window);
    while answered < sent_at.len() + answered {
        let n = stream.read(&mut buffer).expect("an answer");
        assert!(n > 0, "the broker disconnected");
        // Each answer consists of the bytes of the request.
        let mut rest = &buffer[..n];
        let before = answered;
        while !rest.is_empty() {
            let piece = rest.len().min(request.len() - matched);
            assert!(
                rest[..piece] == request[matched..matched + piece],
                "a wrong answer"
            );
            rest = &rest[piece..];
            matched += piece;
            if matched == request.len() {
                matched = 0;
                answered += 1;
            }
        }
        let now = Instant::now();
        latencies.extend(sent_at.drain(..answered - before).map(|at| now - at));
        if now < end && answered > before {
            sent_at.extend(std::iter::repeat_n(now, answered - before));
            send(&mut stream, answered - before);
        }
    }
    drop(to_writer);
    if let Some(writing) = writing {
        writing.join().expect("all requests were written");
    }
    (answered, latencies)
}
