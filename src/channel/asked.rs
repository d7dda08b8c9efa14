//! The gateway's subscriptions at one publisher.

use std::rc::Rc;

use super::prefixes::Prefixes;

/// The gateway's subscriptions at one publisher.
///
/// The gateway subscribes to one prefix after the other, in ascending order, and cancels the
/// subscriptions in descending order. At any time it is therefore subscribed to all prefixes below
/// some text, which is all that must be stored, however many prefixes there are.
#[derive(Debug)]
pub(super) struct Asked {
    /// The gateway is subscribed to the prefixes that are less than this text, or to all of them if
    /// it is `None`.
    below: Option<Vec<u8>>,
    /// The gateway is subscribed to all messages, because of `upstream`.
    all: bool,
    /// True if a task of the channel has yet to change the subscriptions.
    pub(super) is_queued: bool,
}

/// A change of a subscription at a publisher.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) prefix: Rc<[u8]>,
    /// True for a subscription, and false for its cancellation.
    pub(super) wanted: bool,
}

impl Asked {
    /// Returns the state of a publisher without subscriptions.
    pub(super) fn nothing() -> Self {
        Self {
            below: Some(Vec::new()),
            all: false,
            is_queued: false,
        }
    }

    /// Returns whether a publisher must be sent the change at once when a prefix gets its first
    /// subscriber or loses its last one.
    pub(super) fn concerns(&self, prefix: &[u8]) -> bool {
        self.covers(prefix) && !(self.all && prefix.is_empty())
    }

    fn covers(&self, prefix: &[u8]) -> bool {
        self.below.as_ref().is_none_or(|below| prefix < &**below)
    }

    /// Returns the next change at a publisher, where the gateway has to be subscribed to all
    /// messages if `for_all` is true, and otherwise to `prefixes`. Returns `None` if it is.
    pub(super) fn next(&mut self, for_all: bool, prefixes: &Prefixes) -> Option<Request> {
        if for_all {
            self.next_for_all(prefixes)
        } else {
            self.next_for_prefixes(prefixes)
        }
    }

    fn next_for_all(&mut self, prefixes: &Prefixes) -> Option<Request> {
        if !self.all {
            self.all = true;
            // If a subscriber has subscribed to the empty prefix, the publisher may have that
            // subscription already.
            if !(self.covers(b"") && prefixes.contains(b"")) {
                return Some(request(b"".as_slice().into(), true));
            }
        }
        let last = prefixes.last_below(self.below.as_deref());
        self.below = Some(last.map_or_else(Vec::new, |prefix| prefix.to_vec()));
        let last = last.filter(|prefix| !prefix.is_empty())?;
        Some(request(Rc::clone(last), false))
    }

    fn next_for_prefixes(&mut self, prefixes: &Prefixes) -> Option<Request> {
        while let Some(from) = &mut self.below {
            let Some(prefix) = prefixes.first_from(from) else {
                self.below = None;
                break;
            };
            // The least text that is greater than the prefix.
            from.clear();
            from.extend_from_slice(prefix);
            from.push(0);
            if !(self.all && prefix.is_empty()) {
                return Some(request(Rc::clone(prefix), true));
            }
        }
        // The prefixes were sent first, so that no message is missed in between.
        let was_all = std::mem::take(&mut self.all);
        let is_unwanted = was_all && !prefixes.contains(b"");
        is_unwanted.then(|| request(b"".as_slice().into(), false))
    }
}

fn request(prefix: Rc<[u8]>, wanted: bool) -> Request {
    Request { prefix, wanted }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::prefix_index::SubscriberId;
    use super::super::prefixes::{PREFIXES_PER_SUBSCRIBER_MAX, Subscribed};
    use super::*;

    /// Subscriptions and `upstream` change while the gateway subscribes at a publisher.
    #[test]
    fn a_publisher_is_asked_for_each_prefix_once() {
        let mut random = fastrand::Rng::with_seed(5);
        let (mut prefixes, mut asked) = (Prefixes::default(), Asked::nothing());
        let (mut model, mut told) = (BTreeSet::new(), BTreeSet::new());
        let (mut for_all, mut settled) = (false, 0);
        let id = SubscriberId(0);
        for _ in 0..50_000 {
            let length = random.usize(..3);
            let prefix: Vec<u8> = (0..length).map(|_| random.u8(b'a'..=b'c')).collect();
            let tell = |told: &mut BTreeSet<Vec<u8>>, prefix: &[u8], wanted| {
                let is_new = match wanted {
                    true => told.insert(prefix.to_vec()),
                    false => told.remove(prefix),
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
                    if asked.concerns(&prefix) {
                        tell(&mut told, &prefix, true);
                    }
                }
                3 | 4 if prefixes.cancel(id, &prefix) => {
                    model.remove(&prefix);
                    if asked.concerns(&prefix) {
                        tell(&mut told, &prefix, false);
                    }
                }
                _ => match asked.next(for_all, &prefixes) {
                    Some(request) => tell(&mut told, &request.prefix, request.wanted),
                    None => {
                        let everything = BTreeSet::from([Vec::new()]);
                        assert_eq!(told, if for_all { everything } else { model.clone() });
                        settled += 1;
                    }
                },
            }
        }
        assert!(settled > 1_000, "{settled}");
    }
}
