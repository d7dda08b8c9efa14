//! The state of a collection of kept messages, and the result of each of its parts.

use std::rc::Rc;
use std::time::Duration;

use super::message::KeptPost;
use crate::channel::post::Post;
use crate::channel::prefix_index::SubscriberId;

/// The collection of kept messages for a subscriber: the messages that were kept when it subscribed
/// to a prefix. They are collected type by type.
#[derive(Debug)]
pub(super) struct Collection<M> {
    pub(super) subscriber: SubscriberId,
    pub(super) prefix: Box<[u8]>,
    /// The messages of each type that is less than this type are already collected. The messages of
    /// this type are already collected if their number is less than `number`.
    pub(super) kind: Vec<u8>,
    pub(super) number: u64,
    /// The number of the first message that was published after the subscription.
    pub(super) end: u64,
    /// Messages from before this time are not collected, because they were already too old to be
    /// kept when the subscriber subscribed.
    pub(super) oldest: Duration,
    /// The maximum number of messages of a type.
    pub(super) most: usize,
    /// The messages, with their types, that were dropped after the subscription and before they
    /// were collected.
    pub(super) displaced: Vec<(Rc<[u8]>, KeptPost<M>)>,
}

impl<M> Collection<M> {
    /// Returns whether a message of this type has yet to be collected.
    pub(super) fn awaits(&self, kind: &[u8], message: &KeptPost<M>) -> bool {
        kind.starts_with(&self.prefix)
            && (kind, message.number) >= (&*self.kind, self.number)
            && message.number < self.end
            && message.at >= self.oldest
    }

    /// Records that all messages of a type are collected.
    pub(super) fn pass(&mut self, kind: &[u8]) {
        self.kind.clear();
        // This is the least text that is greater than the type.
        self.kind.extend_from_slice(kind);
        self.kind.push(0);
        self.number = 0;
    }
}

/// The result of a part of a collection.
#[derive(Debug)]
pub(in crate::channel) struct Collected<M> {
    /// The number of messages that were dropped because they no longer match their route's schema.
    pub(in crate::channel) unfit: u64,
    pub(in crate::channel) end: CollectionEnd<M>,
}

/// The reason for which a part of a collection has ended.
#[derive(Debug)]
pub(in crate::channel) enum CollectionEnd<M> {
    Complete,
    /// The permitted work is used up.
    Paused,
    /// A judge must first check this message. The number is the number of the message.
    Undecided(u64, Rc<Post<M>>),
}
