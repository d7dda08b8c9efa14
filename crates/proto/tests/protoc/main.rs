//! Tests of protoc as the second front end, and comparisons of the built-in compiler with protoc.
//!
//! `GATEWAY_TEST_PROTOC` is the absolute path of the protoc that `tests/venv.sh` in the root
//! installs. If the variable is not set, the tests that need protoc print a notice and pass.
//!
//! - `edits`: A compile after an edit gives the same results as a fresh compile.
//! - `front_end`: protoc's own descriptors and diagnostics, and a PATH without protoc.
//! - `verdicts`: Both compilers give the same verdicts on the files of `tests/protos`.
//! - `mutations`: Both give the same verdicts on mutations of these files.
//! - `generated`: Both give the same verdicts on generated files.
//! - `generator`: The generator of these files.
//! - `published`: Both give the same verdicts on large public sets of files (`tests/real_protos.sh`
//!   fetches them).
//! - `judge`: The verdicts of both compilers on many directories.

mod edits;
mod front_end;
mod generated;
mod generator;
mod judge;
mod mutations;
mod published;
mod verdicts;
