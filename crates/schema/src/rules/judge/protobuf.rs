//! The judge of protobuf's wire format.
//!
//! If a singular field occurs several times, the last record counts. The records of a message field
//! are merged, and a member of a oneof replaces the member that was set before it. The contents of
//! a message are therefore collected first and judged at its end. Only the elements of lists are
//! judged as soon as they are read, because no later record changes them.

mod scalars;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
#[cfg(test)]
use std::cell::Cell;
use std::marker::PhantomData;

use super::{absent, choices, count, field_of, value};
use crate::needs::IndexSet;
use crate::protobuf::wire::{Records, WireReader};
use crate::rules::check::Value;
use crate::rules::plan::{FieldPlan, FieldRules, ListPlan, MapPlan, MessagePlan, Plans, ValuePlan};
use crate::rules::segment::segment;
use crate::rules::unique::Distincts;
use crate::rules::zero::zero;
use crate::table::{Cardinality, Field, FieldKind, Table, wire};
use crate::violation::{Checked, Gather};
use scalars::{body, known};
pub(in crate::rules) use scalars::{not_utf8, scalar, scalar_or_bytes};

/// Checks `payload` against `plan`.
pub(in crate::rules) fn judge<G: Gather>(
    table: &Table,
    plans: &Plans,
    plan: &MessagePlan,
    payload: &[u8],
) -> Checked<()> {
    let judge = Judge::<G>::new(table, plans);
    judge.message(&[WireReader::new(payload)], plan)
}

/// Checks the message of type `kind` in `body` against `plan`.
pub(in crate::rules) fn judge_value<G: Gather>(
    table: &Table,
    plans: &Plans,
    body: WireReader,
    kind: FieldKind,
    plan: &ValuePlan,
) -> Checked<()> {
    Judge::<G>::new(table, plans).value(&[body], kind, plan)
}

/// Checks one entry of a map against the rules of its keys and values, regardless of other entries.
///
/// Returns false if `field` is not a map. Also returns false if the value is a number that its
/// closed enum does not define, because such an entry counts as an unknown field.
pub(in crate::rules) fn judge_entry<G: Gather>(
    table: &Table,
    plans: &Plans,
    entry: &WireReader,
    field: &Field,
    plan: &MapPlan,
) -> Checked<bool> {
    let types = field.kind.message().map(|id| &*table[id].fields);
    let Some([of_key, of_value]) = types else {
        return Ok(false);
    };
    let judge = Judge::<G>::new(table, plans);
    let Some((key, values)) = judge.pair(entry, of_key, of_value)? else {
        return Ok(false);
    };
    judge_key::<G>(&plan.keys, &key, entry.at())?;
    judge.pair_value(&values, of_value, &plan.values, entry)?;
    Ok(true)
}

/// Checks the key of the entry at `at`. The caller passes a string that is not UTF-8 as
/// [`Value::Bytes`]. Such a key is a violation if keys have rules.
fn judge_key<G: Gather>(plan: &ValuePlan, key: &Value, at: usize) -> Checked<()> {
    match key {
        Value::Bytes(_) if !plan.checks.is_empty() => Err(not_utf8(at, "a string")),
        key => value::<G>(plan, key, at),
    }
}

struct Judge<'a, G> {
    table: &'a Table,
    plans: &'a Plans,
    faults: PhantomData<G>,
    /// The number of skipped values. A skipped group counts once for each of its bytes.
    #[cfg(test)]
    steps: Cell<usize>,
}

/// The records of a field that were read so far.
#[derive(Default)]
struct FieldRecords<'a, 'p> {
    /// The value of the last record.
    last: Option<WireReader<'p>>,
    /// The values of the earlier records, for a message field or a map.
    earlier: Vec<WireReader<'p>>,
    /// The contents of a group, merged from all records of the field. The length of a group is only
    /// known at its end, so the contents are collected immediately.
    group: Option<Box<Open<'a, 'p>>>,
    /// The number of elements.
    count: usize,
    distinct: Distincts<'p>,
    /// True if two elements are equal.
    equal: bool,
}

impl<'p> FieldRecords<'_, 'p> {
    fn push(&mut self, reader: WireReader<'p>) {
        self.earlier.extend(self.last.replace(reader));
    }

    /// Returns all values in the order of their records.
    fn all(&self) -> impl Iterator<Item = &WireReader<'p>> {
        self.earlier.iter().chain(&self.last)
    }
}

/// The records of a message that were read so far.
struct Open<'a, 'p> {
    plan: &'a MessagePlan,
    /// The byte where the message begins.
    at: usize,
    /// The records of each field, by the index of its rules.
    fields: Vec<FieldRecords<'a, 'p>>,
    /// The index of the member that is set in each oneof, by the index of the oneof.
    members: Vec<Option<u32>>,
}

impl<'a> Open<'a, '_> {
    fn new(plan: &'a MessagePlan, at: usize) -> Self {
        let mut fields = Vec::new();
        fields.resize_with(plan.fields.len(), FieldRecords::default);
        let members = vec![None; plan.oneof_count];
        Self {
            plan,
            at,
            fields,
            members,
        }
    }
}

impl<'a, G: Gather> Judge<'a, G> {
    fn new(table: &'a Table, plans: &'a Plans) -> Self {
        Self {
            table,
            plans,
            faults: PhantomData,
            #[cfg(test)]
            steps: Cell::default(),
        }
    }

    /// Skips the value of a record.
    fn skip(&self, reader: &mut WireReader, number: u32, kind: u8) -> Checked<()> {
        #[cfg(test)]
        let start = reader.at();
        reader.skip(number, kind, u32::MAX)?;
        // Skipping a group reads all of its bytes, whereas any other value is skipped in one step.
        #[cfg(test)]
        self.steps.update(|steps| match kind {
            wire::START_GROUP => steps + reader.at() - start,
            _ => steps + 1,
        });
        Ok(())
    }

    /// Judges the message whose contents are `bodies`, merged in order.
    fn message(&self, bodies: &[WireReader], plan: &'a MessagePlan) -> Checked<()> {
        let at = bodies.last().map_or(0, WireReader::at);
        let mut open = Open::new(plan, at);
        G::over(|faults| {
            for body in bodies {
                self.records(&mut body.clone(), &mut open, faults)?;
            }
            self.end(&open, faults)
        })
    }

    /// Reads the rest of the group that `reader` is in, and judges the group.
    fn group(&self, reader: &mut WireReader, plan: &'a MessagePlan) -> Checked<()> {
        let mut open = Open::new(plan, reader.at());
        G::over(|faults| {
            self.records(reader, &mut open, faults)?;
            self.end(&open, faults)
        })
    }

    /// Collects all records up to the end of the message or group, and judges the elements of
    /// lists.
    fn records<'p>(
        &self,
        reader: &mut WireReader<'p>,
        open: &mut Open<'a, 'p>,
        faults: &mut G,
    ) -> Checked<()> {
        while !reader.is_empty() {
            let (number, kind) = reader.tag()?;
            if kind == wire::END_GROUP {
                break;
            }
            match self.place(number, reader, open)? {
                Some(place) => self.record(reader, kind, place, open, faults)?,
                None => self.skip(reader, number, kind)?,
            }
        }
        Ok(())
    }

    /// Returns the index of the rules of the field with this number, or `None` if there is no such
    /// field or the field has no rules. If the field belongs to a oneof, also records the field as
    /// the member that is set.
    ///
    /// If the type of a singular field is a closed enum that does not define `value`, the field
    /// counts as unknown. For such a field, records nothing and returns `None`.
    fn place(
        &self,
        number: u32,
        value: &WireReader,
        open: &mut Open<'a, '_>,
    ) -> Checked<Option<usize>> {
        let message = &self.table[open.plan.message];
        let Some(index) = message.by_number(number) else {
            return Ok(None);
        };
        let field = &message.fields[index as usize];
        let singular = field.cardinality == Cardinality::Singular;
        if singular && self.is_unknown(field.kind, value)? {
            return Ok(None);
        }
        note_member(index, field, open);
        Ok(open.plan.place(index))
    }

    /// Collects a record. The elements of a list are judged immediately.
    fn record<'p>(
        &self,
        reader: &mut WireReader<'p>,
        kind: u8,
        place: usize,
        open: &mut Open<'a, 'p>,
        faults: &mut G,
    ) -> Checked<()> {
        let plan = &open.plan.fields[place];
        let field = field_of(&self.table[open.plan.message], plan);
        let records = &mut open.fields[place];
        let checked = match &plan.rules {
            FieldRules::One(rules) => {
                let nested = rules.nested.filter(|_| kind == wire::START_GROUP);
                if let Some(nested) = nested {
                    self.singular_group(reader, self.plans.get(nested), records)
                } else {
                    let value = reader.clone();
                    self.skip(reader, field.number, kind)?;
                    if field.kind.message().is_some() {
                        records.push(body(&value, kind)?);
                    } else {
                        records.last = Some(value);
                    }
                    Ok(())
                }
            }
            FieldRules::Map(_) => {
                records.push(reader.body()?);
                Ok(())
            }
            FieldRules::List(list) => {
                records.last = Some(reader.clone());
                self.elements(reader, kind, (field, list), records)
            }
        };
        match checked {
            Ok(()) => Ok(()),
            Err(fault) => faults.keep(fault.under(&*field.name), || Ok(())),
        }
    }

    /// Adds the records of a group to the records of earlier groups of the same field.
    fn singular_group<'p>(
        &self,
        reader: &mut WireReader<'p>,
        plan: &'a MessagePlan,
        records: &mut FieldRecords<'a, 'p>,
    ) -> Checked<()> {
        records.last = Some(reader.clone());
        let open = Open::new(plan, reader.at());
        let open = records.group.get_or_insert_with(|| Box::new(open));
        G::over(|faults| self.records(reader, open, faults))
    }

    /// Returns whether `value` is a number that its closed enum does not define. A parser treats
    /// such a value as an unknown field.
    fn is_unknown(&self, kind: FieldKind, value: &WireReader) -> Checked<bool> {
        let FieldKind::Enum(id) = kind else {
            return Ok(false);
        };
        let known = &self.table[id];
        Ok(known.closed && !known.knows(value.clone().varint()? as i32))
    }

    /// Judges the elements of one record of a list.
    fn elements<'p>(
        &self,
        reader: &mut WireReader<'p>,
        kind: u8,
        (field, list): (&Field, &'a ListPlan),
        records: &mut FieldRecords<'a, 'p>,
    ) -> Checked<()> {
        if kind == field.wire {
            return self.element(reader, field, list, records);
        }
        let mut run = reader.body()?;
        G::over(|faults| {
            while !run.is_empty() {
                if let Err(fault) = self.element(&mut run, field, list, records) {
                    faults.keep(fault, || Ok(()))?;
                }
            }
            Ok(())
        })
    }

    /// Judges the element that `reader` reads next.
    fn element<'p>(
        &self,
        reader: &mut WireReader<'p>,
        field: &Field,
        list: &'a ListPlan,
        records: &mut FieldRecords<'a, 'p>,
    ) -> Checked<()> {
        let value = reader.clone();
        let index = records.count;
        let nested = list
            .items
            .nested
            .filter(|_| field.wire == wire::START_GROUP);
        let checked = if let Some(nested) = nested {
            records.count += 1;
            self.group(reader, self.plans.get(nested))
        } else {
            self.skip(reader, field.number, field.wire)?;
            if self.is_unknown(field.kind, &value)? {
                return Ok(());
            }
            records.count += 1;
            if list.unique && !records.equal {
                let element = scalar_or_bytes(field.kind, &value)?;
                records.equal = records.distinct.insert(element, index).is_some();
            }
            match field.kind.message() {
                Some(_) => self.value(&[body(&value, field.wire)?], field.kind, &list.items),
                None => self.value(&[value], field.kind, &list.items),
            }
        };
        checked.map_err(|fault| fault.under(format!("[{index}]")))
    }

    /// Judges a value. A message consists of all `bodies`, whereas a scalar is the last of
    /// `bodies`.
    fn value(&self, bodies: &[WireReader], kind: FieldKind, plan: &'a ValuePlan) -> Checked<()> {
        let Some(last) = bodies.last() else {
            return Ok(());
        };
        G::over(|faults| {
            if !plan.checks.is_empty() {
                let judged = match kind.message() {
                    Some(id) => known(&self.table[id], bodies)?,
                    None => Some(scalar(kind, last)?),
                };
                if let Some(judged) = judged
                    && let Err(fault) = value::<G>(plan, &judged, last.at())
                {
                    faults.keep(fault, || Ok(()))?;
                }
            }
            if let Some(nested) = plan.nested
                && let Err(fault) = self.message(bodies, self.plans.get(nested))
            {
                faults.keep(fault, || Ok(()))?;
            }
            Ok(())
        })
    }

    /// Judges the collected records of a message after the last of them was read.
    fn end(&self, open: &Open<'a, '_>, faults: &mut G) -> Checked<()> {
        let message = &self.table[open.plan.message];
        let mut set = IndexSet::default();
        for (place, (plan, records)) in (0u32..).zip(open.plan.fields.iter().zip(&open.fields)) {
            let field = field_of(message, plan);
            let checked = if Self::is_set(plan, field, records)? {
                set.insert(place);
                let checked = self.field(plan, field, records, open.at);
                checked.map_err(|fault| fault.under(&*field.name))
            } else {
                absent::<G>(plan, field, open.at)
            };
            if let Err(fault) = checked {
                faults.keep(fault, || Ok(()))?;
            }
        }
        let mut oneofs = IndexSet::default();
        let members = (0u32..).zip(&open.members);
        for (oneof, _) in members.filter(|(_, member)| member.is_some()) {
            oneofs.insert(oneof);
        }
        choices(open.plan, &set, &oneofs, open.at, faults)
    }

    fn is_set(plan: &FieldPlan, field: &Field, records: &FieldRecords) -> Checked<bool> {
        Ok(match (&plan.rules, &records.last) {
            (FieldRules::List(_), _) => records.count > 0,
            (FieldRules::One(_), Some(last)) if plan.implicit => {
                !scalar_or_bytes(field.kind, last)?.is_zero()
            }
            (FieldRules::One(_) | FieldRules::Map(_), last) => last.is_some(),
        })
    }

    /// Judges a field that is set. For a list, only the number and the uniqueness of its elements
    /// remain to be judged.
    fn field(
        &self,
        plan: &'a FieldPlan,
        field: &Field,
        records: &FieldRecords,
        at: usize,
    ) -> Checked<()> {
        let at = records.last.as_ref().map_or(at, WireReader::at);
        match &plan.rules {
            FieldRules::One(_) if records.group.is_some() => match &records.group {
                Some(open) => G::over(|faults| self.end(open, faults)),
                None => Ok(()),
            },
            FieldRules::One(rules) => {
                let bodies: Cow<[WireReader]> = match &records.last {
                    Some(last) if records.earlier.is_empty() => std::slice::from_ref(last).into(),
                    _ => records.all().cloned().collect::<Vec<_>>().into(),
                };
                self.value(&bodies, field.kind, rules)
            }
            FieldRules::List(list) => count::<G>(&list.counts, records.count, records.equal, at),
            FieldRules::Map(map) => self.map(map, field, records, at),
        }
    }

    /// Judges a map. If several pairs have the same key, the last of them counts.
    fn map(
        &self,
        plan: &'a MapPlan,
        field: &Field,
        records: &FieldRecords,
        at: usize,
    ) -> Checked<()> {
        let entry = field.kind.message().map(|id| &*self.table[id].fields);
        let Some([of_key, of_value]) = entry else {
            return Ok(());
        };
        let mut pairs: Vec<(Value, Vec<WireReader>, &WireReader)> = Vec::new();
        let mut keys = Distincts::default();
        for body in records.all() {
            let Some((key, values)) = self.pair(body, of_key, of_value)? else {
                continue;
            };
            let pair = (key.clone(), values, body);
            match keys.insert(key, pairs.len()) {
                Some(before) => pairs[before] = pair,
                None => pairs.push(pair),
            }
        }
        G::over(|faults| {
            if let Err(fault) = count::<G>(&plan.counts, pairs.len(), false, at) {
                faults.keep(fault, || Ok(()))?;
            }
            for (key, values, entry) in &pairs {
                if let Err(fault) = judge_key::<G>(&plan.keys, key, entry.at()) {
                    faults.keep(fault.under(format!("{} (key)", segment(key))), || Ok(()))?;
                }
                if let Err(fault) = self.pair_value(values, of_value, &plan.values, entry) {
                    faults.keep(fault.under(segment(key)), || Ok(()))?;
                }
            }
            Ok(())
        })
    }

    /// Returns the key of a pair and the bodies of its value. Returns `None` if the value is a
    /// number that its closed enum does not define.
    fn pair<'p>(
        &self,
        entry: &WireReader<'p>,
        of_key: &Field,
        of_value: &Field,
    ) -> Checked<Option<(Value<'p>, Vec<WireReader<'p>>)>> {
        let mut key = None;
        let mut values = Vec::new();
        for record in Records::from(entry.clone()) {
            match record.number {
                1 => key = Some(scalar_or_bytes(of_key.kind, &record.value)?),
                2 if self.is_unknown(of_value.kind, &record.value)? => return Ok(None),
                2 if of_value.kind.message().is_some() => {
                    values.push(body(&record.value, record.wire)?);
                }
                2 => values = vec![record.value.clone()],
                _ => {}
            }
        }
        let key = key.or_else(|| zero(of_key.kind));
        Ok(key.map(|key| (key, values)))
    }

    /// Judges the value of the pair `entry`. If `bodies` is empty, the value is zero or an empty
    /// message.
    fn pair_value(
        &self,
        bodies: &[WireReader],
        field: &Field,
        plan: &'a ValuePlan,
        entry: &WireReader,
    ) -> Checked<()> {
        match zero(field.kind) {
            Some(zero) if bodies.is_empty() => value::<G>(plan, &zero, entry.at()),
            None if bodies.is_empty() => self.value(&[entry.at_end()], field.kind, plan),
            _ => self.value(bodies, field.kind, plan),
        }
    }
}

/// If a field belongs to a oneof, records that the field is the member that is set. Drops the
/// records of the member that was set before.
fn note_member(index: u32, field: &Field, open: &mut Open) {
    let Some(oneof) = field.oneof else { return };
    let Some(member) = open.members.get_mut(oneof as usize) else {
        return;
    };
    let before = member.replace(index);
    if let Some(before) = before.filter(|before| *before != index)
        && let Some(place) = open.plan.place(before)
    {
        open.fields[place] = FieldRecords::default();
    }
}
