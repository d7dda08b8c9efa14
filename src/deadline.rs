//! The deadlines of requests. Time is passed in; nothing here reads a clock.
//!
//! Requests with the same timeout expire in the order in which they arrived. Each distinct timeout
//! therefore has a queue, and no heap is needed. Adding a deadline is O(1), and the next deadline
//! is the earliest of the first deadlines of all queues. The entry of a request that ends early
//! stays in its queue. When the entries of ended requests outnumber the entries of open requests,
//! the entries of ended requests are removed. The queues thus take at most about twice the memory
//! of the entries of open requests.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// The number by which entries of ended requests may outnumber entries of open requests before the
/// entries of ended requests are removed. For fewer entries, the removal is not worth the work.
const SWEEP_SLACK: usize = 64;

/// The deadlines of requests, by number.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// The timeouts that callers hold or that have entries, in ascending order.
    timeouts: Vec<Rc<Timeout>>,
    /// A lower bound of all deadlines in the queues. Before this time nothing expires, and no queue
    /// needs to be examined.
    earliest: Duration,
    /// The number of entries in the queues, plus the entries that [`Self::expired`] has returned
    /// since the dead entries were last removed. A returned entry stays counted, because `dead`
    /// counts it once its request has ended.
    entries: usize,
    /// The number of entries, among those that `entries` counts, whose request has ended.
    dead: usize,
}

/// A timeout and the queue of its deadlines. The timeout stays valid while a caller holds it, even
/// if other timeouts are added and removed.
#[derive(Debug)]
pub(crate) struct Timeout {
    after: Duration,
    /// The pairs (deadline, number), in order.
    queue: RefCell<VecDeque<(Duration, u64)>>,
}

impl Deadlines {
    /// Returns the timeout of this duration. The caller must hold the timeout as long as it adds
    /// deadlines.
    pub(crate) fn timeout(&mut self, after: Duration) -> Rc<Timeout> {
        let index = match self
            .timeouts
            .binary_search_by_key(&after, |timeout| timeout.after)
        {
            Ok(index) => index,
            Err(index) => {
                let queue = RefCell::default();
                self.timeouts
                    .insert(index, Rc::new(Timeout { after, queue }));
                index
            }
        };
        Rc::clone(&self.timeouts[index])
    }

    /// Drops the timeouts that no caller holds and that have no entries.
    pub(crate) fn drop_unused(&mut self) {
        let is_used = |timeout: &Rc<Timeout>| {
            Rc::strong_count(timeout) > 1 || !timeout.queue.borrow().is_empty()
        };
        self.timeouts.retain(is_used);
    }

    /// Adds the deadline of request `number`: `timeout` after `now`.
    #[inline]
    pub(crate) fn add(&mut self, number: u64, now: Duration, timeout: &Timeout) {
        let deadline = now.saturating_add(timeout.after);
        let mut queue = timeout.queue.borrow_mut();
        // If the queue has entries, their first deadline is no later than this one, so `earliest`
        // need not change.
        if queue.is_empty() {
            self.earliest = self.earliest.min(deadline);
        }
        queue.push_back((deadline, number));
        self.entries += 1;
    }

    /// Records that a request with a deadline has ended. Removes the entries of all ended requests
    /// if there are too many. `alive` returns whether a request is still open.
    pub(crate) fn ended(&mut self, alive: impl Fn(u64) -> bool) {
        self.dead += 1;
        if self.dead * 2 > self.entries + SWEEP_SLACK {
            self.entries = 0;
            for timeout in &self.timeouts {
                let mut queue = timeout.queue.borrow_mut();
                queue.retain(|&(_, number)| alive(number));
                self.entries += queue.len();
            }
            self.dead = 0;
        }
    }

    /// Returns the time of the next check: the earliest deadline, or `None` if there are no
    /// deadlines. The request of that deadline may have ended.
    pub(crate) fn next(&self) -> Option<Duration> {
        let queues = self.timeouts.iter().map(|timeout| timeout.queue.borrow());
        let fronts = queues.filter_map(|queue| queue.front().copied());
        fronts.map(|(deadline, _)| deadline).min()
    }

    /// Returns whether [`Self::expired`] may find a request, without examining the queues.
    #[inline]
    pub(crate) fn may_have_passed(&self, now: Duration) -> bool {
        now >= self.earliest
    }

    /// Finds a request that is `alive` and whose deadline is at `now` or before. Removes its entry,
    /// and returns its number, or `None` if there is no such request. The caller must end the
    /// request and then call [`Self::ended`].
    pub(crate) fn expired(&mut self, now: Duration, alive: impl Fn(u64) -> bool) -> Option<u64> {
        if !self.may_have_passed(now) {
            return None;
        }
        for timeout in &self.timeouts {
            let mut queue = timeout.queue.borrow_mut();
            while let Some(&(_, number)) = queue.front().filter(|(at, _)| *at <= now) {
                queue.pop_front();
                if alive(number) {
                    // The caller must call `ended` next, which counts this entry as dead.
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
    fn the_earliest_deadline_of_all_timeouts_expires_first() {
        let mut deadlines = Deadlines::default();
        let [long, short, same] = [100, 20, 100].map(|n| deadlines.timeout(ms(n)));
        deadlines.add(1, ms(0), &long);
        deadlines.add(2, ms(10), &short);
        deadlines.add(3, ms(20), &same);
        assert_eq!(deadlines.next(), Some(ms(30)));
        assert_eq!(deadlines.expired(ms(29), |_| true), None);
        assert_eq!(deadlines.expired(ms(30), |_| true), Some(2));
        assert_eq!(deadlines.next(), Some(ms(100)));
        assert_eq!(deadlines.expired(ms(200), |n| n != 1), Some(3));
        assert_eq!(deadlines.expired(ms(200), |_| true), None);
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn a_timeout_is_kept_while_it_has_deadlines_or_a_caller_holds_it() {
        let mut deadlines = Deadlines::default();
        let before = [100, 20, 30].map(|n| deadlines.timeout(ms(n)));
        deadlines.add(1, ms(0), &before[0]);
        // Compared with the first three timeouts, 10 is shorter than all, 50 is between two, and
        // 100 is equal to one.
        let after = [10, 50, 100].map(|n| deadlines.timeout(ms(n)));
        assert!(Rc::ptr_eq(&before[0], &after[2]));
        deadlines.add(2, ms(1), &after[2]);
        deadlines.add(3, ms(2), &after[0]);
        // An earlier configuration may still add deadlines, at its own timeout.
        deadlines.add(4, ms(3), &before[1]);
        drop(before);
        deadlines.drop_unused();
        let left: Vec<_> = deadlines
            .timeouts
            .iter()
            .map(|timeout| timeout.after)
            .collect();
        assert_eq!(left, [ms(10), ms(20), ms(50), ms(100)]);
        for (time, number) in [(12, 3), (23, 4), (100, 1), (101, 2)] {
            assert_eq!(deadlines.next(), Some(ms(time)));
            assert_eq!(deadlines.expired(ms(time - 1), |_| true), None);
            assert_eq!(deadlines.expired(ms(time), |_| true), Some(number));
        }
        drop(after);
        deadlines.drop_unused();
        assert!(deadlines.timeouts.is_empty());
    }

    #[test]
    fn memory_is_proportional_to_the_open_requests() {
        let mut deadlines = Deadlines::default();
        let timeout = deadlines.timeout(ms(30_000));
        for number in 0..100_000_u64 {
            deadlines.add(number, ms(number), &timeout);
            if number >= 10 {
                // Only the last ten are ever alive.
                deadlines.ended(|n| n + 10 > number);
            }
        }
        assert!(deadlines.entries < 200, "{}", deadlines.entries);
    }
}
