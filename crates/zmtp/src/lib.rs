#![cfg_attr(not(feature = "sodium"), forbid(unsafe_code))]
#![warn(unreachable_pub)]
//! ZMTP 3.1 (RFC 37/ZMTP) and 3.0 (RFC 23/ZMTP) as state machines without I/O: bytes in, messages
//! and commands out, and the reverse. Nothing here uses a socket or a clock.
//!
//! A [`Session`](session::Session) takes a peer's bytes and returns events:
//!
//! ```
//! use gateway_zmtp::bytes::Input;
//! use gateway_zmtp::decoder::Bounds;
//! use gateway_zmtp::pool::BufferPool;
//! use gateway_zmtp::session::{SessionEvent, Session};
//! use gateway_zmtp::{MORE, command, greeting, put_frame};
//!
//! // A REQ socket sends a greeting, a READY, and a message of two frames.
//! let mut bytes = greeting::NULL_GREETING.to_vec();
//! command::put_ready(&mut bytes, "REQ");
//! put_frame(&mut bytes, MORE, b"");
//! put_frame(&mut bytes, 0, b"hello");
//!
//! let mut session = Session::default();
//! let mut buffers = BufferPool::default();
//! let bounds = Bounds { bytes: 1 << 20, frames: 16 };
//! let mut input = Input::from(bytes);
//!
//! let mut out = Vec::new();
//! session.open(&mut out);
//! let Some(SessionEvent::Answer(rest)) = session.next(&mut input, bounds, &mut buffers)? else {
//!     panic!("this side names its mechanism once the peer has named its own");
//! };
//! out.extend(rest);
//! assert_eq!(out, greeting::NULL_GREETING);
//! let Some(SessionEvent::Ready(ready)) = session.next(&mut input, bounds, &mut buffers)? else {
//!     panic!("READY comes first");
//! };
//! assert_eq!(ready.socket_type, "REQ");
//! let event = session.next(&mut input, bounds, &mut buffers)?;
//! let Some(SessionEvent::Message(message)) = event else {
//!     panic!("then comes the message");
//! };
//! assert_eq!(message.get(1), Some(&b"hello"[..]));
//! assert!(session.next(&mut input, bounds, &mut buffers)?.is_none());
//! # Ok::<(), gateway_zmtp::session::SessionError>(())
//! ```
//!
//! Each side of a connection first sends a [greeting] of 64 bytes, which names a security
//! [mechanism]. Then each side sends the [commands](command) of the handshake of that mechanism.
//! One of these commands states the socket type of the side. Traffic follows: messages of one or
//! more frames, and commands between them. The [decoder] splits the traffic into messages and
//! commands.

pub mod bytes;
pub mod command;
pub mod curve;
pub mod decoder;
pub mod greeting;
pub mod mechanism;
pub mod message;
pub mod plain;
pub mod pool;
pub mod session;
pub mod subscription;
pub mod z85;

/// The flag of a frame that is followed by more frames of its message.
pub const MORE: u8 = 1;
/// The flag of a frame whose size has eight bytes instead of one.
pub const LONG: u8 = 2;
/// The flag of a frame that is a command.
pub const COMMAND: u8 = 4;

/// The maximum size of a frame header, in bytes: flags and a long size.
pub const HEADER_MAX: usize = 9;

/// The maximum length of an identity, in bytes (RFC 37, "Identity").
pub const IDENTITY_MAX: usize = 255;

/// Appends the header of a frame of `size` bytes. Adds the flag [`LONG`] if the size needs it.
#[inline]
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
#[inline]
pub fn put_frame(into: &mut Vec<u8>, flags: u8, body: &[u8]) {
    put_header(into, flags, body.len());
    into.extend_from_slice(body);
}

/// Returns a peer's bytes as text: unchanged if all of them are visible ASCII characters, in
/// hexadecimal otherwise.
fn printable(bytes: &[u8]) -> String {
    if bytes.iter().all(u8::is_ascii_graphic) {
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
