//! Functions that the caller of this crate adds to the language.

use std::fmt;
use std::sync::Arc;

use crate::budget::Budget;
use crate::error::ErrorKind;
use crate::types::Type;
use crate::value::Value;

/// The code of a function. It must be pure: the same arguments give the same result.
///
/// Each argument has its declared type, but the types of the elements of lists and maps are not
/// checked. The evaluation takes the declared steps of the function from the budget. The code
/// itself must take any further steps, and the memory that it allocates.
pub trait Body: Send + Sync {
    /// Returns the function's value for `arguments`, the receiver first.
    ///
    /// # Errors
    ///
    /// Fails with [`ErrorKind::Budget`] if the budget is spent, or with an error that the function
    /// documents.
    fn call<'a>(
        &self,
        arguments: &[Value<'a>],
        budget: &mut Budget,
    ) -> Result<Value<'a>, ErrorKind>;
}

impl<F> Body for F
where
    F: for<'a> Fn(&[Value<'a>], &mut Budget) -> Result<Value<'a>, ErrorKind> + Send + Sync,
{
    fn call<'a>(
        &self,
        arguments: &[Value<'a>],
        budget: &mut Budget,
    ) -> Result<Value<'a>, ErrorKind> {
        self(arguments, budget)
    }
}

/// The form in which a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `f(x)`.
    Global,
    /// `x.f()`.
    Member,
}

/// One overload of a function.
#[derive(Clone)]
pub struct Function {
    pub(crate) name: Arc<str>,
    pub(crate) style: Style,
    pub(crate) parameters: Arc<[Type]>,
    pub(crate) result: Type,
    pub(crate) steps: u64,
    pub(crate) body: Arc<dyn Body>,
}

impl Function {
    /// Returns a function `name(…)`. Each call takes `steps` steps of the budget, in addition to
    /// the steps that the body takes.
    pub fn global(
        name: &str,
        parameters: &[Type],
        result: Type,
        steps: u64,
        body: impl Body + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            style: Style::Global,
            parameters: parameters.into(),
            result,
            steps,
            body: Arc::new(body),
        }
    }

    /// Returns a function `x.name(…)`, whose first parameter is the receiver `x`.
    pub fn member(
        name: &str,
        parameters: &[Type],
        result: Type,
        steps: u64,
        body: impl Body + 'static,
    ) -> Self {
        Self {
            style: Style::Member,
            ..Self::global(name, parameters, result, steps, body)
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}({:?}) -> {:?}",
            self.name, self.parameters, self.result
        )
    }
}
