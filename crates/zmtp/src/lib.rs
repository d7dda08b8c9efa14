#![forbid(unsafe_code)]
//! ZMTP 3.1 (RFC 37/ZMTP) and 3.0 (RFC 23/ZMTP): bytes in, messages and commands out, and back. State
//! machines without I/O: nothing here knows a socket or a clock.
//!
//! A connection says, each way: a [greeting] of 64 bytes; the handshake of its [mechanism], which ends with one READY
//! [command] that carries the socket type; then traffic, which the [decoder]
//! takes apart: messages of one or more frames, and commands between them. [session] is all of it in its order.

pub mod bytes;
pub mod command;
pub mod decoder;
pub mod greeting;
pub mod mechanism;
pub mod pool;
pub mod session;

/// More frames of this message follow.
pub const MORE: u8 = 1;
/// The size has eight bytes instead of one.
pub const LONG: u8 = 2;
/// The frame is a command.
pub const COMMAND: u8 = 4;

/// Longest frame header: flags and a long size.
pub const HEADER_MAX: usize = 9;

/// Longest identity, in bytes (RFC 37, "Identity").
pub const IDENTITY_MAX: usize = 255;

/// Appends a frame's header.
pub fn put_header(into: &mut Vec<u8>, flags: u8, size: usize) {
    match u8::try_from(size) {
        Ok(size) => into.extend_from_slice(&[flags, size]),
        Err(_) => {
            into.push(flags | LONG);
            into.extend_from_slice(&(size as u64).to_be_bytes());
        }
    }
}

/// Appends a frame.
pub fn put_frame(into: &mut Vec<u8>, flags: u8, body: &[u8]) {
    put_header(into, flags, body.len());
    into.extend_from_slice(body);
}

/// Returns a word that a peer sent as text: unchanged where it is printable ASCII, in hexadecimal otherwise.
fn printable(bytes: &[u8]) -> String {
    if bytes.iter().all(u8::is_ascii_graphic) {
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
