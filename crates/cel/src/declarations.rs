//! The declarations of the names in an expression.

use std::sync::Arc;

use crate::library::Library;
use crate::schema::Schema;
use crate::types::{MessageId, Type};

/// The names that an expression may use, and their look-up.
#[derive(Clone)]
pub(crate) struct Declarations {
    pub(crate) schema: Arc<dyn Schema>,
    pub(crate) library: Arc<Library>,
    pub(crate) variables: Vec<(String, Type)>,
    /// The package in which the names of expressions are looked up. Names of this package and of
    /// its parent packages need no qualification.
    pub(crate) container: String,
    pub(crate) checking: Checking,
    /// The name of the function that reads a field of a message: `getField` in `getField(message,
    /// "name")`.
    pub(crate) field_function: Option<String>,
}

/// The phase in which types are checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checking {
    /// Types are checked at compilation: an expression whose types don't fit does not compile.
    #[default]
    Compile,
    /// Types are checked at evaluation, as the language defines for unchecked expressions. A type
    /// that does not fit is an evaluation error.
    Evaluation,
}

/// The definition that a name refers to.
#[derive(Debug)]
pub(crate) enum Named {
    Variable(u32, Type),
    Enum(i64),
    Type(String, Type),
}

impl Declarations {
    /// Returns the definition that `name` refers to, or `None` if there is none. If several
    /// packages define the name, the definition in the innermost package is returned. See
    /// [`Self::candidates`] for `rooted`.
    pub(crate) fn resolve(&self, name: &str, rooted: bool) -> Option<Named> {
        self.candidates(name, rooted)
            .find_map(|name| self.resolve_full(&name))
    }

    /// Returns the full names that `name` may stand for, beginning with the innermost package. A
    /// `rooted` name, which was written with a leading dot, stands only for itself.
    pub(crate) fn candidates(&self, name: &str, rooted: bool) -> impl Iterator<Item = String> {
        let mut package = if rooted {
            None
        } else {
            Some(self.container.as_str())
        };
        std::iter::from_fn(move || {
            let scope = package?;
            if scope.is_empty() {
                package = None;
                return Some(name.to_owned());
            }
            package = Some(scope.rfind('.').map_or("", |dot| &scope[..dot]));
            Some(format!("{scope}.{name}"))
        })
        .chain(rooted.then(|| name.to_owned()))
    }

    fn resolve_full(&self, name: &str) -> Option<Named> {
        let variable = self.variables.iter().position(|(other, _)| other == name);
        if let Some(at) = variable {
            return Some(Named::Variable(at as u32, self.variables[at].1.clone()));
        }
        if let Some(ty) = basic_type(name) {
            return Some(Named::Type(name.to_owned(), ty));
        }
        if self.schema.message(name).is_some() {
            let ty = self.message_type(name)?;
            return Some(Named::Type(name.to_owned(), ty));
        }
        self.schema
            .enum_value(name)
            .map(|number| Named::Enum(i64::from(number)))
    }

    /// Returns the type of the message with the full name `name`.
    pub(crate) fn message_type(&self, name: &str) -> Option<Type> {
        let id = self.schema.message(name)?;
        Some(crate::field::Kind::message(name, id).to_type())
    }

    /// Returns `ty` as text for error messages, with the full names of message types.
    pub(crate) fn text(&self, ty: &Type) -> String {
        ty.text(&|id: MessageId| self.schema.message_name(id).to_owned())
    }
}

/// Returns the type that `name` denotes in CEL itself, without a schema.
fn basic_type(name: &str) -> Option<Type> {
    Some(match name {
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "null_type" => Type::Null,
        "list" => Type::list(Type::Dyn),
        "map" => Type::map(Type::Dyn, Type::Dyn),
        "type" => Type::Type(Arc::new(Type::Dyn)),
        "google.protobuf.Timestamp" => Type::Timestamp,
        "google.protobuf.Duration" => Type::Duration,
        _ => return None,
    })
}
