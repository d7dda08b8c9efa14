//! What a peer says over a connection, from its first byte on: greeting, READY, traffic. Bytes in,
//! what they say out; what may not be said at that point is a fault. It knows no socket and no
//! clock.

use std::fmt;

use crate::bytes::{Bytes, Input};
use crate::command::{self, Command, Ready};
use crate::decoder::{self, Bounds, Decoder, Item};
use crate::greeting::{Greeted, Greeting, Stranger};
use crate::mechanism::{Mechanism, Step};
use crate::message::Message;
use crate::pool::BufferPool;

/// Before READY no message may come, so none is kept.
const NONE: Bounds = Bounds {
    bytes: 0,
    frames: 0,
};

/// Something that a peer has said.
#[derive(Debug)]
pub enum Said {
    /// What it is. It is met: messages may follow.
    Ready(Box<Ready>),
    /// A message's frames; of one with more than [`Bounds::frames`], so many.
    Message(Message),
    /// What was kept of a message with more than [`Bounds::bytes`].
    Oversize(Message),
    /// It wants to hear from us.
    Ping {
        /// How long a silence of ours it takes before it counts us as gone, in tenths of a second;
        /// 0 for any.
        ttl: u16,
        /// What the PONG must carry.
        context: Vec<u8>,
    },
    /// It gives up, and says why.
    Error(String),
    /// A command that asks for nothing; that anything came is what counts.
    Other,
}

/// Why a peer is not listened to any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It speaks something else, so it can't be told anything.
    Stranger(Stranger),
    /// Its stream makes no sense.
    Frame(decoder::Fault),
    /// A command makes no sense.
    Command(&'static str),
    /// A message, or its beginning, came before READY.
    Early,
    /// READY came a second time.
    Again,
}

impl Fault {
    /// Whether the peer would understand an ERROR.
    pub fn can_be_told(&self) -> bool {
        !matches!(self, Self::Stranger(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stranger(stranger) => stranger.fmt(f),
            Self::Frame(fault) => fault.fmt(f),
            Self::Command(fault) => f.write_str(fault),
            Self::Early => f.write_str("a message before READY"),
            Self::Again => f.write_str("a second READY"),
        }
    }
}

impl std::error::Error for Fault {}

/// How far a peer has come, and what of its next word is there.
#[derive(Debug, Default)]
pub struct Session {
    stage: Stage,
    decoder: Decoder,
    /// Of ZMTP 3, once it has greeted.
    minor: u8,
}

#[derive(Debug)]
enum Stage {
    Greeting(Box<Greeting>),
    /// READY is to come, at the end of this handshake.
    Meeting(Mechanism),
    Traffic,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Greeting(Box::default())
    }
}

impl Session {
    /// The next thing that it says; none once the input is used up. After a fault there is nothing
    /// to be asked.
    pub fn next(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<Said>, Fault> {
        if let Stage::Greeting(greeting) = &mut self.stage {
            let Some(greeted) = greeting.feed(input).map_err(Fault::Stranger)? else {
                return Ok(None);
            };
            let Greeted { minor, mechanism } = greeted;
            self.minor = minor;
            self.stage = Stage::Meeting(mechanism);
        }
        let met = matches!(self.stage, Stage::Traffic);
        let bounds = if met { bounds } else { NONE };
        let item = self.decoder.next(input, bounds, buffers);
        let said = match item.map_err(Fault::Frame)? {
            None => return Ok(None),
            Some(Item::Message(frames)) if met => Said::Message(frames),
            Some(Item::Oversize(frames)) if met => Said::Oversize(frames),
            Some(Item::Message(_) | Item::Oversize(_)) => return Err(Fault::Early),
            Some(Item::Command(body)) => self.command(&body)?,
        };
        Ok(Some(said))
    }

    /// What a command says at that point.
    fn command(&mut self, body: &Bytes) -> Result<Said, Fault> {
        if let Stage::Meeting(mechanism) = &mut self.stage {
            return match mechanism.hear(body).map_err(Fault::Command)? {
                // The beginning of what is inside was not kept.
                Step::Met(_) if self.decoder.is_inside() => Err(Fault::Early),
                Step::Met(ready) => {
                    self.stage = Stage::Traffic;
                    Ok(Said::Ready(Box::new(ready)))
                }
                Step::Ended(reason) => Ok(Said::Error(reason)),
                Step::Waits => Ok(Said::Other),
            };
        }
        match command::parse(body).map_err(Fault::Command)? {
            Command::Ready(_) => Err(Fault::Again),
            Command::Error(reason) => Ok(Said::Error(reason)),
            Command::Ping { ttl, context } => Ok(Said::Ping { ttl, context }),
            Command::Pong | Command::Other => Ok(Said::Other),
        }
    }

    /// Whether it understands PING: from ZMTP 3.1 on.
    pub fn understands_ping(&self) -> bool {
        self.minor >= 1
    }

    /// Whether it is in the middle of a greeting that is ZMTP's for sure.
    pub fn is_greeting(&self) -> bool {
        matches!(&self.stage, Stage::Greeting(greeting) if greeting.is_signed())
    }

    /// Whether a frame or a message has begun and is not whole.
    pub fn is_inside(&self) -> bool {
        self.decoder.is_inside()
    }

    /// Whether a message has begun and is not whole, whatever command is between its frames.
    pub fn is_inside_message(&self) -> bool {
        self.decoder.is_inside_message()
    }

    /// Bytes of that message as far as they have come ([`Decoder::come`]).
    pub fn come(&self) -> u64 {
        self.decoder.come()
    }

    /// Memory that what has begun takes.
    pub fn held(&self) -> u64 {
        self.decoder.held()
    }

    /// Memory that what follows can be read straight into ([`Decoder::direct`]).
    pub fn direct(&mut self) -> Option<&mut [u8]> {
        self.decoder.direct()
    }

    /// So many bytes were put there.
    pub fn appended(&mut self, n: usize) {
        self.decoder.appended(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::greeting::OURS;
    use crate::{COMMAND, MORE, put_frame};

    const BOUNDS: Bounds = Bounds {
        bytes: 1000,
        frames: 4,
    };

    /// What is said by a stream that comes in pieces of this size, in words; a fault is the last.
    fn heard(bytes: &[u8], piece: usize) -> Vec<String> {
        let (mut session, mut buffers) = (Session::default(), BufferPool::default());
        let mut heard = Vec::new();
        for piece in bytes.chunks(piece) {
            let mut input = Input::from(piece.to_vec());
            loop {
                heard.push(match session.next(&mut input, BOUNDS, &mut buffers) {
                    Ok(None) => break,
                    Ok(Some(Said::Ready(ready))) => format!("ready {}", ready.socket_type),
                    Ok(Some(Said::Message(frames))) => {
                        let texts = frames.frames().map(String::from_utf8_lossy);
                        format!("message {}", texts.collect::<Vec<_>>().join(" "))
                    }
                    Ok(Some(Said::Oversize(_))) => "oversize".into(),
                    Ok(Some(Said::Ping { ttl, .. })) => format!("ping {ttl}"),
                    Ok(Some(Said::Error(reason))) => format!("error {reason}"),
                    Ok(Some(Said::Other)) => "other".into(),
                    Err(fault) => {
                        heard.push(fault.to_string());
                        return heard;
                    }
                });
            }
            assert!(input.rest().is_empty(), "it takes all that it is given");
        }
        heard
    }

    /// A greeting, and behind it these frames: each its flags and its body.
    fn stream(frames: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = OURS.to_vec();
        for (flags, body) in frames {
            put_frame(&mut bytes, *flags, body);
        }
        bytes
    }

    const READY: (u8, &[u8]) = (COMMAND, b"\x05READY\x0bSocket-Type\0\0\0\x03REQ");
    const PING: (u8, &[u8]) = (COMMAND, b"\x04PING\0\x07");

    #[test]
    fn a_connection_says_the_same_wherever_it_is_cut() {
        let whole = stream(&[
            PING,
            (COMMAND, b"\x05HELLO"),
            READY,
            (MORE, b"a"),
            PING,
            (0, b"b"),
            (0, &[0; 1001]),
            (COMMAND, b"\x04PONG"),
            (COMMAND, b"\x05ERROR\x02no"),
        ]);
        let said = [
            "other",
            "other",
            "ready REQ",
            "ping 7",
            "message a b",
            "oversize",
            "other",
            "error no",
        ];
        for piece in 1..=whole.len() {
            assert_eq!(heard(&whole, piece), said, "pieces of {piece}");
        }
    }

    #[test]
    fn what_may_not_be_said_at_that_point_is_a_fault() {
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
                let heard = heard(&bytes, piece);
                assert_eq!(heard.last().map(String::as_str), Some(fault), "{frames:?}");
            }
        }
        let stranger = heard(b"GET / HTTP/1.1\r\n\r\n", 1);
        assert_eq!(
            stranger,
            ["it speaks HTTP or another text protocol, not ZMTP"]
        );
        assert!(!Fault::Stranger(Stranger::Older("ZMTP 1.0")).can_be_told());
        assert!(Fault::Early.can_be_told());
    }

    #[test]
    fn nothing_of_a_message_before_ready_is_kept() {
        let (mut session, mut buffers) = (Session::default(), BufferPool::default());
        let mut bytes = stream(&[(MORE, &[7; 500])]);
        bytes.extend_from_slice(&[MORE, 200, 7]);
        let mut input = Input::from(bytes);
        let said = session.next(&mut input, BOUNDS, &mut buffers);
        assert!(matches!(said, Ok(None)), "{said:?}");
        assert_eq!((session.is_inside(), session.held()), (true, 0));
    }

    #[test]
    fn what_it_knows_of_a_peer_it_knows_from_its_greeting() {
        let mut buffers = BufferPool::default();
        for (minor, pings) in [(0, false), (1, true), (2, true)] {
            let mut greeting = OURS.to_vec();
            greeting[11] = minor;
            let mut session = Session::default();
            for (n, byte) in greeting.iter().enumerate() {
                assert_eq!(session.is_greeting(), (10..64).contains(&n), "{n}");
                let mut input = Input::from(vec![*byte]);
                let said = session.next(&mut input, BOUNDS, &mut buffers);
                assert!(matches!(said, Ok(None)), "{said:?}");
            }
            assert!(!session.is_greeting());
            assert_eq!(session.understands_ping(), pings);
        }
    }
}
