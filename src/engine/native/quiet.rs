//! A log line that peers can cause is written once in a while, with a count of those left out.

use std::collections::HashMap;
use std::time::Duration;

use crate::engine::native::role::Role;

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

/// Why a connection is refused, as far as lines of one sort hide each other: what strangers do each
/// second must not keep from the log what an operator has to put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// Each kind.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    /// By where they came and for what they are refused: as many as there ever were places, times
    /// causes.
    refused: HashMap<(Role, Cause), Lines>,
    accept: Lines,
}

impl Quiet {
    /// The lines that tell of connections which are refused here for this.
    pub(super) fn refused(&mut self, place: Role, cause: Cause) -> &mut Lines {
        self.refused.entry((place, cause)).or_default()
    }

    /// Returns the lines about connections that can't be accepted.
    pub(super) fn accept(&mut self) -> &mut Lines {
        &mut self.accept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{FrontendId, PoolId};

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
    fn a_cause_that_recurs_hides_no_other_and_nothing_elsewhere() {
        const HERE: Role = Role::Frontend(FrontendId(0));
        const THERE: Role = Role::Pool(PoolId(0));
        let mut quiet = Quiet::default();
        for second in 0..100 {
            let at = Duration::from_secs(second);
            let probe = quiet.refused(HERE, Cause::Stranger).allow(at);
            assert_eq!(probe, Some(0));
            if second % 10 == 3 {
                let at = at + Duration::from_millis(500);
                for (place, cause) in [(HERE, Cause::Misfit), (THERE, Cause::Stranger)] {
                    let others = quiet.refused(place, cause).allow(at);
                    assert_eq!(others, Some(0), "{place:?} {cause:?} {at:?}");
                }
            }
        }
    }
}
