//! A request: an accepted message that waits for its one answer.

use std::rc::Rc;

use super::current::Current;
use super::peers::{Client, REQUEST_CHARGE};
use super::shelf::Kept;
use super::token::Name;
use crate::frame::{self, Envelope, Frames};
use crate::peer::PeerId;
use crate::pool::{HeldAt, RequestForm};
use crate::reply::ErrorEncoding;
use crate::route::RoutePlace;
use crate::snapshot::{Route, RouteId};

/// The memory charged for each frame of an open request in addition to its content, in bytes.
const FRAME_CHARGE: u64 = 64;

/// The maximum number of bytes of headers that a rejection repeats. Headers that identify a request
/// or trace it are much shorter, and a peer must not cause answers as large as its messages.
const ECHO_MAX: usize = 16 << 10;

/// An accepted message that waits for its one answer.
#[derive(Debug)]
pub(super) struct Request<M: Frames> {
    /// The number, which [`OpenRequests`](super::open::OpenRequests) gives and never reuses.
    pub(super) number: u64,
    pub(super) sender: Sender,
    pub(super) name: Rc<Name>,
    pub(super) envelope: Envelope,
    pub(super) route: RoutePlace,
    pub(super) errors: ErrorEncoding,
    /// The snapshot by which the request and its answer are checked, and to which its route
    /// belongs.
    pub(super) snapshot: Rc<Current>,
    /// The size of all frames, in bytes, which `limits.message` bounds to 2 GiB.
    pub(super) bytes: u32,
    /// The memory that is charged as long as the request is open, in bytes. It is at least the size
    /// of all frames except the payload, plus [`REQUEST_CHARGE`], plus [`FRAME_CHARGE`] for each
    /// frame.
    pub(super) charge: u32,
    /// The time of arrival, in nanoseconds since the engine started.
    pub(super) arrived_ns: u64,
    /// The time from arrival to hand-out, in nanoseconds, or 0 if the request was handed out at
    /// once.
    pub(super) waited_ns: u64,
    pub(super) state: State<M>,
}

/// The client that waits for the answer, or the publisher of a message. A publisher receives no
/// answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender {
    /// The client, or the publisher.
    pub(super) client: PeerId,
    /// The value of [`Client::req_messages`] when the request arrived, or `u64::MAX` for a
    /// publisher's message.
    pub(super) req_messages: u64,
}

impl Sender {
    /// Returns the client as the sender of a request that arrives now.
    pub(super) fn of(peer: PeerId, client: &Client) -> Self {
        Self {
            client: peer,
            req_messages: client.req_messages(),
        }
    }

    /// Returns the publisher as the sender of a message.
    pub(super) fn publisher(peer: PeerId) -> Self {
        Self {
            client: peer,
            req_messages: u64::MAX,
        }
    }

    /// Returns whether the sender is a publisher.
    pub(super) fn is_publisher(self) -> bool {
        self.req_messages == u64::MAX
    }
}

#[derive(Debug)]
pub(super) enum State<M: Frames> {
    /// The payload waits for the verdict of a judge thread.
    Unjudged(Box<Unjudged<M::Parcel>>),
    /// Queued, with type, headers and payload.
    Waiting(M),
    /// Handed to a worker. The frames that a rejection would need are kept: the headers, and the
    /// type if the route matches a pattern.
    Held {
        worker: PeerId,
        /// The place among the requests that the worker holds.
        at: HeldAt,
        /// The form in which the request was handed out, and in which it is answered.
        handed: RequestForm,
        kept: Kept,
    },
    /// A worker has answered, and the answer's payload waits for a verdict.
    Answered(Box<Answered<M::Parcel>>),
}

/// The frames of a request whose payload waits for a verdict: either type, headers and payload, or
/// the frames that are kept while a judge has the request.
#[derive(Debug)]
pub(super) enum Unjudged<P> {
    /// The request waits in its lane.
    InLane(P),
    /// The request is at a judge. The same frames are kept as for a request that a worker holds.
    AtJudge(Kept),
}

/// An answer whose payload waits for a verdict.
#[derive(Debug)]
pub(super) struct Answered<P> {
    /// The worker that answered.
    pub(super) worker: PeerId,
    /// The frames of the request that were kept while the worker held it.
    pub(super) kept: Kept,
    /// The answer, or `None` while a judge has it.
    pub(super) body: Option<P>,
}

/// The destination and the form of a rejection.
pub(super) struct ReturnAddress {
    /// The route whose counters count the rejection.
    pub(super) route: RouteId,
    /// The type, in the form of [`frame::type_name`].
    pub(super) kind: String,
    pub(super) sender: Sender,
    /// The size of the request in bytes, if it was accepted and therefore counts among the open
    /// requests of its client.
    pub(super) open: Option<u64>,
    pub(super) envelope: Envelope,
    pub(super) headers: Vec<Vec<u8>>,
    pub(super) errors: ErrorEncoding,
    pub(super) generation: u64,
}

/// The charge for a request without envelope and headers. It includes the longest possible type.
const USUAL_CHARGE: u32 = (REQUEST_CHARGE + 2 * FRAME_CHARGE + frame::TYPE_MAX as u64) as u32;

/// Returns the [charge](Request::charge) for a request of `bytes` bytes, whose body is type,
/// headers and payload.
#[inline]
pub(super) fn charge<M: Frames>(bytes: u64, envelope: &Envelope, body: &M) -> u32 {
    match envelope {
        Envelope::None if body.len() == 2 => USUAL_CHARGE,
        _ => charge_for_frames(bytes, envelope, body),
    }
}

#[inline(never)]
fn charge_for_frames<M: Frames>(bytes: u64, envelope: &Envelope, body: &M) -> u32 {
    let frames = (envelope.len() + body.len()) as u64;
    let kept = bytes.saturating_sub(frame::payload(body).len() as u64);
    u32::try_from(REQUEST_CHARGE + FRAME_CHARGE * frames + kept).unwrap_or(u32::MAX)
}

impl<M: Frames> Request<M> {
    pub(super) fn route(&self) -> &Route {
        self.snapshot.routes.at(self.route)
    }

    /// Returns whether a worker has answered the request. An answered request ends only by the
    /// verdict on the answer, or at the end of a drain.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.state, State::Answered(_))
    }

    /// Returns the headers of a request that a worker holds, and no headers for any other request.
    #[cold]
    pub(super) fn kept_headers(&self) -> Vec<Vec<u8>> {
        let State::Held { kept, .. } = &self.state else {
            return Vec::new();
        };
        let types_kept = usize::from(self.route().kind.is_none());
        let headers = kept.frames().skip(types_kept);
        headers.map(<[u8]>::to_vec).collect()
    }

    /// Returns the destination and the form of a rejection of this request.
    #[cold]
    pub(super) fn into_return_address(self) -> ReturnAddress {
        let route = self.route();
        let (id, known) = (route.id, route.kind.as_deref().map(str::to_owned));
        let frames = match self.state {
            State::Waiting(body) => echo(frame::kept(&body, known.is_none())),
            State::Unjudged(unjudged) => match *unjudged {
                Unjudged::InLane(body) => echo(frame::kept(&body, known.is_none())),
                Unjudged::AtJudge(kept) => echo(kept.frames()),
            },
            State::Held { kept, .. } => echo(kept.frames()),
            State::Answered(answered) => echo(answered.kept.frames()),
        };
        let mut frames = frames.into_iter();
        let kind = known.unwrap_or_else(|| frame::type_name(&frames.next().unwrap_or_default()));
        ReturnAddress {
            route: id,
            kind,
            sender: self.sender,
            open: Some(self.bytes.into()),
            envelope: self.envelope,
            headers: frames.collect(),
            errors: self.errors,
            generation: self.snapshot.generation,
        }
    }
}

/// Returns copies of the leading frames, as many as fit into [`ECHO_MAX`] bytes.
pub(super) fn echo<'a>(frames: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut room = ECHO_MAX;
    let fits = |frame: &&[u8]| {
        let left = room.checked_sub(frame.len());
        room = left.unwrap_or(0);
        left.is_some()
    };
    frames.take_while(fits).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_headers_are_repeated_as_far_as_they_fit() {
        let large = vec![0; ECHO_MAX];
        let lengths = |frames: &[&[u8]]| -> Vec<usize> {
            let echoed = echo(frames.iter().copied());
            echoed.iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(&[b"id", b"", b"trace"]), [2, 0, 5]);
        assert_eq!(lengths(&[&large, b""]), [ECHO_MAX, 0]);
        assert_eq!(lengths(&[b"id", &large, b""]), [2]);
    }

    #[test]
    fn a_charge_leaves_out_the_payload() {
        let body = vec![b"TYPE".to_vec(), b"id".to_vec(), vec![0; 1_000]];
        let charge = charge(1_006, &Envelope::Delimiter, &body);
        assert_eq!(u64::from(charge), REQUEST_CHARGE + 4 * FRAME_CHARGE + 6);
    }

    #[test]
    fn a_usual_request_is_charged_for_the_longest_type() {
        let body = vec![vec![b'x'; frame::TYPE_MAX], vec![0; 1_000]];
        let bytes = frame::TYPE_MAX as u64 + 1_000;
        let usual = charge(bytes, &Envelope::None, &body);
        assert_eq!(usual, charge_for_frames(bytes, &Envelope::None, &body));
    }
}
