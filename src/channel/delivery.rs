//! The means of reaching the peers of a channel, and the result of a publication.

use crate::peer::PeerId;

/// The means of reaching the peers of a channel.
pub(crate) trait Delivery<M> {
    /// Sends a message to a subscriber. Returns false if the subscriber's connection has no room.
    fn send(&mut self, subscriber: PeerId, body: &M) -> bool;

    /// Moves a message that has to wait into memory of about the size of the message.
    fn settle(&mut self, body: M) -> M;

    /// Returns the maximum size in bytes of the messages queued for one subscriber while memory is
    /// short. Otherwise returns `u64::MAX`.
    fn bytes_max(&self) -> u64;

    /// Subscribes at a publisher to a prefix, or, if `wanted` is false, cancels that subscription.
    fn set_subscription(&mut self, publisher: PeerId, prefix: &[u8], wanted: bool);

    /// Returns whether the connection of a publisher has room for one more subscription. If there
    /// is no room, the channel sends the subscription later.
    fn has_room_for_subscription(&mut self, publisher: PeerId) -> bool;
}

/// The result of a publication.
#[derive(Debug, Default)]
pub(crate) struct Publication {
    /// The work of the publication: the number of matched subscribers, plus the number of look-ups
    /// that found them, plus the number of dropped messages.
    pub work: usize,
    /// The subscribers that missed messages, with the number of messages.
    pub slow: Vec<(PeerId, u64)>,
    /// The subscribers that must be disconnected because they are slow.
    pub overflowed: Vec<PeerId>,
}
