//! CURVE keys and their text form.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::crypto::{self, KEY};
use super::error::CurveError;
use crate::z85::{self, Z85Error};

/// A public key, which is not secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; KEY]);

impl PublicKey {
    /// Reads the 40 characters of a key's Z85 form.
    ///
    /// # Errors
    ///
    /// Fails if the text is not the Z85 form of a key.
    pub fn from_z85(text: &str) -> Result<Self, Z85Error> {
        z85::decode(text).map(Self)
    }

    /// Returns a key of these bytes.
    pub const fn from_bytes(bytes: [u8; KEY]) -> Self {
        Self(bytes)
    }

    /// Returns the key's bytes.
    pub const fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }

    /// Returns whether `other` is the same key, in a time that does not depend on the result.
    pub(super) fn equals(&self, other: &[u8]) -> bool {
        self.0[..].ct_eq(other).into()
    }
}

/// Writes the Z85 form.
impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&z85::encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A secret key. It is overwritten when it is dropped, and never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; KEY]);

impl SecretKey {
    /// Returns a new key.
    ///
    /// # Errors
    ///
    /// Fails with [`CurveError::NoRandomness`] if the operating system provides no random bytes.
    pub fn generate() -> Result<Self, CurveError> {
        Ok(Self(crypto::random()?))
    }

    /// Reads the 40 characters of a key's Z85 form.
    ///
    /// # Errors
    ///
    /// Fails if the text is not the Z85 form of a key.
    pub fn from_z85(text: &str) -> Result<Self, Z85Error> {
        z85::decode(text).map(Self)
    }

    /// Returns the Z85 form, for a key file.
    pub fn to_z85(&self) -> zeroize::Zeroizing<String> {
        zeroize::Zeroizing::new(z85::encode(&self.0))
    }

    /// Returns the public key of this secret key.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(crypto::public_key(&self.0))
    }

    pub(super) const fn bytes(&self) -> &[u8; KEY] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// A secret key with its public key.
#[derive(Clone, Debug)]
pub struct KeyPair {
    secret: SecretKey,
    public: PublicKey,
}

impl KeyPair {
    /// Returns the pair of a secret key and its public key.
    pub fn new(secret: SecretKey) -> Self {
        let public = secret.public_key();
        Self { secret, public }
    }

    /// Returns a new pair.
    ///
    /// # Errors
    ///
    /// Fails with [`CurveError::NoRandomness`] if the operating system provides no random bytes.
    pub fn generate() -> Result<Self, CurveError> {
        Ok(Self::new(SecretKey::generate()?))
    }

    /// Returns the secret key.
    pub const fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// Returns the public key.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// Returns the bytes of the public key.
    pub(super) const fn public_bytes(&self) -> &[u8] {
        self.public.bytes()
    }

    /// Computes the shared key of this pair and the pair with the public key `other`. This is the
    /// costly step of a handshake. Fails with [`CurveError::WeakKey`] if `other` has a small order.
    pub(super) fn agree(&self, other: &PublicKey) -> Result<crypto::SharedKey, CurveError> {
        crypto::SharedKey::new(other.bytes(), self.secret.bytes()).ok_or(CurveError::WeakKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys in libzmq's manual page zmq_curve.
    const PUBLIC: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
    const SECRET: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";

    #[test]
    fn keys_of_libzmq_are_read_and_form_a_pair() {
        let secret = SecretKey::from_z85(SECRET).expect("a key");
        assert_eq!(secret.public_key().to_string(), PUBLIC);
        assert_eq!(secret.to_z85().as_str(), SECRET);
        assert_eq!(
            PublicKey::from_z85(PUBLIC).expect("a key"),
            secret.public_key()
        );
    }

    #[test]
    fn a_secret_key_is_never_printed() {
        let pair = KeyPair::generate().expect("random bytes");
        let printed = format!("{pair:?} {:?}", pair.secret());
        assert!(!printed.contains(pair.secret().to_z85().as_str()));
        assert!(printed.contains("SecretKey(…)"), "{printed}");
    }
}
