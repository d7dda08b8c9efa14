//! The timing of the drain.

use std::time::Duration;

/// The time after the deadline of open requests in which queued answers may still be sent.
const FLUSH: Duration = Duration::from_secs(1);

/// The time that the gateway waits, at the end of a drain, for subscribers that take nothing.
const STALLED_TIME: Duration = Duration::from_secs(1);

/// The time for which messages that still arrive may delay the end of a drain. A publisher does not
/// notice the shutdown, and never stops sending.
const LATE_MESSAGES_TIME: Duration = Duration::from_millis(200);

/// The state of the drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Drain {
    /// The gateway serves.
    #[default]
    No,
    /// The gateway drains until this time, at which it drops the answers that clients have not
    /// read.
    Ends(Duration),
}

/// The progress of subscribers at the end of a drain, when the gateway waits only for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LastReads {
    /// The lowest number of bytes so far that subscribers had yet to read, and the time at which
    /// this minimum was reached.
    left: Option<(u64, Duration)>,
    /// The time at which the gateway began to wait for nothing but subscribers.
    since: Option<Duration>,
}

impl LastReads {
    /// Records the number of bytes that subscribers have yet to read. Returns whether there is
    /// nothing left to wait for: no bytes are left, or their number has reached no new minimum for
    /// [`STALLED_TIME`].
    pub(super) fn are_done(&mut self, left: u64, now: Duration) -> bool {
        let since = match self.left {
            Some((before, since)) if left >= before => since,
            _ => now,
        };
        self.left = Some((
            left.min(self.left.map_or(left, |(before, _)| before)),
            since,
        ));
        left == 0 || now.saturating_sub(since) >= STALLED_TIME
    }

    /// Returns whether messages that have arrived may still be taken and rejected before the end.
    /// The result is true for [`LATE_MESSAGES_TIME`] after the first call.
    pub(super) fn may_take_more(&mut self, now: Duration) -> bool {
        now.saturating_sub(*self.since.get_or_insert(now)) < LATE_MESSAGES_TIME
    }

    /// Forgets the progress, because the gateway does not wait only for subscribers any more.
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }

    /// Returns the time at which [`Self::are_done`] must be called again, unless another event
    /// happens first. Returns `None` before the first call.
    pub(super) fn due(&self) -> Option<Duration> {
        self.left.map(|(_, since)| since + STALLED_TIME)
    }
}

impl Drain {
    /// Begins to drain, and returns the deadline of the open requests. Returns `None` if the drain
    /// has begun already.
    pub(super) fn begin(&mut self, grace: Duration, now: Duration) -> Option<Duration> {
        if *self != Self::No {
            return None;
        }
        let deadline = now + grace;
        *self = Self::Ends(deadline + FLUSH);
        Some(deadline)
    }

    /// Returns the time at which unread answers are dropped, or `None` if the gateway does not
    /// drain.
    pub(super) fn end(&self) -> Option<Duration> {
        match self {
            Self::No => None,
            Self::Ends(end) => Some(*end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drain_waits_for_subscribers_as_long_as_they_take_something() {
        let ms = Duration::from_millis;
        let mut reads = LastReads::default();
        assert!(LastReads::default().are_done(0, ms(0)));
        assert!(!reads.are_done(10, ms(0)));
        assert!(!reads.are_done(10, ms(999)));
        assert_eq!(reads.due(), Some(ms(1000)));
        assert!(!reads.are_done(9, ms(999)));
        assert!(!reads.are_done(9, ms(1998)));
        assert!(reads.are_done(9, ms(1999)));
        assert!(reads.are_done(0, ms(1999)));
    }

    #[test]
    fn late_messages_delay_the_end_only_for_a_while() {
        let ms = Duration::from_millis;
        let mut reads = LastReads::default();
        assert!(reads.may_take_more(ms(5)));
        assert!(reads.may_take_more(ms(204)));
        assert!(!reads.may_take_more(ms(205)));
        reads.restart();
        assert!(reads.may_take_more(ms(206)));
    }

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
