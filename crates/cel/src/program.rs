//! Compiled expressions.

use std::fmt;
use std::sync::Arc;

use crate::budget::Budget;
use crate::cost::Cost;
use crate::error::EvalError;
use crate::evaluate::Evaluation;
use crate::failure::{BUDGET, Failure, failure, static_type, type_of_value};
use crate::node::Node;
use crate::reads::Reads;
use crate::schema::Schema;
use crate::types::Type;
use crate::value::Value;

/// A compiled expression, which can be shared between threads.
pub struct Program {
    schema: Arc<dyn Schema>,
    node: Node,
    result: Type,
    reads: Reads,
    cost: Cost,
    /// The names and types of the variables of the environment.
    variables: Box<[(String, Type)]>,
}

impl Program {
    /// Returns the program that evaluates `node`, whose type is `result`, in an environment with
    /// these variables.
    pub(crate) fn new(
        schema: Arc<dyn Schema>,
        node: Node,
        result: Type,
        variables: &[(String, Type)],
    ) -> Self {
        let (reads, cost) = (Reads::of(&node, variables), Cost::of(&node));
        Self {
            schema,
            node,
            result,
            reads,
            cost,
            variables: variables.into(),
        }
    }

    /// Returns the checked expression.
    pub(crate) const fn node(&self) -> &Node {
        &self.node
    }

    /// Returns the first part of the expression that fails whenever it is evaluated, such as a
    /// division by a constant zero. A part that makes the whole expression fail takes precedence.
    ///
    /// `known` has an entry for each variable: the value that the variable has in all evaluations,
    /// or `None` if the value may differ. Not all failing parts are found, but a part that is found
    /// always fails.
    pub fn failure<'a>(&'a self, known: &[Option<Value<'a>>]) -> Option<Failure> {
        failure(&self.node, &*self.schema, &self.variables, known)
    }

    /// Returns the type that the expression's value always has, even if `dyn()` hides the type from
    /// the checker. Returns `None` if the type is known only at evaluation.
    pub fn static_type(&self) -> Option<Type> {
        if self.result != Type::Dyn {
            return Some(self.result.clone());
        }
        if !self.reads.variables.is_empty() {
            return static_type(&self.node, &self.variables);
        }
        let value = self.evaluate(&[], &mut BUDGET.clone()).ok()?;
        type_of_value(&value)
    }

    /// Returns the type of the expression's value, or [`Type::Dyn`] if the type is known only at
    /// evaluation.
    pub const fn result(&self) -> &Type {
        &self.result
    }

    /// Returns the variables and fields that the expression reads.
    pub const fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Returns an upper bound on the cost of an evaluation.
    pub const fn cost(&self) -> &Cost {
        &self.cost
    }

    /// Returns the value of the expression.
    ///
    /// `variables` are the values of the environment's variables, in the order in which they were
    /// declared. Each value has the declared type. The cost of the evaluation is taken from
    /// `budget`.
    ///
    /// # Errors
    ///
    /// Returns the first error of the evaluation and its place in the text, or
    /// [`ErrorKind::Budget`](crate::ErrorKind::Budget) if the budget is spent.
    pub fn evaluate<'a>(
        &'a self,
        variables: &[Value<'a>],
        budget: &mut Budget,
    ) -> Result<Value<'a>, EvalError> {
        let mut evaluation = Evaluation {
            schema: &*self.schema,
            variables,
            locals: Vec::new(),
            budget,
        };
        evaluation.value(&self.node)
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Program")
            .field("result", &self.result)
            .field("reads", &self.reads)
            .finish_non_exhaustive()
    }
}
