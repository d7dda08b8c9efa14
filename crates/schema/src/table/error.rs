//! The reasons why no table can be built from descriptors.

use std::fmt;

/// The maximum number of fields in one message, extensions included. The index of each field must
/// be less than `u16::MAX`, which means that a number has no field.
pub(crate) const FIELDS_MAX: usize = u16::MAX as usize;

/// The reason why no [`Table`](crate::Table) can be built from descriptors.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableError {
    /// Two messages or enums have the same name.
    DefinedTwice {
        /// The fully qualified name of the type.
        name: String,
    },
    /// The type of a field is defined in none of the files.
    NotDefined {
        /// The name of the field.
        field: String,
        /// The fully qualified name of the type.
        name: String,
    },
    /// A message has more fields than a table can index.
    TooManyFields {
        /// The fully qualified name of the message.
        message: String,
    },
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableError::DefinedTwice { name } => write!(f, "type \"{name}\" is defined twice"),
            TableError::NotDefined { field, name } => {
                write!(
                    f,
                    "field \"{field}\" has the type \"{name}\", which is not defined"
                )
            }
            TableError::TooManyFields { message } => {
                write!(f, "message \"{message}\" has more than {FIELDS_MAX} fields")
            }
        }
    }
}

impl std::error::Error for TableError {}
