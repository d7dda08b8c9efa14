//! Tests of the mechanisms against libzmq, through pyzmq, whose wheel has libsodium.
//!
//! The tests run only if `GATEWAY_TEST_PYTHON` names a Python with pyzmq, such as the one that
//! `tests/venv.sh` installs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gateway_zmtp::command::Ready;
use gateway_zmtp::curve::{Client, Connected, FrameKind, KeyPair, PublicKey, Server};
use gateway_zmtp::{COMMAND, LONG, MORE, greeting, plain, put_frame};

/// The maximum time to wait for a peer.
const PEER_TIMEOUT: Duration = Duration::from_secs(20);

/// The sizes of the echoed bodies, in bytes: empty, small, 222 and 223, and large. Of the bodies
/// whose sealed frame has a size of one byte, the largest has 222 bytes.
const SIZES: [usize; 7] = [0, 1, 60, 222, 223, 70_000, 10 << 20];

/// A Python program that is killed when the test ends.
struct Python(Child);

impl Python {
    /// Starts the program, or returns `None` if `GATEWAY_TEST_PYTHON` is not set.
    fn start(program: &str, arguments: &[&str]) -> Option<Self> {
        let Some(python) = std::env::var_os("GATEWAY_TEST_PYTHON") else {
            eprintln!("skipped: GATEWAY_TEST_PYTHON does not name the Python of tests/venv.sh");
            return None;
        };
        let child = Command::new(python)
            .args(["-c", program])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn();
        Some(Self(child.expect("Python starts")))
    }

    /// Returns the next line of the program's output.
    fn line(&mut self) -> String {
        let stdout = self.0.stdout.as_mut().expect("a pipe");
        let mut line = Vec::new();
        let mut byte = [0];
        while stdout.read(&mut byte).expect("a line") == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        String::from_utf8(line).expect("text")
    }

    /// Waits until the program has ended successfully.
    fn finish(mut self) {
        assert!(self.0.wait().expect("the program was started").success());
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A connection on which both greetings have been exchanged.
struct Wire(TcpStream);

impl Wire {
    fn greet(stream: TcpStream, mechanism: &str) -> Self {
        stream
            .set_read_timeout(Some(PEER_TIMEOUT))
            .expect("a time limit");
        let mut wire = Self(stream);
        let mut ours = greeting::NULL_GREETING;
        ours[12..32].fill(0);
        ours[12..12 + mechanism.len()].copy_from_slice(mechanism.as_bytes());
        wire.write(&ours);
        let mut theirs = [0; greeting::LENGTH];
        wire.0.read_exact(&mut theirs).expect("a greeting");
        assert!(theirs[12..].starts_with(mechanism.as_bytes()));
        wire
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the peer reads");
    }

    fn command(&mut self, body: &[u8]) {
        let mut frame = Vec::new();
        put_frame(&mut frame, COMMAND, body);
        self.write(&frame);
    }

    /// Returns the flags and the body of the next frame.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let [flags] = self.bytes();
        let size = if flags & LONG == 0 {
            u64::from(self.bytes::<1>()[0])
        } else {
            u64::from_be_bytes(self.bytes())
        };
        let mut body = vec![0; usize::try_from(size).expect("a size that fits")];
        self.0.read_exact(&mut body).expect("a body");
        (flags, body)
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).expect("bytes");
        bytes
    }
}

fn metadata(socket_type: &str) -> Ready {
    Ready {
        socket_type: socket_type.into(),
        ..Ready::default()
    }
}

/// Returns the frames of the next message. Skips commands.
fn message(wire: &mut Wire, from: &mut Connected) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    loop {
        let (flags, mut body) = wire.frame();
        assert_eq!(flags & !LONG, 0, "a MESSAGE is a frame without flags");
        let frame = from.opener.open(&mut body).expect("an honest peer");
        match frame.kind {
            FrameKind::More => frames.push(frame.data.to_vec()),
            FrameKind::Last => {
                frames.push(frame.data.to_vec());
                return frames;
            }
            FrameKind::Command => {}
        }
    }
}

fn send(wire: &mut Wire, to: &mut Connected, frames: &[Vec<u8>]) {
    let mut bytes = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        let kind = if n + 1 < frames.len() {
            FrameKind::More
        } else {
            FrameKind::Last
        };
        to.sealer.seal(kind, frame, &mut bytes).expect("nonces");
    }
    wire.write(&bytes);
}

const REQ_CLIENT: &str = "
import sys, zmq
port, server, public, secret = sys.argv[1:5]
socket = zmq.Context().socket(zmq.REQ)
socket.linger = 0
socket.rcvtimeo = 20000
socket.identity = b'me'
socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = server.encode(), public.encode(), secret.encode()
socket.connect('tcp://127.0.0.1:' + port)
for size in sys.argv[5:]:
    body = bytes(n & 255 for n in range(min(int(size), 1000))) * max(1, int(size) // 1000)
    socket.send_multipart([b'head', body])
    assert socket.recv_multipart() == [b'head', body], size
";

#[test]
fn a_client_of_libzmq_is_served_by_curve() {
    let (server, client) = (pair(), pair());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (secret, sizes) = (client.secret().to_z85(), SIZES.map(|size| size.to_string()));
    let (public, theirs) = (server.public().to_string(), client.public().to_string());
    let port = port.to_string();
    let mut arguments = vec![&*port, &*public, &*theirs, secret.as_str()];
    arguments.extend(sizes.iter().map(String::as_str));
    let Some(python) = Python::start(REQ_CLIENT, &arguments) else {
        return;
    };

    let (stream, _) = listener.accept().expect("a connection");
    let mut wire = Wire::greet(stream, "CURVE");
    let (server, welcome) = Server::new(Arc::from([server]))
        .hello(&wire.frame().1)
        .expect("a HELLO");
    wire.command(&welcome);
    let introduced = server.initiate(&wire.frame().1).expect("an INITIATE");
    assert_eq!(introduced.client(), client.public());
    assert_eq!(introduced.metadata().socket_type, "REQ");
    assert_eq!(introduced.metadata().identity, b"me");
    let (mut connected, ready) = introduced.accept(&metadata("ROUTER")).expect("a READY");
    wire.command(&ready);
    for _ in SIZES {
        let frames = message(&mut wire, &mut connected);
        assert_eq!(
            frames.len(),
            3,
            "the empty frame of REQ, and two frames of the program"
        );
        send(&mut wire, &mut connected, &frames);
    }
    python.finish();
}

const ROUTER_SERVER: &str = "
import sys, zmq
context = zmq.Context()
socket = context.socket(zmq.ROUTER)
socket.linger = 20000
socket.rcvtimeo = 20000
public, secret = zmq.curve_keypair()
socket.curve_server, socket.curve_secretkey = True, secret
print(socket.bind_to_random_port('tcp://127.0.0.1'), public.decode(), flush=True)
for _ in range(int(sys.argv[1])):
    socket.send_multipart(socket.recv_multipart())
socket.close()
context.term()
";

#[test]
fn a_curve_server_of_libzmq_accepts_this_client() {
    let Some(mut python) = Python::start(ROUTER_SERVER, &[&SIZES.len().to_string()]) else {
        return;
    };
    let line = python.line();
    let (port, public) = line.split_once(' ').expect("a port and a key");
    let public = PublicKey::from_z85(public).expect("a key");
    let stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("the server listens");
    let mut wire = Wire::greet(stream, "CURVE");
    let (client, hello) = Client::new(pair(), public).hello().expect("a HELLO");
    wire.command(&hello);
    let ours = metadata("DEALER");
    let (client, initiate) = client.welcome(&wire.frame().1, &ours).expect("a WELCOME");
    wire.command(&initiate);
    let (mut connected, theirs) = client.ready(&wire.frame().1).expect("a READY");
    assert_eq!(theirs.socket_type, "ROUTER");
    for size in SIZES {
        let frames = vec![b"head".to_vec(), vec![7; size]];
        send(&mut wire, &mut connected, &frames);
        assert!(message(&mut wire, &mut connected) == frames, "{size} bytes");
    }
    python.finish();
}

const PLAIN_CLIENT: &str = "
import sys, zmq
socket = zmq.Context().socket(zmq.REQ)
socket.linger = 0
socket.rcvtimeo = 20000
socket.plain_username, socket.plain_password = b'alice', b'secret'
socket.connect('tcp://127.0.0.1:' + sys.argv[1])
socket.send(b'hello')
assert socket.recv() == b'hello'
";

#[test]
fn a_client_of_libzmq_is_served_by_plain() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let Some(python) = Python::start(PLAIN_CLIENT, &[&port.to_string()]) else {
        return;
    };
    let (stream, _) = listener.accept().expect("a connection");
    let mut wire = Wire::greet(stream, "PLAIN");
    let credentials = plain::hello(&wire.frame().1).expect("a HELLO");
    assert_eq!(credentials.user(), b"alice");
    assert_eq!(credentials.password(), b"secret");
    let (server, welcome) = credentials.accept();
    wire.command(&welcome);
    let initiate = wire.frame().1;
    let (theirs, introduced) = server.initiate(&initiate).expect("right");
    assert_eq!(theirs.socket_type, "REQ");
    wire.command(&introduced.accept(&metadata("ROUTER")));
    let frames = [wire.frame(), wire.frame()];
    assert_eq!(frames, [(MORE, vec![]), (0, b"hello".to_vec())]);
    for (flags, body) in &frames {
        let mut frame = Vec::new();
        put_frame(&mut frame, *flags, body);
        wire.write(&frame);
    }
    python.finish();
}

const PLAIN_SERVER: &str = "
import zmq
from zmq.auth.thread import ThreadAuthenticator
context = zmq.Context()
authenticator = ThreadAuthenticator(context)
authenticator.start()
authenticator.configure_plain(domain='*', passwords={'alice': 'secret'})
socket = context.socket(zmq.ROUTER)
socket.linger = 20000
socket.rcvtimeo = 20000
socket.plain_server = True
print(socket.bind_to_random_port('tcp://127.0.0.1'), flush=True)
socket.send_multipart(socket.recv_multipart())
socket.close()
authenticator.stop()
context.term()
";

#[test]
fn a_plain_server_of_libzmq_accepts_this_client() {
    let Some(mut python) = Python::start(PLAIN_SERVER, &[]) else {
        return;
    };
    let port: u16 = python.line().parse().expect("a port");
    let connect = |password| {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        let mut wire = Wire::greet(stream, "PLAIN");
        let (waits, hello) = plain::Client::hello("alice", password).expect("short texts");
        wire.command(&hello);
        (wire, waits)
    };
    let (mut wire, waits) = connect("wrong");
    // The body of an ERROR of libzmq 4.3.5 begins with `^RROR` instead of a length and `ERROR`.
    let refused = waits.welcome(&wire.frame().1, &metadata("DEALER"));
    assert!(refused.is_err());
    let (mut wire, waits) = connect("secret");
    let (waits, initiate) = waits
        .welcome(&wire.frame().1, &metadata("DEALER"))
        .expect("a WELCOME");
    wire.command(&initiate);
    let theirs = waits.ready(&wire.frame().1).expect("a READY");
    assert_eq!(theirs.socket_type, "ROUTER");
    let mut frame = Vec::new();
    put_frame(&mut frame, 0, b"hello");
    wire.write(&frame);
    assert_eq!(wire.frame(), (0, b"hello".to_vec()));
    python.finish();
}

fn pair() -> KeyPair {
    KeyPair::generate().expect("random bytes")
}
