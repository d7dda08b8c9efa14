//! From a worker: an answer counts if its worker holds the request, and passes if its reply schema does.

use super::event::Extent;
use super::leave::is_farewell;
use super::peers::Worker;
use super::request::{Request, State};
use super::stray::{Naming, Stray};
use super::{Core, Outlet, Particulars, What, framing, token, worker_particulars};
use crate::frame::{self, Frames};
use crate::ledger::{Outcome, nanoseconds};
use crate::peer::WorkerKind;
use crate::pool::{Dropped, Handed, HeldAt, NameForm};
use crate::reply::{Reason, Rejection};
use crate::snapshot::{AnyOf, WorkerFrames};
use gateway_schema::Violation;

/// Bytes of the first frame of a message that answers nothing that the log shows: a token is seldom longer.
const FIRST_SHOWN_MAX: usize = 64;

/// A worker's message that is not the typed answer to a request that the worker holds.
#[derive(Clone, Copy)]
struct Unmatched {
    /// The number of the request that it names, if it names one.
    number: Option<u64>,
    /// The form in which it names the request.
    name: NameForm,
}

impl<M: Frames> Core<M> {
    /// Takes a worker's message: an answer, if it names a request that this worker holds.
    pub(super) fn answer(
        &mut self,
        worker: Worker,
        mut frames: M,
        extent: Extent,
        out: &mut impl Outlet<M>,
    ) {
        match self.answered_request(worker, &frames, extent) {
            Ok(request) => {
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
                self.finish(worker, request, frames, fault, out);
            }
            Err(unmatched) => self.unmatched(worker, frames, extent, unmatched, out),
        }
        self.dispatch(worker.pool, out);
    }

    /// Ends a request with its worker's answer, whose frames are type, headers and payload, or with
    /// a rejection if there is a fault.
    #[inline]
    fn finish(
        &mut self,
        by: Worker,
        request: Request<M>,
        body: M,
        fault: Option<Box<Rejection>>,
        out: &mut impl Outlet<M>,
    ) {
        if let Some(fault) = fault {
            self.pools[by.pool.0].doubt(by.seat);
            return self.reject(request.give_up(), *fault, out);
        }
        let route = request.route().id;
        if let State::Held { kept, .. } = request.state {
            self.spare.kept.give_back(kept);
        }
        let took = nanoseconds(self.now).saturating_sub(request.arrived_ns);
        self.counts.route(route).latency.add_ns(took);
        let outcome = Outcome::Answered(route);
        // Envelope in, worker's head out: for a DEALER that is all that changes.
        let Request {
            asker,
            bytes,
            envelope,
            ..
        } = request;
        self.deliver(asker, Some(bytes), &envelope, body, outcome, out);
    }

    /// Takes out the request that a worker's message answers in typed frames, if it does.
    fn answered_request(
        &mut self,
        by: Worker,
        frames: &M,
        extent: Extent,
    ) -> Result<Request<M>, Unmatched> {
        let name = frames.get(0).unwrap_or_default();
        let pool = &mut self.pools[by.pool.0];
        // The bare identity first: under `identity: client`, and for what was handed out under it.
        // Of a client that is called as a farewell, no answer is meant by that alone.
        let settled = match pool.owes(by.seat) && !is_farewell(frames, extent) {
            true => pool.settle(by.seat, name),
            false => None,
        };
        let bare = settled.is_some();
        let token = if bare { None } else { token::read(name) };
        let number = settled.or(token.map(|(_, number)| number));
        let form = if bare { Handed::Bare } else { Handed::Token };
        let place = |request: &Request<M>| match request.state {
            State::Held {
                worker, at, handed, ..
            } if worker == by.peer && handed == form => {
                let named = bare || token.is_some_and(|(shown, _)| request.name.is_shown_as(shown));
                named.then_some(at)
            }
            _ => None,
        };
        let held = number.and_then(|number| Some((number, place(self.requests.get(number)?)?)));
        let unmatched = Unmatched {
            number,
            name: if bare {
                NameForm::Bare
            } else {
                NameForm::Token
            },
        };
        let (number, at) = held.ok_or(unmatched)?;
        pool.answered(by.seat, number, at, self.now);
        self.end(number).ok_or(unmatched)
    }

    /// Takes a worker's message that is no typed answer: a plain worker's answer, or one to drop.
    #[cold]
    fn unmatched(
        &mut self,
        by: Worker,
        frames: M,
        extent: Extent,
        unmatched: Unmatched,
        out: &mut impl Outlet<M>,
    ) {
        let Some((number, at, handed)) = self.held_by_plain(by, &frames, &unmatched) else {
            // Held once and answered too late, or never asked for.
            let late = |number| self.requests.was_given(number);
            if unmatched.number.is_some_and(late) {
                self.pools[by.pool.0].dropped(by.seat, Dropped::Late);
            } else {
                self.drop_stray(by, &frames, extent);
            }
            return;
        };
        self.pools[by.pool.0].answered(by.seat, number, at, self.now);
        let Some(request) = self.end(number) else {
            return;
        };
        let most = request.snapshot.limits.message;
        let payload = frames.len().checked_sub(1).and_then(|n| frames.get(n));
        let is_large = payload.is_some_and(|payload| payload.len() as u64 > most);
        if extent == Extent::Oversize || is_large {
            return self.finish(by, request, M::default(), Some(oversize_fault(most)), out);
        }
        match framing::typed_answer(frames, by.kind, handed, &request.kept_headers()) {
            Ok(body) => {
                let fault = schema_fault_of(&request, &body);
                self.finish(by, request, body, fault, out);
            }
            Err(fault) => {
                let fault = malformed_fault(&fault);
                self.finish(by, request, M::default(), Some(fault), out);
            }
        }
    }

    /// Counts a worker's message that answers nothing, and notes what it most likely is.
    #[cold]
    fn drop_stray(&mut self, by: Worker, frames: &M, extent: Extent) {
        let farewell = is_farewell(frames, extent);
        if farewell && self.leaves(by) {
            return;
        }
        let pool = &mut self.pools[by.pool.0];
        let first_frame = frames.get(0).unwrap_or_default();
        let naming = match pool.handed(by.kind) {
            Handed::Bare | Handed::Plain(NameForm::Bare, _) => Naming::Identity,
            Handed::Token | Handed::Plain(NameForm::Token, _) => Naming::Token {
                fits: token::read(first_frame).is_some(),
            },
        };
        let routes = &self.snapshot.routes;
        let is_type = |frame: &[u8]| {
            let place = routes.find(frame);
            place.is_some_and(|place| routes.at(place).kind.is_some())
        };
        let stray = if farewell {
            Stray::Farewell
        } else {
            Stray::of(frames, naming, pool.holds(by.seat), is_type)
        };
        let is_first = pool.dropped(by.seat, Dropped::Unsolicited) == 1;
        // As a socket with ZMQ_PROBE_ROUTER says first of all.
        if is_first && stray == Stray::Empty {
            return;
        }
        let name = &pool.settings().name;
        let peer = Some(by.peer);
        self.notes
            .note(self.now, What::Stray(stray), name, peer, || Particulars {
                frames: frames.len(),
                first: frame::printable(&first_frame[..first_frame.len().min(FIRST_SHOWN_MAX)]),
                ..worker_particulars(pool, by.seat)
            });
    }

    /// Returns the request that a plain worker's message answers, its place at the worker and the
    /// form in which it was handed out.
    fn held_by_plain(
        &self,
        by: Worker,
        frames: &M,
        unmatched: &Unmatched,
    ) -> Option<(u64, HeldAt, WorkerFrames)> {
        let number = unmatched.number?;
        let request = self.requests.get(number)?;
        let State::Held {
            worker,
            at,
            handed: Handed::Plain(name, form),
            ..
        } = request.state
        else {
            return None;
        };
        let is_named = name == unmatched.name
            && match name {
                NameForm::Bare => true,
                NameForm::Token => {
                    let token = token::read(frames.get(0).unwrap_or_default());
                    token.is_some_and(|(shown, _)| request.name.is_shown_as(shown))
                }
            };
        (worker == by.peer && is_named).then_some((number, at, form))
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
    if !frame::has_shape(body, 0, limits.frames) {
        if body.len() > 1 && body.get(0).is_some_and(<[u8]>::is_empty) {
            return Some(delimited_fault());
        }
        let fault = frame::shape_fault(body, 0, limits.frames);
        return Some(typed_shape_fault(fault, body.len()));
    }
    schema_fault_of(request, body)
}

/// Returns what the reply schema finds wrong with an answer of type, headers and payload.
#[inline]
fn schema_fault_of<M: Frames>(request: &Request<M>, body: &M) -> Option<Box<Rejection>> {
    let limits = &request.snapshot.limits;
    // An error of the worker's is no reply of the schema's.
    let schema = request.route().reply.as_ref();
    let schema = schema.filter(|_| body.get(0) != Some(frame::ERROR_TYPE))?;
    let payload = frame::payload(body);
    match schema.check(payload, limits.depth) {
        Ok(_) => None,
        Err(violation) => Some(schema_fault(schema, payload, limits.depth, violation)),
    }
}

#[cold]
fn no_rep_fault() -> Box<Rejection> {
    let message = "the worker of a pool with `workers: rep` doesn't answer as REP does: \
                   the frame after the envelope is not empty";
    Box::new(Rejection::new(Reason::BadReply, message))
}

/// Returns the rejection of a typed worker's answer of so many `frames`, whose shape has this fault.
#[cold]
fn typed_shape_fault(mut fault: String, frames: usize) -> Box<Rejection> {
    if frames == 1 {
        fault.push_str(
            "; a worker that answers with the payload alone needs `frames: payload` in its pool",
        );
    }
    malformed_fault(&fault)
}

#[cold]
fn delimited_fault() -> Box<Rejection> {
    let message = "the worker's answer has an empty frame after the identity: type, headers and payload follow \
                   the identity directly";
    Box::new(Rejection::new(Reason::BadReply, message))
}

#[cold]
fn malformed_fault(fault: &str) -> Box<Rejection> {
    let message = format!("the worker's answer is malformed: {fault}");
    Box::new(Rejection::new(Reason::BadReply, message))
}

#[cold]
fn schema_fault(
    schema: &AnyOf,
    payload: &[u8],
    depth: u32,
    violation: Violation,
) -> Box<Rejection> {
    let hint = match violation.rule {
        None => schema.hint(payload, depth),
        // A payload that breaks a rule was read by its schema.
        Some(_) => None,
    };
    let mut rejection = Rejection::violation(Reason::BadReply, violation).with_hint(hint);
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
