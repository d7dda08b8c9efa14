//! The clients and workers of `load.rs`, on sockets of libzmq, which most users use.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The time without a request after which a worker checks whether it must end, in milliseconds.
const END_CHECK_MS: i32 = 50;

/// The maximum time to wait for an answer, in milliseconds.
const ANSWER_TIMEOUT_MS: i32 = 20_000;

/// A worker on a thread, which ends when this value is dropped.
pub struct Worker {
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread has printed its panic, if any, on standard error.
            let _ = thread.join();
        }
    }
}

/// Starts a worker that returns every message as it is.
pub fn echo(endpoint: &str) -> Worker {
    let ending = Arc::new(AtomicBool::new(false));
    let (must_end, endpoint) = (Arc::clone(&ending), endpoint.to_owned());
    let thread = thread::spawn(move || {
        let socket = connect(&endpoint, END_CHECK_MS);
        while !must_end.load(Ordering::Relaxed) {
            match socket.recv_multipart(0) {
                Ok(frames) => socket
                    .send_multipart(frames, 0)
                    .expect("the message is sent"),
                Err(zmq::Error::EAGAIN) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    Worker {
        ending,
        thread: Some(thread),
    }
}

/// Runs a client that keeps `window` requests in flight until `end`. Returns the number of answers,
/// and their latencies.
pub fn client(
    endpoint: &str,
    frames: &[Vec<u8>],
    window: usize,
    end: Instant,
) -> (usize, Vec<Duration>) {
    let socket = connect(endpoint, ANSWER_TIMEOUT_MS);
    let mut sent_at = VecDeque::new();
    let mut latencies = Vec::new();
    let ask = |sent_at: &mut VecDeque<Instant>| {
        sent_at.push_back(Instant::now());
        socket
            .send_multipart(frames, 0)
            .expect("the message is sent");
    };
    for _ in 0..window {
        ask(&mut sent_at);
    }
    while let Some(at) = sent_at.pop_front() {
        let answer = socket.recv_multipart(0).expect("an answer");
        assert!(answer == frames, "a wrong answer");
        latencies.push(at.elapsed());
        if Instant::now() < end {
            ask(&mut sent_at);
        }
    }
    (latencies.len(), latencies)
}

fn connect(endpoint: &str, receive_timeout_ms: i32) -> zmq::Socket {
    let socket = zmq::Context::new().socket(zmq::DEALER).expect("a socket");
    socket.set_linger(0).expect("an option");
    socket.set_sndhwm(0).expect("an option");
    socket.set_rcvhwm(0).expect("an option");
    socket.set_rcvtimeo(receive_timeout_ms).expect("an option");
    socket.connect(endpoint).expect("an endpoint");
    socket
}
