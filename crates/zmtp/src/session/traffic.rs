//! The events of the messages and commands that a peer sends after the handshake.

use super::error::SessionError;
use super::event::SessionEvent;
use crate::bytes::Bytes;
use crate::command::{self, Command};
use crate::decoder::Item;

/// Returns the event of a decoded item after the handshake.
#[inline]
pub(super) fn item_event(item: Item) -> Result<SessionEvent, SessionError> {
    match item {
        Item::Message(message) => Ok(SessionEvent::Message(message)),
        Item::Oversize(message) => Ok(SessionEvent::Oversize(message)),
        Item::Command(body) => traffic_command(&body),
    }
}

/// Returns the event of a command after the handshake.
fn traffic_command(body: &Bytes) -> Result<SessionEvent, SessionError> {
    match command::parse(body).map_err(SessionError::Command)? {
        Command::Ready(_) => Err(SessionError::SecondReady),
        Command::Error(reason) => Ok(SessionEvent::Error(reason)),
        Command::Ping { ttl, context } => Ok(SessionEvent::Ping { ttl, context }),
        Command::Subscribe(prefix) => Ok(SessionEvent::Subscribe(prefix)),
        Command::Cancel(prefix) => Ok(SessionEvent::Cancel(prefix)),
        Command::Pong | Command::Other => Ok(SessionEvent::Other),
    }
}
