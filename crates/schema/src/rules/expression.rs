//! Rules in CEL: read from options, compiled against the tables, and evaluated on the fields that
//! they read.

pub(super) mod compile;
pub(super) mod cost;
pub(super) mod extensions;
mod functions;
pub(super) mod judge;
pub(super) mod plan;
pub(super) mod program;
mod scalars;
mod schema;
pub(super) mod text;
mod values;
