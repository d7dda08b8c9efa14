//! The connections that have something to read, in the order of their turns.
//!
//! Connections that have caused little work lately are light, and have their turns first. A peer
//! that sends little thus waits for other such peers, and not for all the peers that send as much
//! as they can. After the light connections come strangers, which are peers that the core does not
//! know, and then heavy connections. In each turn of the engine, at least one stranger and one
//! heavy connection have their turn. A stranger thus waits for at most as many turns of the engine
//! as there are strangers. A heavy connection waits for at most as many turns as there are heavy
//! connections.

use std::collections::VecDeque;

use crate::peer::PeerId;

/// The connections with something to read, each once.
#[derive(Debug, Default)]
pub(in crate::engine::native) struct ReadyList {
    light: VecDeque<PeerId>,
    strangers: VecDeque<PeerId>,
    heavy: VecDeque<PeerId>,
}

/// The part of the list that a connection is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::native) enum Priority {
    /// The core knows the peer, and the connection has caused little work lately.
    Light,
    /// The core does not know the peer: its handshake is not complete, or it was refused.
    Stranger,
    /// The connection has caused much work in the last turns of the engine.
    Heavy,
}

impl Priority {
    /// All priorities, in the order of the turns.
    pub(in crate::engine::native) const ALL: [Self; 3] = [Self::Light, Self::Stranger, Self::Heavy];
}

impl ReadyList {
    /// Appends a connection, which must not be in the list.
    pub(super) fn push(&mut self, peer: PeerId, priority: Priority) {
        self.part(priority).push_back(peer);
    }

    /// Removes and returns the next connection of a part, if there is one.
    pub(super) fn pop(&mut self, priority: Priority) -> Option<PeerId> {
        self.part(priority).pop_front()
    }

    /// Returns the number of connections in a part.
    pub(super) fn count(&self, priority: Priority) -> usize {
        match priority {
            Priority::Light => self.light.len(),
            Priority::Stranger => self.strangers.len(),
            Priority::Heavy => self.heavy.len(),
        }
    }

    fn part(&mut self, priority: Priority) -> &mut VecDeque<PeerId> {
        match priority {
            Priority::Light => &mut self.light,
            Priority::Stranger => &mut self.strangers,
            Priority::Heavy => &mut self.heavy,
        }
    }
}
