//! The measured cases. Each case sets up once and then repeats one operation.

use std::hint::black_box;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use gateway::config;
use gateway::core::{Core, Event, Outlet};
use gateway::engine::native::outbox::Outbox;
use gateway::ledger::{Fate, RequestOutcome};
use gateway::peer::{ClientKind, Headcount, PeerId, WorkerKind};
use gateway::snapshot::{FrontendId, PoolId, RouteId, Snapshot};
use gateway_zmtp::MORE;
use gateway_zmtp::bytes::Input;
use gateway_zmtp::decoder::{Bounds, Decoder, Item};
use gateway_zmtp::message::Message;
use gateway_zmtp::pool::BufferPool;

use crate::inputs::{BURST, FIELDS, FIELDS_JSON, FIELDS_MSGPACK, PERSON, RULED_PROTO};
use crate::whole;

pub const NAMES: [&str; 19] = [
    "all: from read to write and back",
    "all: where a request waits",
    "core: a request and its answer",
    "core: a request that waits",
    "core: a request that waits, four clients",
    "check: protobuf, 60 B",
    "check: messagepack, 60 B",
    "check: json, 90 B",
    "codec: a message in",
    "codec: a message out",
    "rules: none, protobuf, ten fields",
    "rules: ten, protobuf, ten fields",
    "rules: none, json, ten fields",
    "rules: ten, json, ten fields",
    "rules: none, messagepack, ten fields",
    "rules: ten, messagepack, ten fields",
    "rules: three comparisons in CEL, protobuf",
    "rules: three comparisons in CEL, json",
    "rules: three comparisons in CEL, messagepack",
];

const PROTO: &str = r#"
    syntax = "proto3";
    package bench;
    message Person { int32 id = 1; string name = 2; string email = 3; repeated int32 scores = 4; }
"#;

const ROUTES: &str = r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools:
  people: { bind: "tcp://127.0.0.1:0", per_worker: 4 }
  roomy: { bind: "tcp://127.0.0.1:0", per_worker: 1000 }
routes:
  AT_ONCE: { schema: bench.Person, pool: roomy }
  PROTOBUF: { schema: bench.Person, pool: people }
  MSGPACK: { schema: { msgpack: bench.Person }, pool: people }
  JSON: { schema: { json: bench.Person }, pool: people }
  FIELDS: { schema: ruled.Fields, pool: people }
  RULES: { schema: ruled.Rules, pool: people }
  CEL: { schema: ruled.Cel, pool: people }
  FIELDS_JSON: { schema: { json: ruled.Fields }, pool: people }
  RULES_JSON: { schema: { json: ruled.Rules }, pool: people }
  CEL_JSON: { schema: { json: ruled.Cel }, pool: people }
  CEL_MSGPACK: { schema: { msgpack: ruled.Cel }, pool: people }
  FIELDS_MSGPACK: { schema: { msgpack: ruled.Fields }, pool: people }
  RULES_MSGPACK: { schema: { msgpack: ruled.Rules }, pool: people }
"#;

const PERSON_MSGPACK: &[u8] =
    b"\x84\xa2id\xcd\x30\x39\xa4name\xacAda Lovelace\xa5email\xafada@example.org\
    \xa6scores\x94\x01\x14\xcd\x01\x2c\xcd\x0f\xa0";

const PERSON_JSON: &[u8] =
    br#"{"id":12345,"name":"Ada Lovelace","email":"ada@example.org","scores":[1,20,300,4000]}"#;

const BOUNDS: Bounds = Bounds {
    bytes: 1 << 20,
    frames: 16,
};

/// Runs the operation of a case `rounds` times.
pub fn run(case: &str, rounds: u64) {
    let snapshot = snapshot();
    match case {
        "all: from read to write and back" => whole::round_trips(snapshot, rounds, b"AT_ONCE"),
        "all: where a request waits" => whole::round_trips(snapshot, rounds, b"PROTOBUF"),
        "core: a request and its answer" => round_trips(snapshot, rounds, &[1], 1),
        "core: a request that waits" => round_trips(snapshot, rounds, &[1], 16),
        "core: a request that waits, four clients" => {
            round_trips(snapshot, rounds, &[1, 4, 5, 6], 16);
        }
        "check: protobuf, 60 B" => check(&snapshot, b"PROTOBUF", PERSON, rounds),
        "check: messagepack, 60 B" => check(&snapshot, b"MSGPACK", PERSON_MSGPACK, rounds),
        "check: json, 90 B" => check(&snapshot, b"JSON", PERSON_JSON, rounds),
        "codec: a message in" => messages_in(rounds),
        "codec: a message out" => messages_out(rounds),
        "rules: none, protobuf, ten fields" => check(&snapshot, b"FIELDS", FIELDS, rounds),
        "rules: ten, protobuf, ten fields" => check(&snapshot, b"RULES", FIELDS, rounds),
        "rules: none, json, ten fields" => check(&snapshot, b"FIELDS_JSON", FIELDS_JSON, rounds),
        "rules: ten, json, ten fields" => check(&snapshot, b"RULES_JSON", FIELDS_JSON, rounds),
        "rules: none, messagepack, ten fields" => {
            check(&snapshot, b"FIELDS_MSGPACK", FIELDS_MSGPACK, rounds);
        }
        "rules: ten, messagepack, ten fields" => {
            check(&snapshot, b"RULES_MSGPACK", FIELDS_MSGPACK, rounds);
        }
        "rules: three comparisons in CEL, protobuf" => check(&snapshot, b"CEL", FIELDS, rounds),
        "rules: three comparisons in CEL, json" => {
            check(&snapshot, b"CEL_JSON", FIELDS_JSON, rounds);
        }
        "rules: three comparisons in CEL, messagepack" => {
            check(&snapshot, b"CEL_MSGPACK", FIELDS_MSGPACK, rounds);
        }
        other => panic!("no case {other}"),
    }
}

fn snapshot() -> Arc<Snapshot> {
    let directory = tempfile::tempdir().expect("a directory");
    let schemas = directory.path().join("schemas");
    std::fs::create_dir(&schemas).expect("a directory");
    std::fs::write(schemas.join("person.proto"), PROTO).expect("a file");
    std::fs::write(schemas.join("ruled.proto"), RULED_PROTO).expect("a file");
    let routes = directory.path().join("routes.yaml");
    std::fs::write(&routes, ROUTES).expect("a file");
    let loaded = config::load(&routes).unwrap_or_else(|found| panic!("{found}"));
    Arc::new(loaded.snapshot)
}

/// Decodes a client's messages, [`BURST`] of them in each read.
fn messages_in(rounds: u64) {
    let mut bytes = Vec::new();
    for _ in 0..BURST {
        gateway_zmtp::put_frame(&mut bytes, MORE, b"PROTOBUF");
        gateway_zmtp::put_frame(&mut bytes, 0, PERSON);
    }
    let (mut decoder, mut buffers) = (Decoder::default(), BufferPool::default());
    for _ in 0..rounds / BURST {
        let read = |into: &mut [u8]| {
            into[..bytes.len()].copy_from_slice(&bytes);
            Ok::<_, ()>(bytes.len())
        };
        let mut input = buffers.fill(read).expect("the bytes are read");
        let mut decoded = 0;
        while let Some(item) = decoder
            .next(&mut input, BOUNDS, &mut buffers)
            .expect("ZMTP")
        {
            let Item::Message(message) = item else {
                panic!("{item:?}");
            };
            buffers.recycle(black_box(message));
            decoded += 1;
        }
        buffers.give_back(input);
        assert_eq!(decoded, BURST);
    }
}

/// Returns a message of `frames` that the decoder has built, as it builds a received message.
fn received(frames: &[&[u8]]) -> Message {
    let mut bytes = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        let more = if n + 1 < frames.len() { MORE } else { 0 };
        gateway_zmtp::put_frame(&mut bytes, more, frame);
    }
    let (mut decoder, mut input) = (Decoder::default(), Input::from(bytes));
    match decoder.next(&mut input, BOUNDS, &mut BufferPool::default()) {
        Ok(Some(Item::Message(message))) => message,
        other => panic!("{other:?}"),
    }
}

/// Encodes a client's answers, [`BURST`] of them in each write.
fn messages_out(rounds: u64) {
    let (mut outbox, mut buffers) = (Outbox::default(), BufferPool::default());
    let message = received(&[b"REPLY", PERSON]);
    for _ in 0..rounds / BURST {
        for _ in 0..BURST {
            outbox.push_message(&mut buffers, &[], black_box(&message));
            outbox.mark(RequestOutcome::Answered(RouteId::NONE));
        }
        let write = |slices: &[IoSlice<'_>]| Ok(slices.iter().map(|slice| slice.len()).sum());
        assert!(
            outbox
                .write(&mut buffers, write)
                .expect("the bytes are written")
        );
        while black_box(outbox.next_written()).is_some() {}
    }
}

fn check(snapshot: &Snapshot, kind: &[u8], payload: &[u8], rounds: u64) {
    let route = snapshot.routes.get(kind).expect("a route");
    let schema = route.schema.as_ref().expect("a schema");
    for _ in 0..rounds {
        assert!(schema.check(black_box(payload), 100).is_ok());
    }
}

/// An outlet that accepts everything, and keeps the tokens with which the workers answer.
#[derive(Default)]
struct Taker {
    buffers: BufferPool,
    /// The unanswered requests: the worker, the token, and the token's length in bytes.
    unanswered: Vec<(PeerId, [u8; TOKEN_MAX], usize)>,
    answered: u64,
}

/// The maximum length of a token, in bytes.
const TOKEN_MAX: usize = 32;

impl Outlet<Message> for Taker {
    fn to_worker(&mut self, worker: PeerId, head: &[&[u8]], body: Message) -> Result<(), Message> {
        let mut token = [0; TOKEN_MAX];
        token[..head[0].len()].copy_from_slice(head[0]);
        self.unanswered.push((worker, token, head[0].len()));
        self.buffers.recycle(body);
        Ok(())
    }

    fn to_client(&mut self, _: PeerId, _: &[&[u8]], body: Message, _: RequestOutcome) -> Fate {
        self.answered += 1;
        self.buffers.recycle(body);
        Fate::Delivered
    }
}

/// Runs requests of `clients`, `at_once` requests at a time, and their answers by two workers.
fn round_trips(snapshot: Arc<Snapshot>, rounds: u64, clients: &[u64], at_once: u64) {
    let mut core = Core::new(snapshot);
    let mut taker = Taker::default();
    for client in clients {
        let connected = Event::ClientConnected {
            peer: PeerId(*client),
            frontend: FrontendId(0),
            kind: ClientKind::Dealer,
            identity: b"client".to_vec(),
        };
        core.on(Duration::ZERO, connected, &mut taker);
    }
    for worker in [2, 3] {
        let connected = Event::WorkerConnected {
            peer: PeerId(worker),
            pool: PoolId(0),
            kind: WorkerKind::Dealer,
            headcount: Headcount::One,
            name: Arc::default(),
        };
        core.on(Duration::ZERO, connected, &mut taker);
    }
    let request = received(&[b"PROTOBUF", PERSON]);
    let mut answer = Vec::new();
    gateway_zmtp::put_frame(&mut answer, MORE, b"REPLY");
    gateway_zmtp::put_frame(&mut answer, 0, PERSON);
    let mut decoder = Decoder::default();
    for round in 0..rounds / at_once {
        let now = Duration::from_micros(round);
        for client in clients.iter().cycle().take(at_once as usize) {
            let (peer, frames) = (PeerId(*client), request.clone());
            core.on(now, Event::Message { peer, frames }, &mut taker);
        }
        while let Some((peer, token, length)) = taker.unanswered.pop() {
            // Like the engine, this reads into memory that is reused.
            let read = |into: &mut [u8]| {
                into[..2].copy_from_slice(&[MORE, length as u8]);
                into[2..][..TOKEN_MAX].copy_from_slice(&token);
                into[2 + length..][..answer.len()].copy_from_slice(&answer);
                Ok::<_, ()>(2 + length + answer.len())
            };
            let mut input = taker.buffers.fill(read).expect("the bytes are read");
            let item = decoder.next(&mut input, BOUNDS, &mut taker.buffers);
            let Ok(Some(Item::Message(frames))) = item else {
                panic!("{item:?}");
            };
            taker.buffers.give_back(input);
            core.on(now, Event::Message { peer, frames }, &mut taker);
        }
    }
    assert_eq!(taker.answered, rounds / at_once * at_once);
}
