//! Peers that speak CURVE or NULL with the codec of this repository.

#[path = "../../crates/zmtp/tests/support/pair.rs"]
pub mod pair;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use super::TEST_TIMEOUT;
use gateway_zmtp::command;
use gateway_zmtp::session::{SessionSecurity, Side};
use pair::End;

/// A peer that uses the codec of this repository.
pub struct Peer {
    stream: TcpStream,
    pub end: End,
    /// True if the peer has no key. It then sends READY at once.
    null: bool,
}

impl Peer {
    pub fn connect(endpoint: &str, security: SessionSecurity, socket_type: &'static str) -> Self {
        let address = endpoint.strip_prefix("tcp://").unwrap();
        let stream = TcpStream::connect(address).unwrap();
        Self::on(stream, security, Side::Connects, socket_type)
    }

    /// Connects from another address of this machine.
    pub fn connect_from(
        address: Ipv4Addr,
        endpoint: &str,
        security: SessionSecurity,
        socket_type: &'static str,
    ) -> Self {
        let remote: SocketAddr = endpoint.strip_prefix("tcp://").unwrap().parse().unwrap();
        let kind = socket2::Type::STREAM;
        let socket = socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
        socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
        socket.connect(&remote.into()).unwrap();
        Self::on(socket.into(), security, Side::Connects, socket_type)
    }

    pub fn on(
        stream: TcpStream,
        security: SessionSecurity,
        side: Side,
        socket_type: &'static str,
    ) -> Self {
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        let null = matches!(security, SessionSecurity::None);
        let mut end = End::new(security, side, socket_type);
        if null {
            // The gateway's READY comes after the peer's.
            command::put_ready(&mut end.out, socket_type);
        }
        let mut peer = Self { stream, end, null };
        peer.write();
        peer
    }

    /// Sends the bytes that the codec has written.
    pub fn write(&mut self) {
        // The write fails if the gateway has disconnected. The next read then shows that.
        let _ = self.stream.write_all(&std::mem::take(&mut self.end.out));
    }

    /// Reads once. Returns false at the end of the connection.
    fn read(&mut self) -> bool {
        let mut bytes = vec![0; 64 << 10];
        // A reset also ends the connection. A timeout does not, and fails the test.
        let n = match self.stream.read(&mut bytes) {
            Ok(n) => n,
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::WouldBlock, "{error}");
                0
            }
        };
        let was_met = self.end.is_met();
        self.end.hear(&bytes[..n]);
        if self.null && !was_met && self.end.is_met() {
            // The codec has written a READY, which was sent when the peer connected.
            self.end.out.clear();
        }
        assert_eq!(self.end.fault, None);
        self.write();
        n > 0
    }

    /// Continues the handshake, and returns whether the gateway admits the peer. Fails if the
    /// gateway sends an ERROR.
    pub fn is_admitted(&mut self) -> bool {
        while !self.end.is_met() && self.read() {}
        assert!(self.end.heard.iter().all(|word| !word.starts_with("error")));
        self.end.is_met()
    }

    /// Completes the handshake, and asserts that the gateway admits the peer.
    pub fn admitted(mut self) -> Self {
        assert!(self.is_admitted());
        self
    }

    /// Reads until the gateway disconnects, and returns true. Fails if that takes too long.
    pub fn is_ended(&mut self) -> bool {
        while self.read() {}
        true
    }

    pub fn send(&mut self, frames: &[&[u8]]) {
        let frames: Vec<_> = frames.iter().map(|frame| frame.to_vec()).collect();
        self.end.say(&frames);
        self.write();
    }

    pub fn message(&mut self) -> Vec<Vec<u8>> {
        while self.end.messages.is_empty() {
            assert!(self.read(), "the gateway disconnected");
        }
        self.end.messages.remove(0)
    }
}
