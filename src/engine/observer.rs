//! Requests for the counters of a running engine.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::engine::control::Control;
use crate::metrics::{self, Inquirer, Inquiries, Sample};

/// A handle that requests the counters of a running gateway, from any thread.
#[derive(Clone, Debug)]
pub struct Observer {
    inquirer: Inquirer,
    control: Control,
}

impl Observer {
    /// Returns an observer that wakes the engine through `control`, and the end of its channel from
    /// which the core takes the requests.
    pub(super) fn new(control: Control) -> (Self, Inquiries) {
        let (inquirer, inquiries) = metrics::inquiries();
        (Self { inquirer, control }, inquiries)
    }

    /// Requests a call of `tell` with the next sample, on the data thread, which `tell` must not
    /// block. Returns false, and drops `tell`, if the gateway has ended or too many inquiries are
    /// pending.
    #[must_use]
    pub fn ask(&self, tell: impl FnOnce(Arc<Sample>) + Send + 'static) -> bool {
        let asked = self.inquirer.ask(tell);
        if asked {
            self.control.wake();
        }
        asked
    }

    /// Waits for a sample. Returns `None` if the gateway has ended or does not answer within
    /// `patience`.
    pub fn sample(&self, patience: Duration) -> Option<Arc<Sample>> {
        let (told, samples) = mpsc::channel();
        let asked = self.ask(move |sample| {
            // The caller may have stopped waiting.
            let _ = told.send(sample);
        });
        samples.recv_timeout(patience).ok().filter(|_| asked)
    }
}
