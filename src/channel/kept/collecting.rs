//! Collects kept messages for subscribers, in parts.

use std::ops::Bound;
use std::rc::Rc;
use std::time::Duration;

use super::Kept;
use super::collection::{Collected, Collection, CollectionEnd};
use super::message::{Conditions, Fit};
use crate::channel::post::Post;
use crate::channel::prefix_index::SubscriberId;
use crate::frame::Frames;
use crate::snapshot::Keep;

/// If a message is removed from the middle of its list, other messages move within the list. This
/// number of moved messages counts as much work as one dropped message.
const MOVES_PER_DROP: usize = 1024;

impl<M: Frames> Kept<M> {
    /// Begins to collect, for a subscriber, the messages whose type begins with `prefix`.
    pub(in crate::channel) fn begin(
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
    pub(in crate::channel) fn end(&mut self, subscriber: SubscriberId) {
        self.collections
            .retain(|collection| collection.subscriber != subscriber);
    }

    /// Continues the collection for a subscriber. Calls `found` with each message, and its number,
    /// if `wanted` returns true for the message's type and the prefix. A message that was checked
    /// in an earlier generation is checked again, and dropped if it no longer matches its route's
    /// schema.
    pub(in crate::channel) fn collect(
        &mut self,
        subscriber: SubscriberId,
        conditions: &mut Conditions<impl FnMut(&M, &mut usize) -> Fit>,
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
                match message.fit(self.frames_since, conditions, left) {
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
        conditions: &mut Conditions<impl FnMut(&M, &mut usize) -> Fit>,
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
            match message.fit(self.frames_since, conditions, left) {
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
    pub(in crate::channel) fn judged(&mut self, number: u64, generation: u64, fits: bool) -> bool {
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
}
