//! Messages from workers. A message is an answer if it names a request that its worker holds. An
//! answer is delivered if it fits the reply schema.

use super::case::{check_payload_briefly, schema_of};
use super::event::Extent;
use super::lanes::Direction;
use super::leave::is_farewell;
use super::peers::{Peer, Worker};
use super::request::{Request, State};
use super::stray::{Naming, Stray};
use super::{Core, NotedEvent, Outlet, Particulars, framing, token, worker_particulars};
use crate::frame::{self, Frames};
use crate::ledger::{RequestOutcome, nanoseconds};
use crate::peer::{PeerId, WorkerKind};
use crate::pool::{Dropped, HeldAt, NameForm, RequestForm};
use crate::reply::{Reason, Rejection};
use crate::snapshot::{AnyOf, WorkerFrames};

/// If a worker's message answers no request, the log shows at most this number of bytes of its
/// first frame. The first frame of an answer is the token of the request, which is seldom longer.
const FIRST_SHOWN_MAX: usize = 64;

/// A worker's message that is not a typed answer, or that names no request of this worker.
#[derive(Clone, Copy)]
struct Unmatched {
    /// The number of the request that the message names, or `None` if it names none.
    number: Option<u64>,
    /// The form in which the message names the request.
    name: NameForm,
}

impl<M: Frames> Core<M> {
    /// Takes a worker's message. The message is an answer if it names a request that this worker
    /// holds.
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
                match fault {
                    None => self.judge_answer(worker, request, frames, out),
                    Some(fault) => self.fail(worker.peer, request, fault, out),
                }
            }
            Err(unmatched) => self.unmatched(worker, frames, extent, unmatched, out),
        }
        self.dispatch(worker.pool, out);
    }

    /// Checks the payload of an answer, and ends the request with the answer or with a rejection.
    /// `body` is the answer's type, headers and payload. If the payload has to wait for the verdict
    /// of a judge thread, the request stays open.
    #[inline]
    fn judge_answer(&mut self, by: Worker, request: Request<M>, body: M, out: &mut impl Outlet<M>) {
        let schema = schema_of(Direction::Answer, request.route(), &body);
        let payload = frame::payload(&body);
        let depth = request.snapshot.limits.depth;
        let fits = |schema: &AnyOf| schema.check(payload, depth).is_ok();
        if self.lanes.is_usual(schema, payload.len()) && schema.is_none_or(fits) {
            self.finish(request, body, out);
        } else {
            self.judge_unusual_answer(by, request, body, out);
        }
    }

    /// Does the same as [`Self::judge_answer`] for any answer: the payload may be large, violate
    /// the schema, or have to wait for earlier messages.
    #[inline(never)]
    fn judge_unusual_answer(
        &mut self,
        by: Worker,
        request: Request<M>,
        body: M,
        out: &mut impl Outlet<M>,
    ) {
        let found = match self.defers_answer(&request, &body) {
            true => None,
            false => {
                let depth = request.snapshot.limits.depth;
                let mut work = 0;
                let found = check_payload_briefly(
                    Direction::Answer,
                    request.route(),
                    depth,
                    &body,
                    &mut work,
                );
                out.spend(work);
                found
            }
        };
        match found {
            Some(Ok(_)) => self.finish(request, body, out),
            Some(Err(fault)) => self.fail(by.peer, request, fault, out),
            None => self.open_answered(by, request, body, out),
        }
    }

    /// Ends a request with a rejection, because its worker's answer has a fault. Records the
    /// incorrect answer of the worker.
    #[expect(clippy::boxed_local, reason = "a pointer is moved, not a large value")]
    #[cold]
    pub(super) fn fail(
        &mut self,
        by: PeerId,
        request: Request<M>,
        fault: Box<Rejection>,
        out: &mut impl Outlet<M>,
    ) {
        // The worker may have disconnected since it answered.
        if let Some(&Peer::Worker(worker)) = self.peers.get(by) {
            self.pools[worker.pool.0].doubt(worker.seat);
        }
        self.reject(request.into_return_address(), *fault, out);
    }

    /// Ends a request with its worker's answer, or with a rejection if memory is short and the
    /// answer is too large. `body` is the answer's type, headers and payload.
    #[inline]
    pub(super) fn finish(&mut self, request: Request<M>, body: M, out: &mut impl Outlet<M>) {
        let bytes_max = out.client_bytes_max();
        if bytes_max < u64::MAX && request.envelope.bytes() + body.size() > bytes_max {
            return self.reject_large_answer(request, bytes_max, out);
        }
        let route = request.route().id;
        match request.state {
            State::Held { kept, .. } => self.spare.kept.give_back(kept),
            State::Answered(answered) => self.spare.kept.give_back(answered.kept),
            State::Waiting(_) | State::Unjudged(_) => {}
        }
        let took = nanoseconds(self.now).saturating_sub(request.arrived_ns);
        let counters = self.counts.route(route);
        match request.waited_ns {
            0 => counters.at_once.add_ns(took),
            waited => counters.answered_after_wait(took, waited),
        }
        let outcome = RequestOutcome::Answered(route);
        // The client's envelope replaces the first frames of the worker's message, which have been
        // removed.
        let Request {
            sender,
            bytes,
            envelope,
            ..
        } = request;
        self.deliver(sender, Some(bytes.into()), &envelope, body, outcome, out);
    }

    /// Ends a request with a rejection, because there is no memory to keep its answer until the
    /// client has read it.
    #[cold]
    fn reject_large_answer(
        &mut self,
        request: Request<M>,
        bytes_max: u64,
        out: &mut impl Outlet<M>,
    ) {
        let message = format!(
            "memory is short: the worker's answer is larger than {bytes_max} bytes, the client's share of limits.memory"
        );
        let rejection = Rejection::new(Reason::ClientLimit, message).seen();
        self.reject(request.into_return_address(), rejection, out);
    }

    /// Removes and returns the request that a worker's message answers. Fails if the message is not
    /// a typed answer, or if this worker does not hold the request.
    fn answered_request(
        &mut self,
        by: Worker,
        frames: &M,
        extent: Extent,
    ) -> Result<Request<M>, Unmatched> {
        let name = frames.get(0).unwrap_or_default();
        let pool = &mut self.pools[by.pool.0];
        // The name is first looked up as a bare identity, because the request may have been handed
        // out under `identity: client`. A worker's farewell, the frame `BYE`, is not mistaken for
        // an answer, even if the identity of a client is `BYE`.
        let settled = match pool.has_outstanding(by.seat) && !is_farewell(frames, extent) {
            true => pool.settle(by.seat, name),
            false => None,
        };
        let bare = settled.is_some();
        let token = if bare { None } else { token::read(name) };
        let number = settled.or(token.map(|(_, number)| number));
        let form = if bare {
            RequestForm::Bare
        } else {
            RequestForm::Token
        };
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

    /// Takes a worker's message that is not a typed answer: either the answer of a plain worker,
    /// which sends only a payload, or a message to drop.
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
            // The message names a request that has ended, a request of another worker, or no
            // request.
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
            let fault = oversize_fault(most);
            return self.fail(by.peer, request, fault, out);
        }
        match framing::typed_answer(frames, by.kind, handed, &request.kept_headers()) {
            Ok(body) => self.judge_unusual_answer(by, request, body, out),
            Err(fault) => self.fail(by.peer, request, malformed_fault(&fault), out),
        }
    }

    /// Takes a worker's message that answers no request. The farewell of a worker that can leave
    /// starts the release of this worker. Any other message is counted, and is noted with a guess
    /// at the mistake. A worker's first counted message is not noted if it is empty.
    #[cold]
    fn drop_stray(&mut self, by: Worker, frames: &M, extent: Extent) {
        let farewell = is_farewell(frames, extent);
        if farewell && self.begin_leave(by) {
            return;
        }
        let pool = &mut self.pools[by.pool.0];
        let first_frame = frames.get(0).unwrap_or_default();
        let naming = match pool.handed(by.kind) {
            RequestForm::Bare | RequestForm::Plain(NameForm::Bare, _) => Naming::Identity,
            RequestForm::Token | RequestForm::Plain(NameForm::Token, _) => Naming::Token {
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
        // A socket with ZMQ_PROBE_ROUTER sends an empty first message by itself, which is no
        // mistake.
        if is_first && stray == Stray::Empty {
            return;
        }
        let name = &pool.settings().name;
        let peer = Some(by.peer);
        self.notes
            .note(self.now, NotedEvent::Stray(stray), name, peer, || {
                Particulars {
                    frames: frames.len(),
                    first: frame::printable(&first_frame[..first_frame.len().min(FIRST_SHOWN_MAX)]),
                    ..worker_particulars(pool, by.seat)
                }
            });
    }

    /// Returns the request that a plain worker's message answers: the number of the request, its
    /// place among the worker's requests, and the form in which it was handed out. Returns `None`
    /// if the message answers no request of this worker.
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
            handed: RequestForm::Plain(name, form),
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

/// Returns a rejection if the answer `body` is too large for this request, or has too few or too
/// many frames. `body` is a worker's message without the frames that name the request.
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
    None
}

#[cold]
fn no_rep_fault() -> Box<Rejection> {
    let message = "the worker of a pool with `workers: rep` doesn't answer as a REP does: \
                   the frame after the envelope is not empty";
    Box::new(Rejection::new(Reason::BadReply, message))
}

/// Returns the rejection of an answer with this fault from a worker that must send type, headers
/// and payload. `frames` is the number of frames in the answer.
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
    let message = "the worker's answer has an empty frame after the identity: type, headers and payload must \
                   follow the identity directly";
    Box::new(Rejection::new(Reason::BadReply, message))
}

#[cold]
fn malformed_fault(fault: &str) -> Box<Rejection> {
    let message = format!("the worker's answer is malformed: {fault}");
    Box::new(Rejection::new(Reason::BadReply, message))
}

#[cold]
fn oversize_fault(most: u64) -> Box<Rejection> {
    let message =
        format!("the worker's answer is larger than {most} bytes, the limit of limits.message");
    Box::new(Rejection::new(Reason::BadReply, message))
}
