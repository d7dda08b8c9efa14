//! The combined pass over JSON, which checks the structure and the standard rules of a payload
//! together.

use super::plan::{CombinedMessage, CombinedPlans, FieldShape};
use super::scalar;
use super::seen::SeenFields;
use super::test::{Quick, Scalar, ValueTest, WholeKind};
use crate::contract::Contract;
use crate::json::Walk;
use crate::json::head::{JsonHead, JsonReader};
use crate::json::number::Number;
use crate::json::plain::Next;
use crate::rules::judge::named::judge_field;
use crate::rules::judge::source::json::JsonSource;
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
        plans,
        combined,
    };
    let mut reader = JsonReader::new(payload);
    pass.message(&mut reader, root, depth).is_some() && reader.end().is_ok()
}

struct Pass<'a> {
    table: &'a Table,
    walk: Walk<'a, First>,
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
    /// The position, in declaration order, of the field that probably comes next.
    place: usize,
}

impl<'a> Pass<'a> {
    /// Reads a message that is written field by field. Returns `None` if the message is not known
    /// to pass.
    fn message(&self, reader: &mut JsonReader, id: PlanId, depth: u32) -> Option<()> {
        let combined = self.combined.get(id)?;
        let plan = self.plans.get(id);
        let Ok(JsonHead::Object) = reader.opening() else {
            return None;
        };
        let mut open = OpenMessage {
            plan,
            combined,
            message: &self.table[plan.message],
            depth,
            seen: SeenFields::default(),
            place: 0,
        };
        let mut more = reader.opened(b'}');
        while more {
            let left = open.message.members.get(open.place..).unwrap_or_default();
            let (others, next) =
                reader.plain_members(left, |index, value| open.plain(index, value));
            open.place += left.len() - others.len();
            if let Next::End = next {
                break;
            }
            self.member(reader, &mut open)?;
            more = reader.another(b'}').ok()?;
        }
        open.seen.fits(combined).then_some(())
    }

    /// Reads a member that the fast path did not read. Returns `None` if the member is not known to
    /// pass.
    #[inline(never)]
    fn member(&self, reader: &mut JsonReader, open: &mut OpenMessage<'a>) -> Option<()> {
        let message = open.message;
        reader.token();
        let next = message.members.get(open.place);
        let index = match next.filter(|member| reader.expected(member)) {
            Some(member) => member.index,
            None => {
                let key = reader.key().ok()?;
                let declared = |name| message.declared_as(open.place, name);
                let index = key.plain().and_then(declared);
                index.or_else(|| message.by_name(&key.decoded()))?
            }
        };
        open.place = message.place_after(index);
        let field = &open.combined.fields[index as usize];
        if let FieldShape::Scalar(kind, test) = field.shape {
            let start = reader.token();
            if field.oneof == 0 && reader.plain(kind) {
                return open.scalar(index, (kind, test), reader.since(start));
            }
        }
        if !open.seen.name(field) {
            return None;
        }
        if let FieldShape::Message(nested) = field.shape
            && reader.next() == Some(b'{')
        {
            let depth = open.depth.checked_sub(1)?;
            return match open.seen.set(field, true) {
                true => self.message(reader, nested, depth),
                false => None,
            };
        }
        let source = JsonSource::from(reader.clone());
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
    /// value, or if the value breaks a rule. In the second case, `seen` contains the field already.
    /// The general path then takes the field for a duplicate and returns `None`.
    #[inline(always)]
    fn plain(&mut self, index: u32, value: &[u8]) -> bool {
        let field = &self.combined.fields[index as usize];
        let (is_zero, passes) = match field.quick {
            Quick::Skip => (false, true),
            Quick::Whole { kind, low, span } => {
                let value = match kind {
                    WholeKind::Bool => (value.first() == Some(&b't')).into(),
                    _ => signed(value),
                };
                (value == 0, value.wrapping_sub(low) <= span)
            }
            Quick::Double { low, high } => {
                let value = decimal(value);
                (value.to_bits() == 0, low <= value && value <= high)
            }
            Quick::Float { low, high } => {
                let value = f64::from(decimal(value) as f32);
                (value.to_bits() == 0, low <= value && value <= high)
            }
            // The fast path reads only ASCII, in quotes and without escapes.
            Quick::Chars { low, high } | Quick::Bytes { low, high } => {
                let size = value.len().wrapping_sub(2);
                (size == 0, low <= size && size <= high)
            }
            Quick::Other => return self.other(index, value),
        };
        self.seen.quick(field, is_zero, passes)
    }

    /// Judges a value that the fast path has read, for a field without a [quick form](Quick).
    /// Returns false in the same cases as [`Self::plain`].
    #[inline(never)]
    fn other(&mut self, index: u32, value: &[u8]) -> bool {
        let field = &self.combined.fields[index as usize];
        match field.shape {
            FieldShape::Scalar(kind, test) => self.scalar(index, (kind, test), value).is_some(),
            _ => false,
        }
    }

    /// Judges a scalar that was read in its usual form. Returns `None` if the value is not known to
    /// pass.
    #[inline]
    fn scalar(
        &mut self,
        index: u32,
        (kind, test): (FieldKind, ValueTest),
        text: &[u8],
    ) -> Option<()> {
        let field = &self.combined.fields[index as usize];
        let value = read(kind, text)?;
        scalar::judge(&mut self.seen, self.plan, field, (kind, test), value).then_some(())
    }
}

/// Returns the value of a scalar in its usual form, or `None` for bytes, enums and messages.
#[inline]
fn read(kind: FieldKind, text: &[u8]) -> Option<Scalar<'_>> {
    Some(match kind {
        // The fast path reads only ASCII without escapes.
        FieldKind::String { .. } => Scalar::Text(text.get(1..text.len().wrapping_sub(1))?),
        FieldKind::Bool => Scalar::Whole((text.first() == Some(&b't')).into()),
        FieldKind::Double => Scalar::Real(decimal(text)),
        FieldKind::Float => Scalar::Real((decimal(text) as f32).into()),
        FieldKind::Bytes | FieldKind::Enum(_) | FieldKind::Message(_) | FieldKind::Group(_) => {
            return None;
        }
        _ => Scalar::Whole(signed(text)),
    })
}

/// Returns the whole number in `text`, in two's complement. `text` may be in quotes.
#[inline(always)]
pub(in crate::rules) fn signed(text: &[u8]) -> u64 {
    let number = match text {
        [b'"', quoted @ .., _] => quoted,
        _ => text,
    };
    match number {
        [b'-', digits @ ..] => whole(digits).wrapping_neg(),
        _ => whole(number),
    }
}

/// Returns the number that `digits` represent. There must be at most 18 digits.
#[inline(always)]
fn whole(digits: &[u8]) -> u64 {
    let digit = |byte: &u8| u64::from(byte.wrapping_sub(b'0'));
    (digits.iter()).fold(0u64, |value, byte| {
        value.wrapping_mul(10).wrapping_add(digit(byte))
    })
}

/// Returns the double nearest to a number that has no exponent.
#[inline(never)]
pub(in crate::rules) fn decimal(text: &[u8]) -> f64 {
    /// The powers of ten that the fast path divides by.
    const POWERS: [f64; 16] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ];
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        _ => (false, text),
    };
    // A double represents numbers of up to 15 digits and these powers of ten exactly, so their
    // quotient is rounded only once. If `digits` has 16 bytes, one of them must be the decimal
    // point.
    if digits.len() > POWERS.len() {
        return Number::parse(text).map_or(0.0, Number::float);
    }
    let point = digits.iter().position(|byte| *byte == b'.');
    let (before, fraction) = match point {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None if digits.len() == POWERS.len() => {
            return Number::parse(text).map_or(0.0, Number::float);
        }
        None => (digits, &[][..]),
    };
    let scale = POWERS[fraction.len().min(POWERS.len() - 1)];
    let mantissa = fraction.iter().fold(whole(before), |value, byte| {
        value * 10 + u64::from(byte.wrapping_sub(b'0'))
    });
    let value = mantissa as f64 / scale;
    if negative { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_parsed_as_in_the_standard_library() {
        let texts = [
            "0",
            "-0",
            "1.5",
            "0.1",
            "-123.456",
            "999999999999999",
            "9999999999999999",
            "99999999999999.9",
            "0.00000000000001",
            "0.000000000000001",
            "12345678901234567890",
            "3.14159265358979",
            "0.30000000000000004",
        ];
        for text in texts {
            let right: f64 = text.parse().unwrap();
            assert_eq!(
                decimal(text.as_bytes()).to_bits(),
                right.to_bits(),
                "{text}"
            );
        }
    }

    #[test]
    fn whole_numbers_are_read_with_their_sign() {
        for number in [0i64, 7, -1, 123_456_789, -999_999_999_999_999_999] {
            let text = number.to_string();
            for text in [format!("\"{text}\""), text] {
                let read = read(FieldKind::Int64, text.as_bytes());
                assert!(matches!(read, Some(Scalar::Whole(value)) if value as i64 == number));
            }
        }
    }
}
