//! The memory of the incomplete messages of all connections together.

use std::cmp::Reverse;
use std::time::Duration;

use crate::engine::native::peers::{Peers, find};
use crate::engine::role::Role;
use crate::peer::PeerId;

/// The maximum size of a small incomplete message, in bytes.
const SMALL_MAX: u64 = 64 << 10;

/// The maximum age of a small incomplete message. The rest of one arrives within milliseconds,
/// unless its peer has stopped.
const SMALL_AGE_MAX: Duration = Duration::from_secs(2);

impl Peers {
    /// Records the memory of an incomplete message after a peer's turn. `whole` says whether an
    /// earlier message was completed. Returns the time at which the incomplete message must be
    /// examined.
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
        connection.charge(&mut self.account);
        connection.half_due()
    }

    /// Returns the peers whose messages must be dropped, if incomplete messages take more memory
    /// than `most`.
    pub(in crate::engine::native) fn halves_to_give_up(
        &self,
        most: u64,
        now: Duration,
    ) -> Vec<PeerId> {
        if self.halves <= most {
            return Vec::new();
        }
        let with_half = self.all().filter(|connection| connection.half() > 0);
        let halves = with_half.map(|connection| {
            let grew = connection.half_grew().unwrap_or_default();
            Half {
                sender: match connection.role() {
                    Role::Pool(_) => Sender::Worker,
                    Role::Frontend(_) | Role::Publishers(_) | Role::Subscribers(_) => {
                        Sender::Client
                    }
                },
                size: Size::of(connection.half(), now.saturating_sub(grew)),
                grew,
                bytes: connection.half(),
                peer: connection.peer(),
            }
        });
        to_give_up(halves.collect(), most)
    }
}

/// The sender of an incomplete message. Those of clients, publishers and subscribers are dropped
/// first, because requests of others would be lost with a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sender {
    Client,
    Worker,
}

/// The size class of an incomplete message. Small ones are dropped last, because a few large ones
/// take as much memory: a peer that sends little is not dropped for those that send much. Small
/// ones that have stopped count as large, because peers that only begin messages would otherwise
/// cause large ones to be dropped that still grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Size {
    Large,
    Small,
}

impl Size {
    /// Returns the class of a message of this size, which began, or last grew, this time ago.
    fn of(bytes: u64, age: Duration) -> Self {
        if bytes <= SMALL_MAX && age <= SMALL_AGE_MAX {
            Self::Small
        } else {
            Self::Large
        }
    }
}

/// An incomplete message.
#[derive(Clone, Copy, Debug)]
struct Half {
    sender: Sender,
    size: Size,
    /// The time at which it began, or last grew by `PARTIAL_MESSAGE_STEP`.
    grew: Duration,
    /// The memory that it takes.
    bytes: u64,
    peer: PeerId,
}

/// Returns the peers whose messages have not grown for the longest time, the largest first among
/// equals, clients before workers, and large messages before small ones. So many are returned that
/// an eighth of the allowed memory will be free. If less were free, every further message would
/// cause all to be examined. The criterion is the time of the last growth, and not the speed:
/// otherwise, peers that send fast and then stop would cause a slow but steady upload to be
/// dropped.
fn to_give_up(mut halves: Vec<Half>, most: u64) -> Vec<PeerId> {
    halves.sort_unstable_by_key(|it| (it.sender, it.size, it.grew, Reverse(it.bytes), it.peer));
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

    /// Checks the choice among messages, each with the time at which it last grew, in milliseconds,
    /// and its bytes. Peers are numbered from 0.
    #[track_caller]
    fn check(halves: &[(u64, u64)], most: u64, gone: &[u64]) {
        let halves = halves.iter().zip(0..).map(|(&(grew, bytes), peer)| Half {
            sender: Sender::Client,
            size: Size::of(bytes, Duration::ZERO),
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
        // Among messages of the same age, the largest are dropped first, so that few are dropped.
        check(&[(10, 1), (10, 60), (10, 1), (20, 88)], 100, &[1, 0, 2]);
        // A single message may be too large.
        check(&[(10, 101)], 100, &[0]);
        check(&[], 100, &[]);
    }

    #[test]
    fn a_worker_goes_only_after_all_clients() {
        let half = |sender, peer| Half {
            sender,
            size: Size::Large,
            grew: Duration::from_millis(peer),
            bytes: 50,
            peer: PeerId(peer),
        };
        let halves = vec![half(Sender::Worker, 1), half(Sender::Client, 2)];
        assert_eq!(to_give_up(halves.clone(), 60), [PeerId(2)]);
        assert_eq!(to_give_up(halves, 40), [PeerId(2), PeerId(1)]);
    }

    #[test]
    fn a_small_one_goes_after_the_large_ones() {
        let (small, large) = (SMALL_MAX, SMALL_MAX + 1);
        check(
            &[(1, small), (3, large), (2, large)],
            small + large,
            &[2, 1],
        );
        check(&[(1, small), (2, large)], 0, &[1, 0]);
    }

    #[test]
    fn a_small_one_that_has_stopped_counts_as_large() {
        assert_eq!(Size::of(SMALL_MAX, SMALL_AGE_MAX), Size::Small);
        let stopped = SMALL_AGE_MAX + Duration::from_millis(1);
        assert_eq!(Size::of(SMALL_MAX, stopped), Size::Large);
        assert_eq!(Size::of(SMALL_MAX + 1, Duration::ZERO), Size::Large);
    }

    /// Eighteen peers send 15 MiB at once and stop; one sends 10 MiB at 10 Mb/s and continues.
    #[test]
    fn a_slow_line_is_not_cut_for_those_that_stop() {
        let stopped = (0..18).map(|n| (n, 15 << 20));
        let mut halves: Vec<_> = stopped.collect();
        halves.push((5_000, 6 << 20));
        check(&halves, 256 << 20, &[0, 1, 2, 3]);
    }
}
