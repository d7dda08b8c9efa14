//! The dialogue with a peer over a connection, from the first byte on: greeting, handshake and
//! traffic. Bytes go in, and events come out. Anything that the peer must not send at a given point
//! is a fault. A session does no I/O and reads no clock.

mod curve_handshake;
mod error;
mod event;
mod greeting_exchange;
mod plain_handshake;
mod sealed;
mod security;
mod traffic;
mod work;

use std::fmt;

use crate::bytes::{Bytes, Input};
use crate::command::{self, Command, Ready};
use crate::curve::{Opened, PublicKey, Sealer};
use crate::decoder::{Bounds, Decoder, Item};
use crate::greeting::{self, Greeted};
use crate::mechanism::Mechanism;
use crate::message::Message;
use crate::plain::Credentials;
use crate::pool::BufferPool;
use crate::{COMMAND, put_frame};
use curve_handshake::CurveHandshake;
use greeting_exchange::GreetingExchange;
use plain_handshake::PlainHandshake;
use sealed::{Sealed, SealedItem};
use traffic::item_event;

pub use error::SessionError;
pub use event::SessionEvent;
pub use security::{NullPeers, PlainPeers, SessionSecurity, Side};
pub use work::{HandshakeResult, HandshakeWork};

/// The bounds before the handshake is complete: no message may arrive yet, so none is kept.
const HANDSHAKE_BOUNDS: Bounds = Bounds {
    bytes: 0,
    frames: 0,
};

/// The state of the dialogue with a peer, and the part of its next item that has arrived.
#[derive(Debug, Default)]
pub struct Session {
    stage: Stage,
    /// Decodes the messages and commands of the traffic. With CURVE, they are inside the boxes.
    decoder: Decoder,
    /// The peer's minor version of ZMTP 3, once it has sent its greeting.
    minor: u8,
    /// The mechanism of the connection, once the greetings agree on it.
    mechanism: Option<Mechanism>,
}

enum Stage {
    Greeting(Box<GreetingExchange>),
    /// The NULL handshake, which the peer's READY completes.
    NullHandshake,
    /// The handshake of PLAIN.
    Plain(PlainHandshake),
    /// The handshake of CURVE.
    Curve(Box<CurveHandshake>),
    Traffic,
    /// Traffic whose frames are sealed in boxes.
    Sealed(Box<Sealed>),
}

impl Default for Stage {
    fn default() -> Self {
        Self::Greeting(Box::default())
    }
}

/// Writes only the name of the stage, because keys must not get into a log.
impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting(_) => "Greeting",
            Self::NullHandshake => "NullHandshake",
            Self::Plain(_) => "Plain",
            Self::Curve(_) => "Curve",
            Self::Traffic => "Traffic",
            Self::Sealed(_) => "Sealed",
        })
    }
}

impl Session {
    /// Returns a session before the peer's first byte. [`Session::default`] returns the session of
    /// a listener without security.
    pub fn new(security: SessionSecurity, side: Side) -> Self {
        Self {
            stage: Stage::Greeting(Box::new(GreetingExchange::new(security, side))),
            ..Self::default()
        }
    }

    /// Appends this side's greeting, or as much of it as can be sent before the peer's mechanism is
    /// known.
    pub fn open(&self, into: &mut Vec<u8>) {
        if let Stage::Greeting(exchange) = &self.stage {
            exchange.open(into);
        }
    }

    /// Returns whether this side waits for the peer's mechanism before it names its own.
    pub fn awaits_mechanism(&self) -> bool {
        matches!(&self.stage, Stage::Greeting(exchange) if exchange.awaits_mechanism())
    }

    /// Appends the rest of this side's greeting, with the preferred mechanism, before the peer has
    /// named its own. Some peers read a whole greeting before they send theirs. Appends nothing if
    /// this side has named its mechanism already.
    pub fn name_mechanism(&mut self, into: &mut Vec<u8>) {
        if let Stage::Greeting(exchange) = &mut self.stage {
            exchange.name_mechanism(into);
        }
    }

    /// Returns the next event, or `None` once the input is used up.
    ///
    /// # Errors
    ///
    /// Fails with the fault of the peer, after which this method must not be called again.
    #[inline]
    pub fn next(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<SessionEvent>, SessionError> {
        if !matches!(self.stage, Stage::Traffic) {
            return self.next_slowly(input, bounds, buffers);
        }
        let item = self.decoder.next(input, bounds, buffers);
        item.map_err(SessionError::Frame)?
            .map(item_event)
            .transpose()
    }

    /// Returns the next message if the message is small, lies whole at the start of the input and
    /// is not sealed. Nearly all messages of peers without CURVE are like this. [`Session::next`]
    /// returns every event, such messages included, but takes more time, because an event is a
    /// large value that is stored and loaded several times.
    #[inline]
    pub fn next_message(&mut self, input: &mut Input, bounds: Bounds) -> Option<Message> {
        match self.stage {
            Stage::Traffic => self.decoder.next_message(input, bounds),
            _ => None,
        }
    }

    /// Returns the next event of a peer whose handshake is not complete, or whose traffic is
    /// sealed.
    fn next_slowly(
        &mut self,
        input: &mut Input,
        bounds: Bounds,
        buffers: &mut BufferPool,
    ) -> Result<Option<SessionEvent>, SessionError> {
        if let Stage::Greeting(exchange) = &mut self.stage {
            let Some(greeted) = exchange.feed(input)? else {
                return Ok(None);
            };
            if let Some(event) = self.greeted(&greeted)? {
                return Ok(Some(event));
            }
        }
        match &mut self.stage {
            Stage::Sealed(sealed) => {
                let item = sealed.next(&mut self.decoder, input, bounds, buffers)?;
                return item
                    .map(|item| match item {
                        SealedItem::Item(item) => item_event(item),
                        SealedItem::Work(work) => Ok(SessionEvent::Open(work)),
                    })
                    .transpose();
            }
            Stage::Curve(handshake) if !handshake.accepts_commands() => return silent(input),
            Stage::Plain(handshake) if !handshake.accepts_commands() => return silent(input),
            Stage::Greeting(_)
            | Stage::NullHandshake
            | Stage::Plain(_)
            | Stage::Curve(_)
            | Stage::Traffic => {}
        }
        let item = self.decoder.next(input, HANDSHAKE_BOUNDS, buffers);
        let event = match item.map_err(SessionError::Frame)? {
            None => Ok(None),
            Some(Item::Message(_) | Item::Oversize(_)) => Err(SessionError::BeforeReady),
            Some(Item::Command(body)) => {
                let event = self.shake_hands(&body).map(Some);
                body.wipe();
                event
            }
        };
        if matches!(self.stage, Stage::Plain(_)) {
            // The peer's password must not stay in a buffer that may be reused only much later.
            input.wipe_taken();
        }
        event
    }

    /// Begins the handshake of the mechanism that the greetings agree on. Returns the event that
    /// follows at once, if any.
    fn greeted(&mut self, greeted: &Greeted) -> Result<Option<SessionEvent>, SessionError> {
        let Stage::Greeting(exchange) = std::mem::replace(&mut self.stage, Stage::NullHandshake)
        else {
            return Ok(None);
        };
        self.minor = greeted.minor;
        let mechanism = exchange.choose(greeted.mechanism)?;
        let awaited = exchange.awaits_mechanism();
        self.mechanism = Some(mechanism);
        let mut work = None;
        match mechanism {
            Mechanism::Null => {}
            Mechanism::Plain => self.stage = Stage::Plain(PlainHandshake::AwaitsHello),
            Mechanism::Curve => {
                let (handshake, first) = CurveHandshake::begin(exchange.into_security())?;
                self.stage = Stage::Curve(Box::new(handshake));
                work = first.map(SessionEvent::Work);
            }
        }
        if awaited {
            // A side that waits for the peer's mechanism is a listener. A listener is never a CURVE
            // client, so there is no `work` to return.
            let ours = greeting::naming(mechanism);
            return Ok(Some(SessionEvent::Answer(
                ours[greeting::OPENING..].to_vec(),
            )));
        }
        Ok(work)
    }

    /// Returns the event of a command of the handshake.
    fn shake_hands(&mut self, body: &Bytes) -> Result<SessionEvent, SessionError> {
        // Frames that arrive before READY are not kept. A message with READY between its frames
        // would thus be incomplete, and is an error.
        let inside = self.decoder.is_inside();
        match &mut self.stage {
            Stage::NullHandshake => {}
            Stage::Plain(_) | Stage::Curve(_) if inside => return Err(SessionError::BeforeReady),
            Stage::Plain(handshake) => return handshake.take_command(body),
            Stage::Curve(handshake) => {
                let (event, sealed) = handshake.take_command(body)?;
                if let Some(sealed) = sealed {
                    self.stage = Stage::Sealed(sealed);
                }
                return Ok(event);
            }
            Stage::Greeting(_) | Stage::Traffic | Stage::Sealed(_) => {
                return Err(SessionError::OutOfTurn);
            }
        }
        match command::parse(body).map_err(SessionError::Command)? {
            Command::Ready(_) if inside => Err(SessionError::BeforeReady),
            Command::Ready(ready) => {
                self.stage = Stage::Traffic;
                Ok(SessionEvent::Ready(Box::new(ready)))
            }
            Command::Error(reason) => Ok(SessionEvent::Error(reason)),
            Command::Ping { .. }
            | Command::Pong
            | Command::Subscribe(_)
            | Command::Cancel(_)
            | Command::Other => Ok(SessionEvent::Other),
        }
    }

    /// Continues the handshake after a costly step, and returns the next event.
    ///
    /// # Errors
    ///
    /// Fails with the error of the step, such as a command that cannot be opened.
    pub fn resume(&mut self, result: HandshakeResult) -> Result<SessionEvent, SessionError> {
        match &mut self.stage {
            Stage::Curve(handshake) => handshake.resume(result).map_err(SessionError::Curve),
            Stage::Greeting(_)
            | Stage::NullHandshake
            | Stage::Plain(_)
            | Stage::Traffic
            | Stage::Sealed(_) => Ok(SessionEvent::Other),
        }
    }

    /// Takes the large frame of a [`SessionEvent::Open`] after it was opened. The next call of
    /// [`Self::next`] returns the event of the frame, even if there is no more input.
    ///
    /// # Errors
    ///
    /// Fails if the box is not valid.
    pub fn opened(&mut self, opened: Opened) -> Result<(), SessionError> {
        match &mut self.stage {
            Stage::Sealed(sealed) => sealed.opened(opened),
            _ => Ok(()),
        }
    }

    /// Returns whether a large frame is being opened. Meanwhile, no input is used.
    pub fn is_opening(&self) -> bool {
        matches!(&self.stage, Stage::Sealed(sealed) if sealed.is_opening())
    }

    /// Continues a PLAIN handshake after the credentials of [`SessionEvent::Credentials`] were
    /// verified. Returns the next event.
    pub fn accept(&mut self, credentials: Credentials) -> SessionEvent {
        let welcome = match &mut self.stage {
            Stage::Plain(handshake) => handshake.accept(credentials),
            Stage::Greeting(_)
            | Stage::NullHandshake
            | Stage::Curve(_)
            | Stage::Traffic
            | Stage::Sealed(_) => None,
        };
        welcome.map_or(SessionEvent::Other, |body| {
            let mut frame = Vec::new();
            put_frame(&mut frame, COMMAND, &body);
            SessionEvent::Answer(frame)
        })
    }

    /// Returns whether the credentials of the peer are being verified.
    pub fn is_verifying(&self) -> bool {
        matches!(&self.stage, Stage::Plain(handshake) if handshake.is_verifying())
    }

    /// Returns the mechanism of the connection, once the greetings agree on it. The mechanism alone
    /// does not prove who the peer is.
    pub fn mechanism(&self) -> Option<Mechanism> {
        self.mechanism
    }

    /// Returns the long-term key of the peer, or `None` without CURVE or before the peer has proved
    /// that the key is its own.
    pub fn key(&self) -> Option<PublicKey> {
        match &self.stage {
            Stage::Curve(handshake) => handshake.key(),
            Stage::Sealed(sealed) => sealed.key(),
            Stage::Greeting(_) | Stage::NullHandshake | Stage::Plain(_) | Stage::Traffic => None,
        }
    }

    /// Takes the sealer for everything that this side sends from now on. Returns `None` without
    /// CURVE, before the handshake is complete, and if the sealer was already taken.
    pub fn take_sealer(&mut self) -> Option<Box<Sealer>> {
        match &mut self.stage {
            Stage::Sealed(sealed) => sealed.take_sealer(),
            _ => None,
        }
    }

    /// Admits a peer whose metadata has arrived, and appends the READY of this side with its socket
    /// type. A CURVE client appends nothing, because its INITIATE has contained its metadata.
    ///
    /// # Errors
    ///
    /// Fails if the caller calls this method too early in a handshake of PLAIN or CURVE. A peer
    /// cannot cause this error.
    pub fn admit(&mut self, socket_type: &str, into: &mut Vec<u8>) -> Result<(), SessionError> {
        let ours = Ready {
            socket_type: socket_type.into(),
            ..Ready::default()
        };
        // If the call is too early, the session remains in the greeting stage, in which no message
        // is accepted.
        match std::mem::take(&mut self.stage) {
            Stage::Plain(handshake) => {
                put_frame(into, COMMAND, &handshake.admit(&ours)?);
                self.stage = Stage::Traffic;
            }
            Stage::Curve(handshake) => {
                let sealed = handshake.admit(&ours, into).map_err(SessionError::Curve)?;
                self.stage = Stage::Sealed(sealed);
            }
            sealed @ Stage::Sealed(_) => self.stage = sealed,
            // The handshake of NULL has ended with the peer's READY.
            Stage::Greeting(_) | Stage::NullHandshake | Stage::Traffic => {
                command::put_ready(into, socket_type);
                self.stage = Stage::Traffic;
            }
        }
        Ok(())
    }

    /// Returns whether the peer understands PING, which ZMTP 3.1 introduced.
    pub fn understands_ping(&self) -> bool {
        self.minor >= 1
    }

    /// Returns whether the peer understands SUBSCRIBE and CANCEL, which ZMTP 3.1 introduced. Any
    /// other publisher takes subscriptions as messages
    /// ([`SubscriptionChange`](crate::subscription::SubscriptionChange)). Subscribers may send both
    /// forms, whatever their version.
    pub fn understands_subscribe(&self) -> bool {
        self.minor >= 1
    }

    /// Returns whether the peer has sent the signature of ZMTP, but not yet its whole greeting.
    pub fn is_greeting(&self) -> bool {
        matches!(&self.stage, Stage::Greeting(exchange) if exchange.is_signed())
    }

    /// Returns whether the greetings are complete and the NULL handshake awaits the peer's READY.
    pub fn awaits_ready(&self) -> bool {
        matches!(&self.stage, Stage::NullHandshake)
    }

    /// Returns whether the greetings are complete and this side, as the CURVE server, awaits the
    /// peer's HELLO.
    pub fn awaits_hello(&self) -> bool {
        matches!(&self.stage, Stage::Curve(handshake) if handshake.awaits_hello())
    }

    /// Returns whether a frame or a message has begun and is not complete.
    pub fn is_inside(&self) -> bool {
        let boxed = self.boxes().is_some_and(Decoder::is_inside);
        boxed || self.large() > 0 || self.decoder.is_inside()
    }

    /// Returns whether a message has begun and is not complete. Commands between its frames do not
    /// affect the result. The content of an incomplete box is not known yet, and does not count.
    pub fn is_inside_message(&self) -> bool {
        self.decoder.is_inside_message()
    }

    /// Returns the number of bytes of the incomplete message that have arrived
    /// ([`Decoder::arrived`]), including the bytes of an incomplete box, and of a box that is being
    /// opened.
    pub fn arrived(&self) -> u64 {
        self.decoder.arrived() + self.boxes().map_or(0, Decoder::arrived) + self.large()
    }

    /// Returns the memory that the incomplete item holds, in bytes.
    pub fn held(&self) -> u64 {
        self.decoder.held() + self.boxes().map_or(0, Decoder::held) + self.large()
    }

    /// Returns the number of bytes of a large frame that is not decoded yet.
    fn large(&self) -> u64 {
        match &self.stage {
            Stage::Sealed(sealed) => sealed.large() as u64,
            _ => 0,
        }
    }

    /// Returns the memory into which the next bytes can be read directly ([`Decoder::direct`]).
    pub fn direct(&mut self) -> Option<&mut [u8]> {
        self.outermost().direct()
    }

    /// Records that `n` bytes were written to the memory that [`Self::direct`] returned.
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

    /// Returns the decoder that takes the bytes of the connection, which is the decoder of the
    /// boxes if traffic is sealed.
    fn outermost(&mut self) -> &mut Decoder {
        match &mut self.stage {
            Stage::Sealed(sealed) => sealed.boxes_mut(),
            _ => &mut self.decoder,
        }
    }
}

/// Returns no event, for a peer that has to wait for this side.
///
/// # Errors
///
/// Fails if the peer has sent anything meanwhile.
fn silent(input: &Input) -> Result<Option<SessionEvent>, SessionError> {
    if input.rest().is_empty() {
        Ok(None)
    } else {
        Err(SessionError::OutOfTurn)
    }
}

#[cfg(test)]
mod tests;
