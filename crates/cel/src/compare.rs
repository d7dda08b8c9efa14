//! Equality and order.

use std::cmp::Ordering;

use crate::budget::Budget;
use crate::error::ErrorKind;
use crate::field::Label;
use crate::schema::Schema;
use crate::value::{INT_BOUND, ListValue, MapValue, MessageValue, Value};

/// The maximum depth of nested values that are compared. A value is at most as deep as the
/// expression (128 levels) and the payload (1000 levels in the gateway) together.
const LEVELS_MAX: u32 = 1_200;

/// The context of a comparison.
pub(crate) struct Comparison<'s, 'b> {
    pub(crate) schema: &'s dyn Schema,
    pub(crate) budget: &'b mut Budget,
    levels: u32,
}

impl<'s, 'b> Comparison<'s, 'b> {
    pub(crate) fn new(schema: &'s dyn Schema, budget: &'b mut Budget) -> Self {
        Self {
            schema,
            budget,
            levels: LEVELS_MAX,
        }
    }

    /// Returns whether the values are equal. Numbers of different types are equal if they are the
    /// same number, except that an integer and a double are compared as doubles. Other values of
    /// different types differ. Fails if the budget is spent, if a value cannot be read, or if the
    /// values are nested too deeply.
    pub(crate) fn equal(&mut self, left: &Value<'_>, right: &Value<'_>) -> Result<bool, ErrorKind> {
        Ok(match (left, right) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(left), Value::Bool(right)) => left == right,
            (Value::String(left), Value::String(right)) => {
                self.budget
                    .take_steps_to_read(left.len().min(right.len()))?;
                **left == **right
            }
            (Value::Bytes(left), Value::Bytes(right)) => {
                self.budget
                    .take_steps_to_read(left.len().min(right.len()))?;
                **left == **right
            }
            (Value::Duration(left), Value::Duration(right)) => left == right,
            (Value::Timestamp(left), Value::Timestamp(right)) => left == right,
            (Value::Type(left), Value::Type(right)) => **left == **right,
            (Value::List(left), Value::List(right)) => {
                self.deeper(|this| this.lists(left, right))?
            }
            (Value::Map(left), Value::Map(right)) => self.deeper(|this| this.maps(left, right))?,
            (Value::Message(left), Value::Message(right)) => {
                self.deeper(|this| this.messages(left, right))?
            }
            _ => numbers(left, right) == Some(Some(Ordering::Equal)),
        })
    }

    fn deeper(
        &mut self,
        compare: impl FnOnce(&mut Self) -> Result<bool, ErrorKind>,
    ) -> Result<bool, ErrorKind> {
        if self.levels == 0 {
            return Err(ErrorKind::invalid(
                "the values are nested too deeply to be compared",
            ));
        }
        self.levels -= 1;
        let equal = compare(self);
        self.levels += 1;
        equal
    }

    fn lists(&mut self, left: &ListValue<'_>, right: &ListValue<'_>) -> Result<bool, ErrorKind> {
        if left.len() != right.len() {
            return Ok(false);
        }
        for at in 0..left.len() {
            let (left, right) = (left.get(at, self.budget)?, right.get(at, self.budget)?);
            if !self.equal(&left, &right)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn maps(&mut self, left: &MapValue<'_>, right: &MapValue<'_>) -> Result<bool, ErrorKind> {
        if left.len() != right.len() {
            return Ok(false);
        }
        for at in 0..left.len() {
            let (key, left) = left.entry(at, self.budget)?;
            let Some(right) = right.find(&key, self.budget)? else {
                return Ok(false);
            };
            if !self.equal(&left, &right)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn messages(
        &mut self,
        left: &MessageValue<'_>,
        right: &MessageValue<'_>,
    ) -> Result<bool, ErrorKind> {
        if left.id() != right.id() {
            return Ok(false);
        }
        let fields = self.schema.fields(left.id());
        self.budget.take_steps(fields.len() as u64)?;
        for field in fields {
            let left = left.present(&field, self.budget)?;
            let right = right.present(&field, self.budget)?;
            let equal = match (&left, &right) {
                (None, None) => true,
                (Some(left), Some(right)) => self.equal(left, right)?,
                // 0.0 and -0.0 are equal. In a field without presence, -0.0 counts as set, and 0.0
                // as unset.
                (Some(Value::Double(value)), None) | (None, Some(Value::Double(value))) => {
                    field.label == Label::Implicit && *value == 0.0
                }
                _ => false,
            };
            if !equal {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Returns the order of two numbers, or of two values of the same ordered type. Returns `None` if a
/// number is NaN, and fails with [`ErrorKind::NoSuchOverload`] for other values.
pub(crate) fn order(
    left: &Value<'_>,
    right: &Value<'_>,
    budget: &mut Budget,
) -> Result<Option<Ordering>, ErrorKind> {
    Ok(match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::String(left), Value::String(right)) => {
            budget.take_steps_to_read(left.len().min(right.len()))?;
            Some((**left).cmp(&**right))
        }
        (Value::Bytes(left), Value::Bytes(right)) => {
            budget.take_steps_to_read(left.len().min(right.len()))?;
            Some((**left).cmp(&**right))
        }
        (Value::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
        (Value::Timestamp(left), Value::Timestamp(right)) => Some(left.cmp(right)),
        _ => return numbers(left, right).ok_or(ErrorKind::NoSuchOverload),
    })
}

/// Returns the order of two numbers of any types, or `Some(None)` if one of them is NaN. Returns
/// `None` if one of the values is not a number.
fn numbers(left: &Value<'_>, right: &Value<'_>) -> Option<Option<Ordering>> {
    Some(match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Uint(left), Value::Uint(right)) => Some(left.cmp(right)),
        (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
        (Value::Int(left), Value::Uint(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
        (Value::Uint(left), Value::Int(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
        (Value::Int(left), Value::Double(right)) => with_double(i128::from(*left), *right),
        (Value::Uint(left), Value::Double(right)) => with_double(i128::from(*left), *right),
        (Value::Double(left), Value::Int(right)) => {
            with_double(i128::from(*right), *left).map(Ordering::reverse)
        }
        (Value::Double(left), Value::Uint(right)) => {
            with_double(i128::from(*right), *left).map(Ordering::reverse)
        }
        _ => return None,
    })
}

/// Returns the order of an integer and a double, or `None` if the double is NaN. The two are
/// compared as doubles if the double is within the range of integers.
fn with_double(integer: i128, double: f64) -> Option<Ordering> {
    if double > 2.0 * INT_BOUND {
        return Some(Ordering::Less);
    }
    if double < -INT_BOUND {
        return Some(Ordering::Greater);
    }
    (integer as f64).partial_cmp(&double)
}
