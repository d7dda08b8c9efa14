//! The faults of a peer. After a fault, nothing more is read from the peer.

use std::fmt;

use crate::curve::CurveError;
use crate::decoder;
use crate::greeting::GreetingError;
use crate::mechanism::Mechanism;
use crate::plain::PlainError;

/// A fault of a peer, after which nothing more is read from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// The peer's protocol or mechanism is not supported, so the peer receives no ERROR.
    Unsupported(GreetingError),
    /// The peer names a mechanism that this side does not accept.
    Mismatch {
        /// The peer's mechanism.
        theirs: Mechanism,
        /// The mechanism that this side prefers.
        ours: Mechanism,
    },
    /// The peer's stream cannot be decoded.
    Frame(decoder::FrameError),
    /// A command is malformed.
    Command(&'static str),
    /// A message, or its first frame, arrived before READY.
    BeforeReady,
    /// READY arrived a second time.
    SecondReady,
    /// The peer sent something while it had to wait for this side's next step of the handshake.
    OutOfTurn,
    /// The handshake or a sealed frame of the peer is refused.
    Curve(CurveError),
    /// The PLAIN handshake of the peer is malformed.
    Plain(PlainError),
    /// A frame arrived in clear text although all frames must be sealed.
    ClearText,
    /// A sealed frame has more than this maximum number of bytes.
    TooLarge(u64),
}

impl SessionError {
    /// Returns whether the peer understands an ERROR and should receive one. A peer without the
    /// right key receives none, because a libzmq peer never connects again after an ERROR, and this
    /// side may admit the key of the peer later. A peer that tampers with the traffic receives no
    /// ERROR, either.
    pub fn should_receive_error(&self) -> bool {
        match self {
            Self::Unsupported(_)
            | Self::Mismatch { .. }
            | Self::Curve(_)
            | Self::Plain(_)
            | Self::ClearText => false,
            Self::Frame(_)
            | Self::Command(_)
            | Self::BeforeReady
            | Self::SecondReady
            | Self::OutOfTurn
            | Self::TooLarge(_) => true,
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(error) => error.fmt(f),
            Self::Mismatch { theirs, ours } => write!(
                f,
                "it asks for security mechanism {}, and this address takes {}",
                theirs.name(),
                ours.name()
            ),
            Self::Frame(fault) => fault.fmt(f),
            Self::Command(fault) => f.write_str(fault),
            Self::BeforeReady => f.write_str("a message before READY"),
            Self::SecondReady => f.write_str("a second READY"),
            Self::OutOfTurn => f.write_str("bytes before the answer to a command of the handshake"),
            Self::Curve(error) => error.fmt(f),
            Self::Plain(error) => error.fmt(f),
            Self::ClearText => f.write_str("a frame in clear text where all frames must be sealed"),
            Self::TooLarge(max) => write!(f, "a sealed frame of more than {max} bytes"),
        }
    }
}

impl std::error::Error for SessionError {}
