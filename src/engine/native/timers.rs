//! When which connection is to be looked at next.
//!
//! A connection has one entry at most that counts: it is looked at when its earliest reason for that may
//! be due, and says then when to look again. So a message costs nothing here, and what is left of the
//! work, about one entry a connection and heartbeat, a heap does as well as a wheel of slots would.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::connection::Connection;
use crate::core::PeerId;

/// Entries, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Duration, PeerId)>>);

impl Timers {
    /// Has a connection looked at no later than `at`.
    pub(super) fn set(&mut self, connection: &mut Connection, at: Duration) {
        if connection.timer.is_none_or(|timer| at < timer) {
            connection.timer = Some(at);
            self.0.push(Reverse((at, connection.peer)));
        }
    }

    /// Entries, those that mean nothing any more included.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Drops the entries that `counts` says no to.
    pub(super) fn retain(&mut self, mut counts: impl FnMut(Duration, PeerId) -> bool) {
        self.0.retain(|Reverse((at, peer))| counts(*at, *peer));
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// The next one that is due by `now`, with its time: it counts if that is still its connection's.
    pub(super) fn due(&mut self, now: Duration) -> Option<(Duration, PeerId)> {
        let Reverse((at, _)) = self.0.peek()?;
        if *at > now {
            return None;
        }
        self.0.pop().map(|Reverse(entry)| entry)
    }
}
