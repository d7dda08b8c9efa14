//! The Common Expression Language: a type checker of expressions over messages, and a bounded
//! evaluator that reads the fields of messages on demand.
//!
//! An [`Environment`] declares the names that an expression may use: variables with their
//! [`Type`]s, functions that the caller defines ([`Function`]) in addition to the standard library,
//! and the message types of a [`Schema`]. The environment compiles a text to a [`Program`], or
//! reports the errors, each with its position in the text and, where possible, a suggestion
//! ([`CompileError`]). A program is evaluated over [`Value`]s. The payload need not be decoded
//! beforehand: the caller implements [`Message`], [`List`] and [`Map`] for it, and the evaluation
//! requests only the fields that the expression reads. The evaluation is charged to a [`Budget`] of
//! steps and memory as it runs.
//!
//! ```
//! use std::sync::Arc;
//!
//! use gateway_cel::{Budget, Environment, Function, NoMessages, Type, Value};
//!
//! let mut environment = Environment::new(Arc::new(NoMessages));
//! environment.variable("name", Type::String);
//! environment.variable("soft", Type::Int);
//! environment.variable("hard", Type::Int);
//! environment.function(Function::member("isLower", &[Type::String], Type::Bool, 4, lower));
//!
//! let program = environment.compile("name.isLower() && size(name) <= 5 && soft <= hard").unwrap();
//! let variables = [Value::borrowed("日本語です"), Value::Int(2), Value::Int(3)];
//! let verdict = program.evaluate(&variables, &mut Budget::new(1_000, 1_000)).unwrap();
//! assert!(matches!(verdict, Value::Bool(true)));
//!
//! let errors = environment.compile("sotf <= hard").unwrap_err();
//! assert_eq!(errors[0].message, "unknown variable `sotf`");
//! assert_eq!(errors[0].help.as_deref(), Some("did you mean `soft`?"));
//!
//! fn lower<'a>(
//!     arguments: &[Value<'a>],
//!     budget: &mut Budget,
//! ) -> Result<Value<'a>, gateway_cel::ErrorKind> {
//!     let [Value::String(text)] = arguments else {
//!         return Err(gateway_cel::ErrorKind::NoSuchOverload);
//!     };
//!     budget.take_steps_to_read(text.len())?;
//!     Ok(Value::Bool(!text.contains(char::is_uppercase)))
//! }
//! ```

#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

mod arithmetic;
mod ast;
mod budget;
mod check;
mod compare;
mod constant;
mod construct;
mod convert;
mod cost;
mod declarations;
mod entries;
mod environment;
mod error;
mod evaluate;
mod failure;
mod field;
mod format;
mod function;
mod json;
mod lexer;
mod library;
mod literal;
mod macros;
mod node;
mod operate;
mod parser;
mod pattern;
mod program;
mod reads;
mod scalars;
mod schema;
mod span;
mod strings;
mod suggest;
mod text;
mod time;
mod types;
mod unify;
mod value;
mod zone;

pub use budget::Budget;
pub use constant::Constant;
pub use cost::Cost;
pub use declarations::Checking;
pub use environment::Environment;
pub use error::{CompileError, ErrorKind, EvalError};
pub use failure::Failure;
pub use field::{Field, Kind, Label, WellKnown, Wrapped};
pub use function::{Body, Function, Style};
pub use pattern::Pattern;
pub use program::Program;
pub use reads::Reads;
pub use scalars::{Scalar, ScalarField, ScalarProgram};
pub use schema::{NoMessages, Schema};
pub use span::Span;
pub use text::{Bytes, Text};
pub use time::{Duration, Timestamp};
pub use types::{MessageId, Primitive, Type};
pub use value::{Key, List, ListValue, Map, MapValue, Message, MessageValue, Value};
