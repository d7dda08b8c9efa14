//! The arrival of messages. A client's message is checked. Then a worker receives the request, or
//! the request is queued or rejected.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::case::check_payload_briefly;
use super::current::Current;
use super::doubts::Doubts;
use super::event::Extent;
use super::handout::Handout;
use super::lanes::{Direction, Lanes};
use super::peers::{Client, FrontendState, MessagePosition, NameSource, Peer};
use super::rates::{Payer, RateLimiter};
use super::request::{Request, ReturnAddress, Sender, State, charge, echo};
use super::stray::Pattern;
use super::token::Name;
use super::{Core, Outlet, framing};
use crate::frame::{self, Envelope, Frames, SplitMessage};
use crate::ledger::nanoseconds;
use crate::peer::{ClientKind, PeerId};
use crate::pool::Pool;
use crate::reply::{ErrorEncoding, Reason, Rejection};
use crate::route::{RoutePlace, RouteTable};
use crate::snapshot::{Access, AnyOf, EnvelopeMode, PoolId, Route, RouteId, Snapshot, Target};

/// A message that passed its checks, without its frames. A judge thread may still have to check its
/// payload.
pub(super) struct CheckedMessage {
    pub(super) route: RoutePlace,
    /// The encoding of a later rejection.
    pub(super) errors: ErrorEncoding,
    pub(super) fit: Fit,
}

/// The result of the check of a payload, before the message becomes a request.
pub(super) enum Fit {
    /// The route has no schema.
    Opaque,
    /// The payload matches the schema at this index of the route's list.
    Place(usize),
    /// The payload waits for a judge's verdict.
    Unjudged,
}

/// A request before it is stored, without its body.
pub(super) struct Accepted {
    pub(super) sender: Sender,
    pub(super) name: Rc<Name>,
    pub(super) envelope: Envelope,
    pub(super) judged: CheckedMessage,
    /// The size of all frames, in bytes.
    pub(super) bytes: u64,
    /// The memory that the request takes while it is open, in bytes: see [`Request::charge`].
    pub(super) charge: u32,
}

/// A rejection, and the encoding in which it is sent.
struct Refused {
    rejection: Rejection,
    errors: ErrorEncoding,
}

impl Refused {
    #[cold]
    fn new(errors: ErrorEncoding, reason: Reason, message: String) -> Box<Self> {
        let rejection = Rejection::new(reason, message);
        Box::new(Self { rejection, errors })
    }

    #[cold]
    fn of(errors: ErrorEncoding, rejection: Rejection) -> Box<Self> {
        Box::new(Self { rejection, errors })
    }

    /// Returns the rejection of a message whose type no route matches. The hint names the route
    /// with a similar type, or explains that the last frame is a type. If neither applies, there is
    /// no hint.
    #[cold]
    fn unknown_type<M: Frames>(
        errors: ErrorEncoding,
        routes: &RouteTable<Route>,
        message: &SplitMessage<M>,
    ) -> Box<Self> {
        let (kind, payload) = (message.kind(), frame::payload(&message.body));
        let text = format!("no route matches type {}", frame::printable(kind));
        let hint = if let Some(route) = routes.find_similar(kind) {
            Some(format!("did you mean {}?", route.name))
        } else {
            let route = routes.get(payload);
            route.map(|route| {
                let name = &route.name;
                format!("the last frame is a type of route {name}: the type comes first, and the payload last")
            })
        };
        let rejection = Rejection::new(Reason::UnknownType, text).with_hint(hint);
        Box::new(Self { rejection, errors })
    }
}

impl<M: Frames> Core<M> {
    /// Takes a peer's message: a client's request, a worker's answer, or a message on a channel.
    /// The route of a request is looked up before the checks, because the route decides the
    /// encoding of a rejection.
    pub(super) fn message(
        &mut self,
        peer: PeerId,
        frames: M,
        extent: Extent,
        out: &mut impl Outlet<M>,
    ) {
        let client = match self.peers.get_mut(peer) {
            Some(Peer::Client(client)) => client,
            Some(&mut Peer::Worker(worker)) => return self.answer(worker, frames, extent, out),
            _ => return self.message_on_channel(peer, frames, extent, out),
        };
        let clients_max = self.snapshot.limits.clients;
        let position = self.admitted.note_message(client, clients_max);
        let is_first = position == MessagePosition::First;
        if is_first && extent == Extent::Whole && is_probe(client, &frames) {
            return;
        }
        self.principals.received(client);
        let bytes = frames.size();
        let message = match &client.framing {
            None => SplitMessage::split(client.kind, frames),
            Some(framing) => {
                let framing = Arc::clone(framing);
                let doubts = Doubts {
                    now: self.now,
                    notes: &mut self.notes,
                    snapshot: &self.snapshot,
                    peer,
                    client,
                };
                framing::split(&framing, frames, extent, doubts, || out.address(peer))
            }
        };
        let place = self.snapshot.routes.find_near(message.kind(), client.route);
        client.route = place.or(client.route);
        let id = place.map_or(RouteId::NONE, |place| self.snapshot.routes.at(place).id);
        let counters = self.counts.arrived(id, bytes);
        let judge = ArrivalCheck {
            snapshot: &self.snapshot,
            draining: self.drain.is_some(),
            lanes: &self.lanes,
            client,
            peer,
            now: self.now,
            rates: &mut self.rates,
        };
        let sender = Sender::of(peer, client);
        match judge.judge(&message, place, bytes, extent, out) {
            Ok(judged) => {
                client.opened(bytes);
                self.principals.opened(client);
                let accepted = Accepted {
                    sender,
                    name: Rc::clone(&client.name),
                    charge: charge(bytes, &message.envelope, &message.body),
                    envelope: message.envelope,
                    judged,
                    bytes,
                };
                match accepted.judged.fit {
                    Fit::Unjudged => return self.open_unjudged(accepted, message.body, out),
                    Fit::Place(place) => counters.fitted(place),
                    Fit::Opaque => {}
                }
                self.accept(accepted, message.body, out);
            }
            Err(refused) => self.refuse(sender, id, message, extent, refused, out),
        }
    }

    /// Rejects a message that did not become a request.
    #[expect(clippy::boxed_local, reason = "a pointer is moved, not a large value")]
    #[cold]
    fn refuse(
        &mut self,
        sender: Sender,
        route: RouteId,
        message: SplitMessage<M>,
        extent: Extent,
        refused: Box<Refused>,
        out: &mut impl Outlet<M>,
    ) {
        let Refused { rejection, errors } = *refused;
        if rejection.reason == Reason::UnknownType {
            self.doubt_envelope(sender.client, &message, out);
        }
        let frames = message.body.len();
        let kept = match extent {
            Extent::Whole => frame::between(&message.body, frames.saturating_sub(1)),
            // The payload is probably not among the frames that were kept.
            Extent::Oversize => frame::between(&message.body, frames),
        };
        let most = self.snapshot.limits.frames.saturating_sub(2);
        let to = ReturnAddress {
            route,
            kind: frame::type_name(message.kind()),
            sender,
            open: None,
            headers: echo(kept.take(most)),
            envelope: message.envelope,
            errors,
            generation: self.snapshot.generation,
        };
        self.reject(to, rejection, out);
    }

    /// Notes a doubt about a message whose type has no route, if a frame after the type is the type
    /// of a route. The client may then be behind a proxy.
    fn doubt_envelope(&mut self, peer: PeerId, message: &SplitMessage<M>, out: &impl Outlet<M>) {
        if let Some(Peer::Client(client)) = self.peers.get_mut(peer) {
            let doubts = Doubts {
                now: self.now,
                notes: &mut self.notes,
                snapshot: &self.snapshot,
                peer,
                client,
            };
            doubts.type_after_others(message, || out.address(peer));
        }
    }

    /// Accepts a message as a request, which is handed to a worker at once or queued in its pool.
    /// The request is rejected if the queue is full and nothing can be evicted for it. If the route
    /// leads to a channel, the message is published instead.
    #[inline]
    fn accept(&mut self, accepted: Accepted, mut body: M, out: &mut impl Outlet<M>) {
        let route = self.snapshot.routes.at(accepted.judged.route);
        let id = route.id;
        let Target::Pool(pool_id) = route.target else {
            return self.publish_accepted(accepted, body, out);
        };
        let client = accepted.sender.client;
        let number = self.requests.next_number();
        let handout = Handout {
            number,
            client,
            name: &accepted.name,
            keeps_type: route.kind.is_none(),
        };
        let pool = &mut self.pools[pool_id.0];
        let state = 'placed: {
            while let Some(seat) = pool.pick_at_once(client, &accepted.name.bare) {
                match handout.hand(body, pool, seat, self.now, &mut self.spare, out) {
                    Ok(held) => break 'placed held,
                    Err(back) => {
                        pool.set_blocked(seat, true);
                        body = back;
                    }
                }
            }
            let bytes = accepted.bytes;
            if !pool.has_room(bytes) && !self.make_room(pool_id, client, bytes, out) {
                let full = queue_full(&self.pools[pool_id.0]);
                let request = request(
                    &self.snapshot,
                    self.now,
                    number,
                    accepted,
                    State::Waiting(body),
                );
                self.reject(request.into_return_address(), full, out);
                self.pools[pool_id.0].try_excluded();
                self.dispatch(pool_id, out);
                return;
            }
            let pool = &mut self.pools[pool_id.0];
            pool.enqueue(number, client, &accepted.name.bare, bytes);
            if pool.workers() == 0 {
                self.expect_worker(pool_id);
            }
            State::Waiting(out.settle(body))
        };
        let waits = matches!(state, State::Waiting(_));
        self.open(number, accepted, state, id);
        if waits && self.pools[pool_id.0].has_free() {
            // Under `identity: client`, a worker holds at most one request of each client. A worker
            // may therefore be free although the request was queued. This call hands out the
            // requests that the free workers can take, and lets the queue skip clients that no free
            // worker can serve.
            self.dispatch(pool_id, out);
        }
    }

    /// Adds an open request. This function is inlined so that the request is built in its final
    /// place. A processor has to wait when it moves a value whose fields were stored just before.
    #[inline(always)]
    pub(super) fn open(
        &mut self,
        number: u64,
        accepted: Accepted,
        state: State<M>,
        route: RouteId,
    ) {
        if let Some(timeout) = self.snapshot.timeout(accepted.judged.route) {
            self.deadlines.add(number, self.now, timeout);
        }
        let (snapshot, now) = (&self.snapshot, self.now);
        self.requests.insert(number, accepted.charge, || {
            request(snapshot, now, number, accepted, state)
        });
        self.counts.route(route).open += 1;
    }

    /// Evicts requests of another client from a full queue, if the other client fills more of the
    /// queue than this client. This makes room for a request of `bytes` bytes from this client.
    /// Returns whether there is room now.
    pub(super) fn make_room(
        &mut self,
        pool: PoolId,
        client: PeerId,
        bytes: u64,
        out: &mut impl Outlet<M>,
    ) -> bool {
        let Some(gone) = self.pools[pool.0].requests_to_evict(client, bytes) else {
            return false;
        };
        for number in gone {
            let name = &self.pools[pool.0].settings().name;
            let message = format!(
                "the queue of pool {name} is full, and this client fills more of the queue than others: \
                 its newest request was evicted for a request of another client"
            );
            self.reject_open(number, Rejection::new(Reason::QueueFull, message), out);
        }
        true
    }
}

/// Returns whether a client's first message is the empty frame that its socket sends by itself
/// under `ZMQ_PROBE_ROUTER`. At a frontend with a `type` and without `envelope: routed`, an empty
/// frame from a DEALER counts as a payload instead.
#[cold]
fn is_probe<M: Frames>(client: &Client, frames: &M) -> bool {
    let framing = client.framing.as_ref();
    let may_be_payload = client.kind == ClientKind::Dealer
        && framing.is_some_and(|framing| {
            framing.kind.is_some() && framing.envelope == EnvelopeMode::Auto
        });
    frames.len() == 1 && frames.get(0).is_some_and(<[u8]>::is_empty) && !may_be_payload
}

/// The state that is needed to check a message.
struct ArrivalCheck<'a> {
    snapshot: &'a Snapshot,
    draining: bool,
    lanes: &'a Lanes,
    client: &'a Client,
    peer: PeerId,
    now: Duration,
    rates: &'a mut RateLimiter,
}

impl ArrivalCheck<'_> {
    /// Checks a message before it becomes a request. Fails with the rejection and its encoding.
    #[inline]
    fn judge<M: Frames>(
        self,
        message: &SplitMessage<M>,
        place: Option<RoutePlace>,
        bytes: u64,
        extent: Extent,
        out: &mut impl Outlet<M>,
    ) -> Result<CheckedMessage, Box<Refused>> {
        let (snapshot, draining, client) = (self.snapshot, self.draining, self.client);
        let (lanes, peer) = (self.lanes, self.peer);
        let limits = &snapshot.limits;
        let route = place.map(|place| snapshot.routes.at(place));
        let schema = route.and_then(|route| route.schema.as_ref());
        let errors = schema.map_or(client.errors, AnyOf::errors);
        let refuse = |reason, message| Err(Refused::new(errors, reason, message));
        if draining {
            return refuse(Reason::ShuttingDown, "the gateway is shutting down".into());
        }
        if client.frontend_state == FrontendState::Removed {
            // The clients of a removed frontend only receive the answers to their open requests.
            let message = "the frontend was removed from the configuration";
            return refuse(Reason::ShuttingDown, message.into());
        }
        if extent == Extent::Oversize || bytes > limits.message {
            let most = limits.message;
            let message =
                format!("the message is larger than {most} bytes, the limit of limits.message");
            return refuse(Reason::TooLarge, message);
        }
        if !message.has_shape(limits.frames) {
            return Err(malformed(client, message, limits.frames));
        }
        let Some((place, route)) = place.zip(route) else {
            if let Some(fault) = worker_fault(&message.body) {
                return refuse(Reason::UnknownType, fault);
            }
            return Err(Refused::unknown_type(errors, &snapshot.routes, message));
        };
        if let Some(access) = &route.access
            && let Some(rejection) = self.deny(route, access)
        {
            return Err(Box::new(Refused { rejection, errors }));
        }
        let bytes_max = out.client_bytes_max();
        if !client.may_open(bytes, limits, bytes_max) {
            let (reason, message) = client.limit(bytes, limits, bytes_max);
            return refuse(reason, message);
        }
        let payload = frame::payload(&message.body);
        let known = match schema {
            _ if !lanes.is_usual(schema, payload.len()) => None,
            None => Some(Fit::Opaque),
            Some(schema) => {
                let place = schema.check(payload, limits.depth);
                place.ok().map(Fit::Place)
            }
        };
        let fit = match known {
            Some(fit) => fit,
            None => match fit_unusual((lanes, peer), limits.depth, message, route, out) {
                Ok(fit) => fit,
                Err(rejection) => return Err(Refused::of(errors, *rejection)),
            },
        };
        Ok(CheckedMessage {
            route: place,
            errors,
            fit,
        })
    }
}

impl ArrivalCheck<'_> {
    /// Returns a rejection if the conditions of the route exclude the client, or if the client
    /// exceeds the route's rate. Otherwise counts the request against the rate, if the route has
    /// one.
    #[inline(never)]
    fn deny(self, route: &Route, access: &Access) -> Option<Rejection> {
        let name = &route.name;
        if !access.admits_frontend(self.client.frontend) {
            let names = &self.snapshot.names;
            let frontend = names.of_frontend(self.client.frontend);
            let message = format!("route {name} accepts nothing from frontend {frontend}");
            return Some(Rejection::new(Reason::NotAllowed, message));
        }
        let client = self.client;
        let sender = (self.peer, &*client.name.bare, client.name_source);
        deny(route, access, sender, self.now, self.rates)
    }
}

/// Returns a rejection if a route with `access` does not allow the sender, or if the sender exceeds
/// the rate of the route. Otherwise counts the message against the rate, if the route has one. The
/// sender is given by its number, its name, and the source of the name.
pub(super) fn deny(
    route: &Route,
    access: &Access,
    (peer, principal, source): (PeerId, &[u8], NameSource),
    now: Duration,
    rates: &mut RateLimiter,
) -> Option<Rejection> {
    let name = &route.name;
    if !access.admits_principal(principal) {
        let principal = frame::printable(principal);
        let message = format!("route {name} accepts nothing from {principal}");
        return Some(Rejection::new(Reason::NotAllowed, message));
    }
    let rate = access.rate.as_ref()?;
    let payer = match source {
        NameSource::Principal => Payer::Principal(principal),
        NameSource::Anonymous | NameSource::Peer => Payer::Connection(peer),
    };
    let wait = rates.charge(now, name, rate, payer).err()?;
    let sends = match route.target {
        Target::Pool(_) => "the client sends more requests",
        Target::Channel { .. } => "the sender sends more messages",
    };
    let message = format!("{sends} than the rate of route {name} allows");
    Some(Rejection::new(Reason::RateLimited, message).after(wait))
}

/// Checks the payload of a message from this peer. The payload may be large or violate the schema.
/// Returns [`Fit::Unjudged`] if a judge must check the payload, or if the message has to wait for
/// earlier messages. Fails with the rejection of the message.
#[inline(never)]
pub(super) fn fit_unusual<M: Frames>(
    (lanes, peer): (&Lanes, PeerId),
    depth: u32,
    message: &SplitMessage<M>,
    route: &Route,
    out: &mut impl Outlet<M>,
) -> Result<Fit, Box<Rejection>> {
    let lane = lanes.lane(peer, &message.envelope, Direction::Request);
    let payload = frame::payload(&message.body);
    if lanes.defers(lane, route.schema.as_ref(), payload) {
        return Ok(Fit::Unjudged);
    }
    let mut work = 0;
    let found = check_payload_briefly(Direction::Request, route, depth, &message.body, &mut work);
    out.spend(work);
    match found {
        None => Ok(Fit::Unjudged),
        Some(found) => Ok(found?.map_or(Fit::Opaque, Fit::Place)),
    }
}

/// Returns the rejection of a message that has too few or too many frames.
#[cold]
fn malformed<M: Frames>(
    client: &Client,
    message: &SplitMessage<M>,
    frames_max: usize,
) -> Box<Refused> {
    let fault = worker_fault(&message.body).unwrap_or_else(|| {
        let fault = message.fault(frames_max);
        framing::fault(client.framing.as_deref(), message, frames_max, fault)
    });
    Refused::new(client.errors, Reason::Malformed, fault)
}

/// Describes the mistake if a client's message has the form of a message from a worker of a known
/// pattern, such as Majordomo. Returns `None` for any other message.
#[cold]
fn worker_fault<M: Frames>(body: &M) -> Option<String> {
    let pattern = Pattern::of(body)?;
    Some(format!(
        "the message is {pattern}: workers connect to a pool's address, and this address is a frontend's"
    ))
}

pub(super) fn queue_full(pool: &Pool) -> Rejection {
    let name = &pool.settings().name;
    let waiting = pool.waiting();
    Rejection::new(
        Reason::QueueFull,
        format!("the queue of pool {name} is full: {waiting} requests wait"),
    )
}

/// Returns the request with this number, which arrives now. The request keeps the snapshot that is
/// in force.
#[inline(always)]
fn request<M: Frames>(
    snapshot: &Rc<Current>,
    now: Duration,
    number: u64,
    accepted: Accepted,
    state: State<M>,
) -> Request<M> {
    let Accepted {
        sender,
        name,
        envelope,
        judged,
        bytes,
        charge,
    } = accepted;
    Request {
        number,
        sender,
        name,
        envelope,
        route: judged.route,
        errors: judged.errors,
        snapshot: Rc::clone(snapshot),
        bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        charge,
        arrived_ns: nanoseconds(now),
        waited_ns: 0,
        state,
    }
}
