//! Finds parts of an expression that fail whenever they are evaluated.
//!
//! The checker cannot find these parts, because their types fit. Examples are a division by a
//! constant zero, an index below 0, a constant that cannot be converted, and a wrong type that
//! `dyn()` hides.

use crate::ast::Logic;
use crate::budget::Budget;
use crate::error::{ErrorKind, EvalError};
use crate::evaluate::{Evaluation, has_type};
use crate::format;
use crate::function::Function;
use crate::library::Builtin;
use crate::node::{Node, Op};
use crate::operate::call;
use crate::pattern::Pattern;
use crate::schema::Schema;
use crate::time::{Duration, Timestamp};
use crate::types::Type;
use crate::value::{Key, ListValue, MapValue, Value};
use crate::zone::Zone;

/// The budget of all constant parts of an expression together, in steps and in bytes of memory. A
/// part that exceeds the rest of the budget has an unknown outcome.
pub(crate) const BUDGET: Budget = Budget::new(10_000, 1 << 20);

/// A part of an expression that fails whenever it is evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The part, and the reason why it fails.
    pub error: EvalError,
    /// Set if the whole expression fails whenever it is evaluated. Otherwise, the expression may
    /// succeed for some values of the variables. For these values, the part is not evaluated, or an
    /// enclosing `&&`, `||`, `all` or `exists` has a value in spite of the failure.
    pub decides: bool,
}

/// Returns the first part of `node` that fails whenever it is evaluated, or `None` if no such part
/// is found. A part that makes the whole expression fail takes precedence.
///
/// `variables` are the names and types of the variables. For each variable, `known` contains the
/// value if it is the same in all evaluations, or else `None`.
pub(crate) fn failure<'a>(
    node: &'a Node,
    schema: &'a dyn Schema,
    variables: &[(String, Type)],
    known: &[Option<Value<'a>>],
) -> Option<Failure> {
    let values = known.iter().map(|value| match value {
        Some(value) => value.clone(),
        None => Value::Null,
    });
    let mut finder = Finder {
        schema,
        variables,
        values: values.collect(),
        known: known.iter().map(Option::is_some).collect(),
        budget: BUDGET,
    };
    let facts = finder.node(node, 0);
    let facts = finder.resolved(node, 0, facts);
    let decides = matches!(facts.outcome, Outcome::Fails(_));
    facts.failing().map(|error| Failure { error, decides })
}

/// Returns the type that all values of `node` have, even if `dyn()` hides it from the checker.
/// Returns `None` if the type is known only at evaluation.
pub(crate) fn static_type(node: &Node, variables: &[(String, Type)]) -> Option<Type> {
    let ty = match &node.op {
        Op::Variable(at) => variables.get(*at as usize)?.1.clone(),
        Op::Field(bound) => bound.field.to_type(),
        Op::HasField(_) | Op::HasMember(..) | Op::Logic(..) | Op::Matches(..) => Type::Bool,
        Op::PartIn(..) => Type::Int,
        Op::List(_) => Type::list(Type::Dyn),
        Op::Map(_) => Type::map(Type::Dyn, Type::Dyn),
        Op::Constant(constant) => type_of_value(&Value::from(constant))?,
        Op::Conditional(nodes) => {
            let ty = static_type(&nodes[1], variables)?;
            return (static_type(&nodes[2], variables)? == ty).then_some(ty);
        }
        Op::Call(Builtin::ToDyn, nodes) => static_type(nodes.first()?, variables)?,
        Op::Call(builtin, _) => result_type(*builtin)?,
        Op::Custom(functions, _) => match &functions[..] {
            [function] => function.result.clone(),
            _ => return None,
        },
        _ => return None,
    };
    let is_dynamic = matches!(ty, Type::Dyn | Type::Any | Type::Parameter(_));
    (!is_dynamic).then_some(ty)
}

/// Returns the type of a function's results, or `None` if the type depends on the arguments.
fn result_type(builtin: Builtin) -> Option<Type> {
    Some(match builtin {
        Builtin::Not
        | Builtin::Equal
        | Builtin::NotEqual
        | Builtin::Less
        | Builtin::LessEqual
        | Builtin::Greater
        | Builtin::GreaterEqual
        | Builtin::In
        | Builtin::Contains
        | Builtin::StartsWith
        | Builtin::EndsWith
        | Builtin::Matches
        | Builtin::ToBool => Type::Bool,
        Builtin::Size
        | Builtin::Part(_)
        | Builtin::ToInt
        | Builtin::IndexOf
        | Builtin::LastIndexOf => Type::Int,
        Builtin::ToUint => Type::Uint,
        Builtin::ToDouble => Type::Double,
        Builtin::ToBytes => Type::Bytes,
        Builtin::ToDuration => Type::Duration,
        Builtin::ToTimestamp => Type::Timestamp,
        Builtin::ToString
        | Builtin::CharAt
        | Builtin::Format
        | Builtin::Join
        | Builtin::LowerAscii
        | Builtin::Quote
        | Builtin::Replace
        | Builtin::Substring
        | Builtin::Trim
        | Builtin::UpperAscii => Type::String,
        _ => return None,
    })
}

/// Returns the type of a value, with `dyn` for the types of elements. Returns `None` if the value
/// is itself a type.
pub(crate) fn type_of_value(value: &Value<'_>) -> Option<Type> {
    Some(match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Bool,
        Value::Int(_) => Type::Int,
        Value::Uint(_) => Type::Uint,
        Value::Double(_) => Type::Double,
        Value::String(_) => Type::String,
        Value::Bytes(_) => Type::Bytes,
        Value::Duration(_) => Type::Duration,
        Value::Timestamp(_) => Type::Timestamp,
        Value::List(_) => Type::list(Type::Dyn),
        Value::Map(_) => Type::map(Type::Dyn, Type::Dyn),
        Value::Message(message) => Type::Message(message.id()),
        Value::Type(_) => return None,
    })
}

/// Returns a sample value of a type, or `None` if there is none. The choice of an overload depends
/// only on the types of the arguments, so the sample stands for all values of its type.
fn sample<'a>(ty: &Type) -> Option<Value<'a>> {
    Some(match ty {
        Type::Null => Value::Null,
        Type::Bool => Value::Bool(true),
        Type::Int => Value::Int(1),
        Type::Uint => Value::Uint(1),
        Type::Double => Value::Double(1.0),
        Type::String => Value::borrowed(""),
        Type::Bytes => Value::Bytes(crate::text::Bytes::Borrowed(b"")),
        Type::Duration => Value::Duration(Duration::ZERO),
        Type::Timestamp => Value::Timestamp(Timestamp::EPOCH),
        Type::List(_) => Value::List(ListValue::Constant(&[])),
        Type::Map(_) => Value::Map(MapValue::Empty),
        _ => return None,
    })
}

/// The inputs that the value of a part depends on.
#[derive(Clone, Copy)]
struct Inputs {
    /// Set if the part reads a variable whose value is not known.
    unknown: bool,
    /// The lowest index of a macro variable that the part reads, or `u32::MAX` if it reads none.
    lowest_local: u32,
}

impl Inputs {
    const NONE: Self = Self {
        unknown: false,
        lowest_local: u32::MAX,
    };

    fn union(self, other: Self) -> Self {
        Self {
            unknown: self.unknown || other.unknown,
            lowest_local: self.lowest_local.min(other.lowest_local),
        }
    }

    /// Returns whether a part with these inputs, in the scope of `locals` macro variables, has the
    /// same value in all evaluations.
    fn are_constant(self, locals: u32) -> bool {
        !self.unknown && self.lowest_local >= locals
    }
}

/// The outcome of all evaluations of a part, as far as it is known.
enum Outcome<'a> {
    Value(Value<'a>),
    Fails(EvalError),
    /// The outcome may differ between evaluations, or it has not been determined.
    Unknown,
}

/// The facts that are known about a part.
struct Facts<'a> {
    inputs: Inputs,
    outcome: Outcome<'a>,
    /// The first inner part that fails whenever it is evaluated. This failure is reported only if
    /// the outcome of the whole part is unknown.
    inside: Option<EvalError>,
}

impl<'a> Facts<'a> {
    fn unknown(inputs: Inputs, inside: Option<EvalError>) -> Self {
        Self {
            inputs,
            outcome: Outcome::Unknown,
            inside,
        }
    }

    fn failing(self) -> Option<EvalError> {
        match self.outcome {
            Outcome::Fails(error) => Some(error),
            Outcome::Unknown => self.inside,
            Outcome::Value(_) => None,
        }
    }

    fn value(&self) -> Option<&Value<'a>> {
        match &self.outcome {
            Outcome::Value(value) => Some(value),
            Outcome::Fails(_) | Outcome::Unknown => None,
        }
    }
}

struct Finder<'a, 'e> {
    schema: &'a dyn Schema,
    variables: &'e [(String, Type)],
    values: Vec<Value<'a>>,
    /// For each variable, true if its value is known.
    known: Vec<bool>,
    budget: Budget,
}

impl<'a> Finder<'a, '_> {
    /// Returns the known facts about `node`, which is in the scope of `locals` macro variables.
    ///
    /// The outcome of a constant `node` is left unknown. If the parent of `node` is not constant,
    /// the caller evaluates `node` by [`Finder::resolved`]. Otherwise, `node` is evaluated together
    /// with its parent.
    fn node(&mut self, node: &'a Node, locals: u32) -> Facts<'a> {
        let mut inputs = Inputs::NONE;
        match node.op {
            Op::Variable(at) => {
                inputs.unknown = !self.known.get(at as usize).is_some_and(|known| *known);
            }
            Op::Local(at) => inputs.lowest_local = at,
            _ => {}
        }
        let parts = node.parts();
        let mut facts = Vec::with_capacity(parts.len());
        for (part, bound) in &parts {
            let part_facts = self.node(part, locals + bound);
            inputs = inputs.union(part_facts.inputs);
            facts.push(part_facts);
        }
        if inputs.are_constant(locals) {
            return Facts::unknown(inputs, None);
        }
        let parts = parts.into_iter().zip(facts);
        let facts = parts.map(|((part, bound), facts)| self.resolved(part, locals + bound, facts));
        let facts = facts.collect();
        self.combined(node, inputs, facts)
    }

    /// Returns `facts` with the outcome of `node`, if `node` is constant.
    fn resolved(&mut self, node: &'a Node, locals: u32, facts: Facts<'a>) -> Facts<'a> {
        if !facts.inputs.are_constant(locals) {
            return facts;
        }
        let mut evaluation = Evaluation {
            schema: self.schema,
            variables: &self.values,
            // A constant part reads no variable of an enclosing macro, so these values are never
            // used.
            locals: vec![Value::Null; locals as usize],
            budget: &mut self.budget,
        };
        let outcome = match evaluation.value(node) {
            Ok(value) => Outcome::Value(value),
            Err(error) if error.kind == ErrorKind::Budget => Outcome::Unknown,
            Err(error) => Outcome::Fails(error),
        };
        Facts { outcome, ..facts }
    }

    /// Returns the known facts about `node`. `facts` are the facts about its parts.
    fn combined(&self, node: &Node, inputs: Inputs, facts: Vec<Facts<'a>>) -> Facts<'a> {
        let fails = |error| Facts {
            inputs,
            outcome: Outcome::Fails(error),
            inside: None,
        };
        match &node.op {
            Op::Logic(logic, nodes) => return self.logic(*logic, nodes, inputs, facts),
            Op::Conditional(nodes) => return self.conditional(nodes, inputs, facts),
            Op::Fold(fold) => {
                let visits = |ty: Type| matches!(ty, Type::List(_) | Type::Map(_));
                if !self.type_of(&fold.range).is_none_or(visits) {
                    return fails(ErrorKind::NoSuchOverload.at(node.span));
                }
                // The other parts are evaluated once for each element, and there may be no
                // elements.
                if let Outcome::Fails(error) = &facts[0].outcome {
                    return fails(error.clone());
                }
                return Facts::unknown(inputs, first(facts));
            }
            _ => {}
        }
        let failing = facts.iter().find_map(|part| match &part.outcome {
            Outcome::Fails(error) => Some(error.clone()),
            _ => None,
        });
        let own = || {
            let kind = self.operation(node, &facts)?;
            Some(kind.at(node.span))
        };
        match failing.or_else(own) {
            Some(error) => fails(error),
            None => Facts::unknown(inputs, first(facts)),
        }
    }

    fn logic(
        &self,
        logic: Logic,
        nodes: &[Node],
        inputs: Inputs,
        mut facts: Vec<Facts<'a>>,
    ) -> Facts<'a> {
        let decisive = logic == Logic::Or;
        for (node, part) in nodes.iter().zip(&mut facts) {
            match part.value() {
                Some(Value::Bool(value)) if *value == decisive => {
                    return Facts {
                        inputs,
                        outcome: Outcome::Value(Value::Bool(decisive)),
                        inside: None,
                    };
                }
                _ => self.truth(node, part),
            }
        }
        let undecided = facts
            .iter()
            .any(|part| matches!(part.outcome, Outcome::Unknown));
        let inside = first(facts);
        match inside {
            Some(error) if !undecided => Facts {
                inputs,
                outcome: Outcome::Fails(error),
                inside: None,
            },
            inside => Facts::unknown(inputs, inside),
        }
    }

    fn conditional(
        &self,
        nodes: &[Node; 3],
        inputs: Inputs,
        mut facts: Vec<Facts<'a>>,
    ) -> Facts<'a> {
        self.truth(&nodes[0], &mut facts[0]);
        let outcome = match (&facts[0].outcome, &facts[1].outcome, &facts[2].outcome) {
            (Outcome::Value(Value::Bool(value)), ..) => {
                let taken = facts.swap_remove(if *value { 1 } else { 2 });
                return Facts { inputs, ..taken };
            }
            (Outcome::Fails(error), ..) | (_, Outcome::Fails(error), Outcome::Fails(_)) => {
                Outcome::Fails(error.clone())
            }
            _ => Outcome::Unknown,
        };
        Facts {
            inputs,
            outcome,
            inside: first(facts),
        }
    }

    /// Records [`ErrorKind::NoSuchOverload`] as the outcome of an operand that can never be a bool.
    /// A failure that is already known remains.
    fn truth(&self, node: &Node, facts: &mut Facts<'a>) {
        let is_bool = |ty: Type| matches!(ty, Type::Bool | Type::Wrapper(_));
        let fits = self.type_of(node).is_none_or(is_bool)
            && facts
                .value()
                .is_none_or(|value| matches!(value, Value::Bool(_)));
        if !fits && !matches!(facts.outcome, Outcome::Fails(_)) {
            facts.outcome = Outcome::Fails(ErrorKind::NoSuchOverload.at(node.span));
        }
    }

    /// Returns the reason why the operation of `node` fails for all values of its unknown parts, or
    /// `None` if it may succeed.
    fn operation(&self, node: &Node, facts: &[Facts<'a>]) -> Option<ErrorKind> {
        let values: Vec<Option<&Value<'a>>> = facts.iter().map(Facts::value).collect();
        match &node.op {
            Op::Call(builtin, nodes) => arguments(*builtin, &values)
                .or_else(|| self.index(*builtin, nodes, &values))
                .or_else(|| self.format(*builtin, nodes, &values))
                .or_else(|| self.overload(*builtin, nodes)),
            Op::Custom(functions, nodes) => {
                let samples: Vec<_> = nodes.iter().map(|node| self.sample(node)).collect();
                let fits = functions.iter().any(|function| takes(function, &samples));
                (!fits).then_some(ErrorKind::NoSuchOverload)
            }
            Op::Member(operand, name) | Op::HasMember(operand, name) => self.field(operand, name),
            Op::MemberNamed(parts) => match values[1] {
                Some(Value::String(name)) => self.field(&parts.0, name),
                _ => None,
            },
            Op::Map(_) => repeated_key(&values),
            _ => None,
        }
    }

    fn type_of(&self, node: &Node) -> Option<Type> {
        static_type(node, self.variables)
    }

    fn sample(&self, node: &Node) -> Option<Value<'a>> {
        sample(&self.type_of(node)?)
    }

    /// Returns the failure of an access to a list at a constant index below 0, or `None` for any
    /// other call.
    fn index(
        &self,
        builtin: Builtin,
        nodes: &[Node],
        values: &[Option<&Value<'a>>],
    ) -> Option<ErrorKind> {
        let (Builtin::Index, [_, Some(Value::Int(at))]) = (builtin, values) else {
            return None;
        };
        let is_list = matches!(self.type_of(nodes.first()?), Some(Type::List(_)));
        (is_list && *at < 0).then_some(ErrorKind::IndexOutOfRange)
    }

    /// Returns the failure of a call of `format` with a constant format string. Returns `None` if
    /// the call may succeed, and for any other call.
    fn format(
        &self,
        builtin: Builtin,
        nodes: &[Node],
        values: &[Option<&Value<'a>>],
    ) -> Option<ErrorKind> {
        let (Builtin::Format, [Some(Value::String(format_string)), _]) = (builtin, values) else {
            return None;
        };
        let arguments: Option<Vec<_>> = match &nodes.get(1)?.op {
            Op::List(nodes) => Some(nodes.iter().map(|node| self.sample(node)).collect()),
            _ => None,
        };
        format::failure(format_string, arguments.as_deref(), self.schema)
    }

    /// Returns the failure of a function that has no overload for the types of `nodes`. Returns
    /// `None` if the function has such an overload, or if one of the types is unknown.
    fn overload(&self, builtin: Builtin, nodes: &[Node]) -> Option<ErrorKind> {
        let samples = nodes.iter().map(|node| self.sample(node));
        let samples = samples.collect::<Option<Vec<Value<'_>>>>()?;
        let budget = &mut Budget::new(u64::MAX, u64::MAX);
        match call(builtin, &samples, self.schema, budget) {
            Err(ErrorKind::NoSuchOverload) => Some(ErrorKind::NoSuchOverload),
            _ => None,
        }
    }

    /// Returns the failure of an access to the field `name` of `operand`, if no value of `operand`
    /// has such a field. A map may have any key.
    fn field(&self, operand: &Node, name: &str) -> Option<ErrorKind> {
        match self.type_of(operand)? {
            Type::Map(_) => None,
            Type::Message(id) => match self.schema.field(id, name) {
                Some(_) => None,
                None => Some(ErrorKind::NoSuchField(name.into())),
            },
            _ => Some(ErrorKind::NoSuchOverload),
        }
    }
}

/// Returns the first failure in these parts, in the order of the text.
fn first(facts: Vec<Facts<'_>>) -> Option<EvalError> {
    let failing = facts.into_iter().filter_map(Facts::failing);
    failing.min_by_key(|error| error.span)
}

/// Returns whether a function takes values of the types of `samples`. The sample `None` stands for
/// a value of unknown type.
fn takes(function: &Function, samples: &[Option<Value<'_>>]) -> bool {
    let mut pairs = function.parameters.iter().zip(samples);
    let fit = pairs.all(|(ty, sample)| sample.as_ref().is_none_or(|sample| has_type(sample, ty)));
    fit && function.parameters.len() == samples.len()
}

/// Returns the reason why a function fails for the known arguments, or `None` if it may succeed.
fn arguments(builtin: Builtin, values: &[Option<&Value<'_>>]) -> Option<ErrorKind> {
    let out_of_range = |at: &i64| (*at < 0).then_some(ErrorKind::IndexOutOfRange);
    match (builtin, values) {
        (Builtin::Divide | Builtin::Modulo, [_, Some(Value::Int(0) | Value::Uint(0))]) => {
            Some(ErrorKind::DivisionByZero)
        }
        (Builtin::Matches, [_, Some(Value::String(pattern))]) => {
            let reason = Pattern::at_run_time(pattern).err()?;
            let text = format!("the pattern does not compile: {reason}");
            Some(ErrorKind::invalid(text))
        }
        (Builtin::Part(_), [_, Some(Value::String(zone))]) => Zone::named(zone).err(),
        (Builtin::Substring, [_, Some(Value::Int(from)), Some(Value::Int(to))]) if from > to => {
            Some(ErrorKind::IndexOutOfRange)
        }
        (Builtin::CharAt | Builtin::Substring, [_, Some(Value::Int(at)), ..]) => out_of_range(at),
        (
            Builtin::Substring | Builtin::IndexOf | Builtin::LastIndexOf,
            [_, _, Some(Value::Int(at))],
        ) => out_of_range(at),
        _ => None,
    }
}

/// Returns the failure of a map in which a constant key occurs twice. In `values`, the known keys
/// and values of the map alternate.
fn repeated_key(values: &[Option<&Value<'_>>]) -> Option<ErrorKind> {
    let keys = values.iter().step_by(2).flatten();
    let mut keys: Vec<_> = keys.filter_map(|key| Key::of(key)).collect();
    keys.sort_unstable();
    let is_twice = keys.windows(2).any(|pair| pair[0] == pair[1]);
    is_twice.then_some(ErrorKind::RepeatedKey)
}
