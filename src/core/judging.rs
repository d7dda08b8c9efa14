//! Messages that wait for the verdict of a judge, or for the verdict on a message before them. A
//! judge is another thread, which checks payloads.
//!
//! A request whose payload takes long to check is opened in the state `Unjudged`. If the payload of
//! the answer takes long to check, the request is opened again in the state `Answered`. The message
//! to check is in a lane. Each lane has the messages of one client, one envelope and one direction,
//! so that these messages keep their order. A judge has the first message of a lane. The later
//! messages of the lane wait, however small they are. A verdict removes the first message. The next
//! messages are then checked on the data thread, up to the first message whose check takes long.
//!
//! A verdict has no effect if the request has ended meanwhile.

use std::rc::Rc;
use std::sync::Arc;

use super::arrival::{Accepted, queue_full};
use super::case::{Case, CheckResult, Subject, Verdict, check_payload_briefly, schema_of};
use super::handout::Handout;
use super::lanes::{Direction, LaneEntry, LaneKey};
use super::peers::Worker;
use super::request::{Answered, Request, State, Unjudged};
use super::shelf::Kept;
use super::{Core, Outlet};
use crate::frame::{self, Frames};
use crate::ledger::nanoseconds;

/// The maximum number of messages of a lane that the data thread checks after a verdict. A judge
/// then receives the next message, however small, so that the data thread serves other peers.
const FOLLOWING_MAX: usize = 16;

/// The maximum work of the data thread's checks after a verdict. The unit is the work for one small
/// message, and the maximum takes about a millisecond.
const FOLLOWING_WORK_MAX: usize = 1024;

impl<M: Frames> Core<M> {
    /// Opens a request whose payload waits for a verdict.
    #[cold]
    pub(super) fn open_unjudged(&mut self, accepted: Accepted, body: M, out: &mut impl Outlet<M>) {
        let number = self.requests.next_number();
        let client = accepted.sender.client;
        let lane = self
            .lanes
            .lane(client, &accepted.envelope, Direction::Request);
        let entry = LaneEntry {
            number,
            sender: client,
            bytes: accepted.bytes,
        };
        let route = self.snapshot.routes.at(accepted.judged.route);
        let id = route.id;
        if let Some(pool) = route.pool() {
            self.pools[pool.0].add_unjudged();
        }
        let unjudged = State::Unjudged(Box::new(Unjudged::InLane(body.pack())));
        self.open(number, accepted, unjudged, id);
        self.line_up(lane, entry, out);
    }

    /// Opens a request again because the answer of its worker waits for a verdict. The request has
    /// no deadline any more, because the answer arrived in time.
    #[cold]
    pub(super) fn open_answered(
        &mut self,
        by: Worker,
        mut request: Request<M>,
        body: M,
        out: &mut impl Outlet<M>,
    ) {
        let lane = self
            .lanes
            .lane(request.sender.client, &request.envelope, Direction::Answer);
        let entry = LaneEntry {
            number: request.number,
            sender: by.peer,
            bytes: body.size(),
        };
        self.counts.route(request.route().id).open += 1;
        let kept = match &mut request.state {
            State::Held { kept, .. } => std::mem::take(kept),
            State::Waiting(_) | State::Unjudged(_) | State::Answered(_) => Kept::default(),
        };
        request.state = State::Answered(Box::new(Answered {
            worker: by.peer,
            kept,
            body: Some(body.pack()),
        }));
        let (number, charge) = (request.number, request.charge);
        self.requests.insert(number, charge, || request);
        self.line_up(lane, entry, out);
    }

    fn line_up(&mut self, lane: LaneKey, entry: LaneEntry, out: &mut impl Outlet<M>) {
        let is_first = self.lanes.first(lane).is_none();
        let limits = &self.snapshot.limits;
        let bytes_max = limits.client_bytes.min(out.client_bytes_max());
        if self.lanes.push(lane, entry, limits, bytes_max) {
            out.pause(entry.sender);
        }
        if is_first {
            self.go_on(lane, 0, out);
        }
    }

    /// Accepts or rejects a request or an answer, according to the verdict on the payload. Passes a
    /// verdict on a kept message to the channel of the message.
    #[expect(
        clippy::boxed_local,
        reason = "the caller handles every message, and does not unpack the box"
    )]
    #[cold]
    pub(super) fn judged(&mut self, verdict: Box<Verdict<M::Parcel>>, out: &mut impl Outlet<M>) {
        let Verdict {
            subject,
            body,
            found,
        } = *verdict;
        let (lane, number) = match subject {
            Subject::InLane { lane, number } => (lane, number),
            Subject::Kept {
                channel,
                number,
                generation,
                ..
            } => {
                self.lanes.count_judged();
                let channel = &mut self.channels[channel.0];
                // A verdict of an earlier generation does not drop the message, which is checked
                // again.
                let fits = found.is_ok() || generation < self.snapshot.generation;
                return channel.kept_judged(number, generation, fits);
            }
        };
        if self.lanes.first(lane) != Some(number) {
            debug_assert!(false, "a verdict on a message that is not at a judge");
            return;
        }
        self.lanes.count_judged();
        self.leave_lane(lane, out);
        self.decide(number, body, found, out);
        self.go_on(lane, FOLLOWING_MAX, out);
    }

    /// Checks up to `following` messages from the beginning of a lane, as long as each check is
    /// short, and passes the next message to a judge.
    fn go_on(&mut self, lane: LaneKey, mut following: usize, out: &mut impl Outlet<M>) {
        let mut work = 0;
        while let Some(number) = self.lanes.first(lane) {
            let Some((body, is_direct)) = self.take_unjudged(lane.direction, number) else {
                // The request has ended.
                self.leave_lane(lane, out);
                continue;
            };
            let may_follow = is_direct && following > 0 && work < FOLLOWING_WORK_MAX;
            let found = may_follow
                .then(|| self.check_payload_briefly(lane.direction, number, &body, &mut work));
            if let Some(found) = found.flatten() {
                following -= 1;
                self.leave_lane(lane, out);
                self.decide(number, body, found, out);
                continue;
            }
            let Some(case) = self.case(lane, number, body) else {
                return;
            };
            let Err(case) = out.judge(case) else {
                return;
            };
            // No judge can be started.
            let Verdict { body, found, .. } = case.judge();
            self.leave_lane(lane, out);
            self.decide(number, body, found, out);
        }
    }

    fn leave_lane(&mut self, lane: LaneKey, out: &mut impl Outlet<M>) {
        if let Some(sender) = self.lanes.pop(lane, &self.snapshot.limits) {
            out.resume(sender);
        }
    }

    /// Takes the message that waits for a verdict out of its request. Returns the message and
    /// whether a check of its payload may be short, or `None` if the request has no such message.
    fn take_unjudged(&mut self, direction: Direction, number: u64) -> Option<(M::Parcel, bool)> {
        let request = self.requests.get_mut(number)?;
        let body = match &mut request.state {
            State::Unjudged(unjudged) => {
                let unjudged = &mut **unjudged;
                match std::mem::replace(unjudged, Unjudged::AtJudge(Kept::default())) {
                    Unjudged::InLane(body) => Some(body),
                    at_judge @ Unjudged::AtJudge(_) => {
                        *unjudged = at_judge;
                        None
                    }
                }
            }
            State::Answered(answered) => answered.body.take(),
            State::Waiting(_) | State::Held { .. } => None,
        }?;
        let schema = schema_of(direction, request.route(), &body);
        let is_direct = schema.is_none_or(|schema| schema.is_direct(frame::payload(&body)));
        Some((body, is_direct))
    }

    /// Checks the payload of an open request or of its answer, as [`check_payload_briefly`] does.
    /// Also returns `None` if the request has ended.
    fn check_payload_briefly(
        &self,
        direction: Direction,
        number: u64,
        body: &M::Parcel,
        work: &mut usize,
    ) -> Option<CheckResult> {
        let request = self.requests.get(number)?;
        let depth = request.snapshot.limits.depth;
        check_payload_briefly(direction, request.route(), depth, body, work)
    }

    /// Returns the case of a message for a judge, or `None` if its request has ended. The frames
    /// that a rejection needs stay with the request.
    fn case(
        &mut self,
        lane: LaneKey,
        number: u64,
        body: M::Parcel,
    ) -> Option<Box<Case<M::Parcel>>> {
        let request = self.requests.get_mut(number)?;
        if let State::Unjudged(unjudged) = &mut request.state {
            let keeps_type = request.snapshot.routes.at(request.route).kind.is_none();
            let kept = self.spare.kept.keep(frame::kept(&body, keeps_type));
            **unjudged = Unjudged::AtJudge(kept);
        }
        Some(Box::new(Case {
            subject: Subject::InLane { lane, number },
            snapshot: Arc::clone(&request.snapshot.shared),
            route: request.route,
            body,
        }))
    }

    /// Continues an open request after the check of its payload, or of the payload of its answer.
    /// Does nothing if the request has ended.
    fn decide(
        &mut self,
        number: u64,
        body: M::Parcel,
        found: CheckResult,
        out: &mut impl Outlet<M>,
    ) {
        let Some(request) = self.requests.get_mut(number) else {
            return;
        };
        match &mut request.state {
            State::Unjudged(unjudged) => {
                // The whole message replaces the kept frames, since a worker may receive it now.
                let at_judge = std::mem::replace(&mut **unjudged, Unjudged::InLane(body));
                if let Unjudged::AtJudge(kept) = at_judge {
                    self.spare.kept.give_back(kept);
                }
                self.decide_request(number, found, out);
            }
            State::Answered(answered) => {
                let worker = answered.worker;
                let Some(request) = self.end(number) else {
                    return;
                };
                match found {
                    Ok(_) => self.finish(request, M::unpack(body), out),
                    Err(fault) => self.fail(worker, request, fault, out),
                }
            }
            State::Waiting(_) | State::Held { .. } => {}
        }
    }

    fn decide_request(&mut self, number: u64, found: CheckResult, out: &mut impl Outlet<M>) {
        let place = match found {
            Ok(place) => place,
            Err(rejection) => return self.reject_open(number, *rejection, out),
        };
        let Some((body, _)) = self.take_unjudged(Direction::Request, number) else {
            return;
        };
        if let (Some(place), Some(request)) = (place, self.requests.get(number)) {
            self.counts.route(request.route().id).fitted(place);
        }
        self.enter(number, M::unpack(body), out);
    }

    /// Returns whether an answer to a request must wait for a verdict. `body` is the answer's type,
    /// headers and payload.
    pub(super) fn defers_answer(&self, request: &Request<M>, body: &M) -> bool {
        let schema = schema_of(Direction::Answer, request.route(), body);
        let client = request.sender.client;
        let lane = self
            .lanes
            .lane(client, &request.envelope, Direction::Answer);
        self.lanes.defers(lane, schema, frame::payload(body))
    }

    /// Hands a request with a valid payload to a worker, or else queues the request. Rejects the
    /// request if the queue is full. Publishes the message if its route leads to a channel.
    fn enter(&mut self, number: u64, mut body: M, out: &mut impl Outlet<M>) {
        let Some(request) = self.requests.get_mut(number) else {
            return;
        };
        let route = request.snapshot.routes.at(request.route);
        let Some(pool_id) = route.pool() else {
            return self.publish_judged(number, body, out);
        };
        let keeps_type = route.kind.is_none();
        let (client, bytes) = (request.sender.client, u64::from(request.bytes));
        let pool = &mut self.pools[pool_id.0];
        while let Some(seat) = pool.pick_at_once(client, &request.name.bare) {
            let handout = Handout {
                number,
                client,
                name: &request.name,
                keeps_type,
            };
            match handout.hand(body, pool, seat, self.now, &mut self.spare, out) {
                Ok(held) => {
                    let now = nanoseconds(self.now);
                    request.waited_ns = now.saturating_sub(request.arrived_ns);
                    request.state = held;
                    pool.remove_unjudged();
                    return;
                }
                Err(back) => {
                    pool.set_blocked(seat, true);
                    body = back;
                }
            }
        }
        let name = Rc::clone(&request.name);
        if !pool.has_room(bytes) && !self.make_room(pool_id, client, bytes, out) {
            let full = queue_full(&self.pools[pool_id.0]);
            let unjudged = Box::new(Unjudged::InLane(body.pack()));
            self.set_state(number, State::Unjudged(unjudged));
            self.reject_open(number, full, out);
            self.pools[pool_id.0].try_excluded();
            self.dispatch(pool_id, out);
            return;
        }
        let pool = &mut self.pools[pool_id.0];
        pool.remove_unjudged();
        pool.enqueue(number, client, &name.bare, bytes);
        if pool.workers() == 0 {
            self.expect_worker(pool_id);
        }
        // The body already has memory of its own, so it need not be compacted.
        self.set_state(number, State::Waiting(body));
        self.dispatch(pool_id, out);
    }

    fn set_state(&mut self, number: u64, state: State<M>) {
        if let Some(request) = self.requests.get_mut(number) {
            request.state = state;
        }
    }
}
