//! protoc as the second front end, and as the judge of the first.
//!
//! `GATEWAY_TEST_PROTOC` is the absolute path of the protoc that `tests/venv.sh` in the root makes. Without it
//! these tests say so and pass.
//!
//! - `front_end`: protoc's own descriptors and diagnostics, and a PATH without protoc.
//! - `verdicts`: both compilers give the same verdicts on the files of `tests/protos`.
//! - `mutations`: both give the same verdicts on mutations of these files.
//! - `published`: both make the same of large public sets of files (`tests/real_protos.sh` fetches them).
//! - `judge`: protoc's verdicts over many directories.

mod front_end;
mod judge;
mod mutations;
mod published;
mod verdicts;
