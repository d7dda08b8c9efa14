//! How the rest of the process asks a running engine for its counters.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::engine::control::Control;
use crate::metrics::{self, Inquirer, Inquiries, Sample};

/// What asks a running gateway what it has counted, from any thread.
#[derive(Clone, Debug)]
pub struct Observer {
    inquirer: Inquirer,
    control: Control,
}

impl Observer {
    /// What asks a core, and wakes its engine through `control`; and what that core is to answer.
    pub(super) fn new(control: Control) -> (Self, Inquiries) {
        let (inquirer, inquiries) = metrics::inquiries();
        (Self { inquirer, control }, inquiries)
    }

    /// Has `tell` called, on the data thread, with a sample of the next moment; it must not block. False,
    /// and `tell` is dropped, if the gateway has ended or too many ask already.
    #[must_use]
    pub fn ask(&self, tell: impl FnOnce(Arc<Sample>) + Send + 'static) -> bool {
        let asked = self.inquirer.ask(tell);
        if asked {
            self.control.wake();
        }
        asked
    }

    /// Waits for a sample; none if the gateway has ended or doesn't answer in time.
    pub fn sample(&self, patience: Duration) -> Option<Arc<Sample>> {
        let (told, samples) = mpsc::channel();
        let asked = self.ask(move |sample| {
            // Whoever waited may have lost patience.
            let _ = told.send(sample);
        });
        samples.recv_timeout(patience).ok().filter(|_| asked)
    }
}
