//! An upper bound on the cost of an expression, known before any evaluation.

use std::sync::Arc;

use crate::ast::FoldKind;
use crate::budget::STEP_BYTES;
use crate::constant::Constant;
use crate::field::{Kind, Label, WellKnown};
use crate::function::Function;
use crate::library::Builtin;
use crate::node::{FoldOf, Node, Op, Variables};
use crate::operate::PATTERN_STEPS;
use crate::span::Span;
use crate::types::Type;
use crate::value::Value;
use crate::zone::LOOKUP_STEPS;

/// Steps to find a key in a map that an expression has built. A binary search in a million entries
/// takes 20 steps.
const KEY_STEPS: u64 = 20;

/// Steps per entry to scan a map of the payload for keys. A map is scanned once, however many keys
/// are looked up.
const ENTRY_STEPS: u64 = 2;

/// Steps to store one element of a list or map that an expression builds, without the steps to
/// evaluate the element itself.
const ELEMENT_STEPS: u64 = (size_of::<(Value<'_>, Value<'_>)>() / STEP_BYTES) as u64;

/// An upper bound on the steps of an evaluation, without the steps for the bytes that it reads or
/// writes.
///
/// A part that is evaluated for each element counts once for each element. When whole lists or maps
/// are compared or formatted, the cost of elements that are themselves messages, lists or maps is
/// not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// The coefficients of a polynomial in the number of visited elements, the constant term first.
    /// The last coefficient is 0 only for a part that is never evaluated, such as the body of
    /// `[].all(…)`.
    steps: Vec<u64>,
    /// The first part with the highest degree (see [`Cost::power`]), or `None` if that degree is
    /// below 2.
    nested: Option<Span>,
}

impl Cost {
    pub(crate) fn of(node: &Node) -> Self {
        let mut counter = Counter {
            cost: Self::default(),
            power: 0,
        };
        counter.node(node, Visits::ONCE);
        counter.cost
    }

    /// Returns the coefficients of the cost as a polynomial in the number of elements, the constant
    /// term first: `[3, 5]` stands for 3 steps, and 5 more for each element.
    pub fn coefficients(&self) -> &[u64] {
        &self.steps
    }

    /// Returns the degree of the cost as a polynomial in the number of elements: 0 if no elements
    /// are visited, 2 if all elements are visited for each element. The number of elements includes
    /// the elements of nested lists. Visiting each nested list once thus does not raise the degree.
    pub fn power(&self) -> u32 {
        (self.steps.len() as u32).saturating_sub(1)
    }

    /// Returns the first part with the highest degree (see [`Cost::power`]), or `None` if that
    /// degree is below 2.
    pub fn nested(&self) -> Option<Span> {
        self.nested
    }

    /// Returns the number of steps for `elements` elements.
    pub fn steps(&self, elements: u64) -> u64 {
        let rest = self.steps.iter().rev();
        rest.fold(0, |sum: u64, coefficient| {
            sum.saturating_mul(elements).saturating_add(*coefficient)
        })
    }

    fn add(&mut self, steps: u64, visits: Visits) {
        let power = visits.power as usize;
        if self.steps.len() <= power {
            self.steps.resize(power + 1, 0);
        }
        let sum = &mut self.steps[power];
        *sum = sum.saturating_add(steps.saturating_mul(visits.times));
    }
}

/// The number of times that a part is evaluated: `times` multiplied by the number of elements to
/// the power of `power`.
#[derive(Clone, Copy)]
struct Visits {
    /// The constant factor, which comes from macros whose range is a literal.
    times: u64,
    /// The power of the number of elements.
    power: u32,
    /// The indices of the first and the last variable of the innermost macro whose range is not a
    /// literal.
    variables: Option<(u32, u32)>,
    /// The number of variables that the enclosing macros bind.
    locals: u32,
}

impl Visits {
    const ONCE: Self = Self {
        times: 1,
        power: 0,
        variables: None,
        locals: 0,
    };

    /// Returns the number of times that the body of a macro over `range` is evaluated. `bound` is
    /// the number of variables that the macro binds.
    fn of_body(self, range: &Node, bound: u32) -> Self {
        let variables = (self.locals, self.locals + bound.saturating_sub(1));
        let inner = Self {
            locals: self.locals + bound,
            ..self
        };
        if let Some(literal_size) = literal_size(range) {
            let times = self.times.saturating_mul(literal_size);
            return Self { times, ..inner };
        }
        let is_innermost = |local| {
            self.variables
                .is_some_and(|(first, last)| (first..=last).contains(&local))
        };
        let power = match root(range) {
            Some(local) if is_innermost(local) => self.power,
            _ => self.power + 1,
        };
        Self {
            power,
            variables: Some(variables),
            ..inner
        }
    }
}

struct Counter {
    cost: Cost,
    /// The highest power so far.
    power: u32,
}

impl Counter {
    /// Records that the part at `span` visits elements `visits` times.
    fn visit(&mut self, span: Span, visits: Visits) {
        if visits.power > self.power {
            self.power = visits.power;
            if visits.power >= 2 {
                self.cost.nested = Some(span);
            }
        }
    }

    fn node(&mut self, node: &Node, visits: Visits) {
        self.cost.add(1, visits);
        match &node.op {
            Op::Constant(_) | Op::Variable(_) | Op::Local(_) | Op::Type(_) | Op::Fail(_) => {}
            Op::Field(bound) | Op::HasField(bound) => self.node(&bound.operand, visits),
            Op::Member(operand, _) | Op::HasMember(operand, _) => {
                self.find(operand, visits);
                self.node(operand, visits);
            }
            Op::MemberNamed(parts) => {
                self.find(&parts.0, visits);
                self.node(&parts.0, visits);
                self.node(&parts.1, visits);
            }
            Op::Logic(_, nodes) => self.nodes(nodes, visits),
            Op::Conditional(nodes) => self.nodes(&nodes[..], visits),
            Op::Call(builtin, nodes) => self.call(*builtin, nodes, node.span, visits),
            Op::Custom(functions, nodes) => self.custom(functions, nodes, node.span, visits),
            Op::Matches(operand, _) => {
                self.cost.add(1, visits);
                self.node(operand, visits);
            }
            Op::PartIn(_, operand, _) => self.node(operand, visits),
            Op::List(nodes) => {
                self.cost.add(nodes.len() as u64 * ELEMENT_STEPS, visits);
                self.nodes(nodes, visits);
            }
            Op::Map(entries) => {
                self.construction(entries.len() as u64, visits);
                for (key, value) in entries {
                    self.node(key, visits);
                    self.node(value, visits);
                }
            }
            Op::Message(literal) => {
                self.construction(literal.fields.len() as u64, visits);
                for (_, value) in &literal.fields {
                    self.node(value, visits);
                }
            }
            Op::Fold(fold) => self.fold(fold, node.span, visits),
        }
    }

    fn nodes(&mut self, nodes: &[Node], visits: Visits) {
        for node in nodes {
            self.node(node, visits);
        }
    }

    /// Adds the cost of building a map or a message with `entries` entries.
    fn construction(&mut self, entries: u64, visits: Visits) {
        let sort_steps = u64::from(entries.max(1).ilog2());
        let entry_steps = sort_steps + 2 * ELEMENT_STEPS;
        self.cost.add(entries.saturating_mul(entry_steps), visits);
    }

    fn call(&mut self, builtin: Builtin, nodes: &[Node], span: Span, visits: Visits) {
        match (builtin, nodes) {
            (Builtin::In, [_, range]) if may_be_map(range) => self.find(range, visits),
            (Builtin::In, [_, range]) => self.elements(range, 1, span, visits),
            (Builtin::Index, [range, _]) if may_be_map(range) => self.find(range, visits),
            (Builtin::Index, _) => self.cost.add(1, visits),
            (Builtin::Equal | Builtin::NotEqual, [left, right])
                if may_have_elements(left) && may_have_elements(right) =>
            {
                let shorter = if literal_size(left).is_some() {
                    left
                } else {
                    right
                };
                self.elements(shorter, 2 + KEY_STEPS, span, visits);
            }
            (Builtin::Join, [list, ..]) | (Builtin::Format, [_, list]) => {
                self.elements(list, 2, span, visits);
            }
            (Builtin::Matches, _) => self.cost.add(PATTERN_STEPS, visits),
            (Builtin::Part(_), [_, _]) => self.cost.add(LOOKUP_STEPS, visits),
            _ => {}
        }
        self.nodes(nodes, visits);
    }

    fn custom(&mut self, functions: &[Arc<Function>], nodes: &[Node], span: Span, visits: Visits) {
        let steps = functions.iter().map(|function| function.steps).max();
        self.cost.add(steps.unwrap_or(0), visits);
        for (at, node) in nodes.iter().enumerate() {
            let takes_elements = functions.iter().any(|function| {
                matches!(
                    function.parameters.get(at),
                    Some(Type::List(_) | Type::Map(_) | Type::Dyn)
                )
            });
            if takes_elements {
                self.elements(node, 1, span, visits);
            }
        }
        self.nodes(nodes, visits);
    }

    /// Adds the cost of finding a key in a map.
    fn find(&mut self, map: &Node, visits: Visits) {
        self.cost.add(KEY_STEPS, visits);
        if literal_size(map).is_none() {
            // Each map is scanned once, however many keys are looked up.
            let once = Visits {
                power: 1,
                ..Visits::ONCE
            };
            self.cost.add(ENTRY_STEPS, once);
        }
    }

    /// Adds `steps` steps for each element of `range`.
    fn elements(&mut self, range: &Node, steps: u64, span: Span, visits: Visits) {
        let inner = visits.of_body(range, 0);
        self.visit(span, inner);
        self.cost.add(steps, inner);
    }

    fn fold(&mut self, fold: &FoldOf, span: Span, visits: Visits) {
        self.node(&fold.range, visits);
        let bound = match fold.variables {
            Variables::One => 1,
            Variables::Two => 2,
        };
        let inner = visits.of_body(&fold.range, bound);
        self.visit(span, inner);
        let kept = match fold.kind {
            FoldKind::All | FoldKind::Exists | FoldKind::ExistsOne => 0,
            FoldKind::Filter | FoldKind::List => ELEMENT_STEPS,
            // The entries are sorted by their keys.
            FoldKind::MapValues | FoldKind::MapEntries => KEY_STEPS + 3 * ELEMENT_STEPS,
        };
        self.cost.add(1 + kept, inner);
        if let Some(filter) = &fold.filter {
            self.node(filter, inner);
        }
        self.node(&fold.body, inner);
    }
}

/// Returns the number of elements of `range`, or `None` if `range` is not a literal. The size of
/// any other range may depend on the payload.
fn literal_size(range: &Node) -> Option<u64> {
    match &range.op {
        Op::Constant(Constant::List(elements)) => Some(elements.len() as u64),
        Op::Constant(_) => Some(1),
        Op::List(elements) => Some(elements.len() as u64),
        Op::Map(entries) => Some(entries.len() as u64),
        _ => None,
    }
}

/// Returns the index of the macro variable from which the value of `range` is read, if there is
/// one.
fn root(range: &Node) -> Option<u32> {
    match &range.op {
        Op::Local(at) => Some(*at),
        Op::Field(bound) => root(&bound.operand),
        Op::Member(operand, _) => root(operand),
        Op::Call(Builtin::Index | Builtin::ToDyn, nodes) => root(nodes.first()?),
        Op::Fold(fold) if fold.kind == FoldKind::Filter => root(&fold.range),
        _ => None,
    }
}

/// Returns whether the value of `node` can be a map rather than a list.
fn may_be_map(node: &Node) -> bool {
    match &node.op {
        Op::Field(bound) => match bound.field.label {
            Label::Map(_) => true,
            Label::Repeated => false,
            Label::Implicit | Label::Explicit => {
                !matches!(bound.field.kind, Kind::WellKnown(WellKnown::ListValue))
            }
        },
        Op::Constant(_) | Op::List(_) => false,
        Op::Fold(fold) => matches!(fold.kind, FoldKind::MapValues | FoldKind::MapEntries),
        _ => true,
    }
}

/// Returns whether a comparison of the value of `node` may visit elements. A macro variable counts
/// as one element, even if its value is a list or a message.
fn may_have_elements(node: &Node) -> bool {
    match &node.op {
        Op::Field(bound) => {
            !matches!(bound.field.label, Label::Implicit | Label::Explicit)
                || matches!(
                    bound.field.kind,
                    Kind::Message(_)
                        | Kind::WellKnown(
                            WellKnown::Any
                                | WellKnown::Struct
                                | WellKnown::Value
                                | WellKnown::ListValue
                        )
                )
        }
        Op::Constant(constant) => matches!(constant, Constant::List(_)),
        Op::Local(_)
        | Op::Type(_)
        | Op::HasField(_)
        | Op::HasMember(..)
        | Op::Logic(..)
        | Op::Fail(_) => false,
        Op::Matches(..) | Op::PartIn(..) => false,
        Op::Call(builtin, _) => matches!(
            builtin,
            Builtin::Add | Builtin::Index | Builtin::ToDyn | Builtin::Split
        ),
        Op::Fold(fold) => !matches!(
            fold.kind,
            FoldKind::All | FoldKind::Exists | FoldKind::ExistsOne
        ),
        Op::Conditional(nodes) => nodes[1..].iter().any(may_have_elements),
        _ => true,
    }
}
