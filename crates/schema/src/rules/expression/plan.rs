//! The rules in CEL that messages carry, in the form in which `judge.rs` reads them.

use rustc_hash::FxHashMap;

use super::program::Expression;
use super::scalars::ScalarRules;
use super::values::Wanted;
use crate::table::MessageId;

/// The rules in CEL that messages carry, directly or in a message that they contain.
#[derive(Debug, Default)]
pub(in crate::rules) struct ExpressionPlans {
    pub messages: Vec<ExpressionPlan>,
    pub by_message: FxHashMap<u32, ExpressionPlanId>,
    /// The fields that the rules read, and the message fields that contain such fields.
    pub wanted: Wanted,
}

/// The index of a message's rules in [`ExpressionPlans`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) struct ExpressionPlanId(pub u32);

impl ExpressionPlans {
    /// Returns the index of the rules of a message, or `None` if neither the message nor a message
    /// that it contains carries rules.
    pub(crate) fn of(&self, message: MessageId) -> Option<ExpressionPlanId> {
        self.by_message.get(&message.0).copied()
    }

    /// Returns the rules at an index.
    pub(crate) fn get(&self, id: ExpressionPlanId) -> &ExpressionPlan {
        &self.messages[id.0 as usize]
    }
}

/// The rules in CEL that one message type carries.
#[derive(Debug)]
pub(in crate::rules) struct ExpressionPlan {
    pub message: MessageId,
    /// The rules of the message itself.
    pub own: Box<[Expression]>,
    /// The rules of the message's fields, in declaration order.
    pub fields: Box<[FieldExpressions]>,
    /// The rules in `own` in a form that is faster to evaluate. `None` if a rule has no such form,
    /// or if a field has rules.
    pub scalars: Option<ScalarRules>,
}

/// The rules of a field.
#[derive(Debug)]
pub(in crate::rules) struct FieldExpressions {
    /// The index of the field in the table.
    pub index: u32,
    /// True if the rules also apply to a field that is not set. The rules are then evaluated on the
    /// zero value of the field.
    pub judges_absent: bool,
    /// True if the field has no presence, so that a zero counts as absent.
    pub implicit: bool,
    /// The rules of the field's value, or of the list or map as a whole.
    pub own: Box<[Expression]>,
    /// The rules of each element of a list or each value of a map. For a singular field, these are
    /// only the rules of the field's message type.
    pub values: ValueExpressions,
    /// The rules of a map's keys.
    pub keys: ValueExpressions,
}

/// The rules of an element, a key, a map's value, or a message that is the value of a field.
#[derive(Debug, Default)]
pub(in crate::rules) struct ValueExpressions {
    pub own: Box<[Expression]>,
    /// True if the rules in `own` are not checked for a value that is zero.
    pub skips_zero: bool,
    /// The rules of the message, if the value is a message that has rules.
    pub nested: Option<ExpressionPlanId>,
}

impl ValueExpressions {
    /// Returns whether there is nothing to check.
    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.nested.is_none()
    }
}
