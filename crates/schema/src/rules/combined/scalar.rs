//! Judges a scalar in the combined pass (`combined.rs`).

use super::plan::CombinedField;
use super::seen::SeenFields;
use super::test::{Scalar, ValueTest};
use crate::rules::plan::{FieldRules, MessagePlan, ValuePlan};
use crate::table::FieldKind;

/// Adds a singular field with its value to the fields that were read. Returns false if the field or
/// its oneof has occurred before, or if the value breaks a rule.
#[inline]
pub(super) fn judge(
    seen: &mut SeenFields,
    plan: &MessagePlan,
    field: &CombinedField,
    (kind, test): (FieldKind, ValueTest),
    value: Scalar,
) -> bool {
    if !seen.name(field) {
        return false;
    }
    // A field without presence counts as absent if its value is zero. Required fields are checked
    // at the end of the message.
    if field.implicit && value.is_zero() {
        return true;
    }
    seen.set(field, true) && value.passes(test, kind, rules(plan, field))
}

/// Returns the rules of the value or the elements of a field, or `None` if the field is a map or
/// has no rules.
#[inline]
pub(super) fn rules<'a>(plan: &'a MessagePlan, field: &CombinedField) -> Option<&'a ValuePlan> {
    match &plan.fields[field.place? as usize].rules {
        FieldRules::One(rules) => Some(rules),
        FieldRules::List(list) => Some(&list.items),
        FieldRules::Map(_) => None,
    }
}
