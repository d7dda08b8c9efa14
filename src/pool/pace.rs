//! The number of requests that a worker of a pool with `per_worker: auto` may hold: as many as it
//! answers within [`ANSWER_WINDOW`].
//!
//! A worker that answers in microseconds needs many requests at once, or it would be idle while
//! answers and requests travel. A slow worker should have few, since no other worker can take the
//! requests that it holds, and all of them are lost if it disconnects. The rate of answers
//! distinguishes fast from slow workers. A request therefore waits at its worker for little longer
//! than the window, unless the worker is so slow that even [`ROOM_MIN`] requests take longer.

use std::time::Duration;

/// The time in which a worker answers the requests that it holds, if it continues at its rate. This
/// time is too short for clients to notice, and longer than a round trip in a local network.
const ANSWER_WINDOW: Duration = Duration::from_millis(10);

/// The minimum number of requests that a worker may hold, so that even a slow worker has its next
/// request at hand when it has answered one.
pub(super) const ROOM_MIN: usize = 10;

/// The maximum number of requests that a worker may hold. With more requests, the number of system
/// calls per message would not decrease further.
pub(super) const ROOM_MAX: usize = 1_000;

/// The recent rate of a worker's answers.
#[derive(Debug)]
pub(super) struct Pace {
    /// The time from which answers are counted.
    since: Duration,
    answered: u64,
    room: usize,
}

impl Pace {
    /// Returns the pace of a worker that has not answered yet.
    pub(super) fn new() -> Self {
        Self {
            since: Duration::ZERO,
            answered: 0,
            room: ROOM_MIN,
        }
    }

    /// Returns the number of requests that the worker may hold.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Records that an idle worker receives a request. After a pause, the rate before the pause
    /// counts for little.
    pub(super) fn resumed(&mut self, now: Duration) {
        self.update(now);
    }

    /// Records an answer.
    pub(super) fn answered(&mut self, now: Duration) {
        self.answered += 1;
        self.update(now);
    }

    fn update(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.since);
        if elapsed >= ANSWER_WINDOW {
            let in_window =
                self.answered as f64 * ANSWER_WINDOW.as_secs_f64() / elapsed.as_secs_f64();
            *self = Self {
                since: now,
                answered: 0,
                room: (in_window as usize).clamp(ROOM_MIN, ROOM_MAX),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Simulates a worker that takes the time `each` to answer a request, works for the time
    /// `lasting`, and always holds as many requests as it may. Returns the number of requests that
    /// the worker may hold in the end.
    fn room_after(pace: &mut Pace, start: Duration, each: Duration, lasting: Duration) -> usize {
        pace.resumed(start);
        let mut now = start;
        while now < start + lasting {
            now += each;
            pace.answered(now);
        }
        pace.room()
    }

    #[test]
    fn a_worker_may_hold_as_many_requests_as_it_answers_in_ten_milliseconds() {
        let secs = Duration::from_secs;
        for (each, room) in [
            (Duration::from_micros(1), ROOM_MAX),
            (Duration::from_micros(50), 200),
            (Duration::from_micros(400), 25),
            (Duration::from_millis(2), ROOM_MIN),
            (Duration::from_secs(3), ROOM_MIN),
        ] {
            let mut pace = Pace::new();
            assert_eq!(
                room_after(&mut pace, secs(5), each, secs(1)),
                room,
                "{each:?}"
            );
        }
    }

    #[test]
    fn a_worker_that_slows_down_or_pauses_may_hold_few_requests() {
        let mut pace = Pace::new();
        let fast = Duration::from_micros(20);
        let (start, lasting) = (Duration::from_secs(5), Duration::from_millis(100));
        assert_eq!(room_after(&mut pace, start, fast, lasting), 500);
        pace.answered(start + lasting + Duration::from_millis(30));
        assert_eq!(pace.room(), ROOM_MIN);

        assert_eq!(room_after(&mut pace, 2 * start, fast, lasting), 500);
        // The worker is idle for a millisecond only, which is not a pause.
        pace.resumed(2 * start + lasting + Duration::from_millis(1));
        assert_eq!(pace.room(), 500);
        pace.resumed(3 * start);
        assert_eq!(pace.room(), ROOM_MIN);
    }
}
