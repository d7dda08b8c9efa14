//! The tasks that a channel does in parts.

use std::rc::Rc;

use super::post::Post;
use super::prefix_index::SubscriberId;
use super::subscriber::Backlog;
use crate::frame::Frames;
use crate::peer::PeerId;

/// A task that is done in parts.
#[derive(Debug)]
pub(super) enum Task<M> {
    /// The changes of the gateway's subscriptions at a publisher are sent.
    SubscribeAt(PeerId),
    /// Kept messages for a subscriber are collected, and the messages queued for the subscriber are
    /// sent.
    Serve(SubscriberId),
    /// The queue of a subscriber that has disconnected or stalled is dropped.
    Drop(Box<Backlog<M>>),
    /// The subscriptions of a subscriber that has disconnected are removed.
    Forget(SubscriberId),
    /// The kept messages that exceed the limits are dropped.
    Trim,
}

/// A kept message that a judge thread must check before the message is sent.
#[derive(Debug)]
pub(crate) struct Undecided<M> {
    /// The subscriber for which the message is collected.
    pub subscriber: PeerId,
    /// The number of the kept message. The verdict of the judge refers to it.
    pub number: u64,
    pub(super) post: Rc<Post<M>>,
}

impl<M: Frames> Undecided<M> {
    /// Returns the message.
    pub(crate) fn body(&self) -> &M {
        self.post.body()
    }
}
