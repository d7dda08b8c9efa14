//! Channels: their subscribers, the messages that each is still owed, and the messages that are
//! kept for later ones.
//!
//! A channel is bookkeeping beside [`pool`](crate::pool). It knows no socket, schema or clock: the
//! core gives it checked messages, and a [`Delivery`] that sends a message to a subscriber if its
//! connection has room. What has no room waits here, bounded for each subscriber, so that a slow
//! one delays nobody. For each subscriber, `matched` is always the sum of `sent`, `dropped` and the
//! messages that wait.

mod kept;
mod post;
mod prefixes;
mod waiting;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::frame::Frames;
use crate::ledger::{ChannelCounters, ChannelSample, SubscriberSample};
use crate::peer::{Headcount, PeerId, PeerName};
use crate::snapshot::{ChannelSettings, Keep};
use kept::Kept;
use post::Post;
use prefixes::{Prefixes, Subscribed};
use waiting::{Added, Waiting};

pub(crate) use prefixes::{
    PREFIX_MAX, PREFIXES_MAX, PREFIXES_PER_SUBSCRIBER_MAX, SubscriberId, SubscriptionFault,
};

/// The maximum number of prefixes of a subscriber in a sample, which a person can still read.
const PREFIXES_SHOWN_MAX: usize = 16;

/// A channel.
#[derive(Debug)]
pub(crate) struct Channel<M> {
    settings: Arc<ChannelSettings>,
    publishers: Vec<PeerId>,
    subscribers: Vec<Option<Subscriber<M>>>,
    free: Vec<SubscriberId>,
    prefixes: Prefixes,
    kept: Kept<M>,
    /// The generation from which on the routes to the channel are as they are now.
    routes_since: u64,
    /// The number of messages that wait for subscribers.
    waiting: u64,
    /// The memory of these messages, in bytes.
    waiting_bytes: u64,
    counters: ChannelCounters,
    /// The number of the message that is being published, counted from 1.
    published: u64,
}

#[derive(Debug)]
struct Subscriber<M> {
    peer: PeerId,
    headcount: Headcount,
    name: Arc<PeerName>,
    waiting: Waiting<M>,
    /// The number of the last message that matched, so that a message that matches several prefixes
    /// is sent once.
    last: u64,
    matched: u64,
    sent: u64,
    dropped: u64,
    /// The time of the last message that it took, or of its first one that had to wait since.
    took: Duration,
}

/// The way to subscribers.
pub(crate) trait Delivery<M> {
    /// Sends a message to a subscriber. Returns false if its connection has no room.
    fn send(&mut self, subscriber: PeerId, body: &M) -> bool;

    /// Moves a message that has to wait into memory of its own.
    fn settle(&mut self, body: M) -> M;

    /// Returns the number of bytes that may wait for one subscriber now, because memory is short,
    /// or `u64::MAX` while it is not.
    fn bytes_max(&self) -> u64;
}

/// The result of a publication.
#[derive(Debug, Default)]
pub(crate) struct Publication {
    /// The number of subscribers that the message matched.
    pub matched: usize,
    /// The subscribers that missed messages, with the number of messages.
    pub slow: Vec<(PeerId, u64)>,
    /// The subscribers that must be disconnected because they are slow.
    pub overflowed: Vec<PeerId>,
}

/// The result of a subscription.
#[derive(Debug, Default)]
pub(crate) struct Subscription {
    /// Nobody had subscribed to the prefix before.
    pub is_first: bool,
    /// The number of kept messages that the subscriber is sent.
    pub replayed: usize,
}

/// The conditions under which kept messages may be sent.
pub(crate) struct Replay<F> {
    /// The time since the start.
    pub now: Duration,
    /// The generation of the configuration in force.
    pub generation: u64,
    /// Returns whether a kept message still fits its route.
    pub fits: F,
}

impl<M: Frames> Channel<M> {
    /// Returns a channel without peers.
    pub(crate) fn new(settings: Arc<ChannelSettings>) -> Self {
        Self {
            settings,
            publishers: Vec::new(),
            subscribers: Vec::new(),
            free: Vec::new(),
            prefixes: Prefixes::default(),
            kept: Kept::default(),
            routes_since: 0,
            waiting: 0,
            waiting_bytes: 0,
            counters: ChannelCounters::default(),
            published: 0,
        }
    }

    /// Returns the settings.
    pub(crate) fn settings(&self) -> &ChannelSettings {
        &self.settings
    }

    /// Uses `settings` from now on, and drops the kept messages that they leave no room for.
    pub(crate) fn set_settings(&mut self, settings: Arc<ChannelSettings>, now: Duration) {
        self.settings = settings;
        if let Keep::Last(most) = self.settings.keep {
            self.kept.limit(most);
        }
        self.trim(now);
    }

    /// Records that the routes to the channel have changed in this generation: kept messages are
    /// checked again before they are sent.
    pub(crate) fn set_routes_changed(&mut self, generation: u64) {
        self.routes_since = generation;
    }

    /// Adds a publisher.
    pub(crate) fn publisher_came(&mut self, peer: PeerId) {
        self.publishers.push(peer);
    }

    /// Removes a publisher.
    pub(crate) fn publisher_gone(&mut self, peer: PeerId) {
        self.publishers.retain(|it| *it != peer);
    }

    /// Returns the name of a subscriber, if it is connected.
    pub(crate) fn name(&self, id: SubscriberId) -> Option<Arc<PeerName>> {
        let subscriber = self.subscribers.get(id.0).and_then(Option::as_ref);
        subscriber.map(|subscriber| Arc::clone(&subscriber.name))
    }

    /// Returns the publishers.
    pub(crate) fn publishers(&self) -> &[PeerId] {
        &self.publishers
    }

    /// Returns the prefixes that a new publisher is asked for.
    pub(crate) fn wanted(&self) -> Vec<Vec<u8>> {
        if self.settings.asks_for_all() {
            return vec![Vec::new()];
        }
        self.prefixes.union().map(<[u8]>::to_vec).collect()
    }

    /// Adds a subscriber, or a crowd of subscribers, which may subscribe to as many prefixes as all
    /// subscribers of a channel together.
    pub(crate) fn subscriber_came(
        &mut self,
        peer: PeerId,
        headcount: Headcount,
        name: Arc<PeerName>,
    ) -> SubscriberId {
        let subscriber = Some(Subscriber {
            peer,
            headcount,
            name,
            waiting: Waiting::default(),
            last: 0,
            matched: 0,
            sent: 0,
            dropped: 0,
            took: Duration::ZERO,
        });
        match self.free.pop() {
            Some(id) => {
                self.subscribers[id.0] = subscriber;
                id
            }
            None => {
                self.subscribers.push(subscriber);
                SubscriberId(self.subscribers.len() - 1)
            }
        }
    }

    /// Removes a subscriber, and drops what waits for it. Returns the prefixes to which nobody is
    /// subscribed any more.
    pub(crate) fn subscriber_gone(&mut self, id: SubscriberId) -> Vec<Vec<u8>> {
        self.give_up(id);
        let mut unwanted = Vec::new();
        if self
            .subscribers
            .get_mut(id.0)
            .and_then(Option::take)
            .is_some()
        {
            self.free.push(id);
            self.prefixes
                .remove(id, |prefix| unwanted.push(prefix.to_vec()));
        }
        unwanted
    }

    /// Drops the messages that wait for a subscriber, and returns their number.
    pub(crate) fn give_up(&mut self, id: SubscriberId) -> u64 {
        let Some(Some(subscriber)) = self.subscribers.get_mut(id.0) else {
            return 0;
        };
        let lost = subscriber.waiting.clear(&mut self.waiting_bytes);
        subscriber.dropped += lost;
        self.waiting -= lost;
        self.counters.dropped += lost;
        lost
    }

    /// Subscribes to a prefix. The subscriber first receives the kept messages that match, except
    /// those that it could have received already by another of its prefixes.
    ///
    /// # Errors
    ///
    /// Fails with the limit that the subscription would exceed.
    pub(crate) fn subscribe(
        &mut self,
        id: SubscriberId,
        prefix: &[u8],
        replay: Replay<impl FnMut(&M) -> bool>,
        delivery: &mut impl Delivery<M>,
    ) -> Result<Subscription, SubscriptionFault> {
        let subscriber = self.subscribers.get(id.0).and_then(Option::as_ref);
        let most = match subscriber.map(|subscriber| subscriber.headcount) {
            Some(Headcount::Crowd) => PREFIXES_MAX,
            Some(Headcount::One) | None => PREFIXES_PER_SUBSCRIBER_MAX,
        };
        let subscribed = self.prefixes.add(id, prefix, most)?;
        let mut result = Subscription {
            is_first: subscribed == Subscribed::FirstOfAll,
            ..Subscription::default()
        };
        if subscribed == Subscribed::Again || self.settings.keep == Keep::None {
            return Ok(result);
        }
        self.trim(replay.now);
        let prefixes = &self.prefixes;
        let (posts, unfit) = self.kept.replay(
            prefix,
            self.routes_since,
            replay.generation,
            |kind| !prefixes.has_another(id, kind, prefix),
            replay.fits,
        );
        self.counters.unfit += unfit;
        result.replayed = posts.len();
        if let Some(Some(subscriber)) = self.subscribers.get_mut(id.0) {
            let before = subscriber.waiting.len();
            let dropped = subscriber.replay(
                &posts,
                replay.now,
                self.settings.keep_bytes,
                &mut self.waiting_bytes,
                delivery,
            );
            self.waiting += (subscriber.waiting.len() - before) as u64;
            let sent = posts.len() as u64 - dropped;
            self.counters.matched += posts.len() as u64;
            self.counters.dropped += dropped;
            self.counters.sent += sent - (subscriber.waiting.len() - before) as u64;
        }
        Ok(result)
    }

    /// Cancels a subscription to a prefix, if there is one. Returns whether nobody is subscribed to
    /// the prefix any more.
    pub(crate) fn cancel(&mut self, id: SubscriberId, prefix: &[u8]) -> bool {
        self.prefixes.cancel(id, prefix)
    }

    /// Sends a message to every subscriber with a matching prefix. `kind_length` is the length of
    /// the type, with which its first frame begins, and `generation` that of the configuration by
    /// which the message was checked.
    pub(crate) fn publish(
        &mut self,
        body: M,
        kind_length: usize,
        (now, generation): (Duration, u64),
        delivery: &mut impl Delivery<M>,
    ) -> Publication {
        self.published += 1;
        self.counters.published += 1;
        let mut result = Publication::default();
        let mut late = Vec::new();
        let number = self.published;
        let (subscribers, counters) = (&mut self.subscribers, &mut self.counters);
        let first = body.get(0).unwrap_or_default();
        self.prefixes.matching(first, |id| {
            let Some(Some(subscriber)) = subscribers.get_mut(id.0) else {
                return;
            };
            if subscriber.last == number {
                return;
            }
            subscriber.last = number;
            subscriber.matched += 1;
            result.matched += 1;
            if subscriber.waiting.is_empty() && delivery.send(subscriber.peer, &body) {
                subscriber.sent += 1;
                counters.sent += 1;
            } else {
                late.push(id);
            }
        });
        counters.matched += result.matched as u64;
        let keeps = self.settings.keep != Keep::None;
        if !late.is_empty() || keeps {
            let post = Rc::new(Post::new(delivery.settle(body), kind_length));
            let bytes_max = delivery.bytes_max().min(self.settings.subscriber_bytes);
            for id in late {
                self.wait(id, &post, (now, bytes_max), &mut result);
            }
            if keeps {
                let (keep, bytes) = (self.settings.keep, self.settings.keep_bytes);
                self.kept.add(&post, now, generation, keep, bytes);
            }
        }
        result
    }

    /// Adds a message to those that wait for a subscriber, which are at most `bytes_max` bytes.
    fn wait(
        &mut self,
        id: SubscriberId,
        post: &Rc<Post<M>>,
        (now, bytes_max): (Duration, u64),
        to: &mut Publication,
    ) {
        let Some(Some(subscriber)) = self.subscribers.get_mut(id.0) else {
            return;
        };
        if subscriber.waiting.is_empty() {
            subscriber.took = now;
        }
        let before = subscriber.waiting.len() as u64;
        let (slow, memory) = (self.settings.slow, &mut self.waiting_bytes);
        let dropped = match subscriber.waiting.add(post, slow, bytes_max, memory) {
            Added::Dropped(dropped) => dropped,
            Added::Overflow => {
                to.overflowed.push(subscriber.peer);
                1
            }
        };
        subscriber.dropped += dropped;
        self.counters.dropped += dropped;
        self.waiting = self.waiting + subscriber.waiting.len() as u64 - before;
        if dropped > 0 {
            to.slow.push((subscriber.peer, dropped));
        }
    }

    /// Sends a subscriber messages that wait for it, as long as its connection has room.
    pub(crate) fn writable(
        &mut self,
        id: SubscriberId,
        now: Duration,
        delivery: &mut impl Delivery<M>,
    ) {
        let Some(Some(subscriber)) = self.subscribers.get_mut(id.0) else {
            return;
        };
        while let Some(post) = subscriber.waiting.front() {
            if !delivery.send(subscriber.peer, post.body()) {
                break;
            }
            subscriber.waiting.take(&mut self.waiting_bytes);
            subscriber.took = now;
            subscriber.sent += 1;
            self.counters.sent += 1;
            self.waiting -= 1;
        }
    }

    /// Counts the time for which subscribers take nothing from `now` on.
    pub(crate) fn begin_to_wait(&mut self, now: Duration) {
        for subscriber in self.subscribers.iter_mut().flatten() {
            subscriber.took = now;
        }
    }

    /// Gives up the subscribers that have taken nothing since `since`, although messages wait for
    /// them. Returns the number of messages that they miss.
    pub(crate) fn give_up_stalled(&mut self, since: Duration) -> u64 {
        let stalled = |it: &Option<Subscriber<M>>| {
            let it = it.as_ref();
            it.is_some_and(|it| !it.waiting.is_empty() && it.took <= since)
        };
        let subscribers = self.subscribers.iter().enumerate();
        let stalled = subscribers.filter(|(_, it)| stalled(it));
        let stalled: Vec<_> = stalled.map(|(id, _)| SubscriberId(id)).collect();
        stalled.into_iter().map(|id| self.give_up(id)).sum()
    }

    /// Returns the number of messages that wait for subscribers.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Returns whether messages wait for a subscriber.
    pub(crate) fn is_owed(&self, id: SubscriberId) -> bool {
        let subscriber = self.subscribers.get(id.0).and_then(Option::as_ref);
        subscriber.is_some_and(|subscriber| !subscriber.waiting.is_empty())
    }

    /// Returns the memory of subscriptions, kept messages and messages that wait, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.prefixes.bytes() + self.kept.bytes() + self.waiting_bytes
    }

    /// Returns a copy of the counters and gauges, with at most `most` subscribers.
    pub(crate) fn sample(&self, most: usize) -> ChannelSample {
        let subscribers = self.subscribers.iter().enumerate();
        let subscribers = subscribers.filter_map(|(id, it)| Some((SubscriberId(id), it.as_ref()?)));
        ChannelSample {
            counters: self.counters.clone(),
            publishers: self.publishers.len(),
            subscribers: self.subscribers.len() - self.free.len(),
            waiting: self.waiting,
            waiting_bytes: self.waiting_bytes,
            kept: self.kept.len(),
            kept_bytes: self.kept.bytes(),
            shown: subscribers
                .take(most)
                .map(|(id, it)| self.subscriber_sample(id, it))
                .collect(),
        }
    }

    fn subscriber_sample(&self, id: SubscriberId, it: &Subscriber<M>) -> SubscriberSample {
        let mut prefixes: Vec<_> = self.prefixes.of(id).take(PREFIXES_SHOWN_MAX).collect();
        prefixes.sort_unstable();
        SubscriberSample {
            name: Arc::clone(&it.name),
            prefixes: prefixes.into_iter().map(<[u8]>::to_vec).collect(),
            prefix_count: self.prefixes.count_of(id),
            matched: it.matched,
            sent: it.sent,
            dropped: it.dropped,
            waiting: it.waiting.len(),
            waiting_bytes: it.waiting.bytes(),
        }
    }

    fn trim(&mut self, now: Duration) {
        let (keep, bytes_max) = (self.settings.keep, self.settings.keep_bytes);
        self.kept.trim(now, keep, bytes_max);
    }
}

impl<M: Frames> Subscriber<M> {
    /// Sends kept messages, or adds them to those that wait, where at most `bytes_max` bytes of
    /// kept messages may wait. Returns the number of messages that were dropped.
    fn replay(
        &mut self,
        posts: &[Rc<Post<M>>],
        now: Duration,
        bytes_max: u64,
        memory: &mut u64,
        delivery: &mut impl Delivery<M>,
    ) -> u64 {
        let mut dropped = 0;
        self.matched += posts.len() as u64;
        for post in posts {
            if self.waiting.is_empty() && delivery.send(self.peer, post.body()) {
                self.sent += 1;
            } else if self.waiting.kept_bytes() + post.bytes() > bytes_max {
                dropped += 1;
            } else {
                if self.waiting.is_empty() {
                    self.took = now;
                }
                self.waiting.add_kept(post, memory);
            }
        }
        self.dropped += dropped;
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::post::Frame;
    use super::*;
    use crate::snapshot::{ChannelFrames, ChannelSide, Slow, Upstream};

    /// A delivery to subscribers that have no room.
    struct Nowhere {
        bytes_max: u64,
    }

    impl Delivery<Vec<Frame>> for Nowhere {
        fn send(&mut self, _: PeerId, _: &Vec<Frame>) -> bool {
            false
        }

        fn settle(&mut self, body: Vec<Frame>) -> Vec<Frame> {
            body
        }

        fn bytes_max(&self) -> u64 {
            self.bytes_max
        }
    }

    #[test]
    fn less_waits_for_a_subscriber_while_memory_is_short() {
        let settings = ChannelSettings {
            name: "ticks".into(),
            publishers: ChannelSide::default(),
            subscribers: ChannelSide::default(),
            keep: Keep::None,
            keep_bytes: 0,
            slow: Slow::DropNew,
            subscriber_bytes: 1 << 20,
            upstream: Upstream::Auto,
            frames: ChannelFrames::Typed,
        };
        let mut channel = Channel::new(Arc::new(settings));
        let subscriber = channel.subscriber_came(PeerId(1), Headcount::One, Arc::default());
        let publish = |channel: &mut Channel<Vec<Frame>>, bytes_max| {
            let body = vec![b"a".to_vec(), b"1".to_vec()];
            let published =
                channel.publish(body, 1, (Duration::ZERO, 1), &mut Nowhere { bytes_max });
            (published.matched, published.slow.len())
        };
        assert_eq!(publish(&mut channel, u64::MAX), (0, 0));
        let replay = Replay {
            now: Duration::ZERO,
            generation: 1,
            fits: |_: &Vec<Frame>| true,
        };
        let nowhere = &mut Nowhere { bytes_max: 0 };
        assert!(channel.subscribe(subscriber, b"", replay, nowhere).is_ok());
        assert_eq!(publish(&mut channel, u64::MAX), (1, 0));
        assert_eq!(publish(&mut channel, 2 * post::post("a1").bytes()), (1, 0));
        assert_eq!(publish(&mut channel, 2 * post::post("a1").bytes()), (1, 1));
        assert_eq!(channel.waiting(), 2);
    }
}
