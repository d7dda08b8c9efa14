//! How much waits, and who fills most of the queue: by number and by bytes, to within a factor of two, so that
//! little is done for each request.

use std::collections::BTreeSet;

use super::lane::{Classes, Lane};
use crate::peer::PeerId;

/// Bytes below which nobody is taken for one that fills much.
const LITTLE: u64 = 64 << 10;

/// Requests and bytes that a queue has room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) requests: usize,
    pub(super) bytes: u64,
}

/// The requests and bytes in a queue, and the clients that fill most of it.
#[derive(Debug)]
pub(super) struct Fill {
    pub(super) room: Room,
    pub(super) requests: usize,
    pub(super) bytes: u64,
    /// Clients that have more than one request here, by how many, in powers of two.
    pub(super) by_number: BTreeSet<(u32, PeerId)>,
    /// Those of these that have more than a [`LITTLE`] here, by how much, in powers of two.
    pub(super) by_bytes: BTreeSet<(u32, PeerId)>,
}

impl Fill {
    /// Returns the fill of an empty queue.
    pub(super) fn new(room: Room) -> Self {
        Self {
            room,
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
