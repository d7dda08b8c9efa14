//! Requests for a reload, from any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

use super::report::Report;

/// A handle with which any thread can wake the follower, which is the thread that follows the
/// configuration's files.
#[derive(Clone, Debug)]
pub struct Wake {
    wakes: Sender<WakeReason>,
    /// True while a message about a change waits for the follower. Further changes then need no
    /// message.
    pending: Arc<AtomicBool>,
    /// True once the follower must end.
    ended: Arc<AtomicBool>,
}

/// A function that is called with the report on a requested reload.
pub(crate) type ReportCallback = Box<dyn FnOnce(Arc<Report>) + Send>;

/// The reason why the follower wakes.
pub(crate) enum WakeReason {
    /// A file may have changed.
    Changed,
    /// A reload was requested. The callback, if there is one, receives the report.
    Requested(Option<ReportCallback>),
}

impl Wake {
    /// Returns a handle, and the follower's receiver of the messages that the handle sends.
    pub(crate) fn new() -> (Self, Receiver<WakeReason>) {
        let (wakes, woken) = mpsc::channel();
        let wake = Self {
            wakes,
            pending: Arc::default(),
            ended: Arc::default(),
        };
        (wake, woken)
    }

    /// Requests a reload now, whether the files have changed or not.
    pub fn reload(&self) {
        // Sending fails once the follower has ended.
        let _ = self.wakes.send(WakeReason::Requested(None));
    }

    /// Requests a reload now. The follower calls `callback` with the report, so `callback` must not
    /// block. If the follower has ended, `callback` is dropped.
    pub fn reload_with(&self, callback: impl FnOnce(Arc<Report>) + Send + 'static) {
        let _ = self
            .wakes
            .send(WakeReason::Requested(Some(Box::new(callback))));
    }

    /// Ends the follower. If a reload is in progress, the follower completes the reload first.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = self.wakes.send(WakeReason::Changed);
    }

    /// Returns whether the follower must end.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Reports that a file may have changed.
    pub(crate) fn changed(&self) {
        if !self.pending.swap(true, Ordering::SeqCst) {
            let _ = self.wakes.send(WakeReason::Changed);
        }
    }

    /// Records that the follower has received every change so far and is about to check the files,
    /// so that the next change wakes it again.
    pub(crate) fn acknowledge(&self) {
        self.pending.store(false, Ordering::SeqCst);
    }
}
