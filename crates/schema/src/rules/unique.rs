//! A set that finds equal values, such as repeated elements of a list or repeated keys of a map.

use std::borrow::Cow;
use std::collections::HashMap;

use super::check::Value;

/// A value in a form that can be compared and hashed.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Distinct<'a> {
    Signed(i64),
    Unsigned(u64),
    /// The bits of the number. -0.0 is stored as 0.0.
    Float(u64),
    Bool(bool),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

/// The values that were added so far, each with its position. Because peers choose the values, a
/// random seed keeps a peer from choosing values whose hashes collide.
#[derive(Debug, Default)]
pub(super) struct Distincts<'a>(HashMap<Distinct<'a>, usize>);

impl<'a> Distincts<'a> {
    /// Adds a value with its position and returns `None`. If an equal value is present, returns the
    /// position of that value instead. NaN, times and field masks are not added.
    pub(super) fn insert(&mut self, value: Value<'a>, position: usize) -> Option<usize> {
        let value = match value {
            Value::Signed(value) => Distinct::Signed(value),
            Value::Unsigned(value) => Distinct::Unsigned(value),
            // NaN is equal to no value.
            Value::Float(value) if value.is_nan() => return None,
            // Adding 0.0 turns -0.0 into 0.0, so both zeros are equal.
            Value::Float(value) => Distinct::Float((value + 0.0).to_bits()),
            Value::Bool(value) => Distinct::Bool(value),
            Value::Text(text) => Distinct::Text(text),
            Value::Bytes(bytes) => Distinct::Bytes(bytes),
            Value::Time(_) | Value::Paths(_) => return None,
        };
        match self.0.entry(value) {
            std::collections::hash_map::Entry::Occupied(entry) => Some(*entry.get()),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(position);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_of_both_signs_are_equal_and_nan_equals_no_value() {
        let mut seen = Distincts::default();
        for (position, value) in [
            Value::Float(0.0),
            Value::Float(f64::NAN),
            Value::Float(f64::NAN),
            Value::Text("a".into()),
            Value::Bytes(b"a"[..].into()),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(seen.insert(value, position), None);
        }
        assert_eq!(seen.insert(Value::Float(-0.0), 9), Some(0));
        assert_eq!(seen.insert(Value::Text("a".into()), 9), Some(3));
    }
}
