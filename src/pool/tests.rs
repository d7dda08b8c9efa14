use super::*;
use crate::snapshot::{Balance, Endpoints, PerWorker, WorkerFrames, Workers};

const CLIENT: PeerId = PeerId(1);

fn settings(per_worker: PerWorker, identity: IdentityMode) -> Arc<PoolSettings> {
    Arc::new(PoolSettings {
        name: "people".into(),
        endpoints: Endpoints::default(),
        workers: Workers::Auto,
        identity,
        balance: Balance::LeastBusy,
        per_worker,
        queue: 100_000,
        queue_bytes: u64::MAX,
        heartbeat: None,
        frames: WorkerFrames::Typed,
        security: None,
    })
}

/// Returns a pool with one worker and this number of queued requests of [`CLIENT`]. Also returns
/// the client's identity.
fn with_queued(settings: Arc<PoolSettings>, requests: u64) -> (Pool, Identity) {
    let mut pool = Pool::new(settings);
    pool.add_worker(
        PeerId(2),
        WorkerKind::Dealer,
        Headcount::One,
        Arc::default(),
    );
    let identity: Identity = b"client"[..].into();
    for number in 1..=requests {
        pool.enqueue(number, CLIENT, &identity, 1);
    }
    (pool, identity)
}

/// Hands out as many requests as possible, and returns each with its worker and its place among the
/// worker's requests.
fn hand_out(pool: &mut Pool, identity: &Identity, now: Duration) -> Vec<(u64, Seat, HeldAt)> {
    let mut held = Vec::new();
    while let Some((number, seat)) = pool.next_handout() {
        held.push((number, seat, pool.hold(seat, number, identity, now)));
    }
    held
}

#[test]
fn a_fast_worker_may_hold_many_requests_and_a_slow_worker_few() {
    let (mut pool, identity) = with_queued(settings(PerWorker::Auto, IdentityMode::Token), 50_000);
    let mut now = Duration::from_secs(1);
    let mut round = |pool: &mut Pool, time: Duration| {
        let held = hand_out(pool, &identity, now);
        now += time;
        for (number, seat, at) in &held {
            pool.answered(*seat, *number, *at, now);
        }
        held.len()
    };
    let fast = Duration::from_micros(100);
    assert_eq!(
        round(&mut pool, fast),
        1,
        "the worker has yet to answer a request"
    );
    assert_eq!(
        round(&mut pool, fast),
        10,
        "the rate of its answers is unknown"
    );
    let held: Vec<usize> = (0..120).map(|_| round(&mut pool, fast)).collect();
    assert!(held.is_sorted(), "{held:?}");
    let last = held[held.len() - 1];
    assert!((900..=1_000).contains(&last), "{last}");
    // The worker took ten seconds for all of these requests, so it may hold few from then on.
    assert_eq!(round(&mut pool, Duration::from_secs(10)), last);
    assert!(round(&mut pool, Duration::from_secs(1)) <= 20);
    assert_eq!(round(&mut pool, Duration::from_secs(1)), 10);

    // An explicit setting applies, however fast the worker is.
    pool.set_settings(settings(PerWorker::Most(3), IdentityMode::Token));
    assert_eq!(round(&mut pool, fast), 3);
    pool.set_settings(settings(PerWorker::Auto, IdentityMode::Token));
    assert_eq!(round(&mut pool, fast), 1);
    assert_eq!(round(&mut pool, fast), 10);
}

#[test]
fn a_worker_that_has_never_answered_gets_one_request_and_then_none() {
    let (mut pool, identity) = with_queued(settings(PerWorker::Auto, IdentityMode::Token), 50);
    let now = Duration::from_secs(1);
    let next = |pool: &mut Pool| hand_out(pool, &identity, now);
    let [(number, seat, at)] = next(&mut pool)[..] else {
        panic!("not one request");
    };
    assert!(
        pool.overdue(seat, number, at),
        "the worker receives no other request"
    );
    assert_eq!(next(&mut pool), []);
    pool.dropped(seat, Dropped::Unsolicited);
    assert_eq!(
        next(&mut pool),
        [],
        "a message that answers no request is not counted as an answer"
    );
    // Meanwhile, another worker receives requests.
    let other = pool.add_worker(
        PeerId(3),
        WorkerKind::Dealer,
        Headcount::One,
        Arc::default(),
    );
    let [(second, second_seat, second_at)] = next(&mut pool)[..] else {
        panic!("not one request");
    };
    assert_eq!(second_seat, other);
    // A request ended because no worker was free, so the excluded worker gets one more request.
    pool.try_excluded();
    let [(third, third_seat, third_at)] = next(&mut pool)[..] else {
        panic!("not one request");
    };
    assert_eq!(third_seat, seat);
    assert!(pool.overdue(seat, third, third_at));
    pool.dropped(seat, Dropped::Late);
    assert_eq!(next(&mut pool).len(), 10, "the worker answered after all");
    // After a worker has sent a message that answers no request, it may hold only one request until
    // it has answered one.
    pool.answered(other, second, second_at, now);
    let held = next(&mut pool);
    assert_eq!(held.len(), 10);
    pool.dropped(other, Dropped::Unsolicited);
    for (number, seat, at) in &held[..9] {
        pool.overdue(*seat, *number, *at);
        assert_eq!(next(&mut pool), []);
    }
    let (number, seat, at) = held[9];
    pool.answered(seat, number, at, now);
    assert_eq!(next(&mut pool).len(), 10);
    pool.doubt(seat);
    assert_eq!(pool.sample().seats[other.0].room, Some(1));
}

/// A seat may belong to another worker by the time excluded workers are tried again.
#[test]
fn the_next_worker_of_an_excluded_seat_is_not_excluded() {
    let (mut pool, identity) = with_queued(settings(PerWorker::Auto, IdentityMode::Token), 2);
    let (number, seat, at) = hand_out(&mut pool, &identity, Duration::ZERO)[0];
    pool.overdue(seat, number, at);
    pool.remove_worker(seat);
    assert!(pool.excluded.is_empty());
    let next = pool.add_worker(
        PeerId(3),
        WorkerKind::Dealer,
        Headcount::One,
        Arc::default(),
    );
    assert_eq!(next, seat);
    assert_eq!(hand_out(&mut pool, &identity, Duration::ZERO).len(), 1);
}

/// The worker that has held its request for the longest time stays first under `round_robin`,
/// although it connected last.
#[test]
fn workers_keep_their_order_when_the_balance_changes() {
    let least_busy = settings(PerWorker::Most(10), IdentityMode::Token);
    let round_robin = PoolSettings {
        balance: Balance::RoundRobin,
        ..(*least_busy).clone()
    };
    let (mut pool, identity) = with_queued(least_busy, 0);
    let last = pool.add_worker(
        PeerId(3),
        WorkerKind::Dealer,
        Headcount::One,
        Arc::default(),
    );
    let hand = |pool: &mut Pool, number: u64| {
        pool.enqueue(number, CLIENT, &identity, 1);
        hand_out(pool, &identity, Duration::ZERO)[0]
    };
    let (number, first, at) = hand(&mut pool, 1);
    assert_eq!(hand(&mut pool, 2).1, last);
    pool.answered(first, number, at, Duration::ZERO);
    assert_eq!(hand(&mut pool, 3).1, first);
    pool.set_settings(Arc::new(round_robin));
    assert_eq!(hand(&mut pool, 4).1, last);
    assert_eq!(hand(&mut pool, 5).1, first);
}

/// Several clients have the same identity. Each answer makes room for one of them.
#[test]
fn under_client_identity_connections_of_one_identity_take_turns() {
    let settings = settings(PerWorker::Auto, IdentityMode::Client);
    let (mut pool, identity) = with_queued(settings, 3);
    for (number, client) in [(4, 7), (5, 7), (6, 8)] {
        pool.enqueue(number, PeerId(client), &identity, 1);
    }
    let now = Duration::from_secs(1);
    let mut served = Vec::new();
    loop {
        let held = hand_out(&mut pool, &identity, now);
        let Some((number, seat, at)) = held.first().copied() else {
            break;
        };
        assert_eq!(
            held.len(),
            1,
            "two requests with the same identity at one worker"
        );
        served.push(number);
        assert_eq!(pool.settle(seat, &identity), Some(number));
        pool.answered(seat, number, at, now);
    }
    assert_eq!(served, [1, 4, 6, 2, 5, 3]);
}

/// The worker that hangs has room, but not for the clients that it has yet to answer.
#[test]
fn clients_that_a_free_worker_may_not_serve_take_turns_at_the_other_worker() {
    let settings = settings(PerWorker::Most(1), IdentityMode::Client);
    let (mut pool, _) = with_queued(settings, 0);
    let names: [Identity; 2] = [b"greedy"[..].into(), b"modest"[..].into()];
    let now = Duration::from_secs(1);
    for (number, name) in (1..).zip(&names) {
        pool.enqueue(number, PeerId(number), name, 1);
        let (_, seat) = pool.next_handout().unwrap();
        let at = pool.hold(seat, number, name, now);
        pool.overdue(seat, number, at);
    }
    let idle = pool.add_worker(
        PeerId(9),
        WorkerKind::Dealer,
        Headcount::One,
        Arc::default(),
    );
    for number in 10..60 {
        pool.enqueue(number, PeerId(1), &names[0], 1);
    }
    pool.enqueue(60, PeerId(2), &names[1], 1);
    let mut served = Vec::new();
    for _ in 0..3 {
        let (number, seat) = pool.next_handout().unwrap();
        assert_eq!(seat, idle);
        let name = &names[usize::from(number == 60)];
        let at = pool.hold(seat, number, name, now);
        assert!(pool.next_handout().is_none());
        pool.settle(seat, name);
        pool.answered(seat, number, at, now);
        served.push(number);
    }
    assert_eq!(served, [10, 60, 11]);
}
