//! A client's lane in a pool's queue: its requests in the order in which they arrived.

use std::collections::VecDeque;

use super::turns::Turn;
use crate::peer::Identity;

/// A lane with at most this number of ended requests does not drop them from its middle. A lane
/// with memory for at most this number of requests does not shrink. Neither is worth the work.
pub(super) const SLACK: usize = 64;

/// The maximum number of requests that are evicted for one new request, so that a large request
/// does not evict a large number of small requests.
const EVICTIONS_MAX: u64 = 16;

/// A client's requests in a queue.
#[derive(Debug)]
pub(super) struct ClientQueue {
    pub(super) identity: Identity,
    /// The requests in the order of arrival, which is the order of their numbers. The first and the
    /// last request have not ended.
    pub(super) requests: VecDeque<Waiting>,
    /// The number of requests that have not ended.
    pub(super) alive: usize,
    /// The size of the requests that have not ended, in bytes.
    pub(super) bytes: u64,
    pub(super) turn: Turn,
    /// The classes under which the lane is entered in [`Fill`](super::fill::Fill).
    pub(super) classes: Classes,
}

/// A queued request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) number: u64,
    /// The size in bytes, or `None` once the request has ended.
    pub(super) bytes: Option<u64>,
}

/// The base-2 logarithms of a lane's number of requests and of its bytes. A logarithm is 0 if the
/// lane is not in the corresponding set of [`Fill`](super::fill::Fill).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Classes {
    pub(super) number: u32,
    pub(super) bytes: u32,
}

impl ClientQueue {
    /// Returns an empty lane with this turn. `requests` must be empty, and its memory is reused.
    pub(super) fn new(identity: Identity, turn: Turn, requests: VecDeque<Waiting>) -> Self {
        Self {
            identity,
            requests,
            alive: 0,
            bytes: 0,
            turn,
            classes: Classes::default(),
        }
    }

    /// Returns the newest requests whose eviction frees at least `short` bytes. Returns `None` if
    /// there are no such requests, or if no request or fewer than `left` bytes would remain in the
    /// lane. Small requests are skipped, because too many of them would be needed.
    pub(super) fn evictable(&self, short: u64, left: u64) -> Option<Vec<u64>> {
        let least = short.div_ceil(EVICTIONS_MAX);
        let mut freed = 0;
        let mut gone = Vec::new();
        let newest = self.requests.iter().rev();
        let newest = newest.filter_map(|waiting| Some((waiting.number, waiting.bytes?)));
        for (number, bytes) in newest.filter(|(_, bytes)| *bytes >= least) {
            freed += bytes;
            gone.push(number);
            if self.bytes - freed < left || gone.len() == self.alive {
                return None;
            }
            if freed >= short {
                return Some(gone);
            }
        }
        None
    }

    /// Drops ended requests from both ends, and from the middle once they outnumber the others by
    /// more than [`SLACK`]. Frees the memory that a burst has left.
    #[inline]
    pub(super) fn trim(&mut self) {
        if self.requests.len() > self.alive {
            self.drop_ended();
        }
        if self.requests.capacity() > 4 * self.requests.len() + SLACK {
            self.requests.shrink_to(2 * self.requests.len());
        }
    }

    fn drop_ended(&mut self) {
        let ended = |waiting: &Waiting| waiting.bytes.is_none();
        while self.requests.front().is_some_and(ended) {
            self.requests.pop_front();
        }
        while self.requests.back().is_some_and(ended) {
            self.requests.pop_back();
        }
        if self.requests.len() > 2 * self.alive + SLACK {
            self.requests.retain(|waiting| waiting.bytes.is_some());
        }
    }
}
