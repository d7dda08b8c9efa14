//! The checked expression, which the evaluator runs. The checker has looked up its names.

use std::sync::Arc;

use crate::ast::{FoldKind, Logic};
use crate::constant::Constant;
use crate::error::ErrorKind;
use crate::field::{Field, WellKnown};
use crate::function::Function;
use crate::library::{Builtin, TimePart};
use crate::pattern::Pattern;
use crate::span::Span;
use crate::types::MessageId;
use crate::zone::Zone;

/// A part of a checked expression.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) op: Op,
}

impl Node {
    /// Returns the parts of the operation in the order in which they are evaluated, each with the
    /// number of macro variables that the operation binds for the part.
    pub(crate) fn parts(&self) -> Vec<(&Self, u32)> {
        match &self.op {
            Op::Constant(_) | Op::Variable(_) | Op::Local(_) | Op::Type(_) | Op::Fail(_) => {
                Vec::new()
            }
            Op::Field(bound) | Op::HasField(bound) => vec![(&bound.operand, 0)],
            Op::Member(operand, _)
            | Op::HasMember(operand, _)
            | Op::Matches(operand, _)
            | Op::PartIn(_, operand, _) => vec![(operand, 0)],
            Op::MemberNamed(parts) => vec![(&parts.0, 0), (&parts.1, 0)],
            Op::Logic(_, nodes) | Op::Call(_, nodes) | Op::Custom(_, nodes) | Op::List(nodes) => {
                unbound_parts(nodes)
            }
            Op::Conditional(nodes) => unbound_parts(&nodes[..]),
            Op::Map(entries) => {
                let entries = entries.iter();
                entries
                    .flat_map(|(key, value)| [(key, 0), (value, 0)])
                    .collect()
            }
            Op::Message(literal) => literal.fields.iter().map(|(_, node)| (node, 0)).collect(),
            Op::Fold(fold) => {
                let bound = match fold.variables {
                    Variables::One => 1,
                    Variables::Two => 2,
                };
                let mut parts = vec![(&fold.range, 0)];
                parts.extend(fold.filter.as_ref().map(|filter| (filter, bound)));
                parts.push((&fold.body, bound));
                parts
            }
        }
    }
}

/// Returns `nodes` as parts for which the operation binds no variables.
fn unbound_parts(nodes: &[Node]) -> Vec<(&Node, u32)> {
    nodes.iter().map(|node| (node, 0)).collect()
}

#[derive(Debug)]
pub(crate) enum Op {
    Constant(Constant),
    /// A variable of the environment, identified by its index in the list of variables.
    Variable(u32),
    /// A variable of a macro, identified by its index on the stack of such variables.
    Local(u32),
    Type(Box<str>),
    /// A field of a message. The type of the message is known when the expression is compiled.
    Field(Box<FieldOf>),
    HasField(Box<FieldOf>),
    /// The value of a map for the key in the string. If the type of the operand is known only at
    /// evaluation, the operand may also be a message. The string is then the name of a field.
    Member(Box<Node>, Box<str>),
    HasMember(Box<Node>, Box<str>),
    /// A field whose name is an argument: `getField(message, name)`.
    MemberNamed(Box<(Node, Node)>),
    Logic(Logic, Vec<Node>),
    Conditional(Box<[Node; 3]>),
    Call(Builtin, Vec<Node>),
    /// A function that the caller of this crate defines. The first overload whose parameters fit
    /// the arguments is called.
    Custom(Vec<Arc<Function>>, Vec<Node>),
    /// `matches` with a pattern that is known when the expression is compiled.
    Matches(Box<Node>, Box<Pattern>),
    /// A part of a timestamp in a zone that is known when the expression is compiled.
    PartIn(TimePart, Box<Node>, Box<Zone>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Message(Box<Literal>),
    Fold(Box<FoldOf>),
    /// An expression that always fails. If types are checked at evaluation, the checker returns
    /// this operation in place of an expression that it would otherwise reject.
    Fail(ErrorKind),
}

/// A field, and the message from which it is read.
#[derive(Debug)]
pub(crate) struct FieldOf {
    pub(crate) operand: Node,
    /// The type of the operand.
    pub(crate) message: MessageId,
    pub(crate) field: Field,
}

/// A message literal.
#[derive(Debug)]
pub(crate) struct Literal {
    pub(crate) id: MessageId,
    pub(crate) known: Option<WellKnown>,
    pub(crate) fields: Vec<(Field, Node)>,
}

/// A macro that visits the elements of a list or map.
#[derive(Debug)]
pub(crate) struct FoldOf {
    pub(crate) kind: FoldKind,
    pub(crate) range: Node,
    pub(crate) variables: Variables,
    pub(crate) filter: Option<Node>,
    pub(crate) body: Node,
}

/// The variables of a macro.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variables {
    /// An element or a key.
    One,
    /// An index and an element, or a key and a value.
    Two,
}
