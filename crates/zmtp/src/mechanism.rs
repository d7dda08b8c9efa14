//! The security mechanisms (RFC 37, "Security Mechanisms"), by their names in greetings.
//!
//! The handshake of NULL is one READY from each side. The handshakes of PLAIN and CURVE are in
//! [`plain`](crate::plain) and [`curve`](crate::curve). A [`Session`](crate::session::Session)
//! accepts the mechanisms that its [`SessionSecurity`](crate::session::SessionSecurity) names.

/// A mechanism that this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// No security: each side sends READY.
    Null,
    /// A user name and a password, in clear text.
    Plain,
    /// Public and secret keys: all traffic after the handshake is authenticated and encrypted.
    Curve,
}

impl Mechanism {
    /// Returns the mechanism of this name, if it is known.
    pub fn named(name: &[u8]) -> Option<Self> {
        [Self::Null, Self::Plain, Self::Curve]
            .into_iter()
            .find(|mechanism| mechanism.name().as_bytes() == name)
    }

    /// Returns the name in greetings, which has at most 20 bytes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Plain => "PLAIN",
            Self::Curve => "CURVE",
        }
    }
}
