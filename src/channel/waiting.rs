//! The messages that wait for one subscriber to have room.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::post::Post;
use crate::frame::Frames;
use crate::snapshot::Slow;

/// The number of empty places beyond the number of messages above which the places are removed.
const EMPTY_MAX: usize = 64;

/// The messages that wait for one subscriber, the oldest first.
#[derive(Debug)]
pub(super) struct Waiting<M> {
    /// The messages. A place is empty if its message was replaced by a newer one of its type.
    places: VecDeque<Option<Place<M>>>,
    /// The number of the first place. Each place has the number after that of the one before.
    first: u64,
    /// The place of the last message of each type that waits, if messages are conflated.
    by_type: HashMap<Box<[u8]>, u64>,
    count: usize,
    /// The size of the messages, in bytes.
    bytes: u64,
    /// The size of those that were published before the subscriber subscribed, in bytes. They do
    /// not count towards `subscriber_bytes`.
    kept_bytes: u64,
}

/// A message that waits.
#[derive(Debug)]
struct Place<M> {
    post: Rc<Post<M>>,
    /// It was published before the subscriber subscribed.
    is_kept: bool,
}

impl<M> Default for Waiting<M> {
    fn default() -> Self {
        Self {
            places: VecDeque::new(),
            first: 0,
            by_type: HashMap::new(),
            count: 0,
            bytes: 0,
            kept_bytes: 0,
        }
    }
}

/// The result of adding a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// The message waits, unless it is one of this number of messages that were dropped.
    Dropped(u64),
    /// There is no room, and the subscriber must be disconnected.
    Overflow,
}

impl<M: Frames> Waiting<M> {
    /// Returns whether no message waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the number of messages that wait.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Returns the size of the messages that wait, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a message behind the others. At most `bytes_max` bytes may wait, in addition to kept
    /// messages; otherwise `slow` decides. `memory` is the sum of the memory that posts take which
    /// wait for any subscriber.
    pub(super) fn add(
        &mut self,
        post: &Rc<Post<M>>,
        slow: Slow,
        bytes_max: u64,
        memory: &mut u64,
    ) -> Added {
        let mut dropped = 0;
        if slow == Slow::Conflate
            && let Some(place) = self.by_type.remove(post.kind())
        {
            dropped += u64::from(self.empty_place(place, memory));
        }
        let is_full = |it: &Self| it.bytes - it.kept_bytes + post.bytes() > bytes_max;
        if is_full(self) {
            // A message that is too large for an empty queue must not empty it.
            let is_too_large = post.bytes() > bytes_max;
            match slow {
                Slow::DropOld | Slow::Conflate if !is_too_large => {}
                Slow::DropNew | Slow::DropOld | Slow::Conflate => {
                    return Added::Dropped(dropped + 1);
                }
                Slow::Disconnect => return Added::Overflow,
            }
            while is_full(self) && self.take(memory).is_some() {
                dropped += 1;
            }
        }
        if slow == Slow::Conflate {
            let place = self.first + self.places.len() as u64;
            self.by_type.insert(post.kind().into(), place);
        }
        self.push(post, false, memory);
        Added::Dropped(dropped)
    }

    /// Adds a message that was published before the subscriber subscribed, behind the others.
    pub(super) fn add_kept(&mut self, post: &Rc<Post<M>>, memory: &mut u64) {
        self.push(post, true, memory);
    }

    /// Returns the size of the kept messages that wait, in bytes.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.kept_bytes
    }

    /// Returns the oldest message.
    pub(super) fn front(&mut self) -> Option<&Rc<Post<M>>> {
        while let Some(None) = self.places.front() {
            self.places.pop_front();
            self.first += 1;
        }
        Some(&self.places.front()?.as_ref()?.post)
    }

    /// Removes and returns the oldest message.
    pub(super) fn take(&mut self, memory: &mut u64) -> Option<Rc<Post<M>>> {
        self.front()?;
        let place = self.places.pop_front()??;
        if self.by_type.get(place.post.kind()) == Some(&self.first) {
            self.by_type.remove(place.post.kind());
        }
        self.first += 1;
        self.removed(&place, memory);
        if self.places.is_empty() {
            // A burst must not leave its capacity behind.
            self.places = VecDeque::new();
        }
        Some(place.post)
    }

    /// Removes all messages, and returns their number.
    pub(super) fn clear(&mut self, memory: &mut u64) -> u64 {
        let count = self.count as u64;
        for place in std::mem::take(&mut self.places).into_iter().flatten() {
            place.post.leave_queue(memory);
        }
        *self = Self::default();
        count
    }

    fn push(&mut self, post: &Rc<Post<M>>, is_kept: bool, memory: &mut u64) {
        post.enter_queue(memory);
        self.count += 1;
        self.bytes += post.bytes();
        self.kept_bytes += if is_kept { post.bytes() } else { 0 };
        let post = Rc::clone(post);
        self.places.push_back(Some(Place { post, is_kept }));
    }

    /// Counts a message out that was removed from its place.
    fn removed(&mut self, place: &Place<M>, memory: &mut u64) {
        let bytes = place.post.bytes();
        place.post.leave_queue(memory);
        self.count -= 1;
        self.bytes -= bytes;
        self.kept_bytes -= if place.is_kept { bytes } else { 0 };
    }

    /// Removes the message at the place with this number. Returns whether there was one.
    fn empty_place(&mut self, number: u64, memory: &mut u64) -> bool {
        let index = usize::try_from(number.wrapping_sub(self.first)).unwrap_or(usize::MAX);
        let Some(place) = self.places.get_mut(index).and_then(Option::take) else {
            return false;
        };
        self.removed(&place, memory);
        if self.places.len() > 2 * self.count + EMPTY_MAX {
            self.close_gaps();
        }
        true
    }

    /// Removes the empty places.
    fn close_gaps(&mut self) {
        self.places.retain(Option::is_some);
        self.by_type.clear();
        for (index, place) in self.places.iter().flatten().enumerate() {
            if !place.is_kept {
                let kind = place.post.kind().into();
                self.by_type.insert(kind, self.first + index as u64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::post::{Frame, post};
    use super::*;

    fn rest(waiting: &mut Waiting<Vec<Frame>>, memory: &mut u64) -> Vec<String> {
        let next = || Some(waiting.take(memory)?.body()[1].clone());
        let texts = std::iter::from_fn(next);
        texts.map(|it| String::from_utf8(it).unwrap()).collect()
    }

    /// Adds messages while there is room for two. Returns those that remain, and the number of
    /// dropped ones, or `None` if the subscriber must be disconnected.
    fn remain(slow: Slow, texts: &[&str]) -> Option<(Vec<String>, u64)> {
        let (mut waiting, mut memory, mut dropped) = (Waiting::default(), 0, 0);
        for text in texts {
            match waiting.add(&post(text), slow, 2 * post("a1").bytes(), &mut memory) {
                Added::Dropped(more) => dropped += more,
                Added::Overflow => return None,
            }
        }
        let left = rest(&mut waiting, &mut memory);
        assert_eq!((memory, waiting.bytes, waiting.count), (0, 0, 0));
        Some((left, dropped))
    }

    #[test]
    fn each_policy_drops_its_own_messages() {
        let all = ["a1", "b1", "a2", "a3"];
        let texts = |texts: &[&str]| texts.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
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
    fn replaced_messages_leave_no_places_behind() {
        let (mut waiting, mut memory) = (Waiting::default(), 0);
        for n in 0..10_000 {
            let text = format!("{}{n}", if n % 3 == 0 { "a" } else { "b" });
            waiting.add(&post(&text), Slow::Conflate, u64::MAX, &mut memory);
            assert!(waiting.places.len() <= 2 * waiting.count + EMPTY_MAX + 1);
        }
        assert_eq!(waiting.len(), 2);
        assert_eq!(rest(&mut waiting, &mut memory), ["b9998", "a9999"]);
    }

    #[test]
    fn kept_messages_do_not_count_towards_the_bound() {
        let (mut waiting, mut memory) = (Waiting::default(), 0);
        let bytes = post("a1").bytes();
        for text in ["a1", "b1", "c1"] {
            waiting.add_kept(&post(text), &mut memory);
        }
        let added = waiting.add(&post("d1"), Slow::DropNew, bytes, &mut memory);
        assert_eq!(
            (added, waiting.kept_bytes()),
            (Added::Dropped(0), 3 * bytes)
        );
        let added = waiting.add(&post("e1"), Slow::DropNew, bytes, &mut memory);
        assert_eq!(added, Added::Dropped(1));
        assert_eq!(rest(&mut waiting, &mut memory), ["a1", "b1", "c1", "d1"]);
        assert_eq!(memory, 0);
    }

    #[test]
    fn a_message_that_waits_for_several_subscribers_is_charged_once() {
        let (mut first, mut second) = (Waiting::default(), Waiting::default());
        let (post, mut memory) = (post("a1"), 0);
        for waiting in [&mut first, &mut second] {
            waiting.add(&post, Slow::DropNew, u64::MAX, &mut memory);
        }
        assert_eq!(memory, post.bytes());
        first.take(&mut memory);
        assert_eq!(memory, post.bytes());
        assert_eq!((second.clear(&mut memory), memory), (1, 0));
    }
}
