//! The core under seeded random schedules: clients and workers of every kind that come, go, stall,
//! answer late, twice, out of order or wrongly, with deadlines passing and a shutdown at the end.
//!
//! After every event the ledger must balance and no request may wait while a worker is free; after
//! every schedule each message must have had exactly one answer, the right one, at the right client.
//!
//! A failing seed is printed; `SIMULATION_SEED=n cargo test --test core` replays it and prints
//! every step.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use fastrand::Rng;
use gateway::core::{Core, Event, Outlet};
use gateway::ledger::{Fate, Outcome, RouteCounters};
use gateway::peer::{ClientKind, Headcount, PeerId, WorkerKind};
use gateway::reply::{ErrorEncoding, Reason};
use gateway::route::{Pattern, Table};
use gateway::snapshot::{
    AnyOf, Balance, EngineKind, EnvelopeMode, ErrorFrames, Framing, Frontend, FrontendId,
    IdentityMode, Limits, Names, PerWorker, PoolId, PoolSettings, ReloadSettings, Route, Snapshot,
    WorkerFrames, Workers,
};
use gateway_diagnostic::Diagnostics;
use gateway_proto::Compiler;
use gateway_schema::{Encoding, Options, Schema};

/// In an ordinary run; `SIMULATION_SCHEDULES=n` sets another number.
const SCHEDULES: u64 = 30_000;

type Frames = Vec<Vec<u8>>;

#[test]
fn every_message_has_exactly_one_answer() {
    if let Some(seed) = number_from("SIMULATION_SEED") {
        World::new(seed, true).run();
        return;
    }
    let schedules = number_from("SIMULATION_SCHEDULES").unwrap_or(SCHEDULES);
    for seed in 0..schedules {
        let run = catch_unwind(AssertUnwindSafe(|| World::new(seed, false).run()));
        assert!(
            run.is_ok(),
            "seed {seed} failed; SIMULATION_SEED={seed} cargo test --test core replays it"
        );
    }
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Every kind of thing that was meant to be tried did happen, or the schedules prove little.
#[test]
fn schedules_reach_every_outcome() {
    let mut rejected = [0_u64; Reason::ALL.len()];
    let (mut answered, mut gone, mut slow, mut late, mut unsolicited) = (0, 0, 0, 0, 0);
    let mut left = 0;
    for seed in 0..2_000 {
        let world = World::new(seed, false).run();
        let ledger = world.core.ledger();
        answered += ledger.answered;
        gone += ledger.client_gone;
        slow += ledger.client_slow;
        late += ledger.late;
        unsolicited += ledger.unsolicited;
        left += world.net.left;
        for (sum, n) in rejected.iter_mut().zip(ledger.rejected) {
            *sum += n;
        }
    }
    for (name, count) in [
        ("answered", answered),
        ("gone", gone),
        ("slow", slow),
        ("late", late),
        ("unsolicited", unsolicited),
    ] {
        assert!(count > 1_000, "{name}: {count}");
    }
    assert!(left > 300, "workers that left in peace: {left}");
    for reason in Reason::ALL {
        let count = rejected[reason as usize];
        assert!(count > 100, "{}: {count}", reason.label());
    }
}

// ---- the world

const POOLS: usize = 4;
const FRONTENDS: usize = 4;
/// Longer than any timeout of a route, so that a deadline always passes in a jump.
const FAR: Duration = Duration::from_secs(60);

struct World {
    rng: Rng,
    core: Core<Frames>,
    net: Net,
    now: Duration,
    next_peer: u64,
    /// The shutdown has ended what workers held, of whom none hears of that.
    over: bool,
}

/// What the peers see, and what must be true of it.
struct Net {
    trace: bool,
    clients: HashMap<PeerId, SimClient>,
    workers: HashMap<PeerId, SimWorker>,
    /// By id, which every well-formed message carries in its payload, and most among their headers.
    sent: Vec<Sent>,
    /// Workers that left in peace.
    left: u64,
    /// Rejections of messages too broken to be remembered.
    nameless: u64,
    /// Such a message was sent, and is to be rejected before anything else happens.
    broken: bool,
    pools: Vec<Arc<PoolSettings>>,
    /// By frontend.
    framings: Vec<Arc<Framing>>,
}

struct SimClient {
    kind: ClientKind,
    /// It has sent something, so an empty frame is no probe of its socket any more.
    heard: bool,
    identity: Vec<u8>,
    frontend: FrontendId,
    reads: Reads,
    unread: Vec<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Reads {
    Well,
    Late,
    Never,
    /// It is gone, and the core has yet to hear of it.
    Left,
}

struct SimWorker {
    pool: PoolId,
    kind: WorkerKind,
    crowd: bool,
    /// Its connection can take no more.
    full: bool,
    /// What it has not answered.
    inbox: Vec<Order>,
    trust: Trust,
    farewell: Farewell,
}

/// How far a worker has come in leaving.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Farewell {
    /// It works.
    No,
    /// It has said BYE.
    Said,
    /// It has heard BYE.
    Heard,
}

/// A request as a worker got it.
#[derive(Clone)]
struct Order {
    head: Frames,
    id: usize,
    form: WorkerFrames,
}

/// Whether a worker of a pool with `per_worker: auto` has answered correctly, and sent nothing else since.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trust {
    No,
    /// It answered what may have timed out by then, of which nobody heard.
    Perhaps,
    Yes,
}

struct Sent {
    client: PeerId,
    envelope: Frames,
    kind: Vec<u8>,
    /// How its frontend framed messages when it was sent.
    framing: Arc<Framing>,
    /// None of one message of a client at a time: how else would it know what an ERROR answers?
    headers: Frames,
    /// Where it waits, if it is not turned down.
    pool: Option<PoolId>,
    must: Option<Reason>,
    holder: Option<PeerId>,
    /// What its holder answered, once it did.
    reply: Option<Vec<u8>>,
    /// That reply has the type ERROR.
    failed: bool,
    ended: bool,
    /// Its client, a REQ, has asked something else since: the answer must not reach it.
    abandoned: bool,
}

impl Sent {
    /// Asserts that a rejection names the request's type, and calls it retryable only if no worker has seen it.
    fn names_itself(&self, rejection: &[u8]) {
        // That of a schema in another encoding is not read here.
        let Ok(rejection) = serde_json::from_slice::<serde_json::Value>(rejection) else {
            return;
        };
        let kind = std::str::from_utf8(&self.kind).unwrap();
        let kind = Some(kind).filter(|kind| kind.len() < 256);
        assert_eq!(rejection["type"].as_str(), kind, "{rejection}");
        let retryable = rejection["retryable"] == true;
        assert!(!retryable || self.holder.is_none(), "{rejection}");
        assert_eq!(retryable, rejection["retry_after_ms"].is_u64());
    }
}

/// Type and payload of a client's message.
struct Content {
    kind: Vec<u8>,
    /// None if the payload is so large that the engine drops it.
    payload: Option<Vec<u8>>,
    must: Option<Reason>,
}

/// Whether a request was handed out with a token, and not with the client's bare identity.
fn is_token(head: &Frames) -> bool {
    head[0].contains(&b'#')
}

fn id_of(frame: &[u8]) -> usize {
    std::str::from_utf8(frame).unwrap().parse().unwrap()
}

impl Outlet<Frames> for Net {
    fn to_worker(&mut self, peer: PeerId, head: &[&[u8]], body: Frames) -> Result<(), Frames> {
        if head.is_empty() {
            return self.bye(peer, body);
        }
        let id = id_of(body.last().expect("a payload"));
        let overtakes = self.sent[..id].iter().any(|older| {
            let same = older.client == self.sent[id].client && older.pool == self.sent[id].pool;
            same && self.is_watched(older) && older.holder.is_none() && !older.ended
        });
        assert!(!overtakes, "{id} overtook an older request of its client");
        let worker = self.workers.get_mut(&peer).expect("a living worker");
        assert_eq!(
            worker.farewell,
            Farewell::No,
            "{id} handed to one that leaves"
        );
        if worker.full {
            return Err(body);
        }
        let head: Frames = head.iter().map(|frame| frame.to_vec()).collect();
        assert!(!self.sent[id].ended, "{id} handed out after its end");
        let settings = &self.pools[worker.pool.0];
        let form = settings.frames;
        let delimited = worker.kind == WorkerKind::Rep || form == WorkerFrames::Delimited;
        assert_eq!(head[1..], vec![b""; usize::from(delimited)], "{id}");
        let sent = &self.sent[id];
        match form {
            WorkerFrames::Typed => {
                assert_eq!(body[0], sent.kind, "{id}");
                assert_eq!(body[1..body.len() - 1], sent.headers[..], "{id}");
            }
            WorkerFrames::Payload | WorkerFrames::Delimited => assert_eq!(body.len(), 1, "{id}"),
        }
        let bare = settings.identity == IdentityMode::Client && worker.kind == WorkerKind::Dealer;
        if bare {
            let twice = worker.inbox.iter().any(|other| other.head[0] == head[0]);
            assert!(!twice, "two of one client at one worker");
        }
        worker.inbox.push(Order { head, id, form });
        self.sent[id].holder = Some(peer);
        let worker = &self.workers[&peer];
        let live = worker.live(self, peer, false);
        assert!(live <= worker.capacity(settings).1, "over per_worker");
        if self.trace {
            println!("  -> worker {peer:?} gets {id}");
        }
        Ok(())
    }

    fn release(&mut self, peer: PeerId) {
        let worker = self.workers.remove(&peer).expect("a living worker");
        assert_eq!(worker.farewell, Farewell::Heard);
        self.left += 1;
    }

    fn to_client(&mut self, peer: PeerId, head: &[&[u8]], body: Frames, outcome: Outcome) -> Fate {
        let head = head.iter().map(|frame| frame.to_vec());
        let frames: Frames = head.chain(body).collect();
        let client = self.clients.get_mut(&peer).expect("a living client");
        let fate = match client.reads {
            Reads::Well => Fate::Delivered,
            Reads::Late => Fate::Waiting,
            Reads::Never => Fate::Slow,
            Reads::Left => Fate::Gone,
        };
        if fate == Fate::Waiting {
            client.unread.push(outcome);
        }
        if self.trace {
            println!("  -> client {peer:?} gets {outcome:?} {fate:?}");
        }
        if std::mem::take(&mut self.broken) {
            assert!(matches!(outcome, Outcome::Rejected(..)));
            self.nameless += 1;
            return fate;
        }
        let id = self.answered(peer, &frames, outcome);
        let sent = &mut self.sent[id];
        assert!(!sent.ended, "{id} answered twice");
        assert!(!sent.abandoned, "{id}: the answer to what was given up");
        sent.ended = true;
        match outcome {
            Outcome::Answered(_) => {
                assert_eq!(sent.must, None, "{id} should have been rejected");
                assert_eq!(Some(&frames[frames.len() - 1]), sent.reply.as_ref(), "{id}");
            }
            Outcome::Rejected(_, reason) => {
                let early = matches!(reason, Reason::ShuttingDown | Reason::ClientLimit);
                if let Some(must) = sent.must.filter(|_| !early) {
                    assert_eq!(reason, must, "{id}");
                }
                sent.names_itself(&frames[frames.len() - 1]);
            }
        }
        fate
    }
}

impl Net {
    /// A worker that leaves hears that it may.
    fn bye(&mut self, peer: PeerId, body: Frames) -> Result<(), Frames> {
        assert_eq!(body, [b"BYE"]);
        let worker = &self.workers[&peer];
        assert_eq!(worker.farewell, Farewell::Said);
        assert_eq!(worker.live(self, peer, false), 0, "it holds something");
        if worker.full {
            return Err(body);
        }
        self.workers.get_mut(&peer).unwrap().farewell = Farewell::Heard;
        Ok(())
    }

    /// Which of a client's messages these frames answer, by envelope and headers.
    fn answered(&self, peer: PeerId, frames: &Frames, outcome: Outcome) -> usize {
        let rejected = matches!(outcome, Outcome::Rejected(..));
        let fits = |sent: &Sent| {
            let (envelope, body) = frames.split_at(sent.envelope.len().min(frames.len()));
            sent.client == peer && envelope == sent.envelope && sent.fits(body, rejected)
        };
        let all = (0..self.sent.len()).filter(|id| fits(&self.sent[*id]));
        let open = |id: &usize| !self.sent[*id].ended && !self.sent[*id].abandoned;
        all.max_by_key(open)
            .unwrap_or_else(|| panic!("{peer:?} got {outcome:?}, an answer to nothing: {frames:?}"))
    }

    /// Whether somebody would hear of the request's end.
    fn is_watched(&self, sent: &Sent) -> bool {
        !sent.abandoned && self.clients.contains_key(&sent.client)
    }
}

impl Sent {
    /// Whether these frames, behind the envelope, have the form of an answer to it.
    fn fits(&self, body: &[Vec<u8>], rejected: bool) -> bool {
        let error = rejected || self.failed;
        let Some((_payload, front)) = body.split_last() else {
            return false;
        };
        if error && self.framing.errors == ErrorFrames::Payload {
            return front.is_empty();
        }
        if !error && self.framing.kind.is_some() {
            return front == self.headers;
        }
        let kind: &[u8] = if error { b"ERROR" } else { b"REPLY" };
        front.split_first() == Some((&kind.to_vec(), &self.headers[..]))
    }

    fn is_open(&self) -> bool {
        !self.ended && !self.abandoned
    }
}

impl SimWorker {
    /// Requests that it must be given if there are any, and that it may be.
    fn capacity(&self, settings: &PoolSettings) -> (usize, usize) {
        match (self.kind, settings.per_worker) {
            _ if self.farewell != Farewell::No => (0, 0),
            _ if self.crowd => (usize::MAX, usize::MAX),
            (WorkerKind::Dealer, PerWorker::Auto) => match self.trust {
                Trust::Yes => (10, 1_000),
                // One of which it holds that has ended gets nothing more until a request waited in vain.
                Trust::Perhaps => (usize::from(self.inbox.is_empty()), 1_000),
                Trust::No => (usize::from(self.inbox.is_empty()), 1),
            },
            (WorkerKind::Dealer, PerWorker::Most(most)) => (most as usize, most as usize),
            (WorkerKind::Rep, _) => (1, 1),
        }
    }

    /// What it has not answered and may still hold. Of a request whose client is gone, or gave it up,
    /// nobody hears whether it timed out: `orphans` says whether those count.
    fn live(&self, net: &Net, me: PeerId, orphans: bool) -> usize {
        let live = |id: usize| {
            let sent = &net.sent[id];
            let orphan = !net.is_watched(sent);
            !sent.ended && sent.holder == Some(me) && (orphans || !orphan)
        };
        self.inbox.iter().filter(|order| live(order.id)).count()
    }
}

impl World {
    fn new(seed: u64, trace: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let pools: Vec<_> = (0..POOLS).map(|n| Arc::new(pool(n, &mut rng))).collect();
        let framings: Vec<_> = (0..FRONTENDS).map(|_| framing(&mut rng)).collect();
        let snapshot = snapshot(&pools, &framings, &mut rng);
        Self {
            rng,
            core: Core::new(snapshot),
            net: Net {
                trace,
                clients: HashMap::new(),
                workers: HashMap::new(),
                sent: Vec::new(),
                left: 0,
                nameless: 0,
                broken: false,
                pools,
                framings,
            },
            now: Duration::ZERO,
            next_peer: 0,
            over: false,
        }
    }

    fn run(mut self) -> Self {
        for _ in 0..self.rng.usize(20..150) {
            match self.rng.u32(0..100) {
                0..8 => self.client_comes(),
                8..14 => self.worker_comes(),
                14..50 => self.client_sends(),
                50..78 => self.worker_sends(),
                78..81 => self.client_goes(),
                81..84 => self.worker_goes(),
                84..86 => self.worker_stalls(),
                86 => self.worker_says_bye(),
                87 => self.reloads(),
                88..92 => self.client_reads(),
                _ => self.time_passes(),
            }
        }
        self.shut_down();
        self
    }

    fn on(&mut self, event: Event<Frames>) {
        if self.net.trace {
            println!("{:?} {event:?}", self.now);
        }
        self.core.on(self.now, event, &mut self.net);
        let ledger = self.core.ledger();
        assert_eq!(ledger.received, ledger.ended() + self.core.in_flight());
        for (n, settings) in self.net.pools.iter().enumerate() {
            self.nobody_waits_for_a_free_worker(PoolId(n), settings);
        }
        for (peer, worker) in &self.net.workers {
            let leaves = worker.farewell == Farewell::Said && !worker.full && !self.over;
            assert!(
                !leaves || worker.live(&self.net, *peer, true) > 0,
                "{peer:?} may leave"
            );
        }
    }

    fn nobody_waits_for_a_free_worker(&self, pool: PoolId, settings: &PoolSettings) {
        if self.core.waiting(pool) == 0 {
            return;
        }
        let net = &self.net;
        for (peer, worker) in net.workers.iter().filter(|(_, w)| w.pool == pool) {
            let live = worker.live(net, *peer, true);
            if worker.full || live >= worker.capacity(settings).0 {
                continue;
            }
            for (id, sent) in net.sent.iter().enumerate() {
                let waits = sent.pool == Some(pool) && sent.holder.is_none() && !sent.ended;
                // Of a request whose client is gone nobody hears whether it still waits.
                let waits = waits && net.is_watched(sent);
                let Some(client) = net.clients.get(&sent.client).filter(|_| waits) else {
                    continue;
                };
                let bare = settings.identity == IdentityMode::Client;
                let owes = |order: &Order| order.head[0] == client.identity;
                let owed = bare && worker.inbox.iter().any(owes);
                assert!(owed, "{peer:?} is free, and {id} waits");
            }
        }
    }

    fn peer(&mut self) -> PeerId {
        self.next_peer += 1;
        PeerId(self.next_peer)
    }

    fn any<T>(&mut self, of: &HashMap<PeerId, T>) -> Option<PeerId> {
        let mut peers: Vec<_> = of.keys().copied().collect();
        peers.sort();
        self.rng.choice(peers)
    }

    fn any_client(&mut self) -> Option<PeerId> {
        let clients = std::mem::take(&mut self.net.clients);
        let any = self.any(&clients);
        self.net.clients = clients;
        any
    }

    fn any_worker(&mut self) -> Option<PeerId> {
        let workers = std::mem::take(&mut self.net.workers);
        let any = self.any(&workers);
        self.net.workers = workers;
        any
    }

    fn client_comes(&mut self) {
        let peer = self.peer();
        let kind = if self.rng.bool() {
            ClientKind::Req
        } else {
            ClientKind::Dealer
        };
        // Few names, so that two clients often share one.
        let names = [&b"a"[..], b"b", b"BYE"];
        let identity = names[self.rng.usize(0..3)].to_vec();
        let frontend = FrontendId(self.rng.usize(0..FRONTENDS));
        let reads = [
            Reads::Well,
            Reads::Well,
            Reads::Well,
            Reads::Late,
            Reads::Never,
            Reads::Left,
        ];
        let client = SimClient {
            kind,
            heard: false,
            identity: identity.clone(),
            frontend,
            reads: reads[self.rng.usize(0..reads.len())],
            unread: Vec::new(),
        };
        self.net.clients.insert(peer, client);
        self.on(Event::ClientCame {
            peer,
            frontend,
            kind,
            identity,
        });
    }

    fn worker_comes(&mut self) {
        let peer = self.peer();
        let pool = PoolId(self.rng.usize(0..POOLS));
        let kind = if self.rng.u8(0..3) == 0 {
            WorkerKind::Rep
        } else {
            WorkerKind::Dealer
        };
        let crowd = self.rng.u8(0..8) == 0;
        let worker = SimWorker {
            pool,
            kind,
            crowd,
            full: false,
            inbox: Vec::new(),
            trust: Trust::No,
            farewell: Farewell::No,
        };
        self.net.workers.insert(peer, worker);
        self.on(Event::WorkerCame {
            peer,
            pool,
            kind,
            headcount: if crowd {
                Headcount::Crowd
            } else {
                Headcount::One
            },
            name: Arc::default(),
        });
    }

    fn client_sends(&mut self) {
        let Some(peer) = self.any_client() else {
            return;
        };
        let client = self.net.clients.get_mut(&peer).unwrap();
        let (kind, frontend) = (client.kind, client.frontend);
        let framing = Arc::clone(&self.net.framings[frontend.0]);
        let mut others = self.net.sent.iter_mut().filter(|sent| sent.client == peer);
        if kind == ClientKind::Req {
            others.for_each(|sent| sent.abandoned |= !sent.ended);
        } else if framing.errors == ErrorFrames::Payload && others.any(|sent| sent.is_open()) {
            // Without headers it could not tell what a rejection is for, so it waits.
            return;
        }
        let first = !std::mem::replace(&mut client.heard, true);
        let frames = self.any_envelope(kind, &framing);
        if self.rng.u8(0..20) == 0 {
            return self.client_sends_nonsense(peer, frames, &framing, first);
        }
        self.client_asks(peer, frames, framing);
    }

    /// Frames in front of a message of such a client.
    fn any_envelope(&mut self, kind: ClientKind, framing: &Framing) -> Frames {
        match (framing.envelope, kind, self.rng.u8(0..4)) {
            (EnvelopeMode::Routed, _, 0) => vec![b"proxy".to_vec(), b"peer".to_vec(), vec![]],
            (EnvelopeMode::Routed, _, 1) => vec![b"proxy".to_vec(), vec![]],
            (_, ClientKind::Req, 0) => vec![b"0001".to_vec(), vec![]],
            (EnvelopeMode::Routed, ..) | (_, ClientKind::Req, _) | (_, ClientKind::Dealer, 0) => {
                vec![vec![]]
            }
            _ => vec![],
        }
    }

    /// Sends a message that is too broken to carry an id.
    fn client_sends_nonsense(
        &mut self,
        peer: PeerId,
        mut frames: Frames,
        framing: &Framing,
        first: bool,
    ) {
        let kind = self.net.clients[&peer].kind;
        match (&framing.kind, framing.envelope) {
            // A lone frame would be its payload.
            (Some(_), EnvelopeMode::Auto) if kind == ClientKind::Dealer => frames.clear(),
            (_, EnvelopeMode::Routed) if self.rng.bool() => {
                frames = vec![b"P0".to_vec(), b"no".to_vec(), b"delimiter".to_vec()];
            }
            (None, _) if self.rng.bool() => frames.push(b"P0".to_vec()),
            _ => {}
        }
        if first && frames == [b""] {
            let before = self.core.ledger();
            self.on(Event::Message { peer, frames });
            assert_eq!(self.core.ledger(), before, "a probe is no message");
            return;
        }
        self.net.broken = true;
        self.on(Event::Message { peer, frames });
    }

    fn client_asks(&mut self, peer: PeerId, mut frames: Frames, framing: Arc<Framing>) {
        let frontend = self.net.clients[&peer].frontend;
        let id = self.net.sent.len();
        let envelope = frames.clone();
        let text = id.to_string().into_bytes();
        let mut headers = self.any_headers(peer, &text);
        if envelope.is_empty() && framing.kind.is_some() && headers.first() == Some(&vec![]) {
            // It would be the delimiter.
            headers.remove(0);
        }
        let Content {
            kind,
            payload,
            must,
        } = self.any_content(frontend, &framing, text);
        let typed = framing.kind.is_none();
        let pool = match &kind[..] {
            [b'P', n @ b'0'..=b'9'] => Some(PoolId(usize::from(n - b'0'))),
            b"only.one" => Some(PoolId(0)),
            _ => None,
        };
        let sent = Sent {
            client: peer,
            envelope: envelope.clone(),
            kind: kind.clone(),
            framing,
            headers: headers.clone(),
            pool: pool.filter(|_| must.is_none() && payload.is_some()),
            must,
            holder: None,
            reply: None,
            failed: false,
            ended: false,
            abandoned: false,
        };
        self.net.sent.push(sent);
        if typed {
            frames.push(kind);
        }
        frames.extend(headers);
        match payload {
            Some(payload) => {
                frames.push(payload);
                self.on(Event::Message { peer, frames });
            }
            None => self.on(Event::Oversize { peer, frames }),
        }
    }

    /// Type and payload of a message, most of them sound, with the reason for which it must be rejected.
    fn any_content(&mut self, frontend: FrontendId, framing: &Framing, id: Vec<u8>) -> Content {
        let number = b'0' + self.rng.u8(0..POOLS as u8);
        let sound = Content {
            kind: framing
                .kind
                .as_deref()
                .map_or(vec![b'P', number], <[u8]>::to_vec),
            payload: Some(id),
            must: None,
        };
        match self.rng.u8(0..24) {
            // Its frontend says of which type it is.
            0 | 2..=4 if framing.kind.is_some() => sound,
            0 => Content {
                kind: b"nobody".to_vec(),
                must: Some(Reason::UnknownType),
                ..sound
            },
            1 => Content {
                payload: Some(vec![b'x'; 1_001]),
                must: Some(Reason::TooLarge),
                ..sound
            },
            2 => Content {
                kind: vec![b'P'; 256],
                must: Some(Reason::Malformed),
                ..sound
            },
            3 => Content {
                kind: b"only.one".to_vec(),
                must: (frontend != FrontendId(0)).then_some(Reason::NotAllowed),
                ..sound
            },
            4 => Content {
                kind: b"person".to_vec(),
                payload: Some(b"bad".to_vec()),
                must: Some(Reason::SchemaViolation),
            },
            5 => Content {
                payload: None,
                must: Some(Reason::TooLarge),
                ..sound
            },
            _ => sound,
        }
    }

    /// Headers for a client's message: its id, alone or among others, or none.
    fn any_headers(&mut self, client: PeerId, id: &[u8]) -> Frames {
        let headerless = |sent: &Sent| sent.client == client && sent.headers.is_empty();
        let open = |sent: &Sent| !sent.ended && !sent.abandoned;
        let one = self.net.sent.iter().any(|it| headerless(it) && open(it));
        match self.rng.u8(0..8) {
            0 | 1 if !one => vec![],
            2 => vec![vec![], id.to_vec()],
            3 => vec![id.to_vec(), vec![7; 600]],
            _ => vec![id.to_vec()],
        }
    }

    fn worker_sends(&mut self) {
        let Some(peer) = self.any_worker() else {
            return;
        };
        let worker = self.net.workers.get_mut(&peer).unwrap();
        if worker.inbox.is_empty() {
            return self.worker_sends_what_answers_nothing(peer);
        }
        let at = self.rng.usize(0..worker.inbox.len());
        let manner = self.rng.u8(0..25);
        let order = match manner {
            // Again later, with the same token.
            0 if is_token(&worker.inbox[at].head) => worker.inbox[at].clone(),
            _ => worker.inbox.remove(at),
        };
        let Order { head, id, form } = order.clone();
        let sent = &mut self.net.sent[id];
        let owed = !sent.ended && sent.holder == Some(peer);
        // A message `P`, whose only field is this text.
        let text = format!("{id} by {peer:?}");
        let payload = [&[0x0a, text.len() as u8], text.as_bytes()].concat();
        let mut frames = head.clone();
        let typed = form == WorkerFrames::Typed;
        if typed {
            frames.push(b"REPLY".to_vec());
            frames.extend_from_slice(&sent.headers);
        }
        frames.push(payload.clone());
        let last = frames.len() - 1;
        match manner {
            1 if typed => frames.truncate(head.len() + 1),
            1 => frames.push(b"and another".to_vec()),
            2 => frames[last] = vec![b'x'; 1_001],
            3 if owed => return self.thief_answers(peer, frames, order),
            4 if typed => {
                sent.failed = true;
                // Carried as it is, whatever the schema of replies.
                sent.reply = Some(text.clone().into_bytes());
                frames[head.len()] = b"ERROR".to_vec();
                frames[last] = text.into_bytes();
            }
            6 => {
                sent.must = sent.must.or(owed.then_some(Reason::BadReply));
                frames[last] = b"\xff".to_vec();
            }
            5 => {
                self.expect_trust(peer, id, owed, Trust::No);
                self.on(Event::Oversize { peer, frames: head });
                let sent = &self.net.sent[id];
                assert!(!owed || sent.ended || !self.net.is_watched(sent));
                return;
            }
            _ => sent.reply = Some(payload),
        }
        let trust = match manner {
            1 | 2 | 6 => Trust::No,
            _ => Trust::Yes,
        };
        self.expect_trust(peer, id, owed, trust);
        self.on(Event::Message { peer, frames });
        let sent = &self.net.sent[id];
        let delivered = sent.ended || !self.net.is_watched(sent);
        assert!(
            !owed || delivered,
            "{id}: its holder's answer was not delivered"
        );
        self.net.sent[id].ended = true;
    }

    /// A worker that owes nothing sends something.
    fn worker_sends_what_answers_nothing(&mut self, peer: PeerId) {
        let heads = [&b"a#1"[..], b"#7", b"zzz", b""];
        let head = heads[self.rng.usize(0..4)];
        let worker = self.net.workers.get_mut(&peer).unwrap();
        // What has the form of a token may be taken for a late answer.
        if !head.contains(&b'#') {
            worker.trust = Trust::No;
        } else if worker.trust == Trust::Yes {
            worker.trust = Trust::Perhaps;
        }
        let frames = vec![head.to_vec(), vec![], b"R".to_vec()];
        self.on(Event::Message { peer, frames });
    }

    /// Notes what a worker that is about to answer a message counts for from then on: `trust`, if it
    /// holds the request.
    fn expect_trust(&mut self, peer: PeerId, id: usize, owed: bool, trust: Trust) {
        let held_for_sure = owed && self.net.is_watched(&self.net.sent[id]);
        let worker = self.net.workers.get_mut(&peer).unwrap();
        let paced = self.net.pools[worker.pool.0].per_worker == PerWorker::Auto;
        worker.trust = match (held_for_sure, worker.trust) {
            _ if !paced => Trust::No,
            (true, _) => trust,
            // What is late changes nothing for the worse.
            (false, Trust::Yes) if trust == Trust::Yes => Trust::Yes,
            (false, _) => Trust::Perhaps,
        };
    }

    /// Another worker answers with this one's token: it must not count.
    fn thief_answers(&mut self, holder: PeerId, frames: Frames, order: Order) {
        let (bare, id) = (!is_token(&order.head), order.id);
        self.net.workers.get_mut(&holder).unwrap().inbox.push(order);
        let Some(thief) = self.any_worker().filter(|thief| *thief != holder && !bare) else {
            return;
        };
        self.net.sent[id].reply = Some(b"never this".to_vec());
        let trust = &mut self.net.workers.get_mut(&thief).unwrap().trust;
        if *trust == Trust::No {
            *trust = Trust::Perhaps;
        }
        self.on(Event::Message {
            peer: thief,
            frames,
        });
        assert!(!self.net.sent[id].ended, "{id} answered by a thief");
        self.net.sent[id].reply = None;
    }

    /// Pools get other settings, of the kind that may change while they run.
    fn reloads(&mut self) {
        for n in 0..POOLS {
            if self.rng.bool() {
                self.net.pools[n] = Arc::new(pool(n, &mut self.rng));
            }
        }
        for n in 0..FRONTENDS {
            if self.rng.bool() {
                self.net.framings[n] = framing(&mut self.rng);
            }
        }
        for worker in self.net.workers.values_mut() {
            if self.net.pools[worker.pool.0].per_worker != PerWorker::Auto {
                worker.trust = Trust::No;
            }
        }
        let snapshot = snapshot(&self.net.pools, &self.net.framings, &mut self.rng);
        self.on(Event::Reload { snapshot });
        self.what_is_shown_agrees();
    }

    /// What /metrics shows is the ledger by other sums, and what there is.
    fn what_is_shown_agrees(&self) {
        let sample = self.core.sample(&self.net);
        assert_eq!(sample.ledger, self.core.ledger());
        assert_eq!(sample.in_flight, self.core.in_flight());
        let in_flight = |route: &RouteCounters| route.open + route.unsettled;
        for route in &sample.routes {
            assert_eq!(
                route.received,
                route.ended() + in_flight(route),
                "{route:?}"
            );
            let timed: u64 = route.latency.buckets.iter().sum();
            assert!(timed >= route.answered, "{route:?}");
        }
        let sum: u64 = sample.routes.iter().map(in_flight).sum();
        assert_eq!(sum, sample.in_flight);
        for (n, pool) in sample.pools.iter().enumerate() {
            assert_eq!(pool.queue, self.core.waiting(PoolId(n)));
            assert_eq!(pool.queue + pool.held == 0, self.core.is_idle(PoolId(n)));
        }
        let timed = |route: &RouteCounters| route.latency.buckets.iter().sum::<u64>();
        let timed: u64 = sample.routes.iter().map(timed).sum();
        let by_workers =
            sample.ledger.answered + sample.ledger.client_gone + sample.ledger.client_slow;
        assert!(timed <= by_workers + sample.ledger.unsettled);
        let clients: u64 = sample.clients.iter().sum();
        assert_eq!(clients, self.net.clients.len() as u64);
        let workers: usize = sample.pools.iter().map(|pool| pool.workers).sum();
        assert_eq!(workers, self.net.workers.len());
    }

    fn client_goes(&mut self) {
        let Some(peer) = self.any_client() else {
            return;
        };
        let client = self.net.clients.remove(&peer).unwrap();
        for outcome in client.unread {
            self.on(Event::Settled {
                outcome,
                fate: Fate::Gone,
            });
        }
        self.on(Event::Gone { peer });
    }

    fn worker_goes(&mut self) {
        let Some(peer) = self.any_worker() else {
            return;
        };
        self.net.workers.remove(&peer);
        self.on(Event::Gone { peer });
        for (id, sent) in self.net.sent.iter().enumerate() {
            let gone = !self.net.is_watched(sent);
            assert!(
                sent.ended || gone || sent.holder != Some(peer),
                "{id}: worker_lost at once"
            );
        }
    }

    /// A worker leaves in peace, unless it is of a kind that can't.
    fn worker_says_bye(&mut self) {
        let Some(peer) = self.any_worker() else {
            return;
        };
        let worker = self.net.workers.get_mut(&peer).unwrap();
        if worker.crowd || worker.kind == WorkerKind::Rep {
            worker.trust = Trust::No;
        } else {
            worker.farewell = Farewell::Said;
        }
        let frames = vec![b"BYE".to_vec()];
        self.on(Event::Message { peer, frames });
    }

    fn worker_stalls(&mut self) {
        let Some(peer) = self.any_worker() else {
            return;
        };
        let worker = self.net.workers.get_mut(&peer).unwrap();
        worker.full = self.rng.bool();
        if !worker.full {
            self.on(Event::Writable { peer });
        }
    }

    fn client_reads(&mut self) {
        let Some(peer) = self.any_client() else {
            return;
        };
        let unread = std::mem::take(&mut self.net.clients.get_mut(&peer).unwrap().unread);
        for outcome in unread {
            let fates = [Fate::Delivered, Fate::Delivered, Fate::Gone, Fate::Slow];
            let fate = fates[self.rng.usize(0..4)];
            self.on(Event::Settled { outcome, fate });
        }
    }

    fn time_passes(&mut self) {
        let next = self.core.next_deadline();
        self.now = match (next, self.rng.u8(0..6)) {
            (Some(next), 0..3) => next.max(self.now),
            (_, 3) => self.now + FAR,
            _ => self.now + Duration::from_millis(self.rng.u64(0..200)),
        };
        self.on(Event::Tick);
    }

    fn shut_down(&mut self) {
        let deadline = self.now + Duration::from_secs(1);
        self.on(Event::Drain { deadline });
        for _ in 0..self.rng.usize(0..20) {
            match self.rng.bool() {
                true => self.worker_sends(),
                false => self.client_sends(),
            }
        }
        self.now = deadline;
        self.over = true;
        self.on(Event::Tick);
        while let Some(peer) = self.any_client() {
            self.client_reads();
            let client = &mut self.net.clients.get_mut(&peer).unwrap();
            let unread = std::mem::take(&mut client.unread);
            for outcome in unread {
                self.on(Event::Settled {
                    outcome,
                    fate: Fate::Delivered,
                });
            }
            self.net.clients.remove(&peer);
            self.on(Event::Gone { peer });
            for sent in self.net.sent.iter().filter(|sent| sent.client == peer) {
                assert!(sent.ended || sent.abandoned, "left without an answer");
            }
        }
        assert!(self.core.is_drained());
        assert_eq!(self.core.in_flight(), 0);
        self.what_is_shown_agrees();
        let ledger = self.core.ledger();
        assert_eq!(
            ledger.received,
            self.net.sent.len() as u64 + self.nameless_sent()
        );
        for pool in 0..POOLS {
            assert_eq!(self.core.waiting(PoolId(pool)), 0);
        }
    }

    fn nameless_sent(&self) -> u64 {
        self.net.nameless
    }
}

fn snapshot(
    pools: &[Arc<PoolSettings>],
    framings: &[Arc<Framing>],
    rng: &mut Rng,
) -> Arc<Snapshot> {
    let mut names = Names::default();
    Arc::new(Snapshot {
        generation: 1,
        engine: EngineKind::Libzmq,
        frontends: frontends(framings),
        pools: numbered(pools),
        definitions: Default::default(),
        protos: BTreeMap::new(),
        admin: None,
        reload: ReloadSettings {
            watch: false,
            settle: Duration::ZERO,
        },
        routes: routes(&mut names, rng),
        names,
        limits: Limits {
            message: 1_000,
            frames: 7,
            depth: 10,
            rules: 1_000,
            clients: rng.usize(3..8),
            client_requests: rng.u32(3..30),
            client_bytes: rng.u64(200..3_000),
        },
        grace: Duration::from_secs(1),
    })
}

fn frontends(framings: &[Arc<Framing>]) -> BTreeMap<FrontendId, Frontend> {
    let numbers = (0..).map(FrontendId);
    numbers.zip(framings.iter().map(frontend)).collect()
}

fn numbered(pools: &[Arc<PoolSettings>]) -> BTreeMap<PoolId, Arc<PoolSettings>> {
    (0..).map(PoolId).zip(pools.iter().cloned()).collect()
}

fn frontend(framing: &Arc<Framing>) -> Frontend {
    Frontend {
        name: "any".into(),
        endpoints: Default::default(),
        errors: ErrorEncoding::Json,
        framing: Arc::clone(framing),
    }
}

/// A framing, half of them that of typed clients.
fn framing(rng: &mut Rng) -> Arc<Framing> {
    if rng.bool() {
        return Arc::default();
    }
    let number = b'0' + rng.u8(0..POOLS as u8);
    let kind = (rng.u8(0..3) > 0).then(|| [b'P', number].into());
    Arc::new(Framing {
        kind,
        envelope: if rng.u8(0..3) == 0 {
            EnvelopeMode::Routed
        } else {
            EnvelopeMode::Auto
        },
        errors: if rng.bool() {
            ErrorFrames::All
        } else {
            ErrorFrames::Payload
        },
    })
}

fn pool(n: usize, rng: &mut Rng) -> PoolSettings {
    PoolSettings {
        name: format!("p{n}"),
        endpoints: Default::default(),
        workers: Workers::Auto,
        identity: if rng.bool() {
            IdentityMode::Token
        } else {
            IdentityMode::Client
        },
        balance: if rng.bool() {
            Balance::LeastBusy
        } else {
            Balance::RoundRobin
        },
        per_worker: match rng.u32(0..4) {
            0 => PerWorker::Auto,
            most => PerWorker::Most(most),
        },
        queue: rng.usize(0..8),
        queue_bytes: rng.u64(50..500),
        heartbeat: None,
        frames: match rng.u8(0..6) {
            0 => WorkerFrames::Payload,
            1 => WorkerFrames::Delimited,
            _ => WorkerFrames::Typed,
        },
    }
}

fn routes(names: &mut Names, rng: &mut Rng) -> Table<Route> {
    let mut routes = Vec::new();
    let mut add = |name: &str, pool: usize, frontends: Option<Vec<FrontendId>>| {
        let timeouts = [None, Some(100), Some(500), Some(5_000)];
        let timeout = timeouts[rng.usize(0..4)].map(Duration::from_millis);
        let route = Route {
            id: names.route(name),
            name: name.into(),
            kind: (!name.ends_with('*')).then(|| name.into()),
            schema: (name == "person").then(|| any_of(&[Encoding::Protobuf])),
            // The second is what workers write.
            reply: Some(any_of(&[Encoding::Msgpack, Encoding::Protobuf])),
            pool: PoolId(pool),
            timeout,
            frontends,
        };
        let pattern = match name.strip_suffix('*') {
            Some(prefix) => Pattern::Prefix(prefix.as_bytes().into()),
            None => Pattern::Exact(name.as_bytes().into()),
        };
        routes.push((pattern, Arc::new(route)));
    };
    for pool in 0..POOLS {
        let pattern = if pool == 0 { "*" } else { "" };
        add(&format!("P{pool}{pattern}"), pool, None);
    }
    add("only.one", 0, Some(vec![FrontendId(0)]));
    add("person", 1, None);

    Table::new(routes)
}

fn any_of(encodings: &[Encoding]) -> AnyOf {
    // Once for all schedules, of which there are thousands.
    static TABLE: LazyLock<Arc<gateway_schema::Table>> = LazyLock::new(|| {
        let directory = tempfile::tempdir().unwrap();
        let text = "syntax = \"proto3\"; message P { string x = 1; }";
        fs::write(directory.path().join("p.proto"), text).unwrap();
        let mut found = Diagnostics::new();
        let roots = [directory.path().to_owned()];
        let made = gateway_proto::compile(&roots, Compiler::Builtin, &mut found);
        Arc::new(gateway_schema::Table::build(made.expect("compiles").files()).unwrap())
    });
    let message = TABLE.message("P").unwrap();
    let mut schemas = encodings
        .iter()
        .map(|encoding| Schema::new(*encoding, Arc::clone(&TABLE), message, Options::default()));
    AnyOf::new(schemas.next().unwrap(), schemas.collect())
}
