//! A compiled CEL rule.

use std::fmt;

use gateway_cel::{Budget, Constant, ErrorKind, EvalError, Failure, Field, Program, Span, Value};

use super::values::protobuf;
use crate::table::{MessageId, Table};

/// The index of the variable `now` in every environment, after `this`.
pub(super) const NOW: u32 = 1;

/// The index of the variable `rules` in the environment of a predefined rule: after `this` and
/// `now`, before `rule`.
const RULES: u32 = 2;

/// A rule in CEL.
pub(in crate::rules) struct Expression {
    pub program: Program,
    /// True if the expression reads the variable `now`.
    pub reads_clock: bool,
    pub id: Box<str>,
    /// The sentence that a violation of the rule shows, or empty if the rule has no such sentence.
    pub message: Box<str>,
    pub text: Box<str>,
    /// The name of the message or field that the rule belongs to.
    pub owner: Box<str>,
    pub predefined: Option<Predefined>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expression")
            .field("owner", &self.owner)
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}

/// The inputs of a predefined rule other than the value that it checks.
#[derive(Debug)]
pub(in crate::rules) struct Predefined {
    /// The type of the message that holds the rules, such as `buf.validate.StringRules`.
    pub message: MessageId,
    pub rules: Box<[u8]>,
    /// The field of that message that sets the rule.
    pub field: Field,
    /// The value of the rule, if the value is a scalar or a list of scalars.
    pub rule: Option<Constant>,
}

/// The outcome of a rule.
pub(super) enum Verdict {
    Holds,
    /// The value violates the rule. The sentence describes the violation.
    Broken(String),
}

impl Expression {
    /// Evaluates the rule for the value `this`.
    ///
    /// # Errors
    ///
    /// Fails if the expression cannot be evaluated, or if its value is neither a bool nor a string.
    pub(super) fn evaluate<'a>(
        &'a self,
        table: &'a Table,
        this: Value<'a>,
        now: Value<'a>,
        budget: &mut Budget,
    ) -> Result<Verdict, EvalError> {
        let value = match &self.predefined {
            None => self.program.evaluate(&[this, now], budget)?,
            Some(predefined) => {
                let reads = &self.program.reads().variables;
                let [rules, rule] = predefined.values(table, reads.contains(&RULES));
                self.program.evaluate(&[this, now, rules, rule], budget)?
            }
        };
        let sentence = match value {
            Value::Bool(true) => return Ok(Verdict::Holds),
            Value::String(sentence) if sentence.is_empty() => return Ok(Verdict::Holds),
            Value::String(sentence) => sentence.to_string(),
            Value::Bool(false) => format!("\"{}\" returned false", self.text),
            _ => {
                return Err(EvalError {
                    span: Span::default(),
                    kind: ErrorKind::invalid("the value is neither a bool nor a string"),
                });
            }
        };
        Ok(Verdict::Broken(match &*self.message {
            "" => sentence,
            message => message.to_owned(),
        }))
    }
}

impl Predefined {
    /// Returns the reason why `program` fails for every value that the rule may check, or `None` if
    /// the program may succeed.
    pub(super) fn failure(&self, program: &Program, table: &Table) -> Option<ErrorKind> {
        let [rules, rule] = self.values(table, true).map(Some);
        match program.failure(&[None, None, rules, rule])? {
            Failure {
                error,
                decides: true,
            } => Some(error.kind),
            _ => None,
        }
    }

    /// Returns the value of the rule, or `None` if the value is neither a scalar nor a list of
    /// scalars.
    pub(super) fn constant(&self, table: &Table) -> Option<Constant> {
        let [_, rule] = self.values(table, false);
        constant(&rule)
    }

    /// Returns the values of the variables `rules` and `rule`. `wanted` is true if the caller needs
    /// the value of `rules`. Otherwise, this value may be null.
    fn values<'a>(&'a self, table: &'a Table, wanted: bool) -> [Value<'a>; 2] {
        if let (Some(rule), false) = (&self.rule, wanted) {
            return [Value::Null, Value::from(rule)];
        }
        let rules = self.decoded(table);
        let rule = match (&self.rule, &rules) {
            (Some(rule), _) => Value::from(rule),
            (None, Value::Message(rules)) => {
                let found = rules.get(&self.field, &mut Budget::new(u64::MAX, u64::MAX));
                let found = found.ok().flatten();
                found.unwrap_or_else(|| Value::unset(&self.field))
            }
            (None, _) => Value::unset(&self.field),
        };
        [rules, rule]
    }

    /// Returns the message that holds the rules. The message is well-formed, because the rules have
    /// been compiled.
    fn decoded<'a>(&'a self, table: &'a Table) -> Value<'a> {
        let read = protobuf::read(table, None, self.message, &self.rules);
        read.map_or(Value::Null, |node| node.value.unwrap_or(Value::Null))
    }
}

/// Returns a value as a constant, or `None` if it is neither a scalar nor a list of scalars.
fn constant(value: &Value) -> Option<Constant> {
    Some(match value {
        Value::Null => Constant::Null,
        Value::Bool(value) => Constant::Bool(*value),
        Value::Int(value) => Constant::Int(*value),
        Value::Uint(value) => Constant::Uint(*value),
        Value::Double(value) => Constant::Double(*value),
        Value::String(text) => Constant::String((&**text).into()),
        Value::Bytes(bytes) => Constant::Bytes((&**bytes).into()),
        Value::Duration(value) => Constant::Duration(*value),
        Value::Timestamp(value) => Constant::Timestamp(*value),
        Value::List(list) => {
            let mut budget = Budget::new(u64::MAX, u64::MAX);
            let elements = (0..list.len()).map(|at| constant(&list.get(at, &mut budget).ok()?));
            Constant::List(elements.collect::<Option<_>>()?)
        }
        Value::Type(_) | Value::Map(_) | Value::Message(_) => return None,
    })
}
