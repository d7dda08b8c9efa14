//! The admission of peers: the mechanism that a connection requires, the steps of its handshake,
//! and the log lines about refused peers, each with a remedy.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::native::address::Address;
use crate::engine::native::dial::DialId;
use crate::engine::native::liveness::MECHANISM_WAIT_MAX;
use crate::engine::native::quiet::Cause;
use crate::engine::native::service::Service;
use crate::engine::native::service::end::Refusal;
use crate::engine::native::socket_types::{TO_CLIENTS, TO_PUBLISHERS, TO_SUBSCRIBERS, TO_WORKERS};
use crate::engine::native::steps::{Done, Step};
use crate::engine::role::Role;
use crate::frame::printable;
use crate::peer::PeerId;
use crate::security::{ANONYMOUS, Denied, Initiator, Proof, Security, User, principal_fault};
use gateway_zmtp::curve::{CurveError, Opened};
use gateway_zmtp::mechanism::Mechanism;
use gateway_zmtp::plain::Credentials;
use gateway_zmtp::session::{self, HandshakeResult, SessionError};

impl Service {
    /// Returns the security that a frontend, a pool or the side of a channel requires of its peers,
    /// if any.
    pub(super) fn security(&self, role: Role) -> Option<&Arc<Security>> {
        match role {
            Role::Pool(pool) => self.settings(pool).and_then(|pool| pool.security.as_ref()),
            Role::Frontend(_) | Role::Publishers(_) | Role::Subscribers(_) => {
                role.security(&self.snapshot)
            }
        }
    }

    /// Returns the security of a connection that the gateway makes.
    pub(super) fn security_of_call(&self, role: Role, dial: DialId) -> session::SessionSecurity {
        let socket_type = match role {
            Role::Frontend(_) => TO_CLIENTS,
            Role::Pool(_) => TO_WORKERS,
            Role::Publishers(_) => TO_PUBLISHERS,
            Role::Subscribers(_) => TO_SUBSCRIBERS,
        };
        let address = self.dialer.address(dial);
        let is_called = |endpoint: &str| {
            let other = Address::parse(endpoint).ok();
            other.is_some() && other.as_ref() == address
        };
        let security = self.security(role);
        security.map_or(session::SessionSecurity::None, |security| {
            security.of_caller(is_called, socket_type)
        })
    }

    /// Names the gateway's mechanism to a peer that has not named a mechanism within
    /// [`MECHANISM_WAIT_MAX`].
    pub(super) fn name_mechanism_in_time(&mut self, peer: PeerId, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        if connection.awaits_mechanism() && connection.age(now) >= MECHANISM_WAIT_MAX {
            let mut rest = Vec::new();
            connection.name_mechanism(&mut rest);
            self.peers.put(peer, |into| into.extend_from_slice(&rest));
        }
    }

    /// Continues with the peers whose costly steps (see `steps`) are complete.
    pub(in crate::engine::native) fn finish_steps(&mut self, now: Duration) {
        while let Some((peer, done)) = self.steps.next_done() {
            self.finish_step(peer, done, now);
            self.report_events(now);
        }
    }

    /// Continues with a peer whose costly step is complete or lost.
    pub(super) fn finish_step(&mut self, peer: PeerId, done: Done, now: Duration) {
        match done {
            Done::Agreed(worked) => self.agreed(peer, worked, now),
            Done::Verified(credentials, verified) => {
                // The peer may have disconnected meanwhile.
                if self
                    .peers
                    .get(peer)
                    .is_some_and(|connection| connection.is_new())
                {
                    self.verified(peer, credentials, verified, now);
                }
            }
            Done::Opened(opened) => self.opened(peer, opened, now),
            Done::Sealed(frame) => self.peers.sealed(peer, frame),
            Done::Lost => {
                let why = Refusal::HangUp(STEP_LOST.into());
                self.refuse(peer, Cause::Lost, why, now);
            }
        }
    }

    /// Continues a peer's handshake after a key agreement.
    fn agreed(&mut self, peer: PeerId, worked: HandshakeResult, now: Duration) {
        // The peer may have disconnected meanwhile.
        let Some(connection) = self
            .peers
            .get(peer)
            .filter(|connection| connection.is_new())
        else {
            return;
        };
        match connection.resume(worked) {
            Ok(event) => self.take_event(peer, event, now),
            Err(fault) => self.refuse_for(peer, &fault, now),
        }
    }

    /// Continues to read from a peer whose large encrypted frame was opened on another thread.
    fn opened(&mut self, peer: PeerId, opened: Opened, now: Duration) {
        let connection = self.peers.get(peer);
        match connection.map_or(Ok(()), |connection| connection.opened(opened, now)) {
            Ok(()) => self.peers.queue(peer),
            Err(fault) => self.refuse_for(peer, &fault, now),
        }
    }

    /// Queues a costly step of a peer's handshake, or a large frame of the peer's traffic.
    pub(super) fn take_step(&mut self, peer: PeerId, step: Step) {
        let address = self.peers.get(peer).and_then(|connection| connection.ip());
        let peers = &mut self.peers;
        let waits = |peer, step: &Step| {
            peers.get(peer).is_some_and(|connection| match step {
                Step::Agree(_) | Step::Verify(..) => connection.is_new(),
                Step::Open(_) => true,
                Step::Seal(_) => !connection.is_mute(),
            })
        };
        self.steps.add(address, peer, step, waits);
    }

    /// Begins to verify a peer's password. The verification takes long unless the same password was
    /// verified before.
    pub(super) fn verify(&mut self, peer: PeerId, credentials: Credentials, now: Duration) {
        let role = self.peers.get(peer).map(|connection| connection.role());
        let security = role.and_then(|role| self.security(role));
        let Some(users) = security.and_then(|security| security.plain.clone()) else {
            // An edit has removed the users since the peer named its mechanism.
            let why = Refusal::ForNow(NO_PASSWORDS.into());
            return self.refuse(peer, Cause::Mechanism, why, now);
        };
        match users.remembered(&credentials) {
            Some(user) => self.verified(peer, credentials, Ok(user), now),
            None => self.take_step(peer, Step::Verify(users, credentials)),
        }
    }

    /// Continues a peer's handshake after its password was verified, or refuses the peer.
    fn verified(
        &mut self,
        peer: PeerId,
        credentials: Credentials,
        verified: Result<User, Denied>,
        now: Duration,
    ) {
        match verified {
            Ok(user) => {
                let connection = self.peers.get(peer);
                if let Some(event) = connection.map(|found| found.accept(user, credentials, now)) {
                    self.take_event(peer, event, now);
                }
            }
            Err(denied) => {
                let why = denial(denied, &credentials);
                self.refuse(peer, Cause::Password, Refusal::ForNow(why.into()), now);
            }
        }
    }

    /// Refuses a peer whose IP address is not allowed at its frontend, pool or channel. Returns
    /// whether the peer was refused.
    pub(super) fn refuse_address(&mut self, peer: PeerId, now: Duration) -> bool {
        let Some(connection) = self.peers.get(peer) else {
            return false;
        };
        let (role, address) = (connection.role(), connection.ip());
        let security = self.security(role);
        if security.is_none_or(|security| security.admits(address)) {
            return false;
        }
        let why = Refusal::HangUp(NOT_IN_FROM.into());
        self.refuse(peer, Cause::Address, why, now);
        true
    }

    /// Determines the principal of a peer that has sent its READY, and stores it in the connection.
    /// Fails with the reason if the peer is not admitted.
    pub(super) fn authenticate(&mut self, peer: PeerId) -> Result<(), (Cause, Refusal)> {
        let Some(claims) = self.claims(peer) else {
            return Ok(());
        };
        let principal = match self.security(claims.role) {
            Some(security) => Some(admitted(security, &claims)?),
            None => self.unnamed(claims.role),
        };
        if let Some(connection) = self.peers.get(peer) {
            connection.set_principal(principal);
        }
        Ok(())
    }

    /// Returns whether the configuration in force would admit a served peer with the same
    /// principal. A peer without a principal may become anonymous, as clients do in the core.
    /// Returns true for a peer that is not served, because the decision about such a peer is made
    /// once the peer has sent its READY.
    pub(super) fn is_still_admitted(&mut self, peer: PeerId) -> bool {
        let Some(connection) = self
            .peers
            .get(peer)
            .filter(|connection| connection.is_known())
        else {
            return true;
        };
        let before = connection.principal().cloned();
        let Some(claims) = self.claims(peer) else {
            return true;
        };
        let principal = match self.security(claims.role) {
            Some(security) => admitted(security, &claims).ok(),
            None => match self.unnamed(claims.role) {
                Some(anonymous) => Some(anonymous),
                // Peers of this role have no principals any more. The peer stays connected, and the
                // core does not change the peer's name.
                None => return true,
            },
        };
        let Some(principal) = principal else {
            return false;
        };
        if *principal != *before.as_deref().unwrap_or(ANONYMOUS) {
            return false;
        }
        if let Some(connection) = self.peers.get(peer) {
            connection.set_principal(Some(principal));
        }
        true
    }

    /// Returns the facts that decide whether a peer is admitted, or `None` if its connection has
    /// ended.
    fn claims(&mut self, peer: PeerId) -> Option<Claims> {
        let connection = self.peers.get(peer)?;
        Some(Claims {
            role: connection.role(),
            proof: connection.proof(),
            address: connection.ip(),
            initiator: connection.initiator(),
        })
    }

    /// Returns the principal of peers of a role that requires no security, or `None` if such peers
    /// have no principals.
    fn unnamed(&self, role: Role) -> Option<Arc<str>> {
        let sends_to_routes = matches!(role, Role::Frontend(_) | Role::Publishers(_));
        let named = sends_to_routes && self.snapshot.knows_principals();
        named.then(|| ANONYMOUS.into())
    }

    /// Refuses a peer because of a fault in its input.
    pub(super) fn refuse_for(&mut self, peer: PeerId, fault: &SessionError, now: Duration) {
        let (cause, why) = self.explain(peer, fault);
        let why = match cause {
            // An edit of the keys on either side can correct this fault.
            Cause::Mechanism | Cause::ServerKey => Refusal::ForNow(why.into()),
            _ if fault.should_receive_error() => Refusal::Final(why.into()),
            _ => Refusal::HangUp(why.into()),
        };
        self.refuse(peer, cause, why, now);
    }

    /// Returns the cause of a fault, and a text that explains the fault and its remedy.
    fn explain(&mut self, peer: PeerId, fault: &SessionError) -> (Cause, String) {
        let role = self.peers.get(peer).map(|connection| connection.role());
        let security = role.and_then(|role| self.security(role));
        match (fault, security) {
            (SessionError::Mismatch { theirs, .. }, Some(security))
                if security.curve.is_some() || security.plain.is_some() =>
            {
                (Cause::Mechanism, mismatch(*theirs, security))
            }
            (SessionError::Mismatch { theirs, .. }, _) => {
                let name = theirs.name();
                let remedy = match theirs {
                    Mechanism::Plain => {
                        "and there is no `security.plain` here: add it, or leave out the password (pyzmq: plain_username, plain_password) at the peer"
                    }
                    _ => {
                        "and there is no `security.curve` here: add it, or leave out the server key (pyzmq: curve_serverkey) at the peer"
                    }
                };
                let why = format!("it asks for security mechanism {name}, {remedy}");
                (Cause::Mechanism, why)
            }
            (SessionError::Curve(CurveError::WrongServerKey), Some(security)) => {
                let key = gateway_key(security);
                let why = format!(
                    "its server key (pyzmq: curve_serverkey) is not the gateway's, which is {key}"
                );
                (Cause::ServerKey, why)
            }
            (SessionError::Curve(error @ CurveError::NotAPair), _) => {
                let remedy =
                    "give it both keys of one file (pyzmq: curve_publickey, curve_secretkey)";
                (Cause::Key, format!("{error}: {remedy}"))
            }
            (SessionError::Curve(error), _) => (Cause::Curve, error.to_string()),
            (SessionError::Unsupported(error), _) => (Cause::OtherProtocol, error.to_string()),
            (fault, _) => (Cause::Fault, fault.to_string()),
        }
    }

    /// Returns the reason why a peer disconnected. If the gateway had connected to the peer, and
    /// the handshake was not complete, adds the possible causes. A libzmq peer that requires
    /// another mechanism disconnects before it names its mechanism.
    pub(super) fn why_gone(&mut self, peer: PeerId, why: &dyn fmt::Display) -> String {
        let called = self
            .peers
            .get(peer)
            .filter(|connection| connection.is_new() && connection.dial().is_some())
            .map(|connection| connection.role());
        let Some(role) = called else {
            return why.to_string();
        };
        match self.security(role).and_then(|security| security.key()) {
            Some(key) => format!(
                "{why} during the handshake: the peer may not use CURVE, may have another key than `server`, or may not know the gateway's key {key}"
            ),
            None => format!(
                "{why} during the handshake: the peer may require CURVE (there is no `security.curve` here), may have been stopped, or may speak ZMTP 2.0"
            ),
        }
    }
}

/// The facts that decide whether a peer is admitted.
struct Claims {
    role: Role,
    /// The proof of the peer's identity, or `None` if its mechanism requires a proof that the peer
    /// has not given.
    proof: Option<Proof>,
    /// The IP address, or `None` for a peer without one.
    address: Option<IpAddr>,
    initiator: Initiator,
}

const STEP_LOST: &str =
    "the gateway failed at a step of the peer's handshake or at a large frame, which is a bug";

const NOT_IN_FROM: &str = "its address is not in `from`: add the address or its network to `from`";

/// Returns the principal of a peer, or the reason why the peer is not admitted.
fn admitted(security: &Security, peer: &Claims) -> Result<Arc<str>, (Cause, Refusal)> {
    if peer.initiator == Initiator::Peer && !security.admits(peer.address) {
        return Err((Cause::Address, Refusal::HangUp(NOT_IN_FROM.into())));
    }
    let proof = peer.proof.as_ref();
    let principal = proof.and_then(|proof| security.principal(proof, peer.initiator));
    principal.ok_or_else(|| {
        let (cause, why) = match proof {
            Some(Proof::Key(key)) => {
                let why = format!(
                    "its key {key} is unknown: to admit it, put public-key = \"{key}\" into a file NAME.key in the directory that `peers` names"
                );
                (Cause::Key, why)
            }
            Some(Proof::Password(user)) => {
                let name = user.name();
                let why = format!("user {name} was removed, or its password changed after it was verified");
                (Cause::Password, why)
            }
            Some(Proof::Nothing) | None => {
                let wanted = wanted(security);
                (Cause::Key, format!("it has no key, and {wanted} is required here"))
            }
        };
        (cause, Refusal::ForNow(why.into()))
    })
}

const NO_PASSWORDS: &str = "passwords are no longer accepted here: `security.plain` was removed";

/// Returns the explanation of refused credentials. The explanation contains the name of the user,
/// in printable form, and never the password.
fn denial(denied: Denied, credentials: &Credentials) -> String {
    let user = printable(credentials.user());
    let is_invalid = principal_fault(&String::from_utf8_lossy(credentials.user())).is_some();
    match denied {
        Denied::WrongPassword => format!(
            "the password of user {user} is wrong: give the peer the right one (pyzmq: plain_password), or replace the user's line in the file of `plain.users`"
        ),
        Denied::UnknownUser if is_invalid => {
            format!("its user name is unknown and invalid: {user}")
        }
        Denied::UnknownUser => {
            // An operator may copy the command into a shell, so the command contains no character
            // that a shell interprets.
            let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-@".contains(byte);
            let name = match credentials.user().iter().all(is_plain) {
                true => &*user,
                false => "NAME",
            };
            format!(
                "user {user} is unknown: to admit it, put the line that `gateway keygen --user {name}` prints into the file of `plain.users`"
            )
        }
    }
}

/// Returns the mechanisms that a peer may use, for logs.
fn wanted(security: &Security) -> &'static str {
    match (&security.curve, &security.plain) {
        (Some(_), Some(_)) => "CURVE or PLAIN",
        (None, Some(_)) => "PLAIN",
        (_, None) => "CURVE",
    }
}

/// Returns the reason why an address with `security` does not accept a peer whose mechanism is
/// `theirs`, and the remedy.
fn mismatch(theirs: Mechanism, security: &Security) -> String {
    let offers = match theirs {
        Mechanism::Null if security.curve.is_none() => {
            "it has no password (mechanism NULL)".to_owned()
        }
        Mechanism::Null => "it has no key (mechanism NULL)".to_owned(),
        Mechanism::Plain | Mechanism::Curve => {
            format!("it asks for security mechanism {}", theirs.name())
        }
    };
    let wanted = wanted(security);
    let password = "a user name and a password (pyzmq: plain_username, plain_password)";
    let remedy = match (&security.curve, &security.plain) {
        (None, _) => password.to_owned(),
        (Some(_), plain) => {
            let key = gateway_key(security);
            let or = plain
                .as_ref()
                .map_or_else(String::new, |_| format!(", or {password}"));
            format!(
                "the server key {key} and a key pair of its own (pyzmq: curve_serverkey, curve_publickey, curve_secretkey){or}"
            )
        }
    };
    format!("{offers}, and {wanted} is required here: give it {remedy}")
}

/// Returns the gateway's public key, which peers must know, as text.
fn gateway_key(security: &Security) -> String {
    security
        .key()
        .map_or_else(String::new, |key| key.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_zmtp::plain::{Client, hello};

    #[test]
    fn a_command_in_the_log_has_no_character_that_a_shell_interprets() {
        let explanation = |user: &str| {
            let (_, body) = Client::hello(user, "secret").unwrap();
            denial(Denied::UnknownUser, &hello(&body).unwrap())
        };
        let text = explanation("alice-2@site.example");
        assert!(
            text.contains("`gateway keygen --user alice-2@site.example`"),
            "{text}"
        );
        for user in ["x;reboot", "$(reboot)", "x|y", "x`y`", "x&y"] {
            let text = explanation(user);
            assert!(text.contains("`gateway keygen --user NAME`"), "{text}");
        }
        assert!(!explanation("alice").contains("secret"));
    }
}
