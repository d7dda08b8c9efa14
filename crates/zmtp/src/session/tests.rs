use super::*;
use crate::greeting::{GreetingError, NULL_GREETING};
use crate::{COMMAND, MORE, put_frame};

const BOUNDS: Bounds = Bounds {
    bytes: 1000,
    frames: 4,
};

/// Returns the session of a side that connected. This side sends its whole greeting at once.
fn caller() -> Session {
    Session::new(SessionSecurity::None, Side::Connects)
}

/// Returns the events of a stream that arrives in pieces of this size, as text. The description
/// of a fault is the last event. Asserts that the events are the same if
/// [`Session::next_message`] is called before each call of [`Session::next`].
fn events(bytes: &[u8], piece: usize) -> Vec<String> {
    let events = events_by(bytes, piece, Session::next);
    let messages_first = events_by(
        bytes,
        piece,
        |session, input, bounds, buffers| match session.next_message(input, bounds) {
            Some(message) => Ok(Some(SessionEvent::Message(message))),
            None => session.next(input, bounds, buffers),
        },
    );
    assert_eq!(messages_first, events, "pieces of {piece}");
    events
}

/// Returns the events like [`events`], with `next` as the method that returns the next event.
fn events_by(
    bytes: &[u8],
    piece: usize,
    next: impl Fn(
        &mut Session,
        &mut Input,
        Bounds,
        &mut BufferPool,
    ) -> Result<Option<SessionEvent>, SessionError>,
) -> Vec<String> {
    let (mut session, mut buffers) = (caller(), BufferPool::default());
    let mut events = Vec::new();
    for piece in bytes.chunks(piece) {
        let mut input = Input::from(piece.to_vec());
        loop {
            events.push(match next(&mut session, &mut input, BOUNDS, &mut buffers) {
                Ok(None) => break,
                Ok(Some(SessionEvent::Ready(ready))) => format!("ready {}", ready.socket_type),
                Ok(Some(SessionEvent::Message(frames))) => {
                    let texts = frames.frames().map(String::from_utf8_lossy);
                    format!("message {}", texts.collect::<Vec<_>>().join(" "))
                }
                Ok(Some(SessionEvent::Oversize(_))) => "oversize".into(),
                Ok(Some(SessionEvent::Ping { ttl, .. })) => format!("ping {ttl}"),
                Ok(Some(SessionEvent::Subscribe(prefix))) => {
                    format!("subscribe {}", String::from_utf8_lossy(&prefix))
                }
                Ok(Some(SessionEvent::Cancel(prefix))) => {
                    format!("cancel {}", String::from_utf8_lossy(&prefix))
                }
                Ok(Some(SessionEvent::Error(reason))) => format!("error {reason}"),
                Ok(Some(SessionEvent::Other)) => "other".into(),
                Ok(Some(
                    SessionEvent::Answer(_)
                    | SessionEvent::Work(_)
                    | SessionEvent::Open(_)
                    | SessionEvent::Credentials(_),
                )) => {
                    panic!("NULL needs none of these")
                }
                Err(fault) => {
                    events.push(fault.to_string());
                    return events;
                }
            });
        }
        assert!(input.rest().is_empty(), "the session takes all input");
    }
    events
}

/// Returns a greeting, followed by `frames`, each of which is given as flags and a body.
fn stream(frames: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = NULL_GREETING.to_vec();
    for (flags, body) in frames {
        put_frame(&mut bytes, *flags, body);
    }
    bytes
}

const READY: (u8, &[u8]) = (COMMAND, b"\x05READY\x0bSocket-Type\0\0\0\x03REQ");
const PING: (u8, &[u8]) = (COMMAND, b"\x04PING\0\x07");

#[test]
fn a_session_returns_the_same_events_wherever_its_bytes_are_cut() {
    let whole = stream(&[
        PING,
        (COMMAND, b"\x05HELLO"),
        (COMMAND, b"\x09SUBSCRIBEearly"),
        READY,
        (MORE, b"a"),
        PING,
        (0, b"b"),
        (0, &[0; 1001]),
        (MORE, b"c"),
        (0, b""),
        (COMMAND, b"\x04PONG"),
        (COMMAND, b"\x09SUBSCRIBEab"),
        (COMMAND, b"\x06CANCEL"),
        (COMMAND, b"\x05ERROR\x02no"),
    ]);
    let expected = [
        "other",
        "other",
        "other",
        "ready REQ",
        "ping 7",
        "message a b",
        "oversize",
        "message c ",
        "other",
        "subscribe ab",
        "cancel ",
        "error no",
    ];
    for piece in 1..=whole.len() {
        assert_eq!(events(&whole, piece), expected, "pieces of {piece}");
    }
}

#[test]
fn messages_before_ready_and_faulty_commands_are_errors() {
    for (frames, fault) in [
        (&[(0, &b"x"[..])][..], "a message before READY"),
        (&[(0, &[0; 1001])], "a message before READY"),
        (&[(MORE, b"x"), READY], "a message before READY"),
        (&[READY, READY], "a second READY"),
        (&[(COMMAND, b"")], "a command without a name"),
        (
            &[READY, (8, b"")],
            "a frame with flags 0x08, which ZMTP does not have",
        ),
    ] {
        let bytes = stream(frames);
        for piece in [1, 2, bytes.len()] {
            let events = events(&bytes, piece);
            assert_eq!(events.last().map(String::as_str), Some(fault), "{frames:?}");
        }
    }
    let stranger = events(b"GET / HTTP/1.1\r\n\r\n", 1);
    assert_eq!(
        stranger,
        ["it speaks HTTP or another text protocol, not ZMTP"]
    );
    assert!(!SessionError::Unsupported(GreetingError::Older("ZMTP 1.0")).should_receive_error());
    assert!(SessionError::BeforeReady.should_receive_error());
}

#[test]
fn no_part_of_a_message_before_ready_is_kept() {
    let (mut session, mut buffers) = (caller(), BufferPool::default());
    let mut bytes = stream(&[(MORE, &[7; 500])]);
    bytes.extend_from_slice(&[MORE, 200, 7]);
    let mut input = Input::from(bytes);
    let event = session.next(&mut input, BOUNDS, &mut buffers);
    assert!(matches!(event, Ok(None)), "{event:?}");
    assert_eq!((session.is_inside(), session.held()), (true, 0));
}

#[test]
fn the_version_of_a_peer_is_known_from_its_greeting() {
    let mut buffers = BufferPool::default();
    for (minor, pings) in [(0, false), (1, true), (2, true)] {
        let mut greeting = NULL_GREETING.to_vec();
        greeting[11] = minor;
        let mut session = caller();
        for (n, byte) in greeting.iter().enumerate() {
            assert_eq!(session.is_greeting(), (10..64).contains(&n), "{n}");
            assert!(!session.awaits_ready(), "{n}");
            let mut input = Input::from(vec![*byte]);
            let event = session.next(&mut input, BOUNDS, &mut buffers);
            assert!(matches!(event, Ok(None)), "{event:?}");
        }
        assert!(!session.is_greeting() && session.awaits_ready());
        assert_eq!(session.understands_ping(), pings);
        assert_eq!(session.understands_subscribe(), pings);
    }
}
