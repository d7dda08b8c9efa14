//! The side whose keys a file should contain.

/// The side whose keys a file should contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::config) enum KeyRole {
    /// The gateway, whose keys are secret.
    Gateway,
    /// The peer, whose keys are public.
    Peer,
}
