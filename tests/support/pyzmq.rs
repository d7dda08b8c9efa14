//! Peers of pyzmq, as processes of the Python that `GATEWAY_TEST_PYTHON` names.

use std::process::{Child, Command, Stdio};

use gateway_zmtp::curve::{KeyPair, PublicKey};

/// A Python program that sends one request, and whose socket keeps trying to connect.
const PROGRAM: &str = "
import sys, zmq
endpoint, mechanism, server, public, secret = sys.argv[1:6]
socket = zmq.Context().socket(zmq.DEALER)
socket.linger = 0
if mechanism == 'CURVE':
    socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = server.encode(), public.encode(), secret.encode()
if mechanism == 'PLAIN':
    socket.plain_username, socket.plain_password = b'alice', b'wrong'
socket.connect(endpoint)
socket.send_multipart([b'OPAQUE', b'x'])
socket.recv_multipart()
";

/// A client that sends one request.
#[derive(Clone)]
pub struct Peer {
    pub endpoint: String,
    /// The name of the security mechanism.
    pub mechanism: &'static str,
    /// The keys, which only a client with CURVE uses.
    pub server: PublicKey,
    pub public: PublicKey,
    pub secret: String,
}

impl Peer {
    pub fn by_curve(endpoint: &str, server: PublicKey, pair: &KeyPair) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            mechanism: "CURVE",
            server,
            public: pair.public(),
            secret: pair.secret().to_z85().to_string(),
        }
    }

    /// Starts the client, or returns `None` without `GATEWAY_TEST_PYTHON`.
    pub fn start(&self) -> Option<Running> {
        let python = std::env::var_os("GATEWAY_TEST_PYTHON")?;
        let started = Command::new(python)
            .args(["-c", PROGRAM, &self.endpoint, self.mechanism])
            .args([self.server.to_string(), self.public.to_string()])
            .arg(&self.secret)
            .stderr(Stdio::null())
            .spawn();
        Some(Running(started.unwrap()))
    }
}

/// A client process that is killed when this value is dropped.
pub struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
