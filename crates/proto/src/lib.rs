#![forbid(unsafe_code)]
#![warn(unreachable_pub)]
//! A compiler that turns `.proto` files (proto2, proto3, editions 2023 and 2024) into descriptors.
//! Every error is reported at its place.
//!
//! ```
//! use gateway_diagnostic::Diagnostics;
//! use gateway_proto::{Compiler, compile};
//!
//! # fn main() -> std::io::Result<()> {
//! let directory = tempfile::tempdir()?;
//! let file = directory.path().join("shop.proto");
//! std::fs::write(
//!     &file,
//!     "syntax = \"proto3\"; package shop; message Order { int64 id = 1; }",
//! )?;
//! let roots = [directory.path().to_path_buf()];
//!
//! let mut found = Diagnostics::new();
//! let descriptors = compile(&roots, Compiler::Builtin, &mut found).unwrap();
//! let order = descriptors.message("shop.Order").unwrap();
//! assert_eq!(order.field[0].name(), "id");
//! assert_eq!(descriptors.place_of("shop.Order").unwrap().column, 42);
//!
//! // A mistake is reported as a diagnostic, and no descriptors are returned.
//! std::fs::write(
//!     &file,
//!     "syntax = \"proto3\"; package shop; message Order { in64 id = 1; }",
//! )?;
//! assert!(compile(&roots, Compiler::Builtin, &mut found).is_none());
//! let text = found.render(false);
//! assert!(text.starts_with("error: \"in64\" is not defined"));
//! assert!(text.ends_with("help: did you mean \"int64\"?\n"));
//! # Ok(())
//! # }
//! ```
//!
//! [`compile`] compiles every file below the import paths at once. [`Texts`] reads the files first,
//! so that the compiler, the outlines ([`Outlined`]) and the comparison with later versions use the
//! same bytes. With a [`Cache`], a compile links only the files that have changed since the last
//! compile, and their importers. [`Descriptors`] looks up messages and places in the result.
//!
//! The texts are read once (`sources`) and passed to one of two front ends: `builtin` (the default,
//! with its checks in `verify`) or `protoc`. A front end runs on a separate thread. The stack of
//! the thread is large enough for the deepest file. Nothing in a file can end the process or make
//! the process wait for ever: size, nesting, time (`budget`) and the number of reported errors are
//! bounded. This crate knows no routes and no payloads, and writes nothing outside the system's
//! temporary directory.

mod budget;
mod builtin;
mod cache;
mod compiler;
mod definition;
mod definitions;
mod descriptors;
mod facts;
mod fault;
pub mod features;
mod file_faults;
mod float;
mod lazy;
mod lexer;
mod linked;
mod linker;
mod literal;
mod locations;
mod names;
mod open;
mod option_places;
mod options;
mod outline;
mod parsed;
mod parser;
mod path;
mod places;
mod protoc;
mod quoted;
mod report;
mod ruled;
mod sources;
mod stack;
mod symbols;
mod texts;
mod top_names;
mod verify;
mod well_known;

pub use cache::Cache;
pub use compiler::Compiler;
pub use definition::{Definition, Definitions};
pub use descriptors::{CompiledFile, Descriptors};
pub use lexer::words;
pub use literal::unescaped;
pub use open::open_file;
pub use option_places::OptionPlaces;
pub use ruled::{PREDEFINED_EXTENSION, RULES_EXTENSION};
pub use stack::{on_a_large_stack, reason};
pub use texts::{Compiled, Outlined, Texts, compile};
