//! A connection's first words: from its greeting to the moment when the core knows it as a client or a
//! worker, or it is told why it isn't served.

use std::time::Duration;

use tracing::{debug, warn};

use super::Native;
use super::bytes::Input;
use super::connection::{Connection, Phase, Role};
use super::dial::Target;
use super::stream::Stream;
use super::zmtp::command::{self, Ready};
use super::zmtp::handshake;
use crate::core::{Event, PeerId};
use crate::snapshot::{FrontendId, PoolId};

/// How long a peer may take to say what it is, or to hear why it isn't served. Over a slow line a handshake
/// takes a second; an address that doesn't answer is tried again.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Connections that may be in their handshake at once. The oldest go first: an honest handshake takes a
/// moment, and those that are left open on purpose must not keep others out.
const HANDSHAKES_MAX: usize = 4096;

/// How many fewer are left once there are too many, so that a flood of them doesn't have all looked through
/// for each.
const HANDSHAKES_SPARE: usize = 256;

/// What an honest handshake takes at most, where there are no descriptors left for those that take longer.
const MOMENT: Duration = Duration::from_secs(1);

/// Clients beyond `limits.clients` that are told so on each request; yet others are told once and hung up on.
const SURPLUS_MAX: usize = 1000;

/// What keeps a connection from being served.
pub(super) enum Refusal {
    /// It can't be told anything.
    HangUp(String),
    /// It is told in an ERROR.
    Tell(String),
}

impl Native {
    /// A connection begins: it has so long to say what it is.
    pub(super) fn begin(&mut self, peer: PeerId, now: Duration) {
        self.peers.set_timer(peer, now + HANDSHAKE_MAX);
        self.handshakes.push_back(peer);
        if self.handshakes.len() > HANDSHAKES_MAX {
            self.look_through_strangers();
            let left = HANDSHAKES_MAX - HANDSHAKES_SPARE;
            while self.handshakes.len() > left {
                if let Some(oldest) = self.handshakes.pop_front() {
                    let why = "too many connections that don't say what they are".to_owned();
                    self.refuse(oldest, Refusal::HangUp(why), now);
                }
            }
        }
    }

    fn look_through_strangers(&mut self) {
        let peers = &mut self.peers;
        let is_stranger = |peer: &PeerId| peers.get(*peer).is_some_and(|it| it.is_stranger());
        self.handshakes.retain(is_stranger);
    }

    /// There is no descriptor left for those that come: strangers that linger go. True if any did.
    pub(super) fn shed(&mut self, now: Duration) -> bool {
        self.look_through_strangers();
        let peers = &mut self.peers;
        let lingers = |it: &mut Connection| it.since + MOMENT <= now;
        let all = self.handshakes.iter().copied();
        let gone: Vec<_> = all
            .filter(|it| peers.get(*it).is_some_and(lingers))
            .collect();
        for peer in &gone {
            let why = "no descriptors are left, and it has not said what it is".to_owned();
            self.refuse(*peer, Refusal::HangUp(why), now);
        }
        !gone.is_empty()
    }

    /// Whether it has been in its handshake, or in saying goodbye, for too long.
    pub(super) fn handshake_is_over(&mut self, peer: PeerId, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        let until = connection.since + HANDSHAKE_MAX;
        if now < until {
            self.peers.set_timer(peer, until);
        } else if matches!(connection.phase, Phase::Closing) {
            self.hang_up(peer, &"it did not hang up", now);
        } else {
            let why = format!("no handshake within {HANDSHAKE_MAX:?}");
            self.refuse(peer, Refusal::HangUp(why), now);
        }
    }

    /// Takes a greeting as far as it has come.
    pub(super) fn greeted(&mut self, peer: PeerId, input: &mut Input, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        let Phase::Greeting(greeting) = &mut connection.phase else {
            return;
        };
        match greeting.feed(input) {
            Ok(Some(minor)) => connection.phase = Phase::Handshake { minor },
            Ok(None) => {}
            Err(stranger) => self.refuse(peer, Refusal::HangUp(stranger.to_string()), now),
        }
    }

    /// A peer has said what it is.
    pub(super) fn ready(&mut self, peer: PeerId, ready: Ready, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        if let Phase::Handshake { minor } = connection.phase {
            connection.pings = minor >= 1;
        }
        if connection.decoder.is_inside() {
            // Its beginning was not kept.
            let why = "a message before READY".to_owned();
            return self.refuse(peer, Refusal::Tell(why), now);
        }
        let met = match connection.role {
            Role::Frontend(frontend) => self.client(peer, frontend, ready),
            Role::Pool(pool) => self.worker(peer, pool, &ready),
        };
        match met {
            Ok(came) => {
                let dial = self.peers.get(peer).and_then(|it| it.dial);
                if let Some(dial) = dial {
                    self.dialer.served(dial);
                }
                self.core.on(now, came, &mut self.peers);
                self.tell(now);
                // From now on its silence counts.
                self.peers.set_timer(peer, now);
            }
            Err(why) => self.refuse(peer, Refusal::Tell(why), now),
        }
    }

    fn client(
        &mut self,
        peer: PeerId,
        frontend: FrontendId,
        ready: Ready,
    ) -> Result<Event<super::bytes::Bytes>, String> {
        if !self.snapshot.frontends.contains_key(&frontend) {
            return Err("this frontend was removed from the configuration".into());
        }
        let met = handshake::client(&ready.socket_type)?;
        let most = self.snapshot.limits.clients;
        if self.clients >= most.saturating_add(SURPLUS_MAX) {
            return Err(format!(
                "{most} clients are here already, the limit of limits.clients"
            ));
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
    ) -> Result<Event<super::bytes::Bytes>, String> {
        let settings = self.snapshot.pools.get(&pool);
        let allowed = settings.ok_or("this pool was removed from the configuration")?;
        let met = handshake::worker(&ready.socket_type, allowed.workers)?;
        self.come(peer, Phase::Worker(met.kind), met.announced);
        Ok(Event::WorkerCame {
            peer,
            pool,
            kind: met.kind,
            crowd: false,
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
    pub(super) fn refuse(&mut self, peer: PeerId, why: Refusal, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        let role = connection.role;
        let address = connection.stream.peer();
        let (Refusal::HangUp(text) | Refusal::Tell(text)) = &why;
        if let Some(left_out) = self.quiet.refused.allow(now) {
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
                self.handshakes.push_back(peer);
                if let Some(connection) = self.peers.get(peer) {
                    connection.phase = Phase::Closing;
                    connection.since = now;
                    self.peers.set_timer(peer, now + HANDSHAKE_MAX);
                }
            }
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
            let stream = match target {
                Target::Tcp(address) => Stream::connect_tcp(address),
                Target::Ipc(path) => Stream::connect_ipc(&path),
            };
            let peer = stream.and_then(|stream| self.peers.add(stream, role, Some(dial), now));
            match peer {
                Ok(peer) => {
                    self.dialer.connected(dial, peer);
                    self.begin(peer, now);
                }
                Err(error) => self.dialer.failed(dial, &error, now),
            }
        }
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
                let _ = connection.stream.set_nodelay();
                connection.phase = Phase::Greeting(Box::default());
                connection.since = now;
                self.peers.greet(peer);
            }
            Ok(false) => {}
            Err(error) => self.hang_up(peer, &error, now),
        }
    }
}
