//! `cargo bench --bench counting`: the time that the data thread spends on counters. Prints the
//! time of a round trip through the core (request and answer, no network), the time in which the
//! counters are updated in such a round trip, and the time to take a sample of all counters.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway::config;
use gateway::core::{Core, Event, Outlet};
use gateway::ledger::{Fate, RequestOutcome, RouteCounters};
use gateway::peer::{ClientKind, Headcount, PeerId, WorkerKind};
use gateway::snapshot::{FrontendId, PoolId, RouteId, Snapshot};

const ROUNDS: u32 = 200_000;

/// An outlet that accepts everything, and keeps the worker's head frame.
#[derive(Default)]
struct Sink {
    head: Vec<u8>,
}

impl Outlet<Vec<Vec<u8>>> for Sink {
    fn to_worker(
        &mut self,
        _: PeerId,
        head: &[&[u8]],
        body: Vec<Vec<u8>>,
    ) -> Result<(), Vec<Vec<u8>>> {
        self.head.clear();
        self.head.extend_from_slice(head[0]);
        black_box(body);
        Ok(())
    }

    fn to_client(&mut self, _: PeerId, _: &[&[u8]], body: Vec<Vec<u8>>, _: RequestOutcome) -> Fate {
        black_box(body);
        Fate::Delivered
    }
}

/// Returns a configuration with this number of routes: A, and others.
fn snapshot(routes: usize) -> Arc<Snapshot> {
    let directory = tempfile::tempdir().unwrap();
    let mut yaml = String::from(
        "frontends: { c: { bind: tcp://127.0.0.1:0 } }\npools: { p: { bind: tcp://127.0.0.1:0 } }\n\
         routes:\n  A: { pool: p }\n",
    );
    for n in 1..routes {
        yaml.push_str(&format!("  R{n}: {{ pool: p }}\n"));
    }
    let file = directory.path().join("routes.yaml");
    std::fs::write(&file, yaml).unwrap();
    let loaded = config::load(&file).unwrap_or_else(|found| panic!("{found}"));
    Arc::new(loaded.snapshot)
}

/// Returns the time of one call of `run`: the median of nine tries of `rounds` calls each.
fn median(rounds: u32, mut run: impl FnMut()) -> Duration {
    let tries = (0..9).map(|_| {
        let started = Instant::now();
        for _ in 0..rounds {
            run();
        }
        started.elapsed() / rounds
    });
    let mut tries: Vec<_> = tries.collect();
    tries.sort();
    tries[4]
}

fn main() {
    let mut core = Core::new(snapshot(100));
    let mut sink = Sink::default();
    let (client, worker) = (PeerId(1), PeerId(2));
    let connected = Event::ClientConnected {
        peer: client,
        frontend: FrontendId(0),
        kind: ClientKind::Dealer,
        identity: b"client".to_vec(),
    };
    core.on(Duration::ZERO, connected, &mut sink);
    let connected = Event::WorkerConnected {
        peer: worker,
        pool: PoolId(0),
        kind: WorkerKind::Dealer,
        headcount: Headcount::One,
        name: Arc::default(),
    };
    core.on(Duration::ZERO, connected, &mut sink);
    let mut now = Duration::ZERO;
    let whole = median(ROUNDS, || {
        now += Duration::from_micros(3);
        let frames = vec![b"A".to_vec(), vec![7; 60]];
        let request = Event::Message {
            peer: client,
            frames,
        };
        core.on(now, request, &mut sink);
        let frames = vec![sink.head.clone(), b"REPLY".to_vec(), vec![7; 60]];
        let answer = Event::Message {
            peer: worker,
            frames,
        };
        core.on(now, answer, &mut sink);
    });
    assert_eq!(core.ledger().received, core.ledger().answered);

    let mut routes = vec![RouteCounters::default(); 100];
    let route = RouteId(7);
    let mut took = Duration::ZERO;
    let counting = median(ROUNDS, || {
        took += Duration::from_nanos(77);
        let counters = &mut routes[black_box(route).0];
        counters.received += 1;
        counters.bytes_in += 61;
        counters.open += 1;
        let counters = &mut routes[black_box(route).0];
        counters.open -= 1;
        counters.at_once.add(took);
        counters.bytes_out += 65;
        counters.count(RequestOutcome::Answered(route), Fate::Delivered);
    });
    black_box(&routes);
    println!("a round trip through the core  {whole:>10.1?}");
    println!(
        "the counting in it             {counting:>10.1?}  {:.1} %",
        100.0 * counting.as_secs_f64() / whole.as_secs_f64()
    );
    for routes in [1, 100, 10_000] {
        let core = Core::<Vec<Vec<u8>>>::new(snapshot(routes));
        let sample = median(50, || drop(black_box(core.sample(&Sink::default()))));
        println!("a sample of {routes:>6} routes        {sample:>10.1?}");
    }
}
