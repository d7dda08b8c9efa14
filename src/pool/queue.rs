//! The queue of a pool. Clients take turns, however many requests each has sent. The requests of
//! one client keep the order in which they arrived, and a client that sends thousands of requests
//! does not delay the others.
//!
//! There is a lane for each client, and a ring of lanes in the order of their turns. Under
//! `identity: client`, a lane stands *aside* while no free worker may serve its client. The lane is
//! skipped, so that it does not delay the other lanes, and it keeps its turn. When the queue is
//! full, requests of a client that fills much of it are evicted for a request of a client that
//! fills less.

mod fill;
mod lane;
mod turns;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::peer::{Identity, PeerId};
use fill::{Fill, Room};
use lane::{ClientQueue, Waiting};
use turns::{Turn, Turns};

/// The maximum number of clients that are considered for eviction, in descending order of fill. The
/// client that fills most may have no requests whose eviction makes enough room.
const EVICTION_CANDIDATES_MAX: usize = 4;

/// The maximum number of emptied lanes whose memory is kept for reuse: enough for the clients of a
/// busy pool whose requests wait briefly, and at most 100 KiB.
const SPARE_MAX: usize = 64;

/// The queued requests, by client.
#[derive(Debug)]
pub(super) struct Queue {
    /// The lane of each client that has requests in the queue.
    lanes: FxHashMap<PeerId, ClientQueue>,
    /// The lanes that do not stand aside, in the order of their turns.
    ring: Turns,
    /// The lanes that stand aside, by turn.
    aside: BTreeMap<Turn, PeerId>,
    /// The turns of the lanes that stand aside, by the identities of their clients.
    names: HashMap<Identity, BTreeSet<Turn>>,
    fill: Fill,
    /// The memory of former lanes that had few requests, for reuse.
    spare: Vec<VecDeque<Waiting>>,
}

impl Queue {
    /// Returns an empty queue with room for this number of requests and bytes.
    pub(super) fn new(requests: usize, bytes: u64) -> Self {
        Self {
            lanes: FxHashMap::default(),
            ring: Turns::default(),
            aside: BTreeMap::new(),
            names: HashMap::new(),
            fill: Fill::new(Room { requests, bytes }),
            spare: Vec::new(),
        }
    }

    /// Changes the room. Queued requests stay, even if they exceed it.
    pub(super) fn resize(&mut self, requests: usize, bytes: u64) {
        self.fill.room = Room { requests, bytes };
    }

    /// Returns the number of queued requests.
    pub(super) fn len(&self) -> usize {
        self.fill.requests
    }

    /// Returns the number of bytes of the queued requests.
    pub(super) fn bytes(&self) -> u64 {
        self.fill.bytes
    }

    /// Returns whether a new request of this client would be the next: the client has no queued
    /// requests, and the lanes of all others stand aside.
    pub(super) fn would_be_next(&self, client: PeerId) -> bool {
        self.lanes.is_empty() || (self.ring.is_empty() && !self.lanes.contains_key(&client))
    }

    /// Returns whether there is room for a request of this size.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        let Fill { room, requests, .. } = self.fill;
        requests < room.requests && self.fill.bytes.saturating_add(bytes) <= room.bytes
    }

    /// Returns the requests to evict for a request of this client. They belong to one other client.
    /// After their eviction, that client still fills at least as much of the queue as this client
    /// with its new request. Returns `None` if no such requests make enough room.
    pub(super) fn requests_to_evict(&self, client: PeerId, bytes: u64) -> Option<Vec<u64>> {
        let Fill { room, requests, .. } = self.fill;
        if requests > room.requests || self.fill.bytes > room.bytes {
            // The queue was made smaller. Requests that it had accepted before are not evicted for
            // new ones.
            return None;
        }
        let own = self.lanes.get(&client);
        let (own, own_bytes) = own.map_or((0, 0), |lane| (lane.alive, lane.bytes));
        let short = self
            .fill
            .bytes
            .saturating_add(bytes)
            .saturating_sub(room.bytes);
        let largest = |lanes: &'_ BTreeSet<(u32, PeerId)>| {
            let others = lanes.iter().rev().filter(|(_, owner)| *owner != client);
            let lanes = others.filter_map(|(_, owner)| self.lanes.get(owner));
            lanes.take(EVICTION_CANDIDATES_MAX).collect::<Vec<_>>()
        };
        match short {
            0 => largest(&self.fill.by_number)
                .into_iter()
                .filter(|lane| lane.alive > own + 1)
                .find_map(|lane| Some(vec![lane.requests.back()?.number])),
            _ => largest(&self.fill.by_bytes)
                .into_iter()
                .find_map(|lane| lane.evictable(short, own_bytes.saturating_add(bytes))),
        }
    }

    /// Queues a request after the earlier requests of its client. Later requests of the client may
    /// be queued already, because the checks of their payloads may have ended earlier.
    pub(super) fn push(&mut self, number: u64, client: PeerId, identity: &Identity, bytes: u64) {
        let (lane, fill) = self.lane(client, identity);
        let entry = Waiting {
            number,
            bytes: Some(bytes),
        };
        let is_last = lane.requests.back().is_none_or(|last| last.number < number);
        if is_last {
            lane.requests.push_back(entry);
        } else {
            let at = lane
                .requests
                .partition_point(|queued| queued.number < number);
            lane.requests.insert(at, entry);
        }
        fill.add(client, lane, bytes);
    }

    /// Puts back a request that was [taken](Self::take), before all others.
    pub(super) fn put_back(
        &mut self,
        number: u64,
        client: PeerId,
        identity: &Identity,
        bytes: u64,
    ) {
        let (lane, fill) = self.lane(client, identity);
        let entry = Waiting {
            number,
            bytes: Some(bytes),
        };
        lane.requests.push_front(entry);
        fill.add(client, lane, bytes);
        self.come_first(client);
    }

    /// Removes a request that ended before a worker could take it.
    pub(super) fn remove(&mut self, number: u64, client: PeerId) {
        let Some(lane) = self.lanes.get_mut(&client) else {
            return;
        };
        let found = lane
            .requests
            .binary_search_by_key(&number, |queued| queued.number);
        let entry = found.ok().and_then(|at| lane.requests.get_mut(at));
        if let Some(bytes) = entry.and_then(|queued| queued.bytes.take()) {
            self.fill.take(client, lane, bytes);
            lane.trim();
            if lane.alive == 0 {
                self.leave(client);
            }
        }
    }

    /// Returns the identity of the client whose turn it is, or `None` if no client has a turn.
    pub(super) fn next(&self) -> Option<&Identity> {
        let client = self.ring.first()?;
        self.lanes.get(&client).map(|lane| &lane.identity)
    }

    /// Takes the oldest request of the client whose [turn](Self::next) it is, which ends the turn.
    pub(super) fn take(&mut self) -> Option<u64> {
        let client = self.ring.first()?;
        let alone = self.lanes.len() == 1;
        let lane = self.lanes.get_mut(&client)?;
        let Waiting { number, bytes } = lane.requests.pop_front()?;
        self.fill.take(client, lane, bytes.unwrap_or_default());
        lane.trim();
        if lane.alive == 0 {
            self.leave(client);
        } else if !alone {
            self.ring.take();
            lane.turn = self.ring.add(client);
        }
        Some(number)
    }

    /// Moves aside the lane whose [turn](Self::next) it is, because no free worker may serve its
    /// client.
    pub(super) fn step_aside(&mut self) {
        let Some((turn, client)) = self.ring.take() else {
            return;
        };
        if let Some(lane) = self.lanes.get(&client) {
            let identity = Rc::clone(&lane.identity);
            self.names.entry(identity).or_default().insert(turn);
            self.aside.insert(turn, client);
        }
    }

    /// Calls back one of the lanes that stand aside, because one more request of a client with this
    /// identity can be served. It is the lane with the earliest turn among the lanes of such
    /// clients.
    pub(super) fn call(&mut self, identity: &[u8]) {
        if self.aside.is_empty() {
            return;
        }
        let first = self.names.get(identity).and_then(|turns| turns.first());
        if let Some(turn) = first.copied() {
            self.come_back(turn);
        }
    }

    /// Calls back up to `most` lanes that stand aside, in the order of their turns. `may_take`
    /// returns whether a worker may take requests of an identity. Only the first lane of each such
    /// identity is called back.
    pub(super) fn call_some(&mut self, most: usize, may_take: impl Fn(&Identity) -> bool) {
        let first = |turn: &Turn, client: &PeerId| {
            let lane = self.lanes.get(client)?;
            let turns = self.names.get(&lane.identity)?;
            (turns.first() == Some(turn) && may_take(&lane.identity)).then_some(*turn)
        };
        let called = self
            .aside
            .iter()
            .filter_map(|(turn, client)| first(turn, client));
        for turn in called.take(most).collect::<Vec<_>>() {
            self.come_back(turn);
        }
    }

    /// Calls back all lanes that stand aside.
    pub(super) fn call_all(&mut self) {
        self.ring.put_all_back(&mut self.aside);
        self.names.clear();
    }

    /// Puts a lane that stands aside back into the ring.
    fn come_back(&mut self, turn: Turn) {
        if let Some(client) = self.forget(turn) {
            self.ring.put_back(turn, client);
        }
    }

    /// Removes the lane with this turn from the lanes that stand aside, and returns its client.
    fn forget(&mut self, turn: Turn) -> Option<PeerId> {
        let client = self.aside.remove(&turn)?;
        let lane = self.lanes.get(&client)?;
        if let Some(turns) = self.names.get_mut(&lane.identity) {
            turns.remove(&turn);
            if turns.is_empty() {
                self.names.remove(&lane.identity);
            }
        }
        Some(client)
    }

    /// Returns the lane of a client, and the queue's fill. Creates the lane if the client has none.
    /// The caller must then add a request to the lane.
    fn lane(&mut self, client: PeerId, identity: &Identity) -> (&mut ClientQueue, &mut Fill) {
        let lane = self.lanes.entry(client).or_insert_with(|| {
            let requests = self.spare.pop().unwrap_or_default();
            ClientQueue::new(Rc::clone(identity), self.ring.add(client), requests)
        });
        (lane, &mut self.fill)
    }

    /// Removes a client that has no queued requests any more.
    fn leave(&mut self, client: PeerId) {
        let Some(lane) = self.lanes.get(&client) else {
            return;
        };
        let turn = lane.turn;
        if !self.ring.remove(turn) {
            self.forget(turn);
        }
        if let Some(ClientQueue { mut requests, .. }) = self.lanes.remove(&client)
            && requests.capacity() <= lane::SLACK
            && self.spare.len() < SPARE_MAX
        {
            requests.clear();
            self.spare.push(requests);
        }
    }

    /// Gives the next turn to this client, unless its lane stands aside.
    fn come_first(&mut self, client: PeerId) {
        let Some(lane) = self.lanes.get_mut(&client) else {
            return;
        };
        if self.ring.remove(lane.turn) {
            lane.turn = self.ring.add_first(client);
        }
    }
}

#[cfg(test)]
mod tests;
