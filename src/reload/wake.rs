//! Calls for a reload, from any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

use super::report::Report;

/// Wakes the follower of the files, from any thread.
#[derive(Clone, Debug)]
pub struct Wake {
    wakes: Sender<WakeReason>,
    /// Set while a change is on its way to the follower: further changes are the same news.
    pending: Arc<AtomicBool>,
    /// The follower is to end.
    ended: Arc<AtomicBool>,
}

/// Called with the report on the reload that was asked for.
pub(crate) type Tell = Box<dyn FnOnce(Arc<Report>) + Send>;

/// The reason for which the follower wakes.
pub(crate) enum WakeReason {
    /// A file may have changed.
    Changed,
    /// A reload was asked for; the caller may wait for the report.
    Asked(Option<Tell>),
}

impl Wake {
    /// Returns a waker and the receiver of its calls, which is the follower's.
    pub(crate) fn new() -> (Self, Receiver<WakeReason>) {
        let (wakes, woken) = mpsc::channel();
        let wake = Self {
            wakes,
            pending: Arc::default(),
            ended: Arc::default(),
        };
        (wake, woken)
    }

    /// Asks for a reload now, whether the files have changed or not.
    pub fn reload(&self) {
        // Sending fails once the follower has ended.
        let _ = self.wakes.send(WakeReason::Asked(None));
    }

    /// Asks for a reload now, and has `tell` called with the report on it. `tell` must not block, and is dropped if
    /// the follower has ended.
    pub fn reload_and_tell(&self, tell: impl FnOnce(Arc<Report>) + Send + 'static) {
        let _ = self.wakes.send(WakeReason::Asked(Some(Box::new(tell))));
    }

    /// Ends the follower, as soon as a reload that is under way is done.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = self.wakes.send(WakeReason::Changed);
    }

    /// Returns whether the follower is to end.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Reports that a file may have changed.
    pub(crate) fn changed(&self) {
        if !self.pending.swap(true, Ordering::SeqCst) {
            let _ = self.wakes.send(WakeReason::Changed);
        }
    }

    /// Notes that the follower has received every change so far and looks at the files after this: the next change
    /// must wake it again.
    pub(crate) fn heard(&self) {
        self.pending.store(false, Ordering::SeqCst);
    }
}
