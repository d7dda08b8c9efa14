//! The work that a connection has caused lately, which decides whether other connections are read
//! first.

/// The least amount of recent work with which a connection is heavy. The unit is the work for one
/// small message. A client that sends one small request after the other stays below this bound. A
/// peer that sends without pause exceeds the bound after one turn.
pub(in crate::engine::native) const HEAVY_MIN: usize = 128;

/// The work that a connection has caused in the last turns of the engine, in units of the work for
/// one small message. Each turn halves the amount.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RecentWork {
    amount: usize,
    /// The turn of the engine in which the amount was last changed.
    turn: u64,
}

impl RecentWork {
    /// Adds the work of this turn of the engine.
    pub(super) fn add(&mut self, work: usize, turn: u64) {
        self.amount = self.at(turn).saturating_add(work);
        self.turn = turn;
    }

    /// Returns whether there is so much work that other connections are read first in this turn.
    pub(super) fn is_heavy(&self, turn: u64) -> bool {
        self.at(turn) >= HEAVY_MIN
    }

    fn at(&self, turn: u64) -> usize {
        let turns = u32::try_from(turn - self.turn).unwrap_or(u32::MAX);
        self.amount.checked_shr(turns).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_work_halves_with_each_turn() {
        let mut recent = RecentWork::default();
        assert!(!recent.is_heavy(7));
        recent.add(HEAVY_MIN - 1, 7);
        assert!(!recent.is_heavy(7));
        recent.add(1, 7);
        assert!(recent.is_heavy(7) && !recent.is_heavy(8));
        recent.add(4 * HEAVY_MIN, 9);
        assert!(recent.is_heavy(11) && !recent.is_heavy(12));
        assert!(!recent.is_heavy(u64::MAX));
    }

    #[test]
    fn little_work_in_every_turn_is_never_heavy() {
        let mut recent = RecentWork::default();
        for turn in 0..100 {
            recent.add(HEAVY_MIN / 2, turn);
            assert!(!recent.is_heavy(turn), "turn {turn}");
        }
    }
}
