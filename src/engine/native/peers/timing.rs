//! The timers of connections: when each connection must be examined next.

use std::time::Duration;

use crate::engine::native::peers::{Peers, find};
use crate::peer::PeerId;

/// The number of timer entries, beyond two per connection, above which obsolete entries are
/// removed.
const TIMERS_SPARE: usize = 4096;

impl Peers {
    /// Schedules an examination of a peer for no later than `at`.
    pub(in crate::engine::native) fn set_timer(&mut self, peer: PeerId, at: Duration) {
        if let Some(connection) = find(&mut self.places, peer)
            && connection.set_timer(at)
        {
            self.timers.add(at, peer);
        }
        // A peer whose timer is set to ever earlier times, or that connects repeatedly, leaves
        // obsolete entries.
        let connections = self.count();
        if self.timers.len() > 2 * connections + TIMERS_SPARE {
            let places = &mut self.places;
            self.timers.retain(|at, peer| {
                find(places, peer).is_some_and(|connection| connection.is_due_at(at))
            });
        }
    }

    /// Returns the time at which the next timer is due.
    pub(in crate::engine::native) fn next_timer(&self) -> Option<Duration> {
        self.timers.next()
    }

    /// Clears a timer that is due by `now`, and returns its peer. Returns `None` if no timer is
    /// due.
    pub(in crate::engine::native) fn next_due(&mut self, now: Duration) -> Option<PeerId> {
        while let Some((at, peer)) = self.timers.due(now) {
            let connection = find(&mut self.places, peer);
            if let Some(connection) = connection.filter(|connection| connection.is_due_at(at)) {
                connection.clear_timer();
                return Some(peer);
            }
        }
        None
    }
}
