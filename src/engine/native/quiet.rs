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

/// Why a connection is refused, as far as lines of one sort hide each other: what strangers do each second must not keep
/// from the log what an operator has to put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It speaks something else.
    Stranger,
    /// It speaks ZMTP and says what makes no sense.
    Fault,
    /// What it is doesn't go with where it came.
    Misfit,
    /// It refuses the gateway.
    Refused,
    /// It doesn't say what it is, or the rest of its message, or not in time.
    Slow,
    /// There are too many already.
    Full,
}

impl Cause {
    const COUNT: usize = Self::Full as usize + 1;
}

/// Each kind.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// By cause.
    refused: [Lines; Cause::COUNT],
    pub(super) accept: Lines,
}

impl Quiet {
    /// The lines that tell of connections which are refused for this.
    pub(super) fn refused(&mut self, cause: Cause) -> &mut Lines {
        &mut self.refused[cause as usize]
    }
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

    /// Something that asks each second whether the port is open.
    #[test]
    fn a_cause_that_recurs_does_not_hide_another() {
        let mut quiet = Quiet::default();
        for second in 0..100 {
            let at = Duration::from_secs(second);
            let probe = quiet.refused(Cause::Stranger).allow(at);
            assert_eq!(probe, Some(0));
            if second % 10 == 3 {
                let at = at + Duration::from_millis(500);
                assert_eq!(quiet.refused(Cause::Misfit).allow(at), Some(0), "{at:?}");
            }
        }
        // The last of them, too, has a place.
        assert_eq!(quiet.refused(Cause::Full).allow(Duration::ZERO), Some(0));
    }
}
