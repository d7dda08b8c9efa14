//! The CURVE handshake within a session. The two sides take turns to send one command each.

use crate::COMMAND;
use crate::bytes::Bytes;
use crate::command::{self, Command, Ready};
use crate::curve::{
    AwaitsInitiate, AwaitsReady, AwaitsWelcome, Client, CurveError, Introduced, PublicKey, Server,
};
use crate::put_frame;
use crate::session::error::SessionError;
use crate::session::event::SessionEvent;
use crate::session::sealed::Sealed;
use crate::session::security::SessionSecurity;
use crate::session::work::{Done, HandshakeResult, HandshakeWork, Step};

/// The progress of the handshake.
pub(super) enum CurveHandshake {
    AwaitsHello(Server),
    AwaitsInitiate(AwaitsInitiate),
    Introduced(Introduced),
    AwaitsWelcome(AwaitsWelcome, ExpectedServer),
    AwaitsReady(AwaitsReady, PublicKey),
    /// The caller has not returned the result of a costly step yet. The expected server is set if
    /// this side is the client.
    Working(Option<ExpectedServer>),
}

/// The key of the server that a client expects, and the socket type that the client announces.
#[derive(Clone, Copy)]
pub(super) struct ExpectedServer {
    server: PublicKey,
    socket_type: &'static str,
}

impl CurveHandshake {
    /// Begins the handshake. Returns the first state and, if this side is the client, the first
    /// costly step.
    pub(super) fn begin(
        security: SessionSecurity,
    ) -> Result<(Self, Option<HandshakeWork>), SessionError> {
        match security {
            SessionSecurity::Server { keys, .. } => {
                Ok((Self::AwaitsHello(Server::new(keys)), None))
            }
            SessionSecurity::Client {
                keys,
                server,
                socket_type,
            } => {
                let expected = ExpectedServer {
                    server,
                    socket_type,
                };
                let first = HandshakeWork::new(Step::Hello(Client::new(keys, server)));
                Ok((Self::Working(Some(expected)), Some(first)))
            }
            SessionSecurity::None | SessionSecurity::Plain { .. } => Err(SessionError::OutOfTurn),
        }
    }

    /// Returns whether the peer may send its next command.
    pub(super) const fn accepts_commands(&self) -> bool {
        !matches!(self, Self::Working(_) | Self::Introduced(_))
    }

    /// Returns whether this side is the server and the client has not sent its HELLO.
    pub(super) const fn awaits_hello(&self) -> bool {
        matches!(self, Self::AwaitsHello(_))
    }

    /// Takes the body of the peer's next command, and returns its event. If the command completes
    /// the handshake, also returns the state that opens and seals the later traffic.
    pub(super) fn take_command(
        &mut self,
        body: &Bytes,
    ) -> Result<(SessionEvent, Option<Box<Sealed>>), SessionError> {
        let bytes = body.bytes();
        if let Ok(Command::Error(reason)) = command::parse(body) {
            return Ok((SessionEvent::Error(reason), None));
        }
        let step = match std::mem::replace(self, Self::Working(None)) {
            Self::AwaitsHello(server) => Step::Welcome(server, bytes.to_vec()),
            Self::AwaitsInitiate(server) => Step::Introduce(server, bytes.to_vec()),
            Self::AwaitsWelcome(client, expected) => {
                *self = Self::Working(Some(expected));
                Step::Initiate(client, bytes.to_vec(), expected.socket_type)
            }
            Self::AwaitsReady(client, server) => {
                let (connected, ready) = client.ready(bytes).map_err(SessionError::Curve)?;
                let sealed = Box::new(Sealed::new(connected, server));
                return Ok((SessionEvent::Ready(Box::new(ready)), Some(sealed)));
            }
            Self::Introduced(_) | Self::Working(_) => return Err(SessionError::OutOfTurn),
        };
        Ok((SessionEvent::Work(HandshakeWork::new(step)), None))
    }

    /// Continues the handshake with the result of a costly step, and returns the next event.
    pub(super) fn resume(&mut self, result: HandshakeResult) -> Result<SessionEvent, CurveError> {
        let Self::Working(expected) = self else {
            return Ok(SessionEvent::Other);
        };
        let body = match (result.into_done()?, expected.take()) {
            (Done::Welcome(server, body), _) => {
                *self = Self::AwaitsInitiate(server);
                body
            }
            (Done::Introduce(introduced), _) => {
                let metadata = introduced.metadata();
                let ready = Ready {
                    socket_type: metadata.socket_type.clone(),
                    identity: metadata.identity.clone(),
                };
                *self = Self::Introduced(introduced);
                return Ok(SessionEvent::Ready(Box::new(ready)));
            }
            (Done::Hello(client, body), Some(expected)) => {
                *self = Self::AwaitsWelcome(client, expected);
                body
            }
            (Done::Initiate(client, body), Some(expected)) => {
                *self = Self::AwaitsReady(client, expected.server);
                body
            }
            (Done::Hello(..) | Done::Initiate(..), None) => return Ok(SessionEvent::Other),
        };
        let mut frame = Vec::new();
        put_frame(&mut frame, COMMAND, &body);
        Ok(SessionEvent::Answer(frame))
    }

    /// Returns the long-term key of a client that has proved its ownership of the key. Returns
    /// `None` in all other states.
    pub(super) const fn key(&self) -> Option<PublicKey> {
        match self {
            Self::Introduced(introduced) => Some(introduced.client()),
            _ => None,
        }
    }

    /// Admits a client: appends the READY for it, and returns the state for the later traffic.
    pub(super) fn admit(self, ours: &Ready, into: &mut Vec<u8>) -> Result<Box<Sealed>, CurveError> {
        let Self::Introduced(introduced) = self else {
            return Err(CurveError::Malformed(
                "a client that has not sent a valid INITIATE yet",
            ));
        };
        let client = introduced.client();
        let (connected, body) = introduced.accept(ours)?;
        put_frame(into, COMMAND, &body);
        Ok(Box::new(Sealed::new(connected, client)))
    }
}
