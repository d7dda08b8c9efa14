//! The combined pass over protobuf's wire format, which checks the structure and the standard rules
//! of a payload together.
//!
//! A field is judged as soon as it is read. If a singular field with rules occurs twice, the
//! payload is left to the judge (`judge/protobuf.rs`), because only the last occurrence counts. A
//! payload with a group that has rules is left to the judge, too.

use super::plan::{CombinedField, CombinedMessage, CombinedPlans, FieldShape, LISTS_MAX};
use super::scalar;
use super::seen::SeenFields;
use super::test::{Quick, Scalar, ValueTest, WholeKind, has_chars};
use crate::contract::Contract;
use crate::options::UnknownFields;
use crate::protobuf::wire::WireReader;
use crate::protobuf::{Walk, plain_message};
use crate::rules::judge::protobuf::{judge_entry, judge_value};
use crate::rules::plan::{FieldRules, MessagePlan, PlanId, Plans};
use crate::rules::unique::Distincts;
use crate::scope::Scope;
use crate::table::{FieldKind, Message, Table, wire};
use crate::violation::First;

/// Returns whether `payload` certainly fits `contract` and keeps the rules of `root`.
pub(super) fn passes(
    contract: &Contract,
    (plans, combined): (&Plans, &CombinedPlans),
    root: PlanId,
    payload: &[u8],
    depth: u32,
) -> bool {
    let pass = Pass {
        table: &contract.table,
        walk: Walk::new(contract),
        reject_unknown: contract.options.unknown_fields == UnknownFields::Reject,
        plans,
        combined,
    };
    pass.message(&mut WireReader::new(payload), root, depth)
}

struct Pass<'a> {
    table: &'a Table,
    walk: Walk<'a, First>,
    reject_unknown: bool,
    plans: &'a Plans,
    combined: &'a CombinedPlans,
}

/// One message that is being read.
struct OpenMessage<'a, 'p> {
    plan: &'a MessagePlan,
    combined: &'a CombinedMessage,
    message: &'a Message,
    depth: u32,
    seen: SeenFields,
    /// The number of elements of each counted list, indexed by [`CombinedField::slot`].
    counts: [u32; LISTS_MAX],
    /// The elements of each list that must not contain equal elements, by the bit of the list's
    /// field.
    distincts: Vec<(u64, Distincts<'p>)>,
}

impl<'a> Pass<'a> {
    /// Reads a message up to the end of `reader`. Returns whether the message certainly passes.
    fn message<'p>(&self, reader: &mut WireReader<'p>, id: PlanId, depth: u32) -> bool {
        let Some(combined) = self.combined.get(id) else {
            return false;
        };
        let plan = self.plans.get(id);
        let message = &self.table[plan.message];
        let mut open = OpenMessage {
            plan,
            combined,
            message,
            depth,
            seen: SeenFields::default(),
            counts: [0; LISTS_MAX],
            distincts: Vec::new(),
        };
        loop {
            let accepted =
                reader.plain_records(&message.plain, self.reject_unknown, |tag, value| {
                    self.plain(&mut open, tag, value)
                });
            if !accepted {
                return false;
            }
            if reader.is_empty() {
                return open.fits();
            }
            if !self.record(reader, &mut open) {
                return false;
            }
        }
    }

    /// Judges a scalar, or a packed run of scalars, that was read by the fast path. Returns false
    /// if the message is not known to pass.
    #[inline(always)]
    fn plain<'p>(&self, open: &mut OpenMessage<'a, 'p>, tag: u8, value: &'p [u8]) -> bool {
        // The fast path takes only known fields, so the look-up finds an index.
        let index = open.combined.by_tag(tag);
        let Some(field) = index.and_then(|index| open.combined.fields.get(index)) else {
            return false;
        };
        let (is_zero, passes) = match field.quick {
            Quick::Skip => return true,
            Quick::Whole { kind, low, span } => {
                let Some(value) = whole(kind, value) else {
                    return false;
                };
                (value == 0, value.wrapping_sub(low) <= span)
            }
            Quick::Double { low, high } => {
                let Ok(bits) = value.try_into().map(u64::from_le_bytes) else {
                    return false;
                };
                let value = f64::from_bits(bits);
                (bits == 0, low <= value && value <= high)
            }
            Quick::Float { low, high } => {
                let Ok(bits) = value.try_into().map(u32::from_le_bytes) else {
                    return false;
                };
                let value = f64::from(f32::from_bits(bits));
                (bits == 0, low <= value && value <= high)
            }
            Quick::Chars { low, high } => {
                let text = value.get(1..).unwrap_or_default();
                (text.is_empty(), has_chars(text, low, high))
            }
            Quick::Bytes { low, high } => {
                let size = value.len().wrapping_sub(1);
                (size == 0, low <= size && size <= high)
            }
            Quick::Other => return self.other(open, index, tag, value),
        };
        open.seen.quick(field, is_zero, passes)
    }

    /// Judges a value that the fast path has read, for a field without a [quick form](Quick).
    /// Returns false if the message is not known to pass.
    #[inline(never)]
    fn other<'p>(
        &self,
        open: &mut OpenMessage<'a, 'p>,
        index: Option<usize>,
        tag: u8,
        value: &'p [u8],
    ) -> bool {
        let Some(index) = index else { return false };
        let field = &open.combined.fields[index];
        let is_delimited = tag & 7 == wire::LEN;
        let value = value.get(usize::from(is_delimited)..).unwrap_or_default();
        match field.shape {
            FieldShape::Scalar(kind, test) => self.scalar(open, field, (kind, test), value),
            FieldShape::Unruled => open.seen.set(field, true),
            _ => self.elements(open, index as u32, field, is_delimited, value),
        }
    }

    /// Judges a scalar of a singular field. Returns whether the scalar certainly passes.
    #[inline]
    fn scalar(
        &self,
        open: &mut OpenMessage<'a, '_>,
        field: &CombinedField,
        (kind, test): (FieldKind, ValueTest),
        bytes: &[u8],
    ) -> bool {
        let Some(value) = self.read(kind, bytes) else {
            return false;
        };
        scalar::judge(&mut open.seen, open.plan, field, (kind, test), value)
    }

    /// Judges the scalars of one record of a list. Returns whether all scalars certainly pass.
    #[inline(never)]
    fn elements<'p>(
        &self,
        open: &mut OpenMessage<'a, 'p>,
        index: u32,
        field: &CombinedField,
        is_delimited: bool,
        bytes: &'p [u8],
    ) -> bool {
        let FieldShape::Scalars(kind, test) = field.shape else {
            return false;
        };
        let wire = open.message.fields[index as usize].wire;
        if wire == wire::LEN || !is_delimited {
            return self.element(open, field, (kind, test), bytes);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let size = match wire {
                wire::I64 => 8,
                wire::I32 => 4,
                _ => rest.iter().take_while(|byte| **byte >= 0x80).count() + 1,
            };
            let Some((element, others)) = rest.split_at_checked(size) else {
                return false;
            };
            if !self.element(open, field, (kind, test), element) {
                return false;
            }
            rest = others;
        }
        true
    }

    #[inline]
    fn element<'p>(
        &self,
        open: &mut OpenMessage<'a, 'p>,
        field: &CombinedField,
        (kind, test): (FieldKind, ValueTest),
        bytes: &'p [u8],
    ) -> bool {
        let Some(value) = self.read(kind, bytes) else {
            return false;
        };
        open.count(field);
        value.passes(test, kind, scalar::rules(open.plan, field))
            && (!field.unique || open.is_new(field, kind, value))
    }

    /// Returns the value of a scalar whose size was checked. Returns `None` for a number that its
    /// closed enum does not define, for a string that is not UTF-8, and for a message.
    #[inline]
    fn read<'p>(&self, kind: FieldKind, bytes: &'p [u8]) -> Option<Scalar<'p>> {
        let whole = |kind| whole(kind, bytes).map(Scalar::Whole);
        Some(match kind {
            FieldKind::Int64 | FieldKind::Uint64 => whole(WholeKind::Int64)?,
            FieldKind::Int32 => whole(WholeKind::Int32)?,
            FieldKind::Uint32 => whole(WholeKind::Uint32)?,
            FieldKind::Sint32 => whole(WholeKind::Sint32)?,
            FieldKind::Sint64 => whole(WholeKind::Sint64)?,
            FieldKind::Bool => whole(WholeKind::Bool)?,
            FieldKind::Fixed32 => whole(WholeKind::Fixed32)?,
            FieldKind::Sfixed32 => whole(WholeKind::Sfixed32)?,
            FieldKind::Fixed64 | FieldKind::Sfixed64 => whole(WholeKind::Fixed64)?,
            FieldKind::Float => Scalar::Real(f32::from_le_bytes(bytes.try_into().ok()?).into()),
            FieldKind::Double => Scalar::Real(f64::from_le_bytes(bytes.try_into().ok()?)),
            FieldKind::String { utf8: true } => Scalar::Text(bytes),
            // The walk accepts this string even if it is not UTF-8. Rules accept only UTF-8.
            FieldKind::String { utf8: false } => {
                crate::text::utf8(bytes).ok()?;
                Scalar::Text(bytes)
            }
            FieldKind::Bytes => Scalar::Bytes(bytes),
            FieldKind::Enum(id) => {
                let number = varint(bytes) as i32;
                let known = &self.table[id];
                if known.closed && !known.knows(number) {
                    return None;
                }
                Scalar::Whole(number as u64)
            }
            FieldKind::Message(_) | FieldKind::Group(_) => return None,
        })
    }

    /// Reads a record that the fast path did not read. Returns false if the message is not known to
    /// pass.
    #[inline(never)]
    fn record<'p>(&self, reader: &mut WireReader<'p>, open: &mut OpenMessage<'a, 'p>) -> bool {
        if let Some((index, _, mut body)) = plain_message(open.message, reader)
            && let Some(nested) = open.nested(index)
        {
            reader.leave(&body);
            return self.nested(&mut body, nested, index, open);
        }
        let at = reader.at();
        let Ok((number, wire)) = reader.tag() else {
            return false;
        };
        let Some(index) = open.message.by_number(number) else {
            let skipped = wire != wire::END_GROUP
                && !self.reject_unknown
                && reader.skip(number, wire, open.depth).is_ok();
            return skipped;
        };
        if let (Some(nested), wire::LEN) = (open.nested(index), wire) {
            let body = reader.body();
            return body.is_ok_and(|mut body| self.nested(&mut body, nested, index, open));
        }
        let value = reader.clone();
        let scope = Scope {
            message: open.message,
            needs: &open.message.needs,
        };
        let walked = self.walk.field(reader, scope, index, wire, at, open.depth);
        walked.is_ok() && self.value(open, index, wire, &value, reader.at())
    }

    /// Reads a message that has rules. Returns whether the message certainly passes.
    #[inline]
    fn nested(
        &self,
        body: &mut WireReader,
        nested: PlanId,
        index: u32,
        open: &mut OpenMessage<'a, '_>,
    ) -> bool {
        let field = &open.combined.fields[index as usize];
        let Some(depth) = open.depth.checked_sub(1) else {
            return false;
        };
        let accepted = match field.shape {
            FieldShape::Messages(_) => {
                open.count(field);
                true
            }
            _ => open.seen.name(field) && open.seen.set(field, true),
        };
        accepted && self.message(body, nested, depth)
    }

    /// Judges the bytes from the position of `value` up to `end`. The walk has accepted them as the
    /// value of field `index`.
    fn value<'p>(
        &self,
        open: &mut OpenMessage<'a, 'p>,
        index: u32,
        wire: u8,
        value: &WireReader<'p>,
        end: usize,
    ) -> bool {
        let field = &open.combined.fields[index as usize];
        let mut inside = value.clone();
        let content = if wire == wire::LEN {
            inside.delimited().unwrap_or_default()
        } else {
            value.rewound(end).since(value.at())
        };
        match field.shape {
            FieldShape::Scalar(kind, test) => self.scalar(open, field, (kind, test), content),
            FieldShape::Scalars(..) => {
                self.elements(open, index, field, wire == wire::LEN, content)
            }
            // The value has no rules, so the field is allowed to occur several times.
            FieldShape::Unruled => open.seen.set(field, true),
            FieldShape::Judged => self.judged(open, index, value, wire),
            FieldShape::Entries => self.entry(open, index, value, wire),
            FieldShape::Message(_) | FieldShape::Messages(_) => false,
        }
    }

    /// Judges an entry of a map. Returns whether the entry certainly passes.
    fn entry(
        &self,
        open: &mut OpenMessage<'a, '_>,
        index: u32,
        value: &WireReader,
        wire: u8,
    ) -> bool {
        let ((combined, Some(FieldRules::Map(rules))), wire::LEN) = (open.ruled(index), wire)
        else {
            return false;
        };
        let Ok(entry) = value.clone().body() else {
            return false;
        };
        open.count(combined);
        let field = &open.message.fields[index as usize];
        judge_entry::<First>(self.table, self.plans, &entry, field, rules).unwrap_or(false)
    }

    /// Judges a message of a well-known type, to which standard rules apply. Returns whether the
    /// message certainly passes.
    fn judged(
        &self,
        open: &mut OpenMessage<'a, '_>,
        index: u32,
        value: &WireReader,
        wire: u8,
    ) -> bool {
        let ((field, Some(FieldRules::One(rules))), wire::LEN) = (open.ruled(index), wire) else {
            return false;
        };
        let Ok(body) = value.clone().body() else {
            return false;
        };
        let kind = open.message.fields[index as usize].kind;
        open.seen.name(field)
            && open.seen.set(field, true)
            && judge_value::<First>(self.table, self.plans, body, kind, rules).is_ok()
    }
}

impl<'a, 'p> OpenMessage<'a, 'p> {
    /// Returns the field of this index, and the rules of the field if it has rules.
    #[inline]
    fn ruled(&self, index: u32) -> (&'a CombinedField, Option<&'a FieldRules>) {
        let plan = self.plan;
        let field = &self.combined.fields[index as usize];
        let rules = field.place.map(|place| &plan.fields[place as usize].rules);
        (field, rules)
    }

    /// Returns the index of the rules of the messages in a field, if the pass reads these messages.
    #[inline]
    fn nested(&self, index: u32) -> Option<PlanId> {
        match self.combined.fields[index as usize].shape {
            FieldShape::Message(nested) | FieldShape::Messages(nested) => Some(nested),
            _ => None,
        }
    }

    /// Counts an element of a list or map, and records the field as set.
    #[inline]
    fn count(&mut self, field: &CombinedField) {
        self.seen.set(field, true);
        if let Some(count) = field
            .slot
            .and_then(|slot| self.counts.get_mut(usize::from(slot)))
        {
            *count += 1;
        }
    }

    /// Adds an element to the elements of its list. Returns false if an equal element was added
    /// before, or if the element is a string that is not UTF-8.
    #[inline(never)]
    fn is_new(&mut self, field: &CombinedField, kind: FieldKind, element: Scalar<'p>) -> bool {
        let place = self.distincts.iter().position(|(bit, _)| *bit == field.bit);
        let place = place.unwrap_or_else(|| {
            self.distincts.push((field.bit, Distincts::default()));
            self.distincts.len() - 1
        });
        let (_, elements) = &mut self.distincts[place];
        let element = element.judged(kind);
        element.is_some_and(|element| elements.insert(element, 0).is_none())
    }

    /// Returns whether the message keeps the rules on the presence of fields and on element counts.
    #[inline]
    fn fits(&self) -> bool {
        let mut lists = self.combined.lists.iter().zip(&self.counts);
        let counted = lists.all(|(list, count)| {
            *count == 0 || u64::from(*count).wrapping_sub(list.least) <= list.span
        });
        counted && self.seen.fits(self.combined)
    }
}

/// Returns the whole number encoded in `bytes`, in 64 bits of two's complement. Returns `None` if
/// `kind` has a fixed size and `bytes` have another size.
#[inline(always)]
pub(in crate::rules) fn whole(kind: WholeKind, bytes: &[u8]) -> Option<u64> {
    let zigzag = |value: u64| value >> 1 ^ (value & 1).wrapping_neg();
    Some(match kind {
        WholeKind::Int32 => varint(bytes) as i32 as u64,
        WholeKind::Int64 => varint(bytes),
        WholeKind::Uint32 => u64::from(varint(bytes) as u32),
        WholeKind::Sint32 => zigzag(varint(bytes) & u64::from(u32::MAX)),
        WholeKind::Sint64 => zigzag(varint(bytes)),
        WholeKind::Bool => (varint(bytes) != 0).into(),
        WholeKind::Fixed32 => u32::from_le_bytes(bytes.try_into().ok()?).into(),
        WholeKind::Sfixed32 => i32::from_le_bytes(bytes.try_into().ok()?) as u64,
        WholeKind::Fixed64 => u64::from_le_bytes(bytes.try_into().ok()?),
    })
}

/// Returns the value of the varint in `bytes`.
#[inline(always)]
fn varint(bytes: &[u8]) -> u64 {
    match *bytes {
        [low] => u64::from(low),
        [low, high] => u64::from(low & 0x7f) | u64::from(high) << 7,
        _ => {
            let from_last = bytes.iter().rev();
            from_last.fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
        }
    }
}
