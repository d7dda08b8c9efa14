//! The evaluation of rules in CEL on the values that they read.

use std::time::{SystemTime, UNIX_EPOCH};

use gateway_cel::{Budget, ErrorKind, EvalError, ListValue, MapValue, Span, Timestamp, Value};

use super::plan::{
    ExpressionPlan, ExpressionPlanId, ExpressionPlans, FieldExpressions, ValueExpressions,
};
use super::program::{Expression, Verdict};
use super::schema::kind;
use super::values::{Content, Node, named, protobuf};
use crate::contract::Contract;
use crate::options::Encoding;
use crate::rules::judge::protobuf::not_utf8;
use crate::rules::judge::source::json::JsonSource;
use crate::rules::judge::source::msgpack::MsgpackSource;
use crate::table::{Field, Table};
use crate::violation::{Checked, Fault, Gather, excerpt};

/// The maximum length in characters of a rule's text in a violation. A longer text is cut, because
/// an expression may have copied the payload into it.
const SENTENCE_CHARS_MAX: usize = 500;

/// The maximum memory in bytes that all rules of a payload may allocate together. This maximum does
/// not depend on `limits.rules_cost`. Within the default of `limits.rules_cost`, rules can allocate
/// at most half of this memory.
pub(in crate::rules) const MEMORY_MAX: u64 = 64 << 20;

/// Checks `payload` against the rules of its root message. `payload` must fit `contract`. The cost
/// of all rules is taken from `budget`.
///
/// # Errors
///
/// Returns faults for the rules that are broken, or for the rule that could not be evaluated.
pub(in crate::rules) fn judge<'a, G: Gather>(
    contract: &'a Contract,
    (plans, root): (&'a ExpressionPlans, ExpressionPlanId),
    payload: &'a [u8],
    budget: &mut Budget,
) -> Checked<()> {
    if let Some(rules) = &plans.get(root).scalars {
        let steps = rules.steps(payload.len());
        if steps <= budget.steps() && rules.keep(contract, payload) {
            debug_assert!({
                let budget = &mut Budget::new(budget.steps(), MEMORY_MAX);
                judge_tree::<G>(contract, (plans, root), payload, budget).is_ok()
            });
            let _ = budget.take_steps(steps);
            return Ok(());
        }
    }
    judge_tree::<G>(contract, (plans, root), payload, budget)
}

/// Reads the values that the rules need into a tree, and evaluates the rules on this tree.
fn judge_tree<'a, G: Gather>(
    contract: &'a Contract,
    (plans, root): (&'a ExpressionPlans, ExpressionPlanId),
    payload: &'a [u8],
    budget: &mut Budget,
) -> Checked<()> {
    let (table, id, wanted) = (&contract.table, contract.root, &plans.wanted);
    let node = match contract.encoding {
        Encoding::Protobuf => protobuf::read(table, Some(wanted), id, payload)?,
        Encoding::Msgpack => named::read(table, wanted, id, MsgpackSource::new(payload))?,
        Encoding::Json => named::read(table, wanted, id, JsonSource::new(payload))?,
    };
    let mut judge = Judge {
        table,
        plans,
        budget,
        now: None,
    };
    judge.message::<G>(&node, plans.get(root))
}

struct Judge<'a, 'b> {
    table: &'a Table,
    plans: &'a ExpressionPlans,
    budget: &'b mut Budget,
    /// The current time, which is the same for all rules. The time is set when the first rule reads
    /// it.
    now: Option<Timestamp>,
}

impl<'a> Judge<'a, '_> {
    fn message<G: Gather>(&mut self, node: &Node<'a>, plan: &'a ExpressionPlan) -> Checked<()> {
        G::over(|faults| {
            self.evaluate(&plan.own, &node.value, node.at, faults)?;
            let Some(body) = &node.body else {
                return Ok(());
            };
            for plan_of_field in &plan.fields {
                let field = &self.table[plan.message].fields[plan_of_field.index as usize];
                let content = body.field(plan_of_field.index);
                let checked = match content.filter(|content| is_set(plan_of_field, content)) {
                    Some(content) => self.field::<G>(content, plan_of_field),
                    None if plan_of_field.judges_absent => {
                        self.absent::<G>(field, plan_of_field, node.at)
                    }
                    None => Ok(()),
                };
                if let Err(fault) = checked {
                    faults.keep(fault.under(&*field.name), || Ok(()))?;
                }
            }
            Ok(())
        })
    }

    fn field<G: Gather>(
        &mut self,
        content: &Content<'a>,
        plan: &'a FieldExpressions,
    ) -> Checked<()> {
        G::over(|faults| {
            self.evaluate(&plan.own, &content.value(), content.at(), faults)?;
            match content {
                Content::One(node) => {
                    if let Err(fault) = self.value::<G>(node, &plan.values) {
                        faults.keep(fault, || Ok(()))?;
                    }
                }
                Content::List(list) if !plan.values.is_empty() => {
                    for (index, node) in list.elements.iter().enumerate() {
                        if let Err(fault) = self.value::<G>(node, &plan.values) {
                            faults.keep(fault.under(format!("[{index}]")), || Ok(()))?;
                        }
                    }
                }
                Content::Map(map) if !plan.values.is_empty() || !plan.keys.is_empty() => {
                    for (key, node) in &map.entries {
                        if let Err(fault) = self.value::<G>(key, &plan.keys) {
                            let fault = fault.under(format!("{} (key)", segment(key)));
                            faults.keep(fault, || Ok(()))?;
                        }
                        if let Err(fault) = self.value::<G>(node, &plan.values) {
                            faults.keep(fault.under(segment(key)), || Ok(()))?;
                        }
                    }
                }
                Content::List(_) | Content::Map(_) => {}
            }
            Ok(())
        })
    }

    fn value<G: Gather>(&mut self, node: &Node<'a>, plan: &'a ValueExpressions) -> Checked<()> {
        if plan.is_empty() {
            return Ok(());
        }
        let zero = || match &node.value {
            Ok(Value::Double(value)) => *value == 0.0,
            Ok(value) => value.is_zero(),
            Err(_) => false,
        };
        G::over(|faults| {
            if !(plan.skips_zero && zero()) {
                self.evaluate(&plan.own, &node.value, node.at, faults)?;
            }
            if let Some(nested) = plan.nested
                && let Err(fault) = self.message::<G>(node, self.plans.get(nested))
            {
                faults.keep(fault, || Ok(()))?;
            }
            Ok(())
        })
    }

    /// Evaluates the rules of a field on its zero value, because the field is not set.
    fn absent<G: Gather>(
        &mut self,
        field: &Field,
        plan: &'a FieldExpressions,
        at: usize,
    ) -> Checked<()> {
        use crate::table::Cardinality;
        let zero = match field.cardinality {
            Cardinality::Singular => Value::zero(kind(self.table, field.kind)),
            Cardinality::Repeated => Value::List(ListValue::Constant(&[])),
            Cardinality::Map => Value::Map(MapValue::Empty),
        };
        G::over(|faults| self.evaluate(&plan.own, &Ok(zero), at, faults))
    }

    /// Evaluates `rules` on a value, and adds a fault for each broken rule to `faults`.
    ///
    /// # Errors
    ///
    /// Returns a fault if a rule cannot be evaluated, or if `faults` ends the check.
    fn evaluate<G: Gather>(
        &mut self,
        rules: &'a [Expression],
        value: &Result<Value<'a>, ErrorKind>,
        at: usize,
        faults: &mut G,
    ) -> Checked<()> {
        for rule in rules {
            let this = value.clone().map_err(|kind| EvalError {
                span: Span::default(),
                kind,
            });
            let now = match rule.reads_clock {
                true => Value::Timestamp(*self.now.get_or_insert_with(now)),
                false => Value::Null,
            };
            let budget = &mut *self.budget;
            let verdict = this.and_then(|this| rule.evaluate(self.table, this, now, budget));
            match verdict {
                Ok(Verdict::Holds) => {}
                Ok(Verdict::Broken(sentence)) => {
                    faults.keep(Fault::broken(at, &rule.id, &cut(&sentence)), || Ok(()))?;
                }
                Err(error) if error.kind == ErrorKind::NotUtf8 => {
                    faults.keep(unreadable(rule, error.span, at), || Ok(()))?;
                }
                Err(error) => return Err(failed(rule, &error, budget, at)),
            }
        }
        Ok(())
    }
}

/// Returns the fault for a string that is not UTF-8. The part of `rule` at `span` reads the string.
#[cold]
fn unreadable(rule: &Expression, span: Span, at: usize) -> Box<Fault> {
    match rule.text.get(span.start as usize..span.end as usize) {
        Some("") | None => not_utf8(at, "a string"),
        Some(part) => not_utf8(at, &format!("`{}`", cut(part))),
    }
}

#[cold]
fn failed(rule: &Expression, error: &EvalError, budget: &Budget, at: usize) -> Box<Fault> {
    let reason = match error.kind {
        ErrorKind::Budget if budget.bytes() == 0 => {
            format!("it takes more than {} MiB of memory", MEMORY_MAX >> 20)
        }
        ErrorKind::Budget => "it takes more steps than limits.rules_cost allows".to_owned(),
        _ => error.kind.to_string(),
    };
    let sentence = format!("a rule of {} could not be evaluated", rule.owner);
    Fault::failed(at, &cut(&rule.id), &cut(&sentence), &cut(&reason))
}

/// Returns whether a field is set. Empty lists, empty maps, and zeros in fields without presence do
/// not count as set.
fn is_set(plan: &FieldExpressions, content: &Content) -> bool {
    match content {
        Content::One(node) => {
            !plan.implicit || !matches!(&node.value, Ok(value) if value.is_zero())
        }
        Content::List(list) => !list.elements.is_empty(),
        Content::Map(map) => !map.entries.is_empty(),
    }
}

/// Returns the path segment that names a key, such as `["k"]` or `[7]`, or `[…]` for a string that
/// is not UTF-8.
fn segment(key: &Node) -> String {
    match &key.value {
        Ok(Value::String(text)) => format!("[{}]", excerpt(text.as_bytes())),
        Ok(Value::Int(value)) => format!("[{value}]"),
        Ok(Value::Uint(value)) => format!("[{value}]"),
        Ok(Value::Bool(value)) => format!("[{value}]"),
        _ => "[…]".to_owned(),
    }
}

fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(SENTENCE_CHARS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// Returns the current time.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Timestamp::new(seconds, since.subsec_nanos()).unwrap_or(Timestamp::EPOCH)
}
