//! Channels: their publishers and subscribers, the messages that wait for each subscriber, and the
//! messages that are kept for later subscribers.
//!
//! Like a [`pool`](crate::pool), a channel knows no socket, schema or clock. The core passes it
//! checked messages, and a [`Delivery`] that sends a message to a subscriber if the subscriber's
//! connection has room. The channel queues messages for which there is no room. The queue of each
//! subscriber is bounded, so a slow subscriber delays no other subscriber. For each subscriber,
//! `matched` is always the sum of `sent`, `dropped` and the number of messages that wait.
//!
//! Some work may take long: sending kept messages to a new subscriber, sending waiting messages to
//! a subscriber that reads again, subscribing at a new publisher, and removing messages and
//! subscriptions that are no longer needed. Each call of [`Channel::go_on`] does a limited part of
//! this work.

mod delivery;
mod kept;
mod post;
mod prefix_index;
mod prefixes;
mod publisher;
mod publishing;
mod sample;
mod subscriber;
mod subscribing;
mod task;
mod waiting;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::frame::Frames;
use crate::ledger::ChannelCounters;
use crate::peer::{Headcount, PeerId, PeerName};
use crate::snapshot::ChannelSettings;
use kept::Kept;
use prefixes::Prefixes;
use publisher::Publisher;
use subscriber::Subscriber;
use task::Task;

pub(crate) use delivery::{Delivery, Publication};
pub(crate) use kept::{Conditions, Fit};
pub(crate) use prefix_index::{PREFIX_MAX, SubscriberId};
pub(crate) use prefixes::{PREFIXES_MAX, PREFIXES_PER_SUBSCRIBER_MAX, SubscriptionFault};
pub(crate) use subscriber::Change;
pub(crate) use task::Undecided;

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

    /// Uses `settings`, which are of this generation, from now on. The next calls of
    /// [`Self::go_on`] drop the kept messages that exceed the new limits, and change the
    /// subscriptions at publishers.
    pub(crate) fn set_settings(
        &mut self,
        settings: Arc<ChannelSettings>,
        generation: u64,
        now: Duration,
    ) {
        let previous = std::mem::replace(&mut self.settings, settings);
        if previous.keep != self.settings.keep {
            self.kept.limit();
        }
        if previous.frames != self.settings.frames {
            self.kept.set_frames_changed(generation);
        }
        self.trim_later(now);
        if previous.wants_all() != self.settings.wants_all() {
            let publishers: Vec<_> = self.publishers.keys().copied().collect();
            for publisher in publishers {
                self.subscribe_later(publisher);
            }
        }
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
    /// prefixes. Subscribers that cannot be distinguished may subscribe to [`PREFIXES_MAX`]
    /// prefixes together.
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
    /// returns the number of dropped messages. The next calls of [`Self::go_on`] free the memory of
    /// the dropped messages.
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

    /// Returns the number of publishers.
    pub(crate) fn publisher_count(&self) -> usize {
        self.publishers.len()
    }

    /// Treats each subscriber as if it had taken a message at `now`, so that
    /// [`Self::give_up_stalled`] counts from then.
    pub(crate) fn begin_to_wait(&mut self, now: Duration) {
        for subscriber in self.subscribers.iter_mut().flatten() {
            subscriber.took = now;
        }
    }

    /// Drops the messages for subscribers that have taken no message after the time `since`.
    /// Returns the number of dropped messages.
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
}

#[cfg(test)]
mod tests {
    use super::post::Frame;
    use super::*;
    use crate::snapshot::{ChannelFrames, ChannelSide, Keep, Slow, Upstream};

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
