//! From a worker: an answer counts if its worker holds the request, and passes if its reply schema does.

use super::event::Extent;
use super::peers::Worker;
use super::request::{Request, State};
use super::{Core, Outlet, token};
use crate::frame::{self, Frames};
use crate::ledger::Outcome;
use crate::peer::WorkerKind;
use crate::pool::Dropped;
use crate::reply::{Reason, Rejection};
use gateway_schema::Violation;

impl<M: Frames> Core<M> {
    /// Takes a worker's message: an answer, if it names a request that this worker holds.
    pub(super) fn answer(
        &mut self,
        worker: Worker,
        mut frames: M,
        extent: Extent,
        out: &mut impl Outlet<M>,
    ) {
        if let Some(request) = self.answered_request(worker, &frames) {
            let (head, delimiter) = match worker.kind {
                WorkerKind::Dealer => (1, None),
                WorkerKind::Rep => (2, frames.get(1)),
            };
            let delimited = delimiter.is_none_or(<[u8]>::is_empty);
            frames.drop_front(head);
            let fault = match extent {
                Extent::Oversize => Some(oversize_fault(request.snapshot.limits.message)),
                Extent::Whole if !delimited => Some(no_rep_fault()),
                Extent::Whole => reply_fault(&request, &frames),
            };
            match fault {
                None => {
                    let route = request.route().id;
                    if let State::Held { kept, .. } = request.state {
                        self.spare.kept.give_back(kept);
                    }
                    let took = self.now.saturating_sub(request.arrived);
                    self.counts.route(route).latency.add(took);
                    let outcome = Outcome::Answered(route);
                    // Envelope in, worker's head out: for a DEALER that is all that changes.
                    let Request {
                        asker,
                        bytes,
                        envelope,
                        ..
                    } = request;
                    self.deliver(asker, Some(bytes), &envelope, frames, outcome, out);
                }
                Some(fault) => self.reject(request.give_up(), *fault, out),
            }
        }
        self.dispatch(worker.pool, out);
    }

    /// Takes out the request that a worker's message answers, if it does.
    fn answered_request(&mut self, by: Worker, frames: &M) -> Option<Request<M>> {
        let name = frames.get(0).unwrap_or_default();
        let pool = &mut self.pools[by.pool.0];
        // The bare identity first: under `identity: client`, and for what was handed out under it.
        let settled = pool.settle(by.seat, name);
        let bare = settled.is_some();
        let token = if bare { None } else { token::read(name) };
        let number = settled.or(token.map(|(_, number)| number));
        let place = |request: &Request<M>| match request.state {
            State::Held {
                worker,
                at,
                bare: form,
                ..
            } if worker == by.peer && form == bare => {
                let named = bare || token.is_some_and(|(shown, _)| request.name.is_shown_as(shown));
                named.then_some(at)
            }
            _ => None,
        };
        let held = number.and_then(|number| Some((number, place(self.requests.get(number)?)?)));
        match held {
            Some((number, at)) => {
                pool.answered(by.seat, number, at, self.now);
                self.end(number)
            }
            None => {
                // Held once and answered too late, or never asked for.
                let late = number.is_some_and(|number| self.requests.was_given(number));
                pool.dropped(
                    by.seat,
                    if late {
                        Dropped::Late
                    } else {
                        Dropped::Unsolicited
                    },
                );
                None
            }
        }
    }
}

/// What keeps a worker's message, which is this `body` behind its head, from being the answer to
/// this request.
#[inline]
fn reply_fault<M: Frames>(request: &Request<M>, body: &M) -> Option<Box<Rejection>> {
    let limits = &request.snapshot.limits;
    if body.size() > limits.message {
        return Some(oversize_fault(limits.message));
    }
    if let Some(fault) = frame::shape_fault(body, 0, limits.frames) {
        return Some(malformed_fault(&fault));
    }
    // An error of the worker's is no reply of the schema's.
    let schema = request.route().reply.as_ref();
    let schema = schema.filter(|_| body.get(0) != Some(frame::ERROR_TYPE))?;
    match schema.check(frame::payload(body), limits.depth) {
        Ok(_) => None,
        Err(violation) => Some(schema_fault(violation)),
    }
}

#[cold]
fn no_rep_fault() -> Box<Rejection> {
    let message = "the worker of a pool with `workers: rep` doesn't answer as REP does: \
                   the frame after the envelope is not empty";
    Box::new(Rejection::new(Reason::BadReply, message))
}

#[cold]
fn malformed_fault(fault: &str) -> Box<Rejection> {
    let message = format!("the worker's answer is malformed: {fault}");
    Box::new(Rejection::new(Reason::BadReply, message))
}

#[cold]
fn schema_fault(violation: Violation) -> Box<Rejection> {
    let mut rejection = Rejection::violation(Reason::BadReply, violation);
    rejection.message = format!(
        "the worker's answer fails its schema: {}",
        rejection.message
    );
    Box::new(rejection)
}

#[cold]
fn oversize_fault(most: u64) -> Box<Rejection> {
    let message =
        format!("the worker's answer is larger than {most} bytes, the limit of limits.message");
    Box::new(Rejection::new(Reason::BadReply, message))
}
