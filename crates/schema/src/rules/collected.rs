//! The options of one message, and of its fields and oneofs.

use rustc_hash::FxHashMap;

use super::field::FieldOption;
use super::message::MessageOption;
use super::plan::OneofPlan;

/// The options of one message, and of its fields and oneofs.
#[derive(Default)]
pub(super) struct Collected {
    pub message: MessageOption,
    /// The options of fields, by the index of the field in the table.
    pub fields: FxHashMap<u32, FieldOption>,
    pub oneofs: Vec<OneofPlan>,
}

impl Collected {
    /// Returns whether there are standard rules.
    pub(super) fn have_standard(&self) -> bool {
        let has_rules = |option: &FieldOption| option.required || option.rules.is_some();
        !self.message.choices.is_empty()
            || !self.oneofs.is_empty()
            || self.fields.values().any(has_rules)
    }

    /// Returns whether there are rules in CEL.
    pub(super) fn have_expressions(&self) -> bool {
        let has_rules = |option: &FieldOption| option.has_expressions;
        !self.message.expressions.is_empty() || self.fields.values().any(has_rules)
    }
}
