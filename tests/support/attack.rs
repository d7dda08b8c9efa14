//! Peers that do their worst against the real binary, and honest ones beside them: memory stays bounded, and the
//! honest are served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::process::Process;
use super::sockets::echo;
use super::zmtp::{Raw, message};

pub const CLIENTS: &str = "frontend clients";
pub const PEOPLE: &str = "pool people";
/// A pool that no honest peer is of.
pub const IDLE: &str = "pool idle";

/// What a round trip may take while others do their worst, on a busy machine: far less than any deadline.
pub const PROMPT: Duration = Duration::from_secs(5);

/// What half of the round trips may take at most.
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

/// Honest peers: a client that asks all the time, and a worker that answers.
pub struct Service {
    /// The client's end, and the worker's, which comes after it.
    done: [Arc<AtomicBool>; 2],
    client: JoinHandle<Vec<Duration>>,
    worker: JoinHandle<()>,
}

impl Service {
    pub fn start(gateway: &Process) -> Self {
        let context = zmq::Context::new();
        let done = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let worker = gateway.peer(&context, zmq::DEALER, PEOPLE);
        let ended = Arc::clone(&done[1]);
        let worker = std::thread::spawn(move || echo(&worker, &ended));
        let client = gateway.peer(&context, zmq::DEALER, CLIENTS);
        let ended = Arc::clone(&done[0]);
        let (began, begin) = std::sync::mpsc::channel();
        let client = std::thread::spawn(move || {
            let mut took = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let sent = Instant::now();
                let number = took.len().to_string();
                let frames = [b"OPAQUE", number.as_bytes(), b"x"];
                client.send_multipart(frames, 0).unwrap();
                let reply = client.recv_multipart(0).expect("an answer");
                assert_eq!(reply, [b"REPLY", number.as_bytes(), b"x"]);
                took.push(sent.elapsed());
                let _ = began.send(());
            }
            took
        });
        begin.recv().unwrap();
        Self {
            done,
            client,
            worker,
        }
    }

    /// Ends; every request so far was answered, and promptly.
    #[track_caller]
    pub fn end(self) {
        let [client, worker] = &self.done;
        client.store(true, Ordering::Relaxed);
        let took = self.client.join().unwrap();
        // The first one waited to be let in, too.
        let mut others = took[1..].to_vec();
        others.sort();
        let median = others.get(others.len() / 2).copied().unwrap_or_default();
        let (count, worst) = (took.len(), took.iter().copied().max().unwrap());
        worker.store(true, Ordering::Relaxed);
        self.worker.join().unwrap();
        println!(
            "served {count} meanwhile, half of them within {median:?}, the slowest in {worst:?}"
        );
        assert!(worst < PROMPT, "the slowest of {count} took {worst:?}");
        assert!(median < USUAL, "half of {count} took {median:?} or more");
    }
}

/// Holds the gateway's memory to grow by less than `most` MiB, at any moment, while `attack` goes on beside honest
/// peers.
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

/// A client that no test is about is served.
#[track_caller]
pub fn serves(gateway: &Process) {
    Service::start(gateway).end();
}

/// What the gateway answers by itself, once it has taken in what others said before.
#[track_caller]
pub fn is_refused(gateway: &Process) {
    let mut raw = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    raw.say(&message(&["NONE", "x"]));
    assert_eq!(raw.hear_message()[0], b"ERROR");
}

/// Reads and drops all that the gateway says, on a thread, until it hangs up.
pub fn drain(raw: &Raw) -> JoinHandle<()> {
    let mut stream = raw.stream.try_clone().unwrap();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    })
}
