//! Message types, variables and values for the fuzz targets.

use gateway_cel::{
    Budget, Bytes, Duration, Environment, ErrorKind, Field, Kind, Label, Message, MessageId,
    Schema, Timestamp, Type, Value, WellKnown, Wrapped,
};

/// The budget of an evaluation, in steps and in bytes. With a larger budget, a target would run
/// slower and find little more.
pub const BUDGET: u64 = 20_000;

/// Declares the variables.
pub fn declare(environment: &mut Environment) {
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
    for (name, ty) in declared {
        environment.variable(name, ty);
    }
}

/// Returns the values of the variables.
pub fn values<'a>() -> [Value<'a>; 9] {
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

/// A schema of two message types: one that can contain itself, and one of scalars.
#[derive(Debug)]
pub struct Nodes;

/// The message type of [`Nodes`] whose fields are scalars.
pub const SCALARS: MessageId = MessageId(1);

const SCALAR_FIELDS: [(&str, Kind, Label); 8] = [
    ("i", Kind::Int64, Label::Implicit),
    ("o", Kind::Int32, Label::Explicit),
    ("u", Kind::Uint64, Label::Implicit),
    ("d", Kind::Double, Label::Implicit),
    ("b", Kind::Bool, Label::Implicit),
    ("s", Kind::String, Label::Implicit),
    ("e", Kind::String, Label::Explicit),
    ("y", Kind::Bytes, Label::Implicit),
];

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

    fn fields(&self, id: MessageId) -> Vec<Field> {
        let fields: &[(&str, Kind, Label)] = match id {
            SCALARS => &SCALAR_FIELDS,
            _ => &FIELDS,
        };
        let numbered = fields.iter().zip(0..);
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

/// A message of the type [`SCALARS`], with the value of each field in order, or `None` if the field
/// is unset.
#[derive(Debug)]
pub struct Scalars<'a>(pub [Option<Value<'a>>; 8]);

impl<'a> Message<'a> for Scalars<'a> {
    fn get(&self, field: &Field, budget: &mut Budget) -> Result<Option<Value<'a>>, ErrorKind> {
        budget.take_steps(1)?;
        Ok(self.0[field.index as usize].clone())
    }
}
