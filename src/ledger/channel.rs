//! Counters and gauges of channels.

use std::sync::Arc;

use crate::peer::PeerName;

/// Counters of a channel since the start. `matched` is always the sum of `sent`, `dropped` and the
/// messages that wait for subscribers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelCounters {
    /// Messages that passed their checks.
    pub published: u64,
    /// Messages that matched a subscription, including kept messages. A message counts once for
    /// each subscriber.
    pub matched: u64,
    /// Messages handed to the engine for a subscriber.
    pub sent: u64,
    /// Messages that a subscriber missed because it was slow, or because it disconnected.
    pub dropped: u64,
    /// Kept messages that were dropped because they did not fit their route after a reload.
    pub unfit: u64,
}

/// A channel's counters and gauges at one point in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelSample {
    /// The counters since the start.
    pub counters: ChannelCounters,
    /// The number of connected publishers.
    pub publishers: usize,
    /// The number of connected subscribers.
    pub subscribers: usize,
    /// The number of messages that wait for subscribers. A message that waits for several
    /// subscribers is counted once for each of them.
    pub waiting: u64,
    /// The memory of the waiting messages, in bytes.
    pub waiting_bytes: u64,
    /// The number of kept messages.
    pub kept: usize,
    /// The memory of the kept messages, in bytes.
    pub kept_bytes: u64,
    /// Connected subscribers, at most `SUBSCRIBERS_SHOWN_MAX` of them.
    pub shown: Vec<SubscriberSample>,
}

/// The maximum number of subscribers of a channel in a sample. So many subscribers take a few
/// hundred KiB of the /status page.
pub(crate) const SUBSCRIBERS_SHOWN_MAX: usize = 1_000;

/// A connected subscriber at one point in time. `matched` is the sum of `sent`, `dropped` and
/// `waiting`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriberSample {
    /// The name of the subscriber.
    pub name: Arc<PeerName>,
    /// The first prefixes of the subscriber.
    pub prefixes: Vec<Vec<u8>>,
    /// The number of prefixes of the subscriber.
    pub prefix_count: usize,
    /// Messages that matched one of the subscriber's prefixes.
    pub matched: u64,
    /// Messages handed to the engine for the subscriber.
    pub sent: u64,
    /// Messages that the subscriber missed because it was slow.
    pub dropped: u64,
    /// Messages that wait for the subscriber.
    pub waiting: usize,
    /// The memory of the waiting messages, in bytes.
    pub waiting_bytes: u64,
}
