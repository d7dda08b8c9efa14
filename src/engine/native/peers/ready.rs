//! The connections that have something to read, in the order of their turns.
//!
//! Connections that have caused little work lately are light, and have their turns first. A peer
//! that sends little thus waits for other such peers, and not for all the peers that send as much
//! as they can. In each turn of the engine, at least one heavy connection has its turn after the
//! light ones. A heavy connection thus waits for at most as many turns of the engine as there are
//! heavy connections.

use std::collections::VecDeque;

use crate::peer::PeerId;

/// The connections with something to read, each once.
#[derive(Debug, Default)]
pub(in crate::engine::native) struct ReadyList {
    light: VecDeque<PeerId>,
    heavy: VecDeque<PeerId>,
}

/// The part of the list that a connection is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::native) enum Weight {
    /// The connection has caused little work lately.
    Light,
    /// The connection has caused much work in the last turns of the engine.
    Heavy,
}

impl ReadyList {
    /// Appends a connection, which must not be in the list.
    pub(super) fn push(&mut self, peer: PeerId, weight: Weight) {
        self.part(weight).push_back(peer);
    }

    /// Takes the next connection of a part.
    pub(super) fn pop(&mut self, weight: Weight) -> Option<PeerId> {
        self.part(weight).pop_front()
    }

    /// Returns the number of connections in a part.
    pub(super) fn count(&self, weight: Weight) -> usize {
        match weight {
            Weight::Light => self.light.len(),
            Weight::Heavy => self.heavy.len(),
        }
    }

    fn part(&mut self, weight: Weight) -> &mut VecDeque<PeerId> {
        match weight {
            Weight::Light => &mut self.light,
            Weight::Heavy => &mut self.heavy,
        }
    }
}
