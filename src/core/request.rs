//! A request: an accepted message that waits for its one answer.

use std::rc::Rc;

use super::current::Current;
use super::shelf::Kept;
use super::token::Name;
use crate::frame::{self, Envelope, Frames};
use crate::peer::PeerId;
use crate::pool::{Handed, HeldAt};
use crate::reply::ErrorEncoding;
use crate::route::RoutePlace;
use crate::snapshot::{Route, RouteId};

/// An accepted message that waits for its one answer.
#[derive(Debug)]
pub(super) struct Request<M> {
    /// Its own, which [`Open`](super::open::Open) gives: never used twice.
    pub(super) number: u64,
    pub(super) asker: Asker,
    pub(super) name: Rc<Name>,
    pub(super) envelope: Envelope,
    pub(super) route: RoutePlace,
    pub(super) errors: ErrorEncoding,
    /// What it is judged by, and so is its answer; its route is of it.
    pub(super) snapshot: Rc<Current>,
    /// Of all its frames.
    pub(super) bytes: u64,
    /// Nanoseconds since the engine started.
    pub(super) arrived_ns: u64,
    pub(super) state: State<M>,
}

/// Who is owed an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) client: PeerId,
    /// [`Client::asked`](super::peers::Client::asked) when it asked.
    pub(super) asked: u64,
}

#[derive(Debug)]
pub(super) enum State<M> {
    /// In its pool's queue, with type, headers and payload.
    Waiting(M),
    /// At a worker; what is kept is for an answer of our own: the headers, and the type if the route matches a
    /// pattern.
    Held {
        worker: PeerId,
        /// Where in what that worker holds.
        at: HeldAt,
        /// The form in which it was handed out, and in which it is answered.
        handed: Handed,
        kept: Kept,
    },
}

/// Where a rejection goes and how it is written.
pub(super) struct Return {
    /// What it would have gone by.
    pub(super) route: RouteId,
    /// Its type, as [`frame::type_name`] writes it.
    pub(super) kind: String,
    pub(super) asker: Asker,
    /// Bytes of the request, if it had been accepted and so counts among what its client has open.
    pub(super) open: Option<u64>,
    pub(super) envelope: Envelope,
    pub(super) headers: Vec<Vec<u8>>,
    pub(super) errors: ErrorEncoding,
    pub(super) generation: u64,
}

impl<M: Frames> Request<M> {
    pub(super) fn route(&self) -> &Route {
        self.snapshot.routes.at(self.route)
    }

    /// Returns the headers of a request that a worker holds.
    #[cold]
    pub(super) fn kept_headers(&self) -> Vec<Vec<u8>> {
        let State::Held { kept, .. } = &self.state else {
            return Vec::new();
        };
        let types_kept = usize::from(self.route().kind.is_none());
        kept.frames().into_iter().skip(types_kept).collect()
    }

    /// Where an answer of the gateway's own goes.
    #[cold]
    pub(super) fn give_up(self) -> Return {
        let route = self.route();
        let (id, known) = (route.id, route.kind.as_deref().map(str::to_owned));
        let frames = match self.state {
            State::Waiting(body) => copies(frame::kept(&body, known.is_none())),
            State::Held { kept, .. } => kept.frames(),
        };
        let mut frames = frames.into_iter();
        let kind = known.unwrap_or_else(|| frame::type_name(&frames.next().unwrap_or_default()));
        Return {
            route: id,
            kind,
            asker: self.asker,
            open: Some(self.bytes),
            envelope: self.envelope,
            headers: frames.collect(),
            errors: self.errors,
            generation: self.snapshot.generation,
        }
    }
}

/// Returns copies of these frames.
pub(super) fn copies<'a>(frames: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    frames.map(<[u8]>::to_vec).collect()
}
