//! The bound on memory, `limits.memory`, and the share of each peer.
//!
//! Once a turn, [`Memory::weigh`] receives the memory that peers hold: the sum of the accounts of
//! the connections (`peers`) and of the core ([`Core::memory`](crate::core::Core::memory)). The
//! other memory of the process (schemas, gaps of the allocator, judges) is not counted but
//! measured: it is the resident memory less the memory of peers. [`Room::of`] computes the limits
//! from these figures alone, and the core and `peers` apply them. While more than half of the
//! memory is taken, a client may hold half of the free memory, so the clients that hold most are
//! paused and rejected first. A part of the memory never counts as free: it is divided evenly among
//! all clients, so each client can always hold its share.

use std::time::Duration;

use crate::ledger::MemoryGauges;
use crate::memory::{Resident, release_apart};

/// The maximum time between two measurements of the resident memory, while turns run.
const MEASURE_INTERVAL: Duration = Duration::from_millis(100);

/// The resident memory is measured earlier if the memory of peers has changed by at least
/// `bound / MEASURE_DIVISOR`.
const MEASURE_DIVISOR: u64 = 32;

/// Peers may always use `bound / BUDGET_DIVISOR`. Other memory, such as gaps of the allocator, must
/// not keep the gateway from serving.
const BUDGET_DIVISOR: u64 = 4;

/// `budget / RESERVE_DIVISOR` is reserved for incomplete messages and for the messages that arrive
/// within one turn, whatever clients hold.
const RESERVE_DIVISOR: u64 = 8;

/// `budget / SHARES_DIVISOR` is shared evenly by all clients, whatever each of them holds. This
/// amount is set aside twice: once for open requests, and once for unread answers.
const SHARES_DIVISOR: u64 = 16;

/// The least share of a client, in bytes. This is about the memory that a connection takes. The
/// number of connections is bounded, so the sum of these shares is bounded, too.
const CLIENT_MIN: u64 = 4 << 10;

/// The length of a period of [`Burst`]. The memory of a burst is returned to the system at the end
/// of the first period without another burst.
const RELEASE_PERIOD: Duration = Duration::from_secs(1);

/// The minimum decrease of the held bytes, compared with their peak, after which memory is returned
/// to the system. The return takes time, which a smaller decrease is not worth.
const RELEASE_MIN: u64 = 16 << 20;

/// The amounts of memory that peers may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    /// The memory for everything that peers hold.
    budget: u64,
    /// The bytes that a client may hold, or `u64::MAX` while memory is not short.
    client: u64,
    /// The memory without the reserve.
    usable: u64,
    /// The memory without the reserve and without the shares.
    open: u64,
}

impl Room {
    /// Returns the amounts for a process of at most `bound` bytes. Its peers, whose number is
    /// `peers`, hold `held` bytes, and everything else takes `others` bytes.
    fn of(bound: u64, others: u64, held: u64, peers: usize) -> Self {
        let budget = bound.saturating_sub(others).max(bound / BUDGET_DIVISOR);
        let usable = budget - budget / RESERVE_DIVISOR;
        let open = usable - 2 * (budget / SHARES_DIVISOR);
        let free = open.saturating_sub(held);
        let share = budget / SHARES_DIVISOR / (peers as u64).max(1);
        let client = if held <= budget / 2 {
            u64::MAX
        } else {
            (free / 2).max(share).max(CLIENT_MIN)
        };
        Self {
            budget,
            client,
            usable,
            open,
        }
    }

    /// Returns the number of bytes that incomplete messages may take, while peers hold `held` other
    /// bytes. Incomplete messages may take the free memory, but at most half of the budget, so that
    /// they alone never make memory short. They may always take the reserve.
    fn partial_max(self, held: u64) -> u64 {
        let left = self.open.saturating_sub(held);
        left.clamp(self.budget / RESERVE_DIVISOR, self.budget / 2)
    }
}

/// The state of the memory.
#[derive(Debug)]
pub(super) struct Memory {
    /// The value of `limits.memory` in bytes.
    bound: u64,
    room: Room,
    /// The bytes that peers hold.
    held: u64,
    /// The part of `held` in incomplete messages.
    partial_bytes: u64,
    /// The other bytes of the process when they were last measured.
    others: u64,
    measured: Option<Measured>,
    resident: Resident,
    /// The number of times that reading a client was paused while memory was short.
    pauses: u64,
    burst: Burst,
    release: fn(),
}

/// The memory that peers hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// The bytes that peers hold.
    pub(super) held: u64,
    /// The part of `held` in incomplete messages.
    pub(super) partial_bytes: u64,
    /// The number of peers.
    pub(super) peers: usize,
}

/// The last measurement: its time, and the bytes that peers held.
#[derive(Clone, Copy, Debug)]
struct Measured {
    at: Duration,
    held: u64,
}

impl Memory {
    /// Returns the state of an unbounded memory. `release` must return free memory to the system.
    pub(super) fn new(release: fn()) -> Self {
        Self {
            bound: u64::MAX,
            room: Room::of(u64::MAX, 0, 0, 0),
            held: 0,
            partial_bytes: 0,
            others: 0,
            measured: None,
            resident: Resident::open(),
            pauses: 0,
            burst: Burst::default(),
            release,
        }
    }

    /// Sets the bound, in bytes.
    pub(super) fn set_bound(&mut self, bound: u64) {
        self.bound = bound;
        self.measured = None;
    }

    /// Records the memory that peers hold, and returns free memory to the system after a burst.
    pub(super) fn weigh(&mut self, load: Load, now: Duration) {
        let Load {
            held,
            partial_bytes,
            peers,
        } = load;
        self.held = held;
        self.partial_bytes = partial_bytes;
        let is_due = self.measured.is_none_or(|last| {
            now.saturating_sub(last.at) >= MEASURE_INTERVAL
                || held.abs_diff(last.held) >= self.bound / MEASURE_DIVISOR
        });
        if is_due {
            self.measured = Some(Measured { at: now, held });
            let resident = self.resident.bytes();
            self.others = resident.map_or(0, |resident| resident.saturating_sub(held));
        }
        self.room = Room::of(self.bound, self.others, held, peers);
        let is_wasted = self.is_short() && self.others > self.bound / BUDGET_DIVISOR;
        if self.burst.is_over(held, is_wasted, now) {
            // If the thread that returns memory cannot be started, the next burst or period tries
            // again.
            let _ = release_apart(self.release);
        }
    }

    /// Returns the time at which [`Self::weigh`] is due even if no event happens, or `None` if it
    /// can wait for the next event.
    pub(super) fn due(&self) -> Option<Duration> {
        self.burst.due(self.held)
    }

    /// Returns whether more than half of the memory is taken.
    #[inline]
    pub(super) fn is_short(&self) -> bool {
        self.room.client < u64::MAX
    }

    /// Returns the maximum size of a client's open requests, in bytes, or `u64::MAX` while memory
    /// is not short. The answers that the client has not read have the same maximum size.
    #[inline]
    pub(super) fn client_max(&self) -> u64 {
        self.room.client
    }

    /// Returns the bytes that incomplete messages may take.
    pub(super) fn partial_max(&self) -> u64 {
        self.room.partial_max(self.held - self.partial_bytes)
    }

    /// Returns whether peers hold all of the memory that they may use, apart from the reserve.
    /// Incomplete messages are not counted.
    pub(super) fn is_full(&self) -> bool {
        self.held - self.partial_bytes >= self.room.usable
    }

    /// Records that reading a client is paused. The pause is counted only if memory is short.
    pub(super) fn count_pause(&mut self) {
        self.pauses += u64::from(self.is_short());
    }

    /// Returns the gauges.
    pub(super) fn gauges(&self) -> MemoryGauges {
        MemoryGauges {
            bound: self.bound,
            held: self.held,
            others: self.others,
            client_max: Some(self.room.client).filter(|_| self.is_short()),
            pauses: self.pauses,
        }
    }
}

/// Detects the end of a burst of held bytes, after which memory is returned to the system.
#[derive(Debug, Default)]
struct Burst {
    /// The most bytes that were held since memory was last returned.
    peak: u64,
    /// The most bytes that were held in this period.
    period_peak: u64,
    period_end: Duration,
    /// True if a burst was over, or free memory was wasted, at the end of the last period. Tables
    /// that grew in a burst shrink later, so memory is returned once more.
    once_more: bool,
}

impl Burst {
    /// Records the bytes held. Returns whether memory is to be returned to the system now. Memory
    /// is returned at the end of a period whose peak is at least [`RELEASE_MIN`] less than the
    /// earlier peak. It is also returned if free memory `is_wasted` at the end of a period. In
    /// either case, memory is returned once more at the end of the next period.
    fn is_over(&mut self, held: u64, is_wasted: bool, now: Duration) -> bool {
        self.peak = self.peak.max(held);
        self.period_peak = self.period_peak.max(held);
        if now < self.period_end {
            return false;
        }
        let is_over = self.is_less(self.period_peak) || is_wasted;
        if is_over {
            self.peak = self.period_peak;
        }
        let releases = is_over || self.once_more;
        self.once_more = is_over;
        self.period_peak = held;
        self.period_end = now + RELEASE_PERIOD;
        releases
    }

    /// Returns whether `held` is so much less than the peak that memory is to be returned.
    fn is_less(&self, held: u64) -> bool {
        self.peak.saturating_sub(held) >= RELEASE_MIN
    }

    /// Returns the end of the period, if memory may be returned then.
    fn due(&self, held: u64) -> Option<Duration> {
        (self.is_less(held) || self.once_more).then_some(self.period_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_client_may_hold_half_of_the_free_memory_once_memory_is_short() {
        let client = |bound: u64, others: u64, held: u64, peers: usize| {
            let room = Room::of(bound * MIB, others * MIB, held * MIB, peers);
            (room.client < u64::MAX).then_some(room.client)
        };
        // While peers hold at most half of the memory, a client has no limit here.
        assert_eq!(client(800, 0, 400, 10), None);
        assert_eq!(client(800, 0, 500, 10), Some(50 * MIB));
        // Each client has its share, whatever the others hold.
        assert_eq!(client(800, 0, 700, 10), Some(5 * MIB));
        assert_eq!(client(800, 0, 5_000, 10), Some(5 * MIB));
        assert_eq!(client(800, 0, 5_000, 1_000_000), Some(CLIENT_MIN));
        // The other memory of the process reduces the memory for peers, but a part of the bound
        // always remains for them.
        assert_eq!(client(1_000, 200, 500, 10), Some(50 * MIB));
        assert_eq!(client(3_200, 4_000, 500, 10), Some(50 * MIB));
    }

    /// Clients that hold as much as they may, and release nothing, leave every other client its
    /// share.
    #[test]
    fn greedy_clients_leave_every_other_client_its_share() {
        for clients in [1, 10, 100, 1_000] {
            let bound = 512 * MIB;
            let mut held = vec![0_u64; clients];
            for _ in 0..200 {
                for client in 0..clients {
                    let all = held.iter().sum();
                    let most = Room::of(bound, 0, all, clients).client.min(64 * MIB);
                    held[client] = held[client].max(most.min(held[client] + MIB));
                }
            }
            let share = (bound / 16 / clients as u64).min(64 * MIB);
            assert!(held.iter().all(|held| *held >= share), "{clients}");
            let all: u64 = held.iter().sum();
            assert!(all <= bound / 8 * 7, "{clients}: {all}");
        }
    }

    #[test]
    fn incomplete_messages_get_the_memory_that_others_leave() {
        let partial_max = |held: u64| Room::of(800 * MIB, 0, held * MIB, 1).partial_max(held * MIB);
        assert_eq!(partial_max(0), 400 * MIB);
        assert_eq!(partial_max(400), 200 * MIB);
        assert_eq!(partial_max(600), 100 * MIB);
        assert_eq!(partial_max(900), 100 * MIB);
    }

    #[test]
    fn memory_is_returned_after_a_period_without_a_burst() {
        let second = Duration::from_secs;
        let mut burst = Burst::default();
        assert!(!burst.is_over(0, false, second(1)));
        assert_eq!(burst.due(0), None);
        // No memory is returned while each period has a burst.
        for n in 2..5 {
            assert!(!burst.is_over(100 * MIB, false, second(n)));
            assert!(!burst.is_over(0, false, second(n)));
        }
        assert_eq!(burst.due(0), Some(second(5)));
        assert!(
            !burst.is_over(0, false, second(5)),
            "the burst was in this period"
        );
        assert!(burst.is_over(0, false, second(6)));
        assert_eq!(burst.due(0), Some(second(7)));
        assert!(burst.is_over(0, false, second(7)), "once more");
        assert_eq!(burst.due(0), None);
        assert!(!burst.is_over(0, false, second(8)));
        assert!(burst.is_over(0, true, second(9)));
    }
}
