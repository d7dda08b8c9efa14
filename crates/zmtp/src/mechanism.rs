//! How two peers come to trust each other between greeting and traffic (RFC 37, "Security
//! Mechanisms"): the names of the mechanisms, by which greetings call them.
//!
//! The handshake of NULL is one READY of each side; those of PLAIN and CURVE are in
//! [`plain`](crate::plain) and [`curve`](crate::curve). A [`Session`](crate::session::Session) takes
//! NULL and CURVE, as its [`Security`](crate::session::Security) says.

/// A mechanism that this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Everybody may come: each side says READY.
    Null,
    /// A user name and a password, in clear text.
    Plain,
    /// Keys: everything after the greeting is authenticated and encrypted.
    Curve,
}

impl Mechanism {
    /// Returns the one of this name, if it is known.
    pub fn named(name: &[u8]) -> Option<Self> {
        [Self::Null, Self::Plain, Self::Curve]
            .into_iter()
            .find(|mechanism| mechanism.name().as_bytes() == name)
    }

    /// Returns its name in greetings, at most 20 bytes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Plain => "PLAIN",
            Self::Curve => "CURVE",
        }
    }
}
