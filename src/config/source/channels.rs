//! The section `channels`: publishers, subscribers, and the treatment of messages between them.

use super::super::section::{ExpectedMap, Section, Spanned, is, read};
use super::super::value::{BindEndpoint, Count, DurationValue, Size};
use super::super::yaml::{Node, NodeKind};
use super::endpoints::{address, endpoints};
use super::security::{SecurityKey, security};
use crate::snapshot::{
    ChannelFrames, ChannelSettings, ChannelSide, EngineKind, Keep, Slow, Upstream,
};
use gateway_diagnostic::{Diagnostic, Diagnostics};

/// The maximum of `last` in `keep`, the number of messages of each type that a channel keeps.
const KEEP_MAX: u64 = 100_000;

/// The maximum length of `topic_end`, in bytes. The default, a space, has one byte, so a much
/// longer text is probably a mistake.
const TOPIC_END_MAX: usize = 16;

/// A channel, with the values that are only needed to resolve its `security` and to check the
/// channel.
#[derive(Debug)]
pub(crate) struct ChannelSource {
    /// The settings.
    pub settings: ChannelSettings,
    /// The publishers.
    pub publishers: SideSource,
    /// The subscribers.
    pub subscribers: SideSource,
}

/// The publishers or the subscribers of a channel, as written.
#[derive(Debug, Default)]
pub(crate) struct SideSource {
    /// The addresses to listen on, each with its place.
    pub binds: Vec<Spanned<BindEndpoint>>,
    /// The `security` of the publishers' or the subscribers' side.
    pub security: SecurityKey,
}

/// Reads a channel.
pub(super) fn channel(
    name: &str,
    node: &Node,
    engine: EngineKind,
    found: &mut Diagnostics,
) -> ChannelSource {
    let what = format!("channel {name}");
    let expected = ExpectedMap {
        least: "publishers: \"tcp://*:5561\", subscribers: \"tcp://*:5562\"",
        key: "publishers",
        ..address("")
    };
    let mut section = Section::open_or(node, what.as_str(), &[], expected, found);
    let (publishers, publishers_source) = side(&mut section, &what, "publishers", engine, found);
    let (subscribers, subscribers_source) = side(&mut section, &what, "subscribers", engine, found);
    let keep = keep(&mut section, &what, found);
    let keep_bytes = section.value::<Size>("keep_bytes", found);
    let slows = [
        ("drop_new", Slow::DropNew),
        ("drop_old", Slow::DropOld),
        ("conflate", Slow::Conflate),
        ("disconnect", Slow::Disconnect),
    ];
    let slow = section.word("slow", &slows, found);
    let subscriber_bytes = section.value::<Size>("subscriber_bytes", found);
    let upstreams = [
        ("auto", Upstream::Auto),
        ("subscriptions", Upstream::Subscriptions),
        ("all", Upstream::All),
    ];
    let upstream = section.word("upstream", &upstreams, found);
    let frames = frames(&mut section, found);
    let slow = slow.map_or(Slow::DropNew, |spanned| spanned.value);
    if engine == EngineKind::Libzmq {
        refuse_native_keys(&mut section, keep, slow, found);
    }
    section.close(found);
    let settings = ChannelSettings {
        name: name.to_owned(),
        publishers,
        subscribers,
        keep,
        keep_bytes: keep_bytes.map_or(64 << 20, |size| size.value.0),
        slow,
        subscriber_bytes: subscriber_bytes.map_or(16 << 20, |size| size.value.0),
        upstream: upstream.map_or(Upstream::Auto, |spanned| spanned.value),
        frames,
    };
    ChannelSource {
        settings,
        publishers: publishers_source,
        subscribers: subscribers_source,
    }
}

/// Reports the keys that engine libzmq cannot honour.
fn refuse_native_keys(section: &mut Section<'_>, keep: Keep, slow: Slow, found: &mut Diagnostics) {
    let for_keep = "use engine native: libzmq can't send kept messages only to the new subscriber";
    let for_slow =
        "use engine native: libzmq drops messages for a slow subscriber, and doesn't report that";
    for (key, is_used, why) in [
        ("keep", keep != Keep::None, for_keep),
        ("keep_bytes", true, for_keep),
        ("slow", slow != Slow::DropNew, for_slow),
        ("subscriber_bytes", true, for_slow),
    ] {
        let node = section.node(key).filter(|node| !node.is_unknown());
        if let Some(node) = node.filter(|_| is_used) {
            let what = match (key, node.text()) {
                // Each of these keys has one supported value, so the error names the
                // unsupported value.
                ("keep" | "slow", word) if !word.is_empty() => format!("{key} {word:?}"),
                _ => format!("{key:?}"),
            };
            let fault = Diagnostic::error(format!("{what} is not supported by engine libzmq"));
            found.push(fault.at(node.place.clone()).label("remove it").help(why));
        }
    }
}

/// Reads the publishers or the subscribers of a channel: an address to listen on, a list of such
/// addresses, or a map. Returns the settings of this side, and the values as written.
fn side(
    section: &mut Section<'_>,
    channel: &str,
    key: &'static str,
    engine: EngineKind,
    found: &mut Diagnostics,
) -> (ChannelSide, SideSource) {
    let Some(node) = section.node(key) else {
        if section.is_sound() {
            let fault = Diagnostic::error(format!("{channel} has no {key}"));
            let fault = fault
                .at(section.place().clone())
                .label(format!("expected {key}: \"tcp://*:PORT\""));
            let keys: &[&str] = match key {
                "publishers" => &["publishers"],
                _ => &["subscribers"],
            };
            section.lacks(keys, fault);
        }
        return Default::default();
    };
    if !matches!(node.kind, NodeKind::Map(_)) {
        let instead = "expected an address";
        let binds = section.some(key, instead, found, read::<BindEndpoint>);
        let binds = binds.unwrap_or_default();
        let mut side = ChannelSide::default();
        side.endpoints.bind = binds.iter().map(|bind| bind.value.0.clone()).collect();
        let source = SideSource {
            binds,
            ..SideSource::default()
        };
        return (side, source);
    }
    let singular = key.trim_end_matches('s');
    let what = format!("{singular} side of {channel}");
    let mut map = Section::open(node, what.as_str(), &[], found);
    let (endpoints, binds) = endpoints(&mut map, &what, found);
    let security = security(&mut map, &what, engine, found);
    map.close(found);
    let side = ChannelSide {
        endpoints,
        security: None,
    };
    (side, SideSource { binds, security })
}

/// Reads `keep`: `none`, `last`, `{ last: N }` or `{ for: TIME }`.
fn keep(section: &mut Section<'_>, channel: &str, found: &mut Diagnostics) -> Keep {
    let Some(node) = section.node("keep") else {
        return Keep::None;
    };
    if !matches!(node.kind, NodeKind::Map(_)) {
        let words = [("none", Keep::None), ("last", Keep::Last(1))];
        let keep = section.word("keep", &words, found);
        return keep.map_or(Keep::None, |spanned| spanned.value);
    }
    let mut map = Section::open(node, format!("keep of {channel}"), &[], found);
    let last = map.value::<Count<1, KEEP_MAX>>("last", found);
    let time = map.value::<DurationValue>("for", found);
    if map.has("last") == map.has("for") {
        let fault = Diagnostic::error("\"keep\" needs either \"last\" or \"for\"");
        let fault = fault.at(node.place.clone());
        map.lacks(
            &["last", "for"],
            fault.label("expected { last: 100 } or { for: 10m }"),
        );
    }
    map.close(found);
    match (last, time) {
        (Some(last), _) => Keep::Last(last.value.0 as u32),
        (None, Some(time)) => Keep::For(time.value.0),
        (None, None) => Keep::None,
    }
}

/// Reads `frames` and `topic_end`.
fn frames(section: &mut Section<'_>, found: &mut Diagnostics) -> ChannelFrames {
    let words = [("typed", false), ("single", true)];
    let is_single = section.word("frames", &words, found);
    let is_single = is_single.is_some_and(|spanned| spanned.value);
    let end = section.node("topic_end").filter(|node| !node.is_unknown());
    let Some(end) = end else {
        return match is_single {
            true => ChannelFrames::Single(b" ".as_slice().into()),
            false => ChannelFrames::Typed,
        };
    };
    if !is_single {
        let fault = Diagnostic::error("\"topic_end\" has no effect without `frames: single`");
        let fault = fault.at(end.place.clone()).label("remove it");
        found.push(
            fault.help("without `frames: single`, the type of a message is a frame of its own"),
        );
        return ChannelFrames::Typed;
    }
    let text = end.text();
    if !is::<String>(end) || text.is_empty() || text.len() > TOPIC_END_MAX {
        let fault = Diagnostic::error(format!("\"topic_end\" can't be {}", end.found()));
        let label = format!("expected text of 1 to {TOPIC_END_MAX} bytes, in quotes");
        found.push(fault.at(end.place.clone()).label(label));
        return ChannelFrames::Single(b" ".as_slice().into());
    }
    ChannelFrames::Single(text.as_bytes().into())
}
