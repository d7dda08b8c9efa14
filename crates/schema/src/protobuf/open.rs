//! The state of a message that the protobuf walk has begun and not finished.

use crate::needs::IndexSet;
use crate::scope::Scope;
use crate::violation::{Checked, Gather};

/// The value that means "not in a group" in place of a group's number.
pub(super) const NO_GROUP: u32 = 0;

/// One occurrence of a message that is being read.
pub(super) struct OpenMessage<'a> {
    pub scope: Scope<'a>,
    /// The offset at which the message begins.
    pub start: usize,
    /// The field number of the group if the message is one, or else [`NO_GROUP`].
    pub group: u32,
    /// The number of levels that may be nested in the message.
    pub depth: u32,
    /// The fields read so far, if some fields are required.
    pub seen: Option<IndexSet>,
}

impl OpenMessage<'_> {
    /// Reports every required field that is missing. Must be called after the message was read.
    #[inline]
    pub(super) fn complete(&self, faults: &mut impl Gather) -> Checked<()> {
        self.scope.complete(self.seen.as_ref(), self.start, faults)
    }
}
