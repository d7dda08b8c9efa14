//! One publisher of a channel, and the gateway's subscriptions at it.

use std::rc::Rc;

use super::prefixes::Prefixes;

/// The gateway's subscriptions at one publisher of a channel.
///
/// The gateway subscribes to one prefix after the other, in ascending order, and cancels the
/// subscriptions in descending order. The gateway is therefore always subscribed to exactly the
/// prefixes that are less than a certain text. Only that text is stored, and no list of prefixes.
#[derive(Debug)]
pub(super) struct Publisher {
    /// The gateway is subscribed to the prefixes that are less than this text, or to all prefixes
    /// if the text is `None`.
    below: Option<Vec<u8>>,
    /// True if the gateway is subscribed to all messages, as the key `upstream` of the channel
    /// requires.
    all: bool,
    /// True if a task of the channel has yet to send changes to the publisher.
    pub(super) is_queued: bool,
}

/// A change of a subscription at a publisher.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SubscriptionChange {
    pub(super) prefix: Rc<[u8]>,
    /// True for a subscription, and false for its cancellation.
    pub(super) wanted: bool,
}

impl Publisher {
    /// Returns a publisher without subscriptions.
    pub(super) fn new() -> Self {
        Self {
            below: Some(Vec::new()),
            all: false,
            is_queued: false,
        }
    }

    /// Returns whether a change of the subscription to `prefix` must be sent to the publisher at
    /// once. The subscription changes when the prefix gets its first subscriber or loses its last
    /// subscriber.
    pub(super) fn concerns(&self, prefix: &[u8]) -> bool {
        self.covers(prefix) && !(self.all && prefix.is_empty())
    }

    fn covers(&self, prefix: &[u8]) -> bool {
        self.below.as_ref().is_none_or(|below| prefix < &**below)
    }

    /// Returns the next change towards the wanted subscriptions: a subscription to all messages if
    /// `for_all` is true, and otherwise subscriptions to `prefixes`. Returns `None` if no change is
    /// left.
    pub(super) fn next_change(
        &mut self,
        for_all: bool,
        prefixes: &Prefixes,
    ) -> Option<SubscriptionChange> {
        if for_all {
            self.next_for_all(prefixes)
        } else {
            self.next_for_prefixes(prefixes)
        }
    }

    fn next_for_all(&mut self, prefixes: &Prefixes) -> Option<SubscriptionChange> {
        if !self.all {
            self.all = true;
            // If a subscriber has subscribed to the empty prefix, the publisher may have that
            // subscription already.
            if !(self.covers(b"") && prefixes.contains(b"")) {
                return Some(change(b"".as_slice().into(), true));
            }
        }
        let last = prefixes.last_below(self.below.as_deref());
        self.below = Some(last.map_or_else(Vec::new, |prefix| prefix.to_vec()));
        let last = last.filter(|prefix| !prefix.is_empty())?;
        Some(change(Rc::clone(last), false))
    }

    fn next_for_prefixes(&mut self, prefixes: &Prefixes) -> Option<SubscriptionChange> {
        while let Some(from) = &mut self.below {
            let Some(prefix) = prefixes.first_from(from) else {
                self.below = None;
                break;
            };
            // This is the least text that is greater than the prefix.
            from.clear();
            from.extend_from_slice(prefix);
            from.push(0);
            if !(self.all && prefix.is_empty()) {
                return Some(change(Rc::clone(prefix), true));
            }
        }
        // All other subscriptions have been sent, so the gateway misses no message if it now
        // cancels the subscription to all messages.
        let was_all = std::mem::take(&mut self.all);
        let is_unwanted = was_all && !prefixes.contains(b"");
        is_unwanted.then(|| change(b"".as_slice().into(), false))
    }
}

fn change(prefix: Rc<[u8]>, wanted: bool) -> SubscriptionChange {
    SubscriptionChange { prefix, wanted }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::prefix_index::SubscriberId;
    use super::super::prefixes::{PREFIXES_PER_SUBSCRIBER_MAX, Subscribed};
    use super::*;

    /// Subscriptions and `upstream` change while the gateway sends its subscriptions to a
    /// publisher.
    #[test]
    fn each_change_of_a_subscription_is_sent_once() {
        let mut random = fastrand::Rng::with_seed(5);
        let (mut prefixes, mut publisher) = (Prefixes::default(), Publisher::new());
        let (mut model, mut sent) = (BTreeSet::new(), BTreeSet::new());
        let (mut for_all, mut settled) = (false, 0);
        let id = SubscriberId(0);
        for _ in 0..50_000 {
            let length = random.usize(..3);
            let prefix: Vec<u8> = (0..length).map(|_| random.u8(b'a'..=b'c')).collect();
            let send = |sent: &mut BTreeSet<Vec<u8>>, prefix: &[u8], wanted| {
                let is_new = match wanted {
                    true => sent.insert(prefix.to_vec()),
                    false => sent.remove(prefix),
                };
                assert!(is_new, "{prefix:?} {wanted}");
            };
            match random.u8(..10) {
                0 => for_all = !for_all,
                1 | 2
                    if prefixes.add(id, &prefix, PREFIXES_PER_SUBSCRIBER_MAX, u64::MAX)
                        == Ok(Subscribed::FirstOfAll) =>
                {
                    model.insert(prefix.clone());
                    if publisher.concerns(&prefix) {
                        send(&mut sent, &prefix, true);
                    }
                }
                3 | 4 if prefixes.cancel(id, &prefix) => {
                    model.remove(&prefix);
                    if publisher.concerns(&prefix) {
                        send(&mut sent, &prefix, false);
                    }
                }
                _ => match publisher.next_change(for_all, &prefixes) {
                    Some(change) => send(&mut sent, &change.prefix, change.wanted),
                    None => {
                        let everything = BTreeSet::from([Vec::new()]);
                        assert_eq!(sent, if for_all { everything } else { model.clone() });
                        settled += 1;
                    }
                },
            }
        }
        assert!(settled > 1_000, "{settled}");
    }
}
