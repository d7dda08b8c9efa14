//! What a peer says over a connection, from its first byte on: greeting, READY, traffic. Bytes in,
//! what they say out; what may not be said at that point is a fault. It knows no socket and no
//! clock.

mod fault;
mod meeting;
mod said;
mod sealed;
mod security;
mod work;

use std::fmt;

use crate::bytes::{Bytes, Input};
use crate::command::{self, Command, Ready};
use crate::curve::{CurveError, PublicKey, Sealer};
use crate::decoder::{Bounds, Decoder, Item};
use crate::greeting::{self, Greeted, Greeting};
use crate::mechanism::Mechanism;
use crate::pool::BufferPool;
use meeting::Meeting;
use sealed::Sealed;

pub use fault::Fault;
pub use said::Said;
pub use security::{NullPeers, Security, Side};
pub use work::{Work, Worked};

/// Before READY no message may come, so none is kept.
const NONE: Bounds = Bounds {
    bytes: 0,
    frames: 0,
};

/// How far a peer has come, and what of its next word is there.
#[derive(Debug, Default)]
pub struct Session {
    stage: Stage,
    /// Of the messages and commands that are returned: with CURVE, of those inside the boxes.
    decoder: Decoder,
    /// Of ZMTP 3, once it has greeted.
    minor: u8,
}

enum Stage {
    Greeting(Box<Greets>),
    /// READY is to come, at the end of NULL's handshake.
    Meeting,
    /// The handshake of CURVE.
    Curve(Box<Meeting>),
    Traffic,
    /// Traffic in boxes.
    Sealed(Box<Sealed>),
}

impl Default for Stage {
    fn default() -> Self {
        Self::Greeting(Box::default())
    }
}

/// Keys and passwords have no place in a log.
impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting(_) => "Greeting",
            Self::Meeting => "Meeting",
            Self::Curve(_) => "Curve",
            Self::Traffic => "Traffic",
            Self::Sealed(_) => "Sealed",
        })
    }
}

/// The greetings of both sides.
struct Greets {
    greeting: Greeting,
    security: Security,
    /// What this side's greeting names, if it may be said yet.
    named: Option<Mechanism>,
}

impl Default for Greets {
    fn default() -> Self {
        Self::new(Security::None, Side::Listens)
    }
}

impl Greets {
    fn new(security: Security, side: Side) -> Self {
        let ours = security.preferred();
        let waits = side == Side::Listens && ours != Mechanism::Null;
        Self {
            greeting: Greeting::default(),
            security,
            named: (!waits).then_some(ours),
        }
    }

    /// Chooses the mechanism, once the peer has named its own.
    fn choose(&self, theirs: Mechanism) -> Result<Mechanism, Fault> {
        let ours = self.security.preferred();
        let takes = match self.named {
            Some(named) => named == theirs,
            None => self.security.takes(theirs),
        };
        if takes {
            Ok(theirs)
        } else {
            Err(Fault::Mismatch { theirs, ours })
        }
    }
}

impl Session {
    /// Returns a connection of which nothing has come. [`Session::default`] is one without security.
    pub fn new(security: Security, side: Side) -> Self {
        Self {
            stage: Stage::Greeting(Box::new(Greets::new(security, side))),
            ..Self::default()
        }
    }

    /// Appends what this side has to say first: its greeting, or as much of it as can be said
    /// before the peer's mechanism is known.
    pub fn open(&self, into: &mut Vec<u8>) {
        if let Stage::Greeting(greets) = &self.stage {
            let greeting = greeting::naming(greets.security.preferred());
            let length = match greets.named {
                Some(_) => greeting::LENGTH,
                None => greeting::OPENING,
            };
            into.extend_from_slice(&greeting[..length]);
        }
    }

    /// Returns whether the peer has yet to name its mechanism before this side names its own.
    pub fn awaits_mechanism(&self) -> bool {
        matches!(&self.stage, Stage::Greeting(greets) if greets.named.is_none())
    }

    /// Names this side's preferred mechanism without waiting for the peer's any longer: some peers
    /// read the whole greeting before they send theirs.
    pub fn name_mechanism(&mut self, into: &mut Vec<u8>) {
        if let Stage::Greeting(greets) = &mut self.stage
            && greets.named.is_none()
        {
            let ours = greets.security.preferred();
            greets.named = Some(ours);
            into.extend_from_slice(&greeting::naming(ours)[greeting::OPENING..]);
        }
    }

    /// The next thing that it says; none once the input is used up. After a fault there is nothing
    /// to be asked.
    #[inline]
    pub fn next(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<Said>, Fault> {
        if !matches!(self.stage, Stage::Traffic) {
            return self.next_apart(input, bounds, buffers);
        }
        let item = self.decoder.next(input, bounds, buffers);
        item.map_err(Fault::Frame)?.map(said).transpose()
    }

    /// As [`Self::next`], where a peer has yet to be met, or its traffic is sealed.
    fn next_apart(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<Said>, Fault> {
        if let Stage::Greeting(greets) = &mut self.stage {
            let Some(greeted) = greets.greeting.feed(input).map_err(Fault::Stranger)? else {
                return Ok(None);
            };
            if let Some(said) = self.greeted(&greeted)? {
                return Ok(Some(said));
            }
        }
        match &mut self.stage {
            Stage::Sealed(sealed) => {
                let item = sealed.next(&mut self.decoder, input, bounds, buffers)?;
                return item.map(said).transpose();
            }
            // Whoever waits for an answer has nothing to say meanwhile.
            Stage::Curve(meeting) if !meeting.listens() => {
                return if input.rest().is_empty() {
                    Ok(None)
                } else {
                    Err(Fault::OutOfTurn)
                };
            }
            _ => {}
        }
        match self
            .decoder
            .next(input, NONE, buffers)
            .map_err(Fault::Frame)?
        {
            None => Ok(None),
            Some(Item::Message(_) | Item::Oversize(_)) => Err(Fault::Early),
            Some(Item::Command(body)) => self.shake_hands(&body).map(Some),
        }
    }

    /// Goes on with the mechanism that both sides name. Returns what that asks for at once.
    fn greeted(&mut self, greeted: &Greeted) -> Result<Option<Said>, Fault> {
        let Stage::Greeting(greets) = std::mem::replace(&mut self.stage, Stage::Meeting) else {
            return Ok(None);
        };
        self.minor = greeted.minor;
        let mechanism = greets.choose(greeted.mechanism)?;
        let Greets {
            security, named, ..
        } = *greets;
        let mut work = None;
        if mechanism == Mechanism::Curve {
            let (meeting, first) = Meeting::begin(security)?;
            self.stage = Stage::Curve(Box::new(meeting));
            work = first.map(Said::Work);
        }
        if named.is_none() {
            // Only a listener has not named it, and a listener is no client.
            let ours = greeting::naming(mechanism);
            return Ok(Some(Said::Answer(ours[greeting::OPENING..].to_vec())));
        }
        Ok(work)
    }

    /// Returns what a command of the handshake says.
    fn shake_hands(&mut self, body: &Bytes) -> Result<Said, Fault> {
        // The beginning of what is inside was not kept.
        let inside = self.decoder.is_inside();
        if let Stage::Curve(meeting) = &mut self.stage {
            if inside {
                return Err(Fault::Early);
            }
            let (said, sealed) = meeting.hear(body)?;
            if let Some(sealed) = sealed {
                self.stage = Stage::Sealed(sealed);
            }
            return Ok(said);
        }
        match command::parse(body).map_err(Fault::Command)? {
            Command::Ready(_) if inside => Err(Fault::Early),
            Command::Ready(ready) => {
                self.stage = Stage::Traffic;
                Ok(Said::Ready(Box::new(ready)))
            }
            Command::Error(reason) => Ok(Said::Error(reason)),
            Command::Ping { .. } | Command::Pong | Command::Other => Ok(Said::Other),
        }
    }

    /// Goes on with the handshake after a costly step.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the command that the step was about.
    pub fn resume(&mut self, worked: Worked) -> Result<Said, Fault> {
        match &mut self.stage {
            Stage::Curve(meeting) => meeting.resume(worked).map_err(Fault::Curve),
            _ => Ok(Said::Other),
        }
    }

    /// Returns the long-term key by which the peer was met; none without CURVE.
    pub fn key(&self) -> Option<PublicKey> {
        match &self.stage {
            Stage::Curve(meeting) => meeting.key(),
            Stage::Sealed(sealed) => sealed.key(),
            _ => None,
        }
    }

    /// Returns what is sealed from here on is sealed with; none without CURVE, and none a second
    /// time.
    pub fn take_sealer(&mut self) -> Option<Box<Sealer>> {
        match &mut self.stage {
            Stage::Sealed(sealed) => sealed.take_sealer(),
            _ => None,
        }
    }

    /// Admits a peer that has said what it is, and appends the READY that tells it so with the
    /// socket type of this side. A client of CURVE has said it before.
    ///
    /// # Errors
    ///
    /// None that a peer can cause.
    pub fn admit(&mut self, socket_type: &str, into: &mut Vec<u8>) -> Result<(), CurveError> {
        match std::mem::replace(&mut self.stage, Stage::Traffic) {
            Stage::Curve(meeting) => {
                let ours = Ready {
                    socket_type: socket_type.into(),
                    ..Ready::default()
                };
                self.stage = Stage::Sealed(meeting.admit(&ours, into)?);
            }
            sealed @ Stage::Sealed(_) => self.stage = sealed,
            _ => command::put_ready(into, socket_type),
        }
        Ok(())
    }

    /// Whether it understands PING: from ZMTP 3.1 on.
    pub fn understands_ping(&self) -> bool {
        self.minor >= 1
    }

    /// Whether it is in the middle of a greeting that is ZMTP's for sure.
    pub fn is_greeting(&self) -> bool {
        matches!(&self.stage, Stage::Greeting(greets) if greets.greeting.is_signed())
    }

    /// Whether a frame or a message has begun and is not whole.
    pub fn is_inside(&self) -> bool {
        let boxed = self.boxes().is_some_and(Decoder::is_inside);
        boxed || self.decoder.is_inside()
    }

    /// Whether a message has begun and is not whole, whatever command is between its frames. Of a
    /// box that is not whole it is not known yet.
    pub fn is_inside_message(&self) -> bool {
        self.decoder.is_inside_message()
    }

    /// Bytes of that message as far as they have come ([`Decoder::come`]).
    pub fn come(&self) -> u64 {
        self.decoder.come() + self.boxes().map_or(0, Decoder::come)
    }

    /// Memory that what has begun takes.
    pub fn held(&self) -> u64 {
        self.decoder.held() + self.boxes().map_or(0, Decoder::held)
    }

    /// Memory that what follows can be read straight into ([`Decoder::direct`]).
    pub fn direct(&mut self) -> Option<&mut [u8]> {
        self.outermost().direct()
    }

    /// So many bytes were put there.
    pub fn appended(&mut self, n: usize) {
        self.outermost().appended(n);
    }

    /// Returns the decoder of the boxes, if traffic is sealed.
    fn boxes(&self) -> Option<&Decoder> {
        match &self.stage {
            Stage::Sealed(sealed) => Some(sealed.boxes()),
            _ => None,
        }
    }

    /// Returns the decoder of the bytes as they are read.
    fn outermost(&mut self) -> &mut Decoder {
        match &mut self.stage {
            Stage::Sealed(sealed) => sealed.boxes_mut(),
            _ => &mut self.decoder,
        }
    }
}

/// Returns what something whole says after the handshake.
#[inline]
fn said(item: Item) -> Result<Said, Fault> {
    match item {
        Item::Message(message) => Ok(Said::Message(message)),
        Item::Oversize(message) => Ok(Said::Oversize(message)),
        Item::Command(body) => traffic_command(&body),
    }
}

/// Returns what a command says after the handshake.
fn traffic_command(body: &Bytes) -> Result<Said, Fault> {
    match command::parse(body).map_err(Fault::Command)? {
        Command::Ready(_) => Err(Fault::Again),
        Command::Error(reason) => Ok(Said::Error(reason)),
        Command::Ping { ttl, context } => Ok(Said::Ping { ttl, context }),
        Command::Pong | Command::Other => Ok(Said::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::greeting::{OURS, Stranger};
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
                    Ok(Some(Said::Answer(_) | Said::Work(_))) => panic!("NULL needs neither"),
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
