//! The fill of a queue, and the clients that fill most of it. Clients are ranked by the number of
//! their requests and by their bytes. Each rank is a base-2 logarithm, so that few requests change
//! a rank.

use std::collections::BTreeSet;

use super::lane::{Classes, ClientQueue};
use crate::peer::PeerId;

/// The minimum total size of a client's requests, in bytes, at which the client is ranked by bytes.
const LARGE_FILL_MIN: u64 = 64 << 10;

/// The capacity of a queue, in requests and in bytes.
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
    /// The clients with more than one request in this queue, each with the base-2 logarithm of the
    /// number of its requests.
    pub(super) by_number: BTreeSet<(u32, PeerId)>,
    /// The clients of `by_number` that have at least [`LARGE_FILL_MIN`] bytes in this queue, each
    /// with the base-2 logarithm of its bytes.
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

    /// Adds a request of this size to a lane.
    pub(super) fn add(&mut self, client: PeerId, lane: &mut ClientQueue, bytes: u64) {
        self.requests += 1;
        self.bytes += bytes;
        lane.alive += 1;
        lane.bytes += bytes;
        self.update_classes(client, lane);
    }

    /// Removes a request of this size from a lane.
    pub(super) fn take(&mut self, client: PeerId, lane: &mut ClientQueue, bytes: u64) {
        self.requests -= 1;
        self.bytes -= bytes;
        lane.alive -= 1;
        lane.bytes -= bytes;
        self.update_classes(client, lane);
    }

    /// Updates the ranks of a client, which are stored in the `classes` of its lane.
    fn update_classes(&mut self, client: PeerId, lane: &mut ClientQueue) {
        let several = lane.alive > 1;
        let much = several && lane.bytes >= LARGE_FILL_MIN;
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
