//! Which request's time is up next. Time is passed in; nothing here reads a clock.
//!
//! Requests with the same timeout expire in the order in which they came, so each distinct timeout
//! has a queue and no heap is needed: adding is O(1), and the next deadline is the earliest front.
//! A request that ends early leaves its entry behind; when those that ended outnumber those that
//! wait, all are swept, which keeps memory within twice what is waiting.

use std::collections::VecDeque;
use std::time::Duration;

/// Entries that may be dead before a sweep is worth its while.
const SWEEP_SLACK: usize = 64;

/// Lanes from which empty ones are let go of: more distinct timeouts than a configuration has, as a rule.
const EMPTY_LANES: usize = 16;

/// Deadlines of requests, by number.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    lanes: Vec<Lane>,
    /// No deadline in the lanes is earlier: so long nothing expires, and no lane is looked at.
    earliest: Duration,
    /// Entries added since the last sweep and before it; at least those in the lanes.
    entries: usize,
    /// Of these, those whose request ended.
    dead: usize,
}

#[derive(Debug)]
struct Lane {
    timeout: Duration,
    /// (deadline, number), in order.
    queue: VecDeque<(Duration, u64)>,
}

impl Deadlines {
    /// Starts the clock of request `number` at `now`.
    pub fn add(&mut self, number: u64, now: Duration, timeout: Duration) {
        let entry = (now.saturating_add(timeout), number);
        self.earliest = self.earliest.min(entry.0);
        self.entries += 1;
        match self.lanes.iter_mut().find(|lane| lane.timeout == timeout) {
            Some(lane) => lane.queue.push_back(entry),
            None => self.lanes.push(Lane {
                timeout,
                queue: VecDeque::from([entry]),
            }),
        }
    }

    /// A request with a deadline ended; `alive` tells which have not.
    pub fn ended(&mut self, alive: impl Fn(u64) -> bool) {
        self.dead += 1;
        if self.dead * 2 > self.entries + SWEEP_SLACK {
            for lane in &mut self.lanes {
                lane.queue.retain(|&(_, number)| alive(number));
            }
            // An empty lane is soon filled again, unless its timeout is in no configuration any more.
            if self.lanes.len() > EMPTY_LANES {
                self.lanes.retain(|lane| !lane.queue.is_empty());
            }
            self.entries = self.lanes.iter().map(|lane| lane.queue.len()).sum();
            self.dead = 0;
        }
    }

    /// When to look again: the earliest deadline, which may be that of a request that has ended.
    pub fn next(&self) -> Option<Duration> {
        let fronts = self.lanes.iter().filter_map(|lane| lane.queue.front());
        fronts.map(|&(deadline, _)| deadline).min()
    }

    /// Takes out a request that is `alive` and whose deadline is at `now` or before. The caller ends it.
    #[inline]
    pub fn expired(&mut self, now: Duration, alive: impl Fn(u64) -> bool) -> Option<u64> {
        if now < self.earliest {
            return None;
        }
        self.first_expired(now, alive)
    }

    fn first_expired(&mut self, now: Duration, alive: impl Fn(u64) -> bool) -> Option<u64> {
        for lane in &mut self.lanes {
            while let Some(&(_, number)) = lane.queue.front().filter(|(at, _)| *at <= now) {
                lane.queue.pop_front();
                if alive(number) {
                    // Counted out by the call of `ended` that must follow.
                    return Some(number);
                }
                self.entries -= 1;
                self.dead = self.dead.saturating_sub(1);
            }
        }
        self.earliest = self.next().unwrap_or(Duration::MAX);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn each_timeout_expires_in_its_own_order() {
        let mut deadlines = Deadlines::default();
        deadlines.add(1, ms(0), ms(100));
        deadlines.add(2, ms(10), ms(20));
        deadlines.add(3, ms(20), ms(100));
        assert_eq!(deadlines.next(), Some(ms(30)));
        assert_eq!(deadlines.expired(ms(29), |_| true), None);
        assert_eq!(deadlines.expired(ms(30), |_| true), Some(2));
        assert_eq!(deadlines.next(), Some(ms(100)));
        assert_eq!(deadlines.expired(ms(200), |n| n != 1), Some(3));
        assert_eq!(deadlines.expired(ms(200), |_| true), None);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn memory_follows_what_is_alive() {
        let mut deadlines = Deadlines::default();
        for number in 0..100_000_u64 {
            deadlines.add(number, ms(number), ms(30_000));
            if number >= 10 {
                // Only the last ten are ever alive.
                deadlines.ended(|n| n + 10 > number);
            }
        }
        assert!(deadlines.entries < 200, "{}", deadlines.entries);
    }
}
