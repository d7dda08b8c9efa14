//! The parts of ZMTP 3.0 that the peers of a load need.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Returns the greeting and the READY of a peer with this socket type.
pub fn hello(socket_type: &[u8]) -> Vec<u8> {
    let mut hello = vec![0; 64];
    hello[0] = 0xff;
    hello[8..12].copy_from_slice(b"\x01\x7f\x03\x00");
    hello[12..16].copy_from_slice(b"NULL");
    let mut ready = b"\x05READY\x0bSocket-Type\0\0\0".to_vec();
    ready.push(socket_type.len() as u8);
    ready.extend_from_slice(socket_type);
    ready.extend_from_slice(b"\x08Identity\0\0\0\0");
    hello.extend_from_slice(&[4, ready.len() as u8]);
    hello.extend(ready);
    hello
}

/// Connects to an endpoint, and sends nothing.
pub fn connect_tcp(endpoint: &str) -> TcpStream {
    let address = endpoint.strip_prefix("tcp://").expect("a TCP endpoint");
    let stream = TcpStream::connect(address).expect("the broker listens");
    stream.set_nodelay(true).expect("a TCP stream");
    stream
}

/// Connects as a peer with this socket type, and reads the broker's greeting and READY.
pub fn connect(endpoint: &str, socket_type: &[u8]) -> TcpStream {
    let mut stream = connect_tcp(endpoint);
    let hello = hello(socket_type);
    stream.write_all(&hello).expect("the broker reads");
    let mut greeting = [0; 64];
    stream.read_exact(&mut greeting).expect("a greeting");
    let mut header = [0; 2];
    stream.read_exact(&mut header).expect("a command");
    assert_eq!(header[0], 4, "a short command");
    let mut ready = vec![0; usize::from(header[1])];
    stream.read_exact(&mut ready).expect("a command");
    assert!(ready.starts_with(b"\x05READY"), "{ready:?}");
    stream
}

/// Returns a message of these frames.
pub fn message(frames: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        let more = u8::from(n + 1 < frames.len());
        match u8::try_from(frame.len()) {
            Ok(size) => bytes.extend([more, size]),
            Err(_) => {
                bytes.push(more | 2);
                bytes.extend((frame.len() as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(frame);
    }
    bytes
}
