//! The subscriptions of a channel, and the subscribers whose prefixes match a type.
//!
//! Subscriptions are counted (RFC 29): a subscriber that has subscribed twice to a prefix must
//! cancel the subscription twice. The search for the prefixes of a type takes a few look-ups for
//! any number of prefixes, and does not recurse. No change takes long, because the prefixes are in
//! trees and in many small tables: no large table is ever copied to a larger one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::rc::Rc;

use super::prefix_index::{PREFIX_MAX, PrefixIndex, SubscriberId};

/// The maximum number of different prefixes of one subscriber. This is 1 % of [`PREFIXES_MAX`], so
/// that one subscriber leaves room for the subscriptions of other subscribers.
pub(crate) const PREFIXES_PER_SUBSCRIBER_MAX: usize = 10_000;

/// The maximum number of subscriptions of all subscribers of a channel together. Repeated
/// subscriptions of a subscriber to the same prefix count once. This number of subscriptions takes
/// about 250 MB.
pub(crate) const PREFIXES_MAX: usize = 1_000_000;

/// The memory charged for a subscription in addition to its prefix, in bytes: its entries in the
/// maps.
const SUBSCRIPTION_CHARGE: u64 = 256;

/// The subscriptions of all subscribers.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    /// The prefixes that have a subscriber, in ascending order.
    union: BTreeSet<Rc<[u8]>>,
    /// The subscribers of each prefix.
    index: PrefixIndex,
    /// The prefixes of each subscriber.
    held: HashMap<SubscriberId, HeldPrefixes>,
    /// The number of prefixes in `held`.
    count: usize,
    /// The memory of all subscriptions, in bytes.
    bytes: u64,
}

/// The prefixes of a subscriber.
#[derive(Debug, Default)]
struct HeldPrefixes {
    prefixes: BTreeMap<Rc<[u8]>, Held>,
    /// The memory of the subscriber's subscriptions, in bytes.
    bytes: u64,
}

/// A subscriber's subscriptions to one prefix.
#[derive(Debug)]
struct Held {
    /// The number of subscriptions that are not cancelled.
    times: u32,
    /// The position of the subscriber in the list of the prefix's subscribers.
    position: usize,
}

/// The effect of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subscribed {
    /// No subscriber had subscribed to the prefix.
    FirstOfAll,
    /// Other subscribers had subscribed to the prefix, but this subscriber had not.
    FirstOfSubscriber,
    /// The subscriber had subscribed to the prefix before.
    Again,
}

/// The limit that a subscription would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubscriptionFault {
    /// The prefix is longer than any type.
    PrefixTooLong,
    /// The subscriber has too many prefixes.
    SubscriberFull,
    /// The channel has too many subscriptions.
    ChannelFull,
    /// Memory is short, and the subscriptions of the subscriber take more than its share.
    MemoryShort,
}

impl Prefixes {
    /// Subscribes to a prefix. The subscriber may have at most `prefixes_max` different prefixes,
    /// and its subscriptions may take at most `bytes_max` bytes. Fails with the limit that the
    /// subscription would exceed.
    pub(super) fn add(
        &mut self,
        subscriber: SubscriberId,
        prefix: &[u8],
        prefixes_max: usize,
        bytes_max: u64,
    ) -> Result<Subscribed, SubscriptionFault> {
        let held = self.held.entry(subscriber).or_default();
        if let Some(held) = held.prefixes.get_mut(prefix) {
            held.times = held.times.saturating_add(1);
            return Ok(Subscribed::Again);
        }
        if prefix.len() > PREFIX_MAX {
            return Err(SubscriptionFault::PrefixTooLong);
        }
        if held.prefixes.len() >= prefixes_max {
            return Err(SubscriptionFault::SubscriberFull);
        }
        if self.count >= PREFIXES_MAX {
            return Err(SubscriptionFault::ChannelFull);
        }
        let bytes = SUBSCRIPTION_CHARGE + prefix.len() as u64;
        if held.bytes + bytes > bytes_max {
            return Err(SubscriptionFault::MemoryShort);
        }
        let known = self.union.get(prefix).cloned();
        let key: Rc<[u8]> = known.unwrap_or_else(|| prefix.into());
        let position = self.index.add(&key, subscriber);
        if position == 0 {
            self.union.insert(Rc::clone(&key));
        }
        held.prefixes.insert(key, Held { times: 1, position });
        held.bytes += bytes;
        self.count += 1;
        self.bytes += bytes;
        Ok(match position {
            0 => Subscribed::FirstOfAll,
            _ => Subscribed::FirstOfSubscriber,
        })
    }

    /// Cancels one subscription to a prefix, if there is one. Returns whether the prefix has no
    /// subscriber any more.
    pub(super) fn cancel(&mut self, subscriber: SubscriberId, prefix: &[u8]) -> bool {
        let Some(of_subscriber) = self.held.get_mut(&subscriber) else {
            return false;
        };
        let Some(held) = of_subscriber.prefixes.get_mut(prefix) else {
            return false;
        };
        held.times -= 1;
        if held.times > 0 {
            return false;
        }
        let position = held.position;
        of_subscriber.prefixes.remove(prefix);
        of_subscriber.bytes -= SUBSCRIPTION_CHARGE + prefix.len() as u64;
        self.forget(prefix, position)
    }

    /// Cancels all subscriptions of a subscriber to one of its prefixes. Returns the prefix, and
    /// whether it has no subscriber any more, or `None` if the subscriber has no prefix.
    pub(super) fn remove_one(&mut self, subscriber: SubscriberId) -> Option<(Rc<[u8]>, bool)> {
        let first = self.held.get_mut(&subscriber)?.prefixes.pop_first();
        let Some((prefix, held)) = first else {
            self.held.remove(&subscriber);
            return None;
        };
        let is_last = self.forget(&prefix, held.position);
        Some((prefix, is_last))
    }

    /// Removes the subscriber at a position of a prefix's list. Returns whether the prefix has no
    /// subscriber any more.
    fn forget(&mut self, prefix: &[u8], position: usize) -> bool {
        self.count -= 1;
        self.bytes -= SUBSCRIPTION_CHARGE + prefix.len() as u64;
        let (moved, is_last) = self.index.remove(prefix, position);
        if let Some(moved) = moved {
            let of_moved = self.held.get_mut(&moved);
            if let Some(held) = of_moved.and_then(|held| held.prefixes.get_mut(prefix)) {
                held.position = position;
            }
        }
        if is_last {
            self.union.remove(prefix);
        }
        is_last
    }

    /// Calls `found` with each subscriber that has subscribed to a prefix of `kind`, once for each
    /// such prefix. Returns the number of look-ups.
    #[inline]
    pub(super) fn matching(&self, kind: &[u8], found: impl FnMut(SubscriberId)) -> usize {
        self.index.matching(kind, found)
    }

    /// Returns whether a subscriber has subscribed to a prefix of `kind` other than `except`.
    pub(super) fn has_another(&self, subscriber: SubscriberId, kind: &[u8], except: &[u8]) -> bool {
        let Some(held) = self.held.get(&subscriber) else {
            return false;
        };
        let mut candidates = self.index.candidates(kind);
        candidates.any(|prefix| prefix != except && held.prefixes.contains_key(prefix))
    }

    /// Returns whether a prefix has a subscriber.
    pub(super) fn contains(&self, prefix: &[u8]) -> bool {
        self.union.contains(prefix)
    }

    /// Returns the first prefix, in ascending order, that is not less than `from`.
    pub(super) fn first_from(&self, from: &[u8]) -> Option<&Rc<[u8]>> {
        let range = (Bound::Included(from), Bound::Unbounded);
        self.union.range::<[u8], _>(range).next()
    }

    /// Returns the last prefix, in ascending order, that is less than `below`, or the last of all
    /// prefixes if `below` is `None`.
    pub(super) fn last_below(&self, below: Option<&[u8]>) -> Option<&Rc<[u8]>> {
        let end = below.map_or(Bound::Unbounded, Bound::Excluded);
        let range = (Bound::Unbounded, end);
        self.union.range::<[u8], _>(range).next_back()
    }

    /// Returns the prefixes of a subscriber, in ascending order.
    pub(super) fn of(&self, subscriber: SubscriberId) -> impl Iterator<Item = &[u8]> {
        let held = self.held.get(&subscriber);
        let held = held.into_iter().flat_map(|held| &held.prefixes);
        held.map(|(prefix, _)| &**prefix)
    }

    /// Returns the number of prefixes of a subscriber.
    pub(super) fn count_of(&self, subscriber: SubscriberId) -> usize {
        let held = self.held.get(&subscriber);
        held.map_or(0, |held| held.prefixes.len())
    }

    /// Returns the memory of all subscriptions, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const MOST: usize = PREFIXES_PER_SUBSCRIBER_MAX;

    fn matched(prefixes: &Prefixes, kind: &[u8]) -> Vec<usize> {
        let mut all = Vec::new();
        prefixes.matching(kind, |subscriber| all.push(subscriber.0));
        all.sort_unstable();
        all.dedup();
        all
    }

    #[test]
    fn random_subscriptions_match_as_a_plain_list_does() {
        let mut random = fastrand::Rng::with_seed(11);
        let text = |random: &mut fastrand::Rng| -> Vec<u8> {
            let length = random.usize(..5);
            std::iter::repeat_with(|| random.u8(b'a'..=b'c'))
                .take(length)
                .collect()
        };
        let mut prefixes = Prefixes::default();
        let mut model: BTreeMap<(usize, Vec<u8>), u32> = BTreeMap::new();
        for _ in 0..20_000 {
            let subscriber = random.usize(..6);
            let prefix = text(&mut random);
            let others = model.keys().any(|(_, other)| *other == prefix);
            let key = (subscriber, prefix.clone());
            match random.u8(..8) {
                0 => {
                    let before: Vec<_> = model.keys().map(|(_, prefix)| prefix.clone()).collect();
                    model.retain(|(other, _), _| *other != subscriber);
                    let lost = before
                        .into_iter()
                        .filter(|prefix| !model.keys().any(|(_, other)| other == prefix));
                    let mut lost: Vec<_> = lost.collect();
                    lost.sort();
                    lost.dedup();
                    let mut removed = Vec::new();
                    while let Some((prefix, is_last)) =
                        prefixes.remove_one(SubscriberId(subscriber))
                    {
                        removed.extend(is_last.then(|| prefix.to_vec()));
                    }
                    assert_eq!(removed, lost);
                }
                1..4 => {
                    let last = prefixes.cancel(SubscriberId(subscriber), &prefix);
                    let gone = match model.get_mut(&key) {
                        Some(times) if *times > 1 => {
                            *times -= 1;
                            false
                        }
                        Some(_) => {
                            model.remove(&key);
                            !model.keys().any(|(_, other)| *other == prefix)
                        }
                        None => false,
                    };
                    assert_eq!(last, gone);
                }
                _ => {
                    let expected = match model.entry(key).and_modify(|times| *times += 1) {
                        std::collections::btree_map::Entry::Occupied(_) => Subscribed::Again,
                        std::collections::btree_map::Entry::Vacant(free) => {
                            free.insert(1);
                            match others {
                                true => Subscribed::FirstOfSubscriber,
                                false => Subscribed::FirstOfAll,
                            }
                        }
                    };
                    let added = prefixes.add(SubscriberId(subscriber), &prefix, MOST, u64::MAX);
                    assert_eq!(added, Ok(expected));
                }
            }
            check(&prefixes, &model, &text(&mut random));
        }
    }

    /// Checks the state of `prefixes`, and the subscribers whose prefixes match `kind`, against a
    /// plain list.
    fn check(prefixes: &Prefixes, model: &BTreeMap<(usize, Vec<u8>), u32>, kind: &[u8]) {
        let expected = model.keys().filter(|(_, prefix)| kind.starts_with(prefix));
        let mut expected: Vec<_> = expected.map(|(subscriber, _)| *subscriber).collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(matched(prefixes, kind), expected);
        assert_eq!(prefixes.count, model.len());
        let union: BTreeSet<&[u8]> = model.keys().map(|(_, prefix)| &**prefix).collect();
        let found = prefixes.union.iter().map(|prefix| &**prefix);
        assert!(found.eq(union.iter().copied()));
        let greater = union.range(kind..).next().copied();
        assert_eq!(prefixes.first_from(kind).map(|prefix| &**prefix), greater);
        let less = union.range(..kind).next_back().copied();
        assert_eq!(
            prefixes.last_below(Some(kind)).map(|prefix| &**prefix),
            less
        );
        for (subscriber, except) in model.keys() {
            let others = model
                .keys()
                .filter(|(owner, other)| owner == subscriber && other != except);
            let other = others
                .filter(|(_, prefix)| kind.starts_with(prefix))
                .count()
                > 0;
            let id = SubscriberId(*subscriber);
            assert_eq!(prefixes.has_another(id, kind, except), other);
        }
    }

    fn add(
        prefixes: &mut Prefixes,
        subscriber: usize,
        prefix: &[u8],
    ) -> Result<Subscribed, SubscriptionFault> {
        prefixes.add(SubscriberId(subscriber), prefix, MOST, u64::MAX)
    }

    #[test]
    fn a_subscriber_is_limited_to_its_share_while_memory_is_short() {
        let mut prefixes = Prefixes::default();
        let mut add = |subscriber, prefix: &[u8]| {
            let bytes_max = 2 * (SUBSCRIPTION_CHARGE + 1);
            prefixes.add(SubscriberId(subscriber), prefix, MOST, bytes_max)
        };
        assert_eq!(add(0, b"a"), Ok(Subscribed::FirstOfAll));
        assert_eq!(add(0, b"b"), Ok(Subscribed::FirstOfAll));
        assert_eq!(add(0, b"c"), Err(SubscriptionFault::MemoryShort));
        assert_eq!(add(0, b"b"), Ok(Subscribed::Again));
        assert_eq!(add(1, b"c"), Ok(Subscribed::FirstOfAll));
        assert!(!prefixes.cancel(SubscriberId(0), b"b"));
        assert!(prefixes.cancel(SubscriberId(0), b"b"));
        let more = prefixes.add(SubscriberId(0), b"d", MOST, 2 * (SUBSCRIPTION_CHARGE + 1));
        assert_eq!(more, Ok(Subscribed::FirstOfAll));
    }

    #[test]
    fn each_limit_has_its_fault() {
        let mut prefixes = Prefixes::default();
        let long = [0; PREFIX_MAX + 1];
        assert_eq!(
            prefixes.add(SubscriberId(0), &long, MOST, u64::MAX),
            Err(SubscriptionFault::PrefixTooLong)
        );
        for n in 0..PREFIXES_PER_SUBSCRIBER_MAX {
            add(&mut prefixes, 0, &n.to_be_bytes()).unwrap();
        }
        let fault = add(&mut prefixes, 0, b"more");
        assert_eq!(fault, Err(SubscriptionFault::SubscriberFull));
        assert_eq!(
            add(&mut prefixes, 0, &0_usize.to_be_bytes()),
            Ok(Subscribed::Again)
        );
        // The other subscriptions are only counted, because adding so many takes seconds.
        let others = PREFIXES_MAX - PREFIXES_PER_SUBSCRIBER_MAX;
        prefixes.count += others;
        let fault = add(&mut prefixes, 1_000, b"more");
        assert_eq!(fault, Err(SubscriptionFault::ChannelFull));
        prefixes.count -= others;
        for n in [0, 1_000] {
            while prefixes.remove_one(SubscriberId(n)).is_some() {}
        }
        assert_eq!((prefixes.count, prefixes.bytes), (0, 0));
        assert!(prefixes.union.is_empty() && prefixes.held.is_empty());
    }
}
