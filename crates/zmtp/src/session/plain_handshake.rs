//! The PLAIN handshake within a session, on the side that verifies passwords.

use crate::bytes::Bytes;
use crate::command::{self, Command, Ready};
use crate::plain::{self, Credentials, Introduced, PlainError, Server};
use crate::session::error::SessionError;
use crate::session::event::SessionEvent;

/// The progress of the handshake.
pub(super) enum PlainHandshake {
    AwaitsHello,
    /// The user of this crate verifies the credentials.
    Verifying,
    AwaitsInitiate(Server),
    /// The peer's metadata has arrived, and the peer is not admitted yet.
    Introduced(Introduced),
}

impl PlainHandshake {
    /// Returns whether the peer may send its next command.
    pub(super) const fn accepts_commands(&self) -> bool {
        matches!(self, Self::AwaitsHello | Self::AwaitsInitiate(_))
    }

    /// Returns whether the credentials of the peer are being verified.
    pub(super) const fn is_verifying(&self) -> bool {
        matches!(self, Self::Verifying)
    }

    /// Takes the body of the peer's next command, and returns its event.
    pub(super) fn take_command(&mut self, body: &Bytes) -> Result<SessionEvent, SessionError> {
        let bytes = body.bytes();
        if let Ok(Command::Error(reason)) = command::parse(body) {
            return Ok(SessionEvent::Error(reason));
        }
        match std::mem::replace(self, Self::Verifying) {
            Self::AwaitsHello => {
                let credentials = plain::hello(bytes).map_err(SessionError::Plain)?;
                Ok(SessionEvent::Credentials(credentials))
            }
            Self::AwaitsInitiate(server) => {
                let (theirs, introduced) = server.initiate(bytes).map_err(SessionError::Plain)?;
                *self = Self::Introduced(introduced);
                Ok(SessionEvent::Ready(Box::new(theirs)))
            }
            Self::Verifying | Self::Introduced(_) => Err(SessionError::OutOfTurn),
        }
    }

    /// Accepts the credentials that were verified, and returns the body of the WELCOME. Returns
    /// `None` if no credentials are being verified.
    pub(super) fn accept(&mut self, credentials: Credentials) -> Option<Vec<u8>> {
        if !self.is_verifying() {
            return None;
        }
        let (server, welcome) = credentials.accept();
        *self = Self::AwaitsInitiate(server);
        Some(welcome)
    }

    /// Admits the peer, and returns the body of the READY with the metadata of this side.
    pub(super) fn admit(self, ours: &Ready) -> Result<Vec<u8>, SessionError> {
        match self {
            Self::Introduced(introduced) => Ok(introduced.accept(ours)),
            Self::AwaitsHello | Self::Verifying | Self::AwaitsInitiate(_) => {
                let why = "a client that has not sent a valid INITIATE yet";
                Err(SessionError::Plain(PlainError::Malformed(why)))
            }
        }
    }
}
