//! The expected owner of the keys in a file.

/// The expected owner of the keys in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::config) enum KeyRole {
    /// The gateway. The file contains its secret key.
    Gateway,
    /// A peer. The file contains its public key.
    Peer,
}
