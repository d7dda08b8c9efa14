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

/// The maximum time of a round trip during an attack, even on a busy machine. It is far shorter
/// than any timeout of the gateway.
pub const ROUND_TRIP_MAX: Duration = Duration::from_secs(5);

/// The pause between an answer and the next request of the honest client. Without this pause, the
/// honest peers themselves would keep both cores busy.
const REQUEST_PAUSE: Duration = Duration::from_millis(1);

/// The maximum median of the round trips.
pub const MEDIAN_MAX: Duration = Duration::from_millis(500);

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
    /// Dropping this sender ends the client.
    stop_client: Sender<()>,
    client: JoinHandle<Vec<Duration>>,
    /// Setting this flag ends the worker.
    stop_worker: Arc<AtomicBool>,
    worker: JoinHandle<()>,
}

impl Service {
    pub fn start(gateway: &Process) -> Self {
        let context = zmq::Context::new();
        let stop_worker = Arc::new(AtomicBool::new(false));
        let worker = gateway.peer(&context, zmq::DEALER, PEOPLE);
        let stopped = Arc::clone(&stop_worker);
        let worker = std::thread::spawn(move || echo(&worker, &stopped));
        let client = gateway.peer(&context, zmq::DEALER, CLIENTS);
        let (stop_client, stopped) = channel();
        let (answered, first_answered) = channel();
        let client = std::thread::spawn(move || {
            let mut times = Vec::new();
            loop {
                let sent = Instant::now();
                let number = times.len().to_string();
                let frames = [b"OPAQUE", number.as_bytes(), b"x"];
                client.send_multipart(frames, 0).unwrap();
                let reply = client.recv_multipart(0).expect("an answer");
                assert_eq!(reply, [b"REPLY", number.as_bytes(), b"x"]);
                times.push(sent.elapsed());
                let _ = answered.send(());
                if stopped.recv_timeout(REQUEST_PAUSE) == Err(RecvTimeoutError::Disconnected) {
                    break times;
                }
            }
        });
        first_answered.recv().unwrap();
        Self {
            stop_client,
            client,
            stop_worker,
            worker,
        }
    }

    /// Ends the service, and asserts that every request was answered promptly. Returns the time
    /// within which 99 % of the requests were answered.
    #[track_caller]
    pub fn end(self) -> Duration {
        drop(self.stop_client);
        let times = self.client.join().unwrap();
        // The first request also waited for the connection.
        let mut later = times[1..].to_vec();
        later.sort();
        let median = later.get(later.len() / 2).copied().unwrap_or_default();
        let (count, worst) = (times.len(), times.iter().copied().max().unwrap());
        self.stop_worker.store(true, Ordering::Relaxed);
        self.worker.join().unwrap();
        let p99 = later.get(later.len() * 99 / 100).copied();
        let p99 = p99.unwrap_or_default();
        println!(
            "served {count} meanwhile, half of them within {median:?}, 99 % within {} us, the slowest in {worst:?}",
            p99.as_micros()
        );
        assert!(
            worst < ROUND_TRIP_MAX,
            "the slowest of {count} took {worst:?}"
        );
        assert!(
            median < MEDIAN_MAX,
            "half of {count} took {median:?} or more"
        );
        p99
    }
}

/// Asserts that the gateway's memory never grows by `mib_max` MiB during `attack`, and that honest
/// peers are served meanwhile. Returns the result of `attack`.
#[track_caller]
pub fn assert_bounded<T>(gateway: &Process, mib_max: usize, attack: impl FnOnce() -> T) -> T {
    let service = Service::start(gateway);
    let before = gateway.forget_peak();
    let result = attack();
    let after = gateway.peak();
    service.end();
    let grown = after.saturating_sub(before) >> 10;
    println!("memory grew by {grown} MiB");
    assert!(grown < mib_max, "memory grew by {grown} MiB");
    result
}

/// Asserts that honest peers are served.
#[track_caller]
pub fn assert_serves(gateway: &Process) {
    Service::start(gateway).end();
}

/// Sends a request that the gateway rejects, and waits for the rejection. When this function
/// returns, the gateway has read the bytes that other peers sent earlier.
#[track_caller]
pub fn await_rejection(gateway: &Process) {
    let mut raw = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    raw.send(&message(&["NONE", "x"]));
    assert_eq!(raw.receive_message()[0], b"ERROR");
}

/// Reads and drops everything that the gateway sends, on a thread, until the end of the connection.
pub fn drain(raw: &Raw) -> JoinHandle<()> {
    let mut stream = raw.stream.try_clone().unwrap();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    })
}
