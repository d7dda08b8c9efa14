//! The channels of a configuration: their security, and warnings about them.

use std::collections::HashSet;
use std::sync::Arc;

use super::source::{ChannelSource, Named, Source, TargetSource};
use super::value::name_fault;
use crate::security::Security;
use crate::snapshot::{ChannelSettings, ChannelSide, Keep, MemoryLimit};
use gateway_diagnostic::{Diagnostic, Diagnostics};

/// Returns the channels with the security of their publishers and subscribers. `secured` contains
/// this security for each channel, in the order of `channels`.
pub(super) fn secured_channels(
    channels: Vec<Named<ChannelSource>>,
    secured: Vec<[Option<Arc<Security>>; 2]>,
) -> impl Iterator<Item = ChannelSettings> {
    let both = channels.into_iter().zip(secured);
    both.map(|(channel, [of_publishers, of_subscribers])| {
        let settings = channel.entry.settings;
        ChannelSettings {
            publishers: ChannelSide {
                security: of_publishers,
                ..settings.publishers
            },
            subscribers: ChannelSide {
                security: of_subscribers,
                ..settings.subscribers
            },
            ..settings
        }
    })
}

/// Warns about channels that no route uses, and about channels that may keep more messages than
/// `limits.memory` allows.
pub(super) fn doubtful_channels(source: &Source, found: &mut Diagnostics) {
    let targets = source.routes.iter().map(|route| route.target.as_ref());
    let used: HashSet<&str> = targets
        .flatten()
        .filter_map(|target| match target {
            TargetSource::Channel(channel, _) => Some(channel.value.as_str()),
            TargetSource::Pool(_) => None,
        })
        .collect();
    let known: HashSet<&str> = source
        .channels
        .iter()
        .map(|channel| &*channel.entry.settings.name)
        .collect();
    // Unused channels are reported only if every target of a route is known. Otherwise a misspelt
    // name in a route would be reported twice.
    let is_clear = used.iter().all(|name| known.contains(name))
        && source.routes.iter().all(|route| route.target.is_some());
    for channel in source.channels.iter().filter(|_| is_clear) {
        let name = &channel.entry.settings.name;
        if !used.contains(name.as_str()) && name_fault(name).is_none() {
            let fault = Diagnostic::warning(format!("no route publishes on channel {name}"));
            let help = format!("remove it, or write `publish: {name}` in a route");
            found.push(fault.at(channel.place.clone()).help(help));
        }
    }
    let MemoryLimit::Bytes(memory) = source.limits.memory else {
        return;
    };
    let keeping = source
        .channels
        .iter()
        .map(|channel| &channel.entry.settings);
    let keeping = keeping.filter(|settings| settings.keep != Keep::None);
    let kept = keeping.fold(0_u64, |sum, settings| {
        sum.saturating_add(settings.keep_bytes)
    });
    if let Some(last) = source.channels.last()
        && kept > memory
    {
        let fault = Diagnostic::warning(format!(
            "channels may keep {kept} bytes, more than the {memory} of limits.memory"
        ));
        let help = "make keep_bytes smaller, or limits.memory larger";
        found.push(fault.at(last.place.clone()).help(help));
    }
}
