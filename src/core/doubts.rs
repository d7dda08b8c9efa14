//! Doubts about messages whose frames do not seem to fit the settings of their frontend.

use std::time::Duration;

use super::notes::{Doubt, NotedEvent, Notes, Particulars};
use super::peers::Client;
use crate::frame::{self, Frames, SplitMessage};
use crate::peer::PeerId;
use crate::snapshot::Snapshot;

/// The state that is needed to note a doubt about a client's message.
pub(super) struct Doubts<'a> {
    pub(super) now: Duration,
    pub(super) notes: &'a mut Notes,
    pub(super) snapshot: &'a Snapshot,
    pub(super) peer: PeerId,
    pub(super) client: &'a mut Client,
}

impl Doubts<'_> {
    /// Notes a doubt if the first header of a message is the type of a route. The message must come
    /// from a frontend with a `type`, whose clients should not send a type.
    pub(super) fn type_as_header<M: Frames>(
        self,
        message: &SplitMessage<M>,
        address: impl FnOnce() -> Option<String>,
    ) {
        let header = frame::kept(&message.body, false).next();
        let Some(header) = header.filter(|header| self.snapshot.routes.knows(header)) else {
            return;
        };
        self.note(NotedEvent::TypeAsHeader, address, || {
            format!(
                "its first frame is the type {}, and this frontend gives every message the type {}: \
                 connect clients that send a type to a frontend without `type`",
                frame::printable(header),
                frame::printable(message.kind()),
            )
        });
    }

    /// Notes a doubt about a message whose type has no route, if a frame after the type is the type
    /// of a route. The frames before this frame may be addresses that a proxy has added.
    pub(super) fn type_after_others<M: Frames>(
        self,
        message: &SplitMessage<M>,
        address: impl FnOnce() -> Option<String>,
    ) {
        let mut headers = frame::kept(&message.body, false);
        let Some(kind) = headers.find(|header| self.snapshot.routes.knows(header)) else {
            return;
        };
        self.note(NotedEvent::TypeAfterOthers, address, || {
            format!(
                "its type has no route, but a later frame is the type {}: if the client is behind a \
                 proxy, such as zmq_proxy, its frontend needs `envelope: routed`",
                frame::printable(kind),
            )
        });
    }

    fn note(
        self,
        what: NotedEvent,
        address: impl FnOnce() -> Option<String>,
        why: impl FnOnce() -> String,
    ) {
        let Self { now, peer, .. } = self;
        let frontend = self.snapshot.names.of_frontend(self.client.frontend);
        self.notes
            .note(now, what, frontend, Some(peer), || Particulars {
                doubt: Some(Doubt {
                    client: self.client.caller(address),
                    why: why(),
                }),
                ..Particulars::default()
            });
    }
}
