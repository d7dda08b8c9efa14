//! Tests of the built-in compiler: the files that it accepts, the files that it rejects, and the
//! exact messages.
//!
//! - `words`: Valid files compile, and each error of `tests/protos` has the exact message in the
//!   file next to it.
//! - `nesting`: Too deep nesting is rejected, and no nesting overflows the stack.
//! - `roots`: The names under which files are compiled.
//! - `bounds`: Bounds on time and memory.
//! - `queries`: Look-ups in compiled files, and compiles with a cache.
//! - `support`: Directories of files to compile.

mod bounds;
mod nesting;
mod queries;
mod roots;
mod support;
mod words;
