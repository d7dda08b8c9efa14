//! What waits for a worker. Clients take turns, whatever each has sent: a client's own requests go out in the
//! order in which they came, but those of one that sends thousands don't stand before another's.
//!
//! A lane a client, and a ring of lanes in the order of their turns. Under `identity: client` a lane whose
//! client is barred from every free worker is *parked* beside the ring, out of the others' way. When the queue is full,
//! a request of the client that fills most of it makes way for one of a client that fills less.

mod fill;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::Identity;
use crate::core::PeerId;
use fill::Fill;

/// Entries of a lane that may be dead before a sweep is worth its while.
const SWEEP_SLACK: usize = 64;

/// Requests that wait, by client.
#[derive(Debug)]
pub(super) struct Queue {
    /// A lane for each client that has requests here.
    lanes: FxHashMap<PeerId, Lane>,
    /// Lanes by turn, the next one first.
    ring: BTreeMap<i64, PeerId>,
    /// Lanes out of the ring, by what their clients are called.
    parked: HashMap<Identity, BTreeSet<PeerId>>,
    fill: Fill,
}

#[derive(Debug)]
struct Lane {
    identity: Identity,
    /// In the order in which they came, which is that of their numbers. The first and the last are alive.
    requests: VecDeque<Waiting>,
    alive: usize,
    bytes: u64,
    /// Its turn; none while it is parked.
    turn: Option<i64>,
    /// As what it is entered in [`Fill::large`].
    size: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    number: u64,
    /// None once it has ended.
    bytes: Option<u64>,
}

impl Queue {
    /// An empty one with room for so many requests and bytes.
    pub(super) fn new(requests: usize, bytes: u64) -> Self {
        Self {
            lanes: FxHashMap::default(),
            ring: BTreeMap::new(),
            parked: HashMap::new(),
            fill: Fill::new(requests, bytes),
        }
    }

    /// Has room for so many from now on. What is there stays, even if it is more.
    pub(super) fn resize(&mut self, requests: usize, bytes: u64) {
        if self.fill.resize(requests, bytes) {
            for (client, lane) in &mut self.lanes {
                self.fill.weigh(*client, lane);
            }
        }
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
        let Fill { most, requests, .. } = self.fill;
        requests < most.0 && self.fill.bytes.saturating_add(bytes) <= most.1
    }

    /// The requests, the newest first, that are to make way for one of this client: another's who would still fill
    /// as much of the queue without them as this one with it. None if that makes no room.
    pub(super) fn make_way(&self, client: PeerId, bytes: u64) -> Option<Vec<u64>> {
        let fill = &self.fill;
        let most = fill.most.1;
        if fill.requests > fill.most.0 || fill.bytes > most {
            // It was made smaller. What it holds was promised a place.
            return None;
        }
        let (_, largest) = *fill.large.last().filter(|(_, it)| *it != client)?;
        let own = self.lanes.get(&client);
        let (own, own_bytes) = own.map_or((0, 0), |lane| (lane.alive, lane.bytes));
        let share = fill.share(own + 1, own_bytes.saturating_add(bytes));

        let lane = self.lanes.get(&largest)?;
        let (mut left, mut left_bytes) = (lane.alive, lane.bytes);
        let mut gone = Vec::new();
        let newest = lane.requests.iter().rev();
        for (number, its) in newest.filter_map(|it| Some((it.number, it.bytes?))) {
            left -= 1;
            left_bytes -= its;
            if left == 0 || fill.share(left, left_bytes) < share {
                return None;
            }
            gone.push(number);
            let freed = lane.bytes - left_bytes;
            if (fill.bytes - freed).saturating_add(bytes) <= most {
                return Some(gone);
            }
        }
        None
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
            lane.trim();
            self.fill.take(client, lane, bytes);
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
        let (turn, client) = self.ring.first_key_value()?;
        let (turn, client) = (*turn, *client);
        let lane = self.lanes.get_mut(&client)?;
        let Waiting { number, bytes } = lane.requests.pop_front()?;
        lane.trim();
        self.fill.take(client, lane, bytes.unwrap_or_default());
        if lane.alive == 0 {
            self.leave(client);
        } else if let Some(behind) = behind(&self.ring).filter(|behind| *behind > turn + 1) {
            self.ring.remove(&turn);
            lane.turn = Some(behind);
            self.ring.insert(behind, client);
        }
        Some(number)
    }

    /// The client whose [turn](Self::next) it is can't be served: it stands aside.
    pub(super) fn park(&mut self) {
        let Some((_, client)) = self.ring.pop_first() else {
            return;
        };
        if let Some(lane) = self.lanes.get_mut(&client) {
            lane.turn = None;
            let identity = Rc::clone(&lane.identity);
            self.parked.entry(identity).or_default().insert(client);
        }
    }

    /// Clients of this name can be served again, so it is their turn.
    pub(super) fn unpark(&mut self, identity: &[u8]) {
        if self.parked.is_empty() {
            return;
        }
        for client in self.parked.remove(identity).into_iter().flatten() {
            self.come_first(client);
        }
    }

    /// All that stand aside can be served again.
    pub(super) fn unpark_all(&mut self) {
        for identity in self.parked_names(|_| true) {
            self.unpark(&identity);
        }
    }

    /// Names of those that stand aside and may be served, the one that has waited longest last.
    pub(super) fn parked_names(&self, may: impl Fn(&Identity) -> bool) -> Vec<Identity> {
        if self.parked.is_empty() {
            return Vec::new();
        }
        let oldest = |clients: &BTreeSet<PeerId>| {
            let lanes = clients.iter().filter_map(|client| self.lanes.get(client));
            lanes
                .filter_map(|lane| Some(lane.requests.front()?.number))
                .min()
        };
        let parked = self.parked.iter().filter(|(identity, _)| may(identity));
        let mut names: Vec<_> = parked
            .map(|(identity, clients)| (oldest(clients), Rc::clone(identity)))
            .collect();
        names.sort_unstable_by(|one, other| other.cmp(one));
        names.into_iter().map(|(_, identity)| identity).collect()
    }

    /// A client's lane, for a request to be added.
    fn lane(&mut self, client: PeerId, identity: &Identity) -> (&mut Lane, &mut Fill) {
        let ring = &mut self.ring;
        let lane = self.lanes.entry(client).or_insert_with(|| {
            let turn = behind(ring).unwrap_or_default();
            ring.insert(turn, client);
            Lane {
                identity: Rc::clone(identity),
                requests: VecDeque::new(),
                alive: 0,
                bytes: 0,
                turn: Some(turn),
                size: None,
            }
        });
        (lane, &mut self.fill)
    }

    /// A client has nothing here any more.
    fn leave(&mut self, client: PeerId) {
        let Some(lane) = self.lanes.remove(&client) else {
            return;
        };
        if let Some(turn) = lane.turn {
            self.ring.remove(&turn);
        } else if let Some(clients) = self.parked.get_mut(&lane.identity) {
            clients.remove(&client);
            if clients.is_empty() {
                self.parked.remove(&lane.identity);
            }
        }
    }

    /// The next turn is this client's.
    fn come_first(&mut self, client: PeerId) {
        let Some(lane) = self.lanes.get_mut(&client) else {
            return;
        };
        if let Some(turn) = lane.turn {
            self.ring.remove(&turn);
        }
        let first = self.ring.first_key_value();
        let before = first.map_or(0, |(turn, _)| turn - 1);
        lane.turn = Some(before);
        self.ring.insert(before, client);
    }
}

/// The turn behind all others; none if there are no others.
fn behind(ring: &BTreeMap<i64, PeerId>) -> Option<i64> {
    ring.last_key_value().map(|(turn, _)| turn + 1)
}

impl Lane {
    /// Drops what has ended from both ends, and from between them when it is more than what has not.
    fn trim(&mut self) {
        let ended = |it: &Waiting| it.bytes.is_none();
        while self.requests.front().is_some_and(ended) {
            self.requests.pop_front();
        }
        while self.requests.back().is_some_and(ended) {
            self.requests.pop_back();
        }
        if self.requests.len() > 2 * self.alive + SWEEP_SLACK {
            self.requests.retain(|it| it.bytes.is_some());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: PeerId = PeerId(1);
    const TWO: PeerId = PeerId(2);
    const THREE: PeerId = PeerId(3);

    fn name(of: PeerId) -> Identity {
        of.0.to_string().into_bytes().into()
    }

    /// A queue in which these wait, by number from 1 on, each of a byte.
    fn queue(room: usize, waiting: &[PeerId]) -> Queue {
        let mut queue = Queue::new(room, 1_000);
        for (number, client) in (1..).zip(waiting) {
            queue.push(number, *client, &name(*client), 1);
        }
        queue
    }

    fn all(queue: &mut Queue) -> Vec<u64> {
        std::iter::from_fn(|| queue.take()).collect()
    }

    #[test]
    fn clients_take_turns_and_each_is_served_in_order() {
        let waiting = [ONE, ONE, ONE, ONE, TWO, TWO, THREE];
        assert_eq!(all(&mut queue(9, &waiting)), [1, 5, 7, 2, 6, 3, 4]);
    }

    #[test]
    fn who_asks_again_at_once_comes_behind_those_that_wait() {
        let mut queue = queue(9, &[ONE, ONE, ONE, TWO]);
        assert_eq!(queue.take(), Some(1));
        assert_eq!(queue.take(), Some(4));
        for number in 5..100 {
            queue.push(number, TWO, &name(TWO), 1);
            // However often it comes: one of each in turn.
            assert_eq!(
                queue.next(),
                Some(&name(if number % 2 == 1 { ONE } else { TWO }))
            );
            queue.take();
            queue.push(number + 1_000, ONE, &name(ONE), 1);
        }
    }

    #[test]
    fn what_is_put_back_comes_first() {
        let mut queue = queue(9, &[ONE, ONE, TWO]);
        assert_eq!(queue.take(), Some(1));
        queue.put_back(1, ONE, &name(ONE), 1);
        assert_eq!(all(&mut queue), [1, 3, 2]);
    }

    #[test]
    fn those_that_fill_most_make_way() {
        let full = queue(6, &[ONE, ONE, ONE, ONE, ONE, TWO]);
        assert!(!full.has_room(1));
        assert_eq!(full.make_way(THREE, 1), Some(vec![5]));
        assert_eq!(full.make_way(TWO, 1), Some(vec![5]));
        assert_eq!(full.make_way(ONE, 1), None, "not for its own");
        // Nobody's last one, and no swap of equals.
        let full = queue(3, &[ONE, TWO, THREE]);
        assert_eq!(full.make_way(PeerId(4), 1), None);
        let full = queue(4, &[ONE, ONE, TWO, TWO]);
        assert_eq!(full.make_way(TWO, 1), None);
    }

    #[test]
    fn so_many_bytes_make_way_as_are_wanted_and_none_for_nothing() {
        let mut queue = Queue::new(100, 100);
        for number in 1..=9 {
            queue.push(number, ONE, &name(ONE), 10);
        }
        for number in 10..=15 {
            queue.push(number, TWO, &name(TWO), 1);
        }
        assert!(queue.has_room(4) && !queue.has_room(5));
        // Who fills more by bytes, not by number.
        assert_eq!(queue.make_way(THREE, 5), Some(vec![9]));
        assert_eq!(queue.make_way(THREE, 25), Some(vec![9, 8, 7]));
        assert_eq!(queue.make_way(THREE, 60), None, "it would fill more itself");
        assert_eq!(queue.make_way(THREE, 101), None);
    }

    #[test]
    fn what_waits_in_a_queue_made_smaller_stays() {
        let mut queue = queue(9, &[ONE, ONE, ONE, ONE]);
        queue.resize(2, 1_000);
        assert_eq!(queue.make_way(TWO, 1), None);
        assert_eq!(queue.len(), 4);
    }

    #[test]
    fn those_that_stand_aside_are_not_in_the_way() {
        let mut queue = queue(9, &[ONE, TWO, ONE, TWO]);
        queue.park();
        assert!(!queue.lets_pass(THREE), "it is the turn of another");
        assert_eq!(queue.take(), Some(2));
        assert_eq!(queue.take(), Some(4));
        assert!(queue.lets_pass(THREE) && !queue.lets_pass(ONE));
        // The next of its own stands behind them, where they are.
        queue.push(5, ONE, &name(ONE), 1);
        assert_eq!(queue.next(), None);
        assert_eq!(queue.parked_names(|_| true), [name(ONE)]);
        queue.push(6, TWO, &name(TWO), 1);
        queue.unpark(&name(ONE));
        assert_eq!(all(&mut queue), [1, 6, 3, 5]);
    }

    /// Lanes as plainly as can be, the next one first, and those that stand aside.
    #[derive(Default)]
    struct Model {
        ring: VecDeque<(PeerId, VecDeque<u64>)>,
        aside: Vec<(PeerId, VecDeque<u64>)>,
    }

    impl Model {
        fn lanes(&mut self) -> impl Iterator<Item = &mut (PeerId, VecDeque<u64>)> {
            self.ring.iter_mut().chain(&mut self.aside)
        }

        fn push(&mut self, number: u64, client: PeerId) {
            let lane = self.lanes().find(|(of, _)| *of == client);
            if let Some((_, lane)) = lane {
                return lane.push_back(number);
            }
            self.ring.push_back((client, VecDeque::from([number])));
        }

        fn take(&mut self) -> Option<u64> {
            let (client, mut lane) = self.ring.pop_front()?;
            let number = lane.pop_front();
            if !lane.is_empty() {
                self.ring.push_back((client, lane));
            }
            number
        }

        fn remove(&mut self, number: u64) {
            for (_, lane) in self.lanes() {
                lane.retain(|it| *it != number);
            }
            self.ring.retain(|(_, lane)| !lane.is_empty());
            self.aside.retain(|(_, lane)| !lane.is_empty());
        }

        fn park(&mut self) {
            self.aside.extend(self.ring.pop_front());
        }

        fn unpark(&mut self, client: PeerId) {
            if let Some(at) = self.aside.iter().position(|(of, _)| *of == client) {
                self.ring.push_front(self.aside.remove(at));
            }
        }

        fn requests(&mut self) -> usize {
            self.lanes().map(|(_, lane)| lane.len()).sum()
        }
    }

    #[test]
    fn it_does_as_lanes_in_a_ring_do() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let (mut queue, mut model) = (Queue::new(500, u64::MAX), Model::default());
            // Of some clients there is much, so that what ends in the middle must be swept.
            let clients = random.u64(1..5);
            let mut whose = Vec::new();
            for number in 0..random.u64(1..1_000) {
                let client = PeerId(random.u64(0..clients));
                whose.push(client);
                queue.push(number, client, &name(client), 3);
                model.push(number, client);
                match random.u32(0..7) {
                    0 => assert_eq!(queue.take(), model.take()),
                    1 | 2 => {
                        // Perhaps one that has ended before.
                        let number = random.u64(0..=number);
                        queue.remove(number, whose[number as usize]);
                        model.remove(number);
                    }
                    3 => {
                        queue.park();
                        model.park();
                    }
                    4 => {
                        let client = PeerId(random.u64(0..clients));
                        queue.unpark(&name(client));
                        model.unpark(client);
                    }
                    _ => {}
                }
                let requests = model.requests();
                assert_eq!(
                    (queue.len(), queue.bytes()),
                    (requests, 3 * requests as u64)
                );
                let kept: usize = queue.lanes.values().map(|lane| lane.requests.len()).sum();
                assert!(kept <= 2 * requests + clients as usize * SWEEP_SLACK);
            }
            for client in (0..clients).map(PeerId) {
                queue.unpark(&name(client));
                model.unpark(client);
            }
            while let Some(number) = model.take() {
                assert_eq!(queue.take(), Some(number));
            }
            assert_eq!(queue.take(), None);
            let left = [queue.lanes.len(), queue.ring.len(), queue.parked.len()];
            assert_eq!((left, queue.fill.large.len()), ([0; 3], 0));
        }
    }
}
