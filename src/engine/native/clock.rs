//! The engine's clock, which measures the time since the engine started. Other modules receive the
//! time as a parameter.
//!
//! Each turn reads the clock before its wait and after it. From the reading before the wait, the
//! engine computes the timeout of the wait, and the time that the thread has worked since the last
//! wait. A long turn reads the clock more often. A reading takes about 50 ns and a turn makes at
//! least three system calls, so two readings cost little even in a turn with one message. The clock
//! is not read for each message.

use std::time::{Duration, Instant};

/// A clock that starts when it is created.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    #[cfg(test)]
    readings: std::cell::Cell<u64>,
    /// The time of the last reading and the time between two readings, if a test sets them.
    #[cfg(test)]
    stepped: std::cell::Cell<Option<(Duration, Duration)>>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            #[cfg(test)]
            readings: Default::default(),
            #[cfg(test)]
            stepped: Default::default(),
        }
    }

    /// Returns the time since the clock started.
    pub(super) fn now(&self) -> Duration {
        #[cfg(test)]
        self.readings.set(self.readings() + 1);
        #[cfg(test)]
        if let Some((last, step)) = self.stepped.get() {
            self.stepped.set(Some((last + step, step)));
            return last + step;
        }
        self.start.elapsed()
    }

    /// Makes each reading from now on return the last reading plus `step`.
    #[cfg(test)]
    pub(super) fn step_by(&self, step: Duration) {
        self.stepped.set(Some((self.now(), step)));
    }

    /// Returns the number of readings.
    #[cfg(test)]
    pub(super) fn readings(&self) -> u64 {
        self.readings.get()
    }
}
