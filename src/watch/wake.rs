//! What wakes the follower, from any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

use crate::reload::Report;

/// Wakes the follower, from any thread.
#[derive(Clone, Debug)]
pub struct Wake {
    wakes: Sender<Reason>,
    /// A change that the follower has yet to hear of; one is as good as many.
    pending: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

/// Whoever asked for a reload hears what it came to.
pub(super) type Tell = Box<dyn FnOnce(Arc<Report>) + Send>;

pub(super) enum Reason {
    /// Something may have changed.
    Changed,
    /// Somebody asked for it, and may wait for what comes of it.
    Asked(Option<Tell>),
}

impl Wake {
    pub(super) fn new() -> (Self, Receiver<Reason>) {
        let (wakes, woken) = mpsc::channel();
        let wake = Self {
            wakes,
            pending: Arc::default(),
            ended: Arc::default(),
        };
        (wake, woken)
    }

    /// Has the files loaded anew now, changed or not.
    pub fn reload(&self) {
        // It fails when there is no follower any more.
        let _ = self.wakes.send(Reason::Asked(None));
    }

    /// The same, and `tell` is called with what it came to; it must not block. It is dropped if there is no
    /// follower any more.
    pub fn reload_and_tell(&self, tell: impl FnOnce(Arc<Report>) + Send + 'static) {
        let _ = self.wakes.send(Reason::Asked(Some(Box::new(tell))));
    }

    /// Ends the follower, as soon as a reload that is under way is done.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = self.wakes.send(Reason::Changed);
    }

    /// Returns whether the follower is to end.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Something may have changed.
    pub(super) fn changed(&self) {
        if !self.pending.swap(true, Ordering::SeqCst) {
            let _ = self.wakes.send(Reason::Changed);
        }
    }

    /// The follower has heard of every change so far, and looks after this: another must wake it again.
    pub(super) fn heard(&self) {
        self.pending.store(false, Ordering::SeqCst);
    }
}
