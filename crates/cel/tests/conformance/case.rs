//! Runs one conformance case: its declarations, its values and its expected result.

use std::sync::Arc;

use gateway_cel::{
    Budget, Checking, Environment, ErrorKind, EvalError, Function, Primitive, Span, Type, Value,
};
use prost_reflect::{DynamicMessage, Value as ProtoValue};

use crate::same::same;
use crate::support::{Reflected, map};

/// Runs a `SimpleTest`. Returns an error that describes how the result differs from the expected
/// result.
pub fn run(schema: &Arc<Reflected>, test: &DynamicMessage) -> Result<(), String> {
    let mut environment = Environment::new(schema.clone());
    environment.container(&text(test, "container"));
    if flag(test, "disable_check") {
        environment.checking(Checking::Evaluation);
    }
    declare(schema, test, &mut environment);
    let mut bound = Vec::new();
    if let Some(ProtoValue::Map(bindings)) = field(test, "bindings") {
        for (name, value) in bindings {
            let name = name.as_str().unwrap().to_owned();
            let declared = fields(test, "type_env")
                .iter()
                .any(|declared| text(declared, "name") == name);
            if !declared {
                environment.variable(&name, Type::Dyn);
            }
            bound.push((name, message(value.as_message().unwrap(), "value").unwrap()));
        }
    }
    let expression = text(test, "expr");
    let program = match environment.compile(&expression) {
        Ok(program) => program,
        // The compiler rejects a string literal that cannot be valid, such as a bad timestamp. The
        // specification reports the error at evaluation.
        Err(errors)
            if message(test, "eval_error").is_some()
                && errors
                    .iter()
                    .all(|error| is_literal(&expression, error.span)) =>
        {
            return Ok(());
        }
        Err(errors) => return Err(format!("does not compile: {}", errors[0])),
    };
    let typed = message(test, "typed_result");
    if let Some(deduced) = typed
        .as_ref()
        .and_then(|typed| message(typed, "deduced_type"))
    {
        let expected = type_of(schema, &deduced);
        if *program.result() != expected {
            return Err(format!(
                "is of type {:?}, not {expected:?}",
                program.result()
            ));
        }
    }
    if flag(test, "check_only") {
        return Ok(());
    }
    let mut variables = Vec::new();
    for (name, value) in &bound {
        let at = environment.variable(name, Type::Dyn);
        variables.resize(variables.len().max(at + 1), Value::Null);
        variables[at] = value_of(schema, value)?;
    }
    let result = program.evaluate(&variables, &mut Budget::new(100_000, 1_000_000));
    let failure = program.failure(&[]);
    if result.is_ok() && failure.is_some_and(|failure| failure.decides) {
        return Err("has a value, but was predicted to fail for all values".to_owned());
    }
    judge(schema, test, typed.as_ref(), result)
}

/// Returns true if `span` covers exactly one single-quoted string literal.
fn is_literal(expression: &str, span: Span) -> bool {
    let part = &expression[span.start as usize..span.end as usize];
    part.len() >= 2 && part.starts_with('\'') && part[1..].find('\'') == Some(part.len() - 2)
}

fn judge(
    schema: &Reflected,
    test: &DynamicMessage,
    typed: Option<&DynamicMessage>,
    result: Result<Value<'_>, EvalError>,
) -> Result<(), String> {
    if message(test, "eval_error").is_some() || message(test, "any_eval_errors").is_some() {
        return match result {
            Ok(value) => Err(format!("is {value:?} instead of an error")),
            Err(error) if error.kind == ErrorKind::Budget => Err("spends its budget".to_owned()),
            Err(_) => Ok(()),
        };
    }
    let value = result.map_err(|error| format!("fails: {error}"))?;
    let expected =
        match message(test, "value").or_else(|| typed.and_then(|typed| message(typed, "result"))) {
            Some(expected) => value_of(schema, &expected)?,
            None => Value::Bool(true),
        };
    if same(schema, &value, &expected) {
        return Ok(());
    }
    Err(format!("is {value:?}, not {expected:?}"))
}

fn declare(schema: &Reflected, test: &DynamicMessage, environment: &mut Environment) {
    for declared in fields(test, "type_env") {
        let name = text(&declared, "name");
        if let Some(variable) = message(&declared, "ident") {
            let ty = message(&variable, "type");
            let ty = ty.map_or(Type::Dyn, |source| type_of(schema, &source));
            environment.variable(&name, ty);
        }
        let overloads =
            message(&declared, "function").map(|function| fields(&function, "overloads"));
        for overload in overloads.unwrap_or_default() {
            let parameters: Vec<Type> = fields(&overload, "params")
                .iter()
                .map(|source| type_of(schema, source))
                .collect();
            let result = type_of(schema, &message(&overload, "result_type").unwrap());
            let make = if flag(&overload, "is_instance_function") {
                Function::member
            } else {
                Function::global
            };
            environment.function(make(&name, &parameters, result, 1, undefined));
        }
    }
}

/// The body of a function that a case declares. Such cases only check types, so no call is made.
fn undefined<'a>(_: &[Value<'a>], _: &mut Budget) -> Result<Value<'a>, ErrorKind> {
    Err(ErrorKind::invalid("the function has no body"))
}

/// Converts a `cel.expr.Type` to a type.
fn type_of(schema: &Reflected, source: &DynamicMessage) -> Type {
    let set = source.fields().next();
    let Some((kind, value)) = set else {
        return Type::Dyn;
    };
    let number = value.as_enum_number().unwrap_or(0);
    match kind.name() {
        "null" => Type::Null,
        "primitive" => primitive(number).plain(),
        "wrapper" => Type::Wrapper(primitive(number)),
        "well_known" => match number {
            1 => Type::Any,
            2 => Type::Timestamp,
            _ => Type::Duration,
        },
        "list_type" => Type::list(inner(schema, value, "elem_type")),
        "map_type" => Type::map(
            inner(schema, value, "key_type"),
            inner(schema, value, "value_type"),
        ),
        "message_type" => {
            let name = value.as_str().unwrap();
            gateway_cel::Kind::message(name, schema.id(name)).to_type()
        }
        // The cases name each type parameter with one uppercase letter.
        "type_param" => Type::Parameter(u32::from(value.as_str().unwrap().as_bytes()[0] - b'A')),
        "type" => Type::Type(Arc::new(
            value
                .as_message()
                .map_or(Type::Dyn, |source| type_of(schema, source)),
        )),
        "abstract_type" => {
            let value = value.as_message().unwrap();
            let parameters: Vec<Type> = fields(value, "parameter_types")
                .iter()
                .map(|source| type_of(schema, source))
                .collect();
            Type::Opaque(text(value, "name").into(), parameters.into())
        }
        _ => Type::Dyn,
    }
}

fn inner(schema: &Reflected, value: &ProtoValue, name: &str) -> Type {
    let part = value.as_message().and_then(|value| message(value, name));
    part.map_or(Type::Dyn, |source| type_of(schema, &source))
}

fn primitive(number: i32) -> Primitive {
    match number {
        1 => Primitive::Bool,
        2 => Primitive::Int,
        3 => Primitive::Uint,
        4 => Primitive::Double,
        5 => Primitive::String,
        _ => Primitive::Bytes,
    }
}

/// Converts a `cel.expr.Value`, or an `ExprValue` that contains one, to a value.
fn value_of<'a>(schema: &'a Reflected, source: &DynamicMessage) -> Result<Value<'a>, String> {
    let reported = |error: ErrorKind| error.to_string();
    let Some((kind, value)) = source.fields().next() else {
        return Ok(Value::Null);
    };
    Ok(match kind.name() {
        "null_value" => Value::Null,
        "type_value" => match value {
            ProtoValue::String(name) => {
                Value::Type(gateway_cel::Text::Shared(name.as_str().into()))
            }
            _ => return Err("has a type without a name".to_owned()),
        },
        "list_value" => {
            let elements = fields(value.as_message().unwrap(), "values");
            let elements: Result<Vec<_>, _> = elements
                .iter()
                .map(|element| value_of(schema, element))
                .collect();
            Value::list(elements?)
        }
        "map_value" => {
            let mut entries = Vec::new();
            for entry in fields(value.as_message().unwrap(), "entries") {
                let key = value_of(schema, &message(&entry, "key").unwrap())?;
                entries.push((key, value_of(schema, &message(&entry, "value").unwrap())?));
            }
            map(entries)
        }
        "enum_value" => return Err("has an enum of its own type".to_owned()),
        "value" => return value_of(schema, value.as_message().unwrap()),
        _ => schema.value(value).map_err(reported)?,
    })
}

pub fn field(message: &DynamicMessage, name: &str) -> Option<ProtoValue> {
    message
        .get_field_by_name(name)
        .map(|value| value.into_owned())
}

/// Returns the messages of a repeated field.
pub fn fields(message: &DynamicMessage, name: &str) -> Vec<DynamicMessage> {
    match field(message, name) {
        Some(ProtoValue::List(list)) => list
            .iter()
            .map(|part| part.as_message().unwrap().clone())
            .collect(),
        _ => Vec::new(),
    }
}

/// Returns the message that a field holds, or `None` if the field is not set.
pub fn message(source: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    if !source.has_field_by_name(name) {
        return None;
    }
    field(source, name).and_then(|value| value.as_message().cloned())
}

pub fn text(message: &DynamicMessage, name: &str) -> String {
    field(message, name)
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn flag(message: &DynamicMessage, name: &str) -> bool {
    field(message, name)
        .and_then(|value| value.as_bool())
        .unwrap_or(false)
}
