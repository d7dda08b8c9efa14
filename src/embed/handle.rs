//! A gateway that runs in this process.

use std::fmt;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use super::error::Error;
use crate::engine::{BoundAddress, Control, EngineError, Observer, Running};
use crate::ledger::Ledger;
use crate::priority;
use crate::reload::{Report, SharedControlStatus, Wake};
use crate::watch::Follower;

/// A running gateway. Dropping the handle stops the gateway at once. [`Handle::wait`] waits until
/// the gateway ends by itself.
#[must_use = "a gateway stops when its handle is dropped"]
pub struct Handle {
    running: Running,
    control_status: Arc<SharedControlStatus>,
    follower: JoinHandle<()>,
    stop: StopOnDrop,
}

impl Handle {
    /// Returns the handle of a running gateway. `following` is the thread that follows the
    /// gateway's files.
    pub(super) fn new(running: Running, following: Following) -> Self {
        Self {
            control_status: following.control_status,
            stop: StopOnDrop {
                control: running.control(),
                wake: following.wake,
            },
            follower: following.thread,
            running,
        }
    }

    /// Returns every address on which the gateway listens now, with port 0 resolved.
    pub fn listening(&self) -> Vec<BoundAddress> {
        self.control_status.current().listening
    }

    /// Returns the first address on which the frontend or pool `name` listens, in a form that a
    /// peer on this machine can connect to. Returns `None` if the frontend or pool listens nowhere.
    /// The sides of a channel are found as `NAME.publishers` and `NAME.subscribers`.
    pub fn endpoint(&self, name: &str) -> Option<String> {
        let listening = self.listening();
        let found = listening.iter().find(|at| at.is_of(name))?;
        Some(found.local_endpoint())
    }

    /// Reads the files again, waits until the reload has ended, and returns its report. Returns
    /// `None` if the gateway has ended.
    pub fn reload(&self) -> Option<Arc<Report>> {
        let (sender, reports) = mpsc::channel();
        self.stop.wake.reload_with(move |report| {
            // The receiver waits for the report, unless its thread has panicked.
            let _ = sender.send(report);
        });
        reports.recv().ok()
    }

    /// Stops accepting requests, and ends the gateway as soon as the open requests are answered, or
    /// after `shutdown.grace`.
    pub fn drain(&self) {
        self.stop.control.drain();
    }

    /// Ends the gateway at once. Open requests are not answered.
    pub fn stop(&self) {
        self.stop.control.stop();
    }

    /// Returns a control that drains or stops the gateway, for another thread to hold.
    pub fn control(&self) -> Control {
        self.stop.control.clone()
    }

    /// Waits until the gateway has ended, and returns the counts of all messages.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Engine`] if the gateway ended because of an error of the system.
    pub fn wait(self) -> Result<Ledger, Error> {
        let ended = self.running.wait();
        self.stop.wake.end();
        // A panic of the follower has been logged already, and does not affect the ledger.
        let _ = self.follower.join();
        Ok(ended?)
    }

    /// Does the same as [`Self::wait`], but does not wait until the thread that follows the files
    /// has ended. The process exits next, so a reload in progress is abandoned.
    pub(crate) fn wait_for_engine(self) -> Result<Ledger, Error> {
        Ok(self.running.wait()?)
    }

    /// Returns the observer, which requests samples of the counters from the data thread.
    pub(crate) fn observer(&self) -> Observer {
        self.running.observer()
    }

    /// Returns the state of the control plane.
    pub(crate) fn control_status(&self) -> Arc<SharedControlStatus> {
        Arc::clone(&self.control_status)
    }

    /// Returns the handle that wakes the follower of the files.
    pub(crate) fn wake(&self) -> Wake {
        self.stop.wake.clone()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("listening", &self.listening())
            .finish_non_exhaustive()
    }
}

/// The thread that follows the files of a gateway.
pub(super) struct Following {
    control_status: Arc<SharedControlStatus>,
    wake: Wake,
    thread: JoinHandle<()>,
}

impl Following {
    /// Starts the thread that follows the files, which means that it reloads the configuration when
    /// a file is edited. A large configuration takes seconds to compile, so this thread has a lower
    /// priority than the thread that serves peers.
    ///
    /// # Errors
    ///
    /// Fails if the system cannot start a thread.
    pub(super) fn start(follower: Follower) -> Result<Self, EngineError> {
        let (control_status, wake) = (follower.control_status(), follower.wake());
        let follow = move || {
            priority::lower();
            follower.follow();
        };
        let thread = thread::Builder::new()
            .name("follower".into())
            .spawn(follow)
            .map_err(|error| EngineError::new("follower thread", error))?;
        Ok(Self {
            control_status,
            wake,
            thread,
        })
    }
}

/// Stops the gateway and the follower of its files when it is dropped.
struct StopOnDrop {
    control: Control,
    wake: Wake,
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.control.stop();
        self.wake.end();
    }
}
