//! A connection's first words: from its greeting to the moment when the core knows it as a client or a
//! worker, or it is told why it isn't served.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use super::Native;
use super::connection::{Phase, Role};
use super::dial::Target;
use super::liveness::HANDSHAKE_MAX;
use super::quiet::Cause;
use super::reload::LOOK_AGAIN;
use super::socket_types;
use super::stream::Stream;
use crate::core::Event;
use crate::peer::{Headcount, PeerId, WorkerKind};
use crate::snapshot::{FrontendId, PoolId, PoolSettings};
use gateway_zmtp::command::{self, Ready};
use gateway_zmtp::session::Session;

/// Connections that came and may be in their handshake at once. Those that linger in it make way, the oldest first, so
/// that ones which are left open on purpose keep nobody out; while none does, those that come wait with the system.
const HANDSHAKES_MAX: usize = 4096;

/// How many fewer are left once some had to make way, so that a flood of them doesn't have all looked through
/// for each.
const HANDSHAKES_SPARE: usize = 256;

/// What an honest handshake takes at most, where there is no room left for those that take longer.
const MOMENT: Duration = Duration::from_secs(1);

/// Clients beyond `limits.clients` that are told so on each request; yet others are told once and hung up on.
const SURPLUS_MAX: usize = 1000;

/// What keeps a connection from being served.
pub(super) enum Refusal {
    /// It can't be told anything.
    HangUp(Cow<'static, str>),
    /// It is told in an ERROR.
    Tell(Cow<'static, str>),
}

fn misfit(why: impl Into<String>) -> (Cause, String) {
    (Cause::Misfit, why.into())
}

impl Native {
    /// Whether another connection may come that has yet to say what it is; those that linger make way for it.
    pub(super) fn has_room_for_strangers(&mut self, now: Duration) -> bool {
        if self.handshakes.len() < HANDSHAKES_MAX {
            return true;
        }
        self.look_through_strangers();
        let many = self.handshakes.len();
        if many >= HANDSHAKES_MAX {
            let why = "too many connections that don't say what they are";
            self.shed(many - (HANDSHAKES_MAX - HANDSHAKES_SPARE), why, now);
        }
        self.handshakes.len() < HANDSHAKES_MAX
    }

    /// There is no descriptor left for those that come: strangers that linger go. True if any did.
    pub(super) fn free_descriptors(&mut self, now: Duration) -> bool {
        self.look_through_strangers();
        let why = "no descriptors are left, and it has not said what it is";
        self.shed(usize::MAX, why, now)
    }

    fn look_through_strangers(&mut self) {
        let peers = &mut self.peers;
        let is_stranger = |peer: &PeerId| peers.get(*peer).is_some_and(|it| it.is_stranger());
        self.handshakes.retain(is_stranger);
    }

    /// Ends so many of the strangers that linger, at most, from the oldest on; true if there were any.
    fn shed(&mut self, most: usize, why: &'static str, now: Duration) -> bool {
        let peers = &mut self.peers;
        let lingers = |peer: &PeerId| {
            let there = peers.get(*peer);
            there.is_some_and(|it| it.liveness.age(now) >= MOMENT)
        };
        let all = self.handshakes.iter().copied();
        let gone: Vec<_> = all.filter(lingers).take(most).collect();
        for peer in &gone {
            self.refuse(*peer, Cause::Slow, Refusal::HangUp(why.into()), now);
        }
        self.look_through_strangers();
        !gone.is_empty()
    }

    /// A peer has said what it is.
    pub(super) fn ready(&mut self, peer: PeerId, ready: Ready, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        let met = match connection.role {
            Role::Frontend(frontend) => self.client(peer, frontend, ready),
            Role::Pool(pool) => self.worker(peer, pool, &ready),
        };
        match met {
            Ok(came) => {
                let dial = self.peers.get(peer).and_then(|it| it.dial);
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
    ) -> Result<Event<gateway_zmtp::bytes::Bytes>, (Cause, String)> {
        if !self.snapshot.frontends.contains_key(&frontend) {
            return Err(misfit("this frontend was removed from the configuration"));
        }
        let met = socket_types::client(&ready.socket_type).map_err(misfit)?;
        let most = self.snapshot.limits.clients;
        if self.clients >= most.saturating_add(SURPLUS_MAX) {
            let why = format!("{most} clients are here already, the limit of limits.clients");
            return Err((Cause::Full, why));
        }
        self.clients += 1;
        let identity = match ready.identity.is_empty() {
            false => ready.identity,
            // As libzmq's ROUTER names those that don't name themselves: a zero byte, which names of their
            // own can't begin with, and a number.
            true => {
                self.nameless = self.nameless.wrapping_add(1);
                let [a, b, c, d] = self.nameless.to_be_bytes();
                vec![0, a, b, c, d]
            }
        };
        self.come(peer, Phase::Client, met.announced);
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
        ready: &Ready,
    ) -> Result<Event<gateway_zmtp::bytes::Bytes>, (Cause, String)> {
        let removed = || misfit("this pool was removed from the configuration");
        let allowed = self.settings(pool).ok_or_else(removed)?;
        let met = socket_types::worker(&ready.socket_type, allowed.workers).map_err(misfit)?;
        self.come(peer, Phase::Worker(met.kind), met.announced);
        Ok(Event::WorkerCame {
            peer,
            pool,
            kind: met.kind,
            headcount: Headcount::One,
        })
    }

    /// What a pool works by. One that was removed is served by its last settings for as long as somebody waits for its
    /// workers: they may come back for what they are owed or owe.
    pub(super) fn settings(&self, pool: PoolId) -> Option<&PoolSettings> {
        let there = self.snapshot.pools.get(&pool).map(Arc::as_ref);
        there.or_else(|| {
            self.core
                .settings(pool)
                .filter(|_| !self.core.is_idle(pool))
        })
    }

    fn come(&mut self, peer: PeerId, phase: Phase, announced: &'static str) {
        self.peers
            .put(peer, |into| command::put_ready(into, announced));
        if let Some(connection) = self.peers.get(peer) {
            connection.phase = phase;
        }
    }

    /// Ends a connection that is not, or no longer, served.
    pub(super) fn refuse(&mut self, peer: PeerId, cause: Cause, why: Refusal, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        let role = connection.role;
        let (Refusal::HangUp(text) | Refusal::Tell(text)) = &why;
        if let Some(left_out) = self.quiet.refused(role, cause).allow(now) {
            let address = connection.stream.peer();
            let place = self.place(role);
            warn!(
                peer = address,
                left_out, "{place}: a connection is refused: {text}"
            );
        }
        match why {
            Refusal::HangUp(text) => self.hang_up(peer, &text, now),
            Refusal::Tell(text) => {
                self.forget(peer);
                self.peers.note_refused(peer);
                self.peers.put(peer, |into| command::put_error(into, &text));
                self.say_goodbye_to(peer, now);
            }
        }
    }

    /// Ends a connection whose peer may not have read yet what was written: closed with something unread in it, it
    /// would be reset, and what is still on its way be lost. It is read, and dropped, until the peer hangs up.
    pub(super) fn part(&mut self, peer: PeerId, why: &dyn std::fmt::Display, now: Duration) {
        if let Some(connection) = self.peers.get(peer) {
            debug!(peer = connection.stream.peer(), "a connection ends: {why}");
        }
        self.forget(peer);
        self.say_goodbye_to(peer, now);
    }

    fn say_goodbye_to(&mut self, peer: PeerId, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        connection.phase = Phase::Closing;
        connection.liveness.begin(now);
        // What it had begun to say is not heard any more.
        connection.session = Session::default();
        connection.rest = None;
        let called = connection.dial.is_some();
        self.peers.note_half(peer, false, now);
        self.peers.set_timer(peer, now + HANDSHAKE_MAX);
        // Once all is written it is told that nothing more comes.
        self.peers.mark_dirty(peer);
        if !called {
            self.handshakes.push_back(peer);
        }
    }

    /// Ends a connection; if the gateway had called it, it calls again.
    pub(super) fn hang_up(&mut self, peer: PeerId, why: &dyn std::fmt::Display, now: Duration) {
        if let Some(connection) = self.peers.get(peer) {
            debug!(peer = connection.stream.peer(), "a connection ends: {why}");
        }
        self.forget(peer);
        self.peers.close(peer);
        for dial in std::mem::take(&mut self.peers.hung_up) {
            self.dialer.failed(dial, why, now);
        }
    }

    /// It is no client and no worker any more, if it was.
    fn forget(&mut self, peer: PeerId) {
        let Some(connection) = self.peers.get(peer).filter(|it| it.is_known()) else {
            return;
        };
        self.clients -= usize::from(matches!(connection.phase, Phase::Client));
        connection.phase = Phase::Closing;
        self.peers.news.push_back(Event::Gone { peer });
    }

    /// Whose a connection is, for logs.
    pub(super) fn place(&self, role: Role) -> String {
        let names = &self.snapshot.names;
        match role {
            Role::Frontend(id) => format!("frontend {}", names.of_frontend(id)),
            Role::Pool(id) => format!("pool {}", names.of_pool(id)),
        }
    }

    /// Makes the calls that are due.
    pub(super) fn call(&mut self, now: Duration) {
        while let Some((dial, role, target)) = self.dialer.due(now) {
            if self.is_leaving(&target) {
                self.dialer
                    .put_off(dial, target, self.look_at.max(now + LOOK_AGAIN));
                continue;
            }
            let stream = match &target {
                Target::Tcp(address) => Stream::connect_tcp(*address),
                Target::Ipc(path) => Stream::connect_ipc(path),
            };
            let peer = stream.and_then(|stream| self.peers.add(stream, role, Some(dial), now));
            match peer {
                Ok(peer) => {
                    self.dialer.connected(dial, peer);
                    if let Some(connection) = self.peers.get(peer) {
                        connection.target = Some(target);
                    }
                    self.peers.set_timer(peer, now + HANDSHAKE_MAX);
                }
                Err(error) => self.dialer.failed(dial, &error, now),
            }
        }
    }

    /// Whether a worker there has yet to answer what it got through a connection that is to go. With two, a DEALER
    /// answers by the one or the other, as libzmq does in turn, and what comes by the wrong one is lost. A REP answers
    /// where it was asked.
    fn is_leaving(&self, target: &Target) -> bool {
        self.removing
            && self.peers.all().any(|it| {
                let stays = |pool| self.snapshot.pools.contains_key(&pool);
                let leaves = matches!(it.role, Role::Pool(pool) if it.retired || !stays(pool));
                let dealer = matches!(it.phase, Phase::Worker(WorkerKind::Dealer));
                leaves && dealer && it.target.as_ref() == Some(target)
            })
    }

    /// A call may have been answered.
    pub(super) fn answered(&mut self, peer: PeerId, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        if !matches!(connection.phase, Phase::Connecting) {
            return;
        }
        match connection.stream.outcome() {
            Ok(true) => {
                // It fails only if the peer has gone.
                let _ = connection.stream.set_up();
                connection.phase = Phase::Meeting;
                connection.liveness.begin(now);
                self.peers.greet(peer);
            }
            Ok(false) => {}
            Err(error) => self.hang_up(peer, &error, now),
        }
    }
}
