//! Tests of a client that sends the payloads that take longest to check, together with an honest
//! client. The histogram of the data thread's turns shows that no such payload is checked on that
//! thread. The gateway stops reading from the first client for a while, but answers its heartbeats.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::attack::{CLIENTS, IDLE, Service};
use crate::support::process::Process;
use crate::support::sockets::{SetOnDrop, reason_or_type, receive, send, texts};
use crate::support::turns;

/// The size of a payload, in bytes. On the data thread, the check of most payloads of this size
/// would take longer than [`TURN_MAX`] in an unoptimised build.
const PAYLOAD_BYTES: usize = 8 << 20;

/// The maximum time of a turn, in seconds, on a busy machine and in an unoptimised build. `time.sh`
/// sets another maximum.
const TURN_MAX: &str = "0.25";

const HEAVY: &str = r#"
syntax = "proto3";
package heavy;
import "buf/validate/validate.proto";
message Heavy {
  Heavy one = 1;
  repeated Heavy many = 2;
  map<string, int32> map = 3;
  repeated int32 list = 4;
}
message Looped {
  option (buf.validate.message).cel = {
    id: "loop", message: "loop", expression: "this.list.all(a, this.list.all(b, a + b < 100))"
  };
  repeated int32 list = 1;
}
"#;

/// The number of pairs of payloads, sent in a row, whose message has rules with loops.
const LOOPED: usize = 8;

/// The number of wrong payloads that one client sends in a row. Together they exceed
/// `limits.client_bytes`: if the gateway continued to read while it checks the first payloads, it
/// would reject some of the later ones for this reason.
const WRONG: usize = 16;

/// The interval of the flooding client's heartbeats.
const HEARTBEAT_MS: i32 = 100;
/// The time after which a heartbeat has failed. In an unoptimised build, the check of a single
/// payload takes longer.
const HEARTBEAT_TIMEOUT_MS: i32 = 300;

const YAML: &str = r#"
engine: native
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools:
  people: { bind: "tcp://127.0.0.1:0" }
  idle: { bind: "tcp://127.0.0.1:0", timeout: 10m }
routes: { OPAQUE: { pool: people }, OTHER: { pool: idle } }
admin: { bind: "127.0.0.1:0" }
"#;

const ROUTES: &str = r#"  PROTOBUF: { schema: heavy.Heavy, pool: idle }
  JSON: { schema: { json: heavy.Heavy }, pool: idle }
  MSGPACK: { schema: { msgpack: heavy.Heavy }, pool: idle }
  ALL: { schema: { json: heavy.Heavy, all_violations: true }, pool: idle }
  LOOPED: { schema: heavy.Looped, pool: idle }
  ANSWER: { reply: { json: heavy.Heavy }, pool: idle }
"#;

/// The number of levels of nested messages, of two bytes each. With more levels, a length would
/// take more than one byte.
const LEVELS: usize = 60;

/// A message, and the type of its answer or the reason of its rejection.
pub(super) struct Attack {
    pub(super) kind: &'static str,
    pub(super) payload: Vec<u8>,
    outcome: &'static str,
}

pub(super) fn attacks() -> Vec<Attack> {
    let attack = |kind, payload, outcome| Attack {
        kind,
        payload,
        outcome,
    };
    let mut deep = Vec::new();
    for _ in 0..LEVELS {
        deep.splice(..0, [0x0a, deep.len() as u8]);
    }
    deep.splice(..0, [0x12, deep.len() as u8]);
    let json = |open: &str, element: &dyn Fn(usize) -> String, close: &str| {
        let mut text = open.to_owned();
        for n in 0.. {
            text += &element(n);
            if text.len() >= PAYLOAD_BYTES {
                break;
            }
            text.push(',');
        }
        (text + close).into_bytes()
    };
    let keys = json("{\"map\":{", &|n| format!("\"{n:x}\":1"), "}}");
    let wrong = json("{\"list\":[", &|_| "\"x\"".to_owned(), "]}");
    let mut packed = vec![0x81, 0xa4];
    packed.extend(b"many\xdd");
    packed.extend((PAYLOAD_BYTES as u32).to_be_bytes());
    packed.resize(packed.len() + PAYLOAD_BYTES, 0x80);
    let looped = |elements: usize| {
        let mut payload = vec![0x0a, elements as u8 | 0x80, (elements >> 7) as u8];
        payload.resize(payload.len() + elements, 0);
        payload
    };
    let mut attacks = vec![
        attack("PROTOBUF", deep.repeat(PAYLOAD_BYTES / deep.len()), "REPLY"),
        attack("JSON", keys.clone(), "REPLY"),
        attack("JSON", keys[..keys.len() - 1].to_vec(), "schema_violation"),
        attack("MSGPACK", packed, "REPLY"),
        attack("ALL", wrong, "schema_violation"),
        attack("ANSWER", keys, "REPLY"),
    ];
    for _ in 0..LOOPED {
        // The rules of the first payload take as many steps as `limits.rules_cost` allows. The
        // rules of the second payload take more steps.
        attacks.push(attack("LOOPED", looped(300), "REPLY"));
        attacks.push(attack("LOOPED", looped(2_000), "rule_failed"));
    }
    attacks
}

/// Sends each attack once, and asserts that each attack has the expected outcome. Returns the
/// number of answers. `round` makes the address of the monitor unique.
fn flood(process: &Process, context: &zmq::Context, round: usize) -> usize {
    let client = context.socket(zmq::DEALER).unwrap();
    client.set_heartbeat_ivl(HEARTBEAT_MS).unwrap();
    client.set_heartbeat_timeout(HEARTBEAT_TIMEOUT_MS).unwrap();
    client.set_rcvtimeo(300_000).unwrap();
    let monitor = disconnections(context, &client, round);
    client.connect(&process.endpoint(CLIENTS)).unwrap();
    let attacks = attacks();
    for attack in &attacks {
        send(
            &client,
            &[
                attack.kind.as_bytes(),
                attack.kind.as_bytes(),
                &attack.payload,
            ],
        );
    }
    let outcomes = attacks.iter().map(|attack| (attack.kind, attack.outcome));
    let mut outcomes: Vec<_> = outcomes.collect();
    for _ in 0..attacks.len() {
        let answer = receive(&client);
        let (kind, header) = (texts(&answer[..1]), texts(&answer[1..2]));
        let payload = String::from_utf8_lossy(answer.last().unwrap());
        // A rejection that is encoded as protobuf contains the name of its reason as text, too.
        let is_outcome =
            |outcome: &str| kind == [outcome] || (kind == ["ERROR"] && payload.contains(outcome));
        let found = outcomes
            .iter()
            .position(|(sent, outcome)| header == [*sent] && is_outcome(outcome));
        outcomes.remove(found.unwrap_or_else(|| panic!("{kind:?} {header:?} of {outcomes:?}")));
    }
    let lost = monitor.recv_bytes(zmq::DONTWAIT);
    assert_eq!(lost, Err(zmq::Error::EAGAIN), "a heartbeat failed");
    attacks.len()
}

/// Returns a socket that receives a message when `socket` loses its connection. libzmq frees the
/// address of a monitor only after the monitored socket is closed, so each round uses another
/// address.
fn disconnections(context: &zmq::Context, socket: &zmq::Socket, round: usize) -> zmq::Socket {
    let address = format!("inproc://disconnections-{round}");
    let events = i32::from(zmq::SocketEvent::DISCONNECTED.to_raw());
    socket.monitor(&address, events).unwrap();
    let monitor = context.socket(zmq::PAIR).unwrap();
    monitor.connect(&address).unwrap();
    monitor
}

/// Answers each request with the request's payload, until `done` is set.
fn work(process: &Process, context: &zmq::Context, done: &AtomicBool) {
    let worker = process.peer(context, zmq::DEALER, IDLE);
    worker.set_rcvtimeo(50).unwrap();
    while !done.load(Ordering::SeqCst) {
        if let Ok(mut frames) = worker.recv_multipart(0) {
            frames[1] = b"REPLY".to_vec();
            worker.send_multipart(frames, 0).unwrap();
        }
    }
}

/// Floods the gateway for the given time, and at least once. Returns the number of messages that
/// were answered.
fn flood_for(time: Duration, process: &Process) -> usize {
    let context = zmq::Context::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| work(process, &context, &done));
        let _done = SetOnDrop(&done);
        let end = Instant::now() + time;
        let mut answered = flood(process, &context, 0);
        for round in 1.. {
            if Instant::now() >= end {
                break;
            }
            answered += flood(process, &context, round);
        }
        answered
    })
}

/// Keeps the processor as busy as the judges (the threads that check payloads) do during a flood,
/// without a gateway.
fn keep_busy(time: Duration) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let end = Instant::now() + time;
    std::thread::scope(|scope| {
        for _ in 0..processors.saturating_sub(1).clamp(1, 4) {
            scope.spawn(|| {
                while Instant::now() < end {
                    std::hint::spin_loop();
                }
            });
        }
    });
}

fn start() -> Process {
    start_with("", "")
}

/// Starts a gateway with the schemas and routes of the attacks, and with further sections and
/// routes.
pub(super) fn start_with(sections: &str, routes: &str) -> Process {
    let process = Process::start(&format!("{YAML}{sections}"));
    std::fs::write(process.directory.path().join("schemas/heavy.proto"), HEAVY).unwrap();
    let yaml = format!("{YAML}{sections}").replace(
        "routes: { OPAQUE: { pool: people }, OTHER: { pool: idle } }",
        &format!(
            "routes:\n  OPAQUE: {{ pool: people }}\n  OTHER: {{ pool: idle }}\n{ROUTES}{routes}"
        ),
    );
    std::fs::write(process.file(), yaml).unwrap();
    process.reload();
    process.await_metrics("the reload", |metrics| {
        metrics.sum("gateway_snapshot_generation", &[]) == 2.0
    });
    process
}

#[test]
fn a_client_that_sends_faster_than_judges_check_is_read_later() {
    let _turn = turns::take();
    let (process, context) = (start(), zmq::Context::new());
    let client = context.socket(zmq::DEALER).unwrap();
    client.set_rcvtimeo(300_000).unwrap();
    client.connect(&process.endpoint(CLIENTS)).unwrap();
    let attacks = attacks();
    let mut wrong = attacks
        .iter()
        .filter(|attack| attack.outcome == "schema_violation");
    let wrong = wrong.next().unwrap();
    for n in 0..WRONG {
        let header = n.to_string();
        send(
            &client,
            &[wrong.kind.as_bytes(), header.as_bytes(), &wrong.payload],
        );
    }
    for n in 0..WRONG {
        let answer = receive(&client);
        let header = std::str::from_utf8(&answer[1]).unwrap();
        let expected = (&*n.to_string(), wrong.outcome);
        assert_eq!((header, &*reason_or_type(&answer)), expected);
    }
    process.metrics().assert_balanced();
}

#[test]
fn payloads_that_take_long_to_check_delay_no_other_peer() {
    let _turn = turns::take();
    let process = start();
    let seconds = std::env::var("JUDGED_SECONDS").ok();
    let seconds = seconds.map_or(0, |seconds| seconds.parse().expect("a number"));
    let turn_max = std::env::var("JUDGED_TURN_MAX").unwrap_or_else(|_| TURN_MAX.to_owned());
    let service = Service::start(&process);
    let seconds = Duration::from_secs(seconds);
    let judged = match std::env::var_os("JUDGED_CONTROL") {
        None => flood_for(seconds, &process),
        Some(_) => {
            keep_busy(seconds);
            0
        }
    };
    service.end();
    let metrics = process.metrics();
    metrics.assert_balanced();
    assert!(metrics.sum("gateway_judged_total", &[]) >= judged as f64);
    let turns = metrics.sum("gateway_engine_turn_seconds_count", &[]);
    let bound = format!("le=\"{turn_max}\"");
    let short = metrics.sum("gateway_engine_turn_seconds_bucket", &[&bound]);
    assert!(short > 0.0, "no bucket has {bound}");
    let long = turns - short;
    println!("{long} of {turns} turns took more than {turn_max} s");
    assert!(
        long == 0.0,
        "{long} of {turns} turns took more than {turn_max} s"
    );
}
