//! Expressions over the scalar fields of one message. Their evaluation allocates no memory and
//! needs no budget.

use std::cmp::Ordering;

use crate::ast::Logic;
use crate::constant::Constant;
use crate::field::{Field, Kind, Label};
use crate::library::Builtin;
use crate::node::{FieldOf, Node, Op};
use crate::program::Program;
use crate::types::Type;

/// A scalar.
#[derive(Clone, Copy, Debug)]
pub enum Scalar<'a> {
    /// A truth value.
    Bool(bool),
    /// A signed integer, or the number of an enum's value.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// A floating-point number.
    Double(f64),
    /// A string, which is UTF-8.
    Text(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// The value of a scalar field.
#[derive(Clone, Copy, Debug)]
pub struct ScalarField<'a> {
    /// The value of the field, or its default if it is unset.
    pub value: Scalar<'a>,
    /// Set if the encoded message contains the field, even with the value zero.
    pub written: bool,
}

/// An expression that compares scalar fields of one message with each other and with constants.
///
/// If [`ScalarProgram::holds`] returns true, the expression is true (or the empty string).
/// Otherwise, the value of the expression is unknown and must be found by [`Program::evaluate`].
/// `holds` rarely returns false for an expression that is true.
#[derive(Debug)]
pub struct ScalarProgram {
    test: Test,
    steps: u64,
    /// The number of comparisons. Each comparison may read strings or bytes.
    comparisons: u64,
}

#[derive(Debug)]
enum Test {
    Constant(bool),
    /// A field of type bool.
    Field(usize),
    /// `has` of a field. The result for a field without presence is true if the field is not zero.
    Has(usize, Label),
    Compare(Relation, Box<[Operand; 2]>),
    Not(Box<Test>),
    Logic(Logic, Box<[Test]>),
    Conditional(Box<[Test; 3]>),
}

#[derive(Clone, Copy, Debug)]
enum Relation {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Debug)]
enum Operand {
    Field(usize),
    Constant(Constant),
    Sum(Box<[Operand; 2]>),
    Difference(Box<[Operand; 2]>),
}

impl ScalarProgram {
    /// Returns the scalar form of a program, if it has one. The program must return a bool, or a
    /// string that is empty on success. The expression may only compare, add and subtract constants
    /// and scalar fields of the first variable, and combine the results.
    ///
    /// `fields` are the fields whose values [`ScalarProgram::holds`] takes. Further fields that the
    /// expression reads are added to `fields`, even if the result is `None`.
    pub fn of(program: &Program, fields: &mut Vec<Field>) -> Option<Self> {
        let mut builder = Builder {
            fields,
            comparisons: 0,
        };
        let test = match program.result() {
            Type::Bool => builder.test(program.node())?,
            Type::String => builder.empty_test(program.node())?,
            _ => return None,
        };
        let comparisons = builder.comparisons;
        let steps = program.cost().steps(0);
        Some(Self {
            test,
            steps,
            comparisons,
        })
    }

    /// Returns the maximum number of steps of [`Program::evaluate`] for a message of this size.
    pub fn steps(&self, bytes: usize) -> u64 {
        let comparisons = self.comparisons.saturating_mul(read_steps(bytes));
        self.steps.saturating_add(comparisons)
    }

    /// Returns whether the expression is certainly true, or the empty string. A result of false
    /// says nothing about the expression.
    ///
    /// `fields` are the values of the fields, in the order of the fields in [`ScalarProgram::of`].
    pub fn holds(&self, fields: &[ScalarField<'_>]) -> bool {
        self.test.truth(fields) == Some(true)
    }
}

/// Returns the number of steps for reading `bytes` bytes.
fn read_steps(bytes: usize) -> u64 {
    (bytes / crate::budget::STEP_BYTES) as u64
}

struct Builder<'f> {
    fields: &'f mut Vec<Field>,
    comparisons: u64,
}

impl Builder<'_> {
    fn test(&mut self, node: &Node) -> Option<Test> {
        Some(match &node.op {
            Op::Constant(Constant::Bool(value)) => Test::Constant(*value),
            Op::Field(bound) if bound.field.kind == Kind::Bool => Test::Field(self.field(bound)?),
            Op::HasField(bound) => Test::Has(self.field(bound)?, bound.field.label),
            Op::Logic(logic, nodes) => {
                let tests: Option<_> = nodes.iter().map(|node| self.test(node)).collect();
                Test::Logic(*logic, tests?)
            }
            Op::Conditional(nodes) => {
                let [condition, then, otherwise] = &**nodes;
                let condition = self.test(condition)?;
                Test::Conditional(Box::new([
                    condition,
                    self.test(then)?,
                    self.test(otherwise)?,
                ]))
            }
            Op::Call(Builtin::Not, nodes) => Test::Not(Box::new(self.test(nodes.first()?)?)),
            Op::Call(builtin, nodes) => self.comparison(*builtin, nodes)?,
            _ => return None,
        })
    }

    /// Returns a test that holds if the string `node` is empty. Returns `None` if the test has no
    /// scalar form.
    fn empty_test(&mut self, node: &Node) -> Option<Test> {
        Some(match &node.op {
            Op::Constant(Constant::String(text)) => Test::Constant(text.is_empty()),
            Op::Conditional(nodes) => {
                let [condition, then, otherwise] = &**nodes;
                let condition = self.test(condition)?;
                let (then, otherwise) = (self.empty_test(then)?, self.empty_test(otherwise)?);
                Test::Conditional(Box::new([condition, then, otherwise]))
            }
            _ => return None,
        })
    }

    fn comparison(&mut self, builtin: Builtin, nodes: &[Node]) -> Option<Test> {
        let relation = match builtin {
            Builtin::Equal => Relation::Equal,
            Builtin::NotEqual => Relation::NotEqual,
            Builtin::Less => Relation::Less,
            Builtin::LessEqual => Relation::LessEqual,
            Builtin::Greater => Relation::Greater,
            Builtin::GreaterEqual => Relation::GreaterEqual,
            _ => return None,
        };
        let [left, right] = nodes else { return None };
        let operands = [self.operand(left)?, self.operand(right)?];
        // The result of `ScalarProgram::steps` depends only on the size of the message, but the
        // comparison of two long constants may take more steps.
        if operands
            .iter()
            .all(|operand| matches!(operand, Operand::Constant(_)))
        {
            return None;
        }
        self.comparisons += 1;
        Some(Test::Compare(relation, Box::new(operands)))
    }

    fn operand(&mut self, node: &Node) -> Option<Operand> {
        Some(match &node.op {
            Op::Field(bound) => Operand::Field(self.field(bound)?),
            Op::Constant(constant) => {
                scalar(constant)?;
                Operand::Constant(constant.clone())
            }
            Op::Call(builtin @ (Builtin::Add | Builtin::Subtract), nodes) => {
                let [left, right] = &**nodes else { return None };
                let operands = Box::new([self.operand(left)?, self.operand(right)?]);
                match builtin {
                    Builtin::Add => Operand::Sum(operands),
                    _ => Operand::Difference(operands),
                }
            }
            _ => return None,
        })
    }

    /// Returns the index in `fields` of a scalar field of the first variable, after adding the
    /// field if it is new. Returns `None` for any other field.
    fn field(&mut self, bound: &FieldOf) -> Option<usize> {
        let is_first = matches!(bound.operand.op, Op::Variable(0));
        let is_singular = matches!(bound.field.label, Label::Implicit | Label::Explicit);
        let is_scalar = !matches!(bound.field.kind, Kind::Message(_) | Kind::WellKnown(_));
        if !(is_first && is_singular && is_scalar) {
            return None;
        }
        // The default of a string or bytes field may be longer than the message, so a field with
        // such a default has no scalar form.
        ScalarField::unset(&bound.field)?;
        let known_index = self
            .fields
            .iter()
            .position(|field| field.index == bound.field.index);
        Some(known_index.unwrap_or_else(|| {
            self.fields.push(bound.field.clone());
            self.fields.len() - 1
        }))
    }
}

impl ScalarField<'_> {
    /// Returns the value of an unset field, or `None` if the field is not a scalar or its default
    /// may be long.
    pub fn unset(field: &Field) -> Option<Self> {
        let value = match (&field.default, field.kind) {
            (Some(Constant::String(_) | Constant::Bytes(_)), _) => return None,
            (Some(Constant::Bool(value)), _) => Scalar::Bool(*value),
            (Some(Constant::Int(value)), _) => Scalar::Int(*value),
            (Some(Constant::Uint(value)), _) => Scalar::Uint(*value),
            (Some(Constant::Double(value)), _) => Scalar::Double(*value),
            (Some(_), _) => return None,
            (None, Kind::Bool) => Scalar::Bool(false),
            (None, Kind::Int32 | Kind::Int64 | Kind::Enum) => Scalar::Int(0),
            (None, Kind::Uint32 | Kind::Uint64) => Scalar::Uint(0),
            (None, Kind::Float | Kind::Double) => Scalar::Double(0.0),
            (None, Kind::String) => Scalar::Text(&[]),
            (None, Kind::Bytes) => Scalar::Bytes(&[]),
            (None, Kind::Message(_) | Kind::WellKnown(_)) => return None,
        };
        Some(Self {
            value,
            written: false,
        })
    }
}

/// Returns a constant as a scalar, or `None` if the constant is not a scalar.
fn scalar(constant: &Constant) -> Option<Scalar<'_>> {
    Some(match constant {
        Constant::Bool(value) => Scalar::Bool(*value),
        Constant::Int(value) => Scalar::Int(*value),
        Constant::Uint(value) => Scalar::Uint(*value),
        Constant::Double(value) => Scalar::Double(*value),
        Constant::String(text) => Scalar::Text(text.as_bytes()),
        Constant::Bytes(bytes) => Scalar::Bytes(bytes),
        _ => return None,
    })
}

impl Test {
    /// Returns the value of the expression, or `None` if it is not known.
    fn truth(&self, fields: &[ScalarField<'_>]) -> Option<bool> {
        match self {
            Self::Constant(value) => Some(*value),
            Self::Field(at) => match fields.get(*at)?.value {
                Scalar::Bool(value) => Some(value),
                _ => None,
            },
            Self::Has(at, label) => {
                let field = fields.get(*at)?;
                Some(field.written && (*label == Label::Explicit || !field.value.is_zero()))
            }
            Self::Compare(relation, operands) => {
                let [left, right] = &**operands;
                let order = left.value(fields)?.compare(right.value(fields)?)?;
                Some(relation.holds_for(order))
            }
            Self::Not(test) => Some(!test.truth(fields)?),
            Self::Logic(logic, tests) => {
                let decisive = *logic == Logic::Or;
                for test in tests {
                    if test.truth(fields)? == decisive {
                        return Some(decisive);
                    }
                }
                Some(!decisive)
            }
            Self::Conditional(tests) => {
                let [condition, then, otherwise] = &**tests;
                match condition.truth(fields)? {
                    true => then.truth(fields),
                    false => otherwise.truth(fields),
                }
            }
        }
    }
}

impl Relation {
    fn holds_for(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterEqual => order.is_ge(),
        }
    }
}

impl Operand {
    fn value<'a>(&'a self, fields: &[ScalarField<'a>]) -> Option<Scalar<'a>> {
        match self {
            Self::Field(at) => Some(fields.get(*at)?.value),
            Self::Constant(constant) => scalar(constant),
            Self::Sum(operands) => match operands.each_ref().map(|part| part.value(fields)) {
                [Some(Scalar::Int(left)), Some(Scalar::Int(right))] => {
                    left.checked_add(right).map(Scalar::Int)
                }
                [Some(Scalar::Uint(left)), Some(Scalar::Uint(right))] => {
                    left.checked_add(right).map(Scalar::Uint)
                }
                _ => None,
            },
            Self::Difference(operands) => {
                match operands.each_ref().map(|part| part.value(fields)) {
                    [Some(Scalar::Int(left)), Some(Scalar::Int(right))] => {
                        left.checked_sub(right).map(Scalar::Int)
                    }
                    [Some(Scalar::Uint(left)), Some(Scalar::Uint(right))] => {
                        left.checked_sub(right).map(Scalar::Uint)
                    }
                    _ => None,
                }
            }
        }
    }
}

impl Scalar<'_> {
    fn is_zero(self) -> bool {
        match self {
            Self::Bool(value) => !value,
            Self::Int(value) => value == 0,
            Self::Uint(value) => value == 0,
            Self::Double(value) => value.to_bits() == 0,
            Self::Text(bytes) | Self::Bytes(bytes) => bytes.is_empty(),
        }
    }

    /// Returns the order of two scalars of one type; `None` if their types differ or one is NaN.
    /// The bytes of UTF-8 have the order of the code points.
    fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => Some(left.cmp(&right)),
            (Self::Int(left), Self::Int(right)) => Some(left.cmp(&right)),
            (Self::Uint(left), Self::Uint(right)) => Some(left.cmp(&right)),
            (Self::Double(left), Self::Double(right)) => left.partial_cmp(&right),
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            (Self::Bytes(left), Self::Bytes(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }
}
