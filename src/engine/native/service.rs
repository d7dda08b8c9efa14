//! What serving a peer takes: the core, the connections, the calls and the settings in force; and
//! how a connection ends.
//!
//! `meet` brings a connection as far as the core's knowing it, `traffic` reads and decodes what a
//! peer sends, `silence` judges a peer that sends nothing, and `calling` connects to peers that
//! listen.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use crate::core::{Core, Event};
use crate::engine::native::admissions::Admissions;
use crate::engine::native::connection::Phase;
use crate::engine::native::dial::Dialer;
use crate::engine::native::liveness::HANDSHAKE_MAX;
use crate::engine::native::peers::Peers;
use crate::engine::native::quiet::{Cause, Quiet};
use crate::engine::native::role::Role;
use crate::frame::Frames;
use crate::peer::PeerId;
use crate::snapshot::{PoolId, PoolSettings, Snapshot};
use gateway_zmtp::command;
use gateway_zmtp::message::Message;

impl Frames for Message {
    fn of(frames: Vec<Vec<u8>>) -> Self {
        Self::from(frames)
    }

    #[inline]
    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn get(&self, n: usize) -> Option<&[u8]> {
        self.get(n)
    }

    #[inline]
    fn size(&self) -> u64 {
        self.size()
    }

    #[inline]
    fn drop_front(&mut self, n: usize) {
        self.drop_front(n);
    }

    fn compact(self) -> Self {
        self.compact()
    }

    fn with_front(self, front: &[&[u8]]) -> Self {
        self.with_front(front)
    }

    fn last(&self) -> Self {
        self.last()
    }
}

/// The core and its peers.
pub(super) struct Service {
    pub(super) core: Core<Message>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) peers: Peers,
    pub(super) dialer: Dialer,
    pub(super) admissions: Admissions,
    pub(super) quiet: Quiet,
}

/// Why a connection is not served, and what its peer hears of that.
pub(super) enum Refusal {
    /// The peer can't be told anything.
    HangUp(Cow<'static, str>),
    /// The peer receives an ERROR.
    Tell(Cow<'static, str>),
}

impl Service {
    /// Notifies the core of what came to light while its effects were carried out.
    pub(super) fn tell(&mut self, now: Duration) {
        while let Some(event) = self.peers.next_news() {
            self.core.on(now, event, &mut self.peers);
        }
        while let Some(peer) = self.peers.next_released() {
            self.await_leave(peer, now);
        }
    }

    /// Waits for a worker that has left to hang up.
    #[cold]
    fn await_leave(&mut self, peer: PeerId, now: Duration) {
        if let Some(connection) = self.peers.get(peer) {
            connection.leave(now);
            self.peers.note_half(peer, false, now);
            self.peers.set_timer(peer, now + HANDSHAKE_MAX);
        }
    }

    /// Writes what waits, to all peers.
    pub(super) fn write(&mut self, now: Duration) {
        self.peers.flush(now);
        self.tell(now);
    }

    /// Returns the settings of a pool. A pool that was removed is served by its last settings for
    /// as long as somebody waits for its workers: they may come back for what they are owed or owe.
    pub(super) fn settings(&self, pool: PoolId) -> Option<&PoolSettings> {
        if let Some(settings) = self.snapshot.pools.get(&pool) {
            return Some(settings);
        }
        if self.core.is_idle(pool) {
            return None;
        }
        self.core.settings(pool)
    }

    /// Ends a connection that is not served, or no longer.
    pub(super) fn refuse(&mut self, peer: PeerId, cause: Cause, why: Refusal, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        let role = connection.role();
        let (Refusal::HangUp(text) | Refusal::Tell(text)) = &why;
        if let Some(left_out) = self.quiet.refused(role, cause).allow(now) {
            let address = connection.address();
            let place = place(role, &self.snapshot);
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
                self.await_hang_up(peer, now);
            }
        }
    }

    /// Ends a connection whose peer may not have read yet what was written. Closed with something
    /// unread in it, the connection would be reset, and what is still on its way be lost. So it is
    /// read, and what it says dropped, until the peer hangs up.
    pub(super) fn part(&mut self, peer: PeerId, why: &dyn fmt::Display, now: Duration) {
        if let Some(connection) = self.peers.get(peer) {
            debug!(peer = connection.address(), "a connection ends: {why}");
        }
        self.forget(peer);
        self.await_hang_up(peer, now);
    }

    fn await_hang_up(&mut self, peer: PeerId, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        connection.part(now);
        let called = connection.dial().is_some();
        self.peers.note_half(peer, false, now);
        self.peers.set_timer(peer, now + HANDSHAKE_MAX);
        // Once all is written, the peer hears that nothing more comes.
        self.peers.mark_dirty(peer);
        if !called {
            self.admissions.add_stranger(peer);
        }
    }

    /// Closes a connection. A peer that the gateway had called is called again.
    pub(super) fn hang_up(&mut self, peer: PeerId, why: &dyn fmt::Display, now: Duration) {
        if let Some(connection) = self.peers.get(peer) {
            debug!(peer = connection.address(), "a connection ends: {why}");
        }
        self.forget(peer);
        if let Some(dial) = self.peers.close(peer) {
            self.dialer.failed(dial, why, now);
        }
    }

    /// Notes that a peer is no client and no worker any more, if it was.
    fn forget(&mut self, peer: PeerId) {
        let Some(was) = self.peers.get(peer).and_then(|there| there.dismiss()) else {
            return;
        };
        if was == Phase::Client {
            self.admissions.client_left();
        }
        self.peers.add_news(Event::Gone { peer });
    }
}

/// Returns the frontend or pool of a connection, for logs.
fn place(role: Role, snapshot: &Snapshot) -> String {
    format!("{} {}", role.kind(), role.name(snapshot))
}
