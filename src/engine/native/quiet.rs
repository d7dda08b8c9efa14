//! A log line that peers can cause is written once in a while, with a count of those left out.

use std::time::Duration;

/// Between two lines of one kind: often enough to see what goes on, too seldom to fill a disk.
const INTERVAL: Duration = Duration::from_secs(1);

/// Lines of one kind.
#[derive(Debug, Default)]
pub(super) struct Lines {
    last: Option<Duration>,
    left_out: u64,
}

impl Lines {
    /// Whether a line may be written now; if so, how many were left out since the last one.
    pub(super) fn allow(&mut self, now: Duration) -> Option<u64> {
        if self.last.is_some_and(|last| now < last + INTERVAL) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

/// Each kind.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    pub(super) refused: Lines,
    pub(super) accept: Lines,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_counted() {
        let mut lines = Lines::default();
        let at = |ms| Duration::from_millis(ms);
        assert_eq!(lines.allow(at(0)), Some(0));
        assert_eq!(lines.allow(at(1)), None);
        assert_eq!(lines.allow(at(999)), None);
        assert_eq!(lines.allow(at(1000)), Some(2));
        assert_eq!(lines.allow(at(2000)), Some(0));
    }
}
