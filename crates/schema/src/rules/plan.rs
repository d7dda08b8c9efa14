//! The rules of messages, in the form that the judges read them.

use rustc_hash::FxHashMap;

use super::check::{Check, Value};
use crate::table::MessageId;

/// The rules of all messages that carry some, themselves or below.
#[derive(Debug, Default)]
pub(super) struct Plans {
    pub messages: Vec<MessagePlan>,
    pub by_message: FxHashMap<u32, PlanId>,
}

/// The place of a message's rules in [`Plans`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlanId(pub u32);

impl Plans {
    /// Returns the place of the rules of a message; `None` if it carries none, nor do those below it.
    pub fn of(&self, message: MessageId) -> Option<PlanId> {
        self.by_message.get(&message.0).copied()
    }

    /// Returns the rules at a place.
    #[inline]
    pub fn get(&self, id: PlanId) -> &MessagePlan {
        &self.messages[id.0 as usize]
    }
}

/// The rules of one message type.
#[derive(Debug)]
pub(super) struct MessagePlan {
    pub message: MessageId,
    /// By the index of a field in the table: the place of its rules in `fields`, if it has some.
    pub places: Box<[Option<u32>]>,
    /// In declaration order.
    pub fields: Box<[FieldPlan]>,
    /// The oneofs of which a field must be set.
    pub oneofs: Box<[OneofPlan]>,
    /// The rules that of some fields one may be set.
    pub choices: Box<[ChoicePlan]>,
    /// One more than the index of the last oneof of which some field has rules, or must be set.
    pub oneof_count: usize,
}

impl MessagePlan {
    /// Returns the place of the rules of the field of this index in the table.
    #[inline]
    pub fn place(&self, index: u32) -> Option<usize> {
        let place = *self.places.get(index as usize)?;
        place.map(|place| place as usize)
    }
}

/// The rule that a field of a oneof is set.
#[derive(Debug)]
pub(super) struct OneofPlan {
    pub index: u32,
    pub name: Box<str>,
}

/// The rule of a message that at most one of some fields is set.
#[derive(Debug)]
pub(super) struct ChoicePlan {
    /// Places in [`MessagePlan::fields`].
    pub fields: Box<[usize]>,
    /// The fields' names, with commas.
    pub names: Box<str>,
    /// Whether one must be set.
    pub required: bool,
}

/// The rules of a field.
#[derive(Debug)]
pub(super) struct FieldPlan {
    /// Of the field in the table.
    pub index: u32,
    pub required: bool,
    /// Whether the rules hold where the field is not set: then they are asked of its zero.
    pub judges_absent: bool,
    /// Whether the field's zero is the same as its absence.
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
    /// Of the number of elements.
    pub counts: Box<[Check]>,
    /// Whether no two elements may be the same.
    pub unique: bool,
    pub items: ValuePlan,
}

/// The rules of a map.
#[derive(Debug)]
pub(super) struct MapPlan {
    /// Of the number of pairs.
    pub counts: Box<[Check]>,
    pub keys: ValuePlan,
    pub values: ValuePlan,
}

/// The rules of one value: of a field, an element, a key.
#[derive(Debug, Default)]
pub(super) struct ValuePlan {
    pub checks: Box<[Check]>,
    /// Whether the rules don't hold for a zero, which is an element or a key here.
    pub skips_zero: bool,
    /// The rules of the message that the value is.
    pub nested: Option<PlanId>,
}

impl ValuePlan {
    /// Returns whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty() && self.nested.is_none()
    }

    /// Returns the rules that `value` breaks.
    #[inline]
    pub fn broken<'p>(&'p self, value: &'p Value) -> impl Iterator<Item = &'p Check> {
        let skipped = self.skips_zero && value.is_zero();
        let checks: &[Check] = if skipped { &[] } else { &self.checks };
        checks.iter().filter(|check| !check.passes(value))
    }
}
