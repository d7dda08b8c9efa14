use std::collections::VecDeque;

use super::lane::SLACK;
use super::*;

const ONE: PeerId = PeerId(1);
const TWO: PeerId = PeerId(2);
const THREE: PeerId = PeerId(3);

fn name(client: PeerId) -> Identity {
    client.0.to_string().into_bytes().into()
}

/// Returns a queue with room for `room` requests. The queue contains a request of one byte for each
/// entry of `waiting`, and the requests are numbered from 1.
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
fn a_client_that_sends_again_comes_after_waiting_clients() {
    let mut queue = queue(9, &[ONE, ONE, ONE, TWO]);
    assert_eq!(queue.take(), Some(1));
    assert_eq!(queue.take(), Some(4));
    for number in 5..100 {
        queue.push(number, TWO, &name(TWO), 1);
        // However often TWO sends, the two clients are served in turn.
        assert_eq!(
            queue.next(),
            Some(&name(if number % 2 == 1 { ONE } else { TWO }))
        );
        queue.take();
        queue.push(number + 1_000, ONE, &name(ONE), 1);
    }
}

#[test]
fn a_request_that_is_put_back_comes_first() {
    let mut queue = queue(9, &[ONE, ONE, TWO]);
    assert_eq!(queue.take(), Some(1));
    queue.put_back(1, ONE, &name(ONE), 1);
    assert_eq!(all(&mut queue), [1, 3, 2]);
}

#[test]
fn the_client_with_most_requests_is_evicted_first() {
    let full = queue(6, &[ONE, ONE, ONE, ONE, ONE, TWO]);
    assert!(!full.has_room(1));
    assert_eq!(full.requests_to_evict(THREE, 1), Some(vec![5]));
    assert_eq!(full.requests_to_evict(TWO, 1), Some(vec![5]));
    assert_eq!(
        full.requests_to_evict(ONE, 1),
        None,
        "evicted for the same client"
    );
    // A client's last request is never evicted. Nor is a request of a client that fills no more of
    // the queue than the client of the new request.
    let full = queue(3, &[ONE, TWO, THREE]);
    assert_eq!(full.requests_to_evict(PeerId(4), 1), None);
    let full = queue(4, &[ONE, ONE, TWO, TWO]);
    assert_eq!(full.requests_to_evict(TWO, 1), None);
}

#[test]
fn the_client_with_most_bytes_is_evicted_first() {
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
    // The many small requests of the other client are not evicted, and neither is the newest
    // request of ONE, which is too small to make room.
    assert_eq!(queue.requests_to_evict(THREE, 11 * KIB), Some(vec![9]));
    assert_eq!(
        queue.requests_to_evict(THREE, 35 * KIB),
        Some(vec![9, 8, 7])
    );
    assert_eq!(
        queue.requests_to_evict(THREE, 60 * KIB),
        None,
        "the new request would fill more"
    );
    assert_eq!(queue.requests_to_evict(THREE, 101 * KIB), None);
    assert_eq!(
        queue.requests_to_evict(ONE, 11 * KIB),
        None,
        "evicted for the same client"
    );
}

#[test]
fn a_client_whose_eviction_makes_too_little_room_is_skipped() {
    const KIB: u64 = 1 << 10;
    let mut queue = Queue::new(10_000, 200 * KIB);
    // Together, these requests fill more of the queue than the requests of any other client, but
    // too many of them would have to be evicted.
    for number in 1..=1_000 {
        queue.push(number, TWO, &name(TWO), 100);
    }
    for number in 1_001..=1_009 {
        queue.push(number, ONE, &name(ONE), 10 * KIB);
    }
    assert_eq!(
        queue.requests_to_evict(THREE, 40 * KIB),
        Some(vec![1009, 1008, 1007])
    );
    assert_eq!(queue.requests_to_evict(TWO, 40 * KIB), None);
}

#[test]
fn requests_stay_when_the_queue_becomes_smaller() {
    let mut queue = queue(9, &[ONE, ONE, ONE, ONE]);
    queue.resize(2, 1_000);
    assert_eq!(queue.requests_to_evict(TWO, 1), None);
    assert_eq!(queue.len(), 4);
}

#[test]
fn lanes_that_stand_aside_delay_no_other_lane() {
    let mut queue = queue(9, &[ONE, TWO, ONE, TWO]);
    queue.step_aside();
    assert!(
        !queue.would_be_next(THREE),
        "another client has the next turn"
    );
    assert_eq!(queue.take(), Some(2));
    assert_eq!(queue.take(), Some(4));
    assert!(queue.would_be_next(THREE) && !queue.would_be_next(ONE));
    // The next request of ONE joins the lane of ONE, which stands aside.
    queue.push(5, ONE, &name(ONE), 1);
    assert_eq!(queue.next(), None);
    queue.push(6, TWO, &name(TWO), 1);
    queue.call(&name(ONE));
    // The lane that was called back has waited for longer.
    assert_eq!(all(&mut queue), [1, 6, 3, 5]);
}

/// Lanes are called back in the order of their turns, not by the age of their requests.
#[test]
fn lanes_that_stand_aside_are_called_back_in_turn() {
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

/// Two connections of one identity are two clients.
#[test]
fn clients_of_one_identity_are_called_back_in_turn_one_at_a_time() {
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
fn the_memory_of_a_burst_is_freed() {
    let mut queue = Queue::new(100_000, 1_000_000);
    for number in 0..10_000 {
        queue.push(number, ONE, &name(ONE), 1);
    }
    for number in 0..9_999 {
        queue.remove(number, ONE);
    }
    assert!(queue.lanes[&ONE].requests.capacity() <= 2 * SLACK);
}

/// A simple model of lanes.
#[derive(Default)]
struct Model {
    lanes: Vec<ModelLane>,
    turns: u64,
}

struct ModelLane {
    client: PeerId,
    turn: u64,
    aside: bool,
    requests: VecDeque<u64>,
}

/// Returns an identity that is shared by two clients.
fn shared_name(client: PeerId) -> Identity {
    name(PeerId(client.0 / 2))
}

impl Model {
    fn push(&mut self, number: u64, client: PeerId) {
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.client == client) {
            return lane.requests.push_back(number);
        }
        self.turns += 1;
        self.lanes.push(ModelLane {
            client,
            turn: self.turns,
            aside: false,
            requests: VecDeque::from([number]),
        });
    }

    fn first(&mut self, aside: bool, matches: impl Fn(PeerId) -> bool) -> Option<&mut ModelLane> {
        let lanes = self.lanes.iter_mut();
        let lanes = lanes.filter(|lane| lane.aside == aside && matches(lane.client));
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
            lane.requests.retain(|queued| *queued != number);
        }
        self.lanes.retain(|lane| !lane.requests.is_empty());
    }

    fn requests(&self) -> usize {
        self.lanes.iter().map(|lane| lane.requests.len()).sum()
    }
}

#[test]
fn the_queue_agrees_with_a_round_robin_model() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let (mut queue, mut model) = (Queue::new(500, u64::MAX), Model::default());
        // Some clients have many requests, so that ended requests in the middle of a lane must be
        // swept.
        let clients = random.u64(1..7);
        let mut owners = Vec::new();
        for number in 0..random.u64(1..1_000) {
            let client = PeerId(random.u64(0..clients));
            owners.push(client);
            queue.push(number, client, &shared_name(client), 3);
            model.push(number, client);
            match random.u32(0..8) {
                0 => assert_eq!(queue.take(), model.take()),
                1 | 2 => {
                    // The request may have ended before.
                    let number = random.u64(0..=number);
                    queue.remove(number, owners[number as usize]);
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
                    if let Some(lane) = model.first(true, |client| shared_name(client) == called) {
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
