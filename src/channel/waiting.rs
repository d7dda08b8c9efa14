//! The queue of messages for one subscriber whose connection has no room.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::post::Post;
use crate::frame::Frames;
use crate::snapshot::Slow;

/// The maximum number of old messages that are dropped to make room for a new one. If more would
/// have to be dropped, the new message is dropped instead. Without this limit, a large message
/// could displace thousands of small ones in the queue of each slow subscriber.
const DROPPED_FOR_ONE_MAX: usize = 256;

/// The messages that wait for one subscriber, the oldest first.
///
/// Both maps are trees, so that no operation ever moves all entries.
#[derive(Debug)]
pub(super) struct Waiting<M> {
    /// The messages by their numbers.
    posts: BTreeMap<u64, Rc<Post<M>>>,
    /// The number of the next message.
    next: u64,
    /// The number of the last queued message of each type. The map is used only if messages are
    /// conflated: a new message then replaces the queued message of its type.
    by_type: BTreeMap<Box<[u8]>, u64>,
    /// The size of the messages, in bytes.
    bytes: u64,
}

impl<M> Default for Waiting<M> {
    fn default() -> Self {
        Self {
            posts: BTreeMap::new(),
            next: 0,
            by_type: BTreeMap::new(),
            bytes: 0,
        }
    }
}

/// The result of adding a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// The number of dropped messages, which may include the new message. If the new message was
    /// not dropped, it was queued.
    Dropped(u64),
    /// There is no room, and the subscriber must be disconnected.
    Overflow,
}

impl<M: Frames> Waiting<M> {
    /// Returns whether no message waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.posts.is_empty()
    }

    /// Returns the number of messages that wait.
    pub(super) fn len(&self) -> usize {
        self.posts.len()
    }

    /// Returns the size of the messages that wait, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a message to the end. If more than `bytes_max` bytes would then wait, `slow` decides
    /// which messages are dropped. `memory` is the memory of all messages that wait for any
    /// subscriber, in bytes.
    pub(super) fn add(
        &mut self,
        post: &Rc<Post<M>>,
        slow: Slow,
        bytes_max: u64,
        memory: &mut u64,
    ) -> Added {
        let mut dropped = 0;
        if slow == Slow::Conflate
            && let Some(number) = self.by_type.remove(post.kind())
            && let Some(replaced) = self.posts.remove(&number)
        {
            self.removed(&replaced, memory);
            dropped += 1;
        }
        let surplus = (self.bytes + post.bytes()).saturating_sub(bytes_max);
        if surplus > 0 {
            match slow {
                Slow::DropOld | Slow::Conflate if self.can_drop(surplus) => {}
                Slow::DropNew | Slow::DropOld | Slow::Conflate => {
                    return Added::Dropped(dropped + 1);
                }
                Slow::Disconnect => return Added::Overflow,
            }
            while self.bytes + post.bytes() > bytes_max && self.take(memory).is_some() {
                dropped += 1;
            }
        }
        if slow == Slow::Conflate {
            self.by_type.insert(post.kind().into(), self.next);
        }
        post.enter_queue(memory);
        self.bytes += post.bytes();
        self.posts.insert(self.next, Rc::clone(post));
        self.next += 1;
        Added::Dropped(dropped)
    }

    /// Returns whether the oldest [`DROPPED_FOR_ONE_MAX`] messages have at least `surplus` bytes
    /// together.
    fn can_drop(&self, surplus: u64) -> bool {
        let mut left = surplus;
        for post in self.posts.values().take(DROPPED_FOR_ONE_MAX) {
            left = left.saturating_sub(post.bytes());
            if left == 0 {
                return true;
            }
        }
        false
    }

    /// Returns the oldest message.
    pub(super) fn front(&self) -> Option<&Rc<Post<M>>> {
        self.posts.first_key_value().map(|(_, post)| post)
    }

    /// Removes and returns the oldest message.
    pub(super) fn take(&mut self, memory: &mut u64) -> Option<Rc<Post<M>>> {
        let (number, post) = self.posts.pop_first()?;
        if self.by_type.get(post.kind()) == Some(&number) {
            self.by_type.remove(post.kind());
        }
        self.removed(&post, memory);
        Some(post)
    }

    /// Subtracts the size of a removed message from the size of the queue and from `memory`.
    fn removed(&mut self, post: &Post<M>, memory: &mut u64) {
        post.leave_queue(memory);
        self.bytes -= post.bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::super::post::{Frame, PLACE_CHARGE, post};
    use super::*;

    fn rest(waiting: &mut Waiting<Vec<Frame>>, memory: &mut u64) -> Vec<String> {
        let next = || Some(waiting.take(memory)?.body()[1].clone());
        let texts = std::iter::from_fn(next);
        texts.map(|text| String::from_utf8(text).unwrap()).collect()
    }

    /// Adds messages to a queue with room for two. Returns the messages that remain and the number
    /// of dropped messages, or `None` if the subscriber must be disconnected.
    fn remain(slow: Slow, texts: &[&str]) -> Option<(Vec<String>, u64)> {
        let (mut waiting, mut memory, mut dropped) = (Waiting::default(), 0, 0);
        for text in texts {
            match waiting.add(&post(text), slow, 2 * post("a1").bytes(), &mut memory) {
                Added::Dropped(more) => dropped += more,
                Added::Overflow => return None,
            }
        }
        let left = rest(&mut waiting, &mut memory);
        assert_eq!((memory, waiting.bytes, waiting.len()), (0, 0, 0));
        assert!(waiting.by_type.is_empty());
        Some((left, dropped))
    }

    #[test]
    fn each_policy_drops_the_messages_that_it_selects() {
        let all = ["a1", "b1", "a2", "a3"];
        let texts = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let left = |texts_left, dropped| Some((texts(texts_left), dropped));
        assert_eq!(remain(Slow::DropNew, &all), left(&["a1", "b1"], 2));
        assert_eq!(remain(Slow::DropOld, &all), left(&["a2", "a3"], 2));
        assert_eq!(remain(Slow::Conflate, &all), left(&["b1", "a3"], 2));
        assert_eq!(
            remain(Slow::Conflate, &["a1", "b1", "c1"]),
            left(&["b1", "c1"], 1)
        );
        assert_eq!(remain(Slow::Disconnect, &all), None);
        assert_eq!(remain(Slow::Disconnect, &all[..2]), left(&["a1", "b1"], 0));
        let too_large = "b, which is longer than the room".repeat(300);
        for slow in [Slow::DropNew, Slow::DropOld, Slow::Conflate] {
            assert_eq!(remain(slow, &["a1", &too_large]), left(&["a1"], 1));
        }
    }

    #[test]
    fn a_message_drops_no_more_than_the_maximum_number_of_old_ones() {
        for (small, added) in [
            (DROPPED_FOR_ONE_MAX, true),
            (DROPPED_FOR_ONE_MAX + 1, false),
        ] {
            let (mut waiting, mut memory) = (Waiting::default(), 0);
            for _ in 0..small {
                waiting.add(&post("a1"), Slow::DropOld, u64::MAX, &mut memory);
            }
            // The large message has room once all of the small ones are dropped.
            let large = post(&"b".repeat(100_000));
            let dropped = waiting.add(&large, Slow::DropOld, large.bytes(), &mut memory);
            let expected = if added { (small as u64, 1) } else { (1, small) };
            assert_eq!(
                (dropped, waiting.len()),
                (Added::Dropped(expected.0), expected.1)
            );
        }
    }

    #[test]
    fn conflated_messages_keep_the_order_in_which_they_were_published() {
        let (mut waiting, mut memory) = (Waiting::default(), 0);
        for n in 0..10_000 {
            let text = format!("{}{n}", if n % 3 == 0 { "a" } else { "b" });
            waiting.add(&post(&text), Slow::Conflate, u64::MAX, &mut memory);
        }
        assert_eq!((waiting.len(), waiting.by_type.len()), (2, 2));
        assert_eq!(rest(&mut waiting, &mut memory), ["b9998", "a9999"]);
    }

    #[test]
    fn a_message_in_two_queues_is_charged_once_and_its_queue_entries_are_charged_each() {
        let (mut first, mut second) = (Waiting::default(), Waiting::default());
        let (post, mut memory) = (post("a1"), 0);
        for waiting in [&mut first, &mut second] {
            waiting.add(&post, Slow::DropNew, u64::MAX, &mut memory);
        }
        assert_eq!(memory, post.bytes() + 2 * PLACE_CHARGE);
        first.take(&mut memory);
        assert_eq!(memory, post.bytes() + PLACE_CHARGE);
        second.take(&mut memory);
        assert_eq!(memory, 0);
    }
}
