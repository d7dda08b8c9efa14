//! Requests for reloads while the files stay unchanged. The log reports at most one such request in
//! ten seconds, and the other requests are counted.

use std::time::{Duration, Instant};

/// The minimum time between two log lines about requests while the files stay unchanged.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The repeated requests for a reload.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// The time of the last request that was logged.
    reported: Option<Instant>,
    left_out: u64,
}

impl Repeats {
    /// Returns whether a request at `now` is to be logged, and counts the request if not.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self
            .reported
            .is_none_or(|reported| now.saturating_duration_since(reported) >= LINE_INTERVAL);
        if is_due {
            self.reported = Some(now);
        } else {
            self.left_out += 1;
        }
        is_due
    }

    /// Returns the number of requests that were not logged since the last call, for the next line,
    /// or `None` for zero.
    pub(super) fn left_out(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.left_out)).filter(|n| *n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_repeat_in_ten_seconds_is_logged_and_the_others_are_counted() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut repeats = Repeats::default();
        assert!(repeats.is_due(after(0)));
        assert_eq!(repeats.left_out(), None);
        assert!(!repeats.is_due(after(1)));
        assert!(!repeats.is_due(after(9_999)));
        assert!(repeats.is_due(after(10_000)));
        assert_eq!(repeats.left_out(), Some(2));
        assert_eq!(repeats.left_out(), None);
    }
}
