//! Closes the connections whose frontend, pool, channel or address was removed from the
//! configuration. Also ends the calls of removed pools. A call is a connection that the gateway
//! makes to a peer (see `dial`).

use std::time::Duration;

use crate::engine::native::connection::Phase;
use crate::engine::native::service::Service;
use crate::engine::role::Role;
use crate::peer::PeerId;

/// The treatment of a connection.
enum Treatment {
    /// The connection stays, or ends by itself.
    Keep,
    /// The connection must be closed, but has to deliver an answer or a message first.
    Finish,
    /// The connection is closed now.
    Close,
}

impl Service {
    /// Closes the connections of removed frontends, pools, channels and addresses, unless they
    /// still have something to deliver. Also ends the calls of each removed pool that is idle.
    /// Returns whether any of these connections and calls remain.
    pub(in crate::engine::native) fn close_removed(&mut self, now: Duration) -> bool {
        let calls_left = self.end_calls();
        let connections_left = self.close_connections(now);
        self.report_events(now);
        calls_left || connections_left
    }

    /// Ends the calls of each removed pool that is idle. Returns whether calls of removed pools
    /// remain.
    fn end_calls(&mut self) -> bool {
        let (core, snapshot) = (&self.core, &self.snapshot);
        let is_over = |role: Role| {
            let removed = role.pool_missing_in(snapshot);
            removed.is_some_and(|pool| core.is_idle(pool))
        };
        self.dialer.end(is_over);
        let mut left = self.dialer.all();
        left.any(|(role, _)| role.pool_missing_in(snapshot).is_some())
    }

    /// Closes the connections that must be closed, unless they still have something to deliver.
    /// Returns whether any of them remain open.
    fn close_connections(&mut self, now: Duration) -> bool {
        let mut left = false;
        let all: Vec<PeerId> = self
            .peers
            .all()
            .map(|connection| connection.peer())
            .collect();
        for peer in all {
            match self.treatment(peer) {
                Treatment::Keep => {}
                Treatment::Finish => left = true,
                Treatment::Close => {
                    let why = "its frontend, pool, channel or address was removed or changed";
                    let phase = self.peers.get(peer).map(|connection| connection.phase());
                    match phase {
                        // The peer may not have read the last bytes yet, so the gateway waits for
                        // the peer to disconnect.
                        Some(Phase::Client | Phase::Subscriber) => {
                            self.await_disconnect(peer, &why, now)
                        }
                        _ => self.hang_up(peer, &why, now),
                    }
                }
            }
        }
        left
    }

    fn treatment(&mut self, peer: PeerId) -> Treatment {
        let Some(connection) = self.peers.get(peer) else {
            return Treatment::Keep;
        };
        let (role, phase) = (connection.role(), connection.phase());
        let (busy, retired) = (connection.is_busy(), connection.is_retired());
        let removed = !role.is_in(&self.snapshot);
        let is_needed = match (role, phase) {
            (_, Phase::Left | Phase::PutOff | Phase::Closing) => return Treatment::Keep,
            (Role::Frontend(_), _) if removed || retired => busy || self.core.awaits_messages(peer),
            // Nothing more is published on a removed channel, so its queues become empty. If the
            // channel remains, the queue of a slow subscriber may never become empty. The arm for
            // all other retired connections therefore closes a retired subscriber of such a channel
            // even if messages are queued.
            (Role::Subscribers(_), _) if removed => busy || self.core.awaits_messages(peer),
            (Role::Publishers(_), _) if removed => false,
            (Role::Pool(pool), _) if removed => !self.core.is_idle(pool),
            (Role::Pool(_), Phase::Worker(_)) if retired => busy || self.core.holds(peer),
            _ if retired => false,
            _ => return Treatment::Keep,
        };
        if is_needed {
            Treatment::Finish
        } else {
            Treatment::Close
        }
    }
}
