//! Compiles any text and evaluates it over values of every type: whatever it is, the answer comes within the budget, and
//! a fault is at a place of the text. The first byte chooses when types are checked.
#![no_main]

use std::sync::Arc;

use gateway_cel::{
    Budget, Bytes, Checking, Duration, Environment, ErrorKind, Field, Kind, Label, Message,
    MessageId, Schema, Timestamp, Type, Value, WellKnown, Wrapped,
};

/// The steps and bytes of an evaluation. More of either would be a target that finds little.
const BUDGET: u64 = 20_000;

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
            let mut budget = Budget::new(BUDGET, BUDGET);
            match program.evaluate(&values(), &mut budget) {
                Ok(value) => fits(&value, program.result()),
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

/// Asserts that a value is of the type that the checker found, where no `dyn` can have hidden another one.
fn fits(value: &Value<'_>, of: &Type) {
    if *of == Type::Bool {
        assert!(matches!(value, Value::Bool(_)), "{value:?} is no bool");
    }
}

fn declare(environment: &mut Environment) {
    let declared = [
        ("n", Type::Message(MessageId(0))),
        ("d", Type::Dyn),
        ("i", Type::Int),
        ("u", Type::Uint),
        ("s", Type::String),
        ("b", Type::Bytes),
        ("t", Type::Timestamp),
        ("l", Type::list(Type::String)),
        ("p", Type::Duration),
    ];
    for (name, of) in declared {
        environment.variable(name, of);
    }
}

/// Returns the values of the variables.
fn values<'a>() -> [Value<'a>; 9] {
    [
        Value::message(MessageId(0), &Node),
        Value::Double(1.5),
        Value::Int(i64::MIN),
        Value::Uint(u64::MAX),
        Value::borrowed("añ 9%s"),
        Value::Bytes(Bytes::Borrowed(b"\xff\x00")),
        Value::Timestamp(Timestamp::EPOCH),
        Value::list(vec![Value::borrowed("é"), Value::borrowed("b")]),
        Value::Duration(Duration::new(315_576_000_000, 0).unwrap()),
    ]
}

/// One message type, which holds itself.
struct Nodes;

const FIELDS: [(&str, Kind, Label); 9] = [
    ("a", Kind::Int32, Label::Implicit),
    ("s", Kind::String, Label::Explicit),
    ("n", Kind::Message(MessageId(0)), Label::Explicit),
    ("r", Kind::Message(MessageId(0)), Label::Repeated),
    ("m", Kind::Uint64, Label::Map(Kind::String)),
    ("v", Kind::WellKnown(WellKnown::Value), Label::Explicit),
    ("y", Kind::WellKnown(WellKnown::Any), Label::Explicit),
    (
        "w",
        Kind::WellKnown(WellKnown::Wrapper(Wrapped::Float)),
        Label::Explicit,
    ),
    ("x", Kind::WellKnown(WellKnown::Struct), Label::Explicit),
];

impl Schema for Nodes {
    fn message(&self, name: &str) -> Option<MessageId> {
        (name == "N").then_some(MessageId(0))
    }

    fn message_name(&self, _: MessageId) -> &str {
        "N"
    }

    fn field(&self, id: MessageId, name: &str) -> Option<Field> {
        self.fields(id)
            .into_iter()
            .find(|field| &*field.name == name)
    }

    fn fields(&self, _: MessageId) -> Vec<Field> {
        let numbered = FIELDS.iter().zip(0..);
        let declared = numbered.map(|((name, kind, label), index)| Field {
            name: (*name).into(),
            index,
            kind: *kind,
            label: *label,
            default: None,
        });
        declared.collect()
    }

    fn enum_value(&self, name: &str) -> Option<i32> {
        (name == "E.X").then_some(3)
    }

    fn unpack<'a>(&'a self, _: &str, _: &[u8], _: &mut Budget) -> Result<Value<'a>, ErrorKind> {
        Ok(Value::empty_message(MessageId(0)))
    }
}

/// A message that is its own child.
struct Node;

impl<'a> Message<'a> for Node {
    fn get(&self, field: &Field, budget: &mut Budget) -> Result<Option<Value<'a>>, ErrorKind> {
        budget.take_steps(1)?;
        Ok(match &*field.name {
            "a" => Some(Value::Int(7)),
            "s" => Some(Value::borrowed("text")),
            "n" => Some(Value::message(MessageId(0), &Node)),
            "r" => Some(Value::list(vec![
                Value::message(MessageId(0), &Node),
                Value::empty_message(MessageId(0)),
            ])),
            _ => None,
        })
    }
}
