//! The consequences of a peer's silence: PINGs, and the end of the connection if the peer takes too
//! long.

use std::time::Duration;

use tracing::warn;

use crate::engine::native::clock::Clock;
use crate::engine::native::liveness::{
    EndReason, HANDSHAKE_TIMEOUT, LivenessAction, READY_WAIT_MAX,
};
use crate::engine::native::quiet::{Cause, Culprit};
use crate::engine::native::service::Service;
use crate::engine::native::service::end::Refusal;
use crate::engine::native::service::traffic::Share;
use crate::engine::role::Role;
use crate::peer::PeerId;
use gateway_zmtp::command;

/// The interval of PONGs to a peer from which reading is paused while other threads check its
/// messages or open one of its frames. Few peers have a shorter heartbeat, and a PONG takes only
/// ten bytes.
const PONG_INTERVAL: Duration = Duration::from_millis(50);

impl Service {
    /// Examines the peers whose timers are due.
    pub(in crate::engine::native) fn examine_silent(&mut self, now: Duration, clock: &Clock) {
        while let Some(peer) = self.peers.next_due(now) {
            if let Some(reason) = self.examine(peer, now) {
                self.read_before_end(peer, reason, now, clock);
            }
        }
    }

    /// Acts on a peer's silence. Returns a reason if the peer's connection must end, and `None`
    /// otherwise.
    fn examine(&mut self, peer: PeerId, now: Duration) -> Option<EndReason> {
        self.name_mechanism_in_time(peer, now);
        self.note_waiting(peer, now);
        self.reassure(peer, now);
        let role = self.peers.get(peer)?.role();
        let heartbeat = match role {
            Role::Pool(pool) => self.settings(pool).and_then(|pool| pool.heartbeat),
            Role::Frontend(_) | Role::Publishers(_) | Role::Subscribers(_) => None,
        };
        match self.peers.get(peer)?.judge(heartbeat, now) {
            LivenessAction::Rest(None) => None,
            LivenessAction::Rest(Some(next)) => {
                self.peers.set_timer(peer, next);
                None
            }
            LivenessAction::Ping(next) => {
                self.peers.set_timer(peer, next);
                self.peers.put(peer, command::put_ping);
                None
            }
            LivenessAction::End(reason) => Some(reason),
        }
    }

    /// Logs that a peer to which the gateway has connected waits for the gateway's READY or HELLO.
    /// Another gateway or another CURVE server would wait like this, and the two sides would wait
    /// for each other.
    fn note_waiting(&mut self, peer: PeerId, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        let is_time = (READY_WAIT_MAX..HANDSHAKE_TIMEOUT).contains(&connection.age(now));
        let awaits_hello = connection.awaits_hello();
        let waits = awaits_hello || connection.awaits_ready();
        if !is_time || connection.dial().is_none() || !waits {
            return;
        }
        let (role, address) = (connection.role(), connection.address());
        let nobody = Culprit {
            address: None,
            key: None,
        };
        let allowed = self.quiet.allow_refused(role, Cause::Waits, nobody, now);
        let Some(left_out) = allowed else {
            return;
        };
        let (kind, name) = (role.kind(), role.name(&self.snapshot));
        if awaits_hello {
            warn!(
                peer = address,
                left_out,
                "{kind} {name}: the peer does not send its HELLO, as if it were a CURVE server (pyzmq: curve_server): if the peer is one, set server to its key"
            );
            return;
        }
        let wanted = match role {
            Role::Pool(_) => {
                "a pool connects to workers: to reach another gateway, connect to a worker that is a client of the other gateway"
            }
            Role::Frontend(_) => "a frontend connects to clients that listen",
            Role::Publishers(_) => "a channel connects to publishers that listen",
            Role::Subscribers(_) => "a channel connects to subscribers that listen",
        };
        warn!(
            peer = address,
            left_out,
            "{kind} {name}: the peer does not send its READY and may be another gateway, but {wanted}"
        );
    }

    /// Sends a PONG to a peer from which reading is paused while other threads check its messages
    /// or open one of its frames. The unread bytes may contain a PING, so without the PONG the
    /// peer's heartbeat might fail. Sets a timer for the next PONG.
    pub(super) fn reassure(&mut self, peer: PeerId, now: Duration) {
        let connection = self.peers.get(peer);
        if connection.is_some_and(|found| found.awaits_pong()) {
            self.peers.pong(peer, &[]);
            self.peers.set_timer(peer, now + PONG_INTERVAL);
        }
    }

    /// Ends a peer's connection. If the peer was served, a last read or write may still show that
    /// the peer is alive, and then the connection continues. The peer may have sent bytes that the
    /// system has not reported yet, for example after a time in which the gateway did not run. The
    /// gateway also does not notice bytes of a client from which reading is paused.
    fn read_before_end(&mut self, peer: PeerId, reason: EndReason, now: Duration, clock: &Clock) {
        if matches!(
            reason,
            EndReason::Handshake | EndReason::PutOff | EndReason::Goodbye
        ) {
            return self.end_for(peer, reason, now);
        }
        if self.peers.may_be_read(peer) {
            self.serve(peer, Share::of(1, now), now, clock);
            self.report_events(now);
        }
        self.peers.try_to_write(peer, now);
        self.report_events(now);
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        if connection.has_input() {
            connection.excuse(now);
        }
        if let Some(reason) = self.examine(peer, now) {
            self.end_for(peer, reason, now);
        }
    }

    fn end_for(&mut self, peer: PeerId, reason: EndReason, now: Duration) {
        match reason {
            EndReason::Handshake | EndReason::PartialMessage => {
                let connection = self.peers.get(peer);
                let why = match reason {
                    EndReason::Handshake
                        if connection.is_some_and(|found| found.awaits_ready()) =>
                    {
                        format!(
                            "{reason}: it has sent its greeting and waits for the gateway's READY, as another gateway does"
                        )
                    }
                    _ => reason.to_string(),
                };
                let why = Refusal::HangUp(why.into());
                self.refuse(peer, Cause::Slow, why, now);
            }
            EndReason::PutOff | EndReason::Goodbye | EndReason::Ttl | EndReason::Heartbeat => {
                self.hang_up(peer, &reason, now)
            }
        }
    }
}
