//! The end of the gateway's life, as far as time is concerned.

use std::time::Duration;

/// How long answers that wait may take to leave once nothing else is to be done.
const FLUSH: Duration = Duration::from_secs(1);

/// Whether the gateway drains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Drain {
    /// It serves.
    #[default]
    No,
    /// It drains, and gives up at this time what its clients have not read.
    Until(Duration),
}

impl Drain {
    /// Begins to drain, unless that has begun already. Returns the deadline of the requests that
    /// are held.
    pub(super) fn begin(&mut self, grace: Duration, now: Duration) -> Option<Duration> {
        if *self != Self::No {
            return None;
        }
        let deadline = now + grace;
        *self = Self::Until(deadline + FLUSH);
        Some(deadline)
    }

    /// Returns when what is unread is given up.
    pub(super) fn end(&self) -> Option<Duration> {
        match self {
            Self::No => None,
            Self::Until(end) => Some(*end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_begins_once_and_ends_after_its_grace() {
        let second = Duration::from_secs;
        let mut drain = Drain::default();
        assert_eq!(drain.end(), None);
        assert_eq!(drain.begin(second(5), second(10)), Some(second(15)));
        assert_eq!(drain.begin(second(5), second(12)), None);
        assert_eq!(drain.end(), Some(second(15) + FLUSH));
    }
}
