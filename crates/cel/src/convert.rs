//! Conversions between types.

use std::str;

use crate::budget::Budget;
use crate::error::ErrorKind;
use crate::schema::Schema;
use crate::text::{Bytes, Text};
use crate::time::{Duration, Timestamp};
use crate::value::{INT_BOUND, Value};

type Outcome<'a> = Result<Value<'a>, ErrorKind>;

fn parse_error<T>(ty: &str) -> Result<T, ErrorKind> {
    Err(ErrorKind::invalid(format!(
        "the string does not parse as {ty}"
    )))
}

pub(crate) fn to_bool<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::Bool(value) => Ok(Value::Bool(*value)),
        Value::String(text) => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            _ => parse_error("a bool"),
        },
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

pub(crate) fn to_int<'a>(value: &Value<'a>, budget: &mut Budget) -> Outcome<'a> {
    let out_of_range = ErrorKind::Range("int");
    match value {
        Value::Int(value) => Ok(Value::Int(*value)),
        Value::Uint(value) => i64::try_from(*value)
            .map(Value::Int)
            .map_err(|_| out_of_range),
        // -2^63 fits an int, but is excluded, because integers below -2^63 round to the same
        // double.
        Value::Double(value) if *value > -INT_BOUND && *value < INT_BOUND => {
            Ok(Value::Int(*value as i64))
        }
        Value::Double(_) => Err(out_of_range),
        Value::String(text) => {
            budget.take_steps_to_read(text.len())?;
            text.parse()
                .map(Value::Int)
                .or_else(|_| parse_error("an int"))
        }
        Value::Timestamp(timestamp) => Ok(Value::Int(timestamp.seconds())),
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

pub(crate) fn to_uint<'a>(value: &Value<'a>, budget: &mut Budget) -> Outcome<'a> {
    let out_of_range = ErrorKind::Range("uint");
    match value {
        Value::Uint(value) => Ok(Value::Uint(*value)),
        Value::Int(value) => u64::try_from(*value)
            .map(Value::Uint)
            .map_err(|_| out_of_range),
        Value::Double(value) if *value >= 0.0 && *value < 2.0 * INT_BOUND => {
            Ok(Value::Uint(*value as u64))
        }
        Value::Double(_) => Err(out_of_range),
        Value::String(text) => {
            budget.take_steps_to_read(text.len())?;
            let parsed = text.parse().map(Value::Uint);
            parsed.or_else(|_| parse_error("a uint"))
        }
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

pub(crate) fn to_double<'a>(value: &Value<'a>, budget: &mut Budget) -> Outcome<'a> {
    match value {
        Value::Double(value) => Ok(Value::Double(*value)),
        Value::Int(value) => Ok(Value::Double(*value as f64)),
        Value::Uint(value) => Ok(Value::Double(*value as f64)),
        Value::String(text) => {
            budget.take_steps_to_read(text.len())?;
            match text.parse::<f64>() {
                // A number that is written with digits and parses as infinite is out of range.
                Ok(value) if value.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) => {
                    Err(ErrorKind::Range("double"))
                }
                Ok(value) => Ok(Value::Double(value)),
                Err(_) => parse_error("a double"),
            }
        }
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

pub(crate) fn to_string<'a>(value: &Value<'a>, budget: &mut Budget) -> Outcome<'a> {
    let text = match value {
        Value::String(text) => return Ok(Value::String(text.clone())),
        Value::Bool(value) => return Ok(Value::borrowed(if *value { "true" } else { "false" })),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Double(value) => shortest(*value),
        Value::Bytes(bytes) => return text_of(bytes, budget),
        Value::Timestamp(timestamp) => timestamp.text(),
        Value::Duration(duration) => duration.text(),
        _ => return Err(ErrorKind::NoSuchOverload),
    };
    budget.take_bytes(text.len())?;
    Ok(Value::owned(text))
}

fn text_of<'a>(bytes: &Bytes<'a>, budget: &mut Budget) -> Outcome<'a> {
    budget.take_bytes(bytes.len())?;
    let invalid = |_| ErrorKind::invalid("the bytes are not valid UTF-8");
    match bytes {
        Bytes::Borrowed(bytes) => str::from_utf8(bytes).map(Value::borrowed).map_err(invalid),
        Bytes::Shared(bytes) => str::from_utf8(bytes).map(Value::owned).map_err(invalid),
    }
}

/// Returns the shortest text that parses to `value`, with an exponent only if the exponent is below
/// -4 or above 20.
pub(crate) fn shortest(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 || (-4..21).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

pub(crate) fn to_bytes<'a>(value: &Value<'a>, budget: &mut Budget) -> Outcome<'a> {
    match value {
        Value::Bytes(bytes) => Ok(Value::Bytes(bytes.clone())),
        Value::String(Text::Borrowed(text)) => Ok(Value::Bytes(Bytes::Borrowed(text.as_bytes()))),
        Value::String(Text::Shared(text)) => {
            budget.take_bytes(text.len())?;
            Ok(Value::Bytes(Bytes::Shared(text.as_bytes().into())))
        }
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

pub(crate) fn to_timestamp<'a>(value: &Value<'a>, budget: &mut Budget) -> Outcome<'a> {
    match value {
        Value::Timestamp(timestamp) => Ok(Value::Timestamp(*timestamp)),
        Value::String(text) => {
            budget.take_steps_to_read(text.len())?;
            Timestamp::parse(text).map(Value::Timestamp)
        }
        Value::Int(seconds) => Timestamp::new(*seconds, 0)
            .map(Value::Timestamp)
            .ok_or(ErrorKind::Range("timestamp")),
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

pub(crate) fn to_duration<'a>(value: &Value<'a>, budget: &mut Budget) -> Outcome<'a> {
    match value {
        Value::Duration(duration) => Ok(Value::Duration(*duration)),
        Value::String(text) => {
            budget.take_steps_to_read(text.len() * 8)?;
            Duration::parse(text).map(Value::Duration)
        }
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

/// Returns the type of `value`, as `type()` does.
pub(crate) fn type_of<'a>(value: &Value<'a>, schema: &'a dyn Schema) -> Value<'a> {
    Value::Type(Text::Borrowed(type_name(value, schema)))
}

/// Returns the name of the type of `value`.
pub(crate) fn type_name<'a>(value: &Value<'_>, schema: &'a dyn Schema) -> &'a str {
    match value {
        Value::Null => "null_type",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Uint(_) => "uint",
        Value::Double(_) => "double",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::Duration(_) => "google.protobuf.Duration",
        Value::Timestamp(_) => "google.protobuf.Timestamp",
        Value::Type(_) => "type",
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Message(message) => schema.message_name(message.id()),
    }
}
