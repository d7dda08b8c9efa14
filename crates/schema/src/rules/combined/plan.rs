//! The rules of messages in the form that the combined pass (`combined.rs`) reads.

use super::test::{Quick, ValueTest};
use crate::rules::judge::absent;
use crate::rules::plan::{FieldPlan, FieldRules, MessagePlan, PlanId, Plans, ValuePlan};
use crate::table::{Cardinality, Field, FieldKind, Form, Message, Table};
use crate::violation::First;

/// The maximum number of fields, and of oneofs, of a message that the pass supports. Each field and
/// each oneof has one bit of a `u64`.
const FIELDS_MAX: usize = 64;

/// The maximum number of lists and maps of one message for which the pass counts the elements. The
/// counts are in an array on the stack.
pub(super) const LISTS_MAX: usize = 8;

/// The rules of each message, in the order of [`Plans`]. The entry of a message that the pass does
/// not support is `None`.
#[derive(Debug, Default)]
pub(in crate::rules) struct CombinedPlans(Vec<Option<CombinedMessage>>);

impl CombinedPlans {
    /// Puts the rules of `plans` into the form that the pass reads.
    pub(crate) fn new(table: &Table, plans: &Plans) -> Self {
        let messages = plans.messages.iter();
        Self(messages.map(|plan| message(table, plan)).collect())
    }

    /// Returns the rules of the message at this index in [`Plans`], or `None` if the pass does not
    /// support the message.
    #[inline]
    pub(super) fn get(&self, id: PlanId) -> Option<&CombinedMessage> {
        self.0.get(id.0 as usize)?.as_ref()
    }
}

/// The rules of one message. In a bit set, a field or oneof has the bit of its index.
#[derive(Debug)]
pub(super) struct CombinedMessage {
    /// All fields, by their index in the table.
    pub fields: Box<[CombinedField]>,
    /// For each protobuf tag of one byte, the index of the field with this tag, or `u8::MAX` if no
    /// field has this tag.
    tags: Box<[u8]>,
    /// The fields that must be set. A message without such a field breaks a rule of the field.
    pub needed: u64,
    /// The oneofs that must each have a field that is set.
    pub oneofs: u64,
    pub choices: Box<[CombinedChoice]>,
    /// The lists and maps whose elements are counted, indexed by [`CombinedField::slot`].
    pub lists: Box<[CountedList]>,
}

/// The rules on the number of elements of a list or map.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountedList {
    /// The smallest number of elements that keeps the rules. The largest number is `least + span`.
    pub least: u64,
    pub span: u64,
}

impl CombinedMessage {
    /// Returns the index of the field of this tag. If no field has the tag, returns `None` or an
    /// index out of range.
    #[inline(always)]
    pub(super) fn by_tag(&self, tag: u8) -> Option<usize> {
        self.tags
            .get(usize::from(tag))
            .map(|index| usize::from(*index))
    }
}

/// A rule that allows at most one of several fields to be set.
#[derive(Debug)]
pub(super) struct CombinedChoice {
    pub fields: u64,
    /// True if one of the fields must be set.
    pub required: bool,
}

/// A field, with or without rules.
#[derive(Debug)]
pub(super) struct CombinedField {
    pub quick: Quick,
    /// The bit of the field.
    pub bit: u64,
    /// The bit of the oneof that the field belongs to, or 0.
    pub oneof: u64,
    /// True if the field has no presence, so that a zero counts as absent.
    pub implicit: bool,
    pub shape: FieldShape,
    /// The index of the rules in [`MessagePlan::fields`], or `None` if the field has no rules.
    pub place: Option<u32>,
    /// The index in [`CombinedMessage::lists`], or `None` if the pass does not count elements.
    pub slot: Option<u8>,
    /// True if a rule forbids equal elements.
    pub unique: bool,
}

/// The way in which the pass reads a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum FieldShape {
    Scalar(FieldKind, ValueTest),
    /// A list of scalars. Each scalar is tested.
    Scalars(FieldKind, ValueTest),
    /// A message that has rules, directly or in a message that it contains.
    Message(PlanId),
    /// A list of messages that have rules, directly or in a message that they contain.
    Messages(PlanId),
    /// The entries of a map. Each entry is judged. Entries with the same key become one pair, which
    /// has the value of the last entry. A map may therefore have fewer pairs than entries.
    Entries,
    /// A field whose value has no rules. The field itself may be required.
    Unruled,
    /// Any other field. The judge of the encoding checks the field's value.
    Judged,
}

fn message(table: &Table, plan: &MessagePlan) -> Option<CombinedMessage> {
    let message = &table[plan.message];
    let oneofs = message.fields.iter().filter_map(|field| field.oneof);
    let oneof_count = oneofs.max().map_or(0, |last| last as usize + 1);
    let is_supported = message.form == Form::Fields
        && !message.message_set
        && message.needs.is_empty()
        && message.fields.len() <= FIELDS_MAX
        && oneof_count <= FIELDS_MAX;
    if !is_supported {
        return None;
    }
    let mut lists = Vec::new();
    let fields = (0u32..).zip(&message.fields).map(|(index, field)| {
        let place = plan.place(index);
        let rules = place.map(|place| &plan.fields[place]);
        let slot = rules.and_then(|rules| slot(rules, &mut lists));
        let shape = rules.map_or_else(|| unruled(field), |rules| shape(field, rules, slot));
        CombinedField {
            quick: quick(table, field, shape, place.is_some()),
            bit: 1 << index,
            oneof: field.oneof.map_or(0, |oneof| 1 << oneof),
            implicit: field.implicit,
            shape,
            place: place.map(|place| place as u32),
            slot,
            unique: matches!(rules, Some(FieldPlan { rules: FieldRules::List(list), .. }) if list.unique),
        }
    });
    let fields = fields.collect();
    let needed = plan.fields.iter().filter(|field| is_needed(message, field));
    let choices = plan.choices.iter().map(|choice| CombinedChoice {
        fields: bits(choice.fields.iter().map(|place| plan.fields[*place].index)),
        required: choice.required,
    });
    Some(CombinedMessage {
        fields,
        tags: tags(message),
        needed: bits(needed.map(|field| field.index)),
        oneofs: bits(plan.oneofs.iter().map(|oneof| oneof.index)),
        choices: choices.collect(),
        lists: lists.into(),
    })
}

/// Returns [`CombinedMessage::tags`] for a message.
fn tags(message: &Message) -> Box<[u8]> {
    let indices = message.plain.iter().zip(0u32..).map(|(_, tag)| {
        let index = message.by_number(tag >> 3);
        index.map_or(u8::MAX, |index| index as u8)
    });
    indices.collect()
}

/// Returns the quick form of a field. `is_ruled` is true if the field has rules.
fn quick(table: &Table, field: &Field, shape: FieldShape, is_ruled: bool) -> Quick {
    match shape {
        _ if field.oneof.is_some() => Quick::Other,
        FieldShape::Unruled if !is_ruled => Quick::Skip,
        FieldShape::Scalar(kind, test) => {
            let open = matches!(kind, FieldKind::Enum(id) if !table[id].closed);
            Quick::of(kind, test, open)
        }
        _ => Quick::Other,
    }
}

fn bits(indices: impl Iterator<Item = u32>) -> u64 {
    indices.fold(0, |bits, index| bits | 1 << index)
}

/// Returns whether a message without the field breaks a rule of the field.
fn is_needed(message: &Message, plan: &FieldPlan) -> bool {
    let field = &message.fields[plan.index as usize];
    absent::<First>(plan, field, 0).is_err()
}

/// Adds the rules on the number of elements to `lists`, and returns the index of these rules.
/// Returns `None` if there are no such rules or if the pass cannot check them.
fn slot(plan: &FieldPlan, lists: &mut Vec<CountedList>) -> Option<u8> {
    let (counts, least_max) = match &plan.rules {
        FieldRules::One(_) => return None,
        FieldRules::List(list) => (&list.counts, u64::MAX),
        // The pass counts entries, and several entries may share a key. If there are entries, the
        // map has at least one pair, but perhaps only one. The pass therefore cannot check a rule
        // that requires more than one pair.
        FieldRules::Map(map) => (&map.counts, 1),
    };
    match ValueTest::of(counts) {
        ValueTest::Whole { low, span } if low <= least_max && lists.len() < LISTS_MAX => {
            lists.push(CountedList { least: low, span });
            Some(lists.len() as u8 - 1)
        }
        _ => None,
    }
}

/// Returns the shape of a field without rules. For an enum in a oneof, the pass reads the value. If
/// a closed enum does not define the value, the field counts as unknown, and not as a member of the
/// oneof.
fn unruled(field: &Field) -> FieldShape {
    match field.kind {
        FieldKind::Enum(_) if field.oneof.is_some() => {
            FieldShape::Scalar(field.kind, ValueTest::Nothing)
        }
        _ => FieldShape::Unruled,
    }
}

fn shape(field: &Field, plan: &FieldPlan, slot: Option<u8>) -> FieldShape {
    match &plan.rules {
        FieldRules::One(rules) => value(field, rules, FieldShape::Scalar, FieldShape::Message),
        FieldRules::List(list) if !list.counts.is_empty() && slot.is_none() => FieldShape::Judged,
        FieldRules::List(list) if list.items.skips_zero => FieldShape::Judged,
        FieldRules::List(list) => value(
            field,
            &list.items,
            FieldShape::Scalars,
            FieldShape::Messages,
        ),
        FieldRules::Map(map) if !map.counts.is_empty() && slot.is_none() => FieldShape::Judged,
        FieldRules::Map(_) => FieldShape::Entries,
    }
}

fn value(
    field: &Field,
    rules: &ValuePlan,
    scalar: fn(FieldKind, ValueTest) -> FieldShape,
    message: fn(PlanId) -> FieldShape,
) -> FieldShape {
    debug_assert_ne!(field.cardinality, Cardinality::Map);
    match (field.kind, rules.nested) {
        (FieldKind::Group(_), _) => FieldShape::Judged,
        (FieldKind::Message(_), Some(nested)) if rules.checks.is_empty() => message(nested),
        (FieldKind::Message(_), None) if rules.checks.is_empty() => FieldShape::Unruled,
        (FieldKind::Message(_), _) => FieldShape::Judged,
        (kind, _) => scalar(kind, ValueTest::of(&rules.checks)),
    }
}
