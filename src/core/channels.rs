//! Publishers and subscribers: their connections and subscriptions, the reload of channels, and the
//! shutdown.

#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::case::{Case, Subject, check_payload_briefly};
use super::delivery::{ByOutlet, DELIVERIES_PER_MESSAGE, SUBSCRIPTION_WORK};
use super::lanes::Direction;
use super::notes::{NotedEvent, Particulars};
use super::peers::{NameSource, Peer, Publisher, Subscriber};
use super::token::Name;
use super::{Core, Outlet, single};
use crate::channel::{
    Change, Channel, Conditions, Fit, PREFIX_MAX, PREFIXES_MAX, PREFIXES_PER_SUBSCRIBER_MAX,
    SubscriptionFault, Undecided,
};
use crate::frame::{self, Frames};
use crate::peer::{Headcount, PeerId, PeerName};
use crate::security::ANONYMOUS;
use crate::snapshot::{ChannelFrames, ChannelId, ChannelSettings, Keep, Snapshot};

/// While the gateway drains, the messages for a subscriber are dropped if the subscriber has taken
/// no message for this time. A subscriber that still reads takes a message much sooner.
const STALLED_TIME: Duration = Duration::from_secs(1);

/// The connections of publishers and subscribers.
impl<M: Frames> Core<M> {
    pub(super) fn publisher_connected(
        &mut self,
        peer: PeerId,
        channel: ChannelId,
        headcount: Headcount,
        identity: Vec<u8>,
        out: &mut impl Outlet<M>,
    ) {
        let name_source = match knows_publishers(&self.snapshot, channel) {
            false => NameSource::Peer,
            true if identity == ANONYMOUS.as_bytes() => NameSource::Anonymous,
            true => NameSource::Principal,
        };
        let name = Rc::new(Name::new(identity));
        let publisher = Publisher::new(channel, headcount, name, name_source);
        self.peers
            .insert(peer, Peer::Publisher(Box::new(publisher)));
        self.admitted.add(headcount);
        self.channels[channel.0].add_publisher(peer);
        self.continue_channel(channel, out);
    }

    pub(super) fn subscriber_connected(
        &mut self,
        peer: PeerId,
        channel: ChannelId,
        headcount: Headcount,
        name: Arc<PeerName>,
    ) {
        self.admitted.add(headcount);
        let id = self.channels[channel.0].add_subscriber(peer, headcount, name);
        let subscriber = Subscriber {
            channel,
            id,
            headcount,
        };
        self.peers.insert(peer, Peer::Subscriber(subscriber));
    }

    pub(super) fn subscribe(&mut self, peer: PeerId, prefix: &[u8], out: &mut impl Outlet<M>) {
        let Some(&Peer::Subscriber(subscriber)) = self.peers.get(peer) else {
            return;
        };
        self.add_subscription(peer, subscriber, prefix, out);
        self.continue_channel(subscriber.channel, out);
        if self.channels[subscriber.channel.0].hold(subscriber.id) {
            out.pause(peer);
        }
    }

    fn add_subscription(
        &mut self,
        peer: PeerId,
        subscriber: Subscriber,
        prefix: &[u8],
        out: &mut impl Outlet<M>,
    ) {
        let channel = &mut self.channels[subscriber.channel.0];
        out.spend(SUBSCRIPTION_WORK + channel.publisher_count() / DELIVERIES_PER_MESSAGE);
        let delivery = &mut ByOutlet(&mut *out);
        if let Err(fault) = channel.subscribe(subscriber.id, prefix, self.now, delivery) {
            out.disconnect(peer, subscription_fault(fault));
        }
    }

    pub(super) fn cancel(&mut self, peer: PeerId, prefix: &[u8], out: &mut impl Outlet<M>) {
        let Some(&Peer::Subscriber(subscriber)) = self.peers.get(peer) else {
            return;
        };
        let channel = &mut self.channels[subscriber.channel.0];
        out.spend(SUBSCRIPTION_WORK + channel.publisher_count() / DELIVERIES_PER_MESSAGE);
        channel.cancel(subscriber.id, prefix, &mut ByOutlet(out));
    }
}

/// Long work on channels, which is divided among several events.
impl<M: Frames> Core<M> {
    /// Returns whether [`Event::Continue`](super::Event::Continue) has something to do.
    pub fn has_unfinished_work(&self) -> bool {
        self.channels.iter().any(Channel::has_work)
    }

    /// Continues the unfinished work of one channel. Channels with unfinished work take turns.
    pub(super) fn continue_next_channel(&mut self, out: &mut impl Outlet<M>) {
        let count = self.channels.len();
        let after = (1..=count).map(|n| (self.last_continued + n) % count);
        let mut with_work = after.filter(|place| self.channels[*place].has_work());
        if let Some(place) = with_work.next() {
            self.last_continued = place;
            self.continue_channel(ChannelId(place), out);
        }
    }

    /// Continues the work of a channel.
    fn continue_channel(&mut self, id: ChannelId, out: &mut impl Outlet<M>) {
        let snapshot = Rc::clone(&self.snapshot);
        let channel = &mut self.channels[id.0];
        let settings = Arc::clone(channel.settings());
        let mut conditions = Conditions {
            now: self.now,
            generation: snapshot.generation,
            fits: |body: &M, left: &mut usize| {
                let mut work = 0;
                let fit = still_fits(&snapshot, id, &settings.frames, body, &mut work);
                *left = left.saturating_sub(work * DELIVERIES_PER_MESSAGE);
                fit
            },
        };
        let work_max = out.work_max();
        let done = channel.go_on(work_max, &mut conditions, &mut ByOutlet(&mut *out));
        out.spend(done / DELIVERIES_PER_MESSAGE);
        while let Some(undecided) = self.channels[id.0].next_undecided() {
            self.judge_kept(id, &undecided, out);
        }
        while let Some((peer, changes)) = self.channels[id.0].next_changes() {
            out.resume(peer);
            self.make_changes(peer, changes, out);
        }
    }

    /// Passes a kept message of a channel to a judge, because its payload takes long to check. The
    /// message is for a new subscriber. If the type of the message has no route any more, the
    /// message does not fit. If no judge can be started, the message is checked at once.
    #[cold]
    fn judge_kept(&mut self, id: ChannelId, kept: &Undecided<M>, out: &mut impl Outlet<M>) {
        let channel = &mut self.channels[id.0];
        let generation = self.snapshot.generation;
        let split = split(kept.body(), &channel.settings().frames);
        let body = split.as_ref().unwrap_or(kept.body());
        let route = self.snapshot.routes.find(body.get(0).unwrap_or_default());
        let Some(route) = route else {
            return channel.kept_judged(kept.number, generation, false);
        };
        let frames = (0..body.len()).filter_map(|n| body.get(n));
        let case = Box::new(Case {
            subject: Subject::Kept {
                channel: id,
                number: kept.number,
                subscriber: kept.subscriber,
                generation,
            },
            snapshot: Arc::clone(&self.snapshot.shared),
            route,
            body: M::of(frames.map(<[u8]>::to_vec).collect()).pack(),
        });
        if let Err(case) = out.judge(case) {
            // No judge can be started.
            let fits = case.judge().found.is_ok();
            channel.kept_judged(kept.number, generation, fits);
        }
    }

    /// Makes the deferred changes to a subscriber's subscriptions.
    fn make_changes(
        &mut self,
        peer: PeerId,
        changes: impl IntoIterator<Item = Change>,
        out: &mut impl Outlet<M>,
    ) {
        let Some(&Peer::Subscriber(subscriber)) = self.peers.get(peer) else {
            return;
        };
        for change in changes {
            match change {
                Change::Subscribe(prefix) => self.add_subscription(peer, subscriber, &prefix, out),
                Change::Cancel(prefix) => self.cancel(peer, &prefix, out),
            }
        }
        if self.channels[subscriber.channel.0].hold(subscriber.id) {
            out.pause(peer);
        }
    }
}

/// Returns whether the publishers of a channel have principals. If so, the identities that the
/// publishers chose are ignored.
fn knows_publishers(snapshot: &Snapshot, channel: ChannelId) -> bool {
    let settings = snapshot.channels.get(&channel);
    let has_security = settings.is_some_and(|settings| settings.publishers.security.is_some());
    has_security || snapshot.knows_principals()
}

/// Describes the limit that a subscription exceeds.
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
        SubscriptionFault::MemoryShort => {
            "memory is short: its subscriptions take more than its share of limits.memory".into()
        }
    }
}

/// Splits a kept message of one frame, as [`single::split`] does. Returns `None` on a channel whose
/// messages are typed.
fn split<M: Frames>(body: &M, frames: &ChannelFrames) -> Option<M> {
    match frames {
        ChannelFrames::Single(end) => Some(single::split(body.get(0).unwrap_or_default(), end)),
        ChannelFrames::Typed => None,
    }
}

/// Returns whether a kept message still matches the schema of its type's route. [`Fit::Undecided`]
/// means that a judge must check the payload. If the check is more work than a small message, adds
/// the additional work to `work`, in units of the work for one small message.
fn still_fits<M: Frames>(
    snapshot: &Snapshot,
    channel: ChannelId,
    frames: &ChannelFrames,
    body: &M,
    work: &mut usize,
) -> Fit {
    let split = split(body, frames);
    let body = split.as_ref().unwrap_or(body);
    let route = snapshot.routes.find(body.get(0).unwrap_or_default());
    let route = route.map(|place| snapshot.routes.at(place));
    let Some(route) = route.filter(|route| route.channel() == Some(channel)) else {
        return Fit::Unfit;
    };
    let payload = frame::payload(body);
    let schema = route.schema.as_ref();
    if !schema.is_none_or(|schema| schema.is_direct(payload)) {
        return Fit::Undecided;
    }
    let depth = snapshot.limits.depth;
    match check_payload_briefly(Direction::Request, route, depth, body, work) {
        Some(Ok(_)) => Fit::Fits,
        Some(Err(_)) => Fit::Unfit,
        None => Fit::Undecided,
    }
}

/// Reloads and the shutdown.
impl<M: Frames> Core<M> {
    /// Adds the channels that a snapshot has and the core does not have yet.
    pub(super) fn open_channels(&mut self, snapshot: &Snapshot) {
        for (id, settings) in &snapshot.channels {
            while self.channels.len() <= id.0 {
                self.channels.push(Channel::new(Arc::clone(settings)));
            }
        }
    }

    /// Adopts the channels of `next`, the snapshot that takes effect next. A removed channel keeps
    /// its last settings, except that it drops its kept messages.
    pub(super) fn adopt_channels(&mut self, next: &Snapshot) {
        self.open_channels(next);
        self.rename_publishers(next);
        for (place, channel) in self.channels.iter_mut().enumerate() {
            let settings = match next.channels.get(&ChannelId(place)) {
                Some(settings) => Arc::clone(settings),
                None if channel.settings().keep == Keep::None => continue,
                None => Arc::new(ChannelSettings {
                    keep: Keep::None,
                    ..ChannelSettings::clone(channel.settings())
                }),
            };
            channel.set_settings(settings, next.generation, self.now);
        }
    }

    /// Makes the publishers of a channel anonymous if the channel had no principals when they
    /// connected, and has principals in `next`. The engine disconnects these publishers if
    /// anonymous publishers are not admitted.
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

    /// Returns whether messages are queued for subscribers.
    pub(super) fn has_queued_messages(&self) -> bool {
        self.channels.iter().any(|channel| channel.waiting() > 0)
    }

    /// Restarts the time after which a subscriber counts as stalled, because the gateway drains.
    pub(super) fn begin_to_flush(&mut self) {
        for channel in &mut self.channels {
            channel.begin_to_wait(self.now);
        }
    }

    /// Returns the time at which [`Self::give_up_stalled_subscribers`] is due at the latest, or
    /// `None` if it has nothing to do.
    pub(super) fn stalled_subscribers_due(&self) -> Option<Duration> {
        let waits = self.drain.is_some() && self.has_queued_messages();
        waits.then(|| self.now + STALLED_TIME)
    }

    /// If the gateway drains, drops the messages for subscribers that have taken no message for
    /// [`STALLED_TIME`].
    pub(super) fn give_up_stalled_subscribers(&mut self) {
        if self.drain.is_none() || !self.has_queued_messages() {
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
