//! The exchange of greetings, by which both sides agree on a mechanism.

use crate::bytes::Input;
use crate::greeting::{self, Greeted, Greeting};
use crate::mechanism::Mechanism;
use crate::session::error::SessionError;
use crate::session::security::{SessionSecurity, Side};

/// The state of the exchange.
pub(super) struct GreetingExchange {
    greeting: Greeting,
    security: SessionSecurity,
    /// The mechanism that this side's greeting names, or `None` while this side waits for the
    /// peer's mechanism.
    named: Option<Mechanism>,
}

impl Default for GreetingExchange {
    fn default() -> Self {
        Self::new(SessionSecurity::None, Side::Listens)
    }
}

impl GreetingExchange {
    pub(super) fn new(security: SessionSecurity, side: Side) -> Self {
        let named = match side {
            Side::Listens => None,
            Side::Connects => Some(security.preferred()),
        };
        Self {
            greeting: Greeting::default(),
            security,
            named,
        }
    }

    /// Appends this side's greeting, or as much of it as can be sent before the peer's mechanism is
    /// known.
    pub(super) fn open(&self, into: &mut Vec<u8>) {
        let greeting = greeting::naming(self.security.preferred());
        let length = match self.named {
            Some(_) => greeting::LENGTH,
            None => greeting::OPENING,
        };
        into.extend_from_slice(&greeting[..length]);
    }

    /// Returns whether this side waits for the peer's mechanism before it names its own.
    pub(super) fn awaits_mechanism(&self) -> bool {
        self.named.is_none()
    }

    /// Appends the rest of this side's greeting, with the preferred mechanism, unless this side has
    /// named a mechanism already.
    pub(super) fn name_mechanism(&mut self, into: &mut Vec<u8>) {
        if self.named.is_none() {
            let ours = self.security.preferred();
            self.named = Some(ours);
            into.extend_from_slice(&greeting::naming(ours)[greeting::OPENING..]);
        }
    }

    /// Takes bytes of the peer's greeting, and returns the greeting once it is complete.
    pub(super) fn feed(&mut self, input: &mut Input) -> Result<Option<Greeted>, SessionError> {
        self.greeting.feed(input).map_err(SessionError::Unsupported)
    }

    /// Returns whether the peer has sent the signature of ZMTP.
    pub(super) fn is_signed(&self) -> bool {
        self.greeting.is_signed()
    }

    /// Chooses the mechanism of the connection, once the peer has named its own. Fails if this side
    /// does not accept the peer's mechanism.
    pub(super) fn choose(&self, theirs: Mechanism) -> Result<Mechanism, SessionError> {
        let ours = self.security.preferred();
        let accepts = match self.named {
            Some(named) => named == theirs,
            None => self.security.accepts(theirs),
        };
        if accepts {
            Ok(theirs)
        } else {
            Err(SessionError::Mismatch { theirs, ours })
        }
    }

    /// Returns the security of this side, for the handshake.
    pub(super) fn into_security(self) -> SessionSecurity {
        self.security
    }
}
