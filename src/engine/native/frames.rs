//! The form in which the core reads and builds this engine's messages.

use crate::frame::Frames;
use gateway_zmtp::message::Message;

impl Frames for Message {
    type Parcel = Vec<Vec<u8>>;

    fn pack(self) -> Self::Parcel {
        self.into_owned_frames()
    }

    fn unpack(parcel: Self::Parcel) -> Self {
        Self::from(parcel)
    }

    fn of(frames: Vec<Vec<u8>>) -> Self {
        Self::from(frames)
    }

    #[inline]
    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn get(&self, n: usize) -> Option<&[u8]> {
        self.get(n)
    }

    #[inline]
    fn size(&self) -> u64 {
        self.size()
    }

    #[inline]
    fn drop_front(&mut self, n: usize) {
        self.drop_front(n);
    }

    fn compact(self) -> Self {
        self.compact()
    }

    fn with_front(self, front: &[&[u8]]) -> Self {
        self.with_front(front)
    }

    fn last(&self) -> Self {
        self.last()
    }
}
