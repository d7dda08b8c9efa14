//! Reloads: the plan from one snapshot to the next, the request for a reload, and its report.
//!
//! Nothing here carries out a reload: [`watch`](crate::watch) reads the files, and the engine
//! adopts the snapshot.

mod plan;
mod report;
mod step;
mod wake;

pub use plan::{Changes, Plan};
pub use report::{ControlStatus, ReloadOutcome, Report, SharedControlStatus};
pub(crate) use step::{Observe, Step};
pub use wake::Wake;
pub(crate) use wake::{ReportCallback, WakeReason};
