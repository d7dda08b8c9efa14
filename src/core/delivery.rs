//! The delivery of a channel's messages to an outlet.

use super::Outlet;
use crate::channel::Delivery;
use crate::frame::Frames;
use crate::peer::PeerId;

/// The number of deliveries to subscribers, or of subscriptions sent to publishers, that take as
/// much work as one small message.
pub(super) const DELIVERIES_PER_MESSAGE: usize = 4;

/// The work for a change of a subscription, in units of the work for one small message. The change
/// concerns several trees. If the channel has hundreds of thousands of prefixes, most of the trees'
/// nodes are in no cache of the processor.
pub(super) const SUBSCRIPTION_WORK: usize = 4;

/// The delivery of a channel's messages by an outlet.
pub(super) struct ByOutlet<'a, O>(pub(super) &'a mut O);

impl<M: Frames, O: Outlet<M>> Delivery<M> for ByOutlet<'_, O> {
    fn send(&mut self, subscriber: PeerId, body: &M) -> bool {
        self.0.to_subscriber(subscriber, body)
    }

    fn settle(&mut self, body: M) -> M {
        self.0.settle(body)
    }

    fn bytes_max(&self) -> u64 {
        self.0.client_bytes_max()
    }

    fn set_subscription(&mut self, publisher: PeerId, prefix: &[u8], wanted: bool) {
        self.0.set_subscription(publisher, prefix, wanted);
    }

    fn has_room_for_subscription(&mut self, publisher: PeerId) -> bool {
        self.0.has_room_for_subscription(publisher)
    }
}
