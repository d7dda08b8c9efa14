//! The report on a reload, and the state of all reloads so far.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use super::plan::Plan;
use crate::engine::BoundAddress;
use crate::ledger::Latency;
use gateway_diagnostic::Diagnostics;

/// The outcome of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum ReloadOutcome {
    /// The files' configuration has taken effect.
    Applied,
    /// The files have the configuration that is running.
    Unchanged,
    /// The files have errors.
    Invalid,
    /// The files are valid, but the running gateway cannot change to their configuration.
    Refused,
}

impl ReloadOutcome {
    /// Every outcome, in the order of declaration.
    pub const ALL: [Self; 4] = [Self::Applied, Self::Unchanged, Self::Invalid, Self::Refused];

    /// Returns the name of the outcome over HTTP and in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Invalid => "invalid",
            Self::Refused => "refused",
        }
    }

    /// Returns whether the gateway now runs the configuration of the files.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Applied | Self::Unchanged)
    }
}

/// A report on one reload.
#[derive(Clone, Debug)]
pub struct Report {
    /// The outcome.
    pub outcome: ReloadOutcome,
    /// The time at which the reload ended.
    pub at: SystemTime,
    /// The generation in force after the reload.
    pub generation: u64,
    /// The changes that the reload made, or would have made if it had not been refused.
    pub plan: Plan,
    /// The errors of the files, or the reasons for a refusal, and the warnings.
    pub diagnostics: Diagnostics,
    /// The time for reading and compiling the files.
    pub compile: Duration,
    /// The time from the end of `compile` until the whole change had taken effect, or `None` if
    /// nothing changed.
    pub swap: Option<Duration>,
}

/// The state of the control plane. The thread that follows the files writes it, and other threads
/// read it. The data thread is not involved.
#[derive(Debug, Default)]
pub struct SharedControlStatus(Mutex<ControlStatus>);

/// The content of [`SharedControlStatus`].
#[derive(Clone, Debug, Default)]
pub struct ControlStatus {
    /// The addresses on which the gateway listens, with the ports that the system chose.
    pub listening: Vec<BoundAddress>,
    /// The maximum time for open requests to finish when the gateway ends.
    pub grace: Duration,
    /// The last reload.
    pub last: Option<Arc<Report>>,
    /// The number of reloads by [`ReloadOutcome`].
    pub reloads: [u64; ReloadOutcome::ALL.len()],
    /// The times for reading and compiling.
    pub compile: Latency,
    /// The times from the end of compiling until a change had taken effect.
    pub swap: Latency,
}

impl SharedControlStatus {
    /// Returns the current state.
    pub fn current(&self) -> ControlStatus {
        self.lock().clone()
    }

    /// Records the end of a reload.
    pub fn record_reload(&self, report: &Arc<Report>) {
        let mut status = self.lock();
        status.reloads[report.outcome as usize] += 1;
        status.compile.add(report.compile);
        if let Some(swap) = report.swap {
            status.swap.add(swap);
        }
        status.last = Some(Arc::clone(report));
    }

    /// Records the current addresses and `shutdown.grace`.
    pub fn record_serving(&self, listening: Vec<BoundAddress>, grace: Duration) {
        let mut status = self.lock();
        status.listening = listening;
        status.grace = grace;
    }

    /// Locks the state, even if the lock is poisoned, because no panic can leave the state
    /// inconsistent.
    fn lock(&self) -> MutexGuard<'_, ControlStatus> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
