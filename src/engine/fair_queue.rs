//! A queue whose items belong to senders that take turns. A sender with thousands of items thus
//! delays another sender's next item by at most one item.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash};

/// The items of each sender `K`, in the order of their arrival. `S` hashes the senders, and must
/// resist collisions if peers can choose them.
#[derive(Debug)]
pub(super) struct FairQueue<K, T, S> {
    queues: HashMap<K, VecDeque<T>, S>,
    /// The senders that have items, each once, in the order of their turns.
    order: VecDeque<K>,
    /// The number of items.
    count: usize,
}

impl<K, T, S: Default> Default for FairQueue<K, T, S> {
    fn default() -> Self {
        Self {
            queues: HashMap::default(),
            order: VecDeque::new(),
            count: 0,
        }
    }
}

impl<K: Copy + Eq + Hash, T, S: BuildHasher> FairQueue<K, T, S> {
    /// Returns the number of items.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns whether there is no item.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Adds an item after the earlier items of its sender.
    pub(super) fn push(&mut self, sender: K, item: T) {
        let queue = self.queues.entry(sender).or_default();
        if queue.is_empty() {
            self.order.push_back(sender);
        }
        queue.push_back(item);
        self.count += 1;
    }

    /// Removes and returns the first item of the sender whose turn it is, if there is an item.
    pub(super) fn pop(&mut self) -> Option<T> {
        let sender = self.order.pop_front()?;
        let queue = self.queues.get_mut(&sender)?;
        let item = queue.pop_front()?;
        if queue.is_empty() {
            self.queues.remove(&sender);
        } else {
            self.order.push_back(sender);
        }
        self.count -= 1;
        Some(item)
    }

    /// Drops the items for which `keeps` returns false. The senders keep the order of their turns.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&T) -> bool) {
        self.queues.retain(|_, queue| {
            queue.retain(&mut keeps);
            !queue.is_empty()
        });
        let queues = &self.queues;
        self.order.retain(|sender| queues.contains_key(sender));
        self.count = self.queues.values().map(VecDeque::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use super::*;

    #[test]
    fn a_sender_with_many_items_gets_one_item_a_turn() {
        let mut turns = FairQueue::<_, _, RandomState>::default();
        for n in 0..3 {
            turns.push(1, (1, n));
        }
        turns.push(2, (2, 0));
        assert_eq!(turns.pop(), Some((1, 0)));
        turns.push(3, (3, 0));
        assert_eq!(turns.len(), 4);
        let rest: Vec<_> = std::iter::from_fn(|| turns.pop()).collect();
        assert_eq!(rest, [(2, 0), (1, 1), (3, 0), (1, 2)]);
        assert!(turns.is_empty() && turns.queues.is_empty());
        assert_eq!(turns.len(), 0);
    }

    #[test]
    fn a_sender_whose_items_are_all_dropped_has_no_turn() {
        let mut turns = FairQueue::<_, _, RandomState>::default();
        for n in 0..9 {
            turns.push(n % 3, n);
        }
        turns.retain(|n| n % 3 != 1 && *n != 0);
        assert_eq!((turns.len(), turns.queues.len()), (5, 2));
        let rest: Vec<_> = std::iter::from_fn(|| turns.pop()).collect();
        assert_eq!(rest, [3, 2, 6, 5, 8]);
    }
}
