//! The work of a channel that is done in parts.

use std::time::Duration;

use super::asked::Request;
use super::kept::{CollectionEnd, Conditions, Fit};
use super::subscriber::Owed;
use super::task::{Task, Undecided};
use super::{Channel, Delivery, SubscriberId};
use crate::frame::Frames;
use crate::peer::PeerId;

/// The number of bytes of a large message that take as much work to send as one small message.
const BYTES_OF_A_MESSAGE: u64 = 4 << 10;

impl<M: Frames> Channel<M> {
    /// Returns whether [`Self::go_on`] has something to do.
    pub(crate) fn has_work(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Continues the tasks, for at most the time that sending `work` small messages takes. Returns
    /// the work that was done, in small messages.
    pub(crate) fn go_on(
        &mut self,
        work: usize,
        conditions: &mut Conditions<impl FnMut(&M) -> Fit>,
        delivery: &mut impl Delivery<M>,
    ) -> usize {
        let mut left = work;
        while left > 0
            && let Some(task) = self.tasks.pop_front()
        {
            let before = left;
            match task {
                Task::Ask(publisher) => self.ask(publisher, delivery, &mut left),
                Task::Serve(id) => self.serve(id, conditions, delivery, &mut left),
                Task::Drop(owed) => self.drop_owed(owed, &mut left),
                Task::Forget(id) => self.forget(id, delivery, &mut left),
                Task::Trim => {
                    let (keep, bytes) = (self.settings.keep, self.settings.keep_bytes);
                    self.kept.trim(conditions.now, keep, bytes, &mut left);
                    self.is_trimming = false;
                    self.trim_later(conditions.now);
                }
            }
            left = left.min(before - 1);
        }
        work - left
    }

    /// Records that a publisher that had no room has room again.
    pub(crate) fn publisher_writable(&mut self, peer: PeerId) {
        self.ask_later(peer);
    }

    /// Records that a subscriber that had no room has room again.
    pub(crate) fn subscriber_writable(&mut self, id: SubscriberId) {
        self.serve_later(id);
    }

    /// Adds the task of changing the subscriptions at a publisher, unless there is one.
    pub(super) fn ask_later(&mut self, peer: PeerId) {
        if let Some(asked) = self.publishers.get_mut(&peer)
            && !std::mem::replace(&mut asked.is_queued, true)
        {
            self.tasks.push_back(Task::Ask(peer));
        }
    }

    /// Adds the task of serving a subscriber, unless there is one.
    pub(super) fn serve_later(&mut self, id: SubscriberId) {
        if let Some(Some(subscriber)) = self.subscribers.get_mut(id.0)
            && !std::mem::replace(&mut subscriber.is_queued, true)
        {
            self.tasks.push_back(Task::Serve(id));
        }
    }

    /// Adds the task of dropping kept messages, if one is needed and there is none.
    pub(super) fn trim_later(&mut self, now: Duration) {
        let (keep, bytes) = (self.settings.keep, self.settings.keep_bytes);
        if !self.is_trimming && self.kept.has_surplus(now, keep, bytes) {
            self.is_trimming = true;
            self.tasks.push_back(Task::Trim);
        }
    }

    fn ask(&mut self, publisher: PeerId, delivery: &mut impl Delivery<M>, left: &mut usize) {
        let for_all = self.settings.asks_for_all();
        let Some(asked) = self.publishers.get_mut(&publisher) else {
            return;
        };
        asked.is_queued = false;
        while *left > 0 {
            if !delivery.has_room_to_ask(publisher) {
                return;
            }
            let Some(Request { prefix, wanted }) = asked.next(for_all, &self.prefixes) else {
                return;
            };
            *left -= 1;
            delivery.ask(publisher, &prefix, wanted);
        }
        self.ask_later(publisher);
    }

    fn serve(
        &mut self,
        id: SubscriberId,
        conditions: &mut Conditions<impl FnMut(&M) -> Fit>,
        delivery: &mut impl Delivery<M>,
        left: &mut usize,
    ) {
        let Some(Some(subscriber)) = self.subscribers.get_mut(id.0) else {
            return;
        };
        subscriber.is_queued = false;
        if subscriber.is_collecting && !self.collect(id, conditions, left) {
            return;
        }
        let Some(Some(subscriber)) = self.subscribers.get_mut(id.0) else {
            return;
        };
        while let Some(post) = subscriber.owed.front() {
            if *left == 0 {
                return self.serve_later(id);
            }
            let size = post.bytes() / BYTES_OF_A_MESSAGE;
            *left = left.saturating_sub(1 + usize::try_from(size).unwrap_or(usize::MAX));
            if !delivery.send(subscriber.peer, post.body()) {
                return;
            }
            subscriber.owed.pop(&mut self.waiting_bytes);
            subscriber.took = conditions.now;
            subscriber.sent += 1;
            self.counters.sent += 1;
            self.waiting -= 1;
        }
    }

    /// Continues to collect kept messages for a subscriber. Returns true if the collection is
    /// complete.
    fn collect(
        &mut self,
        id: SubscriberId,
        conditions: &mut Conditions<impl FnMut(&M) -> Fit>,
        left: &mut usize,
    ) -> bool {
        let Some(Some(subscriber)) = self.subscribers.get_mut(id.0) else {
            return true;
        };
        if subscriber.owed.is_empty() {
            subscriber.took = conditions.now;
        }
        let (bytes_max, memory) = (self.settings.keep_bytes, &mut self.waiting_bytes);
        let (mut matched, mut dropped) = (0, 0);
        let prefixes = &self.prefixes;
        let collected = self.kept.collect(
            id,
            conditions,
            |kind, prefix| !prefixes.has_another(id, kind, prefix),
            left,
            |number, post| {
                matched += 1;
                let waits = subscriber.owed.add_kept(number, post, bytes_max, memory);
                dropped += u64::from(!waits);
            },
        );
        subscriber.matched += matched;
        subscriber.dropped += dropped;
        self.waiting += matched - dropped;
        self.counters.matched += matched;
        self.counters.dropped += dropped;
        self.counters.unfit += collected.unfit;
        let peer = subscriber.peer;
        match collected.end {
            CollectionEnd::Complete => {
                if let Some(deferred) = subscriber.end_collection() {
                    self.changes.push_back((peer, deferred));
                }
                return true;
            }
            CollectionEnd::Paused => self.serve_later(id),
            CollectionEnd::Undecided(number, post) => {
                let is_at_judge = self.awaiting.iter().any(|(_, other)| *other == number);
                self.awaiting.push((id, number));
                if !is_at_judge {
                    self.undecided.push_back(Undecided {
                        subscriber: peer,
                        number,
                        post,
                    });
                }
            }
        }
        false
    }

    /// Removes and returns the next kept message that has to be judged.
    pub(crate) fn next_undecided(&mut self) -> Option<Undecided<M>> {
        self.undecided.pop_front()
    }

    /// Records the verdict of a judge on a kept message, by the configuration of this generation.
    pub(crate) fn kept_judged(&mut self, number: u64, generation: u64, fits: bool) {
        self.counters.unfit += u64::from(self.kept.judged(number, generation, fits));
        let awaiting = std::mem::take(&mut self.awaiting).into_iter();
        let (judged, others): (Vec<_>, _) = awaiting.partition(|(_, other)| *other == number);
        self.awaiting = others;
        for (id, _) in judged {
            self.serve_later(id);
        }
    }

    fn drop_owed(&mut self, mut owed: Box<Owed<M>>, left: &mut usize) {
        while *left > 0 && owed.pop(&mut self.waiting_bytes) {
            *left -= 1;
        }
        if !owed.is_empty() {
            self.tasks.push_back(Task::Drop(owed));
        }
    }

    fn forget(&mut self, id: SubscriberId, delivery: &mut impl Delivery<M>, left: &mut usize) {
        while *left > 0 {
            *left -= 1;
            let Some((prefix, is_last)) = self.prefixes.remove_one(id) else {
                self.free.push(id);
                return;
            };
            if is_last {
                let asked = self.ask_all(&prefix, false, delivery);
                *left = left.saturating_sub(asked);
            }
        }
        self.tasks.push_back(Task::Forget(id));
    }
}
