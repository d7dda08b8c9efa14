//! Compiles arbitrary text and evaluates it over values of every type. Asserts that a budget error
//! occurs only when the budget is spent, that the span of each error lies within the text, and that
//! an expression for which `Program::failure` predicts a failure has no value. The first byte
//! selects whether types are checked at compilation or at evaluation.
#![no_main]

use std::sync::Arc;

use gateway_cel::{Budget, Checking, Environment, ErrorKind, Type, Value};
use gateway_cel_fuzz::{BUDGET, Nodes, declare, values};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((mode, text)) = input.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let mut environment = Environment::new(Arc::new(Nodes));
    declare(&mut environment);
    if mode & 1 == 1 {
        environment.checking(Checking::Evaluation);
    }
    match environment.compile(text) {
        Ok(program) => {
            let failure = program.failure(&[]);
            if let Some(failure) = &failure {
                let range = failure.error.span.start as usize..failure.error.span.end as usize;
                assert!(text.get(range).is_some(), "{text:?}: {failure:?}");
            }
            let mut budget = Budget::new(BUDGET, BUDGET);
            match program.evaluate(&values(), &mut budget) {
                Ok(value) => {
                    let fails = failure.is_some_and(|failure| failure.decides);
                    assert!(!fails, "{text:?}: {value:?}, but it always fails");
                    fits(&value, program.result());
                }
                Err(error) => {
                    let spent = budget.steps() == 0 || budget.bytes() == 0;
                    assert!(error.kind != ErrorKind::Budget || spent, "{error}");
                    assert!(
                        text.get(error.span.start as usize..error.span.end as usize)
                            .is_some()
                    );
                }
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                let range = error.span.start as usize..error.span.end as usize;
                assert!(text.get(range).is_some(), "{text:?}: {error:?}");
            }
        }
    }
});

/// Asserts that a value is a bool if the checker deduced the type bool. Other types are not
/// compared, since `dyn` can hide the type of an element.
fn fits(value: &Value<'_>, ty: &Type) {
    if *ty == Type::Bool {
        assert!(matches!(value, Value::Bool(_)), "{value:?} is no bool");
    }
}
