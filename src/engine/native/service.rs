//! Everything that serving a peer needs: the core, the connections, the calls and the settings in
//! force; and the ends of connections.
//!
//! `meet` brings a connection to the core, `traffic` reads and decodes what a peer sends, `silence`
//! judges a peer that sends nothing, and `calling` connects to peers that listen.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use crate::core::{Core, Event};
use crate::engine::native::admissions::Admissions;
use crate::engine::native::clock::Clock;
use crate::engine::native::connection::Phase;
use crate::engine::native::dial::Dialer;
use crate::engine::native::handshakes::Handshakes;
use crate::engine::native::liveness::{HANDSHAKE_TIMEOUT, REFUSAL_PAUSE};
use crate::engine::native::peers::Peers;
use crate::engine::native::quiet::{Cause, Culprit, Quiet};
use crate::engine::native::role::Role;
use crate::peer::PeerId;
use crate::snapshot::{PoolId, PoolSettings, Snapshot};
use gateway_zmtp::command;
use gateway_zmtp::message::Message;

/// The time of a turn after which it leaves the remaining verdicts of judges to the next: after
/// each verdict, messages that wait behind it may be checked for up to a millisecond.
const VERDICTS_UNTIL: Duration = Duration::from_millis(3);

/// The core and its peers.
pub(super) struct Service {
    pub(super) core: Core<Message>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) peers: Peers,
    pub(super) dialer: Dialer,
    pub(super) admissions: Admissions,
    pub(super) handshakes: Handshakes,
    pub(super) quiet: Quiet,
    /// Set if judges may have more verdicts than the last turn reported to the core.
    pub(super) verdicts_left: bool,
}

/// The reason why a connection is not served, and its further treatment.
pub(super) enum Refusal {
    /// It is closed at once.
    HangUp(Cow<'static, str>),
    /// Its peer receives an ERROR, after which libzmq does not connect again. This is only for
    /// reasons that neither an edit of routes.yaml nor time can remove.
    Final(Cow<'static, str>),
    /// It is closed without an ERROR after [`REFUSAL_PAUSE`], so that its peer connects again and
    /// may be welcome then.
    ForNow(Cow<'static, str>),
}

impl Service {
    /// Reports to the core the events that occurred while its effects were carried out, disconnects
    /// the peers that it asked for, and begins to wait for the workers that it has released.
    pub(super) fn tell(&mut self, now: Duration) {
        loop {
            while let Some(event) = self.peers.next_news() {
                self.core.on(now, event, &mut self.peers);
            }
            // This adds news of the peer's end.
            let Some((peer, why)) = self.peers.next_dismissed() else {
                break;
            };
            self.dismiss(peer, why, now);
        }
        while let Some(peer) = self.peers.next_released() {
            self.await_leave(peer, now);
        }
    }

    /// Disconnects a peer, if it is still served, because the core asks for that.
    #[cold]
    fn dismiss(&mut self, peer: PeerId, why: String, now: Duration) {
        if self.peers.get(peer).is_some_and(|there| there.is_known()) {
            self.refuse(peer, Cause::Dismissed, Refusal::ForNow(why.into()), now);
        }
    }

    /// Notifies the core of what judges found, as long as this turn, which began at `now`, is
    /// short. Returns whether there was anything.
    pub(super) fn hear_judges(&mut self, now: Duration, clock: &Clock) -> bool {
        let mut heard = false;
        self.verdicts_left = false;
        while let Some(verdict) = self.peers.next_verdict() {
            heard = true;
            self.core
                .on(now, Event::Judged { verdict }, &mut self.peers);
            self.tell(now);
            if clock.now().saturating_sub(now) >= VERDICTS_UNTIL {
                self.verdicts_left = true;
                break;
            }
        }
        heard
    }

    /// Takes account of the memory at the end of a turn.
    pub(super) fn weigh(&mut self, now: Duration) {
        self.peers.weigh(self.core.memory(), now);
        self.bound_half_messages(now);
        self.tell(now);
    }

    /// Waits for a worker that has left to disconnect.
    #[cold]
    fn await_leave(&mut self, peer: PeerId, now: Duration) {
        if let Some(connection) = self.peers.get(peer) {
            connection.leave(now);
            self.peers.note_half(peer, false, now);
            self.peers.set_timer(peer, now + HANDSHAKE_TIMEOUT);
        }
    }

    /// Writes the queued bytes of all peers.
    pub(super) fn write(&mut self, now: Duration) {
        self.peers.flush(now);
        self.tell(now);
    }

    /// Returns the settings of a pool. A removed pool keeps its last settings until it is idle,
    /// because its workers may connect again to receive requests or to send answers.
    pub(super) fn settings(&self, pool: PoolId) -> Option<&PoolSettings> {
        if let Some(settings) = self.snapshot.pools.get(&pool) {
            return Some(settings);
        }
        if self.core.is_idle(pool) {
            return None;
        }
        self.core.settings(pool)
    }

    /// Ends a connection that is not served, or is no longer served.
    pub(super) fn refuse(&mut self, peer: PeerId, cause: Cause, why: Refusal, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        let role = connection.role();
        let (Refusal::HangUp(text) | Refusal::Final(text) | Refusal::ForNow(text)) = &why;
        let culprit = Culprit {
            address: connection.ip(),
            key: connection.key(),
        };
        if let Some(left_out) = self.quiet.allow_refused(role, cause, culprit, now) {
            let address = connection.address();
            let place = place(role, &self.snapshot);
            warn!(
                peer = address,
                left_out, "{place}: a connection is refused: {text}"
            );
        }
        match why {
            Refusal::HangUp(text) => self.hang_up(peer, &text, now),
            Refusal::Final(text) => {
                self.forget(peer);
                self.peers.note_refused(peer);
                self.peers.put(peer, |into| command::put_error(into, &text));
                self.await_hang_up(peer, now);
            }
            Refusal::ForNow(_) => {
                self.forget(peer);
                self.peers.note_refused(peer);
                self.put_off(peer, now);
            }
        }
    }

    /// Ends a connection whose peer may not have read all written bytes yet. Closing a connection
    /// with unread input would reset it, and bytes in transit would be lost. The input is therefore
    /// read and dropped until the peer disconnects.
    pub(super) fn part(&mut self, peer: PeerId, why: &dyn fmt::Display, now: Duration) {
        if let Some(connection) = self.peers.get(peer) {
            debug!(peer = connection.address(), "a connection ends: {why}");
        }
        self.forget(peer);
        self.await_hang_up(peer, now);
    }

    /// Leaves a connection without an answer for a while before it is closed, so that a peer that
    /// connects again as soon as it is refused does so at a bounded pace.
    fn put_off(&mut self, peer: PeerId, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        connection.put_off(now);
        let called = connection.dial().is_some();
        self.peers.note_half(peer, false, now);
        self.peers.set_timer(peer, now + REFUSAL_PAUSE);
        if !called {
            self.admissions.add_stranger(peer);
        }
    }

    fn await_hang_up(&mut self, peer: PeerId, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        connection.part(now);
        let called = connection.dial().is_some();
        self.peers.note_half(peer, false, now);
        self.peers.set_timer(peer, now + HANDSHAKE_TIMEOUT);
        // Once everything is written, the peer is notified that no more bytes follow.
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

    /// Records that a peer is no longer served, if it was.
    fn forget(&mut self, peer: PeerId) {
        let Some(was) = self.peers.get(peer).and_then(|there| there.dismiss()) else {
            return;
        };
        match was {
            Phase::Client | Phase::Publisher | Phase::Subscriber => self.admissions.client_left(),
            _ => {}
        }
        self.peers.add_news(Event::Gone { peer });
    }
}

/// Returns the frontend, the pool or the side of a channel of a connection, for logs.
fn place(role: Role, snapshot: &Snapshot) -> String {
    format!("{} {}", role.kind(), role.name(snapshot))
}
