//! A connection's first words: how a stranger becomes a client or a worker that the core knows, or
//! makes way for others.

use std::sync::Arc;
use std::time::Duration;

use crate::core::Event;
use crate::engine::native::quiet::Cause;
use crate::engine::native::role::Role;
use crate::engine::native::service::{Refusal, Service};
use crate::engine::native::socket_types;
use crate::peer::{Headcount, PeerId, WorkerName};
use crate::snapshot::{FrontendId, PoolId};
use gateway_zmtp::command::{self, Ready};
use gateway_zmtp::message::Message;

/// The age from which a handshake lingers, where there is no room left: an honest one takes less.
const SLOW_HANDSHAKE_AGE: Duration = Duration::from_secs(1);

fn misfit(why: impl Into<String>) -> (Cause, String) {
    (Cause::Misfit, why.into())
}

impl Service {
    /// Returns whether another stranger may come. Strangers that linger make way for it.
    pub(super) fn has_room_for_strangers(&mut self, now: Duration) -> bool {
        if !self.admissions.is_full() {
            return true;
        }
        self.look_through_strangers();
        if let Some(surplus) = self.admissions.surplus() {
            let why = "too many connections that don't say what they are";
            self.shed(surplus, why, now);
        }
        !self.admissions.is_full()
    }

    /// Ends the strangers that linger, because there is no descriptor left for those that come.
    /// Returns whether there were any.
    pub(super) fn free_descriptors(&mut self, now: Duration) -> bool {
        self.look_through_strangers();
        let why = "no descriptors are left, and it has not said what it is";
        self.shed(usize::MAX, why, now)
    }

    fn look_through_strangers(&mut self) {
        let peers = &mut self.peers;
        self.admissions
            .retain_strangers(|peer| peers.get(*peer).is_some_and(|there| there.is_stranger()));
    }

    /// Ends at most `most` of the strangers that linger, the oldest first. Returns whether there
    /// were any.
    fn shed(&mut self, most: usize, why: &'static str, now: Duration) -> bool {
        let peers = &mut self.peers;
        let lingers = |peer: &PeerId| {
            let there = peers.get(*peer);
            there.is_some_and(|there| there.age(now) >= SLOW_HANDSHAKE_AGE)
        };
        let strangers = self.admissions.strangers();
        let gone: Vec<_> = strangers.filter(lingers).take(most).collect();
        for peer in &gone {
            self.refuse(*peer, Cause::Slow, Refusal::HangUp(why.into()), now);
        }
        self.look_through_strangers();
        !gone.is_empty()
    }

    /// Admits a peer that has said what it is, or refuses it.
    pub(super) fn ready(&mut self, peer: PeerId, ready: Ready, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        let dial = connection.dial();
        let met = match connection.role() {
            Role::Frontend(frontend) => self.client(peer, frontend, ready),
            Role::Pool(pool) => self.worker(peer, pool, ready),
        };
        match met {
            Ok(came) => {
                if let Some(dial) = dial {
                    self.dialer.served(dial, now);
                }
                self.core.on(now, came, &mut self.peers);
                self.tell(now);
                // From now on its silence counts.
                self.peers.set_timer(peer, now);
            }
            Err((cause, why)) => self.refuse(peer, cause, Refusal::Tell(why.into()), now),
        }
    }

    fn client(
        &mut self,
        peer: PeerId,
        frontend: FrontendId,
        ready: Ready,
    ) -> Result<Event<Message>, (Cause, String)> {
        if !self.snapshot.frontends.contains_key(&frontend) {
            return Err(misfit("this frontend was removed from the configuration"));
        }
        let met = socket_types::client(&ready.socket_type).map_err(misfit)?;
        let most = self.snapshot.limits.clients;
        if !self.admissions.has_room_for_client(most) {
            let why = format!("{most} clients are here already, the limit of limits.clients");
            return Err((Cause::Full, why));
        }
        let identity = self.admissions.admit_client(ready.identity);
        self.announce(peer, met.announced);
        if let Some(connection) = self.peers.get(peer) {
            connection.admit_client();
        }
        Ok(Event::ClientCame {
            peer,
            frontend,
            kind: met.kind,
            identity,
        })
    }

    fn worker(
        &mut self,
        peer: PeerId,
        pool: PoolId,
        ready: Ready,
    ) -> Result<Event<Message>, (Cause, String)> {
        let removed = || misfit("this pool was removed from the configuration");
        let allowed = self.settings(pool).ok_or_else(removed)?;
        let met = socket_types::worker(&ready.socket_type, allowed.workers).map_err(misfit)?;
        self.announce(peer, met.announced);
        let mut name = WorkerName {
            identity: ready.identity,
            address: String::new(),
        };
        if let Some(connection) = self.peers.get(peer) {
            connection.admit_worker(met.kind);
            name.address = connection.address();
        }
        Ok(Event::WorkerCame {
            peer,
            pool,
            kind: met.kind,
            headcount: Headcount::One,
            name: Arc::new(name),
        })
    }

    /// Sends the gateway's READY.
    fn announce(&mut self, peer: PeerId, socket_type: &'static str) {
        self.peers
            .put(peer, |into| command::put_ready(into, socket_type));
    }
}
