//! The metric families about channels, which are only written if there are channels. No label names
//! a subscriber, since the number of subscribers is not bounded by the configuration. /status shows
//! the subscribers.

use prometheus_client::metrics::MetricType;

use super::page::{Page, WriteResult, write_counter, write_gauge};
use crate::ledger::ChannelSample;
use crate::metrics::Sample;

/// Writes the metric families about channels.
pub(super) fn channels(page: &mut Page<'_>, sample: &Sample) -> WriteResult {
    let names = &sample.snapshot.names;
    let channels = sample.live_channels();
    let channels: Vec<(&str, &ChannelSample)> = channels
        .map(|(id, channel)| (names.of_channel(id), channel))
        .collect();
    if channels.is_empty() {
        return Ok(());
    }
    let mut gauge = |name, help, value: fn(&ChannelSample) -> u64| -> WriteResult {
        let mut family = page.family(name, help, MetricType::Gauge)?;
        for (name, channel) in &channels {
            write_gauge(&mut family, &[("channel", name)], value(channel))?;
        }
        Ok(())
    };
    let help = "Connected publishers";
    gauge("channel_publishers", help, |channel| {
        channel.publishers as u64
    })?;
    let help = "Connected subscribers";
    gauge("channel_subscribers", help, |channel| {
        channel.subscribers as u64
    })?;
    let help = "Messages that wait for subscribers, counted once for each subscriber";
    gauge("channel_waiting", help, |channel| channel.waiting)?;
    let help = "Memory of the messages that wait for subscribers, each message counted once";
    gauge("channel_waiting_bytes", help, |channel| {
        channel.waiting_bytes
    })?;
    let help = "Messages kept for later subscribers";
    gauge("channel_kept", help, |channel| channel.kept as u64)?;
    let help = "Memory of the messages kept for later subscribers";
    gauge("channel_kept_bytes", help, |channel| channel.kept_bytes)?;
    let mut counter = |name, help, count: fn(&ChannelSample) -> u64| -> WriteResult {
        let mut family = page.family(name, help, MetricType::Counter)?;
        for (name, channel) in &channels {
            write_counter(&mut family, &[("channel", name)], count(channel))?;
        }
        Ok(())
    };
    let help = "Messages that passed their checks";
    counter("channel_published", help, |channel| {
        channel.counters.published
    })?;
    let help = "Messages sent to subscribers, counted once for each subscriber";
    counter("channel_sent", help, |channel| channel.counters.sent)?;
    let help = "Messages that subscribers missed because they were slow or disconnected";
    counter("channel_dropped", help, |channel| channel.counters.dropped)?;
    let help = "Kept messages that no longer fitted their route after an edit";
    counter("channel_unfit", help, |channel| channel.counters.unfit)
}
