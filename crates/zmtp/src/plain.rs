//! PLAIN (RFC 24/ZMTP-PLAIN) as state machines without I/O. A client states a user name and a
//! password in clear text, so PLAIN protects nothing from an attacker who can read the network.
//!
//! | client | | server |
//! |---|---|---|
//! | [`Client`] | HELLO → | [`hello`] returns [`Credentials`], which the user checks |
//! | [`AwaitsWelcome`] | ← WELCOME | [`Server`] |
//! | | INITIATE → | |
//! | [`AwaitsReady`] | ← READY | [`Introduced`] |
//!
//! ```
//! use gateway_zmtp::command::Ready;
//! use gateway_zmtp::plain::{Client, hello};
//!
//! let metadata = |socket: &str| Ready { socket_type: socket.into(), ..Ready::default() };
//! let (client, body) = Client::hello("alice", "secret").expect("both are short enough");
//! let credentials = hello(&body)?;
//! assert_eq!((credentials.user(), credentials.password()), (&b"alice"[..], &b"secret"[..]));
//! let (server, body) = credentials.accept();
//! let (client, body) = client.welcome(&body, &metadata("REQ"))?;
//! let (theirs, introduced) = server.initiate(&body)?;
//! assert_eq!(theirs.socket_type, "REQ");
//! let body = introduced.accept(&metadata("ROUTER"));
//! assert_eq!(client.ready(&body)?.socket_type, "ROUTER");
//! # Ok::<(), gateway_zmtp::plain::PlainError>(())
//! ```

use std::fmt;

use zeroize::Zeroizing;

use crate::bytes::Bytes;
use crate::command::{self, Command, Ready};

const HELLO: &[u8] = b"\x05HELLO";
const WELCOME: &[u8] = b"\x07WELCOME";
const INITIATE: &[u8] = b"\x08INITIATE";
const READY: &[u8] = b"\x05READY";

/// The maximum length of a user name or a password, in bytes. The length is sent as one byte.
pub const CREDENTIAL_MAX: usize = 255;

/// The reason why a PLAIN handshake is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlainError {
    /// A command has the wrong name or layout for this step of the handshake.
    Malformed(&'static str),
    /// The peer refused the connection, for this reason.
    Refused(String),
}

impl fmt::Display for PlainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => f.write_str(what),
            Self::Refused(reason) => write!(f, "the peer refused the connection: {reason}"),
        }
    }
}

impl std::error::Error for PlainError {}

/// The user name and password of a client's HELLO. The user of this crate decides whether they are
/// right.
pub struct Credentials {
    /// The user name and the password, each preceded by its length. The bytes are overwritten when
    /// they are dropped.
    fields: Zeroizing<Vec<u8>>,
}

/// A server that has sent WELCOME.
#[derive(Debug)]
pub struct Server(());

/// A server that has received the metadata of its client.
#[derive(Debug)]
pub struct Introduced(());

/// A client before HELLO.
#[derive(Debug)]
pub struct Client(());

/// A client that has sent HELLO.
#[derive(Debug)]
pub struct AwaitsWelcome(());

/// A client that has sent INITIATE.
#[derive(Debug)]
pub struct AwaitsReady(());

/// Reads the credentials in the body of a HELLO command.
///
/// # Errors
///
/// Fails with [`PlainError::Malformed`] for any other body. As in libzmq, nothing may follow the
/// password.
pub fn hello(body: &[u8]) -> Result<Credentials, PlainError> {
    const MALFORMED: PlainError = PlainError::Malformed("a malformed HELLO");
    let fields = body.strip_prefix(HELLO).ok_or(MALFORMED)?;
    let (_, rest) = command::short(fields).ok_or(MALFORMED)?;
    let (_, rest) = command::short(rest).ok_or(MALFORMED)?;
    if !rest.is_empty() {
        return Err(MALFORMED);
    }
    let fields = Zeroizing::new(fields.to_vec());
    Ok(Credentials { fields })
}

impl Credentials {
    /// Returns the user name.
    pub fn user(&self) -> &[u8] {
        self.user_and_password().0
    }

    /// Returns the password.
    pub fn password(&self) -> &[u8] {
        self.user_and_password().1
    }

    fn user_and_password(&self) -> (&[u8], &[u8]) {
        let both = command::short(&self.fields)
            .and_then(|(user, rest)| Some((user, command::short(rest)?.0)));
        both.unwrap_or_default()
    }

    /// Accepts the credentials. Returns the next state, and the body of the WELCOME command that
    /// confirms them.
    pub fn accept(self) -> (Server, Vec<u8>) {
        (Server(()), WELCOME.to_vec())
    }
}

/// Writes only the user name, because a password must not get into a log.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = String::from_utf8_lossy(self.user());
        f.debug_struct("Credentials")
            .field("user", &user)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Takes the body of an INITIATE command. Returns the client's metadata, and the next state.
    ///
    /// # Errors
    ///
    /// Fails with [`PlainError::Malformed`] for any other body.
    pub fn initiate(self, body: &[u8]) -> Result<(Ready, Introduced), PlainError> {
        let metadata = body
            .strip_prefix(INITIATE)
            .ok_or(PlainError::Malformed("a malformed INITIATE"))?;
        let theirs = command::metadata(metadata).map_err(PlainError::Malformed)?;
        Ok((theirs, Introduced(())))
    }
}

impl Introduced {
    /// Admits the client. Returns the body of the READY command, which contains the metadata of
    /// this side and ends the handshake.
    pub fn accept(self, ours: &Ready) -> Vec<u8> {
        let mut ready = READY.to_vec();
        command::put_metadata(&mut ready, ours);
        ready
    }
}

impl Client {
    /// Returns the next state, and the body of the HELLO command that begins the handshake. Returns
    /// `None` if the user name or the password is longer than [`CREDENTIAL_MAX`].
    pub fn hello(user: &str, password: &str) -> Option<(AwaitsWelcome, Zeroizing<Vec<u8>>)> {
        let mut body = Zeroizing::new(Vec::with_capacity(
            HELLO.len() + 2 + user.len() + password.len(),
        ));
        body.extend_from_slice(HELLO);
        for field in [user, password] {
            body.push(u8::try_from(field.len()).ok()?);
            body.extend_from_slice(field.as_bytes());
        }
        Some((AwaitsWelcome(()), body))
    }
}

impl AwaitsWelcome {
    /// Takes the body of a WELCOME command. Returns the next state, and the body of the INITIATE
    /// that answers the WELCOME, with the metadata of this side.
    ///
    /// # Errors
    ///
    /// Fails with [`PlainError::Malformed`], or with [`PlainError::Refused`] if the command is an
    /// ERROR.
    pub fn welcome(self, body: &[u8], ours: &Ready) -> Result<(AwaitsReady, Vec<u8>), PlainError> {
        if body != WELCOME {
            return Err(refusal(body, "a malformed WELCOME"));
        }
        let mut initiate = INITIATE.to_vec();
        command::put_metadata(&mut initiate, ours);
        Ok((AwaitsReady(()), initiate))
    }
}

impl AwaitsReady {
    /// Takes the body of a READY command, and returns the server's metadata.
    ///
    /// # Errors
    ///
    /// Fails with [`PlainError::Malformed`], or with [`PlainError::Refused`] if the command is an
    /// ERROR.
    pub fn ready(self, body: &[u8]) -> Result<Ready, PlainError> {
        let metadata = body
            .strip_prefix(READY)
            .ok_or_else(|| refusal(body, "a malformed READY"))?;
        command::metadata(metadata).map_err(PlainError::Malformed)
    }
}

/// Returns the error with the reason in an ERROR command, or `otherwise` for any other command.
fn refusal(body: &[u8], otherwise: &'static str) -> PlainError {
    match command::parse(&Bytes::from(body.to_vec())) {
        Ok(Command::Error(reason)) => PlainError::Refused(reason),
        _ => PlainError::Malformed(otherwise),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_read_whole_or_refused() {
        let whole = b"\x05HELLO\x05alice\x06secret";
        for cut in 0..whole.len() {
            assert!(hello(&whole[..cut]).is_err(), "{cut}");
        }
        assert!(hello(&[whole, &b"x"[..]].concat()).is_err());
        let empty = hello(b"\x05HELLO\0\0").expect("both may be empty");
        assert_eq!((empty.user(), empty.password()), (&b""[..], &b""[..]));
    }

    #[test]
    fn the_longest_credentials_are_sent_and_longer_ones_are_not() {
        let longest = "x".repeat(CREDENTIAL_MAX);
        let (_, body) = Client::hello(&longest, &longest).expect("255 bytes each");
        let read = hello(&body).expect("a HELLO");
        assert_eq!(read.user(), longest.as_bytes());
        assert_eq!(read.password(), longest.as_bytes());
        assert!(Client::hello("a", &"x".repeat(256)).is_none());
    }

    #[test]
    fn a_password_is_never_printed() {
        let read = hello(b"\x05HELLO\x05alice\x06secret").expect("a HELLO");
        let printed = format!("{read:?}");
        assert!(
            printed.contains("alice") && !printed.contains("secret"),
            "{printed}"
        );
    }

    #[test]
    fn a_refusal_by_the_server_is_reported_at_either_step() {
        let error = b"\x05ERROR\x03400";
        let refused = PlainError::Refused("400".into());
        let client = || Client::hello("a", "b").expect("short").0;
        let ours = Ready::default();
        let reported = client().welcome(error, &ours).map(drop);
        assert_eq!(reported, Err(refused.clone()));
        let (next, _) = client().welcome(WELCOME, &ours).expect("a WELCOME");
        assert_eq!(next.ready(error), Err(refused));
        let wrong = client().welcome(READY, &ours).map(drop);
        assert_eq!(wrong, Err(PlainError::Malformed("a malformed WELCOME")));
    }
}
