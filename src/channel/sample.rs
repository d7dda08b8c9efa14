//! Samples of a channel's counters and gauges.

use std::sync::Arc;

use super::Channel;
use super::prefix_index::SubscriberId;
use super::subscriber::Subscriber;
use crate::frame::Frames;
use crate::ledger::{ChannelSample, SubscriberSample};

/// The maximum number of prefixes of a subscriber in a sample: as many as a person can read.
const PREFIXES_SHOWN_MAX: usize = 16;

impl<M: Frames> Channel<M> {
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
