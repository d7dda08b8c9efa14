//! Reloads: the plan from one snapshot to the next, a call for a reload, and the report on it.
//!
//! Nothing here carries a reload out: [`watch`](crate::watch) reads the files, and the engine takes the snapshot.

mod plan;
mod report;
mod wake;

pub use plan::{Changes, Plan};
pub use report::{Known, Outcome, Report, Standing};
pub use wake::Wake;
pub(crate) use wake::{Tell, WakeReason};
