//! The tasks of a channel that go on in parts.

use std::rc::Rc;

use super::post::Post;
use super::prefixes::SubscriberId;
use super::subscriber::Owed;
use crate::frame::Frames;
use crate::peer::PeerId;

/// Something that goes on in parts.
#[derive(Debug)]
pub(super) enum Task<M> {
    /// A publisher is asked for messages, or for no more of them.
    Ask(PeerId),
    /// Kept messages for a subscriber are collected, and messages are sent to it.
    Serve(SubscriberId),
    /// The messages that a subscriber will not receive are dropped.
    Drop(Box<Owed<M>>),
    /// The subscriptions of a subscriber that is gone are removed.
    Forget(SubscriberId),
    /// Kept messages are dropped for which there is no room.
    Trim,
}

/// A kept message that must be judged before it is sent.
#[derive(Debug)]
pub(crate) struct Undecided<M> {
    /// The subscriber that it is for.
    pub subscriber: PeerId,
    /// Its number, by which the verdict is recorded.
    pub number: u64,
    pub(super) post: Rc<Post<M>>,
}

impl<M: Frames> Undecided<M> {
    /// Returns the message.
    pub(crate) fn body(&self) -> &M {
        self.post.body()
    }
}
