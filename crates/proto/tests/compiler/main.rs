//! Tests of the built-in compiler: the files that it accepts, the files that it rejects, and the
//! exact messages.
//!
//! - `bounds`: The bounds on time and memory.
//! - `corpus`: Valid files of `tests/protos` compile, and each invalid file has exactly the errors
//!   in the `.stderr` file next to it.
//! - `nesting`: Too deep nesting is rejected, and no nesting overflows the stack.
//! - `queries`: Look-ups in compiled files, and compiles with a cache.
//! - `roots`: The names under which files are compiled.
//! - `support`: Makes directories of files to compile.

mod bounds;
mod corpus;
mod nesting;
mod queries;
mod roots;
mod support;
