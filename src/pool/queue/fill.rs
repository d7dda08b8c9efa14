//! How much waits, and who fills most of the queue.

use std::collections::BTreeSet;

use super::Lane;
use crate::core::PeerId;

/// What a whole queue counts, when clients' shares of it are compared.
const WHOLE: u64 = 1 << 20;

/// How much there is, and who fills most of it.
#[derive(Debug)]
pub(super) struct Fill {
    /// Requests and bytes that there is room for.
    pub(super) most: (usize, u64),
    /// What nobody is taken for one that fills much with.
    little: (usize, u64),
    pub(super) requests: usize,
    pub(super) bytes: u64,
    /// Clients that fill more than little, by how much that is, in powers of two.
    pub(super) large: BTreeSet<(u32, PeerId)>,
}

impl Fill {
    /// Nothing, with room for so many requests and bytes.
    pub(super) fn new(requests: usize, bytes: u64) -> Self {
        Self {
            most: (requests, bytes),
            little: little(requests, bytes),
            requests: 0,
            bytes: 0,
            large: BTreeSet::new(),
        }
    }

    /// There is room for so many now; false if there was before. If not, all lanes are to be weighed anew.
    pub(super) fn resize(&mut self, requests: usize, bytes: u64) -> bool {
        let before = std::mem::replace(&mut self.most, (requests, bytes));
        self.little = little(requests, bytes);
        before != self.most
    }

    /// A lane has got a request of so many bytes.
    pub(super) fn add(&mut self, client: PeerId, lane: &mut Lane, bytes: u64) {
        self.requests += 1;
        self.bytes += bytes;
        lane.alive += 1;
        lane.bytes += bytes;
        self.weigh(client, lane);
    }

    /// A lane has lost a request of so many bytes.
    pub(super) fn take(&mut self, client: PeerId, lane: &mut Lane, bytes: u64) {
        self.requests -= 1;
        self.bytes -= bytes;
        lane.alive -= 1;
        lane.bytes -= bytes;
        self.weigh(client, lane);
    }

    /// Enters a lane in `large` as what it is now.
    pub(super) fn weigh(&mut self, client: PeerId, lane: &mut Lane) {
        let much = lane.alive > self.little.0 || lane.bytes > self.little.1;
        let size = match much && lane.alive > 1 {
            true => Some(self.share(lane.alive, lane.bytes).ilog2()),
            false => None,
        };
        if size == lane.size {
            return;
        }
        if let Some(size) = std::mem::replace(&mut lane.size, size) {
            self.large.remove(&(size, client));
        }
        if let Some(size) = size {
            self.large.insert((size, client));
        }
    }

    /// How much of the whole so many requests and bytes are: the larger of the two shares, from 1 to beyond
    /// [`WHOLE`].
    pub(super) fn share(&self, requests: usize, bytes: u64) -> u64 {
        let of = |part: u64, all: u64| part.saturating_mul(WHOLE) / all.max(1);
        let (most, most_bytes) = self.most;
        let share = of(requests as u64, most as u64).max(of(bytes, most_bytes));
        share.max(1)
    }
}

/// A thousandth of so many requests and bytes, about.
fn little(requests: usize, bytes: u64) -> (usize, u64) {
    (requests >> 10, bytes >> 10)
}
