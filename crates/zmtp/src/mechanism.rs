//! How two peers come to trust each other between greeting and traffic (RFC 37, "Security
//! Mechanisms"). There is one so far, NULL, which asks for nothing.
//!
//! The handshakes of PLAIN and CURVE are in [`plain`](crate::plain) and [`curve`](crate::curve);
//! a session takes neither yet. Each becomes a kind of [`Mechanism`]: its name in
//! [`Mechanism::name`], the meaning of a peer's HELLO and INITIATE in [`Mechanism::hear`], and the
//! WELCOME and READY that answer them as another [`Step`]. Which of them an address takes is for the
//! configuration to say, and [`greeting::OURS`](crate::greeting::OURS) follows that. With CURVE, the
//! session opens the frames that the decoder returns, and the outbox seals those that it is given.

use crate::bytes::Bytes;
use crate::command::{self, Command, Ready};

/// A peer's handshake, by the mechanism that its greeting names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Everybody may come: each side says READY.
    Null,
}

/// What a command of the handshake comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The peer is met, and says what it is.
    Met(Ready),
    /// It gives up, and says why.
    Ended(String),
    /// More is to come.
    Waits,
}

impl Mechanism {
    /// The one of this name, if it is spoken here.
    pub fn named(name: &[u8]) -> Option<Self> {
        [Self::Null].into_iter().find(|it| it.name() == name)
    }

    /// As greetings name it, at most 20 bytes.
    pub const fn name(&self) -> &'static [u8] {
        match self {
            Self::Null => b"NULL",
        }
    }

    /// Takes the body of a command that comes before the peer is met; an error says what is wrong
    /// with it.
    pub fn hear(&mut self, body: &Bytes) -> Result<Step, &'static str> {
        match self {
            Self::Null => Ok(match command::parse(body)? {
                Command::Ready(ready) => Step::Met(ready),
                Command::Error(reason) => Step::Ended(reason),
                Command::Ping { .. } | Command::Pong | Command::Other => Step::Waits,
            }),
        }
    }
}
