//! The judge of protobuf's wire format.
//!
//! Of several records of a field the last one counts, the records of a message are merged, and a member of a
//! oneof takes the place of another. So what a message holds is noted first, and judged at its end; only the
//! elements of lists, which nothing changes any more, are judged where they are met.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
#[cfg(test)]
use std::cell::Cell;
use std::marker::PhantomData;

use super::{absent, choices, count, field_of, value};
use crate::needs::FieldSet;
use crate::protobuf::wire::{Record, Records, WireReader};
use crate::rules::check::{NANOS, Value};
use crate::rules::plan::{FieldPlan, FieldRules, ListPlan, MapPlan, MessagePlan, Plans, ValuePlan};
use crate::rules::segment::segment;
use crate::rules::unique::Distincts;
use crate::rules::zero::zero;
use crate::table::{Cardinality, Field, FieldKind, Form, Message, Table, wire};
use crate::violation::{Checked, Fault, Gather};

/// Holds `payload` against `plan`.
pub(in crate::rules) fn judge<G: Gather>(
    table: &Table,
    plans: &Plans,
    plan: &MessagePlan,
    payload: &[u8],
) -> Checked<()> {
    let judge = Judge::<G>::new(table, plans);
    judge.message(&[WireReader::new(payload)], plan)
}

struct Judge<'a, G> {
    table: &'a Table,
    plans: &'a Plans,
    faults: PhantomData<G>,
    /// The values and the bytes of groups that were skipped.
    #[cfg(test)]
    steps: Cell<usize>,
}

/// What was met of a field.
#[derive(Default)]
struct Met<'a, 'p> {
    /// The value of the last record.
    last: Option<WireReader<'p>>,
    /// The values of the records before it, of a message or a map.
    earlier: Vec<WireReader<'p>>,
    /// What was met of a group, all records of the field together: only its end tells how long a group is, so it is
    /// read where it begins.
    group: Option<Box<Open<'a, 'p>>>,
    /// How many elements.
    count: usize,
    distinct: Distincts<'p>,
    /// Whether two elements are equal.
    equal: bool,
}

impl<'p> Met<'_, 'p> {
    fn push(&mut self, reader: WireReader<'p>) {
        self.earlier.extend(self.last.replace(reader));
    }

    /// Returns all values in their order.
    fn all(&self) -> impl Iterator<Item = &WireReader<'p>> {
        self.earlier.iter().chain(&self.last)
    }
}

/// What was met of a message.
struct Open<'a, 'p> {
    plan: &'a MessagePlan,
    /// The byte where the message begins.
    at: usize,
    /// By the place of their rules.
    fields: Vec<Met<'a, 'p>>,
    /// By the index of a oneof: the index of its member.
    members: Vec<Option<u32>>,
}

impl<'a> Open<'a, '_> {
    fn new(plan: &'a MessagePlan, at: usize) -> Self {
        let mut fields = Vec::new();
        fields.resize_with(plan.fields.len(), Met::default);
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
        // A group is read to its end; a length tells where another value ends.
        #[cfg(test)]
        self.steps.update(|steps| match kind {
            wire::START_GROUP => steps + reader.at() - start,
            _ => steps + 1,
        });
        Ok(())
    }

    /// Judges the message that these bodies are, one after the other.
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

    /// Judges the group that `reader` is in, to its end.
    fn group(&self, reader: &mut WireReader, plan: &'a MessagePlan) -> Checked<()> {
        let mut open = Open::new(plan, reader.at());
        G::over(|faults| {
            self.records(reader, &mut open, faults)?;
            self.end(&open, faults)
        })
    }

    /// Notes all records to the end of the message or group.
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

    /// Returns the place of the rules of a field, whose value comes next, if there are some. A value that its enum
    /// does not have is an unknown field.
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

    /// Notes a record, and judges the elements of a list.
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
        let met = &mut open.fields[place];
        let checked = match &plan.rules {
            FieldRules::One(rules) => {
                let nested = rules.nested.filter(|_| kind == wire::START_GROUP);
                if let Some(nested) = nested {
                    self.singular_group(reader, self.plans.get(nested), met)
                } else {
                    let value = reader.clone();
                    self.skip(reader, field.number, kind)?;
                    if field.kind.message().is_some() {
                        met.push(body(&value, kind)?);
                    } else {
                        met.last = Some(value);
                    }
                    Ok(())
                }
            }
            FieldRules::Map(_) => {
                met.push(reader.body()?);
                Ok(())
            }
            FieldRules::List(list) => {
                met.last = Some(reader.clone());
                self.elements(reader, kind, (field, list), met)
            }
        };
        match checked {
            Ok(()) => Ok(()),
            Err(fault) => faults.keep(fault.under(&*field.name), || Ok(())),
        }
    }

    /// Notes what a group holds beside what it held before.
    fn singular_group<'p>(
        &self,
        reader: &mut WireReader<'p>,
        plan: &'a MessagePlan,
        met: &mut Met<'a, 'p>,
    ) -> Checked<()> {
        met.last = Some(reader.clone());
        let open = Open::new(plan, reader.at());
        let open = met.group.get_or_insert_with(|| Box::new(open));
        G::over(|faults| self.records(reader, open, faults))
    }

    /// Returns whether a value is of a closed enum that does not have it: to a parser it is an unknown field.
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
        met: &mut Met<'a, 'p>,
    ) -> Checked<()> {
        if kind == field.wire {
            return self.element(reader, field, list, met);
        }
        let mut run = reader.body()?;
        G::over(|faults| {
            while !run.is_empty() {
                if let Err(fault) = self.element(&mut run, field, list, met) {
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
        met: &mut Met<'a, 'p>,
    ) -> Checked<()> {
        let value = reader.clone();
        let index = met.count;
        let nested = list
            .items
            .nested
            .filter(|_| field.wire == wire::START_GROUP);
        let checked = if let Some(nested) = nested {
            met.count += 1;
            self.group(reader, self.plans.get(nested))
        } else {
            self.skip(reader, field.number, field.wire)?;
            if self.is_unknown(field.kind, &value)? {
                return Ok(());
            }
            met.count += 1;
            if list.unique && !met.equal {
                let element = scalar_or_bytes(field.kind, &value)?;
                met.equal = met.distinct.insert(element, index).is_some();
            }
            match field.kind.message() {
                Some(_) => self.value(&[body(&value, field.wire)?], field.kind, &list.items),
                None => self.value(&[value], field.kind, &list.items),
            }
        };
        checked.map_err(|fault| fault.under(format!("[{index}]")))
    }

    /// Judges a value: a message, whose bodies these are, or a scalar, of which there is one.
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

    /// Judges what was met of a message, now that nothing of it is left.
    fn end(&self, open: &Open<'a, '_>, faults: &mut G) -> Checked<()> {
        let message = &self.table[open.plan.message];
        let mut set = FieldSet::default();
        for (place, (plan, met)) in (0u32..).zip(open.plan.fields.iter().zip(&open.fields)) {
            let field = field_of(message, plan);
            let checked = if Self::is_set(plan, field, met)? {
                set.insert(place);
                let checked = self.field(plan, field, met, open.at);
                checked.map_err(|fault| fault.under(&*field.name))
            } else {
                absent::<G>(plan, field, open.at)
            };
            if let Err(fault) = checked {
                faults.keep(fault, || Ok(()))?;
            }
        }
        let mut oneofs = FieldSet::default();
        let members = (0u32..).zip(&open.members);
        for (oneof, _) in members.filter(|(_, member)| member.is_some()) {
            oneofs.insert(oneof);
        }
        choices(open.plan, &set, &oneofs, open.at, faults)
    }

    fn is_set(plan: &FieldPlan, field: &Field, met: &Met) -> Checked<bool> {
        Ok(match (&plan.rules, &met.last) {
            (FieldRules::List(_), _) => met.count > 0,
            (FieldRules::One(_), Some(last)) if plan.implicit => {
                !scalar_or_bytes(field.kind, last)?.is_zero()
            }
            (FieldRules::One(_) | FieldRules::Map(_), last) => last.is_some(),
        })
    }

    /// Judges a field that is set; of a list what is left to judge.
    fn field(&self, plan: &'a FieldPlan, field: &Field, met: &Met, at: usize) -> Checked<()> {
        let at = met.last.as_ref().map_or(at, WireReader::at);
        match &plan.rules {
            FieldRules::One(_) if met.group.is_some() => match &met.group {
                Some(open) => G::over(|faults| self.end(open, faults)),
                None => Ok(()),
            },
            FieldRules::One(rules) => {
                let bodies: Cow<[WireReader]> = match &met.last {
                    Some(last) if met.earlier.is_empty() => std::slice::from_ref(last).into(),
                    _ => met.all().cloned().collect::<Vec<_>>().into(),
                };
                self.value(&bodies, field.kind, rules)
            }
            FieldRules::List(list) => count::<G>(&list.counts, met.count, met.equal, at),
            FieldRules::Map(map) => self.map(map, field, met, at),
        }
    }

    /// Judges a map, of whose pairs with the same key the last one counts.
    fn map(&self, plan: &'a MapPlan, field: &Field, met: &Met, at: usize) -> Checked<()> {
        let entry = field.kind.message().map(|id| &*self.table[id].fields);
        let Some([of_key, of_value]) = entry else {
            return Ok(());
        };
        let mut pairs: Vec<(Value, Vec<WireReader>, &WireReader)> = Vec::new();
        let mut keys = Distincts::default();
        for body in met.all() {
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
                if let Err(fault) = value::<G>(&plan.keys, key, entry.at()) {
                    faults.keep(fault.under(format!("{} (key)", segment(key))), || Ok(()))?;
                }
                if let Err(fault) = self.pair_value(values, of_value, &plan.values, entry) {
                    faults.keep(fault.under(segment(key)), || Ok(()))?;
                }
            }
            Ok(())
        })
    }

    /// Returns the key of a pair and the bodies of its value; none if the value is unknown to its enum.
    fn pair<'p>(
        &self,
        body: &WireReader<'p>,
        of_key: &Field,
        of_value: &Field,
    ) -> Checked<Option<(Value<'p>, Vec<WireReader<'p>>)>> {
        let mut key = None;
        let mut values = Vec::new();
        for record in Records::from(body.clone()) {
            match record.number {
                1 => key = Some(scalar_or_bytes(of_key.kind, &record.value)?),
                2 if self.is_unknown(of_value.kind, &record.value)? => return Ok(None),
                2 if of_value.kind.message().is_some() => {
                    values.push(self::body(&record.value, record.wire)?);
                }
                2 => values = vec![record.value.clone()],
                _ => {}
            }
        }
        let key = key.or_else(|| zero(of_key.kind));
        Ok(key.map(|key| (key, values)))
    }

    /// Judges the value of the pair that `entry` is, whose value is zero or empty if it has none.
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

/// Notes that a field is set, if it is of a oneof: the member before it, if that is another, is not any more.
fn note_member(index: u32, field: &Field, open: &mut Open) {
    let Some(oneof) = field.oneof else { return };
    let Some(member) = open.members.get_mut(oneof as usize) else {
        return;
    };
    let before = member.replace(index);
    if let Some(before) = before.filter(|before| *before != index)
        && let Some(place) = open.plan.place(before)
    {
        open.fields[place] = Met::default();
    }
}

/// Returns the fields of the message that `value` is.
fn body<'p>(value: &WireReader<'p>, kind: u8) -> Checked<WireReader<'p>> {
    let mut value = value.clone();
    if kind == wire::LEN {
        value.body()
    } else {
        Ok(value)
    }
}

/// Returns the value of a scalar.
fn scalar<'p>(kind: FieldKind, value: &WireReader<'p>) -> Checked<Value<'p>> {
    match scalar_or_bytes(kind, value)? {
        Value::Bytes(_) if kind != FieldKind::Bytes => {
            let expected = "a string in UTF-8, for it has rules";
            Err(Fault::new(value.at(), expected, "bytes that are not"))
        }
        value => Ok(value),
    }
}

/// Returns the value of a scalar: of a string that is not UTF-8, its bytes.
fn scalar_or_bytes<'p>(kind: FieldKind, value: &WireReader<'p>) -> Checked<Value<'p>> {
    let mut value = value.clone();
    let zigzag = |value: u64| (value >> 1) as i64 ^ -((value & 1) as i64);
    Ok(match kind {
        FieldKind::Double => Value::Float(f64::from_bits(eight(&mut value)?)),
        FieldKind::Float => Value::Float(f32::from_bits(four(&mut value)?).into()),
        FieldKind::Int32 | FieldKind::Enum(_) => Value::Signed((value.varint()? as i32).into()),
        FieldKind::Int64 => Value::Signed(value.varint()? as i64),
        FieldKind::Uint32 => Value::Unsigned((value.varint()? as u32).into()),
        FieldKind::Uint64 => Value::Unsigned(value.varint()?),
        FieldKind::Sint32 => Value::Signed(zigzag(value.varint()? & u64::from(u32::MAX))),
        FieldKind::Sint64 => Value::Signed(zigzag(value.varint()?)),
        FieldKind::Fixed32 => Value::Unsigned(four(&mut value)?.into()),
        FieldKind::Fixed64 => Value::Unsigned(eight(&mut value)?),
        FieldKind::Sfixed32 => Value::Signed((four(&mut value)? as i32).into()),
        FieldKind::Sfixed64 => Value::Signed(eight(&mut value)? as i64),
        FieldKind::Bool => Value::Bool(value.varint()? != 0),
        FieldKind::String { .. } => {
            let bytes = value.delimited()?;
            match std::str::from_utf8(bytes) {
                Ok(text) => Value::Text(text.into()),
                Err(_) => Value::Bytes(bytes.into()),
            }
        }
        FieldKind::Bytes | FieldKind::Message(_) | FieldKind::Group(_) => {
            Value::Bytes(value.delimited()?.into())
        }
    })
}

fn eight(value: &mut WireReader) -> Checked<u64> {
    let bytes = value.take(8)?.try_into().unwrap_or_default();
    Ok(u64::from_le_bytes(bytes))
}

fn four(value: &mut WireReader) -> Checked<u32> {
    let bytes = value.take(4)?.try_into().unwrap_or_default();
    Ok(u32::from_le_bytes(bytes))
}

/// Returns the value of a message of a well-known type that has rules of its own.
fn known<'p>(message: &Message, bodies: &[WireReader<'p>]) -> Checked<Option<Value<'p>>> {
    let last = |number: u32| {
        let records = bodies.iter().flat_map(|body| Records::from(body.clone()));
        records.filter(|record| record.number == number).last()
    };
    let number = |field: u32| match last(field) {
        Some(record) => record.value.clone().varint(),
        None => Ok(0),
    };
    let text = |record: &Record<'p>| scalar(FieldKind::String { utf8: true }, &record.value);
    Ok(Some(match message.form {
        Form::Timestamp | Form::Duration => {
            let (seconds, nanos) = (number(1)? as i64, number(2)? as i32);
            Value::Time(i128::from(seconds) * NANOS + i128::from(nanos))
        }
        Form::Wrapper => {
            let kind = message.fields[0].kind;
            match last(1) {
                Some(record) => scalar(kind, &record.value)?,
                None => return Ok(zero(kind)),
            }
        }
        Form::Any => match last(1) {
            Some(record) => text(&record)?,
            None => Value::Text("".into()),
        },
        Form::FieldMask => {
            let records = bodies.iter().flat_map(|body| Records::from(body.clone()));
            let mut paths = Vec::new();
            for record in records.filter(|record| record.number == 1) {
                if let Value::Text(path) = text(&record)? {
                    paths.push(path);
                }
            }
            Value::Paths(paths)
        }
        Form::Fields | Form::Struct | Form::Value | Form::ListValue => return Ok(None),
    }))
}
