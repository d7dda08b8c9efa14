#![forbid(unsafe_code)]
//! `.proto` files → descriptors, or everything that is wrong with them, each at its place.
//!
//! The texts below the import paths are read once (`sources`), handed to one of two front ends
//! (`builtin`, the default, or `protoc`), and what the first is too lenient about is
//! checked after it (`verify`). The front ends run on a thread of their own, with
//! a stack that the deepest file can't overflow. Nothing in a file can take the process
//! down or make it wait for ever; nothing here knows routes or payloads, or writes outside the
//! system's temporary directory.

mod budget;
mod builtin;
mod cache;
mod compiler;
mod definition;
mod definitions;
mod descriptors;
mod fault;
pub mod features;
mod float;
mod lexer;
mod linked;
mod linker;
mod literal;
mod options;
mod outline;
mod parsed;
mod parser;
mod path;
mod places;
mod protoc;
mod report;
mod sources;
mod stack;
mod symbols;
mod texts;
mod verify;
mod well_known;

pub use cache::Cache;
pub use compiler::Compiler;
pub use definition::{Definition, Definitions};
pub use descriptors::Descriptors;
pub use lexer::words;
pub use stack::{on_a_large_stack, reason};
pub use texts::{Compiled, Outlined, Texts, compile};
