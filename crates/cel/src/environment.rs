//! What expressions are compiled against.

use std::fmt;
use std::sync::Arc;

use crate::check::check;
use crate::declarations::{Checking, Declarations};
use crate::error::CompileError;
use crate::function::Function;
use crate::library::{Library, Overload, Target};
use crate::parser::parse;
use crate::program::Program;
use crate::schema::Schema;
use crate::types::Type;

/// The variables, functions and message types that expressions can name.
///
/// A clone shares the functions and the schema, so that each message type can have an environment whose variable
/// `this` is of its type.
#[derive(Clone)]
pub struct Environment {
    declarations: Declarations,
}

impl Environment {
    /// Returns the environment with the standard library, the strings extension and the messages of `schema`.
    pub fn new(schema: Arc<dyn Schema>) -> Self {
        Self {
            declarations: Declarations {
                schema,
                library: Arc::new(Library::standard()),
                variables: Vec::new(),
                container: String::new(),
                checking: Checking::Compile,
                field_function: None,
            },
        }
    }

    /// Declares a variable and returns its place among the values that [`Program::evaluate`] takes. A variable with a
    /// name that is declared already gets the new type and keeps its place.
    pub fn variable(&mut self, name: &str, of: Type) -> usize {
        let variables = &mut self.declarations.variables;
        match variables.iter().position(|(other, _)| other == name) {
            Some(at) => {
                variables[at].1 = of;
                at
            }
            None => {
                variables.push((name.to_owned(), of));
                variables.len() - 1
            }
        }
    }

    /// Adds an overload of a function.
    pub fn function(&mut self, function: Function) {
        let overload = Overload {
            style: function.style,
            parameters: function.parameters.clone(),
            result: function.result.clone(),
            target: Target::Custom(Arc::new(function.clone())),
        };
        Arc::make_mut(&mut self.declarations.library).add(&function.name, overload);
    }

    /// Makes `name(message, "field")` the value of a field, for fields whose names are reserved words. With a literal, the
    /// field is checked and has its type.
    pub fn field_function(&mut self, name: &str) {
        self.declarations.field_function = Some(name.to_owned());
    }

    /// Sets the package whose names, and whose parents' names, need no qualification.
    pub fn container(&mut self, package: &str) {
        package.clone_into(&mut self.declarations.container);
    }

    /// Sets when types are checked.
    pub fn checking(&mut self, checking: Checking) {
        self.declarations.checking = checking;
    }

    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with it, in the order of the text: one error of its syntax, or those of its types.
    pub fn compile(&self, text: &str) -> Result<Program, Vec<CompileError>> {
        let expr = parse(text).map_err(|error| vec![error])?;
        let checked = check(&expr, &self.declarations)?;
        let schema = self.declarations.schema.clone();
        Ok(Program::new(schema, checked.node, checked.of))
    }

    /// Returns `of` as people write it.
    pub fn type_text(&self, of: &Type) -> String {
        self.declarations.text(of)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Environment")
            .field("variables", &self.declarations.variables)
            .finish_non_exhaustive()
    }
}
