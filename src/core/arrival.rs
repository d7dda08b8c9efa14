//! A message arrives. A client's is judged; then a worker receives the request, or the request is queued or rejected.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::doubts::Doubts;
use super::event::Extent;
use super::handout::Order;
use super::peers::{Client, FrontendState, Peer, Turn};
use super::request::{Asker, Request, Return, State, copies};
use super::stray::Pattern;
use super::token::Name;
use super::{Core, Outlet, framing};
use crate::frame::{self, Envelope, Frames, Message};
use crate::ledger::nanoseconds;
use crate::peer::{ClientKind, PeerId};
use crate::pool::Pool;
use crate::reply::{ErrorEncoding, Reason, Rejection};
use crate::route::{RoutePlace, Table};
use crate::snapshot::{AnyOf, EnvelopeMode, PoolId, Route, RouteId, Snapshot};
use gateway_schema::Violation;

/// A message that may be served.
struct Judged {
    route: RoutePlace,
    /// The encoding of the rejection, should there be one later.
    errors: ErrorEncoding,
    /// The place of the schema that the payload fits in the route's list; none for an opaque route.
    schema: Option<usize>,
}

/// What there is of a request before it is anywhere, beside its body.
struct Accepted {
    asker: Asker,
    name: Rc<Name>,
    envelope: Envelope,
    judged: Judged,
    /// Of all its frames.
    bytes: u64,
}

/// A message that is turned down.
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
    fn violation(
        errors: ErrorEncoding,
        route: &Route,
        payload: &[u8],
        depth: u32,
        violation: Violation,
    ) -> Box<Self> {
        let schema = route.schema.as_ref();
        // A payload that breaks a rule was read by its schema.
        let schema = schema.filter(|_| violation.rule.is_none());
        let hint = schema.and_then(|any_of| any_of.hint(payload, depth));
        let rejection = Rejection::violation(Reason::SchemaViolation, violation).with_hint(hint);
        Box::new(Self { rejection, errors })
    }

    /// Returns the refusal of a type that no route matches, which says what may be meant.
    #[cold]
    fn unknown_type<M: Frames>(
        errors: ErrorEncoding,
        routes: &Table<Route>,
        message: &Message<M>,
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
    /// Takes a peer's message: a client's request or a worker's answer.
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
            None => return,
        };
        client.asks();
        let most = self.snapshot.limits.clients;
        let turn = self.admitted.note_message(client, most);
        if turn == Turn::First && extent == Extent::Whole && is_probe(client, &frames) {
            return;
        }
        let bytes = frames.size();
        let routes = &self.snapshot.routes;
        let message = match &client.framing {
            None => Message::split(client.kind, frames),
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
        // First of all, so that a misfit is answered in the encoding that its sender reads.
        let place = routes.find_near(message.kind(), client.route);
        client.route = place.or(client.route);
        let id = place.map_or(RouteId::NONE, |place| routes.at(place).id);
        let counters = self.counts.route(id);
        counters.received += 1;
        counters.bytes_in += bytes;
        let judge = Judge {
            snapshot: &self.snapshot,
            draining: self.drain.is_some(),
            client,
        };
        let asker = Asker {
            client: peer,
            asked: client.asked(),
        };
        match judge.judge(&message, place, bytes, extent) {
            Ok(judged) => {
                if let Some(place) = judged.schema {
                    counters.fitted(place);
                }
                client.opened(bytes);
                let accepted = Accepted {
                    asker,
                    name: Rc::clone(&client.name),
                    envelope: message.envelope,
                    judged,
                    bytes,
                };
                self.accept(accepted, message.body, out);
            }
            Err(refused) => self.refuse(asker, id, message, extent, refused, out),
        }
    }

    /// Rejects a message that did not become a request.
    #[expect(clippy::boxed_local, reason = "a pointer is moved, not a large value")]
    #[cold]
    fn refuse(
        &mut self,
        asker: Asker,
        route: RouteId,
        message: Message<M>,
        extent: Extent,
        refused: Box<Refused>,
        out: &mut impl Outlet<M>,
    ) {
        let Refused { rejection, errors } = *refused;
        if rejection.reason == Reason::UnknownType {
            self.doubt_envelope(asker.client, &message, out);
        }
        let frames = message.body.len();
        let kept = match extent {
            Extent::Whole => frame::between(&message.body, frames.saturating_sub(1)),
            // The payload is probably not among the frames that were kept.
            Extent::Oversize => frame::between(&message.body, frames),
        };
        let most = self.snapshot.limits.frames.saturating_sub(2);
        let to = Return {
            route,
            kind: frame::type_name(message.kind()),
            asker,
            open: None,
            headers: copies(kept.take(most)),
            envelope: message.envelope,
            errors,
            generation: self.snapshot.generation,
        };
        self.reject(to, rejection, out);
    }

    /// Notes what a message without a route looks like, if its client may be behind a proxy.
    fn doubt_envelope(&mut self, peer: PeerId, message: &Message<M>, out: &impl Outlet<M>) {
        if let Some(Peer::Client(client)) = self.peers.get_mut(peer) {
            let doubts = Doubts {
                now: self.now,
                notes: &mut self.notes,
                snapshot: &self.snapshot,
                peer,
                client,
            };
            doubts.type_behind_others(message, || out.address(peer));
        }
    }

    /// The message becomes a request: to a worker at once, or into its pool's queue, or, that being
    /// full, it is refused after all.
    #[inline]
    fn accept(&mut self, accepted: Accepted, mut body: M, out: &mut impl Outlet<M>) {
        let route = self.snapshot.routes.at(accepted.judged.route);
        let (pool_id, timeout, id) = (route.pool, route.timeout, route.id);
        let client = accepted.asker.client;
        let number = self.requests.next_number();
        let order = Order {
            number,
            client,
            name: &accepted.name,
            keeps_type: route.kind.is_none(),
        };
        let pool = &mut self.pools[pool_id.0];
        while let Some(seat) = pool.at_once(client, &accepted.name.bare) {
            match order.hand(body, pool, seat, self.now, &mut self.spare, out) {
                Ok(held) => {
                    self.open(number, accepted, held, timeout, id);
                    return;
                }
                Err(back) => {
                    pool.set_blocked(seat, true);
                    body = back;
                }
            }
        }
        let bytes = accepted.bytes;
        if !pool.has_room(bytes) && !self.make_room(pool_id, client, bytes, out) {
            let full = queue_full(&self.pools[pool_id.0]);
            let request = self.request(number, accepted, State::Waiting(body));
            self.reject(request.give_up(), full, out);
            self.pools[pool_id.0].try_excluded();
            self.dispatch(pool_id, out);
            return;
        }
        let pool = &mut self.pools[pool_id.0];
        pool.enqueue(number, client, &accepted.name.bare, bytes);
        if pool.workers() == 0 {
            self.expect_worker(pool_id);
        }
        let waiting = State::Waiting(out.settle(body));
        self.open(number, accepted, waiting, timeout, id);
        // Under `identity: client` another worker than the first may take it, or those before it in
        // the queue stand aside.
        self.dispatch(pool_id, out);
    }

    /// Adds a request to the open ones.
    #[inline]
    fn open(
        &mut self,
        number: u64,
        accepted: Accepted,
        state: State<M>,
        timeout: Option<Duration>,
        route: RouteId,
    ) {
        let request = self.request(number, accepted, state);
        self.requests.insert(request);
        if let Some(timeout) = timeout {
            self.deadlines.add(number, self.now, timeout);
        }
        self.counts.route(route).open += 1;
    }

    /// Returns the request of this number that came under the snapshot in force.
    #[inline]
    fn request(&self, number: u64, accepted: Accepted, state: State<M>) -> Request<M> {
        let Accepted {
            asker,
            name,
            envelope,
            judged,
            bytes,
        } = accepted;
        Request {
            number,
            asker,
            name,
            envelope,
            route: judged.route,
            errors: judged.errors,
            snapshot: Rc::clone(&self.snapshot),
            bytes,
            arrived_ns: nanoseconds(self.now),
            state,
        }
    }

    /// Makes room in a full queue for a request of this client, if another's fill more of it.
    fn make_room(
        &mut self,
        pool: PoolId,
        client: PeerId,
        bytes: u64,
        out: &mut impl Outlet<M>,
    ) -> bool {
        let Some(gone) = self.pools[pool.0].make_way(client, bytes) else {
            return false;
        };
        for number in gone {
            let name = &self.pools[pool.0].settings().name;
            let message = format!(
                "the queue of pool {name} is full, and this client fills more of it than others: \
                 its newest request made way for theirs"
            );
            self.reject_open(number, Rejection::new(Reason::QueueFull, message), out);
        }
        true
    }
}

/// Returns whether a client's first message is the empty frame that its socket sends by itself under
/// `ZMQ_PROBE_ROUTER`. From a plain DEALER it may be an empty payload.
#[cold]
fn is_probe<M: Frames>(client: &Client, frames: &M) -> bool {
    let framing = client.framing.as_ref();
    let may_be_payload = client.kind == ClientKind::Dealer
        && framing.is_some_and(|it| it.kind.is_some() && it.envelope == EnvelopeMode::Auto);
    frames.len() == 1 && frames.get(0).is_some_and(<[u8]>::is_empty) && !may_be_payload
}

/// What a message is judged by.
struct Judge<'a> {
    snapshot: &'a Snapshot,
    draining: bool,
    client: &'a Client,
}

impl Judge<'_> {
    /// Returns the route of a message that may be served, or the rejection and its encoding.
    #[inline]
    fn judge<M: Frames>(
        &self,
        message: &Message<M>,
        place: Option<RoutePlace>,
        bytes: u64,
        extent: Extent,
    ) -> Result<Judged, Box<Refused>> {
        let Self {
            snapshot,
            draining,
            client,
        } = *self;
        let limits = &snapshot.limits;
        let route = place.map(|place| snapshot.routes.at(place));
        let schema = route.and_then(|route| route.schema.as_ref());
        let errors = schema.map_or(client.errors, AnyOf::errors);
        let refuse = |reason, message| Err(Refused::new(errors, reason, message));
        if draining {
            return refuse(Reason::ShuttingDown, "the gateway is shutting down".into());
        }
        if client.frontend_state == FrontendState::Removed {
            // Its clients get what they are owed and no more.
            let message = "the frontend was removed from the configuration";
            return refuse(Reason::ShuttingDown, message.into());
        }
        if extent == Extent::Oversize || bytes > limits.message {
            let most = limits.message;
            return refuse(
                Reason::TooLarge,
                format!("the message is larger than {most} bytes, the limit of limits.message"),
            );
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
        if !route.allows(client.frontend) {
            let frontend = snapshot.names.of_frontend(client.frontend);
            let message = format!(
                "route {} takes nothing from frontend {frontend}",
                route.name
            );
            return refuse(Reason::NotAllowed, message);
        }
        if !client.may_open(bytes, limits) {
            return refuse(Reason::ClientLimit, client.limit(limits));
        }
        let payload = frame::payload(&message.body);
        let schema = schema.map(|any_of| any_of.check(payload, limits.depth));
        match schema.transpose() {
            Ok(schema) => Ok(Judged {
                route: place,
                errors,
                schema,
            }),
            Err(violation) => {
                let depth = limits.depth;
                Err(Refused::violation(errors, route, payload, depth, violation))
            }
        }
    }
}

/// Refuses a message that lacks a frame or has too many.
#[cold]
fn malformed<M: Frames>(client: &Client, message: &Message<M>, frames_max: usize) -> Box<Refused> {
    let fault = worker_fault(&message.body).unwrap_or_else(|| {
        let fault = message.fault(frames_max);
        framing::fault(client.framing.as_deref(), message, frames_max, fault)
    });
    Refused::new(client.errors, Reason::Malformed, fault)
}

/// Says what is wrong with a message that no client sends, but a worker of some pattern.
#[cold]
fn worker_fault<M: Frames>(body: &M) -> Option<String> {
    let pattern = Pattern::of(body)?;
    Some(format!(
        "it is {pattern}: workers connect to a pool's address, and this is a frontend's"
    ))
}

fn queue_full(pool: &Pool) -> Rejection {
    let name = &pool.settings().name;
    let waiting = pool.waiting();
    Rejection::new(
        Reason::QueueFull,
        format!("the queue of pool {name} is full: {waiting} requests wait"),
    )
}
