//! The built-in compiler: what is compiled, what is refused, and the very words for it.
//!
//! - `words`: valid files compile, and each fault of `tests/protos` is told in the words beside it.
//! - `nesting`: too deep nesting is refused, and what is compiled overflows no stack.
//! - `roots`: which files are compiled under which names.
//! - `bounds`: no file takes for ever, or more memory than there is.
//! - `queries`: questions about compiled files, and compiles with a cache.
//! - `support`: directories of files to compile.

mod bounds;
mod nesting;
mod queries;
mod roots;
mod support;
mod words;
