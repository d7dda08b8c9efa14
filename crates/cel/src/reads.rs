//! The variables and fields that an expression reads, as far as they are known before the
//! evaluation.

use std::collections::BTreeSet;

use crate::field::{Field, Kind, Label, WellKnown};
use crate::library::Builtin;
use crate::node::{FoldOf, Node, Op, Variables};
use crate::types::{MessageId, Type};

/// The variables and fields that an expression reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// The variables, identified by their indices in the environment.
    pub variables: BTreeSet<u32>,
    /// The fields, each as the type of its message and its [`Field::index`](crate::Field::index).
    pub fields: BTreeSet<(MessageId, u32)>,
    /// Set if the expression may read fields that are not listed. The reason may be that a message
    /// is compared, formatted or passed to a function as a whole. Another reason is a message whose
    /// type is known only at evaluation.
    pub others: bool,
}

impl Reads {
    /// Returns the variables and fields that `node` reads. `variables` are the names and types of
    /// the environment's variables.
    pub(crate) fn of(node: &Node, variables: &[(String, Type)]) -> Self {
        let mut reader = Reader {
            reads: Self::default(),
            variables,
            locals: Vec::new(),
        };
        reader.node(node);
        reader.reads
    }
}

struct Reader<'e> {
    reads: Reads,
    variables: &'e [(String, Type)],
    /// For each variable of the enclosing macros, outermost first: true if it can be a message.
    locals: Vec<bool>,
}

impl Reader<'_> {
    /// Adds the variables and fields that `node` reads.
    fn node(&mut self, node: &Node) {
        match &node.op {
            Op::Constant(_) | Op::Type(_) | Op::Fail(_) | Op::Local(_) => {}
            Op::Variable(at) => {
                self.reads.variables.insert(*at);
            }
            Op::Field(bound) | Op::HasField(bound) => {
                self.reads.fields.insert((bound.message, bound.field.index));
                self.node(&bound.operand);
            }
            Op::Member(operand, _) | Op::HasMember(operand, _) => {
                self.reads.others = true;
                self.node(operand);
            }
            Op::MemberNamed(parts) => {
                self.reads.others = true;
                self.node(&parts.0);
                self.node(&parts.1);
            }
            Op::Logic(_, nodes) | Op::List(nodes) => self.nodes(nodes),
            Op::Conditional(nodes) => self.nodes(&nodes[..]),
            Op::Custom(_, nodes) => self.used_whole(nodes),
            Op::Call(Builtin::Equal | Builtin::NotEqual | Builtin::In | Builtin::Format, nodes) => {
                self.used_whole(nodes)
            }
            Op::Call(_, nodes) => self.nodes(nodes),
            Op::Matches(operand, _) => self.node(operand),
            Op::PartIn(_, operand, _) => self.node(operand),
            Op::Map(entries) => {
                for (key, value) in entries {
                    self.node(key);
                    self.node(value);
                }
            }
            Op::Message(literal) => {
                // A message in a field of type Value is converted to JSON as a whole.
                for (_, value) in &literal.fields {
                    self.used_whole(std::slice::from_ref(value));
                }
            }
            Op::Fold(fold) => self.fold(fold),
        }
    }

    fn nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            self.node(node);
        }
    }

    /// Adds the variables and fields that `nodes` read, for an operation that uses their values as
    /// a whole. If one of the values may be a message, the operation may read other fields, too.
    fn used_whole(&mut self, nodes: &[Node]) {
        let whole = nodes.iter().any(|node| self.may_be_message(node));
        self.reads.others |= whole;
        self.nodes(nodes);
    }

    fn fold(&mut self, fold: &FoldOf) {
        self.node(&fold.range);
        let outer = self.locals.len();
        self.bind(fold);
        if let Some(filter) = &fold.filter {
            self.node(filter);
        }
        self.node(&fold.body);
        self.locals.truncate(outer);
    }

    /// Records whether the variables of a macro can be messages.
    fn bind(&mut self, fold: &FoldOf) {
        let elements = self.may_be_message(&fold.range);
        let keys = matches!(&fold.range.op, Op::Field(bound) if matches!(bound.field.label, Label::Map(_)));
        match fold.variables {
            Variables::One => self.locals.push(elements && !keys),
            Variables::Two => self.locals.extend([false, elements]),
        }
    }

    /// Returns whether `node` can be a message, or a list or map of messages.
    fn may_be_message(&mut self, node: &Node) -> bool {
        let any =
            |this: &mut Self, nodes: &[Node]| nodes.iter().any(|node| this.may_be_message(node));
        match &node.op {
            Op::Variable(at) => {
                let ty = self.variables.get(*at as usize).map(|(_, ty)| ty);
                ty.is_none_or(type_may_be_message)
            }
            Op::Local(at) => self.locals.get(*at as usize).copied().unwrap_or(true),
            Op::Member(..) | Op::MemberNamed(_) | Op::Message(_) => true,
            Op::Custom(functions, _) => functions
                .iter()
                .any(|function| type_may_be_message(&function.result)),
            Op::Field(bound) => field_may_be_message(&bound.field),
            Op::List(nodes) => any(self, nodes),
            Op::Map(entries) => entries.iter().any(|(_, value)| self.may_be_message(value)),
            Op::Conditional(nodes) => any(self, &nodes[1..]),
            Op::Call(Builtin::Index | Builtin::ToDyn | Builtin::Add, nodes) => any(self, nodes),
            Op::Fold(fold) => {
                let outer = self.locals.len();
                self.bind(fold);
                let may = self.may_be_message(&fold.range) || self.may_be_message(&fold.body);
                self.locals.truncate(outer);
                may
            }
            _ => false,
        }
    }
}

fn field_may_be_message(field: &Field) -> bool {
    matches!(
        field.kind,
        Kind::Message(_) | Kind::WellKnown(WellKnown::Any)
    )
}

fn type_may_be_message(ty: &Type) -> bool {
    match ty {
        Type::Message(_) | Type::Dyn | Type::Any | Type::Parameter(_) | Type::Opaque(..) => true,
        Type::List(element) => type_may_be_message(element),
        Type::Map(entry) => type_may_be_message(&entry.1),
        _ => false,
    }
}
