//! The way of a channel's messages to an outlet.

use super::Outlet;
use crate::channel::Delivery;
use crate::frame::Frames;
use crate::peer::PeerId;

/// The number of subscribers or kept messages whose delivery is as much work as a small message.
pub(super) const DELIVERIES_OF_AN_ITEM: usize = 4;

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
}
