//! The families about channels, which are only written if there are channels. Subscribers have no
//! label, since their number is not bounded by the configuration: /status shows them.

use prometheus_client::metrics::MetricType;

use super::page::{Page, WriteResult, count_of, level_of};
use crate::ledger::ChannelSample;
use crate::metrics::Sample;

/// Writes the families about channels.
pub(super) fn channels(page: &mut Page<'_>, sample: &Sample) -> WriteResult {
    let names = &sample.snapshot.names;
    let channels = sample.live_channels();
    let channels: Vec<(&str, &ChannelSample)> = channels
        .map(|(id, channel)| (names.of_channel(id), channel))
        .collect();
    if channels.is_empty() {
        return Ok(());
    }
    let mut level = |name, help, level: fn(&ChannelSample) -> u64| -> WriteResult {
        let mut family = page.family(name, help, MetricType::Gauge)?;
        for (name, channel) in &channels {
            level_of(&mut family, &[("channel", name)], level(channel))?;
        }
        Ok(())
    };
    let help = "Connected publishers";
    level("channel_publishers", help, |it| it.publishers as u64)?;
    let help = "Connected subscribers";
    level("channel_subscribers", help, |it| it.subscribers as u64)?;
    let help = "Messages that wait for subscribers, once for each of them";
    level("channel_waiting", help, |it| it.waiting)?;
    let help = "Memory of the messages that wait for subscribers, each counted once";
    level("channel_waiting_bytes", help, |it| it.waiting_bytes)?;
    let help = "Messages kept for later subscribers";
    level("channel_kept", help, |it| it.kept as u64)?;
    let help = "Memory of the messages kept for later subscribers";
    level("channel_kept_bytes", help, |it| it.kept_bytes)?;
    let mut count = |name, help, count: fn(&ChannelSample) -> u64| -> WriteResult {
        let mut family = page.family(name, help, MetricType::Counter)?;
        for (name, channel) in &channels {
            count_of(&mut family, &[("channel", name)], count(channel))?;
        }
        Ok(())
    };
    let help = "Messages that passed their checks";
    count("channel_published", help, |it| it.counters.published)?;
    let help = "Messages sent to subscribers, once for each of them";
    count("channel_sent", help, |it| it.counters.sent)?;
    let help = "Messages that subscribers missed because they were slow or disconnected";
    count("channel_dropped", help, |it| it.counters.dropped)?;
    let help = "Kept messages that no longer fitted their route after an edit";
    count("channel_unfit", help, |it| it.counters.unfit)
}
