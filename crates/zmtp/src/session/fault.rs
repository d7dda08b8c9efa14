//! What a peer may not say.

use std::fmt;

use crate::curve::CurveError;
use crate::decoder;
use crate::greeting::Stranger;
use crate::mechanism::Mechanism;

/// Why a peer is not listened to any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It speaks something else, so it can't be told anything.
    Stranger(Stranger),
    /// It names another mechanism than this side takes.
    Mismatch {
        /// The peer's.
        theirs: Mechanism,
        /// The one that this side prefers.
        ours: Mechanism,
    },
    /// Its stream makes no sense.
    Frame(decoder::Fault),
    /// A command makes no sense.
    Command(&'static str),
    /// A message, or its beginning, came before READY.
    Early,
    /// READY came a second time.
    Again,
    /// It spoke while it had to wait for this side's next step of the handshake.
    OutOfTurn,
    /// Its handshake or a box of its is refused.
    Curve(CurveError),
    /// Something came in clear text where everything must be sealed.
    Clear,
    /// A box of more than so many bytes.
    Large(u64),
}

impl Fault {
    /// Whether the peer would understand an ERROR, and is to have one. A peer of libzmq that has one
    /// never connects again, so a peer without the right key, which may yet get it, has none; and
    /// nothing is said to whoever tampers.
    pub fn can_be_told(&self) -> bool {
        match self {
            Self::Stranger(_) | Self::Mismatch { .. } | Self::Curve(_) | Self::Clear => false,
            Self::Frame(_)
            | Self::Command(_)
            | Self::Early
            | Self::Again
            | Self::OutOfTurn
            | Self::Large(_) => true,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stranger(stranger) => stranger.fmt(f),
            Self::Mismatch { theirs, ours } => write!(
                f,
                "it asks for security mechanism {}, and this address takes {}",
                theirs.name(),
                ours.name()
            ),
            Self::Frame(fault) => fault.fmt(f),
            Self::Command(fault) => f.write_str(fault),
            Self::Early => f.write_str("a message before READY"),
            Self::Again => f.write_str("a second READY"),
            Self::OutOfTurn => f.write_str("it spoke before its handshake was answered"),
            Self::Curve(error) => error.fmt(f),
            Self::Clear => f.write_str("a frame in clear text where all must be sealed"),
            Self::Large(most) => write!(f, "a sealed frame of more than {most} bytes"),
        }
    }
}

impl std::error::Error for Fault {}
