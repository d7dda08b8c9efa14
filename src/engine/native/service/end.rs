//! The end of connections that are refused or no longer served, and of all connections when the
//! engine ends. Peers get time to read the last written bytes, unless their connection is closed at
//! once.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use tracing::{debug, warn};

use crate::core::Event;
use crate::engine::native::connection::Phase;
use crate::engine::native::liveness::{HANDSHAKE_TIMEOUT, REFUSAL_PAUSE};
use crate::engine::native::peers::Peers;
use crate::engine::native::quiet::{Cause, Culprit};
use crate::engine::native::service::Service;
use crate::engine::role::Role;
use crate::peer::PeerId;
use crate::snapshot::Snapshot;
use gateway_zmtp::command;
use gateway_zmtp::pool::READ_BUFFER_SIZE;

/// The maximum time for peers to disconnect at the end of the engine. Closing a connection with
/// unread input would reset it, and the peer would lose bytes that it has not read yet. The input
/// is therefore read and dropped until the peer has seen the end of the stream.
const GOODBYE_TIME_MAX: Duration = Duration::from_millis(500);

/// The reason why a connection is not served, and the way in which the connection ends.
pub(super) enum Refusal {
    /// The connection is closed at once.
    HangUp(Cow<'static, str>),
    /// The peer receives an ERROR, after which libzmq does not connect again. This is only for
    /// reasons that neither an edit of routes.yaml nor time can remove.
    Final(Cow<'static, str>),
    /// The connection is closed without an ERROR after [`REFUSAL_PAUSE`], so that the peer connects
    /// again and may then be admitted.
    ForNow(Cow<'static, str>),
}

impl Service {
    /// Disconnects a peer that the core has dismissed, if it is still served.
    #[cold]
    pub(super) fn dismiss(&mut self, peer: PeerId, why: String, now: Duration) {
        if self
            .peers
            .get(peer)
            .is_some_and(|connection| connection.is_known())
        {
            self.refuse(peer, Cause::Dismissed, Refusal::ForNow(why.into()), now);
        }
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
    pub(super) fn await_disconnect(&mut self, peer: PeerId, why: &dyn fmt::Display, now: Duration) {
        if let Some(connection) = self.peers.get(peer) {
            debug!(peer = connection.address(), "a connection ends: {why}");
        }
        self.forget(peer);
        self.await_hang_up(peer, now);
    }

    /// Leaves a refused connection open without an answer for [`REFUSAL_PAUSE`]. Some peers connect
    /// again as soon as a connection ends, and the pause bounds the rate at which they connect.
    fn put_off(&mut self, peer: PeerId, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        connection.put_off(now);
        let called = connection.dial().is_some();
        self.peers.note_partial(peer, false, now);
        self.peers.set_timer(peer, now + REFUSAL_PAUSE);
        if !called {
            self.admissions.add_stranger(peer);
        }
    }

    fn await_hang_up(&mut self, peer: PeerId, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        connection.await_disconnect(now);
        let called = connection.dial().is_some();
        self.peers.note_partial(peer, false, now);
        self.peers.set_timer(peer, now + HANDSHAKE_TIMEOUT);
        // Once everything is written, the peer is notified that no more bytes follow.
        self.peers.mark_dirty(peer);
        if !called {
            self.admissions.add_stranger(peer);
        }
    }

    /// Closes a connection. If the gateway made the connection, it connects again later, unless the
    /// call (see `dial`) was removed from the configuration.
    pub(super) fn hang_up(&mut self, peer: PeerId, why: &dyn fmt::Display, now: Duration) {
        if let Some(connection) = self.peers.get(peer) {
            debug!(peer = connection.address(), "a connection ends: {why}");
        }
        self.forget(peer);
        if let Some(dial) = self.peers.close(peer) {
            self.dialer.failed(dial, why, now);
        }
    }

    /// Records that a peer is no longer served. Does nothing for a peer that was not served.
    fn forget(&mut self, peer: PeerId) {
        let Some(phase) = self
            .peers
            .get(peer)
            .and_then(|connection| connection.dismiss())
        else {
            return;
        };
        match phase {
            Phase::Client | Phase::Publisher | Phase::Subscriber => self.admissions.client_left(),
            _ => {}
        }
        self.peers.add_event(Event::Disconnected { peer });
    }

    /// Drops the answers that clients have not read, and returns their number.
    pub(in crate::engine::native) fn give_up(&mut self, now: Duration) -> usize {
        let unread = self.peers.give_up();
        self.report_events(now);
        unread
    }

    /// Ends the output of every connection, and reads and drops input until all peers have
    /// disconnected, or for [`GOODBYE_TIME_MAX`] at most.
    pub(in crate::engine::native) fn say_goodbye(&mut self, poll: &mut Poll, events: &mut Events) {
        let peers = &mut self.peers;
        let mut left: Vec<_> = peers.all().map(|connection| connection.peer()).collect();
        for connection in peers.all() {
            connection.finish();
        }
        let deadline = Instant::now() + GOODBYE_TIME_MAX;
        let mut buffer = vec![0; READ_BUFFER_SIZE];
        loop {
            left.retain(|peer| {
                let connection = peers.get(*peer);
                connection.is_some_and(|found| !found.read_to_end(&mut buffer, deadline))
            });
            let wait = deadline.saturating_duration_since(Instant::now());
            if left.is_empty() || wait.is_zero() || poll.poll(events, Some(wait)).is_err() {
                return;
            }
            left.extend(
                events
                    .iter()
                    .filter_map(|event| Peers::of_token(event.token())),
            );
            left.sort_unstable();
            left.dedup();
        }
    }
}

/// Returns the kind and the name of a connection's frontend, pool or side of a channel, for logs.
fn place(role: Role, snapshot: &Snapshot) -> String {
    format!("{} {}", role.kind(), role.name(snapshot))
}
