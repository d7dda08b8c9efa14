//! From a worker: an answer counts if its worker holds the request, and passes if its reply schema does.

use super::event::Extent;
use super::peers::Worker;
use super::request::{Request, State};
use super::{Core, Outlet, token};
use crate::frame::{self, Frame};
use crate::ledger::Outcome;
use crate::peer::WorkerKind;
use crate::pool::Dropped;
use crate::reply::{Reason, Rejection};

impl<F: Frame> Core<F> {
    /// Takes a worker's message: an answer, if it names a request that this worker holds.
    pub(super) fn answer(
        &mut self,
        worker: Worker,
        mut frames: Vec<F>,
        extent: Extent,
        out: &mut impl Outlet<F>,
    ) {
        if let Some(request) = self.answered_request(worker, &frames) {
            let kind = worker.kind;
            let head = head_frames(kind, &frames);
            let fault = match extent {
                Extent::Oversize => Some(oversize_fault(request.snapshot.limits.message)),
                Extent::Whole => reply_fault(&request, kind, &frames),
            };
            match fault {
                None => {
                    let route = request.route().id;
                    // Envelope in, worker's head out: for a DEALER that is all that changes.
                    if let State::Held { headers, .. } = request.state {
                        self.spare.headers.give_back(headers);
                    }
                    request.envelope.replace(head, &mut frames);
                    let took = self.now.saturating_sub(request.arrived);
                    self.counts.route(route).latency.add(took);
                    let outcome = Outcome::Answered(route);
                    self.deliver(request.asker, Some(request.bytes), frames, outcome, out);
                }
                Some(fault) => self.reject(request.give_up(), fault, out),
            }
        }
        self.dispatch(worker.pool, out);
    }

    /// Takes out the request that a worker's message answers, if it does.
    fn answered_request(&mut self, by: Worker, frames: &[F]) -> Option<Request<F>> {
        let name = frames.first().map_or(&[][..], Frame::bytes);
        let pool = &mut self.pools[by.pool.0];
        // The bare identity first: under `identity: client`, and for what was handed out under it.
        let settled = pool.settle(by.seat, name);
        let bare = settled.is_some();
        let token = if bare { None } else { token::read(name) };
        let number = settled.or(token.map(|(_, number)| number));
        let place = |request: &Request<F>| match request.state {
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

/// What keeps a worker's message from being the answer to this request.
fn reply_fault<F: Frame>(
    request: &Request<F>,
    kind: WorkerKind,
    frames: &[F],
) -> Option<Rejection> {
    let limits = &request.snapshot.limits;
    let (head, body) = frames.split_at(head_frames(kind, frames));
    if head
        .get(1)
        .is_some_and(|delimiter| !delimiter.bytes().is_empty())
    {
        let message = "the worker of a pool with `workers: rep` doesn't answer as REP does: \
                       the frame after the envelope is not empty";
        return Some(Rejection::new(Reason::BadReply, message));
    }
    if frame::size(body) > limits.message {
        return Some(oversize_fault(limits.message));
    }
    if let Some(fault) = frame::shape_fault(body, 0, limits.frames) {
        let message = format!("the worker's answer is malformed: {fault}");
        return Some(Rejection::new(Reason::BadReply, message));
    }
    // An error of the worker's is no reply of the schema's.
    let schema = request.route().reply.as_ref();
    let schema = schema.filter(|_| body[0].bytes() != frame::ERROR_TYPE)?;
    let violation = match schema.check(frame::payload(body), limits.depth) {
        Ok(_) => return None,
        Err(violation) => violation,
    };
    let mut rejection = Rejection::violation(Reason::BadReply, violation);
    rejection.message = format!(
        "the worker's answer fails its schema: {}",
        rejection.message
    );
    Some(rejection)
}

fn oversize_fault(most: u64) -> Rejection {
    let message =
        format!("the worker's answer is larger than {most} bytes, the limit of limits.message");
    Rejection::new(Reason::BadReply, message)
}

/// How many frames stand before the reply type in a worker's message.
fn head_frames<F: Frame>(kind: WorkerKind, frames: &[F]) -> usize {
    let head = match kind {
        WorkerKind::Dealer => 1,
        WorkerKind::Rep => 2,
    };
    head.min(frames.len())
}
