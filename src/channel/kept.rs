//! The messages that a channel keeps for later subscribers.
//!
//! A channel may keep hundreds of thousands of messages, and may have to drop all of them, or to
//! send all of them to a new subscriber. Both tasks are done in parts. The parameter `left` is the
//! work that the current part may still do, as a number of messages.

mod collecting;
mod collection;
mod message;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::rc::Rc;
use std::time::Duration;

use super::post::Post;
use crate::frame::Frames;
use crate::snapshot::Keep;
use collection::Collection;
use message::KeptPost;

pub(super) use collection::CollectionEnd;
pub(crate) use message::{Conditions, Fit};

/// The maximum number of messages that are dropped when a new message is kept. The maximum is more
/// than one, so that a surplus shrinks with each new message.
const DROPPED_AT_ONCE: usize = 16;

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
    /// The generation in which the channel's `frames` last changed. A message that was kept in an
    /// earlier generation has frames that subscribers no longer expect, so it is not sent.
    frames_since: u64,
    /// The first type that may still have too many messages, because the maximum number of messages
    /// of a type was lowered. `None` if there is no such type.
    unlimited_from: Option<Vec<u8>>,
    /// The collections that have begun and are not complete.
    collections: Vec<Collection<M>>,
}

impl<M> Default for Kept<M> {
    fn default() -> Self {
        Self {
            by_type: BTreeMap::new(),
            by_age: BTreeMap::new(),
            next: 0,
            bytes: 0,
            frames_since: 0,
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

    /// Records that the channel's `frames` have changed in this generation.
    pub(super) fn set_frames_changed(&mut self, generation: u64) {
        self.frames_since = generation;
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

    /// Returns whether the oldest message exceeds a limit other than the maximum number of messages
    /// of a type.
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
mod tests;
