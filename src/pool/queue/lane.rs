//! A client's lane in a pool's queue: its requests in the order in which they came.

use std::collections::VecDeque;

use crate::peer::Identity;

/// Entries of a lane that may be dead, or empty, before a sweep is worth its while.
pub(super) const SLACK: usize = 64;

/// Requests that make way for one, at most, so that a large request doesn't cost a crowd of small ones.
const EVICTIONS_MAX: u64 = 16;

/// A client's requests in a queue.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) identity: Identity,
    /// In the order in which they came, which is that of their numbers. The first and the last are alive.
    pub(super) requests: VecDeque<Waiting>,
    /// Requests that have not ended.
    pub(super) alive: usize,
    /// Bytes of these.
    pub(super) bytes: u64,
    pub(super) turn: i64,
    /// The classes that the lane is entered under in [`Fill`](super::fill::Fill).
    pub(super) classes: Classes,
}

/// A queued request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) number: u64,
    /// None once the request has ended.
    pub(super) bytes: Option<u64>,
}

/// The size of a lane by number and by bytes, in powers of two; 0 for a lane that is not entered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Classes {
    pub(super) number: u32,
    pub(super) bytes: u32,
}

impl Lane {
    /// Returns an empty lane with this turn.
    pub(super) fn new(identity: Identity, turn: i64) -> Self {
        Self {
            identity,
            requests: VecDeque::new(),
            alive: 0,
            bytes: 0,
            turn,
            classes: Classes::default(),
        }
    }

    /// Returns the newest requests that free `short` bytes together, if at least `left` bytes remain: no small
    /// requests, too many of which would have to go, and never all.
    pub(super) fn spare(&self, short: u64, left: u64) -> Option<Vec<u64>> {
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

    /// Drops ended requests from both ends, and from between them once they outnumber the others; and memory that
    /// a burst has left.
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
