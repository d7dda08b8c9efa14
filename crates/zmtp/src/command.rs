//! Commands (RFC 37, "Commands"), which control a connection and carry no application data.

use crate::bytes::Bytes;
use crate::{COMMAND, IDENTITY_MAX, put_frame, put_header};

/// The maximum size of a command's body, in bytes. This size leaves room for a READY with much
/// metadata, and bounds the memory that a handshake takes.
pub const COMMAND_MAX: u64 = 8 << 10;

/// The maximum size of the context of a PING, in bytes (RFC 37, "Connection Heartbeating").
const CONTEXT_MAX: usize = 16;

/// The maximum length of an ERROR's reason, in bytes: the length is sent as one byte.
const REASON_MAX: usize = 255;

/// A parsed command.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// The peer is ready, and sends its metadata.
    Ready(Ready),
    /// The peer refuses the connection, for this reason.
    Error(String),
    /// The peer asks for a PONG.
    Ping {
        /// The time limit, in tenths of a second. If the peer sends nothing for this time, this
        /// side should end the connection. 0 means that there is no limit.
        ttl: u16,
        /// The context that the PONG must carry, at most 16 bytes.
        context: Vec<u8>,
    },
    /// The answer to a PING.
    Pong,
    /// The peer subscribes to all messages whose first frame begins with this prefix.
    Subscribe(Vec<u8>),
    /// The peer cancels one of its subscriptions to this prefix.
    Cancel(Vec<u8>),
    /// A command that this crate does not know, and ignores.
    Other,
}

/// A peer's metadata.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// The socket type, such as `DEALER` or `REQ`.
    pub socket_type: String,
    /// The identity that the peer chose; may be empty.
    pub identity: Vec<u8>,
}

/// Parses a command's body. Fails with a description of the fault.
pub fn parse(body: &Bytes) -> Result<Command, &'static str> {
    let (name, data) = short(body.bytes()).ok_or("a command without a name")?;
    match name {
        b"READY" => Ok(Command::Ready(metadata(data)?)),
        b"ERROR" => {
            let (reason, _) = short(data).unwrap_or((data, &[]));
            let reason = &reason[..reason.len().min(REASON_MAX)];
            Ok(Command::Error(
                String::from_utf8_lossy(reason).escape_debug().to_string(),
            ))
        }
        b"PING" => {
            let (ttl, context) = data.split_first_chunk().ok_or("a PING without a TTL")?;
            if context.len() > CONTEXT_MAX {
                return Err("a PING with a context of more than 16 bytes");
            }
            Ok(Command::Ping {
                ttl: u16::from_be_bytes(*ttl),
                context: context.to_vec(),
            })
        }
        b"PONG" => Ok(Command::Pong),
        b"SUBSCRIBE" => Ok(Command::Subscribe(data.to_vec())),
        b"CANCEL" => Ok(Command::Cancel(data.to_vec())),
        _ => Ok(Command::Other),
    }
}

/// Splits off the first field, which is preceded by its length in one byte. Returns the field and
/// the bytes after it, or `None` if the bytes end before the field does.
pub(crate) fn short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// Parses a peer's metadata, which is a list of properties, and ignores unknown properties. Fails
/// with a description of the fault.
pub(crate) fn metadata(mut data: &[u8]) -> Result<Ready, &'static str> {
    const BROKEN: &str = "metadata that is cut short";
    let mut ready = Ready::default();
    while !data.is_empty() {
        let (name, rest) = short(data).ok_or(BROKEN)?;
        let (length, rest) = rest.split_first_chunk().ok_or(BROKEN)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| BROKEN)?;
        let (value, rest) = rest.split_at_checked(length).ok_or(BROKEN)?;
        // Names are case-insensitive (RFC 37, "The NULL Security Mechanism").
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            ready.socket_type = crate::printable(value);
        } else if name.eq_ignore_ascii_case(b"Identity") {
            if value.len() > IDENTITY_MAX {
                return Err("an identity of more than 255 bytes");
            }
            ready.identity = value.to_vec();
        }
        data = rest;
    }
    Ok(ready)
}

/// Appends the READY of this side.
pub fn put_ready(into: &mut Vec<u8>, socket_type: &str) {
    let mut body = b"\x05READY".to_vec();
    put_property(&mut body, "Socket-Type", socket_type.as_bytes());
    put_frame(into, COMMAND, &body);
}

/// Appends metadata. An empty identity is omitted.
pub(crate) fn put_metadata(into: &mut Vec<u8>, ready: &Ready) {
    put_property(into, "Socket-Type", ready.socket_type.as_bytes());
    if !ready.identity.is_empty() {
        put_property(into, "Identity", &ready.identity);
    }
}

/// Appends a property. The name must have at most 255 bytes.
fn put_property(into: &mut Vec<u8>, name: &'static str, value: &[u8]) {
    into.push(name.len() as u8);
    into.extend_from_slice(name.as_bytes());
    into.extend_from_slice(&(value.len() as u32).to_be_bytes());
    into.extend_from_slice(value);
}

/// Appends an ERROR. The bytes of the reason after the first 255 are omitted.
pub fn put_error(into: &mut Vec<u8>, reason: &str) {
    let reason = &reason.as_bytes()[..reason.len().min(REASON_MAX)];
    let mut body = b"\x05ERROR".to_vec();
    body.push(reason.len() as u8);
    body.extend_from_slice(reason);
    put_frame(into, COMMAND, &body);
}

/// Appends a PING with the TTL 0, which sets no time limit. The peer itself decides how long it
/// accepts silence from this side.
pub fn put_ping(into: &mut Vec<u8>) {
    put_frame(into, COMMAND, b"\x04PING\0\0");
}

/// Appends a PONG, which answers the PING that had this context.
pub fn put_pong(into: &mut Vec<u8>, context: &[u8]) {
    let mut body = b"\x04PONG".to_vec();
    body.extend_from_slice(context);
    put_frame(into, COMMAND, &body);
}

/// Appends a SUBSCRIBE, which subscribes to the messages whose first frame begins with `prefix`.
/// Peers of ZMTP 3.0 do not understand this command, and must receive the message of
/// [`SubscriptionChange::message`](crate::subscription::SubscriptionChange::message) instead.
pub fn put_subscribe(into: &mut Vec<u8>, prefix: &[u8]) {
    put_command(into, b"\x09SUBSCRIBE", prefix);
}

/// Appends a CANCEL, which cancels one subscription to `prefix`.
pub fn put_cancel(into: &mut Vec<u8>, prefix: &[u8]) {
    put_command(into, b"\x06CANCEL", prefix);
}

/// Appends a command. `name` must begin with the length of the name in one byte.
fn put_command(into: &mut Vec<u8>, name: &[u8], data: &[u8]) {
    put_header(into, COMMAND, name.len() + data.len());
    into.extend_from_slice(name);
    into.extend_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> Result<Command, &'static str> {
        parse(&Bytes::from(body.to_vec()))
    }

    /// Returns the body of the one frame that `put` appends.
    fn body(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut frame = Vec::new();
        put(&mut frame);
        assert_eq!(frame[0], COMMAND);
        assert_eq!(usize::from(frame[1]), frame.len() - 2);
        frame.split_off(2)
    }

    #[test]
    fn each_written_command_is_read_back() {
        let ready = read(&body(|into| put_ready(into, "ROUTER")));
        let expected = Ready {
            socket_type: "ROUTER".into(),
            identity: Vec::new(),
        };
        assert_eq!(ready, Ok(Command::Ready(expected)));
        let error = read(&body(|into| put_error(into, "no")));
        assert_eq!(error, Ok(Command::Error("no".into())));
        let ping = read(&body(put_ping));
        let expected = Command::Ping {
            ttl: 0,
            context: Vec::new(),
        };
        assert_eq!(ping, Ok(expected));
        assert_eq!(read(&body(|into| put_pong(into, b"x"))), Ok(Command::Pong));
        for prefix in [&b""[..], b"AB", &[9; 200]] {
            let subscribe = read(&body(|into| put_subscribe(into, prefix)));
            assert_eq!(subscribe, Ok(Command::Subscribe(prefix.into())));
            let cancel = read(&body(|into| put_cancel(into, prefix)));
            assert_eq!(cancel, Ok(Command::Cancel(prefix.into())));
        }
    }

    #[test]
    fn a_long_prefix_makes_a_long_frame() {
        let mut frame = Vec::new();
        put_subscribe(&mut frame, &[7; 246]);
        assert_eq!(frame[..9], [COMMAND | crate::LONG, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(read(&frame[9..]), Ok(Command::Subscribe(vec![7; 246])));
    }

    #[test]
    fn metadata_is_read_in_any_order_and_case() {
        let bytes =
            b"\x05READY\x08identity\0\0\0\x02me\x05X-App\0\0\0\x01x\x0bSOCKET-TYPE\0\0\0\x03REQ";
        let expected = Ready {
            socket_type: "REQ".into(),
            identity: b"me".to_vec(),
        };
        assert_eq!(read(bytes), Ok(Command::Ready(expected)));
    }

    #[test]
    fn commands_that_are_cut_short_or_malformed_are_refused() {
        let whole = b"\x05READY\x0bSocket-Type\0\0\0\x03REQ";
        for cut in 0..whole.len() {
            // A command without metadata is complete.
            assert_eq!(read(&whole[..cut]).is_ok(), cut == 6, "{cut}");
        }
        assert!(read(b"\x04PING\0").is_err());
        assert!(read(b"\x04PING\0\0aaaaaaaaaaaaaaaaa").is_err());
        assert!(read(b"\x05READY\x08Identity\xff\xff\xff\xff").is_err());
        assert_eq!(read(b"\x09SUBSCRIBED"), Ok(Command::Subscribe(b"D".into())));
        assert_eq!(read(b"\x0aSUBSCRIBED"), Ok(Command::Other));
    }
}
