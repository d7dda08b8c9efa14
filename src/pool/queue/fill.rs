//! How much waits, and who fills most of the queue: by number and by bytes, to within a factor of two, so that
//! little is done for each request.

use std::collections::BTreeSet;

use super::Lane;
use crate::peer::PeerId;

/// Bytes below which nobody is taken for one that fills much.
const LITTLE: u64 = 64 << 10;

/// How much there is, and whose.
#[derive(Debug)]
pub(super) struct Fill {
    /// Requests and bytes that there is room for.
    pub(super) most: (usize, u64),
    pub(super) requests: usize,
    pub(super) bytes: u64,
    /// Clients that have more than one request here, by how many, in powers of two.
    pub(super) by_number: BTreeSet<(u32, PeerId)>,
    /// Those of these that have more than a [`LITTLE`] here, by how much, in powers of two.
    pub(super) by_bytes: BTreeSet<(u32, PeerId)>,
}

/// Powers of two, by number and by bytes, as which a lane is entered; 0 for not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Classes {
    number: u32,
    bytes: u32,
}

impl Fill {
    /// Nothing, with room for so many requests and bytes.
    pub(super) fn new(requests: usize, bytes: u64) -> Self {
        Self {
            most: (requests, bytes),
            requests: 0,
            bytes: 0,
            by_number: BTreeSet::new(),
            by_bytes: BTreeSet::new(),
        }
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

    /// Enters a lane as what it is now.
    fn weigh(&mut self, client: PeerId, lane: &mut Lane) {
        let several = lane.alive > 1;
        let much = several && lane.bytes >= LITTLE;
        let now = Classes {
            number: if several { lane.alive.ilog2() } else { 0 },
            bytes: if much { lane.bytes.ilog2() } else { 0 },
        };
        if now == lane.classes {
            return;
        }
        let before = std::mem::replace(&mut lane.classes, now);
        enter(&mut self.by_number, client, before.number, now.number);
        enter(&mut self.by_bytes, client, before.bytes, now.bytes);
    }
}

fn enter(lanes: &mut BTreeSet<(u32, PeerId)>, client: PeerId, before: u32, now: u32) {
    if before == now {
        return;
    }
    if before > 0 {
        lanes.remove(&(before, client));
    }
    if now > 0 {
        lanes.insert((now, client));
    }
}
