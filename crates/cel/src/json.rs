//! Converts values to JSON values, which a `google.protobuf.Value` can hold.

use std::fmt::Write;

use crate::budget::Budget;
use crate::convert::type_name;
use crate::entries::map_of;
use crate::error::ErrorKind;
use crate::schema::Schema;
use crate::value::{MapValue, MessageValue, Value};

/// The maximum depth of nested lists, maps and messages. The conversion recurses once per level.
const LEVELS_MAX: u32 = 64;

/// The largest number up to which doubles represent all integers exactly.
const SAFE_MAX: u64 = 1 << 53;

/// Returns `value` as a JSON value: integers up to 2^53 as doubles and larger ones as strings,
/// bytes in base64, timestamps and durations as text. Fails if `value` is nested too deeply, or
/// contains a type or a map with a key that is not a string.
pub(crate) fn json_of<'a>(
    value: &Value<'a>,
    schema: &'a dyn Schema,
    budget: &mut Budget,
) -> Result<Value<'a>, ErrorKind> {
    convert(value, schema, budget, LEVELS_MAX)
}

fn convert<'a>(
    value: &Value<'a>,
    schema: &'a dyn Schema,
    budget: &mut Budget,
    levels: u32,
) -> Result<Value<'a>, ErrorKind> {
    let Some(levels) = levels.checked_sub(1) else {
        return Err(ErrorKind::invalid(
            "the value is nested too deeply for JSON",
        ));
    };
    budget.take_steps(1)?;
    Ok(match value {
        Value::Null | Value::Bool(_) | Value::Double(_) | Value::String(_) => value.clone(),
        Value::Int(number) if number.unsigned_abs() <= SAFE_MAX => Value::Double(*number as f64),
        Value::Int(number) => Value::owned(number.to_string()),
        Value::Uint(number) if *number <= SAFE_MAX => Value::Double(*number as f64),
        Value::Uint(number) => Value::owned(number.to_string()),
        Value::Bytes(bytes) => {
            budget.take_bytes(bytes.len() / 3 * 4 + 4)?;
            Value::owned(base64(bytes))
        }
        Value::Duration(duration) => Value::owned(duration.text()),
        Value::Timestamp(timestamp) => Value::owned(timestamp.text()),
        Value::List(list) => {
            budget.take_bytes(list.len() * size_of::<Value<'a>>())?;
            let mut elements = Vec::with_capacity(list.len());
            for at in 0..list.len() {
                let element = list.get(at, budget)?;
                elements.push(convert(&element, schema, budget, levels)?);
            }
            Value::list(elements)
        }
        Value::Map(map) => {
            let mut entries = Vec::new();
            for at in 0..map.len() {
                let (key, value) = map.entry(at, budget)?;
                if !matches!(key, Value::String(_)) {
                    return Err(ErrorKind::UnsupportedKey);
                }
                entries.push((key, convert(&value, schema, budget, levels)?));
            }
            map_of(entries, budget)?
        }
        Value::Message(message) => return message_json(message, schema, budget, levels),
        Value::Type(_) => return Err(no_json(value, schema)),
    })
}

fn no_json(value: &Value<'_>, schema: &dyn Schema) -> ErrorKind {
    ErrorKind::invalid(format!(
        "a value of type {} cannot be converted to JSON",
        type_name(value, schema)
    ))
}

/// Returns a message as a map from the JSON names of its fields to their values. A field mask
/// becomes a string.
fn message_json<'a>(
    message: &MessageValue<'a>,
    schema: &'a dyn Schema,
    budget: &mut Budget,
    levels: u32,
) -> Result<Value<'a>, ErrorKind> {
    if schema.message_name(message.id()) == "google.protobuf.FieldMask" {
        return paths(message, schema, budget);
    }
    if schema.message_name(message.id()) == "google.protobuf.Empty" {
        return Ok(Value::Map(MapValue::Empty));
    }
    let mut entries = Vec::new();
    let fields = schema.fields(message.id());
    budget.take_steps(fields.len() as u64)?;
    for field in fields {
        if let Some(value) = message.present(&field, budget)? {
            let name = Value::owned(camel_case(&field.name));
            entries.push((name, convert(&value, schema, budget, levels)?));
        }
    }
    map_of(entries, budget)
}

fn paths<'a>(
    message: &MessageValue<'a>,
    schema: &'a dyn Schema,
    budget: &mut Budget,
) -> Result<Value<'a>, ErrorKind> {
    let field = schema.field(message.id(), "paths");
    let paths = match &field {
        Some(field) => message.get(field, budget)?,
        None => None,
    };
    let mut text = String::new();
    if let Some(Value::List(paths)) = paths {
        for at in 0..paths.len() {
            if let Value::String(path) = paths.get(at, budget)? {
                budget.take_bytes(path.len() + 1)?;
                let separator = if at > 0 { "," } else { "" };
                let _ = write!(text, "{separator}{}", camel_case(&path));
            }
        }
    }
    Ok(Value::owned(text))
}

/// Returns the JSON name of a field: each underscore is removed, and the letter after it is in
/// upper case.
fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut raise = false;
    for character in name.chars() {
        if character == '_' {
            raise = true;
        } else if raise {
            camel.push(character.to_ascii_uppercase());
            raise = false;
        } else {
            camel.push(character);
        }
    }
    camel
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len() / 3 * 4 + 4);
    for group in bytes.chunks(3) {
        let mut bits = 0;
        for at in 0..3 {
            bits = bits << 8 | u32::from(group.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= group.len() {
                char::from(digit)
            } else {
                '='
            });
        }
    }
    text
}
