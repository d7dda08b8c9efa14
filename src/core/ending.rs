//! To a client: every way that a request ends, and the delivery that is counted.

use std::sync::Arc;

use super::peers::Peer;
use super::request::{Asker, Request, Return, State};
use super::{Core, Outlet, Particulars, What, worker_particulars};
use crate::frame::{self, Envelope, Frames};
use crate::ledger::{Fate, Outcome};
use crate::rejections::{Rejected, Severity};
use crate::reply::{Reason, Rejection};
use crate::snapshot::RouteId;

impl<M: Frames> Core<M> {
    pub(super) fn expire(&mut self, out: &mut impl Outlet<M>) {
        while let Some(number) = self
            .deadlines
            .expired(self.now, |number| self.requests.contains(number))
        {
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
        let id = route.pool;
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
                    "no worker of pool {name} was free within {waited:?}: it waited in the queue"
                ),
            )
            .busy(),
            &State::Held { worker, at, .. } => {
                if let Some(&Peer::Worker(worker)) = self.peers.get(worker) {
                    let excludes = pool.overdue(worker.seat, number, at);
                    excluded = excludes.then_some(worker);
                }
                Rejection::new(
                    Reason::Timeout,
                    format!("a worker of pool {name} had it and did not answer within {waited:?}"),
                )
            }
        };
        let waited = matches!(request.state, State::Waiting(_));
        self.reject_open(number, rejection, out);
        if let Some(worker) = excluded {
            let particulars = worker_particulars(&self.pools[id.0], worker.seat);
            self.note_worker(What::Unanswered, worker, particulars);
        }
        if waited {
            self.pools[id.0].try_excluded();
        }
        // The worker may hold less now.
        self.dispatch(id, out);
    }

    /// Ends an open request with an answer of the gateway's own.
    pub(super) fn reject_open(
        &mut self,
        number: u64,
        mut rejection: Rejection,
        out: &mut impl Outlet<M>,
    ) {
        if let Some(request) = self.end(number) {
            if let State::Held { .. } = request.state {
                rejection = rejection.seen();
            }
            self.reject(request.give_up(), rejection, out);
        }
    }

    /// Takes out a request. Its answer must follow.
    #[inline]
    pub(super) fn end(&mut self, number: u64) -> Option<Request<M>> {
        let request = self.requests.remove(number)?;
        let route = request.route();
        if let State::Waiting(_) = request.state {
            self.pools[route.pool.0].left(number, request.asker.client);
        }
        if route.timeout.is_some() {
            self.deadlines.ended(|n| self.requests.contains(n));
        }
        self.counts.route(route.id).open -= 1;
        Some(request)
    }

    #[cold]
    pub(super) fn reject(
        &mut self,
        to: Return,
        mut rejection: Rejection,
        out: &mut impl Outlet<M>,
    ) {
        let reason = rejection.reason;
        rejection.generation = to.generation;
        rejection.kind = to.kind;
        let mut frames = Vec::with_capacity(2 + to.headers.len());
        frames.push(frame::ERROR_TYPE.to_vec());
        frames.extend(to.headers);
        frames.push(rejection.encode(to.errors));
        let outcome = Outcome::Rejected(to.route, reason);
        let body = M::of(frames);
        self.report_rejection(to.route, to.asker, rejection, out);
        self.deliver(to.asker, to.open, &to.envelope, body, outcome, out);
    }

    /// Keeps a record of a rejection, for the log and for `GET /rejections`.
    fn report_rejection(
        &mut self,
        route: RouteId,
        asker: Asker,
        rejection: Rejection,
        out: &impl Outlet<M>,
    ) {
        let client = match self.peers.get_mut(asker.client) {
            Some(Peer::Client(client)) => Some(client.caller(|| out.address(asker.client))),
            _ => None,
        };
        let what = What::Rejected(rejection.reason);
        let rejected = Arc::new(Rejected::new(self.now, route, client, rejection));
        let names = &self.snapshot.names;
        rejected.log(Severity::Debug, names);
        let name = names.of_route(route);
        let peer = Some(asker.client);
        self.notes.note(self.now, what, name, peer, || Particulars {
            rejected: Some(Arc::clone(&rejected)),
            ..Particulars::default()
        });
        self.recent.push(rejected);
    }

    /// The one answer, to whoever asked; of a request that was accepted, `open` is its bytes.
    pub(super) fn deliver(
        &mut self,
        asker: Asker,
        open: Option<u64>,
        envelope: &Envelope,
        body: M,
        outcome: Outcome,
        out: &mut impl Outlet<M>,
    ) {
        let counters = self.counts.route(outcome.route());
        let fate = match self.peers.get_mut(asker.client) {
            Some(Peer::Client(client)) => {
                if let Some(bytes) = open {
                    client.closed(bytes);
                }
                if client.asked() == asker.asked {
                    envelope.wrap(body, |head, body| {
                        counters.bytes_out += frame::size(head) + body.size();
                        out.to_client(asker.client, head, body, outcome)
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
