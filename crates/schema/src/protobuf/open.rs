//! The state of a message that the protobuf walk has begun and not finished.

use crate::needs::FieldSet;
use crate::scope::Scope;
use crate::violation::{Checked, Gather};

/// Stands for "not in a group" where a group's number is asked for.
pub(super) const NO_GROUP: u32 = 0;

/// One occurrence of a message that is being read.
pub(super) struct OpenMessage<'a> {
    pub scope: Scope<'a>,
    /// The byte where the message begins.
    pub start: usize,
    /// The number of the group that the message is, or [`NO_GROUP`].
    pub group: u32,
    /// The number of levels that may lie within the message.
    pub depth: u32,
    /// The fields met so far, if some fields are required.
    pub seen: Option<FieldSet>,
}

impl OpenMessage<'_> {
    /// Reports every required field that was not met, once the message is read.
    #[inline]
    pub fn complete(&self, faults: &mut impl Gather) -> Checked<()> {
        self.scope.complete(self.seen.as_ref(), self.start, faults)
    }
}
