//! The name of a peer in /status.

use crate::frame::printable;
use crate::peer::PeerName;

/// Returns the identity or the principal of a peer in printable form, or `None` if the peer has
/// neither.
pub(super) fn identity(name: &PeerName) -> Option<String> {
    Some(printable(&name.identity)).filter(|identity| !identity.is_empty())
}

/// Returns the address of a peer, or `None` if the engine does not know it.
pub(super) fn address(name: &PeerName) -> Option<String> {
    Some(name.address.clone()).filter(|address| !address.is_empty())
}
