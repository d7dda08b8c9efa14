//! Requests for the counters of a running engine.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::engine::control::Control;
use crate::metrics::{self, Sample, SampleRequester, SampleRequests};

/// A handle that requests the counters of a running gateway, from any thread.
#[derive(Clone, Debug)]
pub struct Observer {
    requester: SampleRequester,
    control: Control,
}

impl Observer {
    /// Returns an observer that wakes the engine through `control`. Also returns the receiving end
    /// of the observer's requests, which the core needs.
    pub(super) fn new(control: Control) -> (Self, SampleRequests) {
        let (requester, requests) = metrics::sample_requests();
        (Self { requester, control }, requests)
    }

    /// Requests that the data thread calls `callback` with the next sample. `callback` must not
    /// block. Returns false, and drops `callback`, if the gateway has ended or too many requests
    /// are pending.
    #[must_use]
    pub fn request(&self, callback: impl FnOnce(Arc<Sample>) + Send + 'static) -> bool {
        let is_sent = self.requester.request(callback);
        if is_sent {
            self.control.wake();
        }
        is_sent
    }

    /// Waits for a sample. Returns `None` if the gateway has ended or does not answer within
    /// `timeout`.
    pub fn sample(&self, timeout: Duration) -> Option<Arc<Sample>> {
        let (sender, samples) = mpsc::channel();
        let is_sent = self.request(move |sample| {
            // The caller may have stopped waiting.
            let _ = sender.send(sample);
        });
        samples.recv_timeout(timeout).ok().filter(|_| is_sent)
    }
}
