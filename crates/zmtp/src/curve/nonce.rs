//! Nonces (RFC 26, "Nonces"). With the same key, each nonce is used only once.

pub(super) use super::crypto::SHORT;
use super::crypto::{NONCE, PREFIX};
use super::error::CurveError;

/// The size of a long nonce on the wire, in bytes. Long nonces are random.
pub(super) const LONG: usize = 16;

/// Returns the whole nonce: a fixed prefix and a short nonce.
pub(super) fn short(prefix: &[u8; PREFIX], short: &[u8; SHORT]) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    nonce[..PREFIX].copy_from_slice(prefix);
    nonce[PREFIX..].copy_from_slice(short);
    nonce
}

/// Returns the whole nonce: a fixed prefix and a long nonce.
pub(super) fn long(prefix: &[u8; 8], long: &[u8; LONG]) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    nonce[..8].copy_from_slice(prefix);
    nonce[8..].copy_from_slice(long);
    nonce
}

/// The short nonces of the commands that this side sends: 1, 2, 3, …
#[derive(Clone, Debug, Default)]
pub(super) struct Outgoing {
    last: u64,
}

impl Outgoing {
    /// Returns the next nonce. No nonce is returned twice. After the last nonce, this method fails
    /// with [`CurveError::NoncesExhausted`].
    pub(super) fn next(&mut self) -> Result<[u8; SHORT], CurveError> {
        self.last = self
            .last
            .checked_add(1)
            .ok_or(CurveError::NoncesExhausted)?;
        Ok(self.last.to_be_bytes())
    }
}

/// The short nonces of the peer. Each must exceed the previous nonce by one (RFC 26, "The server
/// SHALL verify that a client connection does use correctly incrementing short nonces"). libzmq
/// accepts gaps. This crate does not: a stream loses no data, so a gap means that an attacker on
/// the path removed a frame. By such a removal, the attacker could join two messages into one
/// message that the peer never sent.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    last: u64,
}

impl Incoming {
    /// Returns the state after the peer's first nonce. The peer may choose any first nonce.
    pub(super) const fn after(first: [u8; SHORT]) -> Self {
        Self {
            last: u64::from_be_bytes(first),
        }
    }

    /// Checks that `nonce` comes next, without advancing to it. The caller calls
    /// [`Incoming::advance`] once the box is opened, so that a forged command changes nothing.
    pub(super) fn check(&self, nonce: [u8; SHORT]) -> Result<(), CurveError> {
        if self.last.checked_add(1) == Some(u64::from_be_bytes(nonce)) {
            Ok(())
        } else {
            Err(CurveError::NonceOutOfOrder)
        }
    }

    /// Advances to `nonce`.
    pub(super) const fn advance(&mut self, nonce: [u8; SHORT]) {
        self.last = u64::from_be_bytes(nonce);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_grow_by_one_and_never_wrap() {
        let mut out = Outgoing::default();
        assert_eq!(out.next(), Ok(1u64.to_be_bytes()));
        assert_eq!(out.next(), Ok(2u64.to_be_bytes()));
        let mut last = Outgoing { last: u64::MAX };
        assert_eq!(last.next(), Err(CurveError::NoncesExhausted));

        let mut seen = Incoming::after(5u64.to_be_bytes());
        for refused in [0u64, 4, 5, 7, 900] {
            let nonce = refused.to_be_bytes();
            assert_eq!(seen.check(nonce), Err(CurveError::NonceOutOfOrder));
        }
        assert_eq!(seen.check(6u64.to_be_bytes()), Ok(()));
        seen.advance(u64::MAX.to_be_bytes());
        for wrapped in [0u64, 1] {
            let wrapped = seen.check(wrapped.to_be_bytes());
            assert_eq!(wrapped, Err(CurveError::NonceOutOfOrder));
        }
    }
}
