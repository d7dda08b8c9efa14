//! Hostile peers that attack the binary. Honest peers must be served meanwhile, and memory must
//! stay bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::process::Process;
use super::sockets::echo;
use super::zmtp::{Raw, message};

pub const CLIENTS: &str = "frontend clients";
pub const PEOPLE: &str = "pool people";
/// A pool without honest peers.
pub const IDLE: &str = "pool idle";

/// The maximum round trip during an attack on a busy machine, which is far less than any deadline.
pub const PROMPT: Duration = Duration::from_secs(5);

/// The time between an answer and the next request of the honest client. Without it, the honest
/// peers themselves would keep both cores busy.
const PACE: Duration = Duration::from_millis(1);

/// The maximum median of the round trips.
pub const USUAL: Duration = Duration::from_millis(500);

pub fn yaml(more: &str) -> String {
    format!(
        r#"
engine: native
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0" }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0" }}, idle: {{ bind: "tcp://127.0.0.1:0" }} }}
routes: {{ OPAQUE: {{ pool: people }}, OTHER: {{ pool: idle }} }}
{more}
"#
    )
}

/// Honest peers: a client that sends one request after the other, and a worker that answers.
pub struct Service {
    /// Ends the client when it is dropped.
    going: Sender<()>,
    client: JoinHandle<Vec<Duration>>,
    /// Ends the worker.
    done: Arc<AtomicBool>,
    worker: JoinHandle<()>,
}

impl Service {
    pub fn start(gateway: &Process) -> Self {
        let context = zmq::Context::new();
        let done = Arc::new(AtomicBool::new(false));
        let worker = gateway.peer(&context, zmq::DEALER, PEOPLE);
        let ended = Arc::clone(&done);
        let worker = std::thread::spawn(move || echo(&worker, &ended));
        let client = gateway.peer(&context, zmq::DEALER, CLIENTS);
        let (going, end) = channel();
        let (began, begin) = channel();
        let client = std::thread::spawn(move || {
            let mut took = Vec::new();
            loop {
                let sent = Instant::now();
                let number = took.len().to_string();
                let frames = [b"OPAQUE", number.as_bytes(), b"x"];
                client.send_multipart(frames, 0).unwrap();
                let reply = client.recv_multipart(0).expect("an answer");
                assert_eq!(reply, [b"REPLY", number.as_bytes(), b"x"]);
                took.push(sent.elapsed());
                let _ = began.send(());
                if end.recv_timeout(PACE) == Err(RecvTimeoutError::Disconnected) {
                    break took;
                }
            }
        });
        begin.recv().unwrap();
        Self {
            going,
            client,
            done,
            worker,
        }
    }

    /// Ends the service, and asserts that every request was answered promptly. Returns the time
    /// within which 99 % of them were.
    #[track_caller]
    pub fn end(self) -> Duration {
        drop(self.going);
        let took = self.client.join().unwrap();
        // The first request also waited for the connection.
        let mut others = took[1..].to_vec();
        others.sort();
        let median = others.get(others.len() / 2).copied().unwrap_or_default();
        let (count, worst) = (took.len(), took.iter().copied().max().unwrap());
        self.done.store(true, Ordering::Relaxed);
        self.worker.join().unwrap();
        let p99 = others.get(others.len() * 99 / 100).copied();
        let p99 = p99.unwrap_or_default();
        println!(
            "served {count} meanwhile, half of them within {median:?}, 99 % within {} us, the slowest in {worst:?}",
            p99.as_micros()
        );
        assert!(worst < PROMPT, "the slowest of {count} took {worst:?}");
        assert!(median < USUAL, "half of {count} took {median:?} or more");
        p99
    }
}

/// Asserts that the gateway's memory grows by less than `most` MiB at any moment of `attack`, and
/// that honest peers are served meanwhile.
#[track_caller]
pub fn bounded<T>(gateway: &Process, most: usize, attack: impl FnOnce() -> T) -> T {
    let service = Service::start(gateway);
    let before = gateway.forget_peak();
    let held = attack();
    let after = gateway.peak();
    service.end();
    let grown = after.saturating_sub(before) >> 10;
    println!("memory grew by {grown} MiB");
    assert!(grown < most, "memory grew by {grown} MiB");
    held
}

/// Asserts that honest peers are served.
#[track_caller]
pub fn serves(gateway: &Process) {
    Service::start(gateway).end();
}

/// Sends a request that the gateway rejects, and waits for the rejection. By then, the gateway has
/// read earlier bytes of other peers.
#[track_caller]
pub fn await_rejection(gateway: &Process) {
    let mut raw = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    raw.say(&message(&["NONE", "x"]));
    assert_eq!(raw.hear_message()[0], b"ERROR");
}

/// Reads and drops everything that the gateway sends, on a thread, until the end of the connection.
pub fn drain(raw: &Raw) -> JoinHandle<()> {
    let mut stream = raw.stream.try_clone().unwrap();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    })
}
