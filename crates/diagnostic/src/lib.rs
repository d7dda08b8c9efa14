//! Diagnostics for text files: the error, its place, the expected text, and the remedy.
//!
//! ```
//! use gateway_diagnostic::{Diagnostic, Diagnostics, SourceFile, did_you_mean};
//!
//! let file = SourceFile::new("routes.yaml", "routes:\n  PERSON: { pol: people }\n");
//!
//! let mut diagnostic = Diagnostic::error("unknown key \"pol\"")
//!     .at(file.place(2, 13, 3))
//!     .label("not a key of a route");
//! if let Some(near) = did_you_mean("pol", ["pool", "schema"]) {
//!     diagnostic = diagnostic.help(format!("did you mean {near:?}?"));
//! }
//!
//! let mut found = Diagnostics::new();
//! found.push(diagnostic);
//! let expected = r#"error: unknown key "pol"
//!  --> routes.yaml:2:13
//!   |
//! 2 |   PERSON: { pol: people }
//!   |             ^^^ not a key of a route
//!   = help: did you mean "pool"?
//! "#;
//! assert_eq!(found.render(false), expected);
//! ```
//!
//! [`Diagnostics`] collects the problems of one run, so that a person can fix a file in one go, and
//! renders them for people ([`Diagnostics::render`]) or programs ([`Diagnostics::to_json`]). The
//! crate reads no files and does not look for problems itself.

#![forbid(unsafe_code)]
#![warn(unreachable_pub)]

mod conflict;
mod diagnostic;
mod diagnostics;
mod json;
mod render;
mod source;
mod suggest;

pub use conflict::{CONFLICT, CONFLICT_HELP, CONFLICT_LABEL, conflict_markers};
pub use diagnostic::{Diagnostic, Note, Severity};
pub use diagnostics::Diagnostics;
pub use source::{Place, SourceFile, escaped, shown};
pub use suggest::{did_you_mean, did_you_mean_qualified, one_of};
