//! Tests that the core allocates nothing for a small request that goes to a free worker at once,
//! nor for its answer, once the core's tables have grown to the size of the load.
#![allow(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use gateway::config;
use gateway::core::{Core, Event, Outlet};
use gateway::frame::Frame;
use gateway::ledger::{Fate, RequestOutcome};
use gateway::peer::{ClientKind, Headcount, PeerId, WorkerKind};
use gateway::snapshot::{FrontendId, PoolId};

use crate::counting::{allocations, mark_thread};
use crate::support::turns;

/// A frame that is stored without an allocation.
#[derive(Clone, Copy, Debug)]
struct Small([u8; 64], usize);

impl Small {
    fn of(bytes: &[u8]) -> Self {
        let mut small = Self([0; 64], bytes.len());
        small.0[..bytes.len()].copy_from_slice(bytes);
        small
    }
}

impl From<Vec<u8>> for Small {
    fn from(bytes: Vec<u8>) -> Self {
        Self::of(&bytes)
    }
}

impl Frame for Small {
    fn bytes(&self) -> &[u8] {
        &self.0[..self.1]
    }

    fn compact(self) -> Self {
        self
    }
}

/// An outlet that keeps the last worker and its token, and reuses emptied lists as an engine does.
struct Peers {
    held: Option<(PeerId, Small)>,
    lists: Vec<Vec<Small>>,
    answered: usize,
}

impl Outlet<Vec<Small>> for Peers {
    fn to_worker(
        &mut self,
        worker: PeerId,
        head: &[&[u8]],
        mut body: Vec<Small>,
    ) -> Result<(), Vec<Small>> {
        self.held = Some((worker, Small::of(head[0])));
        body.clear();
        self.lists.push(body);
        Ok(())
    }

    fn to_client(
        &mut self,
        _: PeerId,
        _: &[&[u8]],
        mut frames: Vec<Small>,
        outcome: RequestOutcome,
    ) -> Fate {
        assert!(
            matches!(outcome, RequestOutcome::Answered(_)),
            "{outcome:?}"
        );
        self.answered += 1;
        frames.clear();
        self.lists.push(frames);
        Fate::Delivered
    }
}

#[test]
fn a_small_request_and_its_answer_cost_no_allocation() {
    let _turn = turns::take();
    let directory = tempfile::tempdir().unwrap();
    let routes = directory.path().join("routes.yaml");
    let text = "frontends: { clients: { bind: \"tcp://127.0.0.1:0\" } }
pools: { people: { bind: \"tcp://127.0.0.1:0\" } }
routes: { OPAQUE: { pool: people } }";
    std::fs::write(&routes, text).unwrap();
    let snapshot = config::load(&routes).unwrap_or_else(|found| panic!("{found}"));
    let mut core = Core::new(Arc::new(snapshot.snapshot));
    let mut peers = Peers {
        held: None,
        lists: (0..8).map(|_| Vec::with_capacity(8)).collect(),
        answered: 0,
    };
    let client = PeerId(1);
    let connected = Event::ClientConnected {
        peer: client,
        frontend: FrontendId(0),
        kind: ClientKind::Dealer,
        identity: b"client".to_vec(),
    };
    core.on(Duration::ZERO, connected, &mut peers);
    for worker in [2, 3] {
        let connected = Event::WorkerConnected {
            peer: PeerId(worker),
            pool: PoolId(0),
            kind: WorkerKind::Dealer,
            headcount: Headcount::One,
            name: Arc::default(),
        };
        core.on(Duration::ZERO, connected, &mut peers);
    }
    let mut round_trips = |rounds: usize| {
        let before = peers.answered;
        for _ in 0..rounds {
            let mut frames = peers.lists.pop().unwrap();
            frames.extend([Small::of(b"OPAQUE"), Small::of(b"payload")]);
            let peer = client;
            core.on(Duration::ZERO, Event::Message { peer, frames }, &mut peers);
            let (peer, token) = peers.held.take().unwrap();
            let mut frames = peers.lists.pop().unwrap();
            frames.extend([token, Small::of(b"REPLY"), Small::of(b"payload")]);
            core.on(Duration::ZERO, Event::Message { peer, frames }, &mut peers);
        }
        assert_eq!(peers.answered - before, rounds);
    };
    round_trips(1_000);
    mark_thread();
    assert_eq!(allocations(|| round_trips(10_000)), 0);
    // A known allocation is counted, which shows that this thread is marked.
    assert!(allocations(|| drop(std::hint::black_box(Box::new(0_u64)))) > 0);
}
