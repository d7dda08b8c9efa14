//! Maps that an evaluation creates.

use std::rc::Rc;

use crate::budget::Budget;
use crate::error::ErrorKind;
use crate::value::{Key, Map, MapValue, Value};

/// The entries of a map, sorted by their keys for binary search.
struct Entries<'a>(Vec<(Value<'a>, Value<'a>)>);

/// Returns the map with `entries`.
///
/// # Errors
///
/// - [`ErrorKind::UnsupportedKey`] if a key is not a bool, an integer or a string.
/// - [`ErrorKind::RepeatedKey`] if two keys are equal.
/// - [`ErrorKind::Budget`] if `budget` is spent.
pub(crate) fn map_of<'a>(
    mut entries: Vec<(Value<'a>, Value<'a>)>,
    budget: &mut Budget,
) -> Result<Value<'a>, ErrorKind> {
    let valid = |key: &Value<'_>| {
        matches!(
            key,
            Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::String(_)
        )
    };
    if !entries.iter().all(|(key, _)| valid(key)) {
        return Err(ErrorKind::UnsupportedKey);
    }
    let comparisons = entries.len().max(1).ilog2() as usize;
    budget.take_steps((entries.len() * comparisons) as u64)?;
    for (key, _) in &entries {
        if let Value::String(text) = key {
            budget.take_steps_to_read(text.len().saturating_mul(1 + comparisons))?;
        }
    }
    budget.take_bytes(entries.len() * size_of::<(Value<'a>, Value<'a>)>())?;
    entries.sort_by(|(left, _), (right, _)| Key::of(left).cmp(&Key::of(right)));
    if entries
        .windows(2)
        .any(|pair| Key::of(&pair[0].0) == Key::of(&pair[1].0))
    {
        return Err(ErrorKind::RepeatedKey);
    }
    Ok(Value::Map(MapValue::Shared(Rc::new(Entries(entries)))))
}

impl<'a> Map<'a> for Entries<'a> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn entry(&self, index: usize, _: &mut Budget) -> Result<(Value<'a>, Value<'a>), ErrorKind> {
        self.0.get(index).cloned().ok_or(ErrorKind::IndexOutOfRange)
    }

    fn find(&self, key: &Key<'_>, budget: &mut Budget) -> Result<Option<Value<'a>>, ErrorKind> {
        let comparisons = self.0.len().max(1).ilog2() as usize;
        budget.take_steps(comparisons as u64)?;
        if let Key::String(text) = key {
            budget.take_steps_to_read(text.len().saturating_mul(1 + comparisons))?;
        }
        let found = self
            .0
            .binary_search_by(|(other, _)| Key::of(other).cmp(&Some(*key)));
        Ok(found.ok().map(|at| self.0[at].1.clone()))
    }
}
