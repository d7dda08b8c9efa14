//! Tests of the language as the gateway's rules use it: the values, the errors and the costs of
//! expressions.
//!
//! - `bounds`: Bounds on size, depth, steps and memory.
//! - `cost`: The bound on the cost of an evaluation.
//! - `errors`: Expressions that do not compile, with the place and the help of each error.
//! - `failures`: Parts that fail whenever they are evaluated.
//! - `functions`: Functions that the caller adds to an environment.
//! - `library`: The standard library, function by function.
//! - `messages`: Fields, presence, well-known types and message literals.
//! - `patterns`: RE2's syntax and meaning.
//! - `reads`: Facts about an expression that are known before it is evaluated.
//! - `syntax`: Literals, operators, macros, names.
//! - `verdicts`: Rules that a well-known interpreter judges wrongly.

mod bounds;
mod cost;
mod errors;
mod failures;
mod functions;
mod library;
mod messages;
mod patterns;
mod reads;
#[path = "../support/mod.rs"]
mod support;
mod syntax;
mod verdicts;

use std::path::Path;
use std::sync::Arc;

use gateway_cel::{Budget, Environment, Program, Type, Value};
use prost_reflect::DynamicMessage;

use support::Reflected;

/// A schema, and an environment in which `this` is a message, by default a `demo.Order`.
struct Language {
    schema: Arc<Reflected>,
    environment: Environment,
}

impl Language {
    fn new() -> Self {
        Self::of("demo.Order")
    }

    fn of(message: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language");
        let mut compiler = protox::Compiler::new([folder]).unwrap();
        compiler.include_imports(true);
        compiler
            .open_files(["messages.proto", "legacy.proto"])
            .unwrap();
        let schema = Arc::new(Reflected::new(compiler.descriptor_pool()));
        let mut environment = Environment::new(schema.clone());
        environment.variable("this", Type::Message(schema.id(message)));
        Self {
            schema,
            environment,
        }
    }

    fn compile(&self, expression: &str) -> Program {
        let program = self.environment.compile(expression);
        program.unwrap_or_else(|errors| panic!("{expression}: {errors:?}"))
    }

    /// Returns the value of `expression` as text. `payload` is the message `this` in protobuf's
    /// text format. A compile error or an evaluation error is returned as text, too.
    fn value_for(&self, expression: &str, payload: &str) -> String {
        let program = match self.environment.compile(expression) {
            Ok(program) => program,
            Err(errors) => return format!("does not compile: {}", errors[0].message),
        };
        let message = self.parse(payload);
        let this = self.schema.meaning(&message).unwrap();
        let failure = program.failure(&[]);
        let fails = failure.is_some_and(|failure| failure.decides);
        match program.evaluate(&[this], &mut Budget::new(100_000, 1_000_000)) {
            Ok(_) if fails => panic!("{expression} has a value"),
            Ok(value) => text(&value),
            Err(error) => format!("error: {}", error.kind),
        }
    }

    fn parse(&self, payload: &str) -> DynamicMessage {
        let id = match self.environment.compile("this").unwrap().result() {
            Type::Message(id) => *id,
            other => panic!("{other:?}"),
        };
        let name = gateway_cel::Schema::message_name(&*self.schema, id);
        let descriptor = self.schema.pool.get_message_by_name(name).unwrap();
        DynamicMessage::parse_text_format(descriptor, payload).unwrap()
    }

    /// Asserts the value of each expression for a payload.
    fn assert(&self, payload: &str, cases: &[(&str, &str)]) {
        let mut wrong = String::new();
        for (expression, expected) in cases {
            let found = self.value_for(expression, payload);
            if found != *expected {
                wrong += &format!("\n{expression}\n  is {found}\n  not {expected}");
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }
}

/// Formats a value roughly as a CEL literal.
fn text(value: &Value<'_>) -> String {
    let mut budget = Budget::new(1_000, 0);
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => format!("{value}u"),
        Value::Double(value) => format!("{value:?}"),
        Value::String(text) => format!("'{}'", &**text),
        Value::Bytes(bytes) => format!("{:?}", &**bytes),
        Value::Duration(length) => format!("{}.{:09}s", length.seconds(), length.nanos()),
        Value::Timestamp(moment) => format!("{}.{:09}", moment.seconds(), moment.nanos()),
        Value::Type(name) => name.to_string(),
        Value::List(list) => {
            let elements = (0..list.len()).map(|at| text(&list.get(at, &mut budget).unwrap()));
            format!("[{}]", elements.collect::<Vec<_>>().join(", "))
        }
        Value::Map(map) => {
            let entries = (0..map.len()).map(|at| {
                let (key, value) = map.entry(at, &mut budget).unwrap();
                format!("{}: {}", text(&key), text(&value))
            });
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Message(_) => "message".to_owned(),
    }
}
