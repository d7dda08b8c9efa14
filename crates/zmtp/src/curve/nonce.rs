//! Nonces (RFC 26, "Nonces"): each is used once with a key.

use super::crypto::NONCE;
use super::error::CurveError;

/// Bytes of a short nonce, a counter, as it is sent.
pub(super) const SHORT: usize = 8;

/// Bytes of a long nonce, which is random, as it is sent.
pub(super) const LONG: usize = 16;

/// Returns the nonce of a fixed prefix and a short nonce.
pub(super) fn short(prefix: &[u8; 16], short: &[u8; SHORT]) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    nonce[..16].copy_from_slice(prefix);
    nonce[16..].copy_from_slice(short);
    nonce
}

/// Returns the nonce of a fixed prefix and a long nonce.
pub(super) fn long(prefix: &[u8; 8], long: &[u8; LONG]) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    nonce[..8].copy_from_slice(prefix);
    nonce[8..].copy_from_slice(long);
    nonce
}

/// The short nonces of one direction that this side uses: 1, 2, 3, …
#[derive(Clone, Debug, Default)]
pub(super) struct Outgoing {
    last: u64,
}

impl Outgoing {
    /// Returns the next one; each only once.
    pub(super) fn next(&mut self) -> Result<[u8; SHORT], CurveError> {
        self.last = self
            .last
            .checked_add(1)
            .ok_or(CurveError::NoncesExhausted)?;
        Ok(self.last.to_be_bytes())
    }
}

/// The short nonces of the other direction: each must be greater than the one before.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    last: u64,
}

impl Incoming {
    /// Begins after a first nonce, which the peer may choose.
    pub(super) const fn after(first: [u8; SHORT]) -> Self {
        Self {
            last: u64::from_be_bytes(first),
        }
    }

    /// Returns whether this one may come next. Only [`Incoming::took`] moves on, once the box that
    /// it belongs to was opened, so that a forged command changes nothing.
    pub(super) fn check(&self, nonce: [u8; SHORT]) -> Result<(), CurveError> {
        if u64::from_be_bytes(nonce) <= self.last {
            return Err(CurveError::RepeatedNonce);
        }
        Ok(())
    }

    /// Moves on to this one.
    pub(super) const fn took(&mut self, nonce: [u8; SHORT]) {
        self.last = u64::from_be_bytes(nonce);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_only_grow_and_never_wrap() {
        let mut out = Outgoing::default();
        assert_eq!(out.next(), Ok(1u64.to_be_bytes()));
        assert_eq!(out.next(), Ok(2u64.to_be_bytes()));
        let mut last = Outgoing { last: u64::MAX };
        assert_eq!(last.next(), Err(CurveError::NoncesExhausted));

        let mut seen = Incoming::after(5u64.to_be_bytes());
        for refused in [0u64, 4, 5] {
            let nonce = refused.to_be_bytes();
            assert_eq!(seen.check(nonce), Err(CurveError::RepeatedNonce));
        }
        assert_eq!(seen.check(900u64.to_be_bytes()), Ok(()), "gaps are allowed");
        seen.took(u64::MAX.to_be_bytes());
        let wrapped = seen.check(1u64.to_be_bytes());
        assert_eq!(wrapped, Err(CurveError::RepeatedNonce));
    }
}
