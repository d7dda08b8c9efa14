//! An estimate of the cost of the rules in CEL for one payload, made before the rules are
//! evaluated.

use super::plan::{ExpressionPlanId, ExpressionPlans, ValueExpressions};
use super::program::Expression;
use crate::table::{Cardinality, Table};

/// The number of values of one message type or of one field that a payload can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Number {
    One,
    /// At most the number of bytes of the payload.
    Many,
}

/// An estimate of the steps that all rules in CEL take together for one payload, as a function of
/// the payload's size.
///
/// The bytes that rules read or write are not counted. If two values are compared as a whole, their
/// parts are not counted either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// The coefficients of a polynomial in the payload's size in bytes, the constant term first.
    coefficients: Vec<u64>,
}

impl Estimate {
    /// Returns the estimate for payloads of the message whose rules are at `root`.
    pub(in crate::rules) fn of(
        plans: &ExpressionPlans,
        root: ExpressionPlanId,
        table: &Table,
    ) -> Self {
        let mut numbers = vec![None; plans.messages.len()];
        let mut pending = vec![(root, Number::One)];
        while let Some((id, number)) = pending.pop() {
            let before = &mut numbers[id.0 as usize];
            // A message type that is reached in two ways may occur more than once.
            let number = if before.is_some() {
                Number::Many
            } else {
                number
            };
            if *before == Some(Number::Many) {
                continue;
            }
            *before = Some(number);
            let plan = plans.get(id);
            for field in &plan.fields {
                let cardinality = table[plan.message].fields[field.index as usize].cardinality;
                if let Some(nested) = field.values.nested {
                    pending.push((nested, number.max(number_of(cardinality))));
                }
            }
        }
        let mut estimate = Self::default();
        for (plan, number) in plans.messages.iter().zip(numbers) {
            let Some(number) = number else {
                continue;
            };
            estimate.add(&plan.own, number);
            for field in &plan.fields {
                let cardinality = table[plan.message].fields[field.index as usize].cardinality;
                estimate.add(&field.own, number);
                let ValueExpressions { own: of_keys, .. } = &field.keys;
                estimate.add(of_keys, Number::Many);
                estimate.add(&field.values.own, number.max(number_of(cardinality)));
            }
        }
        estimate
    }

    /// Returns the number of steps for a payload of `bytes` bytes.
    pub fn steps(&self, bytes: u64) -> u64 {
        let coefficients = self.coefficients.iter().rev();
        coefficients.fold(0, |sum: u64, coefficient| {
            sum.saturating_mul(bytes).saturating_add(*coefficient)
        })
    }

    /// Adds the cost of `rules`. Each rule is evaluated once for each of `number` values.
    ///
    /// For many values, a constant cost becomes proportional to the size of the payload. A cost
    /// that is proportional to the number of elements of a value, or to a power of this number, is
    /// added unchanged. Each element takes at least one byte and belongs to one value. All values
    /// together therefore have at most as many elements as the payload has bytes.
    fn add(&mut self, rules: &[Expression], number: Number) {
        for rule in rules {
            for (power, steps) in rule.program.cost().coefficients().iter().enumerate() {
                let power = match number {
                    Number::One => power,
                    Number::Many => power.max(1),
                };
                if self.coefficients.len() <= power {
                    self.coefficients.resize(power + 1, 0);
                }
                let sum = &mut self.coefficients[power];
                *sum = sum.saturating_add(*steps);
            }
        }
    }
}

fn number_of(cardinality: Cardinality) -> Number {
    match cardinality {
        Cardinality::Singular => Number::One,
        Cardinality::Repeated | Cardinality::Map => Number::Many,
    }
}
