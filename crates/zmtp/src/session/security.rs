//! What a connection asks of its peer before it trusts it.

use std::sync::Arc;

use crate::curve::{KeyPair, PublicKey};
use crate::mechanism::Mechanism;

/// Which side of a connection this is. Its role in CURVE does not follow from that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// The peer connected. This side waits for the peer's mechanism before it names its own, so that
    /// an address can take several, and a peer with the wrong one comes again by itself.
    #[default]
    Listens,
    /// This side connected, and names its mechanism at once.
    Connects,
}

/// What becomes of peers that offer NULL where CURVE is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NullPeers {
    /// They may come where this side listens, in clear text and without a key.
    Admitted,
    /// They may not come.
    Refused,
}

/// The mechanisms of an address, and what they need.
#[derive(Clone, Debug, Default)]
pub enum Security {
    /// NULL alone: everybody may come, in clear text.
    #[default]
    None,
    /// CURVE, where peers must know this side's key.
    Server {
        /// Keys that a HELLO may be made for. There must be one at least.
        keys: Arc<[KeyPair]>,
        /// What becomes of peers without a key.
        null: NullPeers,
    },
    /// CURVE, where this side must know the peer's key.
    Client {
        /// This side's keys.
        keys: KeyPair,
        /// The peer's key.
        server: PublicKey,
        /// What this side says that it is, before it knows what the peer is.
        socket_type: &'static str,
    },
}

impl Security {
    /// Returns the mechanism that this side names if it may choose.
    pub(super) const fn preferred(&self) -> Mechanism {
        match self {
            Self::None => Mechanism::Null,
            Self::Server { .. } | Self::Client { .. } => Mechanism::Curve,
        }
    }

    /// Returns whether a listener takes a peer's mechanism.
    pub(super) fn takes(&self, theirs: Mechanism) -> bool {
        let null = matches!(
            self,
            Self::Server {
                null: NullPeers::Admitted,
                ..
            }
        );
        theirs == self.preferred() || (null && theirs == Mechanism::Null)
    }
}
