//! The output of a connection: requests, answers, published messages, subscriptions and protocol
//! bytes.

use std::time::Duration;

use crate::engine::native::connection::sending::Written;
use crate::engine::native::connection::{Connection, Phase};
use crate::engine::role::Role;
use crate::ledger::RequestOutcome;
use gateway_zmtp::command;
use gateway_zmtp::curve::SealWork;
use gateway_zmtp::message::Message;
use gateway_zmtp::pool::BufferPool;
use gateway_zmtp::subscription::SubscriptionChange;

impl Connection {
    /// Returns whether the peer cannot be written to any more.
    pub(in crate::engine::native) fn is_mute(&self) -> bool {
        self.sending.is_gone()
    }

    /// Returns whether nothing is queued.
    pub(in crate::engine::native) fn has_sent_all(&self) -> bool {
        self.sending.is_empty()
    }

    /// Returns the number of queued bytes.
    pub(in crate::engine::native) fn unwritten(&self) -> u64 {
        self.sending.unwritten()
    }

    /// Returns the memory charged for the queue, in bytes.
    pub(in crate::engine::native) fn held(&self) -> u64 {
        self.sending.held()
    }

    /// Returns whether queued bytes must wait, because the system had no room for all of them or
    /// because the peer has disconnected.
    pub(in crate::engine::native) fn is_clogged(&self) -> bool {
        self.sending.waits()
    }

    /// Appends protocol bytes.
    pub(in crate::engine::native) fn put(
        &mut self,
        buffers: &mut BufferPool,
        put: impl FnOnce(&mut Vec<u8>),
    ) {
        self.sending.put(buffers, put);
    }

    /// Returns whether the worker accepts another request: it is not leaving, and at most `room`
    /// bytes are queued for it. If not, the worker counts as blocked until [`Self::unblock`].
    pub(in crate::engine::native) fn has_room_for_request(&mut self, room: u64) -> bool {
        // The last input of a worker that has disconnected is still read, but the worker cannot
        // answer new requests.
        let leaves = self.retired || self.sending.is_gone() || self.receiving.is_last();
        self.has_room(!leaves, room)
    }

    /// Returns whether the subscriber takes another message, or the publisher another subscription:
    /// the peer has not disconnected, and at most `room` bytes are queued for it. If not, the peer
    /// counts as blocked until [`Self::unblock`]. A retired subscriber still receives the messages
    /// that are queued for it.
    pub(in crate::engine::native) fn has_room_for_message(&mut self, room: u64) -> bool {
        let leaves = self.sending.is_gone() || self.receiving.is_last();
        self.has_room(!leaves, room)
    }

    #[inline]
    fn has_room(&mut self, stays: bool, room: u64) -> bool {
        let takes = stays && self.sending.unwritten() <= room;
        if !takes {
            self.sending.block();
        }
        takes
    }

    /// Returns whether the core must be notified that a blocked peer takes messages again, because
    /// at most `room` bytes are queued. The peer then no longer counts as blocked.
    pub(in crate::engine::native) fn unblock(&mut self, room: u64) -> bool {
        self.sending.unblock(room) && (!self.retired || self.phase == Phase::Subscriber)
    }

    /// Appends a subscription, or its cancellation, in the form that the publisher understands.
    pub(in crate::engine::native) fn push_subscription(
        &mut self,
        buffers: &mut BufferPool,
        change: SubscriptionChange,
        prefix: &[u8],
    ) {
        if !self.session.understands_subscribe() {
            let message = change.message(prefix);
            return self.sending.push_request(buffers, &[], message);
        }
        self.sending.put(buffers, |into| match change {
            SubscriptionChange::Subscribe => command::put_subscribe(into, prefix),
            SubscriptionChange::Cancel => command::put_cancel(into, prefix),
        });
    }

    /// Appends a request.
    pub(in crate::engine::native) fn push_request(
        &mut self,
        buffers: &mut BufferPool,
        head: &[&[u8]],
        body: Message,
    ) {
        self.sending.push_request(buffers, head, body);
    }

    /// Appends a message for a subscriber, which other subscribers may share.
    pub(in crate::engine::native) fn push_shared(
        &mut self,
        buffers: &mut BufferPool,
        body: &Message,
    ) {
        self.sending.push_shared(buffers, body);
    }

    /// Appends an answer.
    pub(in crate::engine::native) fn push_answer(
        &mut self,
        buffers: &mut BufferPool,
        head: &[&[u8]],
        body: Message,
        outcome: RequestOutcome,
    ) {
        self.sending.push_answer(buffers, head, body, outcome);
    }

    /// Removes and returns the next large frame to seal (encrypt) on another thread, if there is
    /// one. The frames must be sealed in the order in which they are returned.
    pub(in crate::engine::native) fn next_to_seal(&mut self) -> Option<SealWork> {
        self.sending.next_to_seal()
    }

    /// Puts the sealed form of the next large frame into its place in the queue.
    pub(in crate::engine::native) fn sealed(&mut self, frame: Vec<u8>) {
        self.sending.sealed(frame);
    }

    /// Records that the connection is in the list of connections to write to. Returns true if the
    /// connection was not in that list before, so that the caller must append the connection to the
    /// list.
    pub(in crate::engine::native) fn enlist_to_write(&mut self) -> bool {
        self.sending.enlist()
    }

    /// Writes the queued bytes as far as the system takes them, and records that the connection was
    /// removed from the list of connections to write to. Returns `None` if the system has not
    /// established the connection yet.
    pub(in crate::engine::native) fn write(
        &mut self,
        buffers: &mut BufferPool,
        now: Duration,
    ) -> Option<Written> {
        self.sending.leave_list();
        if self.phase == Phase::Connecting {
            return None;
        }
        let Self {
            sending,
            stream,
            liveness,
            ..
        } = self;
        Some(sending.write(stream, liveness, buffers, now))
    }

    /// Allows the next write although the system has not reported room. Returns whether the last
    /// write found no room.
    pub(in crate::engine::native) fn retry(&mut self) -> bool {
        self.sending.retry()
    }

    /// Removes the next answer that is completely written, and returns its outcome. Returns `None`
    /// if there is no such answer.
    pub(in crate::engine::native) fn next_written(&mut self) -> Option<RequestOutcome> {
        self.sending.next_written()
    }

    /// Removes the next queued answer, written or not, because no answer will be written any more.
    /// Returns its outcome, or `None` if no answer is queued.
    pub(in crate::engine::native) fn next_lost(&mut self) -> Option<RequestOutcome> {
        self.sending.next_lost()
    }

    /// Drops the queued bytes, because the peer cannot be written to any more. The input that has
    /// arrived is read to the end.
    pub(in crate::engine::native) fn mute(&mut self) {
        self.sending.end();
        self.receiving.end();
    }

    /// Records that `left` bytes remain queued for a client, and returns the number that was
    /// recorded before. For any other peer, records nothing and returns `None`.
    pub(in crate::engine::native) fn count_unread(&mut self, left: u64) -> Option<u64> {
        matches!(self.role, Role::Frontend(_)).then(|| self.sending.count(left))
    }
}
