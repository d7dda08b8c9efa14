//! The evaluation of a checked expression.
//!
//! The evaluation recurses once per level of the expression, and the parser bounds the number of
//! levels. Names are looked up only where a type is not known before the evaluation.

use std::sync::Arc;

use crate::ast::Logic;
use crate::budget::Budget;
use crate::construct;
use crate::entries::map_of;
use crate::error::{ErrorKind, EvalError};
use crate::function::Function;
use crate::library::Builtin;
use crate::node::{FieldOf, Literal, Node, Op};
use crate::operate::{call, part_in};
use crate::schema::Schema;
use crate::span::Span;
use crate::text::Text;
use crate::types::{Primitive, Type};
use crate::value::Value;

mod fold;

type Outcome<'a> = Result<Value<'a>, EvalError>;

/// A running evaluation.
pub(crate) struct Evaluation<'a, 'b> {
    pub(crate) schema: &'a dyn Schema,
    pub(crate) variables: &'b [Value<'a>],
    /// The variables of the enclosing macros, outermost first.
    pub(crate) locals: Vec<Value<'a>>,
    pub(crate) budget: &'b mut Budget,
}

impl<'a> Evaluation<'a, '_> {
    /// Returns the value of `node`.
    pub(crate) fn value(&mut self, node: &'a Node) -> Outcome<'a> {
        let span = node.span;
        let at = |kind: ErrorKind| kind.at(span);
        self.budget.take_steps(1).map_err(at)?;
        match &node.op {
            Op::Constant(constant) => Ok(Value::from(constant)),
            Op::Variable(index) => {
                let unbound = || ErrorKind::invalid("a variable has no value").at(span);
                self.variables
                    .get(*index as usize)
                    .cloned()
                    .ok_or_else(unbound)
            }
            Op::Local(index) => {
                let unbound = || ErrorKind::invalid("a variable has no value").at(span);
                self.locals
                    .get(*index as usize)
                    .cloned()
                    .ok_or_else(unbound)
            }
            Op::Type(name) => Ok(Value::Type(Text::Borrowed(name))),
            Op::Field(field) => self.field(field, span),
            Op::HasField(field) => self.has_field(field, span),
            Op::Member(operand, name) => {
                let operand = self.value(operand)?;
                self.member(&operand, name).map_err(at)
            }
            Op::HasMember(operand, name) => {
                let operand = self.value(operand)?;
                self.has_member(&operand, name).map_err(at)
            }
            Op::MemberNamed(parts) => self.member_named(&parts.0, &parts.1, span),
            Op::Logic(logic, operands) => self.logic(*logic, operands),
            Op::Conditional(parts) => self.conditional(parts),
            Op::Call(builtin, operands) => self.call(*builtin, operands, span),
            Op::Custom(functions, operands) => self.custom(functions, operands, span),
            Op::Matches(text, pattern) => match self.value(text)? {
                Value::String(text) => pattern
                    .matches(&text, self.budget)
                    .map(Value::Bool)
                    .map_err(at),
                _ => Err(ErrorKind::NoSuchOverload.at(span)),
            },
            Op::PartIn(part, timestamp, zone) => {
                let timestamp = self.value(timestamp)?;
                part_in(*part, &timestamp, zone).map_err(at)
            }
            Op::List(elements) => self.list(elements, span),
            Op::Map(entries) => self.map(entries, span),
            Op::Message(literal) => self.message(literal, span),
            Op::Fold(fold) => self.fold(fold, span),
            Op::Fail(kind) => Err(kind.clone().at(span)),
        }
    }

    fn field(&mut self, bound: &'a FieldOf, span: Span) -> Outcome<'a> {
        // Most fields belong to a variable. Such a field is read here without cloning the variable.
        let variables = self.variables;
        if let Op::Variable(index) = bound.operand.op
            && let Some(Value::Message(message)) = variables.get(index as usize)
            && message.id() == bound.message
        {
            let at = |kind: ErrorKind| kind.at(span);
            self.budget.take_steps(1).map_err(at)?;
            let value = message.get(&bound.field, self.budget).map_err(at)?;
            return Ok(value.unwrap_or_else(|| Value::unset(&bound.field)));
        }
        let operand = self.value(&bound.operand)?;
        match &operand {
            Value::Message(message) if message.id() == bound.message => {
                let value = message
                    .get(&bound.field, self.budget)
                    .map_err(|kind| kind.at(span))?;
                Ok(value.unwrap_or_else(|| Value::unset(&bound.field)))
            }
            _ => self
                .member(&operand, &bound.field.name)
                .map_err(|kind| kind.at(span)),
        }
    }

    fn has_field(&mut self, bound: &'a FieldOf, span: Span) -> Outcome<'a> {
        let operand = self.value(&bound.operand)?;
        let present = match &operand {
            Value::Message(message) if message.id() == bound.message => message
                .present(&bound.field, self.budget)
                .map(|value| Value::Bool(value.is_some())),
            _ => self.has_member(&operand, &bound.field.name),
        };
        present.map_err(|kind| kind.at(span))
    }

    /// Returns the value of the field `name` of a message, or of the key `name` of a map.
    fn member(&mut self, operand: &Value<'a>, name: &str) -> Result<Value<'a>, ErrorKind> {
        match operand {
            Value::Map(map) => {
                let found = map.find(&Value::borrowed(name), self.budget)?;
                found.ok_or(ErrorKind::NoSuchKey)
            }
            Value::Message(message) => {
                self.budget.take_steps(1)?;
                let Some(field) = self.schema.field(message.id(), name) else {
                    return Err(ErrorKind::NoSuchField(name.into()));
                };
                let value = message.get(&field, self.budget)?;
                Ok(value.unwrap_or_else(|| Value::unset_owned(&field)))
            }
            _ => Err(ErrorKind::NoSuchOverload),
        }
    }

    fn has_member(&mut self, operand: &Value<'a>, name: &str) -> Result<Value<'a>, ErrorKind> {
        match operand {
            Value::Map(map) => {
                let found = map.find(&Value::borrowed(name), self.budget)?;
                Ok(Value::Bool(found.is_some()))
            }
            Value::Message(message) => {
                self.budget.take_steps(1)?;
                let Some(field) = self.schema.field(message.id(), name) else {
                    return Err(ErrorKind::NoSuchField(name.into()));
                };
                let present = message.present(&field, self.budget)?;
                Ok(Value::Bool(present.is_some()))
            }
            _ => Err(ErrorKind::NoSuchOverload),
        }
    }

    fn member_named(&mut self, operand: &'a Node, name: &'a Node, span: Span) -> Outcome<'a> {
        let (operand, name) = (self.value(operand)?, self.value(name)?);
        let found = match name {
            Value::String(name) => {
                let read = self.budget.take_steps_to_read(name.len());
                read.and_then(|()| self.member(&operand, &name))
            }
            _ => Err(ErrorKind::NoSuchOverload),
        };
        found.map_err(|kind| kind.at(span))
    }

    /// Returns the value of `&&` or `||`. One decisive operand decides the result even if other
    /// operands fail. Only a spent budget always ends the evaluation.
    fn logic(&mut self, logic: Logic, operands: &'a [Node]) -> Outcome<'a> {
        let decisive = logic == Logic::Or;
        let mut error = None;
        for operand in operands {
            match self.truth(operand) {
                Ok(value) if value == decisive => return Ok(Value::Bool(decisive)),
                Ok(_) => {}
                Err(spent) if spent.kind == ErrorKind::Budget => return Err(spent),
                Err(other) => {
                    error.get_or_insert(other);
                }
            }
        }
        match error {
            Some(error) => Err(error),
            None => Ok(Value::Bool(!decisive)),
        }
    }

    fn truth(&mut self, node: &'a Node) -> Result<bool, EvalError> {
        match self.value(node)? {
            Value::Bool(value) => Ok(value),
            _ => Err(ErrorKind::NoSuchOverload.at(node.span)),
        }
    }

    fn conditional(&mut self, [condition, then, otherwise]: &'a [Node; 3]) -> Outcome<'a> {
        if self.truth(condition)? {
            self.value(then)
        } else {
            self.value(otherwise)
        }
    }

    fn call(&mut self, builtin: Builtin, operands: &'a [Node], span: Span) -> Outcome<'a> {
        let value = match operands {
            [operand] => {
                let arguments = [self.value(operand)?];
                call(builtin, &arguments, self.schema, self.budget)
            }
            [left, right] => {
                let arguments = [self.value(left)?, self.value(right)?];
                call(builtin, &arguments, self.schema, self.budget)
            }
            _ => {
                let arguments = self.values(operands)?;
                call(builtin, &arguments, self.schema, self.budget)
            }
        };
        value.map_err(|kind| kind.at(span))
    }

    fn values(&mut self, nodes: &'a [Node]) -> Result<Vec<Value<'a>>, EvalError> {
        let mut values = Vec::with_capacity(nodes.len());
        for node in nodes {
            values.push(self.value(node)?);
        }
        Ok(values)
    }

    fn custom(
        &mut self,
        functions: &'a [Arc<Function>],
        operands: &'a [Node],
        span: Span,
    ) -> Outcome<'a> {
        match operands {
            [operand] => {
                let arguments = [self.value(operand)?];
                self.apply(functions, &arguments, span)
            }
            _ => {
                let arguments = self.values(operands)?;
                self.apply(functions, &arguments, span)
            }
        }
    }

    fn apply(
        &mut self,
        functions: &'a [Arc<Function>],
        arguments: &[Value<'a>],
        span: Span,
    ) -> Outcome<'a> {
        let takes = |function: &&Arc<Function>| {
            let parameters = function.parameters.iter();
            parameters.len() == arguments.len()
                && parameters
                    .zip(arguments)
                    .all(|(parameter, argument)| has_type(argument, parameter))
        };
        let at = |kind: ErrorKind| kind.at(span);
        let function = functions
            .iter()
            .find(takes)
            .ok_or_else(|| at(ErrorKind::NoSuchOverload))?;
        self.budget.take_steps(function.steps).map_err(at)?;
        function.body.call(arguments, self.budget).map_err(at)
    }

    fn list(&mut self, elements: &'a [Node], span: Span) -> Outcome<'a> {
        let size = elements.len() * size_of::<Value<'a>>();
        self.budget.take_bytes(size).map_err(|kind| kind.at(span))?;
        self.values(elements).map(Value::list)
    }

    fn map(&mut self, entries: &'a [(Node, Node)], span: Span) -> Outcome<'a> {
        let mut values = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            values.push((self.value(key)?, self.value(value)?));
        }
        map_of(values, self.budget).map_err(|kind| kind.at(span))
    }

    fn message(&mut self, literal: &'a Literal, span: Span) -> Outcome<'a> {
        let mut fields = Vec::with_capacity(literal.fields.len());
        for (field, node) in &literal.fields {
            fields.push((field, self.value(node)?));
        }
        construct::message(literal.id, literal.known, fields, self.schema, self.budget)
            .map_err(|kind| kind.at(span))
    }
}

/// Returns whether `value` can be passed to a function's parameter of type `ty`. The elements of
/// lists and maps are not checked.
pub(crate) fn has_type(value: &Value<'_>, ty: &Type) -> bool {
    match ty {
        Type::Dyn | Type::Any | Type::Parameter(_) | Type::Opaque(..) => true,
        Type::Null => matches!(value, Value::Null),
        Type::Bool | Type::Wrapper(Primitive::Bool) => matches!(value, Value::Bool(_)),
        Type::Int | Type::Wrapper(Primitive::Int) => matches!(value, Value::Int(_)),
        Type::Uint | Type::Wrapper(Primitive::Uint) => matches!(value, Value::Uint(_)),
        Type::Double | Type::Wrapper(Primitive::Double) => matches!(value, Value::Double(_)),
        Type::String | Type::Wrapper(Primitive::String) => matches!(value, Value::String(_)),
        Type::Bytes | Type::Wrapper(Primitive::Bytes) => matches!(value, Value::Bytes(_)),
        Type::Duration => matches!(value, Value::Duration(_)),
        Type::Timestamp => matches!(value, Value::Timestamp(_)),
        Type::List(_) => matches!(value, Value::List(_)),
        Type::Map(_) => matches!(value, Value::Map(_)),
        Type::Message(id) => matches!(value, Value::Message(message) if message.id() == *id),
        Type::Type(_) => matches!(value, Value::Type(_)),
    }
}
