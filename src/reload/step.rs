//! The steps of a reload. An observer is notified of each step.

use std::sync::Arc;

use crate::snapshot::Snapshot;

/// A step of a reload.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'a> {
    /// The files are being loaded, because they changed or because a reload was requested.
    Loading,
    /// The reload has ended, with or without a change, and this snapshot is in force.
    Settled(&'a Snapshot),
    /// The memory of the reload and of the replaced snapshot has been freed. This step follows a
    /// few seconds after `Settled`, or later if requests under the replaced snapshot are still
    /// open.
    Freed,
}

/// A callback that runs at each step, on the thread that reloads.
pub(crate) type Observe = Arc<dyn Fn(Step<'_>) + Send + Sync>;
