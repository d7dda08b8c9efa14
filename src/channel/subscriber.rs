//! One subscriber of a channel, and the messages that are queued for it.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::post::Post;
use super::waiting::Waiting;
use crate::frame::Frames;
use crate::peer::{Headcount, PeerId, PeerName};

/// A subscriber.
#[derive(Debug)]
pub(super) struct Subscriber<M> {
    pub(super) peer: PeerId,
    pub(super) headcount: Headcount,
    pub(super) name: Arc<PeerName>,
    pub(super) backlog: Backlog<M>,
    /// True while kept messages are being collected for the last prefix to which the subscriber has
    /// subscribed. Later messages and later changes of subscriptions wait.
    pub(super) is_collecting: bool,
    /// True if nothing is read from the subscriber until the collection ends.
    pub(super) is_held: bool,
    /// The subscriptions and cancellations that arrived during the collection.
    pub(super) deferred: VecDeque<Change>,
    /// True if a task of the channel has yet to serve the subscriber.
    pub(super) is_queued: bool,
    /// The number of the last message that matched, so that a message that matches several prefixes
    /// is sent once.
    pub(super) last: u64,
    pub(super) matched: u64,
    pub(super) sent: u64,
    pub(super) dropped: u64,
    /// The time since which the subscriber has taken no message. It is the last time at which the
    /// subscriber took a message, its queue became non-empty, or the drain began.
    pub(super) took: Duration,
}

/// A change of a subscriber's subscriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Subscribe(Vec<u8>),
    Cancel(Vec<u8>),
}

/// The messages that are queued for a subscriber: kept messages, and then the messages that have
/// been published since it subscribed.
#[derive(Debug)]
pub(super) struct Backlog<M> {
    /// The kept messages, the oldest first. A message is here twice if the subscriber has cancelled
    /// a prefix and subscribed to the prefix again before the message was sent.
    kept: BinaryHeap<Numbered<M>>,
    /// The size of the kept messages, in bytes. It does not count towards `subscriber_bytes`.
    kept_bytes: u64,
    pub(super) waiting: Waiting<M>,
}

/// A kept message with its number. The order is reversed: the message with the least number is the
/// greatest, because [`BinaryHeap`] returns the greatest first.
#[derive(Debug)]
struct Numbered<M> {
    number: u64,
    post: Rc<Post<M>>,
}

impl<M> PartialEq for Numbered<M> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<M> Eq for Numbered<M> {}

impl<M> PartialOrd for Numbered<M> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<M> Ord for Numbered<M> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.number.cmp(&self.number)
    }
}

impl<M> Default for Backlog<M> {
    fn default() -> Self {
        Self {
            kept: BinaryHeap::new(),
            kept_bytes: 0,
            waiting: Waiting::default(),
        }
    }
}

impl<M: Frames> Backlog<M> {
    /// Returns whether no message is queued.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.kept.is_empty()
    }

    /// Returns the number of messages.
    pub(super) fn len(&self) -> usize {
        self.kept.len() + self.waiting.len()
    }

    /// Returns the size of the messages, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.kept_bytes + self.waiting.bytes()
    }

    /// Adds a kept message, unless the kept messages would then take more than `bytes_max`. Returns
    /// whether it was added.
    pub(super) fn add_kept(
        &mut self,
        number: u64,
        post: &Rc<Post<M>>,
        bytes_max: u64,
        memory: &mut u64,
    ) -> bool {
        let fits = self.kept_bytes + post.bytes() <= bytes_max;
        if fits {
            post.enter_queue(memory);
            self.kept_bytes += post.bytes();
            let post = Rc::clone(post);
            self.kept.push(Numbered { number, post });
        }
        fits
    }

    /// Returns the first message.
    pub(super) fn front(&self) -> Option<&Rc<Post<M>>> {
        let kept = self.kept.peek().map(|first| &first.post);
        kept.or_else(|| self.waiting.front())
    }

    /// Removes the first message. Returns false if no message was queued.
    pub(super) fn pop(&mut self, memory: &mut u64) -> bool {
        let Some(Numbered { post, .. }) = self.kept.pop() else {
            return self.waiting.take(memory).is_some();
        };
        post.leave_queue(memory);
        self.kept_bytes -= post.bytes();
        if self.kept.is_empty() {
            // The capacity that the queue needed during a burst must not be kept.
            self.kept = BinaryHeap::new();
        }
        true
    }
}

impl<M: Frames> Subscriber<M> {
    /// Returns a subscriber without subscriptions.
    pub(super) fn new(peer: PeerId, headcount: Headcount, name: Arc<PeerName>) -> Self {
        Self {
            peer,
            headcount,
            name,
            backlog: Backlog::default(),
            is_collecting: false,
            is_held: false,
            deferred: VecDeque::new(),
            is_queued: false,
            last: 0,
            matched: 0,
            sent: 0,
            dropped: 0,
            took: Duration::ZERO,
        }
    }

    /// Ends the collection of kept messages. Returns the deferred changes if there are any, or if
    /// nothing was read from the subscriber during the collection.
    pub(super) fn end_collection(&mut self) -> Option<VecDeque<Change>> {
        self.is_collecting = false;
        let deferred = std::mem::take(&mut self.deferred);
        (std::mem::take(&mut self.is_held) || !deferred.is_empty()).then_some(deferred)
    }

    /// Returns whether a message can be sent to the subscriber without overtaking another message.
    #[inline]
    pub(super) fn is_free(&self) -> bool {
        self.backlog.is_empty() && !self.is_collecting
    }
}
