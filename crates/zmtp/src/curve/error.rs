//! The errors of a CURVE connection.

use std::fmt;

use super::crypto::{Forged, NoRandomness};

/// The reason why a CURVE handshake or a sealed frame is refused, or cannot be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CurveError {
    /// A command has the wrong name, length or layout for this step of the handshake.
    Malformed(&'static str),
    /// The HELLO is for a key that is not among this server's keys.
    WrongServerKey,
    /// The public key has a small order. With such a public key, every secret key yields the same
    /// shared key, so boxes would protect nothing.
    WeakKey,
    /// A box was not sealed with the key of this connection, or was changed in transit.
    Forged(&'static str),
    /// The INITIATE does not return the cookie of this connection.
    WrongCookie,
    /// The vouch names another short-term key or another server.
    WrongVouch,
    /// The vouch was not sealed with the secret key that belongs to the public key in the INITIATE.
    NotAPair,
    /// A nonce does not follow the previous nonce: a command was repeated, reordered or removed.
    NonceOutOfOrder,
    /// All nonces of this direction are used up, so the connection must end.
    NoncesExhausted,
    /// A frame inside a box has flags that CURVE does not have.
    UnknownFlags(u8),
    /// The peer refused the connection, for this reason.
    Refused(String),
    /// The operating system provides no random bytes.
    NoRandomness,
}

impl fmt::Display for CurveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => f.write_str(what),
            Self::WrongServerKey => {
                f.write_str("the HELLO is for another server key (CURVE_SERVERKEY)")
            }
            Self::WeakKey => {
                f.write_str("a public key of zeros or of small order, which protects nothing")
            }
            Self::Forged(what) => write!(f, "the box in the {what} cannot be opened"),
            Self::WrongCookie => {
                f.write_str("the INITIATE does not return the cookie of this connection")
            }
            Self::WrongVouch => {
                f.write_str("the vouch in the INITIATE is for another connection or server")
            }
            Self::NonceOutOfOrder => {
                f.write_str("a command was repeated, reordered or removed on the way")
            }
            Self::NotAPair => f.write_str("its public key and its secret key are not a pair"),
            Self::NoncesExhausted => f.write_str("all nonces of the connection are used up"),
            Self::UnknownFlags(flags) => {
                write!(
                    f,
                    "a sealed frame has flags {flags:#04x}, which CURVE does not have"
                )
            }
            Self::Refused(reason) => write!(f, "the peer refused the connection: {reason}"),
            Self::NoRandomness => f.write_str("the operating system provides no random bytes"),
        }
    }
}

impl std::error::Error for CurveError {}

impl From<NoRandomness> for CurveError {
    fn from(NoRandomness: NoRandomness) -> Self {
        Self::NoRandomness
    }
}

impl Forged {
    /// Returns the error that names `part`, the command with the forged box.
    pub(super) const fn into_error(self, part: &'static str) -> CurveError {
        CurveError::Forged(part)
    }
}
