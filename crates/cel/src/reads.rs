//! What can be known of an expression's cost and needs before it is evaluated.

use std::collections::BTreeSet;

use crate::field::{Kind, WellKnown};
use crate::library::Builtin;
use crate::node::{Node, Op};
use crate::span::Span;
use crate::types::MessageId;

/// What an expression reads, and how often it visits elements for each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// The variables that it reads, by their places in the environment.
    pub variables: BTreeSet<u32>,
    /// The fields that it reads, each by the message type that has it and [`Field::index`](crate::Field::index).
    pub fields: BTreeSet<(MessageId, u32)>,
    /// Whether it may read fields that are not listed: a message is compared or formatted, given to a function, or
    /// of a type that shows only when it is evaluated.
    pub others: bool,
    /// With which power of the number of elements the cost grows: 0 without macros over lists or maps, 2 where
    /// one visits all elements for each element.
    pub degree: u32,
    /// The innermost part that makes the degree 2 or more.
    pub nested: Option<Span>,
}

impl Reads {
    pub(crate) fn of(node: &Node) -> Self {
        let mut reads = Self::default();
        reads.node(node, 0);
        reads
    }

    fn visits(&mut self, span: Span, degree: u32) {
        if degree > self.degree {
            self.degree = degree;
            if degree >= 2 {
                self.nested = Some(span);
            }
        }
    }

    /// Adds what `node` reads within `around` visits of lists or maps.
    fn node(&mut self, node: &Node, around: u32) {
        match &node.op {
            Op::Constant(_) | Op::Type(_) | Op::Fail(_) | Op::Local(_) => {}
            Op::Variable(at) => {
                self.variables.insert(*at);
            }
            Op::Field(bound) | Op::HasField(bound) => {
                self.fields.insert((bound.message, bound.field.index));
                self.node(&bound.operand, around);
            }
            Op::Member(operand, _) | Op::HasMember(operand, _) => {
                self.others = true;
                self.node(operand, around);
            }
            Op::MemberNamed(parts) => {
                self.others = true;
                self.node(&parts.0, around);
                self.node(&parts.1, around);
            }
            Op::Logic(_, nodes) | Op::List(nodes) => self.nodes(nodes, around),
            Op::Conditional(nodes) => self.nodes(&nodes[..], around),
            Op::Custom(_, nodes) => {
                self.others = true;
                self.nodes(nodes, around);
            }
            Op::Call(builtin, nodes) => {
                let compares = matches!(
                    builtin,
                    Builtin::Equal | Builtin::NotEqual | Builtin::In | Builtin::Format
                );
                self.others |= compares && nodes.iter().any(may_be_message);
                if let (Builtin::In, [_, range]) = (builtin, nodes.as_slice())
                    && !is_stated(range)
                {
                    self.visits(node.span, around + 1);
                }
                self.nodes(nodes, around);
            }
            Op::Matches(operand, _) => self.node(operand, around),
            Op::PartIn(_, operand, _) => self.node(operand, around),
            Op::Map(entries) => {
                for (key, value) in entries {
                    self.node(key, around);
                    self.node(value, around);
                }
            }
            Op::Message(literal) => {
                for (_, value) in &literal.fields {
                    self.node(value, around);
                }
            }
            Op::Fold(fold) => {
                self.node(&fold.range, around);
                let within = if is_stated(&fold.range) {
                    around
                } else {
                    around + 1
                };
                self.visits(node.span, within);
                if let Some(filter) = &fold.filter {
                    self.node(filter, within);
                }
                self.node(&fold.body, within);
            }
        }
    }

    fn nodes(&mut self, nodes: &[Node], around: u32) {
        for node in nodes {
            self.node(node, around);
        }
    }
}

/// Returns whether the list or map is as long as the expression says, whatever the payload.
fn is_stated(range: &Node) -> bool {
    matches!(range.op, Op::Constant(_) | Op::List(_) | Op::Map(_))
}

/// Returns whether `node` can be a message, or a list or map of messages.
fn may_be_message(node: &Node) -> bool {
    match &node.op {
        Op::Variable(_) | Op::Local(_) | Op::Member(..) | Op::MemberNamed(_) | Op::Custom(..) => {
            true
        }
        Op::Field(bound) => {
            matches!(
                bound.field.kind,
                Kind::Message(_) | Kind::WellKnown(WellKnown::Any)
            )
        }
        Op::List(nodes) => nodes.iter().any(may_be_message),
        Op::Map(entries) => entries.iter().any(|(_, value)| may_be_message(value)),
        Op::Conditional(nodes) => nodes.iter().any(may_be_message),
        Op::Call(Builtin::Index | Builtin::ToDyn | Builtin::Add, nodes) => {
            nodes.iter().any(may_be_message)
        }
        Op::Message(_) => true,
        Op::Fold(fold) => may_be_message(&fold.range) || may_be_message(&fold.body),
        _ => false,
    }
}
