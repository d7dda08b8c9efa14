//! What the configuration has no more: it is closed once nothing is owed through it.

use std::time::Duration;

use tracing::info;

use super::super::Native;
use super::super::connection::{Phase, Role};
use crate::peer::PeerId;
use crate::snapshot::PoolId;

/// How often it is looked whether what was removed can be closed, at most.
pub(in super::super) const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Times as long as a look takes, until the next one.
const REST: u32 = 50;

impl Native {
    /// Closes what the configuration has no more, once nothing is owed through it.
    pub(in super::super) fn close_removed(&mut self, now: Duration) {
        if self.look_at > now {
            return;
        }
        let began = self.clock.now();
        self.removing = false;
        self.end_calls();
        let all: Vec<PeerId> = self.peers.all().map(|it| it.peer).collect();
        for peer in all {
            match self.is_owed(peer) {
                None => {}
                Some(true) => self.removing = true,
                Some(false) => {
                    let why = "the configuration has it no more";
                    let connection = self.peers.get(peer);
                    match connection.is_some_and(|it| matches!(it.phase, Phase::Client)) {
                        // Its last answers may still be on their way.
                        true => self.part(peer, &why, now),
                        false => self.hang_up(peer, &why, now),
                    }
                }
            }
        }
        self.tell(now);
        self.close_listeners();
        // Of very many connections it takes long, and one that lingers may do so for ever.
        let took = self.clock.now().saturating_sub(began);
        self.look_at = now + LOOK_AGAIN.max(took * REST);
        if !self.removing {
            info!("what the configuration has no more has done what it owed, and is closed");
        }
    }

    /// Of a connection that is to go: whether it must wait, because something is owed through it. None of
    /// one that stays.
    fn is_owed(&mut self, peer: PeerId) -> Option<bool> {
        let connection = self.peers.get(peer)?;
        if matches!(connection.phase, Phase::Closing) {
            // It goes by itself.
            return None;
        }
        let busy = connection.queued || connection.session.is_inside();
        let busy = busy || !connection.outbox.is_empty();
        let retired = connection.retired;
        match (connection.role, &connection.phase) {
            (Role::Frontend(id), _) if !self.snapshot.frontends.contains_key(&id) => {
                Some(busy || self.core.is_owed(peer))
            }
            (Role::Pool(id), _) if !self.snapshot.pools.contains_key(&id) => {
                Some(!self.core.is_idle(id))
            }
            (Role::Pool(_), Phase::Worker(_)) if retired => Some(busy || self.core.holds(peer)),
            (Role::Frontend(_), _) if retired => Some(busy || self.core.is_owed(peer)),
            _ if retired => Some(false),
            _ => None,
        }
    }

    fn end_calls(&mut self) {
        let removed = |id: &PoolId| !self.snapshot.pools.contains_key(id);
        let core = &self.core;
        self.dialer
            .end(|role| matches!(role, Role::Pool(id) if removed(&id) && core.is_idle(id)));
        let mut left = self.dialer.all();
        self.removing |= left.any(|(role, _)| matches!(role, Role::Pool(id) if removed(&id)));
    }

    fn close_listeners(&mut self) {
        let removed = |role: Role| match role {
            Role::Pool(id) => !self.snapshot.pools.contains_key(&id),
            Role::Frontend(_) => false,
        };
        let listeners = self.listeners.there.iter();
        let removed: Vec<_> = listeners
            .filter(|(_, it)| removed(it.role))
            .map(|(id, it)| (*id, it.role))
            .collect();
        for (id, role) in removed {
            let idle = matches!(role, Role::Pool(pool) if self.core.is_idle(pool));
            if idle && self.book.may_close(id) {
                self.listeners.there.remove(&id);
            } else {
                self.removing = true;
            }
        }
    }
}
