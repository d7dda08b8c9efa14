//! What waits for a worker. Clients take turns, whatever each has sent: a client's own requests go out in the
//! order in which they came, but those of one that sends thousands don't stand before another's.
//!
//! A lane a client, and a ring of lanes in the order of their turns. Under `identity: client` a lane whose
//! client is barred from every free worker stands *aside*, out of the others' way, and keeps its turn. When the queue is
//! full, requests of a client that fills much of it make way for one of a client that fills less.

mod fill;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::Identity;
use crate::core::PeerId;
use fill::{Classes, Fill};

/// Entries of a lane that may be dead, or empty, before it is worth while to look after them.
const SLACK: usize = 64;

/// Clients that are asked to make way, of those that fill most: the first may have nothing that is of use.
const ASKED: usize = 4;

/// Requests that make way for one, at most, so that a large one doesn't cost a crowd of small ones.
const GONE: u64 = 16;

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

#[derive(Debug)]
struct Lane {
    identity: Identity,
    /// In the order in which they came, which is that of their numbers. The first and the last are alive.
    requests: VecDeque<Waiting>,
    alive: usize,
    bytes: u64,
    turn: i64,
    /// As what it is entered in [`Fill`].
    classes: Classes,
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
            aside: BTreeMap::new(),
            names: HashMap::new(),
            before: 0,
            behind: 0,
            fill: Fill::new(requests, bytes),
        }
    }

    /// Has room for so many from now on. What is there stays, even if it is more.
    pub(super) fn resize(&mut self, requests: usize, bytes: u64) {
        self.fill.most = (requests, bytes);
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

    /// The requests that are to make way for one of this client: another's who still fills as much of the queue without them
    /// as this one with it. None if there are none that make room.
    pub(super) fn make_way(&self, client: PeerId, bytes: u64) -> Option<Vec<u64>> {
        let Fill { most, requests, .. } = self.fill;
        if requests > most.0 || self.fill.bytes > most.1 {
            // It was made smaller. What it holds was promised a place.
            return None;
        }
        let own = self.lanes.get(&client);
        let (own, own_bytes) = own.map_or((0, 0), |lane| (lane.alive, lane.bytes));
        let short = self.fill.bytes.saturating_add(bytes).saturating_sub(most.1);
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
        let (_, client) = self.ring.first_key_value()?;
        let client = *client;
        let alone = self.lanes.len() == 1;
        let lane = self.lanes.get_mut(&client)?;
        let Waiting { number, bytes } = lane.requests.pop_front()?;
        lane.trim();
        self.fill.take(client, lane, bytes.unwrap_or_default());
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
            Lane {
                identity: Rc::clone(identity),
                requests: VecDeque::new(),
                alive: 0,
                bytes: 0,
                turn: self.behind,
                classes: Classes::default(),
            }
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

impl Lane {
    /// Its newest requests without which there are so many bytes less, if so much is left: not the small ones, of which too
    /// many would have to go, and never all.
    fn spare(&self, short: u64, left: u64) -> Option<Vec<u64>> {
        let least = short.div_ceil(GONE);
        let mut freed = 0;
        let mut gone = Vec::new();
        let newest = self.requests.iter().rev();
        let newest = newest.filter_map(|it| Some((it.number, it.bytes?)));
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

    /// Drops what has ended from both ends, and from between them when it is more than what has not; and memory that a
    /// burst has left.
    fn trim(&mut self) {
        let ended = |it: &Waiting| it.bytes.is_none();
        while self.requests.front().is_some_and(ended) {
            self.requests.pop_front();
        }
        while self.requests.back().is_some_and(ended) {
            self.requests.pop_back();
        }
        if self.requests.len() > 2 * self.alive + SLACK {
            self.requests.retain(|it| it.bytes.is_some());
        }
        if self.requests.capacity() > 4 * self.requests.len() + SLACK {
            self.requests.shrink_to(2 * self.requests.len());
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
    fn by_bytes_those_make_way_that_fill_most_bytes() {
        const KIB: u64 = 1 << 10;
        let mut queue = Queue::new(100, 100 * KIB);
        for number in 1..=9 {
            queue.push(number, ONE, &name(ONE), 10 * KIB);
        }
        for number in 10..=60 {
            queue.push(number, TWO, &name(TWO), 1);
        }
        queue.push(61, ONE, &name(ONE), 1);
        assert!(queue.has_room(9 * KIB) && !queue.has_room(10 * KIB));
        // Neither the many of the other nor the newest one, which is of no use.
        assert_eq!(queue.make_way(THREE, 11 * KIB), Some(vec![9]));
        assert_eq!(queue.make_way(THREE, 35 * KIB), Some(vec![9, 8, 7]));
        assert_eq!(queue.make_way(THREE, 60 * KIB), None, "it would fill more");
        assert_eq!(queue.make_way(THREE, 101 * KIB), None);
        assert_eq!(queue.make_way(ONE, 11 * KIB), None, "not for its own");
    }

    #[test]
    fn who_can_not_make_way_is_passed_over() {
        const KIB: u64 = 1 << 10;
        let mut queue = Queue::new(10_000, 200 * KIB);
        // Together they are more than any other has, and too many would have to go.
        for number in 1..=1_000 {
            queue.push(number, TWO, &name(TWO), 100);
        }
        for number in 1_001..=1_009 {
            queue.push(number, ONE, &name(ONE), 10 * KIB);
        }
        assert_eq!(
            queue.make_way(THREE, 40 * KIB),
            Some(vec![1009, 1008, 1007])
        );
        assert_eq!(queue.make_way(TWO, 40 * KIB), None);
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
        queue.step_aside();
        assert!(!queue.lets_pass(THREE), "it is the turn of another");
        assert_eq!(queue.take(), Some(2));
        assert_eq!(queue.take(), Some(4));
        assert!(queue.lets_pass(THREE) && !queue.lets_pass(ONE));
        // The next of its own stands behind them, where they are.
        queue.push(5, ONE, &name(ONE), 1);
        assert_eq!(queue.next(), None);
        queue.push(6, TWO, &name(TWO), 1);
        queue.call(&name(ONE));
        // It has waited for longer.
        assert_eq!(all(&mut queue), [1, 6, 3, 5]);
    }

    /// However old the requests are that one has left.
    #[test]
    fn those_that_stand_aside_are_called_by_turns() {
        let mut queue = queue(9, &[ONE, ONE, ONE, TWO, TWO, THREE]);
        let mut served = Vec::new();
        for _ in 0..6 {
            while queue.next().is_some() {
                queue.step_aside();
            }
            queue.call_some(1, |_| true);
            served.extend(queue.take());
        }
        assert_eq!(served, [1, 4, 6, 2, 5, 3]);
    }

    /// Two connections of one name are two clients.
    #[test]
    fn clients_of_one_name_are_called_by_turns_and_one_at_a_time() {
        let mut queue = Queue::new(9, 1_000);
        let same = name(ONE);
        for (number, client) in [(1, ONE), (2, ONE), (3, TWO), (4, TWO), (5, THREE)] {
            queue.push(number, client, &same, 1);
        }
        let mut served = Vec::new();
        for _ in 0..5 {
            while queue.next().is_some() {
                queue.step_aside();
            }
            queue.call_some(9, |_| true);
            assert_eq!(queue.ring.len(), 1);
            while queue.next().is_some() {
                queue.step_aside();
            }
            queue.call(&same);
            assert_eq!(queue.ring.len(), 1);
            served.extend(queue.take());
        }
        assert_eq!(served, [1, 3, 5, 2, 4]);
    }

    #[test]
    fn memory_of_a_burst_is_given_back() {
        let mut queue = Queue::new(100_000, 1_000_000);
        for number in 0..10_000 {
            queue.push(number, ONE, &name(ONE), 1);
        }
        for number in 0..9_999 {
            queue.remove(number, ONE);
        }
        assert!(queue.lanes[&ONE].requests.capacity() <= 2 * SLACK);
    }

    /// Lanes as plainly as can be.
    #[derive(Default)]
    struct Model {
        lanes: Vec<Plain>,
        turns: u64,
    }

    struct Plain {
        client: PeerId,
        turn: u64,
        aside: bool,
        requests: VecDeque<u64>,
    }

    /// Of two clients each.
    fn shared_name(client: PeerId) -> Identity {
        name(PeerId(client.0 / 2))
    }

    impl Model {
        fn push(&mut self, number: u64, client: PeerId) {
            if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.client == client) {
                return lane.requests.push_back(number);
            }
            self.turns += 1;
            self.lanes.push(Plain {
                client,
                turn: self.turns,
                aside: false,
                requests: VecDeque::from([number]),
            });
        }

        fn first(&mut self, aside: bool, of: impl Fn(PeerId) -> bool) -> Option<&mut Plain> {
            let lanes = self.lanes.iter_mut();
            let lanes = lanes.filter(|lane| lane.aside == aside && of(lane.client));
            lanes.min_by_key(|lane| lane.turn)
        }

        fn take(&mut self) -> Option<u64> {
            let turn = self.turns + 1;
            let lane = self.first(false, |_| true)?;
            lane.turn = turn;
            let number = lane.requests.pop_front();
            self.turns = turn;
            self.lanes.retain(|lane| !lane.requests.is_empty());
            number
        }

        fn remove(&mut self, number: u64) {
            for lane in &mut self.lanes {
                lane.requests.retain(|it| *it != number);
            }
            self.lanes.retain(|lane| !lane.requests.is_empty());
        }

        fn requests(&self) -> usize {
            self.lanes.iter().map(|lane| lane.requests.len()).sum()
        }
    }

    #[test]
    fn it_does_as_lanes_in_a_ring_do() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let (mut queue, mut model) = (Queue::new(500, u64::MAX), Model::default());
            // Of some clients there is much, so that what ends in the middle must be swept.
            let clients = random.u64(1..7);
            let mut whose = Vec::new();
            for number in 0..random.u64(1..1_000) {
                let client = PeerId(random.u64(0..clients));
                whose.push(client);
                queue.push(number, client, &shared_name(client), 3);
                model.push(number, client);
                match random.u32(0..8) {
                    0 => assert_eq!(queue.take(), model.take()),
                    1 | 2 => {
                        // Perhaps one that has ended before.
                        let number = random.u64(0..=number);
                        queue.remove(number, whose[number as usize]);
                        model.remove(number);
                    }
                    3 | 4 => {
                        queue.step_aside();
                        if let Some(lane) = model.first(false, |_| true) {
                            lane.aside = true;
                        }
                    }
                    5 => {
                        let called = shared_name(PeerId(random.u64(0..clients)));
                        queue.call(&called);
                        if let Some(lane) = model.first(true, |it| shared_name(it) == called) {
                            lane.aside = false;
                        }
                    }
                    _ => {}
                }
                let requests = model.requests();
                assert_eq!(
                    (queue.len(), queue.bytes()),
                    (requests, 3 * requests as u64)
                );
                let kept: usize = queue.lanes.values().map(|lane| lane.requests.len()).sum();
                assert!(kept <= 2 * requests + clients as usize * SLACK);
            }
            queue.call_all();
            model.lanes.iter_mut().for_each(|lane| lane.aside = false);
            while let Some(number) = model.take() {
                assert_eq!(queue.take(), Some(number));
            }
            assert_eq!(queue.take(), None);
            let left = [queue.lanes.len(), queue.ring.len(), queue.aside.len()];
            let entered = [queue.names.len(), queue.fill.by_number.len()];
            assert_eq!((left, entered), ([0; 3], [0; 2]));
        }
    }
}
