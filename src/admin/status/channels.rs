//! The part of /status about channels.

use serde::Serialize;

use super::name;
use crate::frame::type_name;
use crate::ledger::{ChannelCounters, ChannelSample, SubscriberSample};
use crate::metrics::Sample;
use crate::snapshot::ChannelSettings;

/// A channel, with its counts since startup.
#[derive(Serialize)]
pub(super) struct ChannelStatus<'a> {
    name: &'a str,
    /// True if the channel was removed from the configuration and still has subscribers.
    removed: bool,
    publishers: ChannelSideStatus<'a>,
    subscribers: ChannelSideStatus<'a>,
    published: u64,
    matched: u64,
    sent: u64,
    dropped: u64,
    waiting: MessagesStatus,
    kept: MessagesStatus,
    unfit: u64,
    subscriptions: Vec<SubscriberStatus>,
}

/// Messages, and their memory in bytes.
#[derive(Serialize)]
struct MessagesStatus {
    messages: u64,
    bytes: u64,
}

/// The publishers or the subscribers of a channel.
#[derive(Serialize)]
struct ChannelSideStatus<'a> {
    connected: usize,
    connect: &'a [String],
}

/// A connected subscriber.
#[derive(Serialize)]
struct SubscriberStatus {
    identity: Option<String>,
    address: Option<String>,
    /// The first prefixes of the subscriber. `prefix_count` is the number of all its prefixes.
    prefixes: Vec<String>,
    prefix_count: usize,
    sent: u64,
    dropped: u64,
    waiting: MessagesStatus,
}

/// Returns the channels of a sample.
pub(super) fn channels(sample: &Sample) -> Vec<ChannelStatus<'_>> {
    let channels = sample.live_channels().map(|(id, channel)| {
        let settings = sample.snapshot.channels.get(&id);
        ChannelStatus::of(
            sample.snapshot.names.of_channel(id),
            channel,
            settings.map(|settings| &**settings),
        )
    });
    channels.collect()
}

impl<'a> ChannelStatus<'a> {
    fn of(name: &'a str, sample: &ChannelSample, settings: Option<&'a ChannelSettings>) -> Self {
        let ChannelSample {
            counters,
            publishers,
            subscribers,
            waiting,
            waiting_bytes,
            kept,
            kept_bytes,
            shown,
        } = sample;
        let ChannelCounters {
            published,
            matched,
            sent,
            dropped,
            unfit,
        } = counters;
        Self {
            name,
            removed: settings.is_none(),
            publishers: ChannelSideStatus {
                connected: *publishers,
                connect: settings.map_or(&[], |settings| &settings.publishers.endpoints.connect),
            },
            subscribers: ChannelSideStatus {
                connected: *subscribers,
                connect: settings.map_or(&[], |settings| &settings.subscribers.endpoints.connect),
            },
            published: *published,
            matched: *matched,
            sent: *sent,
            dropped: *dropped,
            waiting: MessagesStatus {
                messages: *waiting,
                bytes: *waiting_bytes,
            },
            kept: MessagesStatus {
                messages: *kept as u64,
                bytes: *kept_bytes,
            },
            unfit: *unfit,
            subscriptions: shown.iter().map(SubscriberStatus::of).collect(),
        }
    }
}

impl SubscriberStatus {
    fn of(sample: &SubscriberSample) -> Self {
        let SubscriberSample {
            name,
            prefixes,
            prefix_count,
            matched: _,
            sent,
            dropped,
            waiting,
            waiting_bytes,
        } = sample;
        Self {
            identity: name::identity(name),
            address: name::address(name),
            prefixes: prefixes.iter().map(|prefix| type_name(prefix)).collect(),
            prefix_count: *prefix_count,
            sent: *sent,
            dropped: *dropped,
            waiting: MessagesStatus {
                messages: *waiting as u64,
                bytes: *waiting_bytes,
            },
        }
    }
}
