//! Connections that the gateway makes: the calls that are due, and their outcomes.

use std::time::Duration;

use crate::engine::native::connection::{Origin, Phase};
use crate::engine::native::dial::Target;
use crate::engine::native::liveness::{HANDSHAKE_TIMEOUT, READY_WAIT_MAX};
use crate::engine::native::removal::Removal;
use crate::engine::native::service::Service;
use crate::engine::native::stream::Stream;
use crate::peer::{PeerId, WorkerKind};

impl Service {
    /// Makes the calls that are due.
    pub(in crate::engine::native) fn call(&mut self, removal: &Removal, now: Duration) {
        while let Some((dial, role, target)) = self.dialer.due(now) {
            if removal.is_pending() && self.is_leaving(&target) {
                let at = removal.after_next_check(now);
                self.dialer.put_off(dial, target, at);
                continue;
            }
            let stream = match &target {
                Target::Tcp(address) => Stream::connect_tcp(*address),
                Target::Ipc(path) => Stream::connect_ipc(path),
            };
            let origin = Origin::Called { dial, target };
            let security = self.security_of_call(role, dial);
            let peer =
                stream.and_then(|stream| self.peers.add(stream, role, origin, security, now));
            match peer {
                Ok(peer) => {
                    self.dialer.connected(dial, peer);
                    self.peers.set_timer(peer, now + HANDSHAKE_TIMEOUT);
                }
                Err(error) => self.dialer.failed(dial, &error, now),
            }
        }
    }

    /// Returns whether a DEALER worker at `target` may still send answers through a connection that
    /// is about to close. A DEALER of libzmq with two connections sends its answers through both
    /// connections in turn, and an answer on the wrong connection is lost. A REP answers on the
    /// connection of the request.
    fn is_leaving(&self, target: &Target) -> bool {
        self.peers.all().any(|connection| {
            let removed = connection.role().pool_missing_in(&self.snapshot).is_some();
            // The phase of a worker shows that the connection belongs to a pool, so the role needs
            // no check of its own.
            let leaves = removed || connection.is_retired();
            let dealer = connection.phase() == Phase::Worker(WorkerKind::Dealer);
            leaves && dealer && connection.was_called_at(target)
        })
    }

    /// Sends the greeting to a peer to which the gateway was connecting, if the connection is
    /// established. Closes the connection if the system could not connect.
    pub(super) fn answered(&mut self, peer: PeerId, now: Duration) {
        let Some(connection) = self.peers.get(peer) else {
            return;
        };
        match connection.finish_connecting(now) {
            Ok(true) => {
                self.peers.greet(peer);
                self.peers.set_timer(peer, now + READY_WAIT_MAX);
            }
            Ok(false) => {}
            Err(error) => self.hang_up(peer, &error, now),
        }
    }
}
