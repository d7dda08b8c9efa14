//! The identity of a connection's peer, and the encryption of its messages.

use std::net::IpAddr;
use std::sync::Arc;

use std::time::Duration;

use crate::engine::native::connection::Connection;
use crate::security::{Proof, User};
use gateway_zmtp::curve::PublicKey;
use gateway_zmtp::mechanism::Mechanism;
use gateway_zmtp::plain::Credentials;
use gateway_zmtp::session::{SessionError, SessionEvent};

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
    /// longer for the peer's mechanism.
    pub(in crate::engine::native) fn name_mechanism(&mut self, into: &mut Vec<u8>) {
        self.session.name_mechanism(into);
    }

    /// Returns the key that the peer has proved to own, if there is one.
    pub(in crate::engine::native) fn key(&self) -> Option<PublicKey> {
        self.session.key()
    }

    /// Returns the proof of the peer's identity, or `None` if its mechanism requires a proof that
    /// the peer has not given.
    pub(in crate::engine::native) fn proof(&self) -> Option<Proof> {
        match self.session.mechanism() {
            None | Some(Mechanism::Null) => Some(Proof::Nothing),
            Some(Mechanism::Plain) => self.user.clone().map(Proof::Password),
            Some(Mechanism::Curve) => self.key().map(Proof::Key),
        }
    }

    /// Continues a PLAIN handshake after the password of this user was verified. The time for the
    /// rest of the handshake begins now, because the peer was waiting for the gateway until now.
    pub(in crate::engine::native) fn accept(
        &mut self,
        user: User,
        credentials: Credentials,
        now: Duration,
    ) -> SessionEvent {
        self.user = Some(user);
        self.liveness.begin(now);
        self.session.accept(credentials)
    }

    /// Returns the peer's IP address, or `None` for a peer on an ipc socket.
    pub(in crate::engine::native) fn ip(&self) -> Option<IpAddr> {
        self.stream.ip()
    }

    /// Appends the READY that admits the peer.
    ///
    /// # Errors
    ///
    /// Fails if this function is called too early in a handshake of PLAIN or CURVE, but never
    /// because of a peer.
    pub(in crate::engine::native) fn admit(
        &mut self,
        socket_type: &'static str,
        into: &mut Vec<u8>,
    ) -> Result<(), SessionError> {
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
