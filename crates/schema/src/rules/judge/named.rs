//! The judge of the encodings that key fields by name: MessagePack and JSON.
//!
//! The walk over the payload has ensured that each field and each key of a map occurs at most once,
//! and that each oneof has at most one member. A value is therefore judged as soon as it is read.

use std::borrow::Cow;
use std::marker::PhantomData;

use super::source::{Shape, Source, Writing};
use super::{absent, choices, count, field_of, value};
use crate::needs::IndexSet;
use crate::rules::check::{NANOS, Value};
use crate::rules::plan::{FieldPlan, FieldRules, ListPlan, MapPlan, MessagePlan, Plans, ValuePlan};
use crate::rules::segment::segment;
use crate::rules::unique::Distincts;
use crate::rules::zero::zero;
use crate::table::{Cardinality, Field, FieldKind, Form, Message, Table};
use crate::violation::{Checked, Gather};

/// Checks the payload that `source` reads against `plan`.
pub(in crate::rules) fn judge<'p, G: Gather, S: Source<'p>>(
    table: &Table,
    plans: &Plans,
    plan: &MessagePlan,
    mut source: S,
) -> Checked<()> {
    let judge = Judge {
        table,
        plans,
        faults: PhantomData::<G>,
        source: PhantomData::<S>,
    };
    judge.message(&mut source, plan)
}

/// Checks the next value of `source`, which is the value of `field`, against `plan`. Returns false
/// if the field does not count as set: an empty list or map, or a zero in a field without presence.
pub(in crate::rules) fn judge_field<'p, G: Gather, S: Source<'p>>(
    table: &Table,
    plans: &Plans,
    mut source: S,
    plan: &FieldPlan,
    field: &Field,
) -> Checked<bool> {
    let judge = Judge {
        table,
        plans,
        faults: PhantomData::<G>,
        source: PhantomData::<S>,
    };
    judge.rules(&mut source, plan, field)
}

struct Judge<'a, G, S> {
    table: &'a Table,
    plans: &'a Plans,
    faults: PhantomData<G>,
    source: PhantomData<S>,
}

/// The fields of a message that were found in the payload.
#[derive(Default)]
struct SeenFields {
    /// The fields that are set, by the index of their rules.
    set: IndexSet,
    /// The oneofs with a field that is set.
    oneofs: IndexSet,
}

impl<'a, 'p, G: Gather, S: Source<'p>> Judge<'a, G, S> {
    /// Judges the message that comes next.
    fn message(&self, source: &mut S, plan: &'a MessagePlan) -> Checked<()> {
        let message = &self.table[plan.message];
        let at = source.start();
        let mut seen = SeenFields::default();
        G::over(|faults| {
            let mut fields = source.open_fields()?;
            while let Some(index) = source.field(&mut fields, message)? {
                if let Some(index) = index {
                    self.field(source, index, plan, (&mut seen, faults))?;
                } else {
                    source.skip()?;
                }
            }
            for (place, plan) in (0u32..).zip(&plan.fields) {
                if seen.set.contains(place) {
                    continue;
                }
                if let Err(fault) = absent::<G>(plan, field_of(message, plan), at) {
                    faults.keep(fault, || Ok(()))?;
                }
            }
            choices(plan, &seen.set, &seen.oneofs, at, faults)
        })
    }

    /// Judges the next value, which belongs to field `index`.
    fn field(
        &self,
        source: &mut S,
        index: u32,
        plan: &'a MessagePlan,
        (seen, faults): (&mut SeenFields, &mut G),
    ) -> Checked<()> {
        let field = &self.table[plan.message].fields[index as usize];
        let place = plan.place(index);
        let oneof = field
            .oneof
            .filter(|oneof| (*oneof as usize) < plan.oneof_count);
        if place.is_none() && oneof.is_none() {
            return source.skip();
        }
        if source.shape()? == Shape::Null && !self.holds_null(field) {
            return source.skip();
        }
        if let Some(oneof) = oneof {
            seen.oneofs.insert(oneof);
        }
        let Some(place) = place else {
            return source.skip();
        };
        let rules = &plan.fields[place];
        match self.rules(source, rules, field) {
            Ok(true) => {
                seen.set.insert(place as u32);
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(fault) => {
                seen.set.insert(place as u32);
                faults.keep(fault.under(&*field.name), || Ok(()))
            }
        }
    }

    /// Returns whether null is a value of the field and does not stand for its absence.
    fn holds_null(&self, field: &Field) -> bool {
        let null = match field.kind {
            FieldKind::Message(id) | FieldKind::Group(id) => self.table[id].form == Form::Value,
            FieldKind::Enum(id) => S::ENUM_HOLDS_NULL && self.table[id].null,
            _ => false,
        };
        null && field.cardinality == Cardinality::Singular
    }

    /// Judges the value that comes next. Returns false if the field does not count as set.
    fn rules(&self, source: &mut S, plan: &'a FieldPlan, field: &Field) -> Checked<bool> {
        match &plan.rules {
            FieldRules::One(rules) if plan.implicit => {
                let at = source.start();
                let judged = source.scalar(self.table, field.kind)?;
                if judged.is_zero() {
                    return Ok(false);
                }
                value::<G>(rules, &judged, at)?;
                Ok(true)
            }
            FieldRules::One(rules) => {
                self.value(source, field.kind, rules)?;
                Ok(true)
            }
            FieldRules::List(list) => Ok(self.list(source, field, list)? > 0),
            FieldRules::Map(map) => Ok(self.map(source, field, map)? > 0),
        }
    }

    /// Judges the value that comes next.
    fn value(&self, source: &mut S, kind: FieldKind, plan: &'a ValuePlan) -> Checked<()> {
        if plan.checks.is_empty() {
            return match plan.nested {
                Some(nested) => self.message(source, self.plans.get(nested)),
                None => source.skip(),
            };
        }
        let at = source.start();
        let judged = match kind.message() {
            Some(id) => self.known(source, &self.table[id])?,
            None => Some(source.scalar(self.table, kind)?),
        };
        match judged {
            Some(judged) => value::<G>(plan, &judged, at),
            None => Ok(()),
        }
    }

    /// Judges a list, and returns the number of its elements.
    fn list(&self, source: &mut S, field: &Field, plan: &'a ListPlan) -> Checked<usize> {
        let at = source.start();
        let mut index = 0;
        let mut distinct = Distincts::default();
        let mut equal = false;
        let checked = G::over(|faults| {
            let mut elements = source.open()?;
            while source.more(&mut elements)? {
                if plan.unique && !equal {
                    let element = source.clone().scalar(self.table, field.kind)?;
                    equal = distinct.insert(element, index).is_some();
                }
                if plan.items.is_empty() {
                    source.skip()?;
                } else if let Err(fault) = self.value(source, field.kind, &plan.items) {
                    faults.keep(fault.under(format!("[{index}]")), || Ok(()))?;
                }
                index += 1;
            }
            // An empty list does not count as set, and is judged like an absent field.
            if index > 0
                && let Err(fault) = count::<G>(&plan.counts, index, equal, at)
            {
                faults.keep(fault, || Ok(()))?;
            }
            Ok(())
        });
        checked.map(|()| index)
    }

    /// Judges a map, and returns the number of its pairs.
    fn map(&self, source: &mut S, field: &Field, plan: &'a MapPlan) -> Checked<usize> {
        let at = source.start();
        let entry = field.kind.message().map(|id| &*self.table[id].fields);
        let Some([of_key, of_value]) = entry else {
            return source.skip().map(|()| 0);
        };
        let mut pairs = 0;
        let checked = G::over(|faults| {
            let mut elements = source.open()?;
            while source.more(&mut elements)? {
                let at = source.start();
                let key = source.key(of_key.kind)?;
                if let Err(fault) = value::<G>(&plan.keys, &key, at) {
                    faults.keep(fault.under(format!("{} (key)", segment(&key))), || Ok(()))?;
                }
                if plan.values.is_empty() {
                    source.skip()?;
                } else if let Err(fault) = self.value(source, of_value.kind, &plan.values) {
                    faults.keep(fault.under(segment(&key)), || Ok(()))?;
                }
                pairs += 1;
            }
            if pairs > 0
                && let Err(fault) = count::<G>(&plan.counts, pairs, false, at)
            {
                faults.keep(fault, || Ok(()))?;
            }
            Ok(())
        });
        checked.map(|()| pairs)
    }

    /// Reads a message of a well-known type and returns the value that standard rules test, or
    /// `None` if the type has no standard rules.
    fn known(&self, source: &mut S, message: &Message) -> Checked<Option<Value<'p>>> {
        match source.writing(message)? {
            Writing::Special => source.special(message.form).map(Some),
            Writing::Bare => source.scalar(self.table, message.fields[0].kind).map(Some),
            Writing::Typed { url } => {
                source.skip()?;
                Ok(Some(Value::Text(url)))
            }
            Writing::Fields => self.known_fields(source, message),
        }
    }

    /// Reads a message of a well-known type that is written field by field. Returns the value that
    /// standard rules test, or `None` if the type has no standard rules.
    fn known_fields(&self, source: &mut S, message: &Message) -> Checked<Option<Value<'p>>> {
        let mut values: [Option<Value<'p>>; 2] = [None, None];
        let mut paths = Vec::new();
        let mut fields = source.open_fields()?;
        while let Some(index) = source.field(&mut fields, message)? {
            let field = index.map(|index| &message.fields[index as usize]);
            match (field, source.shape()?) {
                (None, _) | (_, Shape::Null) => source.skip()?,
                (Some(field), _) if field.cardinality == Cardinality::Repeated => {
                    let mut elements = source.open()?;
                    while source.more(&mut elements)? {
                        paths.push(source.scalar(self.table, field.kind)?);
                    }
                }
                (Some(field), _) => match values.get_mut((field.number as usize).wrapping_sub(1)) {
                    Some(value) => *value = Some(source.scalar(self.table, field.kind)?),
                    None => source.skip()?,
                },
            }
        }
        let number = |value: &Option<Value>| match value {
            Some(Value::Signed(value)) => i128::from(*value),
            _ => 0,
        };
        Ok(match message.form {
            Form::Timestamp | Form::Duration => {
                let [seconds, nanos] = &values;
                Some(Value::Time(number(seconds) * NANOS + number(nanos)))
            }
            Form::Wrapper | Form::Any => {
                let [first, _] = values;
                first.or_else(|| zero(message.fields[0].kind))
            }
            Form::FieldMask => Some(Value::Paths(paths.into_iter().map(text).collect())),
            Form::Fields | Form::Struct | Form::Value | Form::ListValue => None,
        })
    }
}

fn text(value: Value) -> Cow<str> {
    match value {
        Value::Text(text) => text,
        _ => Cow::Borrowed(""),
    }
}
