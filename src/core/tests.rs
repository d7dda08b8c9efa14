//! Tests of the notes for the operator, and of the times and the rate of these notes. Time is
//! passed in.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::Origin;
use crate::ledger::{Fate, RequestOutcome};
use stray::Stray;

type Body = Vec<Vec<u8>>;

const ROUTES: &str = r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools:
  people: { bind: "tcp://127.0.0.1:0", per_worker: 10 }
  others: { bind: "tcp://127.0.0.1:0" }
routes:
  A: { pool: people, timeout: 60s }
  B: { pool: others, timeout: 60s }
"#;

const PEOPLE: PoolId = PoolId(0);

const NANOSECOND: Duration = Duration::from_nanos(1);

/// An outlet that keeps the token of each request that a worker received.
#[derive(Default)]
struct Sent {
    handed: Vec<(PeerId, Vec<u8>)>,
    answers: usize,
}

impl Outlet<Body> for Sent {
    fn to_worker(&mut self, worker: PeerId, head: &[&[u8]], _: Body) -> Result<(), Body> {
        self.handed.push((worker, head[0].to_vec()));
        Ok(())
    }

    fn to_client(&mut self, _: PeerId, _: &[&[u8]], _: Body, _: RequestOutcome) -> Fate {
        self.answers += 1;
        Fate::Delivered
    }
}

/// A core with peers, at a time that the test sets.
struct World {
    core: Core<Body>,
    sent: Sent,
    now: Duration,
    peers: u64,
}

impl World {
    fn new() -> Self {
        let origin = Origin::of_text(ROUTES, Path::new("."));
        let loaded = origin.read(&[]).load();
        let loaded = loaded.unwrap_or_else(|found| panic!("{found}"));
        Self {
            core: Core::new(Arc::new(loaded.snapshot)),
            sent: Sent::default(),
            now: Duration::ZERO,
            peers: 0,
        }
    }

    fn on(&mut self, event: Event<Body>) {
        self.core.on(self.now, event, &mut self.sent);
    }

    fn next_peer(&mut self) -> PeerId {
        self.peers += 1;
        PeerId(self.peers)
    }

    fn client(&mut self) -> PeerId {
        let peer = self.next_peer();
        self.on(Event::ClientConnected {
            peer,
            frontend: FrontendId(0),
            kind: ClientKind::Dealer,
            identity: format!("client{}", peer.0).into_bytes(),
        });
        peer
    }

    fn worker(&mut self) -> PeerId {
        let peer = self.next_peer();
        self.on(Event::WorkerConnected {
            peer,
            pool: PEOPLE,
            kind: WorkerKind::Dealer,
            headcount: Headcount::One,
            name: Arc::new(PeerName {
                identity: format!("worker{}", peer.0).into_bytes(),
                address: String::new(),
            }),
        });
        peer
    }

    fn send(&mut self, peer: PeerId, frames: &[&[u8]]) {
        let frames = frames.iter().map(|frame| frame.to_vec()).collect();
        self.on(Event::Message { peer, frames });
    }

    /// Lets the worker that received the oldest request answer it.
    fn answer(&mut self) {
        let (worker, token) = self.sent.handed.remove(0);
        self.send(worker, &[&token, b"REPLY", b"x"]);
    }

    /// Lets the time pass until `time`, and returns the notes that `wanted` selects.
    fn at(&mut self, time: Duration, wanted: impl Fn(NotedEvent) -> bool) -> Vec<Note> {
        self.now = time;
        self.on(Event::Tick);
        let notes = self.core.take_notes().into_iter();
        notes.filter(|note| wanted(note.what)).collect()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn is_stray(what: NotedEvent) -> bool {
    matches!(what, NotedEvent::Stray(_))
}

fn is_no_worker(what: NotedEvent) -> bool {
    what == NotedEvent::NoWorker
}

fn is_draining(what: NotedEvent) -> bool {
    what == NotedEvent::Draining
}

/// Returns the identity of the worker that a note names.
fn worker_of(note: &Note) -> String {
    let name = note.particulars.worker.as_ref().expect("a single worker");
    String::from_utf8(name.identity.clone()).unwrap()
}

fn counts(notes: &[Note]) -> Vec<Option<u64>> {
    notes.iter().map(|note| note.left_out).collect()
}

/// Each mistake of a worker is noted once within ten seconds, however many messages the worker
/// sends, and whatever the other workers send.
#[test]
fn each_mistake_of_a_worker_is_noted_once_and_its_other_messages_are_counted() {
    const MESSAGES: usize = 1_000;
    let mistakes: [&[&[u8]]; 2] = [&[b"done"], &[b"REPLY", b"done"]];
    let mut world = World::new();
    let workers = [(); 3].map(|()| world.worker());
    for round in 0..3 {
        let start = seconds(20 * round);
        world.at(start, |_| false);
        for _ in 0..MESSAGES {
            for worker in workers {
                for mistake in mistakes {
                    world.send(worker, mistake);
                }
            }
        }
        let noted = world.at(start + seconds(10) - NANOSECOND, is_stray);
        for mistake in [Stray::PayloadAlone, Stray::Nameless] {
            let is_mistake = |note: &&Note| note.what == NotedEvent::Stray(mistake);
            let named: Vec<_> = noted.iter().filter(is_mistake).map(worker_of).collect();
            assert_eq!(named, ["worker1", "worker2", "worker3"], "{mistake:?}");
        }
        assert_eq!(counts(&noted), [None; 6]);
        let others = world.at(start + seconds(10), is_stray);
        assert_eq!(counts(&others), [Some(3 * (MESSAGES as u64 - 1)); 2]);
    }
}

#[test]
fn at_most_32_workers_of_a_pool_are_noted_for_a_mistake() {
    let mut world = World::new();
    let workers: Vec<_> = (0..100).map(|_| world.worker()).collect();
    for worker in workers {
        world.send(worker, &[b"done"]);
    }
    assert_eq!(counts(&world.at(NANOSECOND, is_stray)), [None; 32]);
    assert_eq!(counts(&world.at(seconds(10), is_stray)), [Some(68)]);
}

/// The first message of a socket with `ZMQ_PROBE_ROUTER` is empty, and is not noted.
#[test]
fn a_worker_whose_first_message_is_empty_is_not_noted() {
    let mut world = World::new();
    let worker = world.worker();
    world.send(worker, &[b""]);
    assert_eq!(counts(&world.at(seconds(20), is_stray)), []);
    world.send(worker, &[b""]);
    let noted = world.at(seconds(20), is_stray);
    let what: Vec<_> = noted.iter().map(|note| note.what).collect();
    assert_eq!(what, [NotedEvent::Stray(Stray::Empty)]);
}

#[test]
fn at_most_32_clients_are_noted_for_each_route_and_reason_within_ten_seconds() {
    let mut world = World::new();
    let clients: Vec<_> = (0..100).map(|_| world.client()).collect();
    let is_rejected = |reason| move |what| what == NotedEvent::Rejected(reason);
    for round in 0..3 {
        let start = seconds(20 * round);
        world.at(start, |_| false);
        for client in clients.iter().cycle().take(500) {
            world.send(*client, &[b"NOBODY", b"x"]);
            world.send(*client, &[b"A"]);
        }
        let noted = world.at(start + seconds(10) - NANOSECOND, |_| true);
        assert_eq!(counts(&noted), [None; 64]);
        for reason in [Reason::UnknownType, Reason::Malformed] {
            let noted = noted.iter().filter(|note| is_rejected(reason)(note.what));
            let named: BTreeSet<_> = noted
                .map(|note| {
                    let rejected = note.particulars.rejected.as_ref().unwrap();
                    rejected.client.as_ref().unwrap().identity.clone()
                })
                .collect();
            assert_eq!(named.len(), 32, "{reason:?}");
        }
        let others = world.at(start + seconds(10), is_rejected(Reason::UnknownType));
        assert_eq!(counts(&others), [Some(500 - 32)]);
    }
}

#[test]
fn a_pool_without_a_worker_is_noted_after_a_second_and_every_ten_seconds() {
    let mut world = World::new();
    let client = world.client();
    let start = seconds(5);
    world.at(start, |_| false);
    world.send(client, &[b"A", b"1"]);
    world.send(client, &[b"A", b"2"]);
    assert_eq!(world.core.next_deadline(), Some(start + seconds(1)));
    let noted = world.at(start + seconds(1) - NANOSECOND, is_no_worker);
    assert_eq!(counts(&noted), []);
    let noted = world.at(start + seconds(1), is_no_worker);
    assert_eq!(counts(&noted), [None]);
    let (name, particulars) = (&*noted[0].name, &noted[0].particulars);
    assert_eq!((name, particulars.waiting), ("people", 2));
    let bind = "workers connect to tcp://127.0.0.1:0";
    assert_eq!(particulars.addresses, bind);
    let noted = world.at(start + seconds(11) - NANOSECOND, is_no_worker);
    assert_eq!(counts(&noted), []);
    assert_eq!(world.core.next_deadline(), Some(start + seconds(11)));
    let noted = world.at(start + seconds(11), is_no_worker);
    assert_eq!(counts(&noted), [None]);
    // Nothing is noted once there is a worker.
    world.worker();
    world.answer();
    world.answer();
    let noted = world.at(start + seconds(60), is_no_worker);
    assert_eq!(counts(&noted), []);
    assert_eq!(world.sent.answers, 2);
}

#[test]
fn a_pool_whose_first_worker_connects_within_a_second_is_not_noted() {
    let mut world = World::new();
    let client = world.client();
    world.send(client, &[b"A", b"x"]);
    world.at(seconds(1) - NANOSECOND, |_| false);
    world.worker();
    assert_eq!(counts(&world.at(seconds(59), is_no_worker)), []);
}

#[test]
fn a_pool_that_loses_its_last_worker_while_requests_wait_is_noted_after_a_second() {
    let mut world = World::new();
    let (client, worker) = (world.client(), world.worker());
    for _ in 0..11 {
        world.send(client, &[b"A", b"x"]);
    }
    assert_eq!(world.core.waiting(PEOPLE), 1, "a worker takes ten");
    world.at(seconds(30), |_| false);
    world.on(Event::Disconnected { peer: worker });
    let noted = world.at(seconds(31) - NANOSECOND, is_no_worker);
    assert_eq!(counts(&noted), []);
    let noted = world.at(seconds(31), is_no_worker);
    assert_eq!(counts(&noted), [None]);
    assert_eq!(noted[0].particulars.waiting, 1);
}

#[test]
fn each_pool_that_a_drain_waits_for_is_noted_after_a_second_and_every_ten_seconds() {
    let summary = |note: &Note| {
        let details = &note.particulars;
        (
            note.name.clone(),
            details.held,
            details.waiting,
            details.left,
        )
    };
    let mut world = World::new();
    let client = world.client();
    world.worker();
    world.send(client, &[b"A", b"x"]);
    world.send(client, &[b"B", b"x"]);
    world.at(seconds(5), |_| false);
    let deadline = seconds(35);
    world.on(Event::Drain { deadline });
    let noted = world.at(seconds(6) - NANOSECOND, is_draining);
    assert_eq!(counts(&noted), []);
    let noted = world.at(seconds(6), is_draining);
    let people = ("people".to_owned(), 1, 0, seconds(29));
    let others = |left| ("others".to_owned(), 0, 1, left);
    let noted: Vec<_> = noted.iter().map(summary).collect();
    assert_eq!(noted, [people, others(seconds(29))]);
    world.answer();
    let noted = world.at(seconds(16) - NANOSECOND, is_draining);
    assert_eq!(counts(&noted), []);
    let noted = world.at(seconds(16), is_draining);
    let noted: Vec<_> = noted.iter().map(summary).collect();
    assert_eq!(noted, [others(seconds(19))]);
    let noted = world.at(deadline, is_draining);
    assert_eq!(counts(&noted), []);
    assert!(world.core.is_drained());
}
