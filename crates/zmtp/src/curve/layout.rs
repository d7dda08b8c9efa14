//! The layout of the commands of CURVE (RFC 26, "Formal Grammar").
//!
//! Each name begins with its length in one byte. The padding of HELLO has 72 bytes, as in the
//! grammar of the RFC and in libzmq. The text of the RFC says 70.

use super::crypto::{KEY, TAG};
use super::nonce;

pub(super) const HELLO: &[u8] = b"\x05HELLO";
pub(super) const WELCOME: &[u8] = b"\x07WELCOME";
pub(super) const INITIATE: &[u8] = b"\x08INITIATE";
pub(super) const READY: &[u8] = b"\x05READY";
pub(super) const MESSAGE: &[u8] = b"\x07MESSAGE";

/// The version of CurveZMQ that a HELLO names.
pub(super) const VERSION: [u8; 2] = [1, 0];

/// The number of padding zeros in a HELLO. They make a HELLO at least as long as the WELCOME that
/// answers it, so that a server cannot be used to amplify traffic.
pub(super) const PADDING: usize = 72;

/// The number of zeros inside the box of a HELLO.
pub(super) const SIGNATURE: usize = 64;

/// The size of a cookie, in bytes.
pub(super) const COOKIE: usize = 96;

/// The size of a vouch, in bytes: its long nonce, and the box of two keys.
pub(super) const VOUCH: usize = nonce::LONG + TAG + 2 * KEY;

// The prefixes of the nonces. Each kind of box has its own prefix.
pub(super) const HELLO_NONCE: &[u8; 16] = b"CurveZMQHELLO---";
pub(super) const WELCOME_NONCE: &[u8; 8] = b"WELCOME-";
pub(super) const INITIATE_NONCE: &[u8; 16] = b"CurveZMQINITIATE";
pub(super) const VOUCH_NONCE: &[u8; 8] = b"VOUCH---";
pub(super) const READY_NONCE: &[u8; 16] = b"CurveZMQREADY---";
pub(super) const SERVER_NONCE: &[u8; 16] = b"CurveZMQMESSAGES";
pub(super) const CLIENT_NONCE: &[u8; 16] = b"CurveZMQMESSAGEC";

/// Reads fields one after another.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Returns the fields of a command, or `None` if the command has another name.
    pub(super) fn of_command(body: &'a [u8], name: &[u8]) -> Option<Self> {
        body.strip_prefix(name).map(Self)
    }

    /// Returns the fields of an opened box.
    pub(super) const fn of_box(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Takes a field of `N` bytes. Returns `None` if fewer bytes remain.
    pub(super) fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(field)
    }

    /// Returns the remaining bytes.
    pub(super) const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Returns the last field. Returns `None` unless exactly `N` bytes remain.
    pub(super) fn last<const N: usize>(self) -> Option<&'a [u8; N]> {
        self.0.try_into().ok()
    }
}
