//! The subscriptions that the core refuses. libzmq has accepted them already and cannot disconnect
//! a subscriber, so they are only logged, at a bounded rate.

use std::time::{Duration, Instant};

use tracing::warn;

use crate::core::REPEAT_INTERVAL;

/// The time of the last log line about a channel's refused subscriptions, and the number of refused
/// subscriptions since then.
#[derive(Debug, Default)]
pub(super) struct Refused {
    logged: Option<Instant>,
    left_out: u64,
}

impl Refused {
    /// Logs that a subscription is refused, at most once in [`REPEAT_INTERVAL`].
    pub(super) fn log(&mut self, channel: &str, why: &str) {
        if let Some(left_out) = self.count(Instant::now()) {
            warn!(channel, left_out, "a subscription is ignored: {why}");
        }
    }

    /// Counts a refused subscription. If this subscription must be logged, returns the number of
    /// subscriptions that were not logged since the last log line. Otherwise returns `None`.
    fn count(&mut self, now: Instant) -> Option<u64> {
        let since = self
            .logged
            .map(|logged| now.saturating_duration_since(logged));
        if since.is_some_and(|since: Duration| since < REPEAT_INTERVAL) {
            self.left_out += 1;
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_logged_once_in_an_interval() {
        let (mut refused, start) = (Refused::default(), Instant::now());
        assert_eq!(refused.count(start), Some(0));
        for _ in 0..1_000 {
            assert_eq!(refused.count(start), None);
        }
        assert_eq!(refused.count(start + REPEAT_INTERVAL), Some(1_000));
        assert_eq!(refused.count(start + REPEAT_INTERVAL), None);
    }
}
