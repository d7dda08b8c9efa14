//! A message whose payload a judge thread checks, and the verdict on the payload.

use std::sync::Arc;

use super::lanes::{Direction, LaneKey};
use crate::frame::{self, Frames};
use crate::peer::PeerId;
use crate::reply::{Reason, Rejection};
use crate::route::RoutePlace;
use crate::snapshot::{AnyOf, BriefCheck, ChannelId, Route, Snapshot};
use gateway_schema::Violation;

/// A message whose payload takes long to check, with everything that a thread needs for the check.
#[derive(Debug)]
pub struct Case<P> {
    pub(super) subject: Subject,
    /// The snapshot under which the request was accepted. For a kept message, this is the snapshot
    /// in force when the case was made.
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) route: RoutePlace,
    /// Type, headers and payload.
    pub(super) body: P,
}

/// The message of a case.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject {
    /// The first message of a lane: the request with this number, or the answer to it.
    InLane { lane: LaneKey, number: u64 },
    /// A message that a channel keeps under this number, for a new subscriber. The message is
    /// checked against the configuration of this generation.
    Kept {
        channel: ChannelId,
        number: u64,
        subscriber: PeerId,
        generation: u64,
    },
}

impl Subject {
    fn direction(self) -> Direction {
        match self {
            Self::InLane { lane, .. } => lane.direction,
            Self::Kept { .. } => Direction::Request,
        }
    }
}

/// A message whose payload was checked.
#[derive(Debug)]
pub struct Verdict<P> {
    pub(super) subject: Subject,
    pub(super) body: P,
    pub(super) found: CheckResult,
}

/// The result of a check: the rejection, or the index of the matching schema in the route's list.
/// The index is `None` for an opaque payload and for an answer.
pub(super) type CheckResult = Result<Option<usize>, Box<Rejection>>;

/// The result of a judge's check, for [`Case::end`].
#[derive(Debug)]
pub struct Finding(CheckResult);

impl<P: Frames> Case<P> {
    /// Checks the payload, and returns the result for [`Self::end`].
    pub fn check_payload(&self) -> Finding {
        let route = self.snapshot.routes.at(self.route);
        let depth = self.snapshot.limits.depth;
        Finding(check_payload(
            self.subject.direction(),
            route,
            depth,
            &self.body,
        ))
    }

    /// Returns the verdict for a finding. Without a finding, which means that the check panicked,
    /// the verdict is a rejection.
    pub fn end(self, finding: Option<Finding>) -> Verdict<P> {
        let Self { subject, body, .. } = self;
        let direction = subject.direction();
        let found = finding.map_or_else(|| Err(unchecked(direction)), |Finding(found)| found);
        Verdict {
            subject,
            body,
            found,
        }
    }

    /// Checks the payload, and returns the verdict.
    pub fn judge(self) -> Verdict<P> {
        let found = self.check_payload();
        self.end(Some(found))
    }

    /// Returns the client that sent the request or waits for the answer, or the subscriber that
    /// waits for the kept message.
    pub fn client(&self) -> PeerId {
        match self.subject {
            Subject::InLane { lane, .. } => lane.client,
            Subject::Kept { subscriber, .. } => subscriber,
        }
    }

    /// Returns the message that has to be judged.
    pub fn body(&self) -> &P {
        &self.body
    }
}

#[cold]
fn unchecked(direction: Direction) -> Box<Rejection> {
    let message =
        "the gateway failed to check the payload: the gateway's log names the place in the code";
    let reason = match direction {
        Direction::Request => Reason::RuleFailed,
        Direction::Answer => Reason::BadReply,
    };
    Box::new(Rejection::new(reason, message))
}

impl<P> Verdict<P> {
    /// Returns the message that was judged.
    pub fn body(&self) -> &P {
        &self.body
    }
}

/// Returns the schemas for the payload of a message of a route, or `None` if the payload is opaque.
#[inline]
pub(super) fn schema_of<'a, B: Frames>(
    direction: Direction,
    route: &'a Route,
    body: &B,
) -> Option<&'a AnyOf> {
    match direction {
        Direction::Request => route.schema.as_ref(),
        // The schema of replies does not apply to a worker's ERROR.
        Direction::Answer => {
            let reply = route.reply.as_ref();
            reply.filter(|_| body.get(0) != Some(frame::ERROR_TYPE))
        }
    }
}

/// Checks the payload of a message. `body` is the message's type, headers and payload.
pub(super) fn check_payload<B: Frames>(
    direction: Direction,
    route: &Route,
    depth: u32,
    body: &B,
) -> CheckResult {
    let Some(schema) = schema_of(direction, route, body) else {
        return Ok(None);
    };
    let payload = frame::payload(body);
    match schema.check(payload, depth) {
        Ok(place) => fitting(direction, place),
        Err(violation) => Err(fault(direction, schema, payload, depth, violation)),
    }
}

/// Checks a payload like [`check_payload`], but on the data thread, and only if the check is short.
/// Returns `None` if a judge must check the payload. Adds the work to `work`, as
/// [`AnyOf::check_briefly`] does.
pub(super) fn check_payload_briefly<B: Frames>(
    direction: Direction,
    route: &Route,
    depth: u32,
    body: &B,
    work: &mut usize,
) -> Option<CheckResult> {
    let Some(schema) = schema_of(direction, route, body) else {
        return Some(Ok(None));
    };
    let payload = frame::payload(body);
    match schema.check_briefly(payload, depth, work) {
        BriefCheck::Fits(place) => Some(fitting(direction, place)),
        BriefCheck::Breaks(violation) => {
            Some(Err(fault(direction, schema, payload, depth, violation)))
        }
        BriefCheck::Undecided => None,
    }
}

/// Returns the result for a payload that fits the schema at this index of the route's list.
fn fitting(direction: Direction, place: usize) -> CheckResult {
    Ok(match direction {
        Direction::Request => Some(place),
        Direction::Answer => None,
    })
}

#[cold]
fn fault(
    direction: Direction,
    schema: &AnyOf,
    payload: &[u8],
    depth: u32,
    violation: Violation,
) -> Box<Rejection> {
    match direction {
        Direction::Request => Box::new(request_fault(schema, payload, depth, violation)),
        Direction::Answer => answer_fault(schema, payload, depth, violation),
    }
}

/// Returns the rejection of a request that has this violation.
#[cold]
fn request_fault(schema: &AnyOf, payload: &[u8], depth: u32, violation: Violation) -> Rejection {
    let hint = hint(schema, payload, depth, &violation);
    let reason = match violation.is_failure() {
        true => Reason::RuleFailed,
        false => Reason::SchemaViolation,
    };
    Rejection::violation(reason, violation).with_hint(hint)
}

/// Returns the rejection for a worker's answer that has this violation.
#[cold]
fn answer_fault(
    schema: &AnyOf,
    payload: &[u8],
    depth: u32,
    violation: Violation,
) -> Box<Rejection> {
    let hint = hint(schema, payload, depth, &violation);
    let mut rejection = Rejection::violation(Reason::BadReply, violation).with_hint(hint);
    rejection.message = format!(
        "the worker's answer fails its schema: {}",
        rejection.message
    );
    Box::new(rejection)
}

fn hint(schema: &AnyOf, payload: &[u8], depth: u32, violation: &Violation) -> Option<String> {
    match violation.rule {
        None => schema.hint(payload, depth),
        // A payload that breaks a rule has been decoded, so a hint about its encoding cannot apply.
        Some(_) => None,
    }
}
