//! Adds and cancels subscriptions, begins to collect kept messages for new subscriptions, and sends
//! subscriptions to publishers.

use std::collections::VecDeque;
use std::time::Duration;

use super::Channel;
use super::delivery::Delivery;
use super::prefix_index::SubscriberId;
use super::prefixes::{PREFIXES_MAX, PREFIXES_PER_SUBSCRIBER_MAX, Subscribed, SubscriptionFault};
use super::subscriber::Change;
use crate::frame::Frames;
use crate::peer::{Headcount, PeerId};
use crate::snapshot::Keep;

impl<M: Frames> Channel<M> {
    /// Subscribes to a prefix. The subscriber first receives the kept messages that match, except
    /// messages that also match another of its prefixes. The next calls of [`Self::go_on`] send the
    /// kept messages. A subscription that arrives meanwhile is deferred.
    ///
    /// # Errors
    ///
    /// Fails with the limit that the subscription would exceed.
    pub(crate) fn subscribe(
        &mut self,
        id: SubscriberId,
        prefix: &[u8],
        now: Duration,
        delivery: &mut impl Delivery<M>,
    ) -> Result<(), SubscriptionFault> {
        let Some(Some(subscriber)) = self.subscribers.get_mut(id.0) else {
            return Ok(());
        };
        if subscriber.is_collecting {
            subscriber
                .deferred
                .push_back(Change::Subscribe(prefix.to_vec()));
            return Ok(());
        }
        let prefixes_max = match subscriber.headcount {
            Headcount::Unknown => PREFIXES_MAX,
            Headcount::One => PREFIXES_PER_SUBSCRIBER_MAX,
        };
        let bytes_max = delivery.bytes_max();
        let subscribed = self.prefixes.add(id, prefix, prefixes_max, bytes_max)?;
        if subscribed != Subscribed::Again && self.settings.keep != Keep::None {
            subscriber.is_collecting = true;
            self.kept.begin(id, prefix, now, self.settings.keep);
            self.serve_later(id);
            self.trim_later(now);
        }
        if subscribed == Subscribed::FirstOfAll {
            self.set_at_publishers(prefix, true, delivery);
        }
        Ok(())
    }

    /// Cancels a subscription to a prefix, if there is one. While kept messages are collected for
    /// the subscriber, the cancellation is deferred.
    pub(crate) fn cancel(
        &mut self,
        id: SubscriberId,
        prefix: &[u8],
        delivery: &mut impl Delivery<M>,
    ) {
        if let Some(Some(subscriber)) = self.subscribers.get_mut(id.0)
            && subscriber.is_collecting
        {
            subscriber
                .deferred
                .push_back(Change::Cancel(prefix.to_vec()));
        } else if self.prefixes.cancel(id, prefix) {
            self.set_at_publishers(prefix, false, delivery);
        }
    }

    /// Marks a subscriber as held if kept messages are being collected for it, because changes of
    /// its subscriptions are deferred meanwhile. Returns true if the mark is new: no message must
    /// be read from the subscriber until [`Self::next_changes`] returns the subscriber.
    pub(crate) fn hold(&mut self, id: SubscriberId) -> bool {
        let Some(Some(subscriber)) = self.subscribers.get_mut(id.0) else {
            return false;
        };
        let was_held = subscriber.is_held;
        subscriber.is_held |= subscriber.is_collecting;
        subscriber.is_held && !was_held
    }

    /// Returns a subscriber for which kept messages are no longer collected, and the changes of its
    /// subscriptions that were deferred. Returns `None` if there is no such subscriber.
    pub(crate) fn next_changes(&mut self) -> Option<(PeerId, VecDeque<Change>)> {
        self.changes.pop_front()
    }

    /// Subscribes at publishers to a prefix that has got its first subscriber, or cancels the
    /// subscription to a prefix that has lost its last subscriber. Skips publishers that need not
    /// receive the change, or that later receive it from their task. Returns the number of all
    /// publishers, which counts as work.
    pub(super) fn set_at_publishers(
        &mut self,
        prefix: &[u8],
        wanted: bool,
        delivery: &mut impl Delivery<M>,
    ) -> usize {
        for (peer, publisher) in &self.publishers {
            if publisher.concerns(prefix) {
                delivery.set_subscription(*peer, prefix, wanted);
            }
        }
        self.publishers.len()
    }
}
