//! The fields of one message that were read so far.

use super::plan::{CombinedField, CombinedMessage};

/// The fields of one message that were read so far, with a bit for each field by its index.
#[derive(Default)]
pub(super) struct SeenFields {
    /// The fields that occurred in the payload.
    named: u64,
    /// The fields that are set. A field without presence is not set by a zero.
    set: u64,
    /// The oneofs with a field that occurred in the payload, with a bit for each oneof by its
    /// index.
    oneofs: u64,
}

impl SeenFields {
    /// Adds a field that occurred in the payload. Returns false if it has occurred before.
    #[inline(always)]
    pub(super) fn name(&mut self, field: &CombinedField) -> bool {
        let new = self.named & field.bit == 0;
        self.named |= field.bit;
        new
    }

    /// Adds a field that has a [quick form](super::test::Quick). `passes` is true if the field's
    /// value passes its test. Returns false if the field has occurred before or if the value does
    /// not pass. A zero in a field without presence counts as an absent field, and always passes
    /// here. The rules on absent fields are checked at the end of the message.
    #[inline(always)]
    pub(super) fn quick(&mut self, field: &CombinedField, is_zero: bool, passes: bool) -> bool {
        if self.named & field.bit != 0 {
            return false;
        }
        self.named |= field.bit;
        if is_zero && field.implicit {
            return true;
        }
        self.set |= field.bit;
        passes
    }

    /// Adds a field to the fields that are set, if `is_set` is true. Returns false if a member of
    /// its oneof has occurred before. The oneof is recorded even if `is_set` is false.
    #[inline(always)]
    pub(super) fn set(&mut self, field: &CombinedField, is_set: bool) -> bool {
        if is_set {
            self.set |= field.bit;
        }
        if field.oneof == 0 {
            return true;
        }
        let new = self.oneofs & field.oneof == 0;
        self.oneofs |= field.oneof;
        new
    }

    /// Returns whether the message has all required fields and oneofs, and keeps its rules on
    /// choices between fields ([`CombinedChoice`](super::plan::CombinedChoice)).
    #[inline]
    pub(super) fn fits(&self, message: &CombinedMessage) -> bool {
        let missing = message.needed & !self.set | message.oneofs & !self.oneofs;
        let choices = &*message.choices;
        missing == 0 && (choices.is_empty() || self.keeps_choices(message))
    }

    #[inline(never)]
    fn keeps_choices(&self, message: &CombinedMessage) -> bool {
        let mut choices = message.choices.iter();
        choices.all(|choice| match (self.set & choice.fields).count_ones() {
            0 => !choice.required,
            set => set == 1,
        })
    }
}
