//! A client to copy, and a program that uses it: `cargo run --example calls [ADDRESS…]`, with
//! `gateway` and a worker running. It needs the crates `zmq` and `serde_json`.
//!
//! Each request carries a number as a header, which the gateway and the workers return. Answers may
//! therefore arrive in any order, and a late answer is never taken for the answer to another
//! request. With several addresses, each request goes to a gateway that is connected.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The reason why a call has no answer from a worker.
#[derive(Debug)]
enum Error {
    /// The answer is an ERROR, from the gateway or from the worker itself. The value is the payload
    /// as JSON, or null if the payload is in another encoding.
    Rejected(Value),
    /// No answer arrived in time.
    Timeout,
    Socket(zmq::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(details) => write!(
                f,
                "rejected, {}: {}",
                details["reason"].as_str().unwrap_or("by the worker"),
                details["message"].as_str().unwrap_or_default()
            ),
            Self::Timeout => f.write_str("no answer: are the gateway and a worker running?"),
            Self::Socket(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<zmq::Error> for Error {
    fn from(error: zmq::Error) -> Self {
        match error {
            zmq::Error::EAGAIN => Self::Timeout,
            error => Self::Socket(error),
        }
    }
}

/// A client, which belongs to one thread.
struct Client {
    socket: zmq::Socket,
    /// The number of the last request.
    last: u64,
    /// The requests whose answers are still wanted, with the answers that have arrived.
    waiting: HashMap<u64, Option<Result<Vec<u8>, Error>>>,
    timeout: Duration,
}

impl Client {
    fn connect(
        context: &zmq::Context,
        addresses: &[String],
        timeout: Duration,
    ) -> Result<Self, Error> {
        let socket = context.socket(zmq::DEALER)?;
        socket.set_linger(0)?;
        // Otherwise, a socket with several addresses would queue every second request for a gateway
        // that is down.
        socket.set_immediate(true)?;
        socket.set_sndtimeo(timeout.as_millis() as i32)?;
        for address in addresses {
            socket.connect(address)?;
        }
        Ok(Self {
            socket,
            last: 0,
            waiting: HashMap::new(),
            timeout,
        })
    }

    /// Sends a request, and returns the number by which [`Self::answer`] waits for the answer.
    fn send(&mut self, kind: &str, payload: &[u8]) -> Result<u64, Error> {
        self.last += 1;
        let number = self.last.to_string();
        let frames = [kind.as_bytes(), number.as_bytes(), payload];
        self.socket.send_multipart(frames, 0)?;
        self.waiting.insert(self.last, None);
        Ok(self.last)
    }

    /// Returns the payload of the answer to a request, however many other answers arrive before it.
    fn answer(&mut self, number: u64) -> Result<Vec<u8>, Error> {
        let deadline = Instant::now() + self.timeout;
        loop {
            if let Some(Some(_)) = self.waiting.get(&number) {
                return self
                    .waiting
                    .remove(&number)
                    .flatten()
                    .unwrap_or(Err(Error::Timeout));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            self.socket.set_rcvtimeo(left.as_millis() as i32)?;
            match self.socket.recv_multipart(0) {
                Ok(frames) => self.record(&frames),
                Err(error) => {
                    self.waiting.remove(&number);
                    return Err(error.into());
                }
            }
        }
    }

    fn record(&mut self, frames: &[Vec<u8>]) {
        let [kind, .., number, payload] = frames else {
            return;
        };
        let number = std::str::from_utf8(number).ok();
        let number = number.and_then(|number| number.parse().ok());
        // The request of a late answer is no longer in the map.
        let Some(waiting) = number.and_then(|number| self.waiting.get_mut(&number)) else {
            return;
        };
        *waiting = Some(match &**kind {
            b"ERROR" => Err(Error::Rejected(
                serde_json::from_slice(payload).unwrap_or_default(),
            )),
            _ => Ok(payload.clone()),
        });
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut addresses: Vec<String> = std::env::args().skip(1).collect();
    if addresses.is_empty() {
        addresses.push("tcp://127.0.0.1:5559".to_owned());
    }
    let context = zmq::Context::new();
    let mut client = Client::connect(&context, &addresses, Duration::from_secs(30))?;
    let mut sent = Vec::new();
    for name in ["Ann", "Bob", "Cid"] {
        let person = serde_json::json!({ "name": name }).to_string();
        sent.push((name, client.send("PERSON", person.as_bytes())?));
    }
    for (name, number) in sent {
        let answer = client.answer(number)?;
        println!("{name}: {}", String::from_utf8_lossy(&answer));
    }
    let number = client.send("PERSON", b"{}")?;
    if let Err(error) = client.answer(number) {
        println!("{error}");
    }
    Ok(())
}
