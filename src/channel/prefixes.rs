//! The subscriptions of a channel, and the subscribers that a type matches.
//!
//! Subscriptions are counted (RFC 29): who has subscribed twice to a prefix must cancel it twice.
//! A type is matched by one look-up for each distinct length of a prefix, however many prefixes
//! there are, and without recursion.

use std::collections::HashMap;
use std::rc::Rc;

/// The maximum length of a prefix, in bytes. It equals that of a type, beyond which nothing can
/// match, and bounds the number of look-ups for a message.
pub(crate) const PREFIX_MAX: usize = crate::frame::TYPE_MAX;

/// The maximum number of different prefixes of one subscriber. When it leaves, all are removed in
/// one turn, which takes a few milliseconds for so many.
pub(crate) const PREFIXES_PER_SUBSCRIBER_MAX: usize = 10_000;

/// The maximum number of subscriptions of all subscribers of a channel together, each counted once
/// for a subscriber and a prefix. They take about 200 MB.
pub(crate) const PREFIXES_MAX: usize = 1_000_000;

/// The memory charged for a subscription in addition to its prefix, in bytes.
const SUBSCRIPTION_CHARGE: u64 = 192;

/// The number of a subscriber on its channel while it is connected. Another subscriber may have it
/// later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SubscriberId(pub(crate) usize);

/// The subscriptions of all subscribers.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    /// The subscribers of each prefix. No list is empty.
    subscribers: HashMap<Rc<[u8]>, Vec<SubscriberId>>,
    /// The prefixes of each subscriber.
    held: HashMap<SubscriberId, HashMap<Rc<[u8]>, Held>>,
    /// The lengths of the prefixes with the number of prefixes of each, the shortest first.
    lengths: Vec<(usize, usize)>,
    /// The number of entries of `held`.
    count: usize,
    /// The memory of all subscriptions, in bytes.
    bytes: u64,
}

/// A subscriber's subscriptions to one prefix.
#[derive(Debug)]
struct Held {
    /// The number of times that it has subscribed without cancelling.
    times: u32,
    /// Its position in the list of the prefix's subscribers.
    position: usize,
}

/// The effect of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subscribed {
    /// Nobody had subscribed to the prefix.
    FirstOfAll,
    /// Others had subscribed to the prefix, and this subscriber had not.
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
}

impl Prefixes {
    /// Subscribes to a prefix. The subscriber may have at most `most` different prefixes.
    pub(super) fn add(
        &mut self,
        subscriber: SubscriberId,
        prefix: &[u8],
        most: usize,
    ) -> Result<Subscribed, SubscriptionFault> {
        let held = self.held.entry(subscriber).or_default();
        if let Some(held) = held.get_mut(prefix) {
            held.times = held.times.saturating_add(1);
            return Ok(Subscribed::Again);
        }
        if prefix.len() > PREFIX_MAX {
            return Err(SubscriptionFault::PrefixTooLong);
        }
        if held.len() >= most {
            return Err(SubscriptionFault::SubscriberFull);
        }
        if self.count >= PREFIXES_MAX {
            return Err(SubscriptionFault::ChannelFull);
        }
        let known = self.subscribers.get_key_value(prefix);
        let key: Rc<[u8]> = known.map_or_else(|| prefix.into(), |(key, _)| Rc::clone(key));
        let list = self.subscribers.entry(Rc::clone(&key)).or_default();
        let position = list.len();
        list.push(subscriber);
        held.insert(key, Held { times: 1, position });
        self.count += 1;
        self.bytes += SUBSCRIPTION_CHARGE + prefix.len() as u64;
        if position > 0 {
            return Ok(Subscribed::FirstOfSubscriber);
        }
        self.add_length(prefix.len());
        Ok(Subscribed::FirstOfAll)
    }

    /// Cancels one subscription to a prefix, if there is one. Returns whether nobody is subscribed
    /// to the prefix any more.
    pub(super) fn cancel(&mut self, subscriber: SubscriberId, prefix: &[u8]) -> bool {
        let Some(of_subscriber) = self.held.get_mut(&subscriber) else {
            return false;
        };
        let Some(held) = of_subscriber.get_mut(prefix) else {
            return false;
        };
        held.times -= 1;
        if held.times > 0 {
            return false;
        }
        let position = held.position;
        of_subscriber.remove(prefix);
        self.forget(prefix, position)
    }

    /// Cancels all subscriptions of a subscriber. Calls `last` with each prefix to which nobody is
    /// subscribed any more.
    pub(super) fn remove(&mut self, subscriber: SubscriberId, mut last: impl FnMut(&[u8])) {
        for (prefix, held) in self.held.remove(&subscriber).unwrap_or_default() {
            if self.forget(&prefix, held.position) {
                last(&prefix);
            }
        }
    }

    /// Removes the subscriber at a position of a prefix's list. Returns whether it was the last.
    fn forget(&mut self, prefix: &[u8], position: usize) -> bool {
        self.count -= 1;
        self.bytes -= SUBSCRIPTION_CHARGE + prefix.len() as u64;
        let Some(list) = self.subscribers.get_mut(prefix) else {
            return false;
        };
        list.swap_remove(position);
        if let Some(moved) = list.get(position) {
            let of_moved = self.held.get_mut(moved);
            if let Some(held) = of_moved.and_then(|held| held.get_mut(prefix)) {
                held.position = position;
            }
        }
        let is_last = list.is_empty();
        if is_last {
            self.subscribers.remove(prefix);
            self.remove_length(prefix.len());
        }
        is_last
    }

    /// Calls `found` with each subscriber that has a prefix of `kind`, once for each such prefix.
    #[inline]
    pub(super) fn matching(&self, kind: &[u8], mut found: impl FnMut(SubscriberId)) {
        for &(length, _) in &self.lengths {
            let Some(prefix) = kind.get(..length) else {
                break;
            };
            let subscribers = self.subscribers.get(prefix);
            subscribers
                .into_iter()
                .flatten()
                .copied()
                .for_each(&mut found);
        }
    }

    /// Returns whether a subscriber has a prefix of `kind` other than `except`.
    pub(super) fn has_another(&self, subscriber: SubscriberId, kind: &[u8], except: &[u8]) -> bool {
        let Some(held) = self.held.get(&subscriber) else {
            return false;
        };
        let prefixes = self
            .lengths
            .iter()
            .map_while(|&(length, _)| kind.get(..length));
        let mut others = prefixes.filter(|prefix| prefix.len() != except.len());
        others.any(|prefix| held.contains_key(prefix))
    }

    /// Returns every prefix to which somebody is subscribed, in no order.
    pub(super) fn union(&self) -> impl Iterator<Item = &[u8]> {
        self.subscribers.keys().map(|prefix| &**prefix)
    }

    /// Returns the prefixes of a subscriber, in no order.
    pub(super) fn of(&self, subscriber: SubscriberId) -> impl Iterator<Item = &[u8]> {
        let held = self.held.get(&subscriber);
        held.into_iter().flatten().map(|(prefix, _)| &**prefix)
    }

    /// Returns the number of prefixes of a subscriber.
    pub(super) fn count_of(&self, subscriber: SubscriberId) -> usize {
        self.held.get(&subscriber).map_or(0, HashMap::len)
    }

    /// Returns the memory of all subscriptions, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn add_length(&mut self, length: usize) {
        match self
            .lengths
            .binary_search_by_key(&length, |(length, _)| *length)
        {
            Ok(at) => self.lengths[at].1 += 1,
            Err(at) => self.lengths.insert(at, (length, 1)),
        }
    }

    fn remove_length(&mut self, length: usize) {
        if let Ok(at) = self
            .lengths
            .binary_search_by_key(&length, |(length, _)| *length)
        {
            self.lengths[at].1 -= 1;
            if self.lengths[at].1 == 0 {
                self.lengths.remove(at);
            }
        }
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
                        .filter(|it| !model.keys().any(|(_, other)| other == it));
                    let mut lost: Vec<_> = lost.collect();
                    lost.sort();
                    lost.dedup();
                    let mut told = Vec::new();
                    prefixes.remove(SubscriberId(subscriber), |prefix| {
                        told.push(prefix.to_vec())
                    });
                    told.sort();
                    assert_eq!(told, lost);
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
                    let added = prefixes.add(SubscriberId(subscriber), &prefix, MOST);
                    assert_eq!(added, Ok(expected));
                }
            }
            check(&prefixes, &model, &text(&mut random));
        }
    }

    /// Checks the state of `prefixes`, and the subscribers that `kind` matches, by a plain list.
    fn check(prefixes: &Prefixes, model: &BTreeMap<(usize, Vec<u8>), u32>, kind: &[u8]) {
        let expected = model.keys().filter(|(_, prefix)| kind.starts_with(prefix));
        let mut expected: Vec<_> = expected.map(|(subscriber, _)| *subscriber).collect();
        expected.sort_unstable();
        expected.dedup();
        assert_eq!(matched(prefixes, kind), expected);
        assert_eq!(prefixes.count, model.len());
        let union: BTreeSet<&[u8]> = model.keys().map(|(_, it)| &**it).collect();
        assert!(prefixes.union().collect::<BTreeSet<_>>() == union);
    }

    #[test]
    fn each_limit_is_named() {
        let mut prefixes = Prefixes::default();
        let long = [0; PREFIX_MAX + 1];
        assert_eq!(
            prefixes.add(SubscriberId(0), &long, MOST),
            Err(SubscriptionFault::PrefixTooLong)
        );
        for n in 0..PREFIXES_PER_SUBSCRIBER_MAX {
            prefixes
                .add(SubscriberId(0), &n.to_be_bytes(), MOST)
                .unwrap();
        }
        let fault = prefixes.add(SubscriberId(0), b"more", MOST);
        assert_eq!(fault, Err(SubscriptionFault::SubscriberFull));
        assert_eq!(
            prefixes.add(SubscriberId(0), &0_usize.to_be_bytes(), MOST),
            Ok(Subscribed::Again)
        );
        for n in PREFIXES_PER_SUBSCRIBER_MAX..PREFIXES_MAX {
            let subscriber = SubscriberId(n / PREFIXES_PER_SUBSCRIBER_MAX);
            prefixes.add(subscriber, &n.to_be_bytes(), MOST).unwrap();
        }
        let fault = prefixes.add(SubscriberId(1_000), b"more", MOST);
        assert_eq!(fault, Err(SubscriptionFault::ChannelFull));
        let all = PREFIXES_MAX / PREFIXES_PER_SUBSCRIBER_MAX;
        (0..all).for_each(|n| prefixes.remove(SubscriberId(n), |_| ()));
        assert_eq!(
            (prefixes.count, prefixes.bytes, prefixes.lengths.len()),
            (0, 0, 0)
        );
    }
}
