//! When which connection is to be looked at next.
//!
//! A connection has one entry at most that counts: it is looked at when its earliest reason for
//! that may be due, and says then when to look again. So a message costs nothing here, a turn looks
//! at the first entry, and what is left of the work is about one entry a connection and heartbeat.
//! A wheel of slots would save nothing that shows: with 10,000 workers that are each looked at once
//! a second, the heap takes 1.3 to 2 ms of that second, and each PING that it leads to takes more
//! in its call of the system alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::peer::PeerId;

/// Entries, the earliest first.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Duration, PeerId)>>);

impl Timers {
    /// Adds an entry: a peer's connection is to be looked at then.
    pub(super) fn add(&mut self, at: Duration, peer: PeerId) {
        self.0.push(Reverse((at, peer)));
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

    /// The next one that is due by `now`, with its time: it counts if that is still its
    /// connection's.
    pub(super) fn due(&mut self, now: Duration) -> Option<(Duration, PeerId)> {
        let Reverse((at, _)) = self.0.peek()?;
        if *at > now {
            return None;
        }
        self.0.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// What the heap costs where a wheel would shine: `cargo test --release timers -- --nocapture`
    /// tells it.
    #[test]
    fn ten_thousand_heartbeats_take_a_small_part_of_their_second() {
        const PEERS: u64 = 10_000;
        const SECONDS: u64 = 10;
        let mut timers = Timers::default();
        for peer in 0..PEERS {
            // As they come: in no order.
            let at = Duration::from_nanos(peer * 7_919_000_003 % 1_000_000_000);
            timers.0.push(Reverse((at, PeerId(peer))));
        }
        let began = Instant::now();
        for millis in 0..SECONDS * 1_000 {
            let now = Duration::from_millis(millis);
            while let Some((at, peer)) = timers.due(now) {
                let next = at + Duration::from_secs(1);
                timers.0.push(Reverse((next, peer)));
            }
        }
        let second = began.elapsed() / SECONDS as u32;
        println!(
            "{second:?} of each second, {:?} an entry",
            second / PEERS as u32
        );
        assert_eq!(timers.len() as u64, PEERS);
        // However slow the build and busy the machine.
        assert!(second < Duration::from_millis(250), "{second:?}");
    }
}
