//! The functions of the library, applied to values.

use std::cmp::Ordering;

use crate::arithmetic::{add, divide, modulo, multiply, negate, subtract};
use crate::budget::Budget;
use crate::compare::{Comparison, order};
use crate::convert::{
    to_bool, to_bytes, to_double, to_duration, to_int, to_string, to_timestamp, to_uint, type_of,
};
use crate::error::ErrorKind;
use crate::format::format;
use crate::library::{Builtin, TimePart};
use crate::pattern::Pattern;
use crate::schema::Schema;
use crate::strings;
use crate::value::{ListValue, Value};
use crate::zone::{LOOKUP_STEPS, Zone};

type Outcome<'a> = Result<Value<'a>, ErrorKind>;

/// The number of steps for compiling a pattern that is only known at run time.
pub(crate) const PATTERN_STEPS: u64 = 5_000;

/// The memory that is charged for a pattern that is compiled at run time, in bytes for each byte of
/// the pattern's text. The compiled pattern takes at least this much memory.
const PATTERN_BYTES: usize = 256;

/// Returns the value of a function of the library. The types of the arguments select the overload.
pub(crate) fn call<'a>(
    builtin: Builtin,
    arguments: &[Value<'a>],
    schema: &'a dyn Schema,
    budget: &mut Budget,
) -> Outcome<'a> {
    match arguments {
        [value] => unary(builtin, value, schema, budget),
        [left, right] => binary(builtin, left, right, schema, budget),
        _ => strings::call(builtin, arguments, budget),
    }
}

fn unary<'a>(
    builtin: Builtin,
    value: &Value<'a>,
    schema: &'a dyn Schema,
    budget: &mut Budget,
) -> Outcome<'a> {
    match builtin {
        Builtin::Not => match value {
            Value::Bool(value) => Ok(Value::Bool(!value)),
            _ => Err(ErrorKind::NoSuchOverload),
        },
        Builtin::Negate => negate(value),
        Builtin::Size => size(value, budget),
        Builtin::Part(part) => part_of(part, value),
        Builtin::ToBool => to_bool(value),
        Builtin::ToBytes => to_bytes(value, budget),
        Builtin::ToDouble => to_double(value, budget),
        Builtin::ToDuration => to_duration(value, budget),
        Builtin::ToDyn => Ok(value.clone()),
        Builtin::ToInt => to_int(value, budget),
        Builtin::ToString => to_string(value, budget),
        Builtin::ToTimestamp => to_timestamp(value, budget),
        Builtin::ToUint => to_uint(value, budget),
        Builtin::TypeOf => Ok(type_of(value, schema)),
        _ => strings::call(builtin, std::slice::from_ref(value), budget),
    }
}

fn binary<'a>(
    builtin: Builtin,
    left: &Value<'a>,
    right: &Value<'a>,
    schema: &'a dyn Schema,
    budget: &mut Budget,
) -> Outcome<'a> {
    let compare = |accepts: fn(Ordering) -> bool, budget: &mut Budget| {
        let found = order(left, right, budget)?;
        Ok(Value::Bool(found.is_some_and(accepts)))
    };
    match builtin {
        Builtin::Equal => Comparison::new(schema, budget)
            .equal(left, right)
            .map(Value::Bool),
        Builtin::NotEqual => {
            let equal = Comparison::new(schema, budget).equal(left, right)?;
            Ok(Value::Bool(!equal))
        }
        Builtin::Less => compare(Ordering::is_lt, budget),
        Builtin::LessEqual => compare(Ordering::is_le, budget),
        Builtin::Greater => compare(Ordering::is_gt, budget),
        Builtin::GreaterEqual => compare(Ordering::is_ge, budget),
        Builtin::Add => add(left, right, budget),
        Builtin::Subtract => subtract(left, right),
        Builtin::Multiply => multiply(left, right),
        Builtin::Divide => divide(left, right),
        Builtin::Modulo => modulo(left, right),
        Builtin::In => contains(left, right, schema, budget),
        Builtin::Index => index(left, right, budget),
        Builtin::Matches => matches(left, right, budget),
        Builtin::Part(part) => match right {
            Value::String(zone) => {
                budget.take_steps(LOOKUP_STEPS)?;
                part_in(part, left, &Zone::named(zone)?)
            }
            _ => Err(ErrorKind::NoSuchOverload),
        },
        Builtin::Format => match (left, right) {
            (Value::String(format_string), Value::List(arguments)) => {
                format(format_string, arguments, schema, budget)
            }
            _ => Err(ErrorKind::NoSuchOverload),
        },
        _ => strings::call(builtin, &[left.clone(), right.clone()], budget),
    }
}

fn size<'a>(value: &Value<'a>, budget: &mut Budget) -> Outcome<'a> {
    let size = match value {
        Value::String(text) => {
            budget.take_steps_to_read(text.len())?;
            text.chars().count()
        }
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        _ => return Err(ErrorKind::NoSuchOverload),
    };
    Ok(Value::Int(size as i64))
}

fn contains<'a>(
    value: &Value<'a>,
    container: &Value<'a>,
    schema: &'a dyn Schema,
    budget: &mut Budget,
) -> Outcome<'a> {
    match container {
        Value::List(list) => {
            for at in 0..list.len() {
                let element = list.get(at, budget)?;
                if Comparison::new(schema, budget).equal(value, &element)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        Value::Map(map) => Ok(Value::Bool(map.find(value, budget)?.is_some())),
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

fn index<'a>(value: &Value<'a>, at: &Value<'a>, budget: &mut Budget) -> Outcome<'a> {
    match value {
        Value::List(list) => element(list, at, budget),
        Value::Map(map) => map.find(at, budget)?.ok_or(ErrorKind::NoSuchKey),
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

fn element<'a>(list: &ListValue<'a>, at: &Value<'a>, budget: &mut Budget) -> Outcome<'a> {
    let at = match at {
        Value::Int(at) => usize::try_from(*at).ok(),
        Value::Uint(at) => usize::try_from(*at).ok(),
        // Doubles represent all integers up to this bound, which is just below 2^53. No list is
        // longer.
        Value::Double(at) if at.fract() == 0.0 && (0.0..9e15).contains(at) => {
            usize::try_from(*at as u64).ok()
        }
        Value::Double(_) => None,
        _ => return Err(ErrorKind::NoSuchOverload),
    };
    list.get(at.ok_or(ErrorKind::IndexOutOfRange)?, budget)
}

fn matches<'a>(text: &Value<'a>, pattern: &Value<'a>, budget: &mut Budget) -> Outcome<'a> {
    let (Value::String(text), Value::String(pattern)) = (text, pattern) else {
        return Err(ErrorKind::NoSuchOverload);
    };
    budget.take_steps(PATTERN_STEPS)?;
    budget.take_bytes(pattern.len().saturating_mul(PATTERN_BYTES))?;
    let compiled = Pattern::at_run_time(pattern);
    let compiled = compiled
        .map_err(|reason| ErrorKind::invalid(format!("the pattern does not compile: {reason}")))?;
    compiled.matches(text, budget).map(Value::Bool)
}

/// Returns a part of a timestamp in UTC, or of a duration.
fn part_of<'a>(part: TimePart, value: &Value<'a>) -> Outcome<'a> {
    let Value::Duration(duration) = value else {
        return part_in(part, value, &Zone::Fixed(0));
    };
    let seconds = duration.seconds();
    Ok(Value::Int(match part {
        TimePart::Hours => seconds / 3_600,
        TimePart::Minutes => seconds / 60,
        TimePart::Seconds => seconds,
        TimePart::Milliseconds => i64::from(duration.nanos() / 1_000_000),
        _ => return Err(ErrorKind::NoSuchOverload),
    }))
}

/// Returns a part of a timestamp in a zone.
pub(crate) fn part_in<'a>(part: TimePart, value: &Value<'a>, zone: &Zone) -> Outcome<'a> {
    let Value::Timestamp(timestamp) = value else {
        return Err(ErrorKind::NoSuchOverload);
    };
    let civil = zone.civil(*timestamp);
    Ok(Value::Int(match part {
        TimePart::Date => civil.day,
        TimePart::DayOfMonth => civil.day - 1,
        TimePart::DayOfWeek => civil.day_of_week,
        TimePart::DayOfYear => civil.day_of_year,
        TimePart::FullYear => civil.year,
        TimePart::Month => civil.month - 1,
        TimePart::Hours => civil.hour,
        TimePart::Minutes => civil.minute,
        TimePart::Seconds => civil.second,
        TimePart::Milliseconds => i64::from(timestamp.nanos() / 1_000_000),
    }))
}
