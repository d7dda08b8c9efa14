//! Publishing: messages from publishers, and messages from clients on routes to a channel, are
//! checked and sent to subscribers.
//!
//! A publisher's message passes the same checks as a request, but a rejection is only logged. A
//! message whose payload takes long to check becomes an open request, which a judge checks
//! (`judging`). If the payload is valid, the message is published instead of handed out to a
//! worker.

use std::rc::Rc;

use super::arrival::{Accepted, CheckedMessage, Fit, deny, fit_unusual};
use super::delivery::{ByOutlet, DELIVERIES_PER_MESSAGE};
use super::event::Extent;
use super::notes::{NotedEvent, Particulars};
use super::peers::{Peer, Subscriber};
use super::request::{ReturnAddress, Sender, charge, echo};
use super::{Core, Outlet, single};
use crate::channel::Publication;
use crate::frame::{self, Envelope, Frames, SplitMessage};
use crate::ledger::{Fate, RequestOutcome};
use crate::peer::{ClientKind, PeerId};
use crate::reply::{ErrorEncoding, Reason, Rejection};
use crate::route::RoutePlace;
use crate::snapshot::{ChannelFrames, ChannelId, ChannelSettings, Keep, Route, RouteId, Target};

/// The size of a publisher's message as it was sent.
struct Size {
    frames: usize,
    bytes: u64,
    extent: Extent,
}

impl<M: Frames> Core<M> {
    /// Takes a publisher's message, or notes a subscriber's message that is not a subscription.
    /// Drops the message of a peer that has disconnected.
    pub(super) fn message_on_channel(
        &mut self,
        peer: PeerId,
        frames: M,
        extent: Extent,
        out: &mut impl Outlet<M>,
    ) {
        match self.peers.get_mut(peer) {
            Some(Peer::Publisher(_)) => self.publication(peer, frames, extent, out),
            Some(&mut Peer::Subscriber(subscriber)) => {
                let first = frames.get(0).unwrap_or_default();
                let first = frame::printable(&first[..first.len().min(FIRST_SHOWN_MAX)]);
                self.note_subscriber(NotedEvent::SubscriberData, subscriber, peer, || {
                    Particulars {
                        frames: frames.len(),
                        first,
                        ..Particulars::default()
                    }
                });
            }
            _ => {}
        }
    }

    /// Publishes or rejects a publisher's message, or opens a request for it if a judge must check
    /// its payload.
    fn publication(&mut self, peer: PeerId, frames: M, extent: Extent, out: &mut impl Outlet<M>) {
        let Some(Peer::Publisher(publisher)) = self.peers.get_mut(peer) else {
            return;
        };
        let channel = publisher.channel;
        let bytes = frames.size();
        let size = Size {
            frames: frames.len(),
            bytes,
            extent,
        };
        let body = match &self.channels[channel.0].settings().frames {
            ChannelFrames::Single(end) if frames.len() == 1 && extent == Extent::Whole => {
                single::split(frames.get(0).unwrap_or_default(), end)
            }
            _ => frames,
        };
        let kind = body.get(0).unwrap_or_default();
        let place = self.snapshot.routes.find_near(kind, publisher.route);
        publisher.route = place.or(publisher.route);
        let name = Rc::clone(&publisher.name);
        let id = place.map_or(RouteId::NONE, |place| self.snapshot.routes.at(place).id);
        self.counts.arrived(id, bytes);
        let message = SplitMessage {
            envelope: Envelope::None,
            body,
        };
        let sender = Sender::publisher(peer);
        match self.check_publication(peer, &message, place, size, out) {
            Ok((place, Fit::Unjudged)) => {
                let accepted = Accepted {
                    sender,
                    name,
                    charge: charge(bytes, &message.envelope, &message.body),
                    envelope: message.envelope,
                    judged: CheckedMessage {
                        route: place,
                        errors: ErrorEncoding::Json,
                        fit: Fit::Unjudged,
                    },
                    bytes,
                };
                self.open_unjudged(accepted, message.body, out);
            }
            Ok((_, fit)) => {
                let counters = self.counts.route(id);
                counters.published += 1;
                if let Fit::Place(place) = fit {
                    counters.fitted(place);
                }
                let generation = self.snapshot.generation;
                self.publish(channel, message.body, true, generation, out);
            }
            Err(rejection) => {
                let to = ReturnAddress {
                    route: id,
                    kind: frame::type_name(message.kind()),
                    sender,
                    open: None,
                    headers: Vec::new(),
                    envelope: Envelope::None,
                    errors: ErrorEncoding::Json,
                    generation: self.snapshot.generation,
                };
                self.reject(to, *rejection, out);
            }
        }
    }

    /// Checks a publisher's message. Returns the place of its route and the result for its payload,
    /// or fails with the rejection.
    fn check_publication(
        &mut self,
        peer: PeerId,
        message: &SplitMessage<M>,
        place: Option<RoutePlace>,
        size: Size,
        out: &mut impl Outlet<M>,
    ) -> Result<(RoutePlace, Fit), Box<Rejection>> {
        let refuse = |reason, text: String| Err(Box::new(Rejection::new(reason, text)));
        let Some(Peer::Publisher(publisher)) = self.peers.get(peer) else {
            return refuse(Reason::Malformed, "the publisher has disconnected".into());
        };
        let (snapshot, limits) = (&self.snapshot, &self.snapshot.limits);
        let settings = self.channels[publisher.channel.0].settings();
        if self.drain.is_some() {
            return refuse(Reason::ShuttingDown, "the gateway is shutting down".into());
        }
        if size.extent == Extent::Oversize || size.bytes > limits.message {
            let most = limits.message;
            let text =
                format!("the message is larger than {most} bytes, the limit of limits.message");
            return refuse(Reason::TooLarge, text);
        }
        if let Some(fault) = several_frames_fault(&size, settings) {
            return refuse(Reason::Malformed, fault);
        }
        if !message.has_shape(limits.frames) {
            return refuse(
                Reason::Malformed,
                shape_fault(message, limits.frames, settings),
            );
        }
        let route = place.map(|place| snapshot.routes.at(place));
        let Some((place, route)) = place.zip(route) else {
            let kind = frame::printable(message.kind());
            return refuse(Reason::UnknownType, format!("no route matches type {kind}"));
        };
        if route.channel() != Some(publisher.channel) {
            let text = format!(
                "route {} does not publish on channel {}",
                route.name, settings.name
            );
            return refuse(Reason::UnknownType, text);
        }
        if let Some(fault) = topic_fault(message, route, settings) {
            return refuse(Reason::Malformed, fault);
        }
        if let Some(access) = &route.access {
            let sender = (peer, &*publisher.name.bare, publisher.name_source);
            if let Some(rejection) = deny(route, access, sender, self.now, &mut self.rates) {
                return Err(Box::new(rejection));
            }
        }
        let payload = frame::payload(&message.body);
        let schema = route.schema.as_ref();
        let usual = self.lanes.is_usual(schema, payload.len());
        let known = match schema {
            _ if !usual => None,
            None => Some(Fit::Opaque),
            Some(schema) => schema.check(payload, limits.depth).ok().map(Fit::Place),
        };
        let fit = match known {
            Some(fit) => fit,
            None => fit_unusual((&self.lanes, peer), limits.depth, message, route, out)?,
        };
        Ok((place, fit))
    }

    /// Publishes a client's message whose payload is valid.
    #[cold]
    pub(super) fn publish_accepted(
        &mut self,
        accepted: Accepted,
        body: M,
        out: &mut impl Outlet<M>,
    ) {
        let route = self.snapshot.routes.at(accepted.judged.route);
        let (id, target) = (route.id, route.target);
        let Accepted {
            sender,
            envelope,
            bytes,
            ..
        } = accepted;
        let about = (id, target, bytes, self.snapshot.generation);
        self.publish_and_acknowledge(sender, envelope, about, body, out);
    }

    /// Publishes a message whose payload a judge found valid.
    pub(super) fn publish_judged(&mut self, number: u64, body: M, out: &mut impl Outlet<M>) {
        let Some(request) = self.end(number) else {
            return;
        };
        let route = request.route();
        let generation = request.snapshot.generation;
        let about = (route.id, route.target, u64::from(request.bytes), generation);
        let (sender, envelope) = (request.sender, request.envelope);
        self.publish_and_acknowledge(sender, envelope, about, body, out);
    }

    /// Publishes a message, and sends the acknowledgement that a REQ or the route's `ack` requires.
    /// The message was checked in the given generation.
    fn publish_and_acknowledge(
        &mut self,
        sender: Sender,
        envelope: Envelope,
        (id, target, bytes, generation): (RouteId, Target, u64, u64),
        body: M,
        out: &mut impl Outlet<M>,
    ) {
        let Target::Channel { channel, ack } = target else {
            return;
        };
        let outcome = RequestOutcome::Published(id);
        if sender.is_publisher() {
            self.counts.count(outcome, Fate::Delivered);
            return self.publish(channel, body, true, generation, out);
        }
        let mut frames = vec![frame::ACK_TYPE.to_vec()];
        frames.extend(echo(frame::kept(&body, false)));
        frames.push(Vec::new());
        self.publish(channel, body, false, generation, out);
        let is_req = match self.peers.get_mut(sender.client) {
            Some(Peer::Client(client)) => client.kind == ClientKind::Req,
            _ => false,
        };
        if ack || is_req {
            self.deliver(sender, Some(bytes), &envelope, M::of(frames), outcome, out);
        } else {
            if let Some(Peer::Client(client)) = self.peers.get_mut(sender.client) {
                client.closed(bytes);
                self.principals.closed(client);
            }
            out.needs_no_answer(sender.client);
            self.counts.count(outcome, Fate::Delivered);
        }
    }

    /// Sends a checked message of type, headers and payload to the subscribers of a channel.
    /// `was_split` is true for a publisher's message. Such a message was split by [`single::split`]
    /// when it arrived, if the channel had `frames: single` then. The message was checked in the
    /// given generation.
    fn publish(
        &mut self,
        id: ChannelId,
        body: M,
        was_split: bool,
        generation: u64,
        out: &mut impl Outlet<M>,
    ) {
        let channel = &mut self.channels[id.0];
        let kind_length = body.get(0).unwrap_or_default().len();
        let body = match &channel.settings().frames {
            ChannelFrames::Single(end) => single::join(&body, end, was_split),
            ChannelFrames::Typed => body,
        };
        let when = (self.now, generation);
        let published = channel.publish(body, kind_length, when, &mut ByOutlet(&mut *out));
        out.spend(published.work / DELIVERIES_PER_MESSAGE);
        if !published.slow.is_empty() {
            self.note_slow(published, out);
        }
    }

    /// Notes the subscribers that missed messages, and disconnects the subscribers whose queues
    /// overflowed.
    #[cold]
    fn note_slow(&mut self, published: Publication, out: &mut impl Outlet<M>) {
        for (peer, missed) in published.slow {
            if let Some(&Peer::Subscriber(subscriber)) = self.peers.get(peer) {
                self.note_subscriber(NotedEvent::SlowSubscriber, subscriber, peer, || {
                    Particulars {
                        missed,
                        ..Particulars::default()
                    }
                });
            }
        }
        for peer in published.overflowed {
            let why = "it is slow: its queued messages exceed subscriber_bytes, or a smaller limit while memory is short, and its channel has `slow: disconnect`";
            out.disconnect(peer, why.to_owned());
        }
    }

    fn note_subscriber(
        &mut self,
        what: NotedEvent,
        subscriber: Subscriber,
        peer: PeerId,
        particulars: impl FnOnce() -> Particulars,
    ) {
        let channel = &self.channels[subscriber.channel.0];
        let name = &channel.settings().name;
        self.notes
            .note(self.now, what, name, Some(peer), || Particulars {
                worker: channel.name(subscriber.id),
                ..particulars()
            });
    }
}

/// If a subscriber's message is not a subscription, the log shows at most this number of bytes of
/// its first frame. These bytes suffice to recognize the message.
const FIRST_SHOWN_MAX: usize = 32;

/// Describes the fault in the frames of a publisher's message.
#[cold]
fn shape_fault<M: Frames>(
    message: &SplitMessage<M>,
    frames_max: usize,
    settings: &ChannelSettings,
) -> String {
    let fault = message.fault(frames_max);
    match settings.frames {
        ChannelFrames::Typed if message.body.len() == 1 => format!(
            "{fault}; if topic and payload are in one frame, channel {} needs `frames: single`",
            settings.name
        ),
        _ => fault,
    }
}

/// Describes the fault of a message with several frames on a channel with `frames: single`. Returns
/// `None` if the message does not have this fault.
fn several_frames_fault(size: &Size, settings: &ChannelSettings) -> Option<String> {
    let is_single = matches!(settings.frames, ChannelFrames::Single(_));
    (is_single && size.frames > 1).then(|| {
        format!(
            "the message has {} frames, but channel {} has `frames: single`, so topic and payload must be in one frame",
            size.frames, settings.name
        )
    })
}

/// Describes the fault of a frame without `topic_end` on a channel with `frames: single`. Returns
/// `None` if there is a `topic_end`, or if neither the route's schema nor the channel's `keep`
/// needs it.
fn topic_fault<M: Frames>(
    message: &SplitMessage<M>,
    route: &Route,
    settings: &ChannelSettings,
) -> Option<String> {
    let ChannelFrames::Single(end) = &settings.frames else {
        return None;
    };
    let needs_topic = route.schema.is_some() || settings.keep != Keep::None;
    let is_known = single::has_end(&message.body) || !needs_topic;
    (!is_known).then(|| {
        let end = frame::printable(end);
        format!("the frame does not contain the topic_end {end}, so the payload is unknown")
    })
}
