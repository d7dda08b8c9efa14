//! The greeting, which is the first 64 bytes of a connection in each direction (RFC 37, "Version
//! Negotiation").

use std::fmt;

use crate::bytes::Input;
use crate::mechanism::Mechanism;

/// The size of a greeting, in bytes.
pub const LENGTH: usize = 64;

/// The position of the version's major number.
const MAJOR: usize = 10;
const MINOR: usize = 11;
const MECHANISM: std::ops::Range<usize> = 12..32;

/// The size, in bytes, of the signature that begins every greeting since ZMTP 2.0.
const SIGNATURE: usize = 10;

/// The number of bytes before the mechanism: signature and version. A listener sends these bytes
/// first. Most peers then name their mechanism, and the listener answers with a mechanism that
/// suits the peer.
pub const OPENING: usize = MECHANISM.start;

/// The greeting of a side without security: ZMTP 3.1, mechanism NULL.
pub const NULL_GREETING: [u8; LENGTH] = naming(Mechanism::Null);

/// Returns this side's greeting, which names `mechanism`.
pub const fn naming(mechanism: Mechanism) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[0] = 0xff;
    bytes[9] = 0x7f;
    bytes[MAJOR] = 3;
    bytes[MINOR] = 1;
    let name = mechanism.name().as_bytes();
    let mut n = 0;
    while n < name.len() {
        bytes[MECHANISM.start + n] = name[n];
        n += 1;
    }
    bytes
}

/// A peer's greeting, as far as it has arrived.
#[derive(Debug)]
pub struct Greeting {
    bytes: [u8; LENGTH],
    length: usize,
}

/// The content of a whole greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeted {
    /// The minor version of ZMTP that the peer sent.
    pub minor: u8,
    /// The mechanism that the peer names.
    pub mechanism: Mechanism,
}

/// The reason why a peer's greeting is refused: its protocol or security mechanism is not
/// supported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GreetingError {
    /// ZMTP 1.0, which libzmq 2 speaks, or ZMTP 2.0, which libzmq 3 speaks.
    Older(&'static str),
    /// Another protocol, recognized by the first bytes.
    Other(&'static str),
    /// ZMTP 3 with an unknown security mechanism.
    Mechanism(String),
}

impl fmt::Display for GreetingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Older(version) => write!(
                f,
                "it speaks {version}; the gateway speaks ZMTP 3.0 and 3.1, which libzmq speaks from version 4.0 on"
            ),
            Self::Other(what) => write!(f, "it speaks {what}, not ZMTP"),
            Self::Mechanism(name) => write!(
                f,
                "it asks for security mechanism {name}; the gateway speaks NULL, PLAIN and CURVE"
            ),
        }
    }
}

impl Default for Greeting {
    fn default() -> Self {
        Self::new()
    }
}

impl Greeting {
    /// Returns an empty greeting, before its first byte has arrived.
    pub fn new() -> Self {
        Self {
            bytes: [0; LENGTH],
            length: 0,
        }
    }

    /// Takes the bytes of the greeting from the input, and returns the content of the greeting once
    /// it is complete. Fails as soon as the first bytes show another protocol, because such a peer
    /// may wait for an answer before it sends more.
    pub fn feed(&mut self, input: &mut Input) -> Result<Option<Greeted>, GreetingError> {
        let rest = input.rest();
        let n = rest.len().min(LENGTH - self.length);
        self.bytes[self.length..self.length + n].copy_from_slice(&rest[..n]);
        self.length += n;
        input.skip(n);
        self.parse()
    }

    /// Returns whether the signature has arrived, which proves that the peer speaks ZMTP.
    pub fn is_signed(&self) -> bool {
        self.length >= SIGNATURE
    }

    fn parse(&self) -> Result<Option<Greeted>, GreetingError> {
        let seen = &self.bytes[..self.length];
        if seen.first().is_some_and(|first| *first != 0xff) {
            return Err(other_protocol(seen));
        }
        if seen.len() >= SIGNATURE && seen[SIGNATURE - 1] & 1 == 0 {
            // This is a long identity frame of ZMTP 1.0.
            return Err(GreetingError::Older("ZMTP 1.0"));
        }
        if seen.len() > MAJOR && seen[MAJOR] < 3 {
            return Err(GreetingError::Older("ZMTP 2.0"));
        }
        if seen.len() < LENGTH {
            return Ok(None);
        }
        let name = &self.bytes[MECHANISM];
        let length = name.iter().position(|byte| *byte == 0);
        let name = &name[..length.unwrap_or(name.len())];
        let mechanism = Mechanism::named(name)
            .ok_or_else(|| GreetingError::Mechanism(crate::printable(name)))?;
        let minor = self.bytes[MINOR];
        Ok(Some(Greeted { minor, mechanism }))
    }
}

/// Recognizes the protocol of a peer by its first bytes, and returns the error that names this
/// protocol. The first byte must not be 0xff, with which every greeting begins since ZMTP 2.0.
fn other_protocol(first: &[u8]) -> GreetingError {
    match first {
        // A short identity frame of ZMTP 1.0 begins with a length, followed by one byte of flags.
        // The length includes the byte of flags, so it is at least 1.
        [0x01..=0x15, ..] => GreetingError::Older("ZMTP 1.0"),
        [0x16, ..] => GreetingError::Other("TLS"),
        [b'S', b'S', ..] => GreetingError::Other("SSH"),
        [b'A'..=b'Z', ..] => GreetingError::Other("HTTP or another text protocol"),
        _ => GreetingError::Other("an unknown protocol"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(bytes: &[u8]) -> Result<Option<Greeted>, GreetingError> {
        Greeting::new().feed(&mut Input::from(bytes.to_vec()))
    }

    /// Returns the content of a greeting with this minor version.
    fn greeted(minor: u8) -> Result<Option<Greeted>, GreetingError> {
        let mechanism = Mechanism::Null;
        Ok(Some(Greeted { minor, mechanism }))
    }

    #[test]
    fn the_greeting_of_this_side_is_read_wherever_it_is_cut_in_two() {
        assert_eq!(parsed(&NULL_GREETING), greeted(1));
        for cut in 0..LENGTH {
            let mut greeting = Greeting::new();
            let first = greeting.feed(&mut Input::from(NULL_GREETING[..cut].to_vec()));
            assert_eq!(first, Ok(None), "{cut}");
            let mut rest = NULL_GREETING[cut..].to_vec();
            rest.push(4);
            let mut rest = Input::from(rest);
            assert_eq!(greeting.feed(&mut rest), greeted(1), "{cut}");
            assert_eq!(rest.rest(), [4], "the bytes after the greeting remain");
        }
    }

    #[test]
    fn other_protocols_are_recognized_by_their_first_bytes() {
        let refusal = |bytes: &[u8]| parsed(bytes).unwrap_err().to_string();
        assert!(refusal(b"GET / HTTP/1.1\r\n").contains("HTTP"));
        assert!(refusal(b"\x16\x03\x01\x02").contains("TLS"));
        assert!(refusal(b"SSH-2.0-x").contains("SSH"));
        assert!(refusal(b"\x01\x00").contains("ZMTP 1.0"));
        assert!(refusal(b"\xff\0\0\0\0\0\0\0\x01\0").contains("ZMTP 1.0"));
        assert!(refusal(b"\xff\0\0\0\0\0\0\0\x01\x7f\x01").contains("ZMTP 2.0"));
        assert!(refusal(b"\0\0\0").contains("unknown"));
        let mut other = NULL_GREETING;
        other[12..18].copy_from_slice(b"GSSAPI");
        assert!(refusal(&other).contains("GSSAPI"));
    }

    #[test]
    fn a_newer_version_is_accepted() {
        let mut newer = NULL_GREETING;
        newer[MAJOR] = 4;
        newer[MINOR] = 0;
        assert_eq!(parsed(&newer), greeted(0));
    }
}
