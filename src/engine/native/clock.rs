//! The engine's clock: how long it has run. All else is told the time.
//!
//! It is read twice a turn, before the wait and after it, because how long to wait and how long the thread has worked
//! are reckoned from the end of the work before. One reading takes some 50 ns and a turn makes three calls of
//! the system at least, so a turn with one message pays little for the second one, and no message pays by itself.

use std::time::{Duration, Instant};

/// Began when it was made.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    #[cfg(test)]
    readings: std::cell::Cell<u64>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            #[cfg(test)]
            readings: Default::default(),
        }
    }

    /// Since it began.
    pub(super) fn now(&self) -> Duration {
        #[cfg(test)]
        self.readings.set(self.readings() + 1);
        self.start.elapsed()
    }

    /// How often it was read.
    #[cfg(test)]
    pub(super) fn readings(&self) -> u64 {
        self.readings.get()
    }
}
