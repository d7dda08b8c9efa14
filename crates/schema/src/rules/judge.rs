//! Checks of a payload against the rules of its message. The walk over the payload, which checks
//! types and structure, has already accepted the payload.
//!
//! Protobuf has a judge, and MessagePack and JSON share another. A judge reads the payload once
//! more and builds no message. A rule applies to the value that a decoder of the payload would
//! return.

pub(super) mod named;
pub(super) mod protobuf;
pub(super) mod source;

use super::check::{Check, Value};
use super::plan::{FieldPlan, FieldRules, MessagePlan, ValuePlan};
use super::zero::zero;
use crate::needs::IndexSet;
use crate::table::{Field, Message};
use crate::violation::{Checked, Fault, Gather};

/// The id of the rule that all elements of a list are distinct.
pub(super) const UNIQUE: &str = "repeated.unique";

fn broken(check: &Check, at: usize) -> Box<Fault> {
    Fault::broken(at, &check.id, &check.message)
}

/// Checks the value at `at` against its rules. Returns the first fault, or all faults if `G`
/// gathers them.
fn value<G: Gather>(plan: &ValuePlan, value: &Value, at: usize) -> Checked<()> {
    G::over(|faults| {
        for check in plan.broken(value) {
            faults.keep(broken(check, at), || Ok(()))?;
        }
        Ok(())
    })
}

/// Checks the number of elements of a list or map. `equal` is true if two elements break the rule
/// that all elements are distinct.
fn count<G: Gather>(counts: &[Check], count: usize, equal: bool, at: usize) -> Checked<()> {
    G::over(|faults| {
        let count = Value::Unsigned(count as u64);
        for check in counts.iter().filter(|check| !check.passes(&count)) {
            faults.keep(broken(check, at), || Ok(()))?;
        }
        if equal {
            let message = "repeated value must contain unique items";
            faults.keep(Fault::broken(at, UNIQUE, message), || Ok(()))?;
        }
        Ok(())
    })
}

/// Checks the rules of a field that is not set in the message at `at`.
pub(super) fn absent<G: Gather>(plan: &FieldPlan, field: &Field, at: usize) -> Checked<()> {
    let checked = if plan.required {
        Err(Fault::broken(at, "required", "value is required"))
    } else if !plan.judges_absent {
        Ok(())
    } else {
        match &plan.rules {
            FieldRules::One(rules) => match zero(field.kind) {
                Some(zero) => value::<G>(rules, &zero, at),
                None => Ok(()),
            },
            FieldRules::List(list) => count::<G>(&list.counts, 0, false, at),
            FieldRules::Map(map) => count::<G>(&map.counts, 0, false, at),
        }
    };
    checked.map_err(|fault| fault.under(&*field.name))
}

/// Checks the rules of the message at `at` about sets of fields and about oneofs. For each field
/// that is set, `set` contains the index of its rules in [`MessagePlan::fields`]. `oneofs` contains
/// the indices of the oneofs with a field that is set.
fn choices<G: Gather>(
    plan: &MessagePlan,
    set: &IndexSet,
    oneofs: &IndexSet,
    at: usize,
    faults: &mut G,
) -> Checked<()> {
    for choice in &plan.choices {
        let chosen = choice
            .fields
            .iter()
            .filter(|place| set.contains(**place as u32))
            .count();
        let names = &choice.names;
        let message = match chosen {
            0 if choice.required => format!("one of {names} must be set"),
            0 | 1 => continue,
            _ => format!("only one of {names} can be set"),
        };
        faults.keep(Fault::broken(at, "message.oneof", &message), || Ok(()))?;
    }
    for oneof in plan
        .oneofs
        .iter()
        .filter(|oneof| !oneofs.contains(oneof.index))
    {
        let message = "exactly one field is required in oneof";
        let fault = Fault::broken(at, "required", message).under(&*oneof.name);
        faults.keep(fault, || Ok(()))?;
    }
    Ok(())
}

/// Returns the field that `plan` belongs to.
fn field_of<'a>(message: &'a Message, plan: &FieldPlan) -> &'a Field {
    &message.fields[plan.index as usize]
}
