//! The turns of the lanes in a queue, the next one first.
//!
//! Nearly every turn is added after all others. These turns are kept in a line, which only grows at
//! its end. The other turns are in a tree: turns that are added before all others because a request
//! was put back, and turns of lanes that stood aside and are called back. The next turn is the
//! first of the line or the first of the tree, whichever is earlier.

use std::collections::{BTreeMap, VecDeque};

use crate::peer::PeerId;

/// The number by which removed turns in the line may outnumber the other turns in it. If there are
/// more, all removed turns are dropped from the line. For fewer, this is not worth the work.
const SLACK: usize = 64;

/// A unique position in the order of turns.
pub(super) type Turn = i64;

/// The turns, each with its client.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The turns that were added after all others. A removed turn has no client, and is never the
    /// first in the line.
    line: VecDeque<(Turn, Option<PeerId>)>,
    /// The number of removed turns in the line.
    removed: usize,
    /// The tree: the turns that were not added after all others.
    elsewhere: BTreeMap<Turn, PeerId>,
    /// The bounds of all turns so far: none is less than `before` or greater than `after`.
    before: Turn,
    after: Turn,
}

impl Turns {
    /// Returns whether no client has a turn.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty() && self.elsewhere.is_empty()
    }

    /// Returns the client whose turn it is, or `None` if there is no turn.
    #[inline]
    pub(super) fn first(&self) -> Option<PeerId> {
        if self.elsewhere.is_empty() {
            self.line.front()?.1
        } else {
            self.first_of_line_or_tree()
        }
    }

    /// Gives this client a turn after all others.
    #[inline]
    pub(super) fn add(&mut self, client: PeerId) -> Turn {
        self.after += 1;
        self.line.push_back((self.after, Some(client)));
        self.after
    }

    /// Gives this client a turn before all others.
    pub(super) fn add_first(&mut self, client: PeerId) -> Turn {
        self.before -= 1;
        self.elsewhere.insert(self.before, client);
        self.before
    }

    /// Puts back a turn that was [removed](Self::remove) or taken.
    pub(super) fn put_back(&mut self, turn: Turn, client: PeerId) {
        self.elsewhere.insert(turn, client);
    }

    /// Puts back all of these removed turns, and leaves `turns` empty.
    pub(super) fn put_all_back(&mut self, turns: &mut BTreeMap<Turn, PeerId>) {
        self.elsewhere.append(turns);
    }

    /// Removes and returns the first turn and its client, or returns `None` if there is no turn.
    #[inline]
    pub(super) fn take(&mut self) -> Option<(Turn, PeerId)> {
        if !self.elsewhere.is_empty() && !self.line_is_next() {
            return self.elsewhere.pop_first();
        }
        let (turn, client) = self.line.pop_front()?;
        if self.removed > 0 {
            self.sweep();
        }
        Some((turn, client?))
    }

    /// Removes a turn, and returns whether a client had it.
    pub(super) fn remove(&mut self, turn: Turn) -> bool {
        if let Ok(at) = self.line.binary_search_by_key(&turn, |(turn, _)| *turn) {
            let client = self.line.get_mut(at).and_then(|(_, client)| client.take());
            self.removed += usize::from(client.is_some());
            self.sweep();
            return client.is_some();
        }
        self.elsewhere.remove(&turn).is_some()
    }

    fn first_of_line_or_tree(&self) -> Option<PeerId> {
        if self.line_is_next() {
            self.line.front()?.1
        } else {
            Some(*self.elsewhere.first_key_value()?.1)
        }
    }

    /// Returns whether the first turn of the line comes before the turns in the tree.
    fn line_is_next(&self) -> bool {
        let first = self.elsewhere.first_key_value().map(|(turn, _)| *turn);
        let line = self.line.front().map(|(turn, _)| *turn);
        line.is_some_and(|line| first.is_none_or(|first| line < first))
    }

    /// Returns the number of turns, without the removed turns.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.line.len() - self.removed + self.elsewhere.len()
    }

    /// Drops removed turns from the front of the line, and all of them once they outnumber the
    /// others by more than [`SLACK`].
    fn sweep(&mut self) {
        while self
            .line
            .front()
            .is_some_and(|(_, client)| client.is_none())
        {
            self.line.pop_front();
            self.removed -= 1;
        }
        if self.removed * 2 > self.line.len() + SLACK {
            self.line.retain(|(_, client)| client.is_some());
            self.removed = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_in_the_order_of_their_numbers_whatever_is_removed() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..300 {
            let (mut turns, mut model) = (Turns::default(), BTreeMap::new());
            let mut out = Vec::new();
            for n in 0..random.u64(1..600) {
                let client = PeerId(n);
                match random.u8(..8) {
                    0..=2 => drop(model.insert(turns.add(client), client)),
                    3 => drop(model.insert(turns.add_first(client), client)),
                    4 => {
                        let first = turns.take();
                        assert_eq!(first, model.pop_first());
                        out.extend(first);
                    }
                    5 if !out.is_empty() => {
                        let (turn, client) = out.swap_remove(random.usize(..out.len()));
                        turns.put_back(turn, client);
                        model.insert(turn, client);
                    }
                    _ => {
                        let any = random.usize(..=model.len());
                        let turn = model.keys().nth(any).copied().unwrap_or(Turn::MAX);
                        assert_eq!(turns.remove(turn), model.remove(&turn).is_some());
                    }
                }
                assert_eq!(turns.first(), model.values().next().copied());
                assert_eq!(
                    (turns.len(), turns.is_empty()),
                    (model.len(), model.is_empty())
                );
                assert!(turns.line.len() <= 2 * model.len() + SLACK);
            }
        }
    }
}
