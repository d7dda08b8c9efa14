//! Tests of functions that the caller of the crate adds to an environment.

use gateway_cel::{Budget, ErrorKind, Function, Type, Value};

use crate::Language;

fn language() -> Language {
    let mut language = Language::new();
    let environment = &mut language.environment;
    environment.function(Function::member(
        "twice",
        &[Type::String],
        Type::String,
        10,
        twice,
    ));
    environment.function(Function::member(
        "twice",
        &[Type::Int],
        Type::Int,
        10,
        twice,
    ));
    environment.function(Function::global(
        "demo.first",
        &[Type::list(Type::Parameter(0))],
        Type::Parameter(0),
        1,
        first,
    ));
    language
}

fn twice<'a>(arguments: &[Value<'a>], budget: &mut Budget) -> Result<Value<'a>, ErrorKind> {
    match arguments {
        [Value::String(text)] => {
            budget.take_bytes(2 * text.len())?;
            Ok(Value::owned(text.repeat(2)))
        }
        [Value::Int(value)] => value
            .checked_mul(2)
            .map(Value::Int)
            .ok_or(ErrorKind::Overflow),
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

fn first<'a>(arguments: &[Value<'a>], budget: &mut Budget) -> Result<Value<'a>, ErrorKind> {
    match arguments {
        [Value::List(list)] => list.get(0, budget),
        _ => Err(ErrorKind::NoSuchOverload),
    }
}

#[test]
fn overloads_are_chosen_by_type() {
    language().assert(
        "name: 'ab' soft: 3 tags: 'x'",
        &[
            ("this.name.twice()", "'abab'"),
            ("this.soft.twice()", "6"),
            ("dyn(this.soft).twice()", "6"),
            ("dyn(this.name).twice()", "'abab'"),
            ("dyn(true).twice()", "error: no such overload"),
            ("demo.first(this.tags) + '!'", "'x!'"),
            ("demo.first([])", "error: the index is out of range"),
            (
                "true.twice()",
                "does not compile: a value of type bool has no function `twice()`",
            ),
        ],
    );
}

#[test]
fn each_call_takes_the_declared_steps() {
    let language = language();
    let program = language.compile("this.soft.twice()");
    let this = language.schema.meaning(&language.parse("")).unwrap();
    let mut budget = Budget::new(100, 0);
    program
        .evaluate(std::slice::from_ref(&this), &mut budget)
        .unwrap();
    // The call, the field and the variable take one step each, and the function itself takes 10.
    assert_eq!(budget.steps(), 100 - 3 - 10);
    let error = program
        .evaluate(&[this], &mut Budget::new(12, 0))
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Budget);
}
