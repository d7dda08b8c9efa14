//! What a reload came to, and what reloads have come to so far.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use super::plan::Plan;
use crate::engine::Listening;
use crate::ledger::Latency;
use gateway_diagnostic::Diagnostics;

/// What a reload came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Outcome {
    /// The files' configuration has taken hold.
    Applied,
    /// The files say what is running.
    Unchanged,
    /// Something is wrong with the files.
    Invalid,
    /// The files are right, but the running gateway can't become what they say.
    Refused,
}

impl Outcome {
    /// Every outcome, in the order of declaration.
    pub const ALL: [Self; 4] = [Self::Applied, Self::Unchanged, Self::Invalid, Self::Refused];

    /// The word for it over HTTP and in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Invalid => "invalid",
            Self::Refused => "refused",
        }
    }

    /// Whether what runs is what the files say.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Applied | Self::Unchanged)
    }
}

/// One reload.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it came to.
    pub outcome: Outcome,
    /// When it ended.
    pub at: SystemTime,
    /// The generation that serves since.
    pub generation: u64,
    /// What has changed, or would have.
    pub plan: Plan,
    /// What is wrong with the files, or why they were refused; warnings, too.
    pub diagnostics: Diagnostics,
    /// How long it took to read and compile the files.
    pub compile: Duration,
    /// How long it took from then until the whole change had taken hold; none if it hasn't.
    pub swap: Option<Duration>,
}

/// What the control plane knows of itself: written by whoever follows the files, read by whoever asks. The
/// data thread has no part in it.
#[derive(Debug, Default)]
pub struct Standing(Mutex<Known>);

/// See [`Standing`].
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Where the gateway listens, as resolved.
    pub listening: Vec<Listening>,
    /// The longest time that held requests get when the gateway ends.
    pub grace: Duration,
    /// The last reload.
    pub last: Option<Arc<Report>>,
    /// Reloads by [`Outcome`].
    pub reloads: [u64; Outcome::ALL.len()],
    /// How long reading and compiling took.
    pub compile: Latency,
    /// How long it took until a change had taken hold.
    pub swap: Latency,
}

impl Standing {
    /// All of it, at this moment.
    pub fn known(&self) -> Known {
        self.lock().clone()
    }

    /// A reload ended.
    pub fn reloaded(&self, report: &Arc<Report>) {
        let mut known = self.lock();
        known.reloads[report.outcome as usize] += 1;
        known.compile.add(report.compile);
        if let Some(swap) = report.swap {
            known.swap.add(swap);
        }
        known.last = Some(Arc::clone(report));
    }

    /// Notes where the gateway listens, and `shutdown.grace`, both as they are by now.
    pub fn serves(&self, listening: Vec<Listening>, grace: Duration) {
        let mut known = self.lock();
        known.listening = listening;
        known.grace = grace;
    }

    /// Nothing that is done under the lock can be left half done by a panic.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
