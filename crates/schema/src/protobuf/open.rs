//! The state of a message that the protobuf walk has begun and not finished.

use crate::needs::IndexSet;
use crate::scope::Scope;
use crate::violation::{Checked, Gather};

/// The value of [`OpenMessage::group`] for a message that is not a group. No field has this number.
pub(super) const NO_GROUP: u32 = 0;

/// One occurrence of a message that is being read.
pub(super) struct OpenMessage<'a> {
    pub scope: Scope<'a>,
    /// The offset at which the message begins.
    pub start: usize,
    /// The field number of the message if the message is a group, or else [`NO_GROUP`].
    pub group: u32,
    /// The number of levels that may be nested in the message.
    pub depth: u32,
    /// The fields that were read so far, or `None` if no field is required.
    pub seen: Option<IndexSet>,
}

impl OpenMessage<'_> {
    /// Reports every required field that is missing. Must be called after the message was read.
    #[inline]
    pub(super) fn complete(&self, faults: &mut impl Gather) -> Checked<()> {
        self.scope.complete(self.seen.as_ref(), self.start, faults)
    }
}
