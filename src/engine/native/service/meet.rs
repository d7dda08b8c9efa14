//! Handshakes, by which a stranger becomes a client, a worker, a publisher or a subscriber that the
//! core knows. A stranger is a connection that is not served, because its handshake is not complete
//! or because it was refused. Strangers that linger are disconnected to make room for others.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use crate::core::Event;
use crate::engine::native::connection::{Connection, Origin, Phase};
use crate::engine::native::liveness::{HANDSHAKE_TIMEOUT, MECHANISM_WAIT_MAX};
use crate::engine::native::quiet::Cause;
use crate::engine::native::service::Service;
use crate::engine::native::service::end::Refusal;
use crate::engine::native::socket_types::{self, Misfit, Outlook};
use crate::engine::native::stream::Stream;
use crate::engine::role::Role;
use crate::frame::printable;
use crate::peer::{Headcount, PeerId, PeerName};
use crate::snapshot::{ChannelId, FrontendId, PoolId};
use gateway_zmtp::command::Ready;
use gateway_zmtp::message::Message;

/// The age from which a stranger counts as lingering. The age is the time since the handshake
/// began, or since the refusal. A usual handshake takes less time.
const SLOW_HANDSHAKE_AGE: Duration = Duration::from_secs(1);

fn misfit(misfit: Misfit) -> (Cause, Refusal) {
    let Misfit { why, outlook } = misfit;
    let refusal = match outlook {
        Outlook::Never => Refusal::Final(why.into()),
        Outlook::AfterAnEdit => Refusal::ForNow(why.into()),
    };
    (Cause::Misfit, refusal)
}

fn full(clients_max: usize) -> (Cause, Refusal) {
    let why = format!("{clients_max} clients are connected already, the limit of limits.clients");
    (Cause::Full, Refusal::ForNow(why.into()))
}

fn removed(what: &'static str) -> (Cause, Refusal) {
    (Cause::Misfit, Refusal::ForNow(what.into()))
}

impl Service {
    /// Adds an accepted connection as a stranger, unless its IP address is refused.
    pub(in crate::engine::native) fn take_in(&mut self, stream: Stream, role: Role, now: Duration) {
        let security = self.security(role).map(|security| security.of_listener());
        let security = security.unwrap_or_default();
        match self
            .peers
            .add(stream, role, Origin::Accepted, security, now)
        {
            Ok(peer) => {
                if self.refuse_address(peer, now) {
                    return;
                }
                let connection = self.peers.get(peer);
                let waits = connection.is_some_and(|connection| connection.awaits_mechanism());
                let timeout = if waits {
                    MECHANISM_WAIT_MAX
                } else {
                    HANDSHAKE_TIMEOUT
                };
                self.peers.set_timer(peer, now + timeout);
                self.admissions.add_stranger(peer);
            }
            Err(error) => {
                if let Some(left_out) = self.quiet.accept().allow(now) {
                    warn!(%error, left_out, "can't watch a connection");
                }
            }
        }
    }

    /// Logs that no connection can be accepted now.
    pub(in crate::engine::native) fn note_accept_failure(
        &mut self,
        error: &io::Error,
        now: Duration,
    ) {
        if let Some(left_out) = self.quiet.accept().allow(now) {
            warn!(%error, left_out, "can't accept connections; trying again");
        }
    }

    /// Returns whether another stranger may be accepted. Disconnects strangers that linger, if room
    /// is needed.
    pub(in crate::engine::native) fn has_room_for_strangers(&mut self, now: Duration) -> bool {
        if !self.admissions.is_full() {
            return true;
        }
        self.forget_former_strangers();
        if let Some(surplus) = self.admissions.surplus() {
            let why = "too many connections have not completed their handshake";
            self.shed(surplus, why, now);
        }
        !self.admissions.is_full()
    }

    /// Disconnects the strangers that linger, because there is no file descriptor left for new
    /// connections. Returns whether any stranger was disconnected.
    pub(in crate::engine::native) fn free_descriptors(&mut self, now: Duration) -> bool {
        self.forget_former_strangers();
        let why = "no descriptors are left, and its handshake is not complete";
        self.shed(usize::MAX, why, now)
    }

    fn forget_former_strangers(&mut self) {
        let peers = &mut self.peers;
        self.admissions
            .retain_strangers(|peer| peers.get(*peer).is_some_and(|found| found.is_stranger()));
    }

    /// Disconnects at most `strangers_max` of the strangers that linger, the oldest first. Returns
    /// whether any stranger was disconnected.
    fn shed(&mut self, strangers_max: usize, why: &'static str, now: Duration) -> bool {
        let peers = &mut self.peers;
        let lingers = |peer: &PeerId| {
            let connection = peers.get(*peer);
            connection.is_some_and(|found| found.age(now) >= SLOW_HANDSHAKE_AGE)
        };
        let strangers = self.admissions.strangers();
        let gone: Vec<_> = strangers.filter(lingers).take(strangers_max).collect();
        for peer in &gone {
            self.refuse(*peer, Cause::Slow, Refusal::HangUp(why.into()), now);
        }
        self.forget_former_strangers();
        !gone.is_empty()
    }

    /// Admits a peer that has sent its READY, or refuses it.
    pub(super) fn ready(&mut self, peer: PeerId, ready: Ready, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        let dial = connection.dial();
        let role = connection.role();
        if let Err((cause, why)) = self.authenticate(peer) {
            return self.refuse(peer, cause, why, now);
        }
        let met = match role {
            Role::Frontend(frontend) => self.client(peer, frontend, ready),
            Role::Pool(pool) => self.worker(peer, pool, ready),
            Role::Publishers(channel) => self.publisher(peer, channel, ready),
            Role::Subscribers(channel) => self.subscriber(peer, channel, ready),
        };
        match met {
            Ok(event) => {
                if let Some(dial) = dial {
                    self.dialer.served(dial, now);
                }
                self.decide(now, event);
                self.report_events(now);
                // From now on, the time limits of a served peer apply.
                self.peers.set_timer(peer, now);
            }
            Err((cause, why)) => self.refuse(peer, cause, why, now),
        }
    }

    fn client(
        &mut self,
        peer: PeerId,
        frontend: FrontendId,
        ready: Ready,
    ) -> Result<Event<Message>, (Cause, Refusal)> {
        if !self.snapshot.frontends.contains_key(&frontend) {
            return Err(removed("this frontend was removed from the configuration"));
        }
        let met = socket_types::client(&ready.socket_type).map_err(misfit)?;
        let clients_max = self.snapshot.limits.clients;
        if !self.admissions.has_room_for_client(clients_max) {
            return Err(full(clients_max));
        }
        let identity = self.identity(peer, ready);
        let identity = self.admissions.admit_client(identity);
        self.note_client(peer, frontend, &identity);
        self.announce(peer, met.announced);
        if let Some(connection) = self.peers.get(peer) {
            connection.serve_as(Phase::Client);
        }
        Ok(Event::ClientConnected {
            peer,
            frontend,
            kind: met.kind,
            identity,
        })
    }

    /// Logs a client that has connected, at level debug. Lines of that level are not bounded.
    fn note_client(&self, peer: PeerId, frontend: FrontendId, identity: &[u8]) {
        debug!(
            frontend = self.snapshot.names.of_frontend(frontend),
            client = printable(identity),
            peer = self.peers.look(peer).map(Connection::address),
            "client connected"
        );
    }

    fn worker(
        &mut self,
        peer: PeerId,
        pool: PoolId,
        ready: Ready,
    ) -> Result<Event<Message>, (Cause, Refusal)> {
        let allowed = self
            .settings(pool)
            .ok_or_else(|| removed("this pool was removed from the configuration"))?;
        let met = socket_types::worker(&ready.socket_type, allowed.workers).map_err(misfit)?;
        self.announce(peer, met.announced);
        let mut name = PeerName {
            identity: ready.identity,
            address: String::new(),
        };
        if let Some(connection) = self.peers.get(peer) {
            connection.serve_as(Phase::Worker(met.kind));
            name.address = connection.address();
        }
        Ok(Event::WorkerConnected {
            peer,
            pool,
            kind: met.kind,
            headcount: Headcount::One,
            name: Arc::new(name),
        })
    }

    fn publisher(
        &mut self,
        peer: PeerId,
        channel: ChannelId,
        ready: Ready,
    ) -> Result<Event<Message>, (Cause, Refusal)> {
        let announced = socket_types::publisher(&ready.socket_type).map_err(misfit)?;
        self.admit_on_channel(Role::Publishers(channel))?;
        let identity = self.identity(peer, ready);
        self.announce(peer, announced);
        if let Some(connection) = self.peers.get(peer) {
            connection.serve_as(Phase::Publisher);
        }
        Ok(Event::PublisherConnected {
            peer,
            channel,
            headcount: Headcount::One,
            identity,
        })
    }

    fn subscriber(
        &mut self,
        peer: PeerId,
        channel: ChannelId,
        ready: Ready,
    ) -> Result<Event<Message>, (Cause, Refusal)> {
        let announced = socket_types::subscriber(&ready.socket_type).map_err(misfit)?;
        self.admit_on_channel(Role::Subscribers(channel))?;
        let mut name = PeerName {
            identity: self.identity(peer, ready),
            address: String::new(),
        };
        self.announce(peer, announced);
        if let Some(connection) = self.peers.get(peer) {
            connection.serve_as(Phase::Subscriber);
            name.address = connection.address();
        }
        Ok(Event::SubscriberConnected {
            peer,
            channel,
            headcount: Headcount::One,
            name: Arc::new(name),
        })
    }

    /// Counts a publisher or a subscriber. Fails with the refusal of the peer if its channel was
    /// removed, or if `limits.clients` is reached.
    fn admit_on_channel(&mut self, role: Role) -> Result<(), (Cause, Refusal)> {
        if !role.is_in(&self.snapshot) {
            return Err(removed("this channel was removed from the configuration"));
        }
        let clients_max = self.snapshot.limits.clients;
        if !self.admissions.has_room_on_channel(clients_max) {
            return Err(full(clients_max));
        }
        self.admissions.admit_on_channel();
        Ok(())
    }

    /// Returns the principal of a peer or, if it has none, the identity that the peer chose.
    fn identity(&self, peer: PeerId, ready: Ready) -> Vec<u8> {
        let principal = self.peers.look(peer).and_then(Connection::principal);
        principal.map_or(ready.identity, |principal| principal.as_bytes().into())
    }

    /// Sends the gateway's READY, and begins to encrypt, if the mechanism requires that.
    fn announce(&mut self, peer: PeerId, socket_type: &'static str) {
        let mut ready = Vec::new();
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        if connection.admit(socket_type, &mut ready).is_ok() {
            self.peers.put(peer, |into| into.extend_from_slice(&ready));
        }
        if let Some(connection) = self.peers.get(peer) {
            connection.begin_to_seal();
        }
    }
}
