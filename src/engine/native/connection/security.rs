//! The identity of a connection's peer, and the encryption of its messages.

use std::net::IpAddr;
use std::sync::Arc;

use crate::engine::native::connection::Connection;
use gateway_zmtp::curve::{CurveError, PublicKey};

impl Connection {
    /// Appends the gateway's greeting, or the part of it that can be sent before the peer's
    /// mechanism is known.
    pub(in crate::engine::native) fn open(&self, into: &mut Vec<u8>) {
        self.session.open(into);
    }

    /// Returns whether the gateway waits for the peer's mechanism before it names its own.
    pub(in crate::engine::native) fn awaits_mechanism(&self) -> bool {
        self.is_new() && self.session.awaits_mechanism()
    }

    /// Appends the rest of the greeting, which names the gateway's mechanism, without waiting any
    /// longer.
    pub(in crate::engine::native) fn name_mechanism(&mut self, into: &mut Vec<u8>) {
        self.session.name_mechanism(into);
    }

    /// Returns the key that the peer has proved to have.
    pub(in crate::engine::native) fn key(&self) -> Option<PublicKey> {
        self.session.key()
    }

    /// Returns the peer's IP address, or `None` for a peer on an ipc socket.
    pub(in crate::engine::native) fn ip(&self) -> Option<IpAddr> {
        self.stream.ip()
    }

    /// Appends the READY that admits the peer.
    ///
    /// # Errors
    ///
    /// Fails if it is called too early in a CURVE handshake, but never because of a peer.
    pub(in crate::engine::native) fn admit(
        &mut self,
        socket_type: &'static str,
        into: &mut Vec<u8>,
    ) -> Result<(), CurveError> {
        self.session.admit(socket_type, into)
    }

    /// Encrypts everything that is sent from now on, if the mechanism requires that.
    pub(in crate::engine::native) fn begin_to_seal(&mut self) {
        if let Some(sealer) = self.session.take_sealer() {
            self.sending.begin_to_seal(sealer);
        }
    }

    /// Returns the principal of the peer, if it has one.
    pub(in crate::engine::native) fn principal(&self) -> Option<&Arc<str>> {
        self.principal.as_ref()
    }

    /// Sets the principal of the peer.
    pub(in crate::engine::native) fn set_principal(&mut self, principal: Option<Arc<str>>) {
        self.principal = principal;
    }
}
