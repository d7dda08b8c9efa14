//! Memory for messages that aren't whole, of all connections together.

use std::cmp::Reverse;
use std::time::Duration;

use crate::engine::native::peers::{Peers, find};
use crate::peer::PeerId;

impl Peers {
    /// After a peer's turn: what it takes for a message that isn't whole, and when that is to be
    /// looked at. `whole`: what had begun before came to its end meanwhile.
    pub(in crate::engine::native) fn note_half(
        &mut self,
        peer: PeerId,
        whole: bool,
        now: Duration,
    ) -> Option<Duration> {
        let connection = find(&mut self.places, peer)?;
        let before = connection.half();
        connection.note_half(whole, now);
        self.halves = self.halves + connection.half() - before;
        connection.half_due()
    }

    /// If messages that aren't whole take more than so much memory: the peers whose messages are to
    /// be given up.
    pub(in crate::engine::native) fn halves_to_give_up(&self, most: u64) -> Vec<PeerId> {
        if self.halves <= most {
            return Vec::new();
        }
        let with_half = self.all().filter(|connection| connection.half() > 0);
        let halves = with_half.map(|connection| Half {
            grew: connection.half_grew().unwrap_or_default(),
            bytes: connection.half(),
            peer: connection.peer(),
        });
        to_give_up(halves.collect(), most)
    }
}

/// A message that isn't whole.
#[derive(Clone, Copy, Debug)]
struct Half {
    /// When it last went on.
    grew: Duration,
    /// Memory that it takes.
    bytes: u64,
    peer: PeerId,
}

/// Those that have rested for longest, of such the largest first: so many that an eighth of what
/// they may take is free again and not each message has all looked through. What counts is when a
/// message last went on, not how fast it came: else those who send fast and then stop would have a
/// slow line's cut, which goes on all the time.
fn to_give_up(mut halves: Vec<Half>, most: u64) -> Vec<PeerId> {
    halves.sort_unstable_by_key(|it| (it.grew, Reverse(it.bytes), it.peer));
    let mut left: u64 = halves.iter().map(|it| it.bytes).sum();
    let goes = |it: &Half| {
        let goes = left > most - most / 8;
        left -= if goes { it.bytes } else { 0 };
        goes
    };
    let gone: Vec<_> = halves.iter().copied().take_while(goes).collect();
    gone.iter().map(|it| it.peer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each: when it last went on, in milliseconds, and its bytes. Peers are numbered from 0.
    #[track_caller]
    fn check(halves: &[(u64, u64)], most: u64, gone: &[u64]) {
        let halves = halves.iter().zip(0..).map(|(&(grew, bytes), peer)| Half {
            grew: Duration::from_millis(grew),
            bytes,
            peer: PeerId(peer),
        });
        let found: Vec<_> = to_give_up(halves.collect(), most)
            .iter()
            .map(|it| it.0)
            .collect();
        assert_eq!(found, gone);
    }

    #[test]
    fn those_that_have_rested_for_longest_go() {
        // Until an eighth is free.
        check(&[(30, 30), (10, 30), (20, 30), (40, 30)], 100, &[1, 2]);
        check(&[(30, 30), (10, 20), (20, 30), (40, 20)], 88, &[1, 2]);
        // Of the same age the largest, which are the fewest.
        check(&[(10, 1), (10, 60), (10, 1), (20, 88)], 100, &[1, 0, 2]);
        // One alone may be too much.
        check(&[(10, 101)], 100, &[0]);
        check(&[], 100, &[]);
    }

    /// Eighteen send 15 MiB at once and stop; one sends 10 MiB at 10 Mb/s and goes on.
    #[test]
    fn a_slow_line_is_not_cut_for_those_that_stop() {
        let stopped = (0..18).map(|n| (n, 15 << 20));
        let mut halves: Vec<_> = stopped.collect();
        halves.push((5_000, 6 << 20));
        check(&halves, 256 << 20, &[0, 1, 2, 3]);
    }
}
