//! The rules of messages, listed for people.

use super::check::text::{BytesTest, TextTest};
use super::check::{Check, Test};
use super::compile::Compiled;
use super::expression::plan::{ExpressionPlan, FieldExpressions};
use super::expression::program::Expression;
use super::judge::UNIQUE;
use super::plan::{FieldPlan, FieldRules, MessagePlan};
use crate::table::{Cardinality, Field, Message, MessageId, Table};

/// A rule, as [`RuleSet::explain`](crate::RuleSet::explain) lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedRule {
    /// The full name of the message that the rule belongs to.
    pub message: String,
    /// The name of the field or oneof. For rules of the elements of a list `tags`, the path is
    /// `tags[]`. For rules of the values of a map `ports`, the path is `ports{}`. For rules of the
    /// keys of this map, the path is `ports{} (key)`. For a rule of the message as a whole, the
    /// path is empty.
    pub path: String,
    /// The id of the rule, such as `string.min_len`.
    pub id: String,
    /// The sentence that a violation shows for a value that breaks the rule.
    pub sentence: String,
    /// The expression of a rule in CEL, or `None` for a standard rule.
    pub expression: Option<String>,
    /// The cost of the rule each time it is evaluated.
    pub cost: RuleCost,
}

/// The cost of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleCost {
    /// The same for every value: a few nanoseconds.
    Constant,
    /// Proportional to the length of the value.
    Length,
    /// Proportional to the number of elements.
    Elements,
    /// A maximum number of steps, plus one step for every 32 bytes of text that are read or
    /// written. The maximum is a polynomial in the number of elements that the rule visits. The
    /// vector holds the coefficients of the polynomial, the constant term first: `[3, 5]` is 3
    /// steps, plus 5 steps for each element.
    Steps(Vec<u64>),
}

/// Returns the rules of the messages `roots`, followed by the rules of the message types of their
/// fields, at any depth. In each of these two groups, messages are sorted by name. The rules of a
/// message as a whole come first, followed by the rules of its fields in declaration order.
pub(super) fn explain(
    compiled: &Compiled,
    roots: &[MessageId],
    table: &Table,
) -> Vec<ExplainedRule> {
    let (standard, expressions) = (&compiled.plans, &compiled.expressions);
    let mut messages: Vec<_> = standard.messages.iter().map(|plan| plan.message).collect();
    messages.extend(expressions.messages.iter().map(|plan| plan.message));
    messages.sort_by_key(|id| (!roots.contains(id), table.name(*id)));
    messages.dedup();
    let mut list = List {
        rules: Vec::new(),
        message: "",
    };
    for id in messages {
        list.message = table.name(id);
        let message = &table[id];
        let standard = standard.of(id).map(|plan| standard.get(plan));
        let expressions = expressions.of(id).map(|plan| expressions.get(plan));
        list.message(message, standard, expressions);
    }
    list.rules
}

struct List<'t> {
    rules: Vec<ExplainedRule>,
    message: &'t str,
}

impl List<'_> {
    fn message(
        &mut self,
        message: &Message,
        standard: Option<&MessagePlan>,
        expressions: Option<&ExpressionPlan>,
    ) {
        let own = expressions.map_or(&[][..], |plan| &plan.own);
        self.expressions("", own);
        if let Some(plan) = standard {
            self.choices(plan);
        }
        for &index in &message.declared {
            let field = &message.fields[index as usize];
            let field_plan = standard.and_then(|plan| Some(&plan.fields[plan.place(index)?]));
            if let Some(plan) = field_plan {
                self.field(&field.name, plan);
            }
            let own = expressions.map_or(&[][..], |plan| &plan.fields);
            if let Some(plan) = own.iter().find(|plan| plan.index == index) {
                self.expressions_of_field(field, plan);
            }
        }
    }

    fn choices(&mut self, plan: &MessagePlan) {
        for choice in &plan.choices {
            let sentence = if choice.required {
                format!("one of {} must be set, and only one", choice.names)
            } else {
                format!("only one of {} can be set", choice.names)
            };
            self.add("", "message.oneof", &sentence, RuleCost::Constant);
        }
        for oneof in &plan.oneofs {
            let sentence = "exactly one field is required in oneof";
            self.add(&oneof.name, "required", sentence, RuleCost::Constant);
        }
    }

    fn field(&mut self, name: &str, plan: &FieldPlan) {
        if plan.required {
            self.add(name, "required", "value is required", RuleCost::Constant);
        }
        match &plan.rules {
            FieldRules::One(rules) => self.checks(name, &rules.checks),
            FieldRules::List(list) => {
                self.checks(name, &list.counts);
                if list.unique {
                    let sentence = "repeated value must contain unique items";
                    self.add(name, UNIQUE, sentence, RuleCost::Elements);
                }
                self.checks(&format!("{name}[]"), &list.items.checks);
            }
            FieldRules::Map(map) => {
                self.checks(name, &map.counts);
                self.checks(&format!("{name}{{}} (key)"), &map.keys.checks);
                self.checks(&format!("{name}{{}}"), &map.values.checks);
            }
        }
    }

    fn checks(&mut self, path: &str, checks: &[Check]) {
        for check in checks {
            self.add(path, &check.id, &check.message, cost(&check.test));
        }
    }

    fn expressions_of_field(&mut self, field: &Field, plan: &FieldExpressions) {
        let name = &*field.name;
        self.expressions(name, &plan.own);
        match field.cardinality {
            // The value of a singular field has no rules other than the rules of the field.
            Cardinality::Singular => {}
            Cardinality::Repeated => self.expressions(&format!("{name}[]"), &plan.values.own),
            Cardinality::Map => {
                self.expressions(&format!("{name}{{}} (key)"), &plan.keys.own);
                self.expressions(&format!("{name}{{}}"), &plan.values.own);
            }
        }
    }

    fn expressions(&mut self, path: &str, rules: &[Expression]) {
        for rule in rules {
            let sentence = match &*rule.message {
                "" => rule.text.to_string(),
                message => message.to_owned(),
            };
            let steps = rule.program.cost().coefficients().to_vec();
            self.add(path, &rule.id, &sentence, RuleCost::Steps(steps));
            if let Some(last) = self.rules.last_mut() {
                last.expression = Some(rule.text.to_string());
            }
        }
    }

    fn add(&mut self, path: &str, id: &str, sentence: &str, cost: RuleCost) {
        self.rules.push(ExplainedRule {
            message: self.message.to_owned(),
            path: path.to_owned(),
            id: id.to_owned(),
            sentence: sentence.to_owned(),
            expression: None,
            cost,
        });
    }
}

fn cost(test: &Test) -> RuleCost {
    match test {
        Test::Text(TextTest::Bytes(_) | TextTest::NotEmpty)
        | Test::Bytes(BytesTest::Length(_) | BytesTest::Lengths(_) | BytesTest::NotEmpty) => {
            RuleCost::Constant
        }
        Test::Text(_) | Test::Bytes(_) => RuleCost::Length,
        Test::Mask(_) => RuleCost::Elements,
        Test::Signed(_)
        | Test::Unsigned(_)
        | Test::Float(_)
        | Test::Finite
        | Test::Bool(_)
        | Test::Time(_)
        | Test::Now(_) => RuleCost::Constant,
    }
}
