//! Publishers and subscribers: their coming and going, subscriptions, reloads of channels, and the
//! end.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::case::check_payload_briefly;
use super::delivery::{ByOutlet, DELIVERIES_OF_AN_ITEM};
use super::lanes::Direction;
use super::notes::{NotedEvent, Particulars};
use super::peers::{NameSource, Peer, Publisher, Subscriber};
use super::token::Name;
use super::{Core, Outlet, single};
use crate::channel::{
    Channel, PREFIX_MAX, PREFIXES_MAX, PREFIXES_PER_SUBSCRIBER_MAX, Replay, SubscriptionFault,
};
use crate::frame::{self, Frames};
use crate::peer::{Headcount, PeerId, PeerName};
use crate::security::ANONYMOUS;
use crate::snapshot::{ChannelFrames, ChannelId, Snapshot};

/// The time after which a subscriber that takes nothing is given up, once the gateway drains.
const STALLED_TIME: Duration = Duration::from_secs(1);

/// The coming and going of publishers and subscribers.
impl<M: Frames> Core<M> {
    pub(super) fn publisher_came(
        &mut self,
        peer: PeerId,
        channel: ChannelId,
        identity: Vec<u8>,
        out: &mut impl Outlet<M>,
    ) {
        let name_source = match knows_publishers(&self.snapshot, channel) {
            false => NameSource::Peer,
            true if identity == ANONYMOUS.as_bytes() => NameSource::Anonymous,
            true => NameSource::Principal,
        };
        let publisher = Publisher::new(channel, Rc::new(Name::new(identity)), name_source);
        self.peers
            .insert(peer, Peer::Publisher(Box::new(publisher)));
        let channel = &mut self.channels[channel.0];
        channel.publisher_came(peer);
        for prefix in channel.wanted() {
            out.ask_publisher(peer, &prefix, true);
        }
    }

    pub(super) fn subscriber_came(
        &mut self,
        peer: PeerId,
        channel: ChannelId,
        headcount: Headcount,
        name: Arc<PeerName>,
    ) {
        let id = self.channels[channel.0].subscriber_came(peer, headcount, name);
        let subscriber = Subscriber { channel, id };
        self.peers.insert(peer, Peer::Subscriber(subscriber));
    }

    pub(super) fn subscriber_gone(&mut self, subscriber: Subscriber, out: &mut impl Outlet<M>) {
        let channel = &mut self.channels[subscriber.channel.0];
        for prefix in channel.subscriber_gone(subscriber.id) {
            ask_all(channel, &prefix, false, out);
        }
    }

    pub(super) fn subscriber_writable(&mut self, to: Subscriber, out: &mut impl Outlet<M>) {
        let channel = &mut self.channels[to.channel.0];
        channel.writable(to.id, self.now, &mut ByOutlet(out));
    }

    pub(super) fn subscribe(&mut self, peer: PeerId, prefix: &[u8], out: &mut impl Outlet<M>) {
        let Some(&Peer::Subscriber(subscriber)) = self.peers.get(peer) else {
            return;
        };
        let snapshot = Rc::clone(&self.snapshot);
        let channel = &mut self.channels[subscriber.channel.0];
        let frames = channel.settings().frames.clone();
        let replay = Replay {
            now: self.now,
            generation: snapshot.generation,
            fits: |body: &M| still_fits(&snapshot, subscriber.channel, &frames, body),
        };
        let subscribed = channel.subscribe(subscriber.id, prefix, replay, &mut ByOutlet(out));
        match subscribed {
            Ok(subscription) => {
                out.spend(subscription.replayed / DELIVERIES_OF_AN_ITEM);
                if subscription.is_first {
                    ask_all(channel, prefix, true, out);
                }
            }
            Err(fault) => out.disconnect(peer, subscription_fault(fault)),
        }
    }

    pub(super) fn cancel(&mut self, peer: PeerId, prefix: &[u8], out: &mut impl Outlet<M>) {
        let Some(&Peer::Subscriber(subscriber)) = self.peers.get(peer) else {
            return;
        };
        let channel = &mut self.channels[subscriber.channel.0];
        if channel.cancel(subscriber.id, prefix) {
            ask_all(channel, prefix, false, out);
        }
    }
}

/// Returns whether the publishers of a channel have principals. If so, their identities are
/// ignored.
fn knows_publishers(snapshot: &Snapshot, channel: ChannelId) -> bool {
    let settings = snapshot.channels.get(&channel);
    let has_security = settings.is_some_and(|it| it.publishers.security.is_some());
    has_security || snapshot.knows_principals()
}

/// Asks all publishers of a channel for the messages with a prefix, or for no more of them, unless
/// they are asked for all messages in any case.
fn ask_all<M: Frames>(channel: &Channel<M>, prefix: &[u8], wanted: bool, out: &mut impl Outlet<M>) {
    if channel.settings().asks_for_all() {
        return;
    }
    for publisher in channel.publishers() {
        out.ask_publisher(*publisher, prefix, wanted);
    }
}

/// Describes a limit on subscriptions.
fn subscription_fault(fault: SubscriptionFault) -> String {
    match fault {
        SubscriptionFault::PrefixTooLong => {
            format!("it subscribes to a prefix of more than {PREFIX_MAX} bytes, the maximum")
        }
        SubscriptionFault::SubscriberFull => format!(
            "it subscribes to more than {PREFIXES_PER_SUBSCRIBER_MAX} prefixes, the maximum of a subscriber"
        ),
        SubscriptionFault::ChannelFull => {
            format!("its channel has {PREFIXES_MAX} subscriptions, the maximum")
        }
    }
}

/// Returns whether a kept message still fits the route of its type. A payload that takes long to
/// check counts as one that does not.
fn still_fits<M: Frames>(
    snapshot: &Snapshot,
    channel: ChannelId,
    frames: &ChannelFrames,
    body: &M,
) -> bool {
    let split = match frames {
        ChannelFrames::Single(end) => Some(single::split(body.get(0).unwrap_or_default(), end)),
        ChannelFrames::Typed => None,
    };
    let body: &M = split.as_ref().unwrap_or(body);
    let route = snapshot.routes.find(body.get(0).unwrap_or_default());
    let Some(route) = route.map(|place| snapshot.routes.at(place)) else {
        return false;
    };
    if route.channel() != Some(channel) {
        return false;
    }
    let bytes = frame::payload(body).len();
    if !route
        .schema
        .as_ref()
        .is_none_or(|schema| schema.is_direct(bytes))
    {
        return false;
    }
    let (depth, mut work) = (snapshot.limits.depth, 0);
    let found = check_payload_briefly(Direction::Request, route, depth, body, &mut work);
    found.is_some_and(|found| found.is_ok())
}

/// Reloads and the end.
impl<M: Frames> Core<M> {
    /// Adds the channels of a snapshot that the core does not have yet.
    pub(super) fn open_channels(&mut self, snapshot: &Snapshot) {
        for (id, settings) in &snapshot.channels {
            while self.channels.len() <= id.0 {
                self.channels.push(Channel::new(Arc::clone(settings)));
            }
        }
    }

    /// Adopts the channels of a snapshot that takes effect next. A removed channel keeps its last
    /// settings.
    pub(super) fn adopt_channels(&mut self, next: &Snapshot, out: &mut impl Outlet<M>) {
        self.open_channels(next);
        self.rename_publishers(next);
        for (id, settings) in &next.channels {
            let changed = !same_routes(&self.snapshot, next, *id);
            let channel = &mut self.channels[id.0];
            if changed {
                channel.set_routes_changed(next.generation);
            }
            let changes_asking = channel.settings().asks_for_all() != settings.asks_for_all();
            let before = changes_asking.then(|| channel.wanted());
            channel.set_settings(Arc::clone(settings), self.now);
            if let Some(before) = before {
                ask_anew(channel, before, out);
            }
        }
    }

    /// Makes publishers anonymous that came when publishers had no principals and have stayed. The
    /// engine disconnects those that are not admitted as such.
    fn rename_publishers(&mut self, next: &Snapshot) {
        for peer in self.peers.values_mut() {
            if let Peer::Publisher(publisher) = peer
                && publisher.name_source == NameSource::Peer
                && knows_publishers(next, publisher.channel)
            {
                publisher.become_anonymous();
            }
        }
    }

    /// Returns whether messages wait for subscribers.
    pub(super) fn owes_subscribers(&self) -> bool {
        self.channels.iter().any(|channel| channel.waiting() > 0)
    }

    /// Begins to count the time for which subscribers take nothing, because the gateway drains.
    pub(super) fn begin_to_flush(&mut self) {
        for channel in &mut self.channels {
            channel.begin_to_wait(self.now);
        }
    }

    /// Returns the time at which [`Self::give_up_stalled_subscribers`] is due at the latest.
    pub(super) fn stalled_subscribers_due(&self) -> Option<Duration> {
        let waits = self.drain.is_some() && self.owes_subscribers();
        waits.then(|| self.now + STALLED_TIME)
    }

    /// Gives up subscribers that take nothing while the gateway drains.
    pub(super) fn give_up_stalled_subscribers(&mut self) {
        if self.drain.is_none() || !self.owes_subscribers() {
            return;
        }
        let Some(since) = self.now.checked_sub(STALLED_TIME) else {
            return;
        };
        for channel in &mut self.channels {
            let missed = channel.give_up_stalled(since);
            if missed > 0 {
                let name = &channel.settings().name;
                let what = NotedEvent::SlowSubscriber;
                self.notes.note(self.now, what, name, None, || Particulars {
                    missed,
                    ..Particulars::default()
                });
            }
        }
    }
}

/// Asks the publishers of a channel, which were asked for the prefixes `before`, for those that are
/// wanted now. Publishers need not count how often they were asked for a prefix, so one in both
/// lists is left alone.
fn ask_anew<M: Frames>(channel: &Channel<M>, before: Vec<Vec<u8>>, out: &mut impl Outlet<M>) {
    let (before, after) = (
        BTreeSet::from_iter(before),
        BTreeSet::from_iter(channel.wanted()),
    );
    for publisher in channel.publishers() {
        // The new prefixes come first, so that no message is missed between the two.
        for prefix in after.difference(&before) {
            out.ask_publisher(*publisher, prefix, true);
        }
        for prefix in before.difference(&after) {
            out.ask_publisher(*publisher, prefix, false);
        }
    }
}

/// Returns whether the same routes lead to a channel in two snapshots.
fn same_routes(one: &Snapshot, other: &Snapshot, id: ChannelId) -> bool {
    let routes = |snapshot: &Snapshot| {
        let all = snapshot.routes.iter();
        let mut to_channel: Vec<_> = all
            .filter(|(_, route)| route.channel() == Some(id))
            .map(|(pattern, route)| (pattern, Arc::clone(route)))
            .collect();
        to_channel.sort_by(|(one, _), (other, _)| one.cmp(other));
        to_channel
    };
    routes(one) == routes(other)
}
