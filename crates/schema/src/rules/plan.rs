//! The rules of messages, in the form in which the judges (`judge.rs`) read them.

use rustc_hash::FxHashMap;

use super::check::{Check, Value};
use crate::table::MessageId;

/// The rules of all message types that have rules or contain, at any depth, a message with rules.
#[derive(Debug, Default)]
pub(super) struct Plans {
    pub messages: Vec<MessagePlan>,
    pub by_message: FxHashMap<u32, PlanId>,
}

/// The index of a message's rules in [`Plans`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlanId(pub u32);

impl Plans {
    /// Returns the index of the rules of a message, or `None` if neither the message nor a message
    /// that it contains has rules.
    pub(super) fn of(&self, message: MessageId) -> Option<PlanId> {
        self.by_message.get(&message.0).copied()
    }

    /// Returns the rules at an index.
    #[inline]
    pub(super) fn get(&self, id: PlanId) -> &MessagePlan {
        &self.messages[id.0 as usize]
    }
}

/// The rules of one message type.
#[derive(Debug)]
pub(super) struct MessagePlan {
    pub message: MessageId,
    /// For each field, by its index in the table: the index of its rules in `fields`, or `None` if
    /// the field has no rules.
    pub places: Box<[Option<u32>]>,
    /// The rules of fields, in declaration order.
    pub fields: Box<[FieldPlan]>,
    /// The oneofs in which a field must be set.
    pub oneofs: Box<[OneofPlan]>,
    /// The rules by which at most one of several fields may be set.
    pub choices: Box<[ChoicePlan]>,
    /// The number of oneofs to track while a payload is checked. This is one more than the largest
    /// index of a oneof that is required or has a field with rules.
    pub oneof_count: usize,
}

impl MessagePlan {
    /// Converts the index of a field in the table to the index of its rules in `fields`. Returns
    /// `None` if the field has no rules.
    #[inline]
    pub(super) fn place(&self, index: u32) -> Option<usize> {
        let place = *self.places.get(index as usize)?;
        place.map(|place| place as usize)
    }
}

/// The rule that one field of a oneof must be set.
#[derive(Debug)]
pub(super) struct OneofPlan {
    pub index: u32,
    pub name: Box<str>,
}

/// The rule of a message by which at most one of several fields may be set.
#[derive(Debug)]
pub(super) struct ChoicePlan {
    /// Indices in [`MessagePlan::fields`].
    pub fields: Box<[usize]>,
    /// The names of the fields, separated by commas.
    pub names: Box<str>,
    /// True if one of the fields must be set.
    pub required: bool,
}

/// The rules of a field.
#[derive(Debug)]
pub(super) struct FieldPlan {
    /// The index of the field in the table.
    pub index: u32,
    pub required: bool,
    /// True if the rules also apply to a field that is not set. The zero value of the field is then
    /// checked.
    pub judges_absent: bool,
    /// True if the field has no presence, so that a zero counts as absent.
    pub implicit: bool,
    pub rules: FieldRules,
}

/// The rules of a field's value or values.
#[derive(Debug)]
pub(super) enum FieldRules {
    One(ValuePlan),
    List(ListPlan),
    Map(MapPlan),
}

/// The rules of a repeated field.
#[derive(Debug)]
pub(super) struct ListPlan {
    /// The rules on the number of elements.
    pub counts: Box<[Check]>,
    /// True if no two elements may be equal.
    pub unique: bool,
    pub items: ValuePlan,
}

/// The rules of a map.
#[derive(Debug)]
pub(super) struct MapPlan {
    /// The rules on the number of pairs.
    pub counts: Box<[Check]>,
    pub keys: ValuePlan,
    pub values: ValuePlan,
}

/// The rules of one value: the value of a singular field, an element of a list, or a key or value
/// of a map.
#[derive(Debug, Default)]
pub(super) struct ValuePlan {
    pub checks: Box<[Check]>,
    /// True if an element, key or map value that equals zero is not checked.
    pub skips_zero: bool,
    /// The rules of the message, if the value is a message that has rules.
    pub nested: Option<PlanId>,
}

impl ValuePlan {
    /// Returns whether there are no rules for the value.
    pub(super) fn is_empty(&self) -> bool {
        self.checks.is_empty() && self.nested.is_none()
    }

    /// Returns the rules that `value` breaks.
    #[inline]
    pub(super) fn broken<'p>(&'p self, value: &'p Value) -> impl Iterator<Item = &'p Check> {
        let skipped = self.skips_zero && value.equals_zero();
        let checks: &[Check] = if skipped { &[] } else { &self.checks };
        checks.iter().filter(|check| !check.passes(value))
    }
}
