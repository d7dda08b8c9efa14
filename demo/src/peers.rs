//! The clients, the worker, the publisher and the subscribers: plain ZeroMQ sockets, which need no
//! support for the gateway.

use std::error::Error;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use gateway::Reason;
use prost::Message;

use crate::messages::{Person, Rejection};

/// A result whose error may be of any kind.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The name of a person that makes a worker end without an answer.
pub const POISON: &str = "Poison";

/// The maximum time that a client waits for its answer, and a subscriber for a message, in
/// milliseconds.
const RECEIVE_TIMEOUT_MS: i32 = 10_000;

/// The answer to a client.
#[derive(Debug)]
pub enum Answer {
    /// The text of a worker's reply.
    Reply(String),
    /// A rejection by the gateway, in the encoding of the request.
    Rejected(Rejection),
}

impl Answer {
    /// Returns whether the gateway rejected the request for `reason`.
    pub fn is_rejected_for(&self, reason: Reason) -> bool {
        matches!(self, Self::Rejected(rejection) if rejection.reason == reason.label())
    }

    /// Returns the rejected field and the offset of its first wrong byte, if there are any.
    pub fn place(&self) -> (&str, Option<u64>) {
        match self {
            Self::Reply(_) => ("", None),
            Self::Rejected(rejection) => (&rejection.field, rejection.offset),
        }
    }
}

/// Connects a socket of type `kind` that waits for a message for at most [`RECEIVE_TIMEOUT_MS`].
fn connect(context: &zmq::Context, kind: zmq::SocketType, endpoint: &str) -> Result<zmq::Socket> {
    let socket = context.socket(kind)?;
    socket.set_rcvtimeo(RECEIVE_TIMEOUT_MS)?;
    socket.set_linger(0)?;
    socket.connect(endpoint)?;
    Ok(socket)
}

/// A client.
pub struct Client(zmq::Socket);

impl Client {
    /// Connects a socket of type `kind` to the gateway's frontend.
    pub fn connect(context: &zmq::Context, kind: zmq::SocketType, endpoint: &str) -> Result<Self> {
        connect(context, kind, endpoint).map(Self)
    }

    /// Sends `[type, payload]` and waits for the answer `[reply type, payload]`.
    pub fn ask(&self, kind: &str, payload: &[u8]) -> Result<Answer> {
        self.0.send_multipart([kind.as_bytes(), payload], 0)?;
        match &self.0.recv_multipart(0)?[..] {
            [reply, payload] if reply == b"ERROR" => {
                Ok(Answer::Rejected(Rejection::decode_for(kind, payload)?))
            }
            [_, payload] => Ok(Answer::Reply(String::from_utf8_lossy(payload).into_owned())),
            frames => Err(format!("expected two frames, got {}", frames.len()).into()),
        }
    }
}

/// A publisher.
pub struct Publisher(zmq::Socket);

impl Publisher {
    /// Connects a publisher to a channel, and waits until the gateway subscribes to its messages.
    pub fn connect(context: &zmq::Context, endpoint: &str) -> Result<Self> {
        let socket = connect(context, zmq::XPUB, endpoint)?;
        socket.recv_bytes(0)?;
        Ok(Self(socket))
    }

    /// Publishes `[type, payload]`.
    pub fn publish(&self, kind: &str, payload: &[u8]) -> Result<()> {
        Ok(self.0.send_multipart([kind.as_bytes(), payload], 0)?)
    }
}

/// A subscriber.
pub struct Subscriber(zmq::Socket);

impl Subscriber {
    /// Connects a subscriber to a channel.
    pub fn connect(context: &zmq::Context, endpoint: &str, prefix: &str) -> Result<Self> {
        let socket = connect(context, zmq::SUB, endpoint)?;
        socket.set_subscribe(prefix.as_bytes())?;
        Ok(Self(socket))
    }

    /// Waits for a message, and returns its payload.
    pub fn receive(&self) -> Result<Vec<u8>> {
        let mut frames = self.0.recv_multipart(0)?;
        frames
            .pop()
            .ok_or_else(|| "a message without frames".into())
    }
}

/// A worker on a thread of its own. The thread ends when the worker receives [`POISON`], or with
/// the process.
pub struct Worker {
    types_taken: Receiver<String>,
}

impl Worker {
    /// Connects a worker to the gateway's pool.
    pub fn start(context: &zmq::Context, endpoint: &str) -> Result<Self> {
        let socket = context.socket(zmq::DEALER)?;
        socket.connect(endpoint)?;
        let (taken, types_taken) = mpsc::channel();
        thread::spawn(move || {
            if let Err(error) = work(&socket, &taken) {
                eprintln!("worker: {error}");
            }
        });
        Ok(Self { types_taken })
    }

    /// Returns whether the worker has taken exactly one request since the last call, and the type
    /// of that request is `kind`.
    pub fn took(&self, kind: &str) -> bool {
        self.types_taken.try_iter().eq([kind])
    }
}

/// Answers `[identity, type, payload]` with `[identity, REPLY, text]`, until it receives
/// [`POISON`].
fn work(socket: &zmq::Socket, taken: &Sender<String>) -> Result<()> {
    loop {
        let frames = socket.recv_multipart(0)?;
        let [identity, kind, payload] = &frames[..] else {
            return Err(format!("expected three frames, got {}", frames.len()).into());
        };
        let kind = String::from_utf8_lossy(kind).into_owned();
        let (encoding, person) = match &*kind {
            "PROTOBUF" => ("Protobuf", Person::decode(&payload[..])?),
            "MSGPACK" => ("MsgPack", rmp_serde::from_slice(payload)?),
            _ => ("Json", serde_json::from_slice(payload)?),
        };
        taken.send(kind)?;
        if person.name == POISON {
            return Ok(());
        }
        let text = format!("Processed {encoding}: {}", person.name);
        socket.send_multipart([&identity[..], b"REPLY", text.as_bytes()], 0)?;
    }
}
