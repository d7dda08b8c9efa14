//! The language as the gateway's rules use it: what each expression means, is refused for, and costs.
//!
//! - `bounds`: Size, levels, steps and memory.
//! - `errors`: What does not compile, with its place and its cure.
//! - `functions`: Functions of the caller.
//! - `library`: The standard library, function by function.
//! - `messages`: Fields, presence, messages with a meaning of their own, literals.
//! - `patterns`: RE2's syntax and meaning.
//! - `reads`: What is known of an expression before it is evaluated.
//! - `syntax`: Literals, operators, macros, names.
//! - `verdicts`: Rules that a well-known interpreter judges wrongly.

mod bounds;
mod errors;
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

/// The variable `this` of type `demo.Order`, and what it is compiled against.
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

    /// Returns the value of `expression` as text, for the message that `payload` writes in the text format.
    fn value_for(&self, expression: &str, payload: &str) -> String {
        let program = match self.environment.compile(expression) {
            Ok(program) => program,
            Err(errors) => return format!("does not compile: {}", errors[0].message),
        };
        let message = self.parse(payload);
        let this = self.schema.meaning(&message).unwrap();
        match program.evaluate(&[this], &mut Budget::new(100_000, 1_000_000)) {
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

/// Returns a value as a literal of the language writes it, more or less.
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
