//! Channels: their subscribers, the messages that wait for each subscriber, and the messages that
//! are kept for later subscribers.
//!
//! Like a [`pool`](crate::pool), a channel knows no socket, schema or clock. The core passes it
//! checked messages, and a [`Delivery`] that sends a message to a subscriber if its connection has
//! room. Messages for which there is no room are queued here. The queue of each subscriber is
//! bounded, so a slow subscriber delays no other. For each subscriber, `matched` is always the sum
//! of `sent`, `dropped` and the messages that wait.
//!
//! Work that may take long is done in parts, which [`Channel::go_on`] continues as long as its
//! caller has time: sending kept messages to a new subscriber, sending waiting messages to a
//! subscriber that reads again, subscribing at a new publisher, and removing messages and
//! subscriptions that are no longer needed.

mod kept;
mod post;
mod prefix_index;
mod prefixes;
mod publisher;
mod subscriber;
mod task;
mod waiting;
mod work;

use std::collections::{BTreeMap, VecDeque};
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
use publisher::Publisher;
use subscriber::Subscriber;
use task::Task;
use waiting::Added;

pub(crate) use kept::{Conditions, Fit};
pub(crate) use prefix_index::{PREFIX_MAX, SubscriberId};
pub(crate) use prefixes::{PREFIXES_MAX, PREFIXES_PER_SUBSCRIBER_MAX, SubscriptionFault};
pub(crate) use subscriber::Change;
pub(crate) use task::Undecided;

/// The maximum number of prefixes of a subscriber in a sample: as many as a person can read.
const PREFIXES_SHOWN_MAX: usize = 16;

/// A channel.
#[derive(Debug)]
pub(crate) struct Channel<M> {
    settings: Arc<ChannelSettings>,
    publishers: BTreeMap<PeerId, Publisher>,
    subscribers: Vec<Option<Subscriber<M>>>,
    /// The number of connected subscribers.
    connected: usize,
    /// The ids of disconnected subscribers whose subscriptions have been removed, for reuse.
    free: Vec<SubscriberId>,
    prefixes: Prefixes,
    kept: Kept<M>,
    /// The number of messages that wait for subscribers.
    waiting: u64,
    /// The memory of the messages that wait for subscribers, in bytes.
    waiting_bytes: u64,
    counters: ChannelCounters,
    /// The number of the message that is being published, counted from 1.
    published: u64,
    /// The tasks in progress, which take turns.
    tasks: VecDeque<Task<M>>,
    /// True if `tasks` has the task that drops kept messages.
    is_trimming: bool,
    /// The subscribers for which the collection of kept messages waits until a judge has checked a
    /// message, each with the number of that message.
    awaiting: Vec<(SubscriberId, u64)>,
    /// The kept messages that a judge has to check.
    undecided: VecDeque<Undecided<M>>,
    /// The changes of subscriptions that were deferred during a collection of kept messages, and
    /// that can be made now.
    changes: VecDeque<(PeerId, VecDeque<Change>)>,
}

/// The means of reaching the peers of a channel.
pub(crate) trait Delivery<M> {
    /// Sends a message to a subscriber. Returns false if its connection has no room.
    fn send(&mut self, subscriber: PeerId, body: &M) -> bool;

    /// Moves a message into memory of its own, because the message has to wait.
    fn settle(&mut self, body: M) -> M;

    /// Returns the maximum size in bytes of the messages queued for one subscriber while memory is
    /// short. Otherwise returns `u64::MAX`.
    fn bytes_max(&self) -> u64;

    /// Subscribes at a publisher to a prefix, or, if `wanted` is false, cancels that subscription.
    fn set_subscription(&mut self, publisher: PeerId, prefix: &[u8], wanted: bool);

    /// Returns whether the connection of a publisher has room for a subscription that may be sent
    /// later.
    fn has_room_for_subscription(&mut self, publisher: PeerId) -> bool;
}

/// The result of a publication.
#[derive(Debug, Default)]
pub(crate) struct Publication {
    /// The work of the publication: the number of matched subscribers, plus the number of look-ups
    /// that found them, plus the number of dropped messages.
    pub work: usize,
    /// The subscribers that missed messages, with the number of messages.
    pub slow: Vec<(PeerId, u64)>,
    /// The subscribers that must be disconnected because they are slow.
    pub overflowed: Vec<PeerId>,
}

impl<M: Frames> Channel<M> {
    /// Returns a channel without peers.
    pub(crate) fn new(settings: Arc<ChannelSettings>) -> Self {
        Self {
            settings,
            publishers: BTreeMap::new(),
            subscribers: Vec::new(),
            connected: 0,
            free: Vec::new(),
            prefixes: Prefixes::default(),
            kept: Kept::default(),
            waiting: 0,
            waiting_bytes: 0,
            counters: ChannelCounters::default(),
            published: 0,
            tasks: VecDeque::new(),
            is_trimming: false,
            awaiting: Vec::new(),
            undecided: VecDeque::new(),
            changes: VecDeque::new(),
        }
    }

    /// Returns the settings.
    pub(crate) fn settings(&self) -> &Arc<ChannelSettings> {
        &self.settings
    }

    /// Uses `settings` from now on. The next calls of [`Self::go_on`] drop the kept messages that
    /// exceed the new limits, and change the subscriptions at publishers.
    pub(crate) fn set_settings(&mut self, settings: Arc<ChannelSettings>, now: Duration) {
        let previous = std::mem::replace(&mut self.settings, settings);
        if previous.keep != self.settings.keep {
            self.kept.limit();
        }
        self.trim_later(now);
        if previous.wants_all() != self.settings.wants_all() {
            let publishers: Vec<_> = self.publishers.keys().copied().collect();
            for publisher in publishers {
                self.subscribe_later(publisher);
            }
        }
    }

    /// Returns whether the channel keeps any message.
    pub(crate) fn has_kept(&self) -> bool {
        self.kept.len() > 0
    }

    /// Records that the routes to the channel have changed in this generation: kept messages are
    /// checked again before they are sent.
    pub(crate) fn set_routes_changed(&mut self, generation: u64) {
        self.kept.set_routes_changed(generation);
    }

    /// Adds a publisher. The next calls of [`Self::go_on`] subscribe at it.
    pub(crate) fn add_publisher(&mut self, peer: PeerId) {
        self.publishers.insert(peer, Publisher::new());
        self.subscribe_later(peer);
    }

    /// Removes a publisher.
    pub(crate) fn remove_publisher(&mut self, peer: PeerId) {
        self.publishers.remove(&peer);
    }

    /// Returns the name of a subscriber, if it is connected.
    pub(crate) fn name(&self, id: SubscriberId) -> Option<Arc<PeerName>> {
        let subscriber = self.subscribers.get(id.0).and_then(Option::as_ref);
        subscriber.map(|subscriber| Arc::clone(&subscriber.name))
    }

    /// Adds a subscriber or, if `headcount` is unknown, any number of subscribers that the engine
    /// cannot distinguish. One subscriber may subscribe to [`PREFIXES_PER_SUBSCRIBER_MAX`]
    /// prefixes, and subscribers that cannot be distinguished to [`PREFIXES_MAX`] together.
    pub(crate) fn add_subscriber(
        &mut self,
        peer: PeerId,
        headcount: Headcount,
        name: Arc<PeerName>,
    ) -> SubscriberId {
        self.connected += 1;
        let subscriber = Some(Subscriber::new(peer, headcount, name));
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

    /// Removes a subscriber, and drops the messages that wait for it. The next calls of
    /// [`Self::go_on`] remove its subscriptions.
    pub(crate) fn remove_subscriber(&mut self, id: SubscriberId) {
        self.give_up(id);
        let place = self.subscribers.get_mut(id.0);
        if place.and_then(Option::take).is_some() {
            self.connected -= 1;
            self.tasks.push_back(Task::Forget(id));
        }
    }

    /// Drops the messages queued for a subscriber, ends its collection of kept messages, and
    /// returns the number of dropped messages. The next calls of [`Self::go_on`] free their memory.
    pub(crate) fn give_up(&mut self, id: SubscriberId) -> u64 {
        let Some(Some(subscriber)) = self.subscribers.get_mut(id.0) else {
            return 0;
        };
        if subscriber.is_collecting {
            self.kept.end(id);
            if let Some(deferred) = subscriber.end_collection() {
                self.changes.push_back((subscriber.peer, deferred));
            }
        }
        let backlog = std::mem::take(&mut subscriber.backlog);
        let lost = backlog.len() as u64;
        if lost > 0 {
            self.tasks.push_back(Task::Drop(Box::new(backlog)));
        }
        subscriber.dropped += lost;
        self.waiting -= lost;
        self.counters.dropped += lost;
        lost
    }

    /// Subscribes to a prefix. The subscriber first receives the kept messages that match, except
    /// messages that also match another of its prefixes. The next calls of [`Self::go_on`] send
    /// them.
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

    /// Cancels a subscription to a prefix, if there is one.
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
    /// subscriptions that were deferred.
    pub(crate) fn next_changes(&mut self) -> Option<(PeerId, VecDeque<Change>)> {
        self.changes.pop_front()
    }

    /// Subscribes at publishers to a prefix that has got its first subscriber, or cancels the
    /// subscription to a prefix that has lost its last subscriber. Skips publishers that need not
    /// receive the change, or that later receive it from their task. Returns the number of all
    /// publishers, which counts as work.
    fn set_at_publishers(
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

    /// Returns the number of publishers.
    pub(crate) fn publisher_count(&self) -> usize {
        self.publishers.len()
    }

    /// Sends a message to every subscriber with a matching prefix. The first frame begins with a
    /// type of `kind_length` bytes. `generation` is the generation of the configuration by which
    /// the message was checked.
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
        let (number, mut matched) = (self.published, 0);
        let (subscribers, counters) = (&mut self.subscribers, &mut self.counters);
        let first = body.get(0).unwrap_or_default();
        let lookups = self.prefixes.matching(first, |id| {
            let Some(Some(subscriber)) = subscribers.get_mut(id.0) else {
                return;
            };
            if subscriber.last == number {
                return;
            }
            subscriber.last = number;
            subscriber.matched += 1;
            matched += 1;
            if subscriber.is_free() && delivery.send(subscriber.peer, &body) {
                subscriber.sent += 1;
                counters.sent += 1;
            } else {
                late.push(id);
            }
        });
        counters.matched += matched as u64;
        result.work = matched + lookups;
        let keeps = self.settings.keep != Keep::None;
        if !late.is_empty() || keeps {
            let post = Rc::new(Post::new(delivery.settle(body), kind_length));
            let bytes_max = delivery.bytes_max().min(self.settings.subscriber_bytes);
            for id in late {
                self.wait(id, &post, (now, bytes_max), &mut result);
            }
            if keeps {
                let mut bytes = self.settings.keep_bytes;
                if delivery.bytes_max() < u64::MAX {
                    // While memory is short, no further memory is used for kept messages, and the
                    // messages that are kept remain.
                    bytes = bytes.min(self.kept.bytes().max(delivery.bytes_max()));
                }
                let keep = self.settings.keep;
                self.kept.add(&post, (now, generation), keep, bytes);
                self.trim_later(now);
            }
        }
        result
    }

    /// Queues a message for a subscriber, whose queue may take at most `bytes_max` bytes.
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
        if subscriber.is_free() {
            subscriber.took = now;
        }
        let waiting = &mut subscriber.backlog.waiting;
        let before = waiting.len() as u64;
        let (slow, memory) = (self.settings.slow, &mut self.waiting_bytes);
        let dropped = match waiting.add(post, slow, bytes_max, memory) {
            Added::Dropped(dropped) => dropped,
            Added::Overflow => {
                to.overflowed.push(subscriber.peer);
                1
            }
        };
        self.waiting = self.waiting + waiting.len() as u64 - before;
        subscriber.dropped += dropped;
        self.counters.dropped += dropped;
        to.work += dropped as usize;
        if dropped > 0 {
            to.slow.push((subscriber.peer, dropped));
        }
    }

    /// Restarts, at `now`, the measurement of how long each subscriber has taken no message.
    pub(crate) fn begin_to_wait(&mut self, now: Duration) {
        for subscriber in self.subscribers.iter_mut().flatten() {
            subscriber.took = now;
        }
    }

    /// Drops the messages for subscribers that have taken none since `since`. Returns the number of
    /// dropped messages.
    pub(crate) fn give_up_stalled(&mut self, since: Duration) -> u64 {
        let is_stalled = |subscriber: &Option<Subscriber<M>>| {
            let subscriber = subscriber.as_ref();
            subscriber.is_some_and(|known| !known.backlog.is_empty() && known.took <= since)
        };
        let subscribers = self.subscribers.iter().enumerate();
        let stalled = subscribers.filter(|(_, subscriber)| is_stalled(subscriber));
        let stalled: Vec<_> = stalled.map(|(id, _)| SubscriberId(id)).collect();
        stalled.into_iter().map(|id| self.give_up(id)).sum()
    }

    /// Returns the number of messages that wait for subscribers.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Returns whether messages are queued for a subscriber.
    pub(crate) fn has_queued(&self, id: SubscriberId) -> bool {
        let subscriber = self.subscribers.get(id.0).and_then(Option::as_ref);
        subscriber.is_some_and(|subscriber| !subscriber.backlog.is_empty())
    }

    /// Returns the memory of subscriptions, kept messages and messages that wait, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.prefixes.bytes() + self.kept.bytes() + self.waiting_bytes
    }

    /// Returns a copy of the counters and gauges, with at most `subscribers_max` subscribers.
    pub(crate) fn sample(&self, subscribers_max: usize) -> ChannelSample {
        let subscribers = self.subscribers.iter().enumerate();
        let subscribers =
            subscribers.filter_map(|(id, known)| Some((SubscriberId(id), known.as_ref()?)));
        ChannelSample {
            counters: self.counters.clone(),
            publishers: self.publishers.len(),
            subscribers: self.connected,
            waiting: self.waiting,
            waiting_bytes: self.waiting_bytes,
            kept: self.kept.len(),
            kept_bytes: self.kept.bytes(),
            shown: subscribers
                .take(subscribers_max)
                .map(|(id, subscriber)| self.subscriber_sample(id, subscriber))
                .collect(),
        }
    }

    fn subscriber_sample(&self, id: SubscriberId, subscriber: &Subscriber<M>) -> SubscriberSample {
        let prefixes = self.prefixes.of(id).take(PREFIXES_SHOWN_MAX);
        SubscriberSample {
            name: Arc::clone(&subscriber.name),
            prefixes: prefixes.map(<[u8]>::to_vec).collect(),
            prefix_count: self.prefixes.count_of(id),
            matched: subscriber.matched,
            sent: subscriber.sent,
            dropped: subscriber.dropped,
            waiting: subscriber.backlog.len(),
            waiting_bytes: subscriber.backlog.bytes(),
        }
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

        fn set_subscription(&mut self, _: PeerId, _: &[u8], _: bool) {}

        fn has_room_for_subscription(&mut self, _: PeerId) -> bool {
            true
        }
    }

    fn settings(keep: Keep) -> ChannelSettings {
        ChannelSettings {
            name: "ticks".into(),
            publishers: ChannelSide::default(),
            subscribers: ChannelSide::default(),
            keep,
            keep_bytes: 1 << 20,
            slow: Slow::DropNew,
            subscriber_bytes: 1 << 20,
            upstream: Upstream::Auto,
            frames: ChannelFrames::Typed,
        }
    }

    #[test]
    fn fewer_messages_wait_for_a_subscriber_while_memory_is_short() {
        let mut channel = Channel::new(Arc::new(settings(Keep::None)));
        let subscriber = channel.add_subscriber(PeerId(1), Headcount::One, Arc::default());
        let publish = |channel: &mut Channel<Vec<Frame>>, bytes_max| {
            let body = vec![b"a".to_vec(), b"1".to_vec()];
            let published =
                channel.publish(body, 1, (Duration::ZERO, 1), &mut Nowhere { bytes_max });
            (channel.counters.matched, published.slow.len())
        };
        assert_eq!(publish(&mut channel, u64::MAX), (0, 0));
        let nowhere = &mut Nowhere {
            bytes_max: u64::MAX,
        };
        let subscribed = channel.subscribe(subscriber, b"", Duration::ZERO, nowhere);
        assert!(subscribed.is_ok());
        assert_eq!(publish(&mut channel, u64::MAX), (1, 0));
        assert_eq!(publish(&mut channel, 2 * post::post("a1").bytes()), (2, 0));
        assert_eq!(publish(&mut channel, 2 * post::post("a1").bytes()), (3, 1));
        assert_eq!(channel.waiting(), 2);
    }

    #[test]
    fn kept_messages_take_no_further_memory_while_memory_is_short() {
        let mut channel = Channel::new(Arc::new(settings(Keep::Last(1))));
        let mut publish = |kind: u8, bytes_max| {
            let body = vec![vec![kind], b"1".to_vec()];
            channel.publish(body, 1, (Duration::ZERO, 1), &mut Nowhere { bytes_max });
            channel.kept.len()
        };
        assert_eq!([1, 2, 3].map(|kind| publish(kind, u64::MAX)), [1, 2, 3]);
        // The newest message is kept instead of the oldest.
        assert_eq!([4, 5].map(|kind| publish(kind, 0)), [3, 3]);
        assert_eq!([6, 7].map(|kind| publish(kind, 1_200)), [4, 4]);
        assert_eq!(publish(8, u64::MAX), 5);
    }
}
