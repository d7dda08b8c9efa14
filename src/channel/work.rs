//! The tasks of a channel, each of which may be done in several parts.

use std::time::Duration;

use super::kept::{CollectionEnd, Conditions, Fit};
use super::publisher::SubscriptionChange;
use super::subscriber::Backlog;
use super::task::{Task, Undecided};
use super::{Channel, Delivery, SubscriberId};
use crate::frame::Frames;
use crate::peer::PeerId;

/// The work of sending this number of bytes of a large message equals the work of sending one small
/// message.
const BYTES_PER_MESSAGE: u64 = 4 << 10;

/// The work of removing one prefix of a subscriber, in units of the work of sending a small
/// message. Removing the prefix changes several trees, most of whose nodes may be in no cache of
/// the processor.
const REMOVAL_WORK: usize = 16;

impl<M: Frames> Channel<M> {
    /// Returns whether [`Self::go_on`] has something to do.
    pub(crate) fn has_work(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// Continues the tasks until the amount `work` is done or no task is left. The unit is the work
    /// of sending a small message. Returns the amount that was done.
    pub(crate) fn go_on(
        &mut self,
        work: usize,
        conditions: &mut Conditions<impl FnMut(&M, &mut usize) -> Fit>,
        delivery: &mut impl Delivery<M>,
    ) -> usize {
        let mut left = work;
        while left > 0
            && let Some(task) = self.tasks.pop_front()
        {
            let before = left;
            match task {
                Task::SubscribeAt(publisher) => self.subscribe_at(publisher, delivery, &mut left),
                Task::Serve(id) => self.serve(id, conditions, delivery, &mut left),
                Task::Drop(backlog) => self.drop_backlog(backlog, &mut left),
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

    /// Records that a publisher's connection, which was full, has room for subscriptions again.
    pub(crate) fn publisher_writable(&mut self, peer: PeerId) {
        self.subscribe_later(peer);
    }

    /// Records that a subscriber's connection, which was full, has room for messages again.
    pub(crate) fn subscriber_writable(&mut self, id: SubscriberId) {
        self.serve_later(id);
    }

    /// Adds the task of sending changes of subscriptions to a publisher, unless the task exists.
    pub(super) fn subscribe_later(&mut self, peer: PeerId) {
        if let Some(publisher) = self.publishers.get_mut(&peer)
            && !std::mem::replace(&mut publisher.is_queued, true)
        {
            self.tasks.push_back(Task::SubscribeAt(peer));
        }
    }

    /// Adds the task of serving a subscriber, unless the task exists.
    pub(super) fn serve_later(&mut self, id: SubscriberId) {
        if let Some(Some(subscriber)) = self.subscribers.get_mut(id.0)
            && !std::mem::replace(&mut subscriber.is_queued, true)
        {
            self.tasks.push_back(Task::Serve(id));
        }
    }

    /// Adds the task of dropping kept messages if they exceed the limits, unless the task exists.
    pub(super) fn trim_later(&mut self, now: Duration) {
        let (keep, bytes) = (self.settings.keep, self.settings.keep_bytes);
        if !self.is_trimming && self.kept.has_surplus(now, keep, bytes) {
            self.is_trimming = true;
            self.tasks.push_back(Task::Trim);
        }
    }

    fn subscribe_at(&mut self, peer: PeerId, delivery: &mut impl Delivery<M>, left: &mut usize) {
        let for_all = self.settings.wants_all();
        let Some(publisher) = self.publishers.get_mut(&peer) else {
            return;
        };
        publisher.is_queued = false;
        while *left > 0 {
            if !delivery.has_room_for_subscription(peer) {
                return;
            }
            let change = publisher.next_change(for_all, &self.prefixes);
            let Some(SubscriptionChange { prefix, wanted }) = change else {
                return;
            };
            *left -= 1;
            delivery.set_subscription(peer, &prefix, wanted);
        }
        self.subscribe_later(peer);
    }

    fn serve(
        &mut self,
        id: SubscriberId,
        conditions: &mut Conditions<impl FnMut(&M, &mut usize) -> Fit>,
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
        while let Some(post) = subscriber.backlog.front() {
            if *left == 0 {
                return self.serve_later(id);
            }
            let size = post.bytes() / BYTES_PER_MESSAGE;
            *left = left.saturating_sub(1 + usize::try_from(size).unwrap_or(usize::MAX));
            if !delivery.send(subscriber.peer, post.body()) {
                return;
            }
            subscriber.backlog.pop(&mut self.waiting_bytes);
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
        conditions: &mut Conditions<impl FnMut(&M, &mut usize) -> Fit>,
        left: &mut usize,
    ) -> bool {
        let Some(Some(subscriber)) = self.subscribers.get_mut(id.0) else {
            return true;
        };
        if subscriber.backlog.is_empty() {
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
                let is_queued = subscriber.backlog.add_kept(number, post, bytes_max, memory);
                dropped += u64::from(!is_queued);
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
                let is_being_judged = self.awaiting.iter().any(|(_, other)| *other == number);
                self.awaiting.push((id, number));
                if !is_being_judged {
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

    /// Removes and returns the next kept message that a judge has to check.
    pub(crate) fn next_undecided(&mut self) -> Option<Undecided<M>> {
        self.undecided.pop_front()
    }

    /// Records the verdict of a judge on the kept message with this number. The judge has checked
    /// the message against its route's schema in the configuration of this generation.
    pub(crate) fn kept_judged(&mut self, number: u64, generation: u64, fits: bool) {
        self.counters.unfit += u64::from(self.kept.judged(number, generation, fits));
        let awaiting = std::mem::take(&mut self.awaiting).into_iter();
        let (judged, others): (Vec<_>, _) = awaiting.partition(|(_, other)| *other == number);
        self.awaiting = others;
        for (id, _) in judged {
            self.serve_later(id);
        }
    }

    fn drop_backlog(&mut self, mut backlog: Box<Backlog<M>>, left: &mut usize) {
        while *left > 0 && backlog.pop(&mut self.waiting_bytes) {
            *left -= 1;
        }
        if !backlog.is_empty() {
            self.tasks.push_back(Task::Drop(backlog));
        }
    }

    fn forget(&mut self, id: SubscriberId, delivery: &mut impl Delivery<M>, left: &mut usize) {
        while *left > 0 {
            *left = left.saturating_sub(REMOVAL_WORK);
            let Some((prefix, is_last)) = self.prefixes.remove_one(id) else {
                self.free.push(id);
                return;
            };
            if is_last {
                let publishers = self.set_at_publishers(&prefix, false, delivery);
                *left = left.saturating_sub(publishers);
            }
        }
        self.tasks.push_back(Task::Forget(id));
    }
}
