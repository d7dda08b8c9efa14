//! The evaluation of the operators `+`, `-`, `*`, `/` and `%`.

use std::rc::Rc;

use crate::budget::Budget;
use crate::error::ErrorKind;
use crate::text::Bytes;
use crate::time::Duration;
use crate::value::{ListValue, Value};

type Outcome<'a> = Result<Value<'a>, ErrorKind>;

fn int<'a>(value: Option<i64>) -> Outcome<'a> {
    value.map(Value::Int).ok_or(ErrorKind::Overflow)
}

fn uint<'a>(value: Option<u64>) -> Outcome<'a> {
    value.map(Value::Uint).ok_or(ErrorKind::Overflow)
}

fn duration<'a>(nanos: i128) -> Outcome<'a> {
    Duration::from_nanos(nanos)
        .map(Value::Duration)
        .ok_or(ErrorKind::Overflow)
}

pub(crate) fn negate<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::Int(value) => int(value.checked_neg()),
        Value::Double(value) => Ok(Value::Double(-value)),
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

pub(crate) fn add<'a>(left: &Value<'a>, right: &Value<'a>, budget: &mut Budget) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => int(left.checked_add(*right)),
        (Value::Uint(left), Value::Uint(right)) => uint(left.checked_add(*right)),
        (Value::Double(left), Value::Double(right)) => Ok(Value::Double(left + right)),
        (Value::String(left), Value::String(right)) => {
            budget.take_bytes(left.len() + right.len())?;
            let mut text = String::with_capacity(left.len() + right.len());
            text.push_str(left);
            text.push_str(right);
            Ok(Value::owned(text))
        }
        (Value::Bytes(left), Value::Bytes(right)) => {
            budget.take_bytes(left.len() + right.len())?;
            let bytes: Rc<[u8]> = [&**left, &**right].concat().into();
            Ok(Value::Bytes(Bytes::Shared(bytes)))
        }
        (Value::List(left), Value::List(right)) => concatenated(left, right, budget),
        (Value::Timestamp(timestamp), Value::Duration(delta))
        | (Value::Duration(delta), Value::Timestamp(timestamp)) => {
            timestamp.plus(delta.total()).map(Value::Timestamp)
        }
        (Value::Duration(left), Value::Duration(right)) => duration(left.total() + right.total()),
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

fn concatenated<'a>(
    left: &ListValue<'a>,
    right: &ListValue<'a>,
    budget: &mut Budget,
) -> Outcome<'a> {
    if left.is_empty() {
        return Ok(Value::List(right.clone()));
    }
    if right.is_empty() {
        return Ok(Value::List(left.clone()));
    }
    budget.take_bytes((left.len() + right.len()) * size_of::<Value<'a>>())?;
    let mut elements = Vec::with_capacity(left.len() + right.len());
    for list in [left, right] {
        for at in 0..list.len() {
            elements.push(list.get(at, budget)?);
        }
    }
    Ok(Value::list(elements))
}

pub(crate) fn subtract<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => int(left.checked_sub(*right)),
        (Value::Uint(left), Value::Uint(right)) => uint(left.checked_sub(*right)),
        (Value::Double(left), Value::Double(right)) => Ok(Value::Double(left - right)),
        (Value::Timestamp(left), Value::Timestamp(right)) => {
            left.since(*right).map(Value::Duration)
        }
        (Value::Timestamp(timestamp), Value::Duration(delta)) => {
            timestamp.plus(-delta.total()).map(Value::Timestamp)
        }
        (Value::Duration(left), Value::Duration(right)) => duration(left.total() - right.total()),
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

pub(crate) fn multiply<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => int(left.checked_mul(*right)),
        (Value::Uint(left), Value::Uint(right)) => uint(left.checked_mul(*right)),
        (Value::Double(left), Value::Double(right)) => Ok(Value::Double(left * right)),
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

pub(crate) fn divide<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => {
            Err(ErrorKind::DivisionByZero)
        }
        (Value::Int(left), Value::Int(right)) => int(left.checked_div(*right)),
        (Value::Uint(left), Value::Uint(right)) => uint(left.checked_div(*right)),
        (Value::Double(left), Value::Double(right)) => Ok(Value::Double(left / right)),
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

pub(crate) fn modulo<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    match (left, right) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => {
            Err(ErrorKind::DivisionByZero)
        }
        (Value::Int(left), Value::Int(right)) => int(left.checked_rem(*right)),
        (Value::Uint(left), Value::Uint(right)) => uint(left.checked_rem(*right)),
        _ => Err(ErrorKind::NoSuchOverload),
    }
}
