//! A broker with the minimum cost on this machine: one thread that waits for events, checks each
//! payload, and copies messages from the read buffer to the buffer of the other peer.
//!
//! The forwarder shows which part of a round trip the kernel and the check take. It is no gateway.
//! Every peer is trusted and sends only messages after its READY, as the peers of [`crate::zmtp`]
//! and of libzmq do here. No request has a deadline, the workers receive requests in turn, and
//! clients that disconnect are not noticed.

use std::io::{self, Read, Write};
use std::time::Duration;

use gateway_schema::Schema;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::zmtp;

const CLIENTS: Token = Token(0);
const WORKERS: Token = Token(1);
/// The token of the first connection.
const FIRST_CONNECTION: usize = 2;

/// The maximum number of bytes of one read.
const CHUNK_MAX: usize = 256 << 10;

/// The size of the greeting that every peer sends first, in bytes. The READY command of a DEALER
/// follows.
const GREETING: usize = 64;

/// The maximum number of nested levels of messages that the check accepts.
const DEPTH_MAX: u32 = 100;

struct Connection {
    stream: TcpStream,
    is_worker: bool,
    /// Set once the peer's greeting and its READY have been read.
    is_ready: bool,
    /// The received bytes of a message that is not complete yet.
    input: Vec<u8>,
    output: Vec<u8>,
}

struct Forwarder {
    connections: Vec<Connection>,
    workers: Vec<usize>,
    /// The worker that receives the next request.
    turn: usize,
    /// The requests that arrived while no worker was connected, encoded as a worker receives them.
    queued: Vec<u8>,
    schema: Schema,
    chunk: Vec<u8>,
}

/// Serves until the process is killed.
pub fn run(schema: Schema) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let any = "127.0.0.1:0".parse().expect("an address");
    let mut listeners = [TcpListener::bind(any)?, TcpListener::bind(any)?];
    for (listener, token) in listeners.iter_mut().zip([CLIENTS, WORKERS]) {
        poll.registry()
            .register(listener, token, Interest::READABLE)?;
        println!("tcp://{}", listener.local_addr()?);
    }
    let mut forwarder = Forwarder {
        connections: Vec::new(),
        workers: Vec::new(),
        turn: 0,
        queued: Vec::new(),
        schema,
        chunk: vec![0; CHUNK_MAX],
    };
    let mut events = Events::with_capacity(1024);
    loop {
        poll.poll(&mut events, None::<Duration>)?;
        for event in &events {
            match event.token() {
                CLIENTS => forwarder.accept(&poll, &listeners[0], false)?,
                WORKERS => forwarder.accept(&poll, &listeners[1], true)?,
                Token(at) if event.is_readable() => forwarder.read(at - FIRST_CONNECTION)?,
                Token(_) => {}
            }
        }
        for connection in &mut forwarder.connections {
            connection.flush()?;
        }
    }
}

impl Forwarder {
    fn accept(&mut self, poll: &Poll, listener: &TcpListener, is_worker: bool) -> io::Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let at = self.connections.len();
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry()
                .register(&mut stream, Token(FIRST_CONNECTION + at), both)?;
            self.connections.push(Connection {
                stream,
                is_worker,
                is_ready: false,
                input: Vec::new(),
                output: zmtp::hello(b"ROUTER"),
            });
        }
    }

    /// Reads until no bytes are left, and forwards each whole message.
    fn read(&mut self, at: usize) -> io::Result<()> {
        let mut chunk = std::mem::take(&mut self.chunk);
        let done = loop {
            let connection = &mut self.connections[at];
            match connection.stream.read(&mut chunk) {
                // The load has ended, so its workers receive no more requests.
                Ok(0) => {
                    self.workers.retain(|worker| *worker != at);
                    break Ok(());
                }
                Ok(n) => {
                    let is_all = n < chunk.len();
                    self.take(at, &chunk[..n]);
                    if is_all {
                        break Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    self.workers.retain(|worker| *worker != at);
                    break Ok(());
                }
                Err(error) => break Err(error),
            }
        };
        self.chunk = chunk;
        done
    }

    /// Forwards all complete messages, and keeps the bytes after the last message. If no bytes were
    /// kept before, the messages are copied directly from `new`.
    fn take(&mut self, at: usize, new: &[u8]) {
        let mut kept = std::mem::take(&mut self.connections[at].input);
        let bytes = match kept.is_empty() {
            true => new,
            false => {
                kept.extend_from_slice(new);
                &kept[..]
            }
        };
        let mut done = 0;
        if !self.connections[at].is_ready {
            let Some(length) = handshake(bytes) else {
                self.connections[at].input = bytes.to_vec();
                return;
            };
            done = length;
            self.connections[at].is_ready = true;
            if self.connections[at].is_worker {
                self.workers.push(at);
                self.connections[at].output.append(&mut self.queued);
            }
        }
        while let Some(message) = Message::first(&bytes[done..]) {
            self.forward(at, &bytes[done..done + message.length], &message);
            done += message.length;
        }
        self.connections[at].input = bytes[done..].to_vec();
    }

    fn forward(&mut self, from: usize, bytes: &[u8], message: &Message) {
        if self.connections[from].is_worker {
            // The first frame is the client's identity, and the frames for the client follow.
            let identity = &bytes[2..message.first_end];
            let client = u32::from_be_bytes(identity.try_into().expect("our identity")) as usize;
            let output = &mut self.connections[client].output;
            output.extend_from_slice(&bytes[message.first_end..]);
        } else {
            let payload = &bytes[message.last_body..];
            assert!(
                self.schema.check(payload, DEPTH_MAX).is_ok(),
                "a bad payload"
            );
            let output = if self.workers.is_empty() {
                &mut self.queued
            } else {
                let worker = self.workers[self.turn % self.workers.len()];
                self.turn += 1;
                &mut self.connections[worker].output
            };
            output.extend_from_slice(&[1, 4]);
            output.extend_from_slice(&(from as u32).to_be_bytes());
            output.extend_from_slice(bytes);
        }
    }
}

impl Connection {
    fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        while written < self.output.len() {
            match self.stream.write(&self.output[written..]) {
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The peer has disconnected.
                Err(_) => written = self.output.len(),
            }
        }
        self.output.drain(..written);
        Ok(())
    }
}

/// Returns the length of a peer's greeting and READY together, or `None` until both have arrived.
fn handshake(bytes: &[u8]) -> Option<usize> {
    let size = usize::from(*bytes.get(GREETING + 1)?);
    let length = GREETING + 2 + size;
    (bytes.len() >= length).then_some(length)
}

/// The positions of the parts of a message.
struct Message {
    length: usize,
    /// The end of the first frame.
    first_end: usize,
    /// The start of the last frame's body.
    last_body: usize,
}

impl Message {
    /// Returns the first message in `bytes`, or `None` until it has arrived completely.
    fn first(bytes: &[u8]) -> Option<Self> {
        let mut at = 0;
        let mut first_end = 0;
        loop {
            let flags = *bytes.get(at)?;
            let (header, size) = match flags & 2 {
                0 => (2, usize::from(*bytes.get(at + 1)?)),
                _ => {
                    let size = bytes.get(at + 1..at + 9)?.try_into().ok()?;
                    (9, usize::try_from(u64::from_be_bytes(size)).ok()?)
                }
            };
            let last_body = at + header;
            at = last_body + size;
            if bytes.len() < at {
                return None;
            }
            if first_end == 0 {
                first_end = at;
            }
            if flags & 1 == 0 {
                return Some(Self {
                    length: at,
                    first_end,
                    last_body,
                });
            }
        }
    }
}
