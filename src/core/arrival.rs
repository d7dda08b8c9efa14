//! From a client: a message is judged, then a worker gets it, or it waits, or it is turned down.

use std::sync::Arc;

use super::*;

/// What came of judging a message that may be served.
struct Judged {
    route: Arc<Route>,
    /// Which of the route's schemas it fits, 0 for the first; none for an opaque route.
    schema: Option<usize>,
}

impl<F: Frame> Core<F> {
    /// A client's message, whole or (`oversize`) what the engine kept of it.
    pub(super) fn request(
        &mut self,
        peer: PeerId,
        frames: Vec<F>,
        oversize: bool,
        out: &mut impl Outlet<F>,
    ) {
        let Some(Peer::Client(client)) = self.peers.get_mut(&peer) else {
            return;
        };
        client.asked += u64::from(client.kind == ClientKind::Req);
        if client.surplus && self.clients < self.snapshot.limits.clients {
            // Another has gone since it came.
            client.surplus = false;
            self.clients += 1;
        }
        let Some(Peer::Client(client)) = self.peers.get(&peer) else {
            return;
        };
        let bytes = frame::size(&frames);
        let message = Message::split(client.kind, frames);
        // First of all, so that a misfit is answered in the encoding that its sender reads.
        let route = self.snapshot.routes.get(message.kind());
        let id = route.map_or(RouteId::NONE, |route| route.id);
        let counters = self.counts.route(id);
        counters.received += 1;
        counters.bytes_in += bytes;
        match self.judge(client, &message, route, bytes, oversize) {
            Ok(judged) => {
                let Judged { route, schema } = judged;
                if let Some(place) = schema {
                    self.counts.route(id).fitted(place);
                }
                self.accept(peer, message, route, bytes, out);
            }
            Err((rejection, errors)) => {
                let kept = match oversize {
                    // The payload isn't among what was kept, as far as anybody knows.
                    true => message.body.get(1..).unwrap_or_default(),
                    false => frame::headers(&message.body),
                };
                let most = self.snapshot.limits.frames.saturating_sub(2);
                let to = Return {
                    route: id,
                    client: peer,
                    asked: client.asked,
                    headers: copies(&kept[..kept.len().min(most)]),
                    envelope: message.envelope,
                    errors,
                    generation: self.snapshot.generation,
                };
                self.reject(to, rejection, out);
            }
        }
    }

    /// The route of a message that may be served, or why not and in which encoding to say so.
    fn judge(
        &self,
        client: &Client,
        message: &Message<F>,
        route: Option<&Arc<Route>>,
        bytes: u64,
        oversize: bool,
    ) -> Result<Judged, (Rejection, ErrorEncoding)> {
        let limits = &self.snapshot.limits;
        let errors = client.errors;
        let refuse = |reason, message: String| Err((Rejection::new(reason, message), errors));
        let errors_of = |route: &Route| route.schema.as_ref().map_or(errors, |s| s.errors());
        let errors = route.map_or(errors, |route| errors_of(route));
        let refuse_as = |reason, message: String| Err((Rejection::new(reason, message), errors));

        if self.drain.is_some() {
            return refuse_as(Reason::ShuttingDown, "the gateway is shutting down".into());
        }
        let Some(frontend) = self.snapshot.frontends.get(&client.frontend) else {
            // Its clients get what they are owed and no more.
            let message = "the frontend was removed from the configuration";
            return refuse_as(Reason::ShuttingDown, message.into());
        };
        if oversize || bytes > limits.message {
            let most = limits.message;
            return refuse_as(
                Reason::TooLarge,
                format!("the message is larger than {most} bytes, the limit of limits.message"),
            );
        }
        if let Some(fault) = message.fault(limits.frames) {
            return refuse(Reason::Malformed, fault);
        }
        let Some(route) = route else {
            let kind = frame::printable(message.kind());
            return refuse(Reason::UnknownType, format!("no route matches type {kind}"));
        };
        if !route.allows(client.frontend) {
            let frontend = &frontend.name;
            let message = format!(
                "route {} takes nothing from frontend {frontend}",
                route.name
            );
            return refuse_as(Reason::NotAllowed, message);
        }
        if let Some(limit) = self.client_limit(client, bytes) {
            return refuse_as(Reason::ClientLimit, limit);
        }
        let payload = frame::payload(&message.body);
        let schema = route.schema.as_ref();
        let schema = schema.map(|any_of| any_of.check(payload, limits.depth));
        match schema.transpose() {
            Ok(schema) => Ok(Judged {
                route: Arc::clone(route),
                schema,
            }),
            Err(violation) => {
                let rejection = Rejection::violation(Reason::SchemaViolation, violation);
                Err((rejection, errors))
            }
        }
    }

    fn client_limit(&self, client: &Client, bytes: u64) -> Option<String> {
        let limits = &self.snapshot.limits;
        if client.surplus {
            let most = limits.clients;
            Some(format!(
                "{most} clients are here already, the limit of limits.clients"
            ))
        } else if client.open >= limits.client_requests {
            let most = limits.client_requests;
            Some(format!(
                "this client has {most} requests open, the limit of limits.client_requests"
            ))
        } else if client.open_bytes.saturating_add(bytes) > limits.client_bytes {
            let most = limits.client_bytes;
            Some(format!(
                "this client's open requests would pass {most} bytes, the limit of limits.client_bytes"
            ))
        } else {
            None
        }
    }

    /// The message becomes a request: to a worker at once, or into its pool's queue, or, that being
    /// full, it is refused after all.
    fn accept(
        &mut self,
        peer: PeerId,
        message: Message<F>,
        route: Arc<Route>,
        bytes: u64,
        out: &mut impl Outlet<F>,
    ) {
        let Some(Peer::Client(client)) = self.peers.get(&peer) else {
            return;
        };
        let name = Arc::clone(&client.name);
        let errors = client.errors;
        let mut envelope = message.envelope;
        compact(&mut envelope);
        let mut request = Request {
            client: peer,
            asked: client.asked,
            name: Arc::clone(&name),
            envelope,
            errors: route.schema.as_ref().map_or(errors, |s| s.errors()),
            snapshot: Arc::clone(&self.snapshot),
            bytes,
            arrived: self.now,
            state: State::Waiting(message.body),
            route,
        };
        let pool = request.route.pool;
        self.number += 1;
        let number = self.number;
        let mut handed = false;
        while let Some(worker) = self.pools[pool.0].at_once(&name.bare) {
            handed = self.hand(worker, number, &mut request, out);
            if handed {
                break;
            }
            self.pools[pool.0].set_blocked(worker, true);
        }
        if !handed {
            if !self.pools[pool.0].has_room(bytes) {
                let full = queue_full(&self.pools[pool.0]);
                self.reject(request.give_up(), full, out);
                return;
            }
            request.compact();
            self.pools[pool.0].enqueue(number, &name.bare, bytes);
        }
        if let Some(Peer::Client(client)) = self.peers.get_mut(&peer) {
            client.open += 1;
            client.open_bytes += bytes;
        }
        if let Some(timeout) = request.route.timeout {
            self.deadlines.add(number, self.now, timeout);
        }
        self.counts.route(request.route.id).open += 1;
        self.requests.insert(number, request);
        if !handed {
            // Under `identity: client` another worker than the first may take it, or those before
            // it in the queue stand aside.
            self.dispatch(pool, out);
        }
    }
}

fn queue_full(pool: &Pool) -> Rejection {
    let name = &pool.settings().name;
    let waiting = pool.waiting();
    Rejection::new(
        Reason::QueueFull,
        format!("the queue of pool {name} is full: {waiting} requests wait"),
    )
}
