//! A ZMTP peer over TCP that sends exactly the bytes that a test wants.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use super::TEST_TIMEOUT;

pub const MORE: u8 = 1;
pub const LONG: u8 = 2;
pub const COMMAND: u8 = 4;

/// A message or a command that the gateway has sent, or the end of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    Message(Vec<Vec<u8>>),
    Command(Vec<u8>),
    /// The end of the connection, by a close or a reset.
    End,
}

pub struct Raw {
    pub stream: TcpStream,
}

impl Raw {
    /// Opens a connection, and sends nothing.
    pub fn connect(endpoint: &str) -> Self {
        let address = endpoint.strip_prefix("tcp://").unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        Self { stream }
    }

    /// Opens a connection, and completes the handshake as this socket type.
    pub fn peer(endpoint: &str, socket_type: &str) -> Self {
        let mut raw = Self::connect(endpoint);
        raw.send(&greeting(1));
        raw.send(&command(&ready(socket_type, &[])));
        raw.receive_greeting();
        let said = raw.receive();
        assert!(
            matches!(&said, Received::Command(body) if body.starts_with(b"\x05READY")),
            "{said:?}"
        );
        raw
    }

    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends bytes to a gateway that may have closed the connection. Returns whether they were
    /// sent.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    #[track_caller]
    pub fn receive_greeting(&mut self) {
        let mut theirs = [0; 64];
        self.stream.read_exact(&mut theirs).unwrap();
        assert_eq!(theirs, greeting(1), "ZMTP 3.1, NULL");
    }

    /// Receives the greeting of either engine. libzmq writes bytes for versions before ZMTP 3 into
    /// the padding, so the padding is ignored.
    #[track_caller]
    pub fn receive_greeting_of_any_engine(&mut self) {
        let mut theirs = [0; 64];
        self.stream.read_exact(&mut theirs).unwrap();
        theirs[1..9].fill(0);
        assert_eq!(theirs, greeting(1), "ZMTP 3.1, NULL");
    }

    /// Receives the next message or command.
    #[track_caller]
    pub fn receive(&mut self) -> Received {
        let mut frames = Vec::new();
        loop {
            let Some((flags, body)) = self.frame() else {
                return Received::End;
            };
            if flags & COMMAND != 0 {
                return Received::Command(body);
            }
            frames.push(body);
            if flags & MORE == 0 {
                return Received::Message(frames);
            }
        }
    }

    #[track_caller]
    pub fn receive_message(&mut self) -> Vec<Vec<u8>> {
        match self.receive() {
            Received::Message(frames) => frames,
            other => panic!("{other:?}"),
        }
    }

    /// Receives an ERROR and the end of the connection, and returns the reason.
    #[track_caller]
    pub fn receive_error(&mut self) -> String {
        let reason = match self.receive() {
            Received::Command(body) => body
                .strip_prefix(b"\x05ERROR")
                .map(|reason| String::from_utf8(reason[1..].to_vec()).unwrap()),
            other => panic!("{other:?}"),
        };
        let reason = reason.expect("an ERROR");
        assert_eq!(self.receive(), Received::End);
        reason
    }

    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let [flags] = self.take::<1>()?;
        assert_eq!(flags & !(MORE | LONG | COMMAND), 0);
        let size = match flags & LONG {
            0 => u64::from(self.take::<1>()?[0]),
            _ => u64::from_be_bytes(self.take::<8>()?),
        };
        let mut body = vec![0; size as usize];
        match self.stream.read_exact(&mut body) {
            Ok(()) => Some((flags, body)),
            Err(error) => ended(&error),
        }
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        match self.stream.read_exact(&mut bytes) {
            Ok(()) => Some(bytes),
            Err(error) => ended(&error),
        }
    }
}

#[track_caller]
fn ended<T>(error: &std::io::Error) -> Option<T> {
    let ends = [
        ErrorKind::UnexpectedEof,
        ErrorKind::ConnectionReset,
        ErrorKind::BrokenPipe,
    ];
    assert!(ends.contains(&error.kind()), "{error}");
    None
}

/// Returns a greeting of ZMTP 3 with this minor version and mechanism NULL.
pub fn greeting(minor: u8) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[0] = 0xff;
    bytes[9..12].copy_from_slice(&[0x7f, 3, minor]);
    bytes[12..16].copy_from_slice(b"NULL");
    bytes
}

/// Returns the body of a READY.
pub fn ready(socket_type: &str, metadata: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = b"\x05READY".to_vec();
    let socket_type = [("Socket-Type", socket_type.as_bytes())];
    for (name, value) in socket_type.iter().chain(metadata) {
        body.push(name.len() as u8);
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&(value.len() as u32).to_be_bytes());
        body.extend_from_slice(value);
    }
    body
}

/// Returns a frame, in the long form if its body is too long for the short form.
pub fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    match u8::try_from(body.len()) {
        Ok(size) => [&[flags, size], body].concat(),
        Err(_) => long(flags, body),
    }
}

/// Returns a frame in the long form.
pub fn long(flags: u8, body: &[u8]) -> Vec<u8> {
    let size = (body.len() as u64).to_be_bytes();
    [&[flags | LONG][..], &size, body].concat()
}

pub fn command(body: &[u8]) -> Vec<u8> {
    frame(COMMAND, body)
}

pub fn ping(ttl: u16, context: &[u8]) -> Vec<u8> {
    command(&[b"\x04PING", &ttl.to_be_bytes()[..], context].concat())
}

pub fn message<F: AsRef<[u8]>>(frames: &[F]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (n, body) in frames.iter().enumerate() {
        let more = if n + 1 < frames.len() { MORE } else { 0 };
        bytes.extend(frame(more, body.as_ref()));
    }
    bytes
}
