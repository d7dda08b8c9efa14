//! The turns in which connections are read: their order, and the number of messages and commands
//! that a connection may deliver in one turn.

use crate::engine::native::connection::Flow;
use crate::engine::native::peers::ready::Priority;
use crate::engine::native::peers::{Peers, decrement, find, increment};
use crate::peer::PeerId;

impl Peers {
    /// Begins the delivery of a peer, which may deliver `items` messages and commands.
    pub(in crate::engine::native) fn allow(&mut self, peer: PeerId, items: usize) {
        self.delivering = peer;
        self.allowance = items;
        self.extra_work = 0;
    }

    /// Returns the additional work of the delivering peer's messages: the work beyond one unit for
    /// each message. A unit is the work of a small message.
    #[inline]
    pub(in crate::engine::native) fn extra_work(&self) -> usize {
        self.extra_work
    }

    /// Returns whether the delivering peer may deliver another message or command. If so, reduces
    /// the number of further ones by one.
    #[inline]
    pub(in crate::engine::native) fn take_another(&mut self) -> bool {
        let allowed = self.allowance > 0;
        self.allowance -= usize::from(allowed);
        allowed
    }

    /// Returns the number of further messages and commands that the delivering peer may deliver.
    pub(in crate::engine::native) fn allowance(&self) -> usize {
        self.allowance
    }

    /// Returns whether a connection has something to read.
    pub(in crate::engine::native) fn is_ready(&self) -> bool {
        Priority::ALL
            .iter()
            .any(|priority| self.ready_count(*priority) > 0)
    }

    /// Returns the number of connections of this priority that have something to read.
    pub(in crate::engine::native) fn ready_count(&self, priority: Priority) -> usize {
        self.ready.count(priority)
    }

    /// Removes and returns the next connection of this priority that has something to read, if
    /// there is one.
    pub(in crate::engine::native) fn next_ready(&mut self, priority: Priority) -> Option<PeerId> {
        self.ready.pop(priority)
    }

    /// Begins another turn of the engine.
    pub(in crate::engine::native) fn begin_turn(&mut self) {
        self.turn += 1;
    }

    /// Adds the work of a peer's turn to the recent work of the peer's connection. The unit is the
    /// work for one small message.
    pub(in crate::engine::native) fn add_work(&mut self, peer: PeerId, work: usize) {
        let turn = self.turn;
        if let Some(connection) = self.get(peer) {
            connection.add_work(work, turn);
        }
    }

    /// Schedules a read from a peer, unless it has nothing to read or its input is paused. Pauses
    /// or resumes its input first, according to its queued answers.
    pub(in crate::engine::native) fn queue(&mut self, peer: PeerId) {
        let Some(connection) = find(&mut self.places, peer) else {
            return;
        };
        match connection.regulate(self.outbox_max) {
            Some(Flow::Paused) => {
                increment(&mut self.counters.paused);
                self.memory.count_pause();
            }
            Some(Flow::Reading) => decrement(&mut self.counters.paused),
            None => {}
        }
        if connection.enlist_to_read() {
            let priority = if !connection.is_known() {
                Priority::Stranger
            } else if connection.is_heavy(self.turn) {
                Priority::Heavy
            } else {
                Priority::Light
            };
            self.ready.push(peer, priority);
        }
    }

    /// Returns whether a peer may be read now, out of its turn. A peer that is in the list of
    /// connections to read from must wait for its turn.
    pub(in crate::engine::native) fn may_be_read(&mut self, peer: PeerId) -> bool {
        let outbox_max = self.outbox_max;
        let connection = find(&mut self.places, peer);
        connection.is_some_and(|found| !found.is_to_be_read() && found.is_open(outbox_max))
    }
}
