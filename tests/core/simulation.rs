//! The core under seeded random schedules. Clients and workers of every kind connect, disconnect,
//! stall, and answer late, twice, out of order or wrongly. Judges reach their verdicts in any
//! order, deadlines pass, and each schedule ends with a shutdown.
//!
//! After every event, the ledger must balance and no request may wait while a worker is free. After
//! every schedule, the client of each message must have received exactly one answer, which must be
//! the right answer.
//!
//! A failing seed is printed; `SIMULATION_SEED=n cargo test --test core` replays it and prints
//! every step.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use gateway::core::{Case, Core, Event, Outlet};
use gateway::ledger::{Fate, Latency, RequestOutcome, RouteCounters};
use gateway::peer::{ClientKind, Headcount, PeerId, WorkerKind};
use gateway::reply::{ErrorEncoding, Reason};
use gateway::route::{RouteTable, TypePattern};
use gateway::snapshot::{
    Access, Allowed, AnyOf, Balance, EngineKind, EnvelopeMode, ErrorFrames, Framing, Frontend,
    FrontendId, IdentityMode, Limits, LogSettings, MemoryLimit, Names, PerWorker, PoolId,
    PoolSettings, Rate, ReloadSettings, Route, Snapshot, Target, WorkerFrames, Workers,
};
use gateway_diagnostic::Diagnostics;
use gateway_proto::Compiler;
use gateway_schema::{Encoding, Options, RuleLimits, RuleSet, Schema};

/// The number of schedules in an ordinary run. `SIMULATION_SCHEDULES=n` sets another number.
const SCHEDULES: u64 = 12_000;

type Frames = Vec<Vec<u8>>;

#[test]
fn every_message_has_exactly_one_answer() {
    if let Some(seed) = number_from("SIMULATION_SEED") {
        World::new(seed, true).run();
        return;
    }
    let schedules = number_from("SIMULATION_SCHEDULES").unwrap_or(SCHEDULES);
    // Every thread takes the next seed, so that all cores work until the end.
    let next = AtomicU64::new(0);
    let run_seeds = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= schedules {
                return;
            }
            let run = catch_unwind(AssertUnwindSafe(|| World::new(seed, false).run()));
            if run.is_err() {
                next.store(schedules, Ordering::Relaxed);
                panic!(
                    "seed {seed} failed; SIMULATION_SEED={seed} cargo test --test core replays it"
                );
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(run_seeds);
        }
    });
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The schedules are only meaningful if they reach every outcome.
#[test]
fn schedules_reach_every_outcome() {
    let mut rejected = [0_u64; Reason::ALL.len()];
    let (mut answered, mut gone, mut slow, mut late, mut unsolicited) = (0, 0, 0, 0, 0);
    let (mut left, mut judged, mut cheap, mut paused, mut lacked) = (0, [0; 2], 0, 0, 0);
    for seed in 0..2_000 {
        let world = World::new(seed, false).run();
        let ledger = world.core.ledger();
        answered += ledger.answered;
        gone += ledger.client_gone;
        slow += ledger.client_slow;
        late += ledger.late;
        unsolicited += ledger.unsolicited;
        left += world.net.left;
        judged[0] += world.net.judged[0];
        judged[1] += world.net.judged[1];
        cheap += world.net.cheap;
        paused += world.net.pauses;
        lacked += world.net.lacked;
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
    assert!(left > 300, "workers that left with BYE: {left}");
    assert!(judged[0] > 1_000, "requests judged: {judged:?}");
    assert!(judged[1] > 1_000, "answers judged: {judged:?}");
    assert!(cheap > 100, "large requests checked at once: {cheap}");
    assert!(paused > 100, "peers paused: {paused}");
    assert!(lacked > 100, "answers refused for lack of memory: {lacked}");
    for reason in Reason::ALL {
        let count = rejected[reason as usize];
        assert!(count > 100, "{}: {count}", reason.label());
    }
}

// ---- the world

const POOLS: usize = 4;
const FRONTENDS: usize = 4;
/// The rate of the route `seldom`, for each connection.
const RATE: Rate = Rate {
    interval: Duration::from_secs(5),
    burst: 2,
};
/// A step of time that is longer than the timeout of any route, and so passes every deadline.
const STEP_PAST_DEADLINES: Duration = Duration::from_secs(60);

struct World {
    rng: Rng,
    core: Core<Frames>,
    net: Net,
    now: Duration,
    next_peer: u64,
    /// Set once the shutdown has ended the requests that workers held. The workers are not
    /// notified.
    is_shut_down: bool,
}

/// The peers and their messages, with assertions about both.
struct Net {
    trace: bool,
    clients: HashMap<PeerId, SimClient>,
    workers: HashMap<PeerId, SimWorker>,
    /// The requests by id. The payload of a valid request is its id or a field that begins with its
    /// id, and most requests carry the id as a header, too.
    sent: Vec<Sent>,
    /// The number of workers that left after they had sent and received BYE.
    left: u64,
    /// The number of rejections of messages that are too malformed to be recorded.
    nameless: u64,
    /// Set if a message was sent that is too malformed to be recorded. The message must be rejected
    /// before anything else happens.
    broken: bool,
    pools: Vec<Arc<PoolSettings>>,
    /// The framings, by frontend.
    framings: Vec<Arc<Framing>>,
    snapshot: Arc<Snapshot>,
    now: Duration,
    /// The value of `limits.client_bytes`.
    client_bytes: u64,
    /// The maximum number of bytes of a client's open requests, and of an answer to it, while
    /// memory is short.
    memory_max: u64,
    /// The number of answers that were replaced by a rejection for lack of memory.
    lacked: u64,
    /// The sizes from which judges check payloads, by the routes in force.
    judged_sizes: JudgedSizes,
    /// The cases that judges have.
    cases: Vec<Case<Frames>>,
    /// The messages that wait for a verdict on their own payload or on the payload of an earlier
    /// message.
    lanes: BTreeMap<Lane, VecDeque<usize>>,
    /// Set while there are judges.
    has_judges: bool,
    /// Set if the engine can stop reading a peer.
    can_pause: bool,
    paused: HashSet<PeerId>,
    pauses: u64,
    /// The numbers of requests and of answers that judges have judged.
    judged: [u64; 2],
    /// The number of large requests that the data thread checks, because most of their bytes take
    /// little time to check.
    cheap: u64,
}

/// The sizes from which a judge checks the payload of a request and of an answer, in bytes, if
/// there is a schema.
#[derive(Clone, Copy, Debug)]
struct JudgedSizes {
    request: usize,
    answer: usize,
}

impl JudgedSizes {
    fn any(rng: &mut Rng) -> Self {
        let mut any = || [0, 2, 15, 2_000, 2_000][rng.usize(0..5)];
        Self {
            request: any(),
            answer: any(),
        }
    }
}

/// The messages with one client and one envelope, which keep their order, or the answers to them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lane {
    client: PeerId,
    envelope: Frames,
    answers: bool,
}

struct SimClient {
    kind: ClientKind,
    /// Set if the peer has sent a message. Until then, an empty frame is a probe of the peer's
    /// socket, and not a message.
    has_sent: bool,
    identity: Vec<u8>,
    frontend: FrontendId,
    reads: Reads,
    unread: Vec<RequestOutcome>,
    /// The time that the client has saved up for the route with a rate, as of `saved_at`. Each use
    /// of the route costs [`RATE`]'s interval.
    saved: Duration,
    saved_at: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Reads {
    Well,
    Late,
    Never,
    /// The peer has disconnected, and the core has not been notified.
    Left,
}

struct SimWorker {
    pool: PoolId,
    kind: WorkerKind,
    /// Set if the connection hides several workers.
    is_shared: bool,
    /// Set if the connection has no room for another request.
    full: bool,
    /// The requests that the worker has not answered.
    inbox: Vec<Order>,
    trust: Trust,
    farewell: Farewell,
}

/// The progress of a worker's farewell.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Farewell {
    /// The worker has not sent BYE.
    NotSent,
    /// The worker has sent BYE.
    Sent,
    /// The worker has received BYE.
    Received,
}

/// A request in the form in which a worker received it.
#[derive(Clone)]
struct Order {
    head: Frames,
    id: usize,
    form: WorkerFrames,
}

/// The trust in a worker of a pool with `per_worker: auto`. The core trusts a worker that has
/// answered correctly and has sent no wrong message since.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trust {
    No,
    /// The worker answered a request that may have timed out before. The model cannot observe that.
    Perhaps,
    Yes,
}

struct Sent {
    client: PeerId,
    envelope: Frames,
    kind: Vec<u8>,
    /// The framing of the client's frontend when the request was sent.
    framing: Arc<Framing>,
    /// The headers. A client that sends one request at a time may have none; others need them to
    /// match an ERROR to its request.
    headers: Frames,
    /// The pool of the request, unless the request is rejected.
    pool: Option<PoolId>,
    /// The sizes in force when the request was sent.
    judged_sizes: JudgedSizes,
    /// Set while the request waits for a verdict on its own payload or on the payload of an earlier
    /// message.
    unjudged: bool,
    /// Set while the answer waits for a verdict on its own payload or on the payload of an earlier
    /// message.
    answered: bool,
    /// The reason for which the request must be rejected, if it must.
    required_reason: Option<Reason>,
    holder: Option<PeerId>,
    /// The deadline, by the timeout of the route when the request was sent.
    deadline: Option<Duration>,
    /// The answer of the worker that held the request, once there is an answer.
    reply: Option<Vec<u8>>,
    /// Set if the answer has the type ERROR.
    failed: bool,
    ended: bool,
    /// Set if the client, a REQ, has sent another request since. The client must then not receive
    /// the answer to this request.
    abandoned: bool,
}

impl Sent {
    /// Asserts that a rejection names the request's type, and is retryable only if no worker has
    /// seen the request.
    fn assert_is_named(&self, rejection: &[u8]) {
        // A rejection in the encoding of a schema is not read here.
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

/// The type and payload of a client's message.
struct Content {
    kind: Vec<u8>,
    /// The payload, or `None` if it is so large that the engine drops it.
    payload: Option<Vec<u8>>,
    required_reason: Option<Reason>,
}

/// Returns whether a worker received a request with a token, and not with the client's bare
/// identity.
fn is_token(head: &Frames) -> bool {
    head[0].contains(&b'#')
}

/// The length of a `bytes` field whose content the check of a payload skips. The byte with the
/// length is not an ASCII digit, which [`id_in`] would take for a part of the id.
const CHEAP_BYTES: usize = 60;

/// Returns a payload of `P` with one field of [`CHEAP_BYTES`] bytes, which begin with the id.
fn cheap_field(id: &[u8]) -> Vec<u8> {
    let mut payload = [&[0x1a, CHEAP_BYTES as u8], id].concat();
    payload.resize(2 + CHEAP_BYTES, b'x');
    payload
}

fn id_of(frame: &[u8]) -> usize {
    std::str::from_utf8(frame).unwrap().parse().unwrap()
}

/// Returns the content of a message of the type `person`.
fn person(payload: Vec<u8>, required_reason: Option<Reason>) -> Content {
    Content {
        kind: b"person".to_vec(),
        payload: Some(payload),
        required_reason,
    }
}

/// Returns the id in a payload, which may have other content.
fn id_in(payload: &[u8]) -> usize {
    let digits = payload.iter().skip_while(|byte| !byte.is_ascii_digit());
    let digits: Vec<u8> = digits.copied().take_while(u8::is_ascii_digit).collect();
    id_of(&digits)
}

impl Outlet<Frames> for Net {
    fn to_worker(&mut self, peer: PeerId, head: &[&[u8]], body: Frames) -> Result<(), Frames> {
        if head.is_empty() {
            return self.bye(peer, body);
        }
        let id = id_in(body.last().expect("a payload"));
        let lane = self.sent[id].lane(false);
        let overtakes = self.sent[..id].iter().any(|older| {
            let same = older.client == self.sent[id].client && older.pool == self.sent[id].pool;
            // A proxy forwards the messages of many clients, each with its own envelope.
            let same = same && (!older.unjudged || older.lane(false) == lane);
            same && self.is_watched(older) && older.holder.is_none() && !older.ended
        });
        assert!(!overtakes, "{id} overtook an older request of its client");
        let worker = self.workers.get_mut(&peer).expect("a living worker");
        assert_eq!(
            worker.farewell,
            Farewell::NotSent,
            "{id} is handed to a worker that leaves"
        );
        if worker.full {
            return Err(body);
        }
        let head: Frames = head.iter().map(|frame| frame.to_vec()).collect();
        assert!(!self.sent[id].ended, "{id} handed out after its end");
        assert_eq!(self.sent[id].holder, None, "{id} handed out twice");
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
            assert!(!twice, "two requests of one client at one worker");
        }
        worker.inbox.push(Order { head, id, form });
        self.sent[id].holder = Some(peer);
        let worker = &self.workers[&peer];
        let live = worker.live(self, peer, false);
        assert!(
            live <= worker.capacity(settings).1,
            "more requests than per_worker allows"
        );
        if self.trace {
            println!("  -> worker {peer:?} gets {id}");
        }
        Ok(())
    }

    fn judge(&mut self, case: Box<Case<Frames>>) -> Result<(), Box<Case<Frames>>> {
        if !self.has_judges {
            return Err(case);
        }
        let (lane, id) = self.lane_of(case.body());
        // The present event may decide earlier messages of the lane. Only afterwards can the model
        // assert that a judge has the first remaining message.
        assert!(self.lanes[&lane].contains(&id), "{id} waits in no lane");
        let mut with_judges = self.cases.iter().map(|other| self.lane_of(other.body()).0);
        assert!(with_judges.all(|other| other != lane), "two of {lane:?}");
        self.cases.push(*case);
        Ok(())
    }

    fn client_bytes_max(&self) -> u64 {
        self.memory_max
    }

    fn pause(&mut self, peer: PeerId) {
        self.pauses += 1;
        self.paused.insert(peer);
    }

    fn resume(&mut self, peer: PeerId) {
        assert!(self.paused.remove(&peer), "{peer:?} was not paused");
    }

    fn release(&mut self, peer: PeerId) {
        let worker = self.workers.remove(&peer).expect("a living worker");
        assert_eq!(worker.farewell, Farewell::Received);
        self.left += 1;
    }

    fn to_client(
        &mut self,
        peer: PeerId,
        head: &[&[u8]],
        body: Frames,
        outcome: RequestOutcome,
    ) -> Fate {
        let size: usize = body.iter().map(Vec::len).sum();
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
            assert!(matches!(outcome, RequestOutcome::Rejected(..)));
            self.nameless += 1;
            return fate;
        }
        let id = self.answered(peer, &frames, outcome);
        let sent = &mut self.sent[id];
        assert!(!sent.ended, "{id} answered twice");
        assert!(!sent.abandoned, "{id}: an answer to an abandoned request");
        sent.ended = true;
        match outcome {
            RequestOutcome::Published(_) => panic!("no route leads to a channel"),
            RequestOutcome::Answered(_) => {
                assert_eq!(sent.required_reason, None, "{id} should have been rejected");
                assert!(size as u64 <= self.memory_max, "{id}: no memory for it");
                assert_eq!(Some(&frames[frames.len() - 1]), sent.reply.as_ref(), "{id}");
            }
            RequestOutcome::Rejected(_, reason) => {
                let early = matches!(reason, Reason::ShuttingDown | Reason::ClientLimit);
                // A request that was not judged in time either times out or is rejected because the
                // queue is full.
                let late = matches!(reason, Reason::Timeout) && sent.unjudged;
                let early = early || late;
                let lacks = reason == Reason::ClientLimit && sent.holder.is_some();
                if lacks {
                    self.lacked += 1;
                    assert!(sent.answer_bytes() as u64 > self.memory_max, "{id}");
                }
                let of_answer = matches!(reason, Reason::ShuttingDown | Reason::BadReply) || lacks;
                assert!(!sent.answered || of_answer, "{id}: its answer was in time");
                if let Some(required_reason) = sent.required_reason.filter(|_| !early) {
                    assert_eq!(reason, required_reason, "{id}");
                }
                if matches!(reason, Reason::Timeout | Reason::NoWorker) {
                    let is_due = sent.deadline.is_some_and(|at| at <= self.now);
                    assert!(
                        is_due && !sent.answered,
                        "{id} timed out before its deadline"
                    );
                }
                sent.assert_is_named(&frames[frames.len() - 1]);
            }
        }
        fate
    }
}

impl Net {
    /// Records that a leaving worker receives BYE.
    fn bye(&mut self, peer: PeerId, body: Frames) -> Result<(), Frames> {
        assert_eq!(body, [b"BYE"]);
        let worker = &self.workers[&peer];
        assert_eq!(worker.farewell, Farewell::Sent);
        assert_eq!(
            worker.live(self, peer, false),
            0,
            "the worker holds a request"
        );
        if worker.full {
            return Err(body);
        }
        self.workers.get_mut(&peer).unwrap().farewell = Farewell::Received;
        Ok(())
    }

    /// Returns the id of the client's message that these frames answer, by envelope and headers.
    fn answered(&self, peer: PeerId, frames: &Frames, outcome: RequestOutcome) -> usize {
        let rejected = matches!(outcome, RequestOutcome::Rejected(..));
        let fits = |sent: &Sent| {
            let (envelope, body) = frames.split_at(sent.envelope.len().min(frames.len()));
            sent.client == peer && envelope == sent.envelope && sent.fits(body, rejected)
        };
        let all = (0..self.sent.len()).filter(|id| fits(&self.sent[*id]));
        let open = |id: &usize| !self.sent[*id].ended && !self.sent[*id].abandoned;
        all.max_by_key(open)
            .unwrap_or_else(|| panic!("{peer:?} got {outcome:?}, an answer to nothing: {frames:?}"))
    }

    /// Returns the lane and the id of a message that is judged.
    fn lane_of(&self, body: &Frames) -> (Lane, usize) {
        let id = id_in(body.last().expect("a payload"));
        let answers = [&b"REPLY"[..], b"ERROR"].contains(&&*body[0]);
        (self.sent[id].lane(answers), id)
    }

    /// Returns whether a message waits for a verdict, because its check takes long or an earlier
    /// message of its lane waits.
    fn is_deferred(&self, lane: &Lane, is_long: bool) -> bool {
        self.lanes.contains_key(lane) || (is_long && self.has_judges)
    }

    /// Returns the lane in which an answer waits for a verdict, or `None` if the answer need not
    /// wait. `checked` is true if the schema of replies applies to the answer.
    fn answer_lane(&self, id: usize, frames: &Frames, checked: bool) -> Option<Lane> {
        let sent = &self.sent[id];
        let lane = sent.lane(true);
        let is_long = checked && frames[frames.len() - 1].len() >= sent.judged_sizes.answer;
        self.is_deferred(&lane, is_long).then_some(lane)
    }

    /// Takes the first message out of a lane, and returns its id.
    fn leave_lane(&mut self, lane: &Lane) -> usize {
        let ids = self.lanes.get_mut(lane).expect("a lane");
        let id = ids.pop_front().expect("a message");
        if ids.is_empty() {
            self.lanes.remove(lane);
        }
        id
    }

    /// Asserts that every request has ended whose deadline has passed.
    fn assert_deadlines_are_kept(&self) {
        for (id, sent) in self.sent.iter().enumerate() {
            // An answer that arrived in time may still wait for its verdict after the deadline.
            let is_due = !sent.answered && sent.deadline.is_some_and(|at| at <= self.now);
            assert!(
                sent.ended || !is_due || !self.is_watched(sent),
                "{id} outlived its deadline"
            );
        }
    }

    /// Returns whether the model can observe the end of the request.
    fn is_watched(&self, sent: &Sent) -> bool {
        !sent.abandoned && self.clients.contains_key(&sent.client)
    }
}

impl Sent {
    /// Returns whether these frames, after the envelope, have the form of an answer to the request.
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

    /// Returns the size of the answer in bytes: type, headers and payload.
    fn answer_bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(Vec::len).sum();
        b"REPLY".len() + headers + self.reply.as_ref().map_or(0, Vec::len)
    }

    fn lane(&self, answers: bool) -> Lane {
        Lane {
            client: self.client,
            // A delimiter alone is treated like an empty envelope.
            envelope: match self.envelope.len() {
                0 | 1 => vec![],
                _ => self.envelope.clone(),
            },
            answers,
        }
    }

    fn is_open(&self) -> bool {
        !self.ended && !self.abandoned
    }
}

impl SimWorker {
    /// Returns two numbers of requests: how many the worker must hold before other requests may
    /// wait, and how many it may hold at most.
    fn capacity(&self, settings: &PoolSettings) -> (usize, usize) {
        match (self.kind, settings.per_worker) {
            _ if self.farewell != Farewell::NotSent => (0, 0),
            _ if self.is_shared => (usize::MAX, usize::MAX),
            (WorkerKind::Dealer, PerWorker::Auto) => match self.trust {
                Trust::Yes => (10, 1_000),
                // A worker that let a request time out need not receive another request before it
                // answers.
                Trust::Perhaps => (usize::from(self.inbox.is_empty()), 1_000),
                Trust::No => (usize::from(self.inbox.is_empty()), 1),
            },
            (WorkerKind::Dealer, PerWorker::Most(most)) => (most as usize, most as usize),
            (WorkerKind::Rep, _) => (1, 1),
        }
    }

    /// Returns the number of requests that the worker has not answered and may still hold. The
    /// model cannot observe the timeout of an orphan: a request that its client has abandoned, or
    /// whose client has disconnected. `orphans` is true if orphans count.
    fn live(&self, net: &Net, me: PeerId, orphans: bool) -> usize {
        let live = |id: usize| {
            let sent = &net.sent[id];
            let orphan = !net.is_watched(sent);
            let held = !sent.ended && !sent.answered;
            held && sent.holder == Some(me) && (orphans || !orphan)
        };
        self.inbox.iter().filter(|order| live(order.id)).count()
    }
}

impl World {
    fn new(seed: u64, trace: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let pools: Vec<_> = (0..POOLS).map(|n| Arc::new(pool(n, &mut rng))).collect();
        let framings: Vec<_> = (0..FRONTENDS).map(|_| framing(&mut rng)).collect();
        let judged_sizes = JudgedSizes::any(&mut rng);
        let snapshot = snapshot(&pools, &framings, judged_sizes, &mut rng);
        let (has_judges, can_pause) = (rng.u8(0..8) > 0, rng.bool());
        let first = rng.u64(1..1_000_000_000_000);
        let client_bytes = snapshot.limits.client_bytes;
        Self {
            rng,
            core: Core::new(Arc::clone(&snapshot)).numbering_from(first),
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
                client_bytes,
                memory_max: u64::MAX,
                lacked: 0,
                judged_sizes,
                cases: Vec::new(),
                lanes: BTreeMap::new(),
                has_judges,
                can_pause,
                paused: HashSet::new(),
                pauses: 0,
                judged: [0; 2],
                cheap: 0,
                snapshot,
                now: Duration::ZERO,
            },
            now: Duration::ZERO,
            next_peer: 0,
            is_shut_down: false,
        }
    }

    fn run(mut self) -> Self {
        for _ in 0..self.rng.usize(20..150) {
            match self.rng.u32(0..113) {
                0..8 => self.client_connects(),
                8..14 => self.worker_connects(),
                14..50 => self.client_sends(),
                50..78 => self.worker_sends(),
                78..81 => self.client_disconnects(),
                81..84 => self.worker_disconnects(),
                84..86 => self.worker_stalls(),
                86 => self.worker_sends_bye(),
                87 => self.reloads(),
                88..92 => self.client_reads(),
                92..101 => self.judge_decides(),
                101 => self.net.has_judges ^= true,
                110.. => self.memory_changes(),
                _ => self.time_passes(),
            }
        }
        self.shut_down();
        self
    }

    /// Makes memory short, or ends the shortage.
    fn memory_changes(&mut self) {
        self.net.memory_max = match self.rng.u8(0..10) {
            0 => self.rng.u64(5..1_500),
            // Nearly every answer is longer than these bounds.
            1 => self.rng.u64(5..12),
            _ => u64::MAX,
        };
    }

    fn on(&mut self, event: Event<Frames>) {
        self.apply(event);
        self.assert_nothing_waits_in_vain();
    }

    fn apply(&mut self, event: Event<Frames>) {
        if self.net.trace {
            println!("{:?} {event:?}", self.now);
        }
        self.net.now = self.now;
        self.core.on(self.now, event, &mut self.net);
        self.net.assert_deadlines_are_kept();
        let ledger = self.core.ledger();
        assert_eq!(ledger.received, ledger.ended() + self.core.in_flight());
        let is_empty = self.core.in_flight() == self.unread() && self.net.lanes.is_empty();
        assert!(
            !is_empty || self.core.memory() == 0,
            "{}",
            self.core.memory()
        );
    }

    /// Asserts that no request waits while a worker is free, and that no worker that may leave
    /// waits for BYE.
    fn assert_nothing_waits_in_vain(&self) {
        for (n, settings) in self.net.pools.iter().enumerate() {
            self.assert_no_request_waits_for_a_free_worker(PoolId(n), settings);
        }
        for (peer, worker) in &self.net.workers {
            let leaves = worker.farewell == Farewell::Sent && !worker.full && !self.is_shut_down;
            assert!(
                !leaves || worker.live(&self.net, *peer, true) > 0,
                "{peer:?} may leave"
            );
        }
    }

    fn assert_no_request_waits_for_a_free_worker(&self, pool: PoolId, settings: &PoolSettings) {
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
                // If the client has disconnected, the model does not know whether its request still
                // waits.
                let waits = waits && net.is_watched(sent) && !sent.unjudged;
                let Some(client) = net.clients.get(&sent.client).filter(|_| waits) else {
                    continue;
                };
                let bare = settings.identity == IdentityMode::Client;
                let has_same = |order: &Order| order.head[0] == client.identity;
                let has_same_client = bare && worker.inbox.iter().any(has_same);
                assert!(has_same_client, "{peer:?} is free, and {id} waits");
            }
        }
    }

    /// Returns the number of a new peer. Several peers at a time have the same low bits, by which
    /// the core finds a peer.
    fn peer(&mut self) -> PeerId {
        self.next_peer += 1;
        PeerId((self.next_peer << 20) | (self.next_peer % 4))
    }

    fn any<T>(&mut self, peers: &HashMap<PeerId, T>) -> Option<PeerId> {
        let mut peers: Vec<_> = peers.keys().copied().collect();
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

    fn client_connects(&mut self) {
        let peer = self.peer();
        let kind = if self.rng.bool() {
            ClientKind::Req
        } else {
            ClientKind::Dealer
        };
        // There are few identities, so that two clients often share one.
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
            has_sent: false,
            identity: identity.clone(),
            frontend,
            reads: reads[self.rng.usize(0..reads.len())],
            unread: Vec::new(),
            saved: RATE.interval * RATE.burst,
            saved_at: self.now,
        };
        self.net.clients.insert(peer, client);
        self.on(Event::ClientConnected {
            peer,
            frontend,
            kind,
            identity,
        });
    }

    fn worker_connects(&mut self) {
        let peer = self.peer();
        let pool = PoolId(self.rng.usize(0..POOLS));
        let kind = if self.rng.u8(0..3) == 0 {
            WorkerKind::Rep
        } else {
            WorkerKind::Dealer
        };
        let is_shared = self.rng.u8(0..8) == 0;
        let worker = SimWorker {
            pool,
            kind,
            is_shared,
            full: false,
            inbox: Vec::new(),
            trust: Trust::No,
            farewell: Farewell::NotSent,
        };
        self.net.workers.insert(peer, worker);
        self.on(Event::WorkerConnected {
            peer,
            pool,
            kind,
            headcount: if is_shared {
                Headcount::Unknown
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
        if self.net.can_pause && self.net.paused.contains(&peer) {
            return;
        }
        let client = self.net.clients.get_mut(&peer).unwrap();
        let (kind, frontend) = (client.kind, client.frontend);
        let framing = Arc::clone(&self.net.framings[frontend.0]);
        let mut others = self.net.sent.iter_mut().filter(|sent| sent.client == peer);
        if kind == ClientKind::Req {
            others.for_each(|sent| sent.abandoned |= !sent.ended);
        } else if framing.errors == ErrorFrames::Payload && others.any(|sent| sent.is_open()) {
            // Without headers, the client could not match a rejection to its request, so it waits.
            return;
        }
        let first = !std::mem::replace(&mut client.has_sent, true);
        let frames = self.any_envelope(kind, &framing);
        if self.rng.u8(0..20) == 0 {
            return self.client_sends_nonsense(peer, frames, &framing, first);
        }
        self.client_asks(peer, frames, framing);
    }

    /// Returns an envelope that a client of this kind may put before a message in this framing.
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

    /// Sends a message that is too malformed to carry an id.
    fn client_sends_nonsense(
        &mut self,
        peer: PeerId,
        mut frames: Frames,
        framing: &Framing,
        first: bool,
    ) {
        let kind = self.net.clients[&peer].kind;
        match (&framing.kind, framing.envelope) {
            // A single frame would be taken for the payload, so the message must have no frame.
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
        let id = self.net.sent.len();
        let envelope = frames.clone();
        let text = id.to_string().into_bytes();
        let mut headers = self.any_headers(peer, &text);
        if envelope.is_empty() && framing.kind.is_some() && headers.first() == Some(&vec![]) {
            // An empty first header would be taken for the delimiter.
            headers.remove(0);
        }
        let Content {
            kind,
            payload,
            mut required_reason,
        } = self.any_content(peer, &framing, text);
        let typed = framing.kind.is_none();
        let parts = frames.iter().chain(&headers).chain(&payload);
        let size = parts.map(Vec::len).sum::<usize>() + if typed { kind.len() } else { 0 };
        let later = [
            None,
            Some(Reason::SchemaViolation),
            Some(Reason::RuleFailed),
        ];
        if size as u64 > self.net.client_bytes && later.contains(&required_reason) {
            required_reason = Some(Reason::TooLarge);
        } else if size as u64 > self.net.memory_max && later.contains(&required_reason) {
            required_reason = Some(Reason::ClientLimit);
        }
        let pool = match &kind[..] {
            [b'P', n @ b'0'..=b'9'] => Some(PoolId(usize::from(n - b'0'))),
            b"only.one" | b"only.some" | b"seldom" => Some(PoolId(0)),
            _ => None,
        };
        let route = self.net.snapshot.routes.get(&kind);
        let timeout = route.and_then(|route| route.timeout);
        let sent = Sent {
            client: peer,
            envelope: envelope.clone(),
            kind: kind.clone(),
            framing,
            headers: headers.clone(),
            pool: pool.filter(|_| required_reason.is_none() && payload.is_some()),
            judged_sizes: self.net.judged_sizes,
            unjudged: false,
            answered: false,
            required_reason,
            holder: None,
            deadline: timeout.map(|timeout| self.now + timeout),
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
                self.client_sends_request(peer, id, frames);
            }
            None => self.on(Event::Oversize { peer, frames }),
        }
    }

    /// Sends a message that has an id, which may have to wait for a verdict.
    fn client_sends_request(&mut self, peer: PeerId, id: usize, frames: Frames) {
        let sent = &mut self.net.sent[id];
        let checked = matches!(&sent.kind[..], b"P2" | b"P3" | b"person" | b"ruled");
        let payload = &frames[frames.len() - 1];
        let costly = match *payload == cheap_field(id.to_string().as_bytes()) {
            true => payload.len() - CHEAP_BYTES,
            // If the data thread finds a violation in a large payload, a judge has to check it.
            false => payload.len(),
        };
        self.net.cheap += u64::from(
            costly < sent.judged_sizes.request && payload.len() >= sent.judged_sizes.request,
        );
        let is_long = costly >= sent.judged_sizes.request;
        // The data thread allows rules fewer steps than a judge does. If it cannot evaluate a rule,
        // a judge has to check the payload.
        let is_long = checked && (is_long || sent.required_reason == Some(Reason::RuleFailed));
        let lane = sent.lane(false);
        let deferred = self.net.is_deferred(&lane, is_long);
        self.net.sent[id].unjudged = deferred;
        if deferred {
            let ids = self.net.lanes.entry(lane.clone()).or_default();
            ids.push_back(id);
        }
        let before = self.judging();
        self.on(Event::Message { peer, frames });
        let waits = self.judging() > before;
        let sent = &mut self.net.sent[id];
        assert!(waits == deferred || sent.ended, "{id} waits: {waits}");
        if deferred && !waits {
            // The message was rejected for another reason.
            sent.unjudged = false;
            let ids = self.net.lanes.get_mut(&lane).unwrap();
            assert_eq!(ids.pop_back(), Some(id));
            if ids.is_empty() {
                self.net.lanes.remove(&lane);
            }
        }
    }

    /// Returns the number of messages that wait for a verdict on their own payload or on the
    /// payload of an earlier message.
    fn judging(&self) -> u64 {
        self.core.sample(&self.net).judging
    }

    /// Lets a random judge finish its check.
    fn judge_decides(&mut self) {
        if self.net.cases.is_empty() {
            return;
        }
        let any = self.rng.usize(0..self.net.cases.len());
        let case = self.net.cases.swap_remove(any);
        let (lane, id) = self.net.lane_of(case.body());
        self.net.judged[usize::from(lane.answers)] += 1;
        assert_eq!(self.net.leave_lane(&lane), id);
        let bad = |id: usize, net: &Net| net.sent[id].required_reason == Some(Reason::BadReply);
        if lane.answers && bad(id, &self.net) {
            self.lose_trust(id);
        }
        self.net.sent[id].unjudged = false;
        let before = self.judging();
        let verdict = Box::new(case.judge());
        self.apply(Event::Judged { verdict });
        let mut decided = vec![id];
        for _ in 1..before - self.judging() {
            decided.push(self.net.leave_lane(&lane));
        }
        for id in decided {
            let watched = self.net.is_watched(&self.net.sent[id]);
            let sent = &mut self.net.sent[id];
            sent.unjudged = false;
            if lane.answers {
                assert!(sent.ended || !watched, "{id}: its answer was not delivered");
                sent.ended = true;
                if bad(id, &self.net) {
                    self.lose_trust(id);
                }
            }
        }
        if let Some(ids) = self.net.lanes.get(&lane) {
            let mut with_judges = self
                .net
                .cases
                .iter()
                .map(|case| self.net.lane_of(case.body()));
            let first = (lane, ids[0]);
            assert!(with_judges.any(|case| case == first), "{first:?} waits");
        }
        self.assert_nothing_waits_in_vain();
    }

    /// Records that a worker's answer was wrong, if the worker is still connected.
    fn lose_trust(&mut self, id: usize) {
        let holder = self.net.sent[id].holder.unwrap();
        if let Some(worker) = self.net.workers.get_mut(&holder) {
            worker.trust = Trust::No;
        }
    }

    /// Returns the type and payload of a message. Most messages are valid. For the others, the
    /// reason for which they must be rejected is set.
    fn any_content(&mut self, client: PeerId, framing: &Framing, id: Vec<u8>) -> Content {
        let frontend = self.net.clients[&client].frontend;
        let may = self.net.clients[&client].identity != b"b";
        let number = b'0' + self.rng.u8(0..POOLS as u8);
        let sound = Content {
            kind: framing
                .kind
                .as_deref()
                .map_or(vec![b'P', number], <[u8]>::to_vec),
            payload: Some(id.clone()),
            required_reason: None,
        };
        match self.rng.u8(0..24) {
            // The frontend determines the type.
            0 | 2..=5 | 7..=13 if framing.kind.is_some() => sound,
            0 => Content {
                kind: b"nobody".to_vec(),
                required_reason: Some(Reason::UnknownType),
                ..sound
            },
            1 => Content {
                payload: Some(vec![b'x'; 1_001]),
                required_reason: Some(Reason::TooLarge),
                ..sound
            },
            2 => Content {
                kind: vec![b'P'; 256],
                required_reason: Some(Reason::Malformed),
                ..sound
            },
            3 => Content {
                kind: b"only.one".to_vec(),
                required_reason: (frontend != FrontendId(0)).then_some(Reason::NotAllowed),
                ..sound
            },
            4 => person([b"bad", &id[..]].concat(), Some(Reason::SchemaViolation)),
            12 => person(cheap_field(&id), None),
            // The string is not UTF-8.
            13 => person(
                [&cheap_field(&id)[..], b"\x0a\x01\xff"].concat(),
                Some(Reason::SchemaViolation),
            ),
            7 => Content {
                kind: b"only.some".to_vec(),
                required_reason: (!may).then_some(Reason::NotAllowed),
                ..sound
            },
            8..=11 => Content {
                kind: b"seldom".to_vec(),
                required_reason: (!self.is_within_rate(client)).then_some(Reason::RateLimited),
                ..sound
            },
            5 => Content {
                kind: b"ruled".to_vec(),
                // The id is in a field that the message does not have.
                payload: Some([&[0x12, id.len() as u8], &id[..]].concat()),
                required_reason: Some(Reason::RuleFailed),
            },
            6 => Content {
                payload: None,
                required_reason: Some(Reason::TooLarge),
                ..sound
            },
            _ => sound,
        }
    }

    /// Returns whether a client may use the route with a rate now. If so, counts this use.
    fn is_within_rate(&mut self, client: PeerId) -> bool {
        let client = self.net.clients.get_mut(&client).unwrap();
        let most = RATE.interval * RATE.burst;
        client.saved = most.min(client.saved + (self.now - client.saved_at));
        client.saved_at = self.now;
        let may = client.saved >= RATE.interval;
        if may {
            client.saved -= RATE.interval;
        }
        may
    }

    /// Returns headers for a client's message: the message's id, alone or with another header, or
    /// no headers.
    fn any_headers(&mut self, client: PeerId, id: &[u8]) -> Frames {
        let headerless = |sent: &Sent| sent.client == client && sent.headers.is_empty();
        let open = |sent: &Sent| !sent.ended && !sent.abandoned;
        let one = self
            .net
            .sent
            .iter()
            .any(|sent| headerless(sent) && open(sent));
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
            return self.worker_sends_unsolicited_message(peer);
        }
        let at = self.rng.usize(0..worker.inbox.len());
        let manner = self.rng.u8(0..25);
        let order = match manner {
            // The worker answers again later, with the same token.
            0 if is_token(&worker.inbox[at].head) => worker.inbox[at].clone(),
            _ => worker.inbox.remove(at),
        };
        let Order { head, id, form } = order.clone();
        let sent = &mut self.net.sent[id];
        let is_expected = !sent.ended && !sent.answered && sent.holder == Some(peer);
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
            3 if is_expected => return self.thief_answers(peer, frames, order),
            4 if typed => {
                if is_expected {
                    sent.failed = true;
                    // An ERROR is forwarded unchanged, whatever the schema of replies requires.
                    sent.reply = Some(text.clone().into_bytes());
                }
                frames[head.len()] = b"ERROR".to_vec();
                frames[last] = text.into_bytes();
            }
            6 => {
                let required = is_expected.then_some(Reason::BadReply);
                sent.required_reason = sent.required_reason.or(required);
                frames[last] = [b"\xff", id.to_string().as_bytes()].concat();
            }
            5 => {
                self.expect_trust(peer, id, is_expected, Trust::No);
                return self.worker_sends_too_much(peer, id, is_expected, head);
            }
            // The first answer counts, even while it waits for a verdict.
            _ if is_expected => sent.reply = Some(payload),
            _ => {}
        }
        let whole = !matches!(manner, 1 | 2);
        let checked = !(manner == 4 && typed);
        let lane = self.net.answer_lane(id, &frames, checked);
        let lane = lane.filter(|_| is_expected && whole);
        let fits = whole && (manner != 6 || lane.is_some());
        let trust = if fits { Trust::Yes } else { Trust::No };
        self.expect_trust(peer, id, is_expected, trust);
        let waits = self.worker_sends_answer(peer, id, frames, lane);
        let sent = &self.net.sent[id];
        let delivered = sent.ended || waits || !self.net.is_watched(sent);
        assert!(!is_expected || delivered, "{id}: not delivered");
        self.net.sent[id].ended |= !waits && !self.net.sent[id].answered;
    }

    /// Sends an answer that exceeds a limit while it arrives.
    fn worker_sends_too_much(
        &mut self,
        peer: PeerId,
        id: usize,
        is_expected: bool,
        head: Vec<Vec<u8>>,
    ) {
        self.on(Event::Oversize { peer, frames: head });
        let sent = &self.net.sent[id];
        assert!(!is_expected || sent.ended || !self.net.is_watched(sent));
    }

    /// Sends an answer, which must wait for a verdict if `lane` is given. Returns whether the
    /// answer waits.
    fn worker_sends_answer(
        &mut self,
        peer: PeerId,
        id: usize,
        frames: Frames,
        lane: Option<Lane>,
    ) -> bool {
        if let Some(lane) = &lane {
            let ids = self.net.lanes.entry(lane.clone()).or_default();
            ids.push_back(id);
            // The worker may receive another request at once.
            self.net.sent[id].answered = true;
        }
        let before = self.judging();
        self.on(Event::Message { peer, frames });
        let waits = self.judging() > before;
        let Some(lane) = lane else {
            assert!(!waits, "{id} is checked at once");
            return false;
        };
        if !waits {
            // The client has disconnected, so the model could not observe that the request had
            // ended.
            self.net.sent[id].answered = false;
            assert!(!self.net.is_watched(&self.net.sent[id]), "{id} waits");
            let ids = self.net.lanes.get_mut(&lane).unwrap();
            assert_eq!(ids.pop_back(), Some(id));
            if ids.is_empty() {
                self.net.lanes.remove(&lane);
            }
        }
        waits
    }

    /// Sends a message from a worker that has no request to answer.
    fn worker_sends_unsolicited_message(&mut self, peer: PeerId) {
        let heads = [&b"a#1"[..], b"#7", b"zzz", b""];
        let head = heads[self.rng.usize(0..4)];
        let worker = self.net.workers.get_mut(&peer).unwrap();
        // A name in the form of a token may be taken for a late answer.
        if !head.contains(&b'#') {
            worker.trust = Trust::No;
        } else if worker.trust == Trust::Yes {
            worker.trust = Trust::Perhaps;
        }
        let frames = vec![head.to_vec(), vec![], b"R".to_vec()];
        self.on(Event::Message { peer, frames });
    }

    /// Records the trust in a worker that is about to answer the request `id`. The trust is `trust`
    /// if the worker certainly holds the request.
    fn expect_trust(&mut self, peer: PeerId, id: usize, is_expected: bool, trust: Trust) {
        let held_for_sure = is_expected && self.net.is_watched(&self.net.sent[id]);
        let worker = self.net.workers.get_mut(&peer).unwrap();
        let paced = self.net.pools[worker.pool.0].per_worker == PerWorker::Auto;
        worker.trust = match (held_for_sure, worker.trust) {
            _ if !paced => Trust::No,
            (true, _) => trust,
            // A late answer does not reduce the trust.
            (false, Trust::Yes) if trust == Trust::Yes => Trust::Yes,
            (false, _) => Trust::Perhaps,
        };
    }

    /// Sends an answer with the holder's token from another worker. The core must ignore the
    /// answer.
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

    /// Reloads with other settings for some pools and framings for some frontends.
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
        self.net.judged_sizes = JudgedSizes::any(&mut self.rng);
        let judged_sizes = self.net.judged_sizes;
        let snapshot = snapshot(
            &self.net.pools,
            &self.net.framings,
            judged_sizes,
            &mut self.rng,
        );
        self.net.client_bytes = snapshot.limits.client_bytes;
        self.net.snapshot = Arc::clone(&snapshot);
        self.on(Event::Reload { snapshot });
        self.assert_sample_agrees();
    }

    /// Asserts that the counters in a sample agree with the ledger and with the current state.
    fn assert_sample_agrees(&self) {
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
            let (whole, queue, worker) = (route.latency(), route.queue_time(), route.worker_time());
            let timed = |times: &Latency| times.buckets.iter().sum::<u64>();
            assert!(timed(&whole) >= route.answered, "{route:?}");
            assert_eq!(
                [timed(&queue), timed(&worker)],
                [timed(&whole); 2],
                "{route:?}"
            );
            assert_eq!(queue.sum_ns + worker.sum_ns, whole.sum_ns, "{route:?}");
        }
        let in_lanes: usize = self.net.lanes.values().map(VecDeque::len).sum();
        assert_eq!(sample.judging, in_lanes as u64);
        let sum: u64 = sample.routes.iter().map(in_flight).sum();
        assert_eq!(sum, sample.in_flight);
        let queued: u64 = sample.pools.iter().map(|pool| pool.queue_bytes).sum();
        let open: u64 = sample.routes.iter().map(|route| route.open).sum();
        assert!(self.core.memory() >= queued + open);
        for (n, pool) in sample.pools.iter().enumerate() {
            assert_eq!(pool.queue, self.core.waiting(PoolId(n)));
            let (queued_or_held, id) = (pool.queue + pool.held > 0, PoolId(n));
            let mut sent = self.net.sent.iter();
            let unjudged = sent.any(|sent| {
                sent.unjudged && !sent.ended && sent.pool == Some(id) && self.net.is_watched(sent)
            });
            // Judges may check messages of clients that have disconnected, whose requests the model
            // does not observe.
            let may_be_busy = queued_or_held || sample.judging > 0;
            let busy = !self.core.is_idle(id);
            assert!(busy || !(queued_or_held || unjudged), "{id:?} is not idle");
            assert!(!busy || may_be_busy, "{id:?} is idle");
        }
        let timed = |route: &RouteCounters| route.latency().buckets.iter().sum::<u64>();
        let timed: u64 = sample.routes.iter().map(timed).sum();
        let by_workers =
            sample.ledger.answered + sample.ledger.client_gone + sample.ledger.client_slow;
        assert!(timed <= by_workers + sample.ledger.unsettled);
        let clients: u64 = sample.clients.iter().map(|gauges| gauges.connected).sum();
        assert_eq!(clients, self.net.clients.len() as u64);
        let workers: usize = sample.pools.iter().map(|pool| pool.workers).sum();
        assert_eq!(workers, self.net.workers.len());
    }

    fn client_disconnects(&mut self) {
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
        self.on(Event::Disconnected { peer });
    }

    fn worker_disconnects(&mut self) {
        let Some(peer) = self.any_worker() else {
            return;
        };
        self.net.workers.remove(&peer);
        self.on(Event::Disconnected { peer });
        for (id, sent) in self.net.sent.iter().enumerate() {
            let gone = !self.net.is_watched(sent);
            assert!(
                sent.ended || sent.answered || gone || sent.holder != Some(peer),
                "{id}: worker_lost at once"
            );
        }
    }

    /// Sends BYE from a worker. From a REP, or on a connection that hides several workers, BYE is
    /// an error.
    fn worker_sends_bye(&mut self) {
        let Some(peer) = self.any_worker() else {
            return;
        };
        let worker = self.net.workers.get_mut(&peer).unwrap();
        if worker.is_shared || worker.kind == WorkerKind::Rep {
            worker.trust = Trust::No;
        } else {
            worker.farewell = Farewell::Sent;
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
            (_, 3) => self.now + STEP_PAST_DEADLINES,
            _ => self.now + Duration::from_millis(self.rng.u64(0..200)),
        };
        self.on(Event::Tick);
    }

    fn shut_down(&mut self) {
        let deadline = self.now + Duration::from_secs(1);
        self.on(Event::Drain { deadline });
        for _ in 0..self.rng.usize(0..20) {
            match self.rng.u8(0..3) {
                0 => self.worker_sends(),
                1 => self.judge_decides(),
                _ => self.client_sends(),
            }
        }
        self.now = deadline;
        self.is_shut_down = true;
        self.on(Event::Tick);
        // No client waits for an answer to the messages that judges still have.
        assert_eq!(self.core.in_flight(), self.unread());
        while !self.net.cases.is_empty() {
            self.judge_decides();
        }
        assert!(self.net.lanes.is_empty() && self.net.paused.is_empty());
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
            self.on(Event::Disconnected { peer });
            for sent in self.net.sent.iter().filter(|sent| sent.client == peer) {
                assert!(sent.ended || sent.abandoned, "left without an answer");
            }
        }
        assert!(self.core.is_drained());
        assert_eq!(self.core.in_flight(), 0);
        self.assert_sample_agrees();
        let ledger = self.core.ledger();
        assert_eq!(
            ledger.received,
            self.net.sent.len() as u64 + self.nameless_sent()
        );
        for pool in 0..POOLS {
            assert_eq!(self.core.waiting(PoolId(pool)), 0);
        }
    }

    /// Returns the number of answers that clients have not read.
    fn unread(&self) -> u64 {
        let unread = self.net.clients.values().map(|client| client.unread.len());
        unread.sum::<usize>() as u64
    }

    fn nameless_sent(&self) -> u64 {
        self.net.nameless
    }
}

fn snapshot(
    pools: &[Arc<PoolSettings>],
    framings: &[Arc<Framing>],
    judged_sizes: JudgedSizes,
    rng: &mut Rng,
) -> Arc<Snapshot> {
    let mut names = Names::default();
    Arc::new(Snapshot {
        generation: 1,
        engine: EngineKind::Libzmq,
        frontends: frontends(framings),
        pools: numbered(pools),
        channels: BTreeMap::new(),
        definitions: Default::default(),
        protos: BTreeMap::new(),
        admin: None,
        reload: ReloadSettings {
            watch: false,
            settle: Duration::ZERO,
        },
        routes: routes(&mut names, judged_sizes, rng),
        names,
        limits: Limits {
            message: 1_000,
            frames: 7,
            depth: 10,
            rules: 1_000,
            rules_cost: 1_000_000,
            clients: rng.usize(3..8),
            client_requests: rng.u32(3..30),
            client_bytes: rng.u64(200..3_000),
            memory: MemoryLimit::default(),
        },
        grace: Duration::from_secs(1),
        log: LogSettings::default(),
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
        security: None,
    }
}

/// Returns a framing. Half of the framings are the default, in which clients send a type frame.
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
        security: None,
    }
}

fn routes(names: &mut Names, judged_sizes: JudgedSizes, rng: &mut Rng) -> RouteTable<Route> {
    let mut routes = Vec::new();
    let mut add = |name: &str, pool: usize, access: Option<Access>| {
        let timeouts = [None, Some(100), Some(500), Some(5_000)];
        let timeout = timeouts[rng.usize(0..4)].map(Duration::from_millis);
        let route = Route {
            id: names.route(name),
            name: name.into(),
            kind: (!name.ends_with('*')).then(|| name.into()),
            schema: schema(name).map(|schema| schema.with_judged_from(judged_sizes.request)),
            // The workers write the second encoding.
            reply: Some(
                any_of("P", &[Encoding::Msgpack, Encoding::Protobuf])
                    .with_judged_from(judged_sizes.answer),
            ),
            target: Target::Pool(PoolId(pool)),
            timeout,
            access: access.map(Box::new),
        };
        let pattern = match name.strip_suffix('*') {
            Some(prefix) => TypePattern::Prefix(prefix.as_bytes().into()),
            None => TypePattern::Exact(name.as_bytes().into()),
        };
        routes.push((pattern, Arc::new(route)));
    };
    for pool in 0..POOLS {
        let pattern = if pool == 0 { "*" } else { "" };
        add(&format!("P{pool}{pattern}"), pool, None);
    }
    let one = Access {
        frontends: Some(vec![FrontendId(0)]),
        allow: None,
        rate: None,
    };
    add("only.one", 0, Some(one));
    let some = Access {
        frontends: None,
        allow: Some(vec![
            Allowed::Exact("a".into()),
            Allowed::Prefix("BY".into()),
        ]),
        rate: None,
    };
    add("only.some", 0, Some(some));
    let seldom = Access {
        frontends: None,
        allow: None,
        rate: Some(RATE),
    };
    add("seldom", 0, Some(seldom));
    add("person", 1, None);
    add("ruled", 1, None);

    // After each reload, the routes are in another order.
    rng.shuffle(&mut routes);
    RouteTable::new(routes)
}

/// The messages of the schemas. The rule of `Ruled` cannot be evaluated for an empty payload.
const PROTO: &str = r#"
syntax = "proto3";
import "buf/validate/validate.proto";
import "google/protobuf/struct.proto";
message P { string x = 1; google.protobuf.Value v = 2; bytes cheap = 3; }
message Ruled {
  option (buf.validate.message).cel = { id: "n", message: "n", expression: "1 / this.n > 0" };
  int32 n = 1;
}
"#;

const RULES_LIMITS: RuleLimits = RuleLimits {
    bytes: 1_000,
    steps: 1_000_000,
};

/// Returns the schema of a route, if it has one. Some schemas accept any JSON, such as an id.
fn schema(route: &str) -> Option<AnyOf> {
    match route {
        "person" => Some(any_of("P", &[Encoding::Protobuf])),
        "ruled" => Some(any_of("Ruled", &[Encoding::Protobuf])),
        "P2" | "P3" => Some(any_of("google.protobuf.Value", &[Encoding::Json])),
        _ => None,
    }
}

pub(crate) fn any_of(message: &str, encodings: &[Encoding]) -> AnyOf {
    // The table and the rule set are built once, because there are thousands of schedules.
    static COMPILED: LazyLock<(Arc<gateway_schema::Table>, Arc<RuleSet>)> = LazyLock::new(|| {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("p.proto"), PROTO).unwrap();
        let mut found = Diagnostics::new();
        let roots = [directory.path().to_owned()];
        let made = gateway_proto::compile(&roots, Compiler::Builtin, &mut found);
        let made = made.expect("compiles");
        let table = Arc::new(gateway_schema::Table::build(made.files()).unwrap());
        let rule_set = RuleSet::build(&made, &table, &["Ruled"], &mut found).expect("rules");
        (table, Arc::new(rule_set))
    });
    let (table, rule_set) = &*COMPILED;
    let root = table.message(message).unwrap();
    let mut schemas = encodings.iter().map(|encoding| {
        let mut schema = Schema::new(*encoding, Arc::clone(table), root, Options::default());
        if message == "Ruled" {
            assert!(schema.enforce(rule_set, RULES_LIMITS));
        }
        schema
    });
    AnyOf::new(schemas.next().unwrap(), schemas.collect())
}
