//! The subscribers of each prefix, and the search for the prefixes of a type.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

/// The maximum length of a prefix, in bytes. It equals the maximum length of a type, because a
/// longer prefix could match nothing. It also bounds the number of look-ups for a message.
pub(crate) const PREFIX_MAX: usize = crate::frame::TYPE_MAX;

/// The number of tables over which the prefixes are spread by their hash values. A table that grows
/// copies all of its entries. With the maximum number of prefixes, a table has some four thousand
/// entries, which are copied in a fraction of a millisecond.
const TABLES: usize = 256;

/// The number of a subscriber on its channel while it is connected. Another subscriber may get the
/// same number later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SubscriberId(pub(crate) usize);

/// The subscribers of each prefix.
///
/// The search for the prefixes of a type takes one look-up for each length that at least one prefix
/// has. Most channels have prefixes of one or two lengths.
#[derive(Debug)]
pub(super) struct PrefixIndex {
    hasher: RandomState,
    /// Either [`TABLES`] tables, or none before the first subscription. No list in them is empty.
    tables: Vec<HashMap<Rc<[u8]>, Vec<SubscriberId>>>,
    /// The number of prefixes of each length.
    counts: [usize; PREFIX_MAX + 1],
    /// The lengths that at least one prefix has, in ascending order.
    lengths: Vec<usize>,
}

impl Default for PrefixIndex {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            tables: Vec::new(),
            counts: [0; PREFIX_MAX + 1],
            lengths: Vec::new(),
        }
    }
}

impl PrefixIndex {
    /// Adds a subscriber of `prefix`. Returns the position of the subscriber among the subscribers
    /// of `prefix`.
    ///
    /// # Panics
    ///
    /// Panics if the prefix is longer than [`PREFIX_MAX`].
    pub(super) fn add(&mut self, prefix: &Rc<[u8]>, subscriber: SubscriberId) -> usize {
        if self.tables.is_empty() {
            self.tables.resize_with(TABLES, HashMap::new);
        }
        let number = self.table_number(prefix);
        let subscribers = self.tables[number].entry(Rc::clone(prefix)).or_default();
        subscribers.push(subscriber);
        let position = subscribers.len() - 1;
        if position == 0 {
            self.add_length(prefix.len());
        }
        position
    }

    /// Removes the subscriber at `position` among the subscribers of `prefix`. The last subscriber
    /// of the prefix moves to that position. Returns the moved subscriber, if any, and whether the
    /// prefix has no subscriber any more.
    pub(super) fn remove(
        &mut self,
        prefix: &[u8],
        position: usize,
    ) -> (Option<SubscriberId>, bool) {
        let number = self.table_number(prefix);
        let Some(table) = self.tables.get_mut(number) else {
            return (None, false);
        };
        let Some(subscribers) = table.get_mut(prefix) else {
            return (None, false);
        };
        subscribers.swap_remove(position);
        let moved = subscribers.get(position).copied();
        let is_last = subscribers.is_empty();
        if is_last {
            table.remove(prefix);
            self.remove_length(prefix.len());
        }
        (moved, is_last)
    }

    /// Calls `found` with each subscriber that has subscribed to a prefix of `text`, once for each
    /// such prefix. Returns the number of look-ups.
    #[inline]
    pub(super) fn matching(&self, text: &[u8], mut found: impl FnMut(SubscriberId)) -> usize {
        let mut lookups = 0;
        for prefix in self.candidates(text) {
            lookups += 1;
            let subscribers = self.tables[self.table_number(prefix)].get(prefix);
            let subscribers = subscribers.into_iter().flatten().copied();
            subscribers.for_each(&mut found);
        }
        lookups
    }

    /// Returns the beginnings of `text` that have the length of a prefix, the shortest first.
    pub(super) fn candidates<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let lengths = self.lengths.iter();
        lengths.map_while(|&length| text.get(..length))
    }

    fn table_number(&self, prefix: &[u8]) -> usize {
        self.hasher.hash_one(prefix) as usize % TABLES
    }

    fn add_length(&mut self, length: usize) {
        self.counts[length] += 1;
        if self.counts[length] == 1
            && let Err(position) = self.lengths.binary_search(&length)
        {
            self.lengths.insert(position, length);
        }
    }

    fn remove_length(&mut self, length: usize) {
        self.counts[length] -= 1;
        if self.counts[length] == 0
            && let Ok(position) = self.lengths.binary_search(&length)
        {
            self.lengths.remove(position);
        }
    }
}
