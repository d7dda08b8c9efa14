//! The combined pass over MessagePack, which checks the structure and the standard rules of a
//! payload together.

use super::plan::{CombinedMessage, CombinedPlans, FieldShape};
use super::scalar;
use super::seen::SeenFields;
use super::test::{Quick, Scalar, WholeKind, has_chars};
use crate::contract::Contract;
use crate::msgpack::head::{MsgpackHead, MsgpackReader};
use crate::msgpack::{Walk, any_key};
use crate::options::Layout;
use crate::rules::judge::named::judge_field;
use crate::rules::judge::source::msgpack::MsgpackSource;
use crate::rules::plan::{MessagePlan, PlanId, Plans};
use crate::scope::Scope;
use crate::table::{FieldKind, Message, Table};
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
        layout: contract.options.layout,
        plans,
        combined,
    };
    let mut reader = MsgpackReader::new(payload);
    pass.message(&mut reader, root, depth).is_some() && reader.left() == 0
}

struct Pass<'a> {
    table: &'a Table,
    walk: Walk<'a, First>,
    layout: Layout,
    plans: &'a Plans,
    combined: &'a CombinedPlans,
}

/// One message that is being read.
struct OpenMessage<'a> {
    plan: &'a MessagePlan,
    combined: &'a CombinedMessage,
    message: &'a Message,
    depth: u32,
    seen: SeenFields,
}

impl<'a> Pass<'a> {
    /// Reads a message without a special form, which is written as a map or an array. Returns
    /// `None` if the message is not known to pass.
    fn message(&self, reader: &mut MsgpackReader, id: PlanId, depth: u32) -> Option<()> {
        let combined = self.combined.get(id)?;
        let plan = self.plans.get(id);
        let mut open = OpenMessage {
            plan,
            combined,
            message: &self.table[plan.message],
            depth,
            seen: SeenFields::default(),
        };
        let head = match reader.short_map() {
            Some(count) => MsgpackHead::Map(count),
            None => reader.head().ok()?,
        };
        match (head, self.layout) {
            (MsgpackHead::Map(count), Layout::Map | Layout::Any) => {
                self.keyed(reader, &mut open, count)?;
            }
            (MsgpackHead::Array(count), Layout::Array | Layout::Any) => {
                self.placed(reader, &mut open, count)?;
            }
            _ => return None,
        }
        open.seen.fits(combined).then_some(())
    }

    /// Reads a message as a map of `left` pairs.
    #[inline]
    fn keyed(
        &self,
        reader: &mut MsgpackReader,
        open: &mut OpenMessage<'a>,
        mut left: usize,
    ) -> Option<()> {
        let members = &*open.message.members;
        let mut place = 0;
        loop {
            let likely = members.get(place..).unwrap_or_default();
            let likely = &likely[..likely.len().min(left)];
            let others = reader.plain_pairs(likely, |index, value| open.plain(index, value));
            let passed = likely.len() - others.len();
            (place, left) = (place + passed, left - passed);
            if left == 0 {
                return Some(());
            }
            let (index, _) = any_key(reader, open.message, place).ok()?;
            let index = index?;
            place = open.message.place_after(index);
            self.value(reader, open, index)?;
            left -= 1;
        }
    }

    /// Reads a message as an array of `count` values in declaration order.
    #[inline]
    fn placed(
        &self,
        reader: &mut MsgpackReader,
        open: &mut OpenMessage<'a>,
        count: usize,
    ) -> Option<()> {
        let mut places = open.message.members.get(..count)?;
        loop {
            places = reader.plain_values(places, |index, value| open.plain(index, value));
            let [member, others @ ..] = places else {
                return Some(());
            };
            places = others;
            self.value(reader, open, member.index)?;
        }
    }

    /// Reads a value that the fast path did not read. Returns `None` if the value is not known to
    /// pass.
    #[inline(never)]
    fn value(
        &self,
        reader: &mut MsgpackReader,
        open: &mut OpenMessage<'a>,
        index: u32,
    ) -> Option<()> {
        let message = open.message;
        let field = &open.combined.fields[index as usize];
        if !open.seen.name(field) {
            return None;
        }
        if let FieldShape::Message(nested) = field.shape
            && !reader.is_nil()
        {
            let depth = open.depth.checked_sub(1)?;
            return match open.seen.set(field, true) {
                true => self.message(reader, nested, depth),
                false => None,
            };
        }
        let source = MsgpackSource::from(reader.clone());
        let scope = Scope {
            message,
            needs: &message.needs,
        };
        if !self.walk.field(reader, scope, index, open.depth).ok()? {
            return Some(());
        }
        let is_set = match field.place {
            Some(place) => {
                let (plan, table_field) = (
                    &open.plan.fields[place as usize],
                    &message.fields[index as usize],
                );
                judge_field::<First, _>(self.table, self.plans, source, plan, table_field).ok()?
            }
            None => true,
        };
        open.seen.set(field, is_set).then_some(())
    }
}

impl OpenMessage<'_> {
    /// Judges a value that the fast path has read. Returns false if the general path must read the
    /// value, or if the value breaks a rule. In the second case, the field is left in `seen`, so
    /// that the general path takes the field for a duplicate and returns `None`.
    #[inline(always)]
    fn plain(&mut self, index: u32, bytes: &[u8]) -> bool {
        let field = &self.combined.fields[index as usize];
        let Some((&marker, rest)) = bytes.split_first() else {
            return false;
        };
        let (is_zero, passes) = match field.quick {
            Quick::Skip => (false, true),
            Quick::Whole { kind, low, span } => {
                let value = match kind {
                    WholeKind::Bool => Some(u64::from(marker == 0xc3)),
                    _ => whole(marker, rest),
                };
                let Some(value) = value else {
                    return false;
                };
                (value == 0, value.wrapping_sub(low) <= span)
            }
            Quick::Double { low, high } => {
                let Ok(bits) = rest.try_into().map(u64::from_be_bytes) else {
                    return false;
                };
                let value = f64::from_bits(bits);
                (bits == 0, low <= value && value <= high)
            }
            Quick::Float { low, high } => {
                let Ok(bits) = rest.try_into().map(u32::from_be_bytes) else {
                    return false;
                };
                let value = f64::from(f32::from_bits(bits));
                (bits == 0, low <= value && value <= high)
            }
            Quick::Chars { low, high } => {
                let text = content(marker, rest);
                (text.is_empty(), has_chars(text, low, high))
            }
            Quick::Bytes { low, high } => {
                let size = content(marker, rest).len();
                (size == 0, low <= size && size <= high)
            }
            Quick::Other => return self.other(index, bytes),
        };
        self.seen.quick(field, is_zero, passes)
    }

    /// Judges a value that the fast path has read, for a field without a [quick form](Quick).
    /// Returns false in the same cases as [`Self::plain`].
    #[inline(never)]
    fn other(&mut self, index: u32, bytes: &[u8]) -> bool {
        let field = &self.combined.fields[index as usize];
        match field.shape {
            // A member of a oneof is left to the general path.
            FieldShape::Scalar(kind, test) if field.oneof == 0 => {
                let value = read(kind, bytes);
                value.is_some_and(|value| {
                    scalar::judge(&mut self.seen, self.plan, field, (kind, test), value)
                })
            }
            _ => false,
        }
    }
}

/// Returns the text or the bytes of a value, without the marker. A length byte after the marker is
/// left out, too.
#[inline(always)]
fn content(marker: u8, rest: &[u8]) -> &[u8] {
    match marker {
        0xa0..=0xbf => rest,
        _ => rest.get(1..).unwrap_or_default(),
    }
}

/// Decodes a scalar that the fast path has read. Returns `None` for enums and messages.
#[inline]
fn read(kind: FieldKind, bytes: &[u8]) -> Option<Scalar<'_>> {
    let (&marker, rest) = bytes.split_first()?;
    Some(match kind {
        FieldKind::String { .. } => Scalar::Text(content(marker, rest)),
        FieldKind::Bytes => Scalar::Bytes(content(marker, rest)),
        FieldKind::Bool => Scalar::Whole((marker == 0xc3).into()),
        FieldKind::Double => Scalar::Real(f64::from_be_bytes(rest.try_into().ok()?)),
        FieldKind::Float => Scalar::Real(f32::from_be_bytes(rest.try_into().ok()?).into()),
        FieldKind::Enum(_) | FieldKind::Message(_) | FieldKind::Group(_) => return None,
        _ => Scalar::Whole(whole(marker, rest)?),
    })
}

/// Returns the whole number that `marker` and `rest` encode, in two's complement, or `None` if they
/// do not encode an integer.
#[inline(always)]
fn whole(marker: u8, rest: &[u8]) -> Option<u64> {
    Some(match marker {
        0x00..=0x7f => marker.into(),
        0xe0..=0xff => marker as i8 as u64,
        0xcc => u8::from_be_bytes(rest.try_into().ok()?).into(),
        0xcd => u16::from_be_bytes(rest.try_into().ok()?).into(),
        0xce => u32::from_be_bytes(rest.try_into().ok()?).into(),
        0xd0 => i8::from_be_bytes(rest.try_into().ok()?) as u64,
        0xd1 => i16::from_be_bytes(rest.try_into().ok()?) as u64,
        0xd2 => i32::from_be_bytes(rest.try_into().ok()?) as u64,
        0xcf | 0xd3 => u64::from_be_bytes(rest.try_into().ok()?),
        _ => return None,
    })
}
