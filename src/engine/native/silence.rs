//! What a peer's silence means: PINGs, and the end of a peer that takes too long.

use std::time::Duration;

use crate::engine::native::liveness::{Over, Verdict};
use crate::engine::native::quiet::Cause;
use crate::engine::native::role::Role;
use crate::engine::native::service::{Refusal, Service};
use crate::engine::native::traffic::Share;
use crate::peer::PeerId;
use gateway_zmtp::command;

impl Service {
    /// Looks at the peers whose timers are due.
    pub(super) fn look_at_silent(&mut self, now: Duration) {
        while let Some(peer) = self.peers.next_due(now) {
            if let Some(over) = self.look_at(peer, now) {
                self.take_a_last_look(peer, over, now);
            }
        }
    }

    /// Does what a peer's silence asks for. Returns why the peer is at its end, if it is.
    fn look_at(&mut self, peer: PeerId, now: Duration) -> Option<Over> {
        let role = self.peers.get(peer)?.role();
        let heartbeat = match role {
            Role::Pool(pool) => self.settings(pool).and_then(|pool| pool.heartbeat),
            Role::Frontend(_) => None,
        };
        match self.peers.get(peer)?.judge(heartbeat, now) {
            Verdict::Rest(None) => None,
            Verdict::Rest(Some(next)) => {
                self.peers.set_timer(peer, next);
                None
            }
            Verdict::Ping(next) => {
                self.peers.set_timer(peer, next);
                self.peers.put(peer, command::put_ping);
                None
            }
            Verdict::Over(over) => Some(over),
        }
    }

    /// Ends a peer, unless a last look shows a sign of life. The system may not have told of one
    /// yet, for example after a moment in which the gateway did not run, and a client that isn't
    /// read from isn't heard either.
    fn take_a_last_look(&mut self, peer: PeerId, over: Over, now: Duration) {
        if matches!(over, Over::Handshake | Over::Goodbye) {
            return self.end_for(peer, over, now);
        }
        if self.peers.may_be_read(peer) {
            self.serve(peer, Share::of(1), now);
            self.tell(now);
        }
        self.peers.try_to_write(peer, now);
        self.tell(now);
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        if connection.has_input() {
            connection.excuse(now);
        }
        if let Some(over) = self.look_at(peer, now) {
            self.end_for(peer, over, now);
        }
    }

    fn end_for(&mut self, peer: PeerId, over: Over, now: Duration) {
        match over {
            Over::Handshake | Over::HalfMessage => {
                let why = Refusal::HangUp(over.to_string().into());
                self.refuse(peer, Cause::Slow, why, now);
            }
            Over::Goodbye | Over::Ttl | Over::Heartbeat => self.hang_up(peer, &over, now),
        }
    }
}
