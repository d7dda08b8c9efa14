//! Sockets of libzmq with limited waiting times, and the messages that are sent over them.

use std::sync::atomic::{AtomicBool, Ordering};

use gateway::reply::Reason;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The time in milliseconds that a message may take before a test fails. No test waits that long if
/// nothing is wrong.
pub const TEST_TIMEOUT_MS: i32 = 20_000;

/// Returns a socket whose sends and receives have a time limit. Closing the socket does not wait.
pub fn socket(context: &zmq::Context, kind: zmq::SocketType) -> zmq::Socket {
    let socket = context.socket(kind).unwrap();
    socket.set_rcvtimeo(TEST_TIMEOUT_MS).unwrap();
    socket.set_sndtimeo(TEST_TIMEOUT_MS).unwrap();
    socket.set_linger(0).unwrap();
    socket
}

/// Returns a socket like [`socket`], connected to `endpoint`.
pub fn connected(context: &zmq::Context, kind: zmq::SocketType, endpoint: &str) -> zmq::Socket {
    let socket = socket(context, kind);
    socket.connect(endpoint).unwrap();
    socket
}

/// Returns a connected DEALER with an identity.
pub fn named(context: &zmq::Context, identity: &[u8], endpoint: &str) -> zmq::Socket {
    let socket = socket(context, zmq::DEALER);
    socket.set_identity(identity).unwrap();
    socket.connect(endpoint).unwrap();
    socket
}

pub type Frames = Vec<Vec<u8>>;

pub fn send<F: AsRef<[u8]>>(socket: &zmq::Socket, frames: &[F]) {
    socket
        .send_multipart(frames.iter().map(AsRef::as_ref), 0)
        .unwrap();
}

#[track_caller]
pub fn receive(socket: &zmq::Socket) -> Frames {
    socket.recv_multipart(0).expect("a message in time")
}

/// Returns the frames of a message as text.
pub fn texts(frames: &[Vec<u8>]) -> Vec<String> {
    let text = |frame: &Vec<u8>| String::from_utf8_lossy(frame).into_owned();
    frames.iter().map(text).collect()
}

/// Receives a request as the worker, and answers it with the type `REPLY`, the request's headers
/// and `payload`. Returns the request.
#[track_caller]
pub fn answer(worker: &zmq::Socket, payload: &[u8]) -> Frames {
    let request = receive(worker);
    let mut reply = vec![request[0].clone(), b"REPLY".to_vec()];
    reply.extend_from_slice(&request[2..request.len() - 1]);
    reply.push(payload.to_vec());
    send(worker, &reply);
    request
}

/// A rejection, decoded from its MessagePack or JSON payload.
#[derive(Debug, Deserialize)]
pub struct Error {
    pub code: i32,
    pub message: String,
    pub reason: String,
    /// Always `gateway`. This distinguishes a rejection from an ERROR of a worker.
    pub domain: String,
    #[serde(default)]
    pub field: String,
    pub offset: Option<u64>,
    pub generation: u64,
}

/// Decodes the payload of a rejection, in JSON or in MessagePack.
#[track_caller]
pub fn read_rejection<T: DeserializeOwned>(payload: &[u8]) -> T {
    match payload.first() {
        Some(b'{') => serde_json::from_slice(payload).unwrap(),
        _ => rmp_serde::from_slice(payload).unwrap(),
    }
}

/// Receives an ERROR with these headers, whose payload is JSON or MessagePack.
#[track_caller]
pub fn rejection(socket: &zmq::Socket, headers: &[&str]) -> Error {
    let frames = receive(socket);
    let (kind, rest) = frames.split_first().unwrap();
    let (payload, found) = rest.split_last().unwrap();
    assert_eq!(kind, b"ERROR", "{:?}", texts(&frames));
    assert_eq!(texts(found), headers);
    read_rejection(payload)
}

/// Receives a rejection, asserts that it has this reason, and returns it.
#[track_caller]
pub fn rejected(socket: &zmq::Socket, headers: &[&str], reason: Reason) -> Error {
    let error = rejection(socket, headers);
    assert_eq!(error.reason, reason.label(), "{error:?}");
    assert_eq!((error.code, &*error.domain), (reason.code(), "gateway"));
    assert!(error.generation > 0);
    error
}

/// Returns the reason of a rejection in JSON or MessagePack, or the type of another answer.
#[track_caller]
pub fn reason_or_type(frames: &[Vec<u8>]) -> String {
    #[derive(Deserialize)]
    struct Rejection {
        reason: String,
    }
    if frames[0] != b"ERROR" {
        return String::from_utf8_lossy(&frames[0]).into_owned();
    }
    let rejection: Rejection = read_rejection(frames.last().unwrap());
    rejection.reason
}

/// Answers each request with the request's headers and payload, until `done` is set.
pub fn echo(worker: &zmq::Socket, done: &AtomicBool) {
    worker.set_rcvtimeo(50).unwrap();
    while !done.load(Ordering::SeqCst) {
        if let Ok(mut frames) = worker.recv_multipart(0) {
            frames[1] = b"REPLY".to_vec();
            worker.send_multipart(frames, 0).unwrap();
        }
    }
}

/// A guard that sets a flag when it is dropped, even if the test fails, so that the other threads
/// of the test end.
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
