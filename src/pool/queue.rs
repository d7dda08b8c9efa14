//! What waits for a worker. Clients take turns, whatever each has sent: a client's own requests go out in the
//! order in which they came, but those of one that sends thousands don't stand before another's.
//!
//! A lane a client, and a ring of lanes in the order of their turns. Under `identity: client` a lane whose
//! client is barred from every free worker stands *aside*, out of the others' way, and keeps its turn. When the queue is
//! full, requests of a client that fills much of it make way for one of a client that fills less.

mod fill;
mod lane;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::peer::{Identity, PeerId};
use fill::{Fill, Room};
use lane::{Lane, Waiting};

/// Clients that are asked to make way, of those that fill most: the first may have nothing that is of use.
const ASKED: usize = 4;

/// Requests that wait, by client.
#[derive(Debug)]
pub(super) struct Queue {
    /// A lane for each client that has requests here.
    lanes: FxHashMap<PeerId, Lane>,
    /// Lanes by turn, the next one first.
    ring: BTreeMap<i64, PeerId>,
    /// Lanes that stand aside, by turn.
    aside: BTreeMap<i64, PeerId>,
    /// Their turns, by what the clients are called.
    names: HashMap<Identity, BTreeSet<i64>>,
    /// The turns before and behind all that were given so far; none is given twice.
    before: i64,
    behind: i64,
    fill: Fill,
}

impl Queue {
    /// An empty one with room for so many requests and bytes.
    pub(super) fn new(requests: usize, bytes: u64) -> Self {
        Self {
            lanes: FxHashMap::default(),
            ring: BTreeMap::new(),
            aside: BTreeMap::new(),
            names: HashMap::new(),
            before: 0,
            behind: 0,
            fill: Fill::new(Room { requests, bytes }),
        }
    }

    /// Has room for so many from now on. What is there stays, even if it is more.
    pub(super) fn resize(&mut self, requests: usize, bytes: u64) {
        self.fill.room = Room { requests, bytes };
    }

    /// Requests that wait.
    pub(super) fn len(&self) -> usize {
        self.fill.requests
    }

    /// Bytes of the requests that wait.
    pub(super) fn bytes(&self) -> u64 {
        self.fill.bytes
    }

    /// Whether a request that comes now has none of its own client's to wait for, nor another's turn.
    pub(super) fn lets_pass(&self, client: PeerId) -> bool {
        self.lanes.is_empty() || (self.ring.is_empty() && !self.lanes.contains_key(&client))
    }

    /// Whether a request of so many bytes has room.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        let Fill { room, requests, .. } = self.fill;
        requests < room.requests && self.fill.bytes.saturating_add(bytes) <= room.bytes
    }

    /// The requests that are to make way for one of this client: another's who still fills as much of the queue without them
    /// as this one with it. None if there are none that make room.
    pub(super) fn make_way(&self, client: PeerId, bytes: u64) -> Option<Vec<u64>> {
        let Fill { room, requests, .. } = self.fill;
        if requests > room.requests || self.fill.bytes > room.bytes {
            // It was made smaller. What it holds was promised a place.
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
            let others = lanes.iter().rev().filter(|(_, of)| *of != client);
            let lanes = others.filter_map(|(_, of)| self.lanes.get(of));
            lanes.take(ASKED).collect::<Vec<_>>()
        };
        match short {
            0 => largest(&self.fill.by_number)
                .into_iter()
                .filter(|lane| lane.alive > own + 1)
                .find_map(|lane| Some(vec![lane.requests.back()?.number])),
            _ => largest(&self.fill.by_bytes)
                .into_iter()
                .find_map(|lane| lane.spare(short, own_bytes.saturating_add(bytes))),
        }
    }

    /// A request starts to wait, behind its client's others.
    pub(super) fn push(&mut self, number: u64, client: PeerId, identity: &Identity, bytes: u64) {
        let (lane, fill) = self.lane(client, identity);
        let entry = Waiting {
            number,
            bytes: Some(bytes),
        };
        lane.requests.push_back(entry);
        fill.add(client, lane, bytes);
    }

    /// A request that was [taken](Self::take) waits again, before all others.
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

    /// A request ended before a worker could take it.
    pub(super) fn remove(&mut self, number: u64, client: PeerId) {
        let Some(lane) = self.lanes.get_mut(&client) else {
            return;
        };
        let found = lane.requests.binary_search_by_key(&number, |it| it.number);
        let there = found.ok().and_then(|at| lane.requests.get_mut(at));
        if let Some(bytes) = there.and_then(|it| it.bytes.take()) {
            self.fill.take(client, lane, bytes);
            lane.trim();
            if lane.alive == 0 {
                self.leave(client);
            }
        }
    }

    /// What the client is called whose turn it is.
    pub(super) fn next(&self) -> Option<&Identity> {
        let (_, client) = self.ring.first_key_value()?;
        self.lanes.get(client).map(|lane| &lane.identity)
    }

    /// Takes the oldest request of the client whose [turn](Self::next) it is. That is over then.
    pub(super) fn take(&mut self) -> Option<u64> {
        let (_, client) = self.ring.first_key_value()?;
        let client = *client;
        let alone = self.lanes.len() == 1;
        let lane = self.lanes.get_mut(&client)?;
        let Waiting { number, bytes } = lane.requests.pop_front()?;
        self.fill.take(client, lane, bytes.unwrap_or_default());
        lane.trim();
        if lane.alive == 0 {
            self.leave(client);
        } else if !alone {
            self.ring.pop_first();
            self.behind += 1;
            lane.turn = self.behind;
            self.ring.insert(lane.turn, client);
        }
        Some(number)
    }

    /// The client whose [turn](Self::next) it is can't be served: it stands aside.
    pub(super) fn step_aside(&mut self) {
        let Some((turn, client)) = self.ring.pop_first() else {
            return;
        };
        if let Some(lane) = self.lanes.get(&client) {
            let identity = Rc::clone(&lane.identity);
            self.names.entry(identity).or_default().insert(turn);
            self.aside.insert(turn, client);
        }
    }

    /// One more request of clients of this name can be served: that of theirs whose turn comes first.
    pub(super) fn call(&mut self, identity: &[u8]) {
        if self.aside.is_empty() {
            return;
        }
        let first = self.names.get(identity).and_then(|turns| turns.first());
        if let Some(turn) = first.copied() {
            self.come_back(turn);
        }
    }

    /// So many clients of those that stand aside can be served, if they `may`: by their turns, and one of a name.
    pub(super) fn call_some(&mut self, most: usize, may: impl Fn(&Identity) -> bool) {
        let first = |turn: &i64, client: &PeerId| {
            let lane = self.lanes.get(client)?;
            let turns = self.names.get(&lane.identity)?;
            (turns.first() == Some(turn) && may(&lane.identity)).then_some(*turn)
        };
        let called = self
            .aside
            .iter()
            .filter_map(|(turn, client)| first(turn, client));
        for turn in called.take(most).collect::<Vec<_>>() {
            self.come_back(turn);
        }
    }

    /// All that stand aside may be served now.
    pub(super) fn call_all(&mut self) {
        self.ring.append(&mut self.aside);
        self.names.clear();
    }

    /// A lane that stands aside has its place in the ring again.
    fn come_back(&mut self, turn: i64) {
        if let Some(client) = self.forget(turn) {
            self.ring.insert(turn, client);
        }
    }

    /// A lane stands aside no longer.
    fn forget(&mut self, turn: i64) -> Option<PeerId> {
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

    /// A client's lane, for a request to be added.
    fn lane(&mut self, client: PeerId, identity: &Identity) -> (&mut Lane, &mut Fill) {
        let lane = self.lanes.entry(client).or_insert_with(|| {
            self.behind += 1;
            self.ring.insert(self.behind, client);
            Lane::new(Rc::clone(identity), self.behind)
        });
        (lane, &mut self.fill)
    }

    /// A client has nothing here any more.
    fn leave(&mut self, client: PeerId) {
        let Some(lane) = self.lanes.get(&client) else {
            return;
        };
        let turn = lane.turn;
        if self.ring.remove(&turn).is_none() {
            self.forget(turn);
        }
        self.lanes.remove(&client);
    }

    /// The next turn is this client's.
    fn come_first(&mut self, client: PeerId) {
        let Some(lane) = self.lanes.get_mut(&client) else {
            return;
        };
        self.before -= 1;
        let turn = std::mem::replace(&mut lane.turn, self.before);
        if self.ring.remove(&turn).is_some() {
            self.ring.insert(self.before, client);
        }
    }
}

#[cfg(test)]
mod tests;
