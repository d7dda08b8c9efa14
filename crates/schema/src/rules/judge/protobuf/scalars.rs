//! Decodes protobuf records, which the walk has accepted, into the values that rules check.

use crate::protobuf::wire::{Record, Records, WireReader};
use crate::rules::check::{NANOS, Value};
use crate::rules::zero::zero;
use crate::table::{FieldKind, Form, Message, wire};
use crate::violation::{Checked, Fault};

/// Returns a reader of the fields of the message `value`. `kind` is the wire type of the message's
/// record.
pub(super) fn body<'p>(value: &WireReader<'p>, kind: u8) -> Checked<WireReader<'p>> {
    let mut value = value.clone();
    if kind == wire::LEN {
        value.body()
    } else {
        Ok(value)
    }
}

/// Returns the value of a scalar. A string that is not UTF-8 is a violation.
pub(in crate::rules) fn scalar<'p>(kind: FieldKind, value: &WireReader<'p>) -> Checked<Value<'p>> {
    match scalar_or_bytes(kind, value)? {
        Value::Bytes(_) if kind != FieldKind::Bytes => Err(not_utf8(value.at(), "a string")),
        value => Ok(value),
    }
}

/// Returns the fault for a string that rules read and that is not UTF-8. `what` names the string.
#[cold]
pub(in crate::rules) fn not_utf8(at: usize, what: &str) -> Box<Fault> {
    let expected = format!("{what} in UTF-8, because rules apply to it");
    Fault::new(at, expected, "bytes that are not UTF-8")
}

/// Returns the value of a scalar. A string that is not UTF-8 becomes [`Value::Bytes`].
pub(in crate::rules) fn scalar_or_bytes<'p>(
    kind: FieldKind,
    value: &WireReader<'p>,
) -> Checked<Value<'p>> {
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

/// Returns the value that standard rules test in a message of a well-known type, such as a
/// timestamp, or `None` if the type has no standard rules. The message consists of all `bodies`,
/// merged in order.
pub(super) fn known<'p>(
    message: &Message,
    bodies: &[WireReader<'p>],
) -> Checked<Option<Value<'p>>> {
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
