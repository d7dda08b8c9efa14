//! How many requests a worker may hold whose pool says `per_worker: auto`: as many as it answers within a moment.
//!
//! A worker that answers in microseconds needs many at once, or it would be idle while the last answers are on
//! their way and the next requests come; one that takes long should have few, since what it holds no other can take
//! and is lost with it. What a worker answers tells which it is: so no request stands behind others of its worker for
//! much longer than a moment, but for the few that each may have at any time.

use std::time::Duration;

/// What a worker holds is answered within about this, if it goes on as it did: far less than anybody waits for, and
/// more than a round trip takes in a network whose ends are near each other.
const MOMENT: Duration = Duration::from_millis(10);

/// Requests that any worker may hold: so a slow one, too, finds its next one when it has answered.
pub(super) const LEAST: usize = 10;

/// Requests that no worker may hold more of: with more a write or a read takes no fewer system calls a message.
pub(super) const MOST: usize = 1_000;

/// What a worker answered of late.
#[derive(Debug)]
pub(super) struct Pace {
    /// Since when answers are counted.
    since: Duration,
    answered: u64,
    room: usize,
}

impl Pace {
    /// That of a worker of which nothing is known.
    pub(super) fn new() -> Self {
        Self {
            since: Duration::ZERO,
            answered: 0,
            room: LEAST,
        }
    }

    /// Requests that it may hold.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// It gets a request and held none: after a pause, what it did before counts for little.
    pub(super) fn resumed(&mut self, now: Duration) {
        self.reckon(now);
    }

    /// It has answered one.
    pub(super) fn answered(&mut self, now: Duration) {
        self.answered += 1;
        self.reckon(now);
    }

    fn reckon(&mut self, now: Duration) {
        let took = now.saturating_sub(self.since);
        if took >= MOMENT {
            let in_a_moment = self.answered as f64 * MOMENT.as_secs_f64() / took.as_secs_f64();
            *self = Self {
                since: now,
                answered: 0,
                room: (in_a_moment as usize).clamp(LEAST, MOST),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker that answers each request so long after the one before, for so long; it always holds all it may.
    fn after(pace: &mut Pace, start: Duration, each: Duration, lasting: Duration) -> usize {
        pace.resumed(start);
        let mut now = start;
        while now < start + lasting {
            now += each;
            pace.answered(now);
        }
        pace.room()
    }

    #[test]
    fn it_holds_what_it_answers_in_a_moment() {
        let secs = Duration::from_secs;
        for (each, room) in [
            (Duration::from_micros(1), MOST),
            (Duration::from_micros(50), 200),
            (Duration::from_micros(400), 25),
            (Duration::from_millis(2), LEAST),
            (Duration::from_secs(3), LEAST),
        ] {
            let mut pace = Pace::new();
            assert_eq!(after(&mut pace, secs(5), each, secs(1)), room, "{each:?}");
        }
    }

    #[test]
    fn one_that_becomes_slow_holds_few_again_and_one_that_paused_is_a_new_one() {
        let mut pace = Pace::new();
        let fast = Duration::from_micros(20);
        let (start, lasting) = (Duration::from_secs(5), Duration::from_millis(100));
        assert_eq!(after(&mut pace, start, fast, lasting), 500);
        pace.answered(start + lasting + Duration::from_millis(30));
        assert_eq!(pace.room(), LEAST);

        assert_eq!(after(&mut pace, 2 * start, fast, lasting), 500);
        // For a blink it has nothing to do: no pause.
        pace.resumed(2 * start + lasting + Duration::from_millis(1));
        assert_eq!(pace.room(), 500);
        pace.resumed(3 * start);
        assert_eq!(pace.room(), LEAST);
    }
}
