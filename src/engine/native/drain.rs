//! The timing of the drain.

use std::time::Duration;

/// The time after the deadline of open requests in which queued answers may still be sent.
const FLUSH: Duration = Duration::from_secs(1);

/// The state of the drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Drain {
    /// The gateway serves.
    #[default]
    No,
    /// The gateway drains until this time, at which it drops the answers that clients have not
    /// read.
    Until(Duration),
}

impl Drain {
    /// Begins to drain, unless that has begun already. Returns the deadline of the open requests.
    pub(super) fn begin(&mut self, grace: Duration, now: Duration) -> Option<Duration> {
        if *self != Self::No {
            return None;
        }
        let deadline = now + grace;
        *self = Self::Until(deadline + FLUSH);
        Some(deadline)
    }

    /// Returns the time at which unread answers are dropped.
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
