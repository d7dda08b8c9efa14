//! The end of requests by a timeout, a rejection or the end of a drain, and the delivery of
//! answers. Every answer is counted when it is delivered.

use std::sync::Arc;

use super::peers::Peer;
use super::request::{Request, ReturnAddress, Sender, State};
use super::{Core, NotedEvent, Outlet, Particulars, worker_particulars};
use crate::frame::{self, Envelope, Frames};
use crate::ledger::{Fate, RequestOutcome};
use crate::rejections::{Rejected, RejectionSeverity};
use crate::reply::{Reason, Rejection};
use crate::snapshot::RouteId;

/// The work for a rejection. The unit is the work for one small message. A rejection takes more
/// work, because its text is formatted and encoded, and a record of it is kept.
const REJECTION_WORK: usize = 8;

/// The maximum number of expired requests that end with one event. The core ends this number of
/// requests in about a millisecond. Further expired requests end with the next event, which is due
/// at once.
const EXPIRED_MAX: usize = 128;

impl<M: Frames> Core<M> {
    /// Ends the requests whose deadline has passed, and all requests once the deadline of a drain
    /// has passed.
    #[inline]
    pub(super) fn expire(&mut self, out: &mut impl Outlet<M>) {
        if self.deadlines.may_have_passed(self.now) || self.drain.is_some() {
            self.expire_some(out);
        }
    }

    fn expire_some(&mut self, out: &mut impl Outlet<M>) {
        for _ in 0..EXPIRED_MAX {
            let requests = &self.requests;
            let alive = |number| {
                requests
                    .get(number)
                    .is_some_and(|request| !request.is_answered())
            };
            let Some(number) = self.deadlines.expired(self.now, alive) else {
                break;
            };
            self.time_out(number, out);
        }
        if self.drain.is_some_and(|deadline| deadline <= self.now) {
            for number in self.requests.numbers() {
                let message = "the gateway shut down before the request was answered";
                let rejection = Rejection::new(Reason::ShuttingDown, message);
                self.reject_open(number, rejection, out);
            }
        }
    }

    #[cold]
    fn time_out(&mut self, number: u64, out: &mut impl Outlet<M>) {
        let Some(request) = self.requests.get(number) else {
            return;
        };
        let route = request.route();
        let Some(id) = route.pool() else {
            // No deadline is set for a message that is published.
            return;
        };
        let waited = route.timeout.unwrap_or_default();
        let pool = &mut self.pools[id.0];
        let name = pool.settings().name.clone();
        let mut excluded = None;
        let rejection = match &request.state {
            State::Waiting(_) if pool.workers() == 0 => Rejection::new(
                Reason::NoWorker,
                format!("pool {name} had no worker within {waited:?}"),
            ),
            State::Waiting(_) => Rejection::new(
                Reason::Timeout,
                format!(
                    "no worker of pool {name} was free within {waited:?}: the request waited in the queue"
                ),
            )
            .busy(),
            State::Unjudged(_) => Rejection::new(
                Reason::Timeout,
                format!(
                    "the payload was not checked within {waited:?}: other payloads were checked first"
                ),
            )
            .busy(),
            // A request has no deadline any more once its worker has answered.
            State::Answered(_) => return,
            &State::Held { worker, at, .. } => {
                if let Some(&Peer::Worker(worker)) = self.peers.get(worker) {
                    let excludes = pool.overdue(worker.seat, number, at);
                    excluded = excludes.then_some(worker);
                }
                Rejection::new(
                    Reason::Timeout,
                    format!(
                        "a worker of pool {name} held the request and did not answer within {waited:?}"
                    ),
                )
            }
        };
        let waited = matches!(request.state, State::Waiting(_));
        self.reject_open(number, rejection, out);
        if let Some(worker) = excluded {
            let particulars = worker_particulars(&self.pools[id.0], worker.seat);
            self.note_worker(NotedEvent::Unanswered, worker, particulars);
        }
        if waited {
            self.pools[id.0].try_excluded();
        }
        // A worker may have room for another request now.
        self.dispatch(id, out);
    }

    /// Ends an open request with a rejection.
    pub(super) fn reject_open(
        &mut self,
        number: u64,
        mut rejection: Rejection,
        out: &mut impl Outlet<M>,
    ) {
        if let Some(request) = self.end(number) {
            if let State::Held { .. } | State::Answered(_) = request.state {
                rejection = rejection.seen();
            }
            self.reject(request.into_return_address(), rejection, out);
        }
    }

    /// Removes and returns an open request, or returns `None` if it has ended. The caller must send
    /// the answer, or open the request again.
    #[inline]
    pub(super) fn end(&mut self, number: u64) -> Option<Request<M>> {
        let request = self.requests.remove(number)?;
        let route = request.route();
        let mut has_deadline = route.timeout.is_some();
        match request.state {
            State::Held { .. } => {}
            State::Waiting(_) => {
                if let Some(pool) = route.pool() {
                    self.pools[pool.0].remove_queued(number, request.sender.client);
                }
            }
            State::Unjudged(_) => {
                if let Some(pool) = route.pool() {
                    self.pools[pool.0].remove_unjudged();
                }
            }
            // A request has no deadline any more once its worker has answered.
            State::Answered(_) => has_deadline = false,
        }
        if has_deadline {
            self.deadlines.ended(|n| self.requests.contains(n));
        }
        self.counts.route(route.id).open -= 1;
        Some(request)
    }

    /// Records a rejection, and sends it to the client that `to` names. A publisher receives no
    /// rejections.
    #[cold]
    pub(super) fn reject(
        &mut self,
        to: ReturnAddress,
        mut rejection: Rejection,
        out: &mut impl Outlet<M>,
    ) {
        out.spend(REJECTION_WORK);
        let reason = rejection.reason;
        rejection.generation = to.generation;
        rejection.kind = to.kind;
        let mut frames = Vec::with_capacity(2 + to.headers.len());
        frames.push(frame::ERROR_TYPE.to_vec());
        frames.extend(to.headers);
        frames.push(rejection.encode(to.errors));
        let outcome = RequestOutcome::Rejected(to.route, reason);
        let body = M::of(frames);
        self.report_rejection(to.route, to.sender, rejection, out);
        self.deliver(to.sender, to.open, &to.envelope, body, outcome, out);
    }

    /// Records a rejection, for the log and for `GET /rejections`.
    fn report_rejection(
        &mut self,
        route: RouteId,
        sender: Sender,
        rejection: Rejection,
        out: &impl Outlet<M>,
    ) {
        let client = match self.peers.get_mut(sender.client) {
            Some(Peer::Client(client)) => {
                self.principals.rejected(client);
                Some(client.caller(|| out.address(sender.client)))
            }
            Some(Peer::Publisher(publisher)) => Some(publisher.info(|| out.address(sender.client))),
            _ => None,
        };
        let what = NotedEvent::Rejected(rejection.reason);
        let rejected = Arc::new(Rejected::new(self.now, route, client, rejection));
        let names = &self.snapshot.names;
        rejected.log(RejectionSeverity::Debug, names);
        let name = names.of_route(route);
        let peer = Some(sender.client);
        self.notes.note(self.now, what, name, peer, || Particulars {
            rejected: Some(Arc::clone(&rejected)),
            ..Particulars::default()
        });
        self.recent.push(rejected);
    }

    /// Sends the only answer to a message, and counts the answer. Drops the answer instead if the
    /// client has disconnected, or is a REQ that has sent another message since. A publisher
    /// receives no answer. `open` is the size of an accepted request in bytes, or `None` if the
    /// message was rejected before it became a request.
    pub(super) fn deliver(
        &mut self,
        sender: Sender,
        open: Option<u64>,
        envelope: &Envelope,
        body: M,
        outcome: RequestOutcome,
        out: &mut impl Outlet<M>,
    ) {
        if sender.is_publisher() {
            // A publisher receives no answers.
            return self.counts.count(outcome, Fate::Delivered);
        }
        let counters = self.counts.route(outcome.route());
        let fate = match self.peers.get_mut(sender.client) {
            Some(Peer::Client(client)) => {
                if let Some(bytes) = open {
                    client.closed(bytes);
                    self.principals.closed(client);
                }
                if client.req_messages() == sender.req_messages {
                    envelope.wrap(body, |head, body| {
                        counters.bytes_out += frame::size(head) + body.size();
                        out.to_client(sender.client, head, body, outcome)
                    })
                } else {
                    Fate::Gone
                }
            }
            _ => Fate::Gone,
        };
        self.counts.count(outcome, fate);
    }
}
