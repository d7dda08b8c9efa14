//! The security requirements of a connection.

use std::sync::Arc;

use crate::curve::{KeyPair, PublicKey};
use crate::mechanism::Mechanism;

/// The side of a connection: the side that accepted it, or the side that opened it. In CURVE, a
/// side that connects may be the client or the server, but a side that listens is the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// The peer connected to this side. This side names no mechanism before the peer has named one.
    /// An address can thus accept several mechanisms, and an error can say which mechanism the peer
    /// named. A libzmq peer that reads the wrong mechanism closes the connection before it names
    /// its mechanism, and never reconnects.
    #[default]
    Listens,
    /// This side connected to the peer, and names its mechanism at once.
    Connects,
}

/// The treatment of peers that name NULL at an address that accepts CURVE or PLAIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NullPeers {
    /// A listener admits these peers, in clear text, without a key or a password.
    Admitted,
    /// These peers are refused.
    Refused,
}

/// The treatment of peers that name PLAIN at an address that accepts CURVE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainPeers {
    /// A listener admits these peers, in clear text, if their passwords are right.
    Admitted,
    /// These peers are refused.
    Refused,
}

/// The mechanisms of an address, and their parameters.
#[derive(Clone, Debug, Default)]
pub enum SessionSecurity {
    /// Only NULL: every peer is admitted, in clear text.
    #[default]
    None,
    /// CURVE with this side as the server: peers must know this side's key.
    Server {
        /// The key pairs that a HELLO may be addressed to, at least one.
        keys: Arc<[KeyPair]>,
        /// The treatment of peers with a password instead of a key.
        plain: PlainPeers,
        /// The treatment of peers with neither a key nor a password.
        null: NullPeers,
    },
    /// PLAIN, where the user of this crate verifies the passwords of peers.
    Plain {
        /// The treatment of peers without a password.
        null: NullPeers,
    },
    /// CURVE with this side as the client: this side must know the peer's key.
    Client {
        /// The keys of this side.
        keys: KeyPair,
        /// The peer's key.
        server: PublicKey,
        /// The socket type that this side announces before it knows the socket type of the peer.
        socket_type: &'static str,
    },
}

impl SessionSecurity {
    /// Returns the mechanism that this side names if it does not know the mechanism of the peer.
    pub(super) const fn preferred(&self) -> Mechanism {
        match self {
            Self::None => Mechanism::Null,
            Self::Plain { .. } => Mechanism::Plain,
            Self::Server { .. } | Self::Client { .. } => Mechanism::Curve,
        }
    }

    /// Returns whether a listener accepts a peer's mechanism.
    pub(super) fn accepts(&self, theirs: Mechanism) -> bool {
        match (self, theirs) {
            (Self::None, Mechanism::Null)
            | (Self::Plain { .. }, Mechanism::Plain)
            | (Self::Server { .. } | Self::Client { .. }, Mechanism::Curve) => true,
            (Self::Server { null, .. } | Self::Plain { null }, Mechanism::Null) => {
                *null == NullPeers::Admitted
            }
            (Self::Server { plain, .. }, Mechanism::Plain) => *plain == PlainPeers::Admitted,
            (Self::None, Mechanism::Plain | Mechanism::Curve)
            | (Self::Plain { .. }, Mechanism::Curve)
            | (Self::Client { .. }, Mechanism::Null | Mechanism::Plain) => false,
        }
    }
}
