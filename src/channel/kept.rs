//! The messages that a channel keeps for later subscribers.
//!
//! A channel may keep hundreds of thousands of messages, and may have to drop all of them, or to
//! send all of them to a new subscriber. Both tasks are done in parts. The parameter `left` is the
//! work that the current part may still do, as a number of messages.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::rc::Rc;
use std::time::Duration;

use super::post::Post;
use super::prefix_index::SubscriberId;
use crate::frame::Frames;
use crate::snapshot::Keep;

/// The maximum number of messages that are dropped for a new one. It is more than one, so that a
/// surplus shrinks with each new message.
const DROPPED_AT_ONCE: usize = 16;

/// The number of messages that can be moved within their list with the work of dropping one
/// message.
const MOVES_PER_DROP: usize = 1024;

/// The kept messages.
#[derive(Debug)]
pub(super) struct Kept<M> {
    /// The messages of each type, the oldest first. No list is empty.
    by_type: BTreeMap<Rc<[u8]>, VecDeque<KeptPost<M>>>,
    /// The types of all messages by their numbers, the oldest first.
    by_age: BTreeMap<u64, Rc<[u8]>>,
    /// The number of the next message.
    next: u64,
    /// The memory of the messages, in bytes.
    bytes: u64,
    /// The generation in which the routes to the channel last changed. A message that was checked
    /// in an earlier generation is checked again before it is sent.
    routes_since: u64,
    /// After the maximum number of messages of a type was lowered, the first type that may still
    /// exceed it, or `None` if there is no such type.
    unlimited_from: Option<Vec<u8>>,
    /// The collections that have begun and are not complete.
    collections: Vec<Collection<M>>,
}

/// A kept message.
#[derive(Debug)]
struct KeptPost<M> {
    number: u64,
    at: Duration,
    /// The generation of the configuration against which the message was checked last.
    generation: u64,
    post: Rc<Post<M>>,
}

impl<M> Clone for KeptPost<M> {
    fn clone(&self) -> Self {
        let post = Rc::clone(&self.post);
        Self { post, ..*self }
    }
}

/// The collection of kept messages for a subscriber: the messages that were kept when it subscribed
/// to a prefix. They are collected type by type.
#[derive(Debug)]
struct Collection<M> {
    subscriber: SubscriberId,
    prefix: Box<[u8]>,
    /// The messages of lesser types are already collected, and so are the messages of this type
    /// whose number is below `number`.
    kind: Vec<u8>,
    number: u64,
    /// The number of the first message that was published after the subscription.
    end: u64,
    /// Messages from before this time are not collected, because they were no longer to be kept
    /// when the subscriber subscribed.
    oldest: Duration,
    /// The maximum number of messages of a type.
    most: usize,
    /// The messages, with their types, that were dropped after the subscription and before they
    /// were collected.
    displaced: Vec<(Rc<[u8]>, KeptPost<M>)>,
}

impl<M: Frames> KeptPost<M> {
    /// Returns whether the message still matches its route's schema. Checks it again if it was
    /// checked before the generation `since`.
    fn fit(&mut self, since: u64, conditions: &mut Conditions<impl FnMut(&M) -> Fit>) -> Fit {
        let fit = if self.generation < since {
            (conditions.fits)(self.post.body())
        } else {
            Fit::Fits
        };
        if fit == Fit::Fits {
            self.generation = conditions.generation;
        }
        fit
    }
}

impl<M> Collection<M> {
    /// Returns whether a message of this type has yet to be collected.
    fn awaits(&self, kind: &[u8], message: &KeptPost<M>) -> bool {
        kind.starts_with(&self.prefix)
            && (kind, message.number) >= (&*self.kind, self.number)
            && message.number < self.end
            && message.at >= self.oldest
    }

    /// Records that all messages of a type are collected.
    fn pass(&mut self, kind: &[u8]) {
        self.kind.clear();
        // This is the least text that is greater than the type.
        self.kind.extend_from_slice(kind);
        self.kind.push(0);
        self.number = 0;
    }
}

/// The conditions under which kept messages are sent.
pub(crate) struct Conditions<F> {
    /// The time since the start.
    pub now: Duration,
    /// The generation of the configuration in force.
    pub generation: u64,
    /// Returns whether a kept message still matches its route's schema.
    pub fits: F,
}

/// The result of another check of a kept message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Fits,
    Unfit,
    /// The check takes so long that a judge must make it.
    Undecided,
}

/// The result of a part of a collection.
#[derive(Debug)]
pub(super) struct Collected<M> {
    /// The number of messages that were dropped because they no longer match their route's schema.
    pub(super) unfit: u64,
    pub(super) end: CollectionEnd<M>,
}

/// The end of a part of a collection.
#[derive(Debug)]
pub(super) enum CollectionEnd<M> {
    Complete,
    /// The permitted work is used up.
    Paused,
    /// A judge must check this message, which has this number, first.
    Undecided(u64, Rc<Post<M>>),
}

impl<M> Default for Kept<M> {
    fn default() -> Self {
        Self {
            by_type: BTreeMap::new(),
            by_age: BTreeMap::new(),
            next: 0,
            bytes: 0,
            routes_since: 0,
            unlimited_from: None,
            collections: Vec::new(),
        }
    }
}

impl<M: Frames> Kept<M> {
    /// Keeps a message that was published at `now` and checked against the configuration with the
    /// number `generation`. Then drops some of the messages that exceed `keep` or `bytes_max`.
    pub(super) fn add(
        &mut self,
        post: &Rc<Post<M>>,
        (now, generation): (Duration, u64),
        keep: Keep,
        bytes_max: u64,
    ) {
        let kind = self.by_type.get_key_value(post.kind());
        let kind = kind.map_or_else(|| post.kind().into(), |(kind, _)| Rc::clone(kind));
        let number = self.next;
        self.next += 1;
        self.bytes += post.bytes();
        self.by_age.insert(number, Rc::clone(&kind));
        let of_type = self.by_type.entry(Rc::clone(&kind)).or_default();
        of_type.push_back(KeptPost {
            number,
            at: now,
            generation,
            post: Rc::clone(post),
        });
        let mut left = DROPPED_AT_ONCE;
        if let Keep::Last(most) = keep {
            while left > 0 && self.count_of(&kind) > most as usize {
                self.drop_oldest_of(&kind);
                left -= 1;
            }
        }
        self.trim(now, keep, bytes_max, &mut left);
    }

    /// Returns whether there are messages that exceed `keep` or `bytes_max`.
    pub(super) fn has_surplus(&self, now: Duration, keep: Keep, bytes_max: u64) -> bool {
        let is_limited = matches!(keep, Keep::Last(_));
        self.is_oldest_surplus(now, keep, bytes_max) || is_limited && self.unlimited_from.is_some()
    }

    /// Drops messages that exceed `keep` or `bytes_max`.
    pub(super) fn trim(&mut self, now: Duration, keep: Keep, bytes_max: u64, left: &mut usize) {
        while *left > 0 && self.is_oldest_surplus(now, keep, bytes_max) {
            self.drop_oldest();
            *left -= 1;
        }
        let Keep::Last(most) = keep else {
            return;
        };
        while *left > 0
            && let Some(from) = &mut self.unlimited_from
        {
            *left -= 1;
            let range = (Bound::Included(&**from), Bound::Unbounded);
            let Some((kind, of_type)) = self.by_type.range::<[u8], _>(range).next() else {
                self.unlimited_from = None;
                return;
            };
            from.clear();
            from.extend_from_slice(kind);
            if of_type.len() > most as usize {
                let kind = Rc::clone(kind);
                self.remove_oldest_of(&kind);
            } else {
                from.push(0);
            }
        }
    }

    /// Records that fewer messages of each type may be kept than before.
    pub(super) fn limit(&mut self) {
        self.unlimited_from = Some(Vec::new());
    }

    /// Records that the routes to the channel have changed in this generation.
    pub(super) fn set_routes_changed(&mut self, generation: u64) {
        self.routes_since = generation;
    }

    /// Begins a collection for a subscriber, of the messages whose type begins with `prefix`.
    pub(super) fn begin(
        &mut self,
        subscriber: SubscriberId,
        prefix: &[u8],
        now: Duration,
        keep: Keep,
    ) {
        let (oldest, most) = match keep {
            Keep::For(time) => (now.saturating_sub(time), usize::MAX),
            Keep::Last(most) => (Duration::ZERO, most as usize),
            Keep::None => (Duration::ZERO, usize::MAX),
        };
        self.collections.push(Collection {
            subscriber,
            prefix: prefix.into(),
            kind: prefix.to_vec(),
            number: 0,
            end: self.next,
            oldest,
            most,
            displaced: Vec::new(),
        });
    }

    /// Ends the collection for a subscriber that has disconnected, if there is one.
    pub(super) fn end(&mut self, subscriber: SubscriberId) {
        self.collections
            .retain(|collection| collection.subscriber != subscriber);
    }

    /// Continues the collection for a subscriber. Calls `found` with each message, and its number,
    /// if `wanted` returns true for the message's type and the prefix. A message that was checked
    /// before the routes changed is checked again, and dropped if it no longer matches its route's
    /// schema.
    pub(super) fn collect(
        &mut self,
        subscriber: SubscriberId,
        conditions: &mut Conditions<impl FnMut(&M) -> Fit>,
        wanted: impl Fn(&[u8], &[u8]) -> bool,
        left: &mut usize,
        mut found: impl FnMut(u64, &Rc<Post<M>>),
    ) -> Collected<M> {
        let place = self
            .collections
            .iter()
            .position(|collection| collection.subscriber == subscriber);
        let mut collected = Collected {
            unfit: 0,
            end: CollectionEnd::Complete,
        };
        let Some(mut collection) = place.map(|place| self.collections.swap_remove(place)) else {
            return collected;
        };
        loop {
            if *left == 0 {
                collected.end = CollectionEnd::Paused;
                break;
            }
            let undecided = if let Some(kind) = self.next_kind(&collection) {
                if !wanted(&kind, &collection.prefix) {
                    collection.pass(&kind);
                    *left -= 1;
                    continue;
                }
                let unfit = &mut collected.unfit;
                self.collect_kind(&kind, &mut collection, conditions, left, unfit, &mut found)
            } else if let Some((kind, mut message)) = collection.displaced.pop() {
                if !wanted(&kind, &collection.prefix) {
                    *left -= 1;
                    continue;
                }
                match message.fit(self.routes_since, conditions) {
                    Fit::Fits => found(message.number, &message.post),
                    Fit::Unfit => collected.unfit += 1,
                    Fit::Undecided => {
                        collected.end =
                            CollectionEnd::Undecided(message.number, Rc::clone(&message.post));
                        collection.displaced.push((kind, message));
                        break;
                    }
                }
                None
            } else {
                return collected;
            };
            *left = left.saturating_sub(1);
            if let Some((number, post)) = undecided {
                collected.end = CollectionEnd::Undecided(number, post);
                break;
            }
        }
        self.collections.push(collection);
        collected
    }

    /// Returns the next type whose messages have to be collected, or `None` if no type is left.
    fn next_kind(&self, collection: &Collection<M>) -> Option<Rc<[u8]>> {
        let range = (Bound::Included(&*collection.kind), Bound::Unbounded);
        let (kind, _) = self.by_type.range::<[u8], _>(range).next()?;
        kind.starts_with(&collection.prefix)
            .then(|| Rc::clone(kind))
    }

    /// Collects messages of a type. Messages that no longer match their route's schema are dropped,
    /// and their number is added to `unfit`. Returns a message that a judge must check first, with
    /// its number, if there is one.
    fn collect_kind(
        &mut self,
        kind: &Rc<[u8]>,
        collection: &mut Collection<M>,
        conditions: &mut Conditions<impl FnMut(&M) -> Fit>,
        left: &mut usize,
        unfit: &mut u64,
        found: &mut impl FnMut(u64, &Rc<Post<M>>),
    ) -> Option<(u64, Rc<Post<M>>)> {
        let of_type = self.by_type.get_mut(kind)?;
        if **kind != *collection.kind {
            collection.pass(kind);
            collection.kind.pop();
        }
        let end = of_type.partition_point(|message| message.number < collection.end);
        // After a reload, the oldest messages may exceed the limit.
        for _ in 0..end.saturating_sub(collection.most).min(*left) {
            if let Some(gone) = of_type.pop_front() {
                self.by_age.remove(&gone.number);
                self.bytes -= gone.post.bytes();
            }
            *left -= 1;
        }
        let mut place = of_type.partition_point(|message| message.number < collection.number);
        while let Some(message) = of_type
            .get_mut(place)
            .filter(|message| message.number < collection.end)
        {
            collection.number = message.number;
            if *left == 0 {
                return None;
            }
            *left -= 1;
            match message.fit(self.routes_since, conditions) {
                Fit::Fits => {
                    if message.at >= collection.oldest {
                        found(message.number, &message.post);
                    }
                    place += 1;
                }
                Fit::Unfit => {
                    *left = left.saturating_sub(place.min(of_type.len() - place) / MOVES_PER_DROP);
                    if let Some(gone) = of_type.remove(place) {
                        self.by_age.remove(&gone.number);
                        self.bytes -= gone.post.bytes();
                    }
                    *unfit += 1;
                }
                Fit::Undecided => return Some((message.number, Rc::clone(&message.post))),
            }
        }
        collection.pass(kind);
        if of_type.is_empty() {
            self.by_type.remove(kind);
        }
        None
    }

    /// Records the verdict of a judge on a message. The judge has checked the message against its
    /// route's schema in the configuration with the number `generation`. If `fits` is false, drops
    /// the message. Returns whether the message was dropped.
    pub(super) fn judged(&mut self, number: u64, generation: u64, fits: bool) -> bool {
        let mut dropped = false;
        for collection in &mut self.collections {
            let displaced = &mut collection.displaced;
            if let Some(place) = displaced
                .iter()
                .position(|(_, message)| message.number == number)
            {
                displaced[place].1.generation = generation;
                if !fits {
                    displaced.swap_remove(place);
                    dropped = true;
                }
            }
        }
        let kind = self.by_age.get(&number).map(Rc::clone);
        let of_type = kind.as_ref().and_then(|kind| self.by_type.get_mut(kind));
        let Some((kind, of_type)) = kind.as_ref().zip(of_type) else {
            return dropped;
        };
        let Ok(place) = of_type.binary_search_by_key(&number, |message| message.number) else {
            return dropped;
        };
        if fits {
            of_type[place].generation = generation;
            return false;
        }
        if let Some(gone) = of_type.remove(place) {
            self.by_age.remove(&number);
            self.bytes -= gone.post.bytes();
        }
        if of_type.is_empty() {
            self.by_type.remove(kind);
        }
        true
    }

    /// Returns the number of kept messages.
    pub(super) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Returns the memory of the kept messages, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn count_of(&self, kind: &[u8]) -> usize {
        self.by_type.get(kind).map_or(0, VecDeque::len)
    }

    /// Returns whether the oldest message exceeds a limit other than the number of its type's
    /// messages.
    fn is_oldest_surplus(&self, now: Duration, keep: Keep, bytes_max: u64) -> bool {
        let is_old = |time| {
            let oldest = self.oldest();
            oldest.is_some_and(|message| now.saturating_sub(message.at) > time)
        };
        self.bytes > bytes_max
            || match keep {
                Keep::None => !self.by_age.is_empty(),
                Keep::Last(_) => false,
                Keep::For(time) => is_old(time),
            }
    }

    fn oldest(&self) -> Option<&KeptPost<M>> {
        let (_, kind) = self.by_age.first_key_value()?;
        self.by_type.get(kind)?.front()
    }

    fn drop_oldest(&mut self) {
        if let Some((_, kind)) = self.by_age.first_key_value() {
            let kind = Rc::clone(kind);
            self.drop_oldest_of(&kind);
        }
    }

    /// Drops the oldest message of a type. Collections that still need the message keep it.
    fn drop_oldest_of(&mut self, kind: &Rc<[u8]>) {
        let Some(gone) = self.remove_oldest_of(kind) else {
            return;
        };
        for collection in &mut self.collections {
            if collection.awaits(kind, &gone) {
                collection.displaced.push((Rc::clone(kind), gone.clone()));
            }
        }
    }

    fn remove_oldest_of(&mut self, kind: &[u8]) -> Option<KeptPost<M>> {
        let of_type = self.by_type.get_mut(kind)?;
        let gone = of_type.pop_front();
        if of_type.is_empty() {
            self.by_type.remove(kind);
        }
        if let Some(gone) = &gone {
            self.by_age.remove(&gone.number);
            self.bytes -= gone.post.bytes();
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::super::post::{Frame, post};
    use super::*;

    fn kept(keep: Keep, bytes_max: u64, texts: &[&str]) -> Kept<Vec<Frame>> {
        let mut kept = Kept::default();
        for (second, text) in texts.iter().enumerate() {
            let now = Duration::from_secs(second as u64);
            kept.add(&post(text), (now, 1), keep, bytes_max);
        }
        let bytes: u64 = kept
            .by_type
            .values()
            .flatten()
            .map(|message| message.post.bytes())
            .sum();
        assert_eq!(kept.bytes, bytes);
        kept
    }

    /// Collects all messages in parts of `work` messages. Returns the texts in their order, and the
    /// number of messages that no longer match.
    fn collect(
        kept: &mut Kept<Vec<Frame>>,
        prefix: &str,
        work: usize,
        mut fits: impl FnMut(&Vec<Frame>) -> bool,
    ) -> (Vec<String>, u64) {
        let (id, now) = (SubscriberId(0), Duration::from_secs(60));
        let mut conditions = Conditions {
            now,
            generation: 2,
            fits: |body: &Vec<Frame>| match fits(body) {
                true => Fit::Fits,
                false => Fit::Unfit,
            },
        };
        kept.begin(id, prefix.as_bytes(), now, Keep::None);
        let (mut found, mut unfit) = (BTreeMap::new(), 0);
        loop {
            let mut left = work;
            let take = |number, post: &Rc<Post<Vec<Frame>>>| {
                let text = String::from_utf8(post.body()[1].clone()).unwrap();
                assert!(found.insert(number, text).is_none());
            };
            let part = kept.collect(id, &mut conditions, |_, _| true, &mut left, take);
            unfit += part.unfit;
            if matches!(part.end, CollectionEnd::Complete) {
                assert!(kept.collections.is_empty());
                return (found.into_values().collect(), unfit);
            }
            assert_eq!(left, 0);
        }
    }

    fn replay(kept: &mut Kept<Vec<Frame>>, prefix: &str) -> Vec<String> {
        let whole = collect(kept, prefix, usize::MAX, |_| true);
        let parts = collect(kept, prefix, 1, |_| true);
        assert_eq!(whole, parts);
        whole.0
    }

    #[test]
    fn the_last_of_each_type_are_kept_in_order() {
        let texts = ["a1", "b1", "a2", "c1", "a3", "b2"];
        let mut last = kept(Keep::Last(1), u64::MAX, &texts);
        assert_eq!(replay(&mut last, ""), ["c1", "a3", "b2"]);
        assert_eq!(replay(&mut last, "a"), ["a3"]);
        assert_eq!(replay(&mut last, "d").len(), 0);
        let mut two = kept(Keep::Last(2), u64::MAX, &texts);
        assert_eq!(replay(&mut two, ""), ["b1", "a2", "c1", "a3", "b2"]);
        two.limit();
        trim(&mut two, Duration::ZERO, Keep::Last(1));
        assert_eq!(replay(&mut two, ""), ["c1", "a3", "b2"]);
        let mut all = kept(Keep::For(Duration::from_secs(2)), u64::MAX, &texts);
        assert_eq!(replay(&mut all, ""), ["c1", "a3", "b2"]);
        let keep = Keep::For(Duration::from_secs(2));
        trim(&mut all, Duration::from_secs(60), keep);
        assert_eq!((all.len(), all.bytes()), (0, 0));
    }

    #[test]
    fn the_oldest_messages_are_dropped_for_new_ones() {
        let mut some = kept(
            Keep::Last(10),
            3 * post("a1").bytes(),
            &["a1", "b1", "a2", "a3"],
        );
        assert_eq!(replay(&mut some, ""), ["b1", "a2", "a3"]);
        trim(&mut some, Duration::ZERO, Keep::None);
        assert_eq!((some.len(), some.bytes()), (0, 0));
    }

    #[test]
    fn messages_of_an_earlier_generation_are_checked_again_once() {
        let mut some = kept(Keep::Last(1), u64::MAX, &["a1", "b1"]);
        some.set_routes_changed(2);
        let mut checks = 0;
        for expected in [(1, 1), (1, 0)] {
            let (texts, unfit) = collect(&mut some, "", 1, |body| {
                checks += 1;
                body[1] == b"b1"
            });
            assert_eq!((texts.len(), unfit), expected);
        }
        assert_eq!((checks, some.len()), (2, 1));
    }

    #[test]
    fn messages_that_are_dropped_during_a_collection_are_collected() {
        let texts = ["b1", "a1", "c1", "a2", "d1"];
        let mut some = kept(Keep::Last(10), u64::MAX, &texts);
        let id = SubscriberId(0);
        let mut conditions = Conditions {
            now: Duration::ZERO,
            generation: 1,
            fits: |_: &_| Fit::Fits,
        };
        some.begin(id, b"", Duration::ZERO, Keep::Last(10));
        let mut found = BTreeMap::new();
        let mut take = |number, post: &Rc<Post<Vec<Frame>>>| {
            let text = String::from_utf8(post.body()[1].clone()).unwrap();
            assert!(found.insert(number, text).is_none());
        };
        let mut left = 1;
        some.collect(id, &mut conditions, |_, _| true, &mut left, &mut take);
        // Two new messages, which are not collected, displace all earlier messages.
        let bytes_max = 2 * post("a1").bytes();
        for text in ["a3", "e1"] {
            some.add(&post(text), (Duration::ZERO, 1), Keep::Last(10), bytes_max);
        }
        assert_eq!(some.len(), 2);
        let wanted = |kind: &[u8], _: &[u8]| kind != b"c";
        let part = some.collect(
            id,
            &mut conditions,
            wanted,
            &mut usize::MAX.clone(),
            &mut take,
        );
        assert!(matches!(part.end, CollectionEnd::Complete));
        assert!(found.into_values().eq(["b1", "a1", "a2", "d1"]));
    }

    /// Drops the messages that exceed the limits, one at a time.
    fn trim(kept: &mut Kept<Vec<Frame>>, now: Duration, keep: Keep) {
        while kept.has_surplus(now, keep, u64::MAX) {
            kept.trim(now, keep, u64::MAX, &mut 1);
        }
    }
}
