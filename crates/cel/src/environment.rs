//! The environment against which expressions are compiled.

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
/// A clone shares the functions and the schema. It is therefore cheap to make a clone for each
/// message type, in which the variable `this` has that type.
#[derive(Clone)]
pub struct Environment {
    declarations: Declarations,
}

impl Environment {
    /// Returns the environment with the standard library, the strings extension and the messages of
    /// `schema`.
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

    /// Declares a variable, and returns the index of its value in the slice that
    /// [`Program::evaluate`] takes. If the name is declared already, the variable keeps its index
    /// and gets the new type.
    pub fn variable(&mut self, name: &str, ty: Type) -> usize {
        let variables = &mut self.declarations.variables;
        match variables.iter().position(|(other, _)| other == name) {
            Some(at) => {
                variables[at].1 = ty;
                at
            }
            None => {
                variables.push((name.to_owned(), ty));
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

    /// Makes `name(message, "field")` read a field, for fields whose names are reserved words. If
    /// the name of the field is a literal, the checker looks the field up, and the call has the
    /// type of that field. Otherwise, the type is known only at the evaluation.
    pub fn field_function(&mut self, name: &str) {
        self.declarations.field_function = Some(name.to_owned());
    }

    /// Sets the package in which the names of expressions are looked up. Names of this package and
    /// of its parent packages need no qualification.
    pub fn container(&mut self, package: &str) {
        package.clone_into(&mut self.declarations.container);
    }

    /// Sets the phase in which types are checked.
    pub fn checking(&mut self, checking: Checking) {
        self.declarations.checking = checking;
    }

    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// Returns the first syntax error. If there is none, returns the first type errors, at most 10,
    /// in the order of the text.
    pub fn compile(&self, text: &str) -> Result<Program, Vec<CompileError>> {
        let expr = parse(text).map_err(|error| vec![error])?;
        let checked = check(&expr, &self.declarations)?;
        let (schema, variables) = (
            self.declarations.schema.clone(),
            &self.declarations.variables,
        );
        Ok(Program::new(schema, checked.node, checked.ty, variables))
    }

    /// Returns `ty` as text for error messages, with the full names of message types.
    pub fn type_text(&self, ty: &Type) -> String {
        self.declarations.text(ty)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Environment")
            .field("variables", &self.declarations.variables)
            .finish_non_exhaustive()
    }
}
