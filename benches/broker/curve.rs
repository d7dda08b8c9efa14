//! The cost of a request with CURVE, in the gateway and in zmq_proxy. The gateway also checks the
//! payload. zmq_proxy runs in pyzmq, because the libzmq of pyzmq uses libsodium.
//! `GATEWAY_TEST_PYTHON` is the path of a Python with pyzmq.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use gateway_zmtp::bytes::Input;
use gateway_zmtp::command;
use gateway_zmtp::curve::{FrameKind, KeyPair, PublicKey, Sealer};
use gateway_zmtp::decoder::Bounds;
use gateway_zmtp::message::Message;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::session::{Session, SessionEvent, SessionSecurity, Side};
use gateway_zmtp::{MORE, put_frame};

use crate::brokers::{Broker, Kind, gateway, pool};
use crate::load::blob;

const BOUNDS: Bounds = Bounds {
    bytes: 1 << 20,
    frames: 8,
};

const CLIENTS: usize = 2;
const WORKERS: usize = 2;
/// The number of requests that a client has in flight.
const WINDOW: usize = 100;
const SIZES: [usize; 3] = [60, 1_000, 8_000];

/// A broker. If it uses CURVE, `keys` contains the key pair of the peers and the broker's public
/// key.
struct Measured {
    broker: Broker,
    keys: Option<(KeyPair, PublicKey)>,
}

/// Compares the brokers at each payload size. In each round, every broker is loaded once.
pub fn compare(rounds: usize, lasting: Duration) {
    let Some(python) = std::env::var_os("GATEWAY_TEST_PYTHON") else {
        println!("\nCURVE is not measured: set GATEWAY_TEST_PYTHON to a Python with pyzmq");
        return;
    };
    println!("\n## CURVE, {CLIENTS} clients with {WINDOW} requests in flight each\n");
    println!(
        "| payload | zmq_proxy, NULL | zmq_proxy, CURVE | gateway, CURVE | to CURVE | to NULL |"
    );
    println!("|---|---|---|---|---|---|");
    for size in SIZES {
        let brokers = brokers(&python);
        let request = blob(size);
        for measured in &brokers {
            load(measured, &request, Duration::from_millis(200));
        }
        let mut costs = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            for (measured, costs) in brokers.iter().zip(&mut costs) {
                let before = measured.broker.cpu();
                let round_trips = load(measured, &request, lasting);
                let cpu = measured.broker.cpu() - before;
                costs.push(cpu.as_secs_f64() * 1e6 / round_trips as f64);
            }
        }
        let [null, curve, ours] = costs.map(|mut costs| {
            costs.sort_by(f64::total_cmp);
            costs[costs.len() / 2]
        });
        println!(
            "| {size} B | {null:.2} µs | {curve:.2} µs | {ours:.2} µs | **{:.2}** | **{:.2}** |",
            ours / curve,
            ours / null
        );
    }
}

fn brokers(python: &OsString) -> [Measured; 3] {
    let keys = || KeyPair::generate().expect("random bytes");
    let (server, client) = (keys(), keys());
    let secret = server.secret().to_z85();
    let proxy = |secret: &[&str]| Broker::start_pyzmq(python, secret);
    let client_keys = (client.clone(), server.public());
    [
        Measured {
            broker: proxy(&[]),
            keys: None,
        },
        Measured {
            broker: proxy(&[&secret]),
            keys: Some(client_keys.clone()),
        },
        Measured {
            broker: Broker::start_secured(&secret, client.public()),
            keys: Some(client_keys),
        },
    ]
}

/// Loads a broker for the time `lasting`, and returns the number of round trips.
fn load(measured: &Measured, request: &[u8], lasting: Duration) -> usize {
    let (connected, workers) = std::sync::mpsc::channel();
    for _ in 0..WORKERS {
        let (endpoint, keys) = (measured.broker.workers.clone(), measured.keys.clone());
        let connected = connected.clone();
        thread::spawn(move || {
            let mut worker = Peer::connect(&endpoint, keys.as_ref());
            let stream = worker.stream.try_clone().expect("a descriptor");
            connected.send(stream).expect("the load waits");
            while worker.read(|message, out| out.push(message)) {}
        });
    }
    let workers: Vec<_> = workers.iter().take(WORKERS).collect();
    let end = Instant::now() + lasting;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (endpoint, keys) = (measured.broker.clients.clone(), measured.keys.clone());
            let request = request.to_vec();
            thread::spawn(move || Peer::connect(&endpoint, keys.as_ref()).ask(&request, end))
        })
        .collect();
    let answers = clients.into_iter();
    let answers = answers.map(|client| client.join().expect("right answers"));
    let round_trips = answers.sum();
    for worker in workers {
        // The worker may have disconnected by itself.
        let _ = worker.shutdown(Shutdown::Both);
    }
    round_trips
}

/// A peer that writes on a thread of its own, so that neither side waits for the other to read.
struct Peer {
    stream: TcpStream,
    session: Session,
    buffers: BufferPool,
    sealer: Option<Box<Sealer>>,
    writer: std::sync::mpsc::Sender<Vec<u8>>,
}

impl Peer {
    /// Connects, and completes the handshake, with CURVE if keys are given.
    fn connect(endpoint: &str, keys: Option<&(KeyPair, PublicKey)>) -> Self {
        let address = endpoint.strip_prefix("tcp://").expect("a TCP address");
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_nodelay(true).expect("an option");
        let mut other = stream.try_clone().expect("a descriptor");
        let (writer, written) = std::sync::mpsc::channel::<Vec<u8>>();
        thread::spawn(move || {
            while written
                .recv()
                .is_ok_and(|bytes| other.write_all(&bytes).is_ok())
            {}
        });
        let security = keys.map_or(SessionSecurity::None, |(own, server)| {
            SessionSecurity::Client {
                keys: own.clone(),
                server: *server,
                socket_type: "DEALER",
            }
        });
        let mut peer = Self {
            session: Session::new(security, Side::Connects),
            stream,
            buffers: BufferPool::default(),
            sealer: None,
            writer,
        };
        let mut opening = Vec::new();
        peer.session.open(&mut opening);
        if keys.is_none() {
            // Without CURVE, a peer sends its READY together with its greeting.
            command::put_ready(&mut opening, "DEALER");
        }
        peer.writer.send(opening).expect("the writer");
        while !peer.shake_hands(keys.is_none()) {}
        peer
    }

    /// Reads once, and returns whether the handshake is complete.
    fn shake_hands(&mut self, is_null: bool) -> bool {
        let mut input = self.input().expect("the broker stays");
        let mut out = Vec::new();
        let mut done = false;
        while let Some(mut event) = self
            .session
            .next(&mut input, BOUNDS, &mut self.buffers)
            .expect("ZMTP")
        {
            if let SessionEvent::Work(work) = event {
                event = self.session.resume(work.run()).expect("CURVE");
            }
            match event {
                SessionEvent::Answer(bytes) => out.extend_from_slice(&bytes),
                SessionEvent::Ready(_) => {
                    let mut ready = Vec::new();
                    self.session.admit("DEALER", &mut ready).expect("a READY");
                    if !is_null {
                        out.append(&mut ready);
                    }
                    self.sealer = self.session.take_sealer();
                    done = true;
                }
                event => panic!("{event:?}"),
            }
        }
        self.writer.send(out).expect("the writer");
        done
    }

    fn input(&mut self) -> Option<Input> {
        let input = self.buffers.fill(|room| self.stream.read(room)).ok()?;
        (!input.rest().is_empty()).then_some(input)
    }

    /// Reads once, passes each message that has arrived to `answer`, and sends the messages that
    /// `answer` pushes. Returns false at the end of the connection.
    fn read(&mut self, mut answer: impl FnMut(Message, &mut Vec<Message>)) -> bool {
        let Some(mut input) = self.input() else {
            return false;
        };
        let (mut out, mut answers) = (Vec::new(), Vec::new());
        while let Some(event) = self
            .session
            .next(&mut input, BOUNDS, &mut self.buffers)
            .expect("ZMTP")
        {
            if let SessionEvent::Message(message) = event {
                answer(message, &mut answers);
            }
            for message in answers.drain(..) {
                self.put(message.frames(), message.len(), &mut out);
                self.buffers.recycle(message);
            }
        }
        self.buffers.give_back(input);
        out.is_empty() || self.writer.send(out).is_ok()
    }

    /// Appends a message of `count` frames to `out`, sealed if the connection uses CURVE.
    fn put<'a>(&mut self, frames: impl Iterator<Item = &'a [u8]>, count: usize, out: &mut Vec<u8>) {
        for (n, frame) in frames.enumerate() {
            let is_last = n + 1 == count;
            match &mut self.sealer {
                Some(sealer) => {
                    let kind = if is_last {
                        FrameKind::Last
                    } else {
                        FrameKind::More
                    };
                    sealer.seal(kind, frame, out).expect("nonces are left");
                }
                None => put_frame(out, if is_last { 0 } else { MORE }, frame),
            }
        }
    }

    /// Keeps [`WINDOW`] requests in flight until `end`, waits for all answers, and returns their
    /// number.
    fn ask(&mut self, payload: &[u8], end: Instant) -> usize {
        let request = [&b"BLOB"[..], payload];
        let (mut sent, mut answered) = (0, 0);
        loop {
            let more = match sent {
                0 => WINDOW,
                _ if Instant::now() < end => WINDOW - (sent - answered),
                _ => 0,
            };
            if more == 0 && answered == sent {
                return answered;
            }
            let mut out = Vec::new();
            for _ in 0..more {
                self.put(request.into_iter(), request.len(), &mut out);
            }
            sent += more;
            if !out.is_empty() {
                self.writer.send(out).expect("the writer");
            }
            let goes_on = self.read(|answer, _| {
                assert!(answer.get(1) == Some(payload), "a wrong answer");
                answered += 1;
            });
            assert!(goes_on, "the broker disconnected");
        }
    }
}

impl Broker {
    /// Starts a zmq_proxy of pyzmq. If `secret` contains a secret key, the proxy is a CURVE server.
    fn start_pyzmq(python: &OsString, secret: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/broker/proxy.py");
        let mut command = std::process::Command::new(python);
        command.arg(script).args(secret);
        Self::start_by(
            Kind::Proxy,
            command,
            tempfile::tempdir().expect("a directory"),
        )
    }

    /// Starts a gateway with the secret key `secret`, which admits only peers with the public key
    /// `peer`.
    fn start_secured(secret: &str, peer: PublicKey) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("secret"), secret).expect("a file");
        let security =
            format!(", security: {{ curve: {{ secret: secret, peers: {{ peer: \"{peer}\" }} }} }}");
        let command = gateway("native", &pool(&security), directory.path());
        Self::start_by(Kind::Native, command, directory)
    }
}
