//! The messages that a channel keeps for later subscribers.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::rc::Rc;
use std::time::Duration;

use super::post::Post;
use crate::frame::Frames;
use crate::snapshot::Keep;

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
}

/// A kept message.
#[derive(Clone, Debug)]
pub(super) struct KeptPost<M> {
    number: u64,
    at: Duration,
    /// The generation of the configuration by which it was checked last.
    generation: u64,
    post: Rc<Post<M>>,
}

impl<M> Default for Kept<M> {
    fn default() -> Self {
        Self {
            by_type: BTreeMap::new(),
            by_age: BTreeMap::new(),
            next: 0,
            bytes: 0,
        }
    }
}

impl<M: Frames> Kept<M> {
    /// Keeps a message that was checked by this generation of the configuration, and drops those
    /// that `keep` and `bytes_max` leave no room for.
    pub(super) fn add(
        &mut self,
        post: &Rc<Post<M>>,
        now: Duration,
        generation: u64,
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
        if let Keep::Last(most) = keep {
            while self
                .by_type
                .get(&kind)
                .is_some_and(|it| it.len() > most as usize)
            {
                self.drop_oldest_of(&kind);
            }
        }
        self.trim(now, keep, bytes_max);
    }

    /// Drops the messages that `keep` and `bytes_max` leave no room for.
    pub(super) fn trim(&mut self, now: Duration, keep: Keep, bytes_max: u64) {
        match keep {
            Keep::None => {
                *self = Self {
                    next: self.next,
                    ..Self::default()
                }
            }
            Keep::Last(_) => {}
            Keep::For(time) => {
                let is_old = |it: &KeptPost<M>| now.saturating_sub(it.at) > time;
                while self.oldest().is_some_and(is_old) && self.drop_oldest() {}
            }
        }
        while self.bytes > bytes_max && self.drop_oldest() {}
    }

    /// Drops all but the last `most` messages of each type.
    pub(super) fn limit(&mut self, most: u32) {
        let kinds: Vec<_> = self.by_type.keys().map(Rc::clone).collect();
        for kind in kinds {
            while self
                .by_type
                .get(&kind)
                .is_some_and(|it| it.len() > most as usize)
            {
                self.drop_oldest_of(&kind);
            }
        }
    }

    /// Returns the messages whose type begins with `prefix` and for whose type `wanted` returns
    /// true, the oldest first. A message that was checked before the generation `since` is checked
    /// again by `fits`, and dropped if it does not fit. Returns also the number of dropped ones.
    pub(super) fn replay(
        &mut self,
        prefix: &[u8],
        since: u64,
        generation: u64,
        mut wanted: impl FnMut(&[u8]) -> bool,
        mut fits: impl FnMut(&M) -> bool,
    ) -> (Vec<Rc<Post<M>>>, u64) {
        let mut all = Vec::new();
        let mut unfit = Vec::new();
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let matching = self.by_type.range_mut::<[u8], _>(from);
        let matching = matching.take_while(|(kind, _)| kind.starts_with(prefix));
        for (kind, kept) in matching.filter(|(kind, _)| wanted(kind)) {
            for it in kept.iter_mut() {
                if it.generation < since && !fits(it.post.body()) {
                    unfit.push((Rc::clone(kind), it.number));
                    continue;
                }
                it.generation = generation;
                all.push((it.number, Rc::clone(&it.post)));
            }
        }
        all.sort_unstable_by_key(|(number, _)| *number);
        let dropped = unfit.len() as u64;
        for (kind, number) in unfit {
            self.drop_one(&kind, number);
        }
        (all.into_iter().map(|(_, post)| post).collect(), dropped)
    }

    /// Returns the number of kept messages.
    pub(super) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// Returns the memory of the kept messages, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn oldest(&self) -> Option<&KeptPost<M>> {
        let (_, kind) = self.by_age.first_key_value()?;
        self.by_type.get(kind)?.front()
    }

    /// Drops the oldest message. Returns whether there was one.
    fn drop_oldest(&mut self) -> bool {
        let Some((_, kind)) = self.by_age.first_key_value() else {
            return false;
        };
        let kind = Rc::clone(kind);
        self.drop_oldest_of(&kind);
        true
    }

    fn drop_oldest_of(&mut self, kind: &Rc<[u8]>) {
        let oldest = self.by_type.get(kind).and_then(VecDeque::front);
        if let Some(number) = oldest.map(|it| it.number) {
            self.drop_one(kind, number);
        }
    }

    fn drop_one(&mut self, kind: &Rc<[u8]>, number: u64) {
        self.by_age.remove(&number);
        let Some(of_type) = self.by_type.get_mut(kind) else {
            return;
        };
        let place = of_type.iter().position(|it| it.number == number);
        if let Some(gone) = place.and_then(|place| of_type.remove(place)) {
            self.bytes -= gone.post.bytes();
        }
        if of_type.is_empty() {
            self.by_type.remove(kind);
        }
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
            kept.add(&post(text), now, 1, keep, bytes_max);
        }
        let bytes: u64 = kept
            .by_type
            .values()
            .flatten()
            .map(|it| it.post.bytes())
            .sum();
        assert_eq!(kept.bytes, bytes);
        kept
    }

    fn replay(kept: &mut Kept<Vec<Frame>>, prefix: &str) -> Vec<String> {
        let (posts, _) = kept.replay(prefix.as_bytes(), 0, 1, |_| true, |_| false);
        let texts = posts
            .iter()
            .map(|post| String::from_utf8(post.body()[1].clone()));
        texts.collect::<Result<_, _>>().unwrap()
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
        two.limit(1);
        assert_eq!(replay(&mut two, ""), ["c1", "a3", "b2"]);
        let mut all = kept(Keep::For(Duration::from_secs(2)), u64::MAX, &texts);
        assert_eq!(replay(&mut all, ""), ["c1", "a3", "b2"]);
        all.trim(
            Duration::from_secs(60),
            Keep::For(Duration::from_secs(2)),
            u64::MAX,
        );
        assert_eq!((all.len(), all.bytes()), (0, 0));
    }

    #[test]
    fn the_oldest_of_all_types_make_room() {
        let mut some = kept(
            Keep::Last(10),
            3 * post("a1").bytes(),
            &["a1", "b1", "a2", "a3"],
        );
        assert_eq!(replay(&mut some, ""), ["b1", "a2", "a3"]);
        some.trim(Duration::ZERO, Keep::None, u64::MAX);
        assert_eq!((some.len(), some.bytes()), (0, 0));
    }

    #[test]
    fn messages_of_an_earlier_generation_are_checked_again_once() {
        let mut some = kept(Keep::Last(1), u64::MAX, &["a1", "b1"]);
        let mut checks = 0;
        for expected in [(1, 1), (1, 0)] {
            let (posts, dropped) = some.replay(
                b"",
                2,
                2,
                |_| true,
                |body| {
                    checks += 1;
                    body[1] == b"b1"
                },
            );
            assert_eq!((posts.len(), dropped), expected);
        }
        assert_eq!(checks, 2);
    }
}
