//! Tests with peers of channels that cause as much work as the limits allow, by one message or by
//! connecting and disconnecting. The histogram of the data thread's turns shows that none of this
//! work is done in one turn.

use std::time::Instant;

use crate::support::process::{Metrics, Process};
use crate::support::zmtp::{Raw, Said, command, message};
use crate::support::{PATIENCE, turns};

const YAML: &str = r#"
engine: native
channels:
  kept: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0", keep: last }
  asked: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0" }
routes: { k*: { publish: kept }, a*: { publish: asked } }
admin: { bind: "127.0.0.1:0" }
"#;

/// The maximum time of a turn, in seconds, on a busy machine. `time.sh` sets another bound.
const TURN_MAX: &str = "0.1";

/// The number of kept messages, which nearly fill `keep_bytes`.
const KEPT: usize = 200_000;

/// The number of subscribers that have the maximum number of prefixes, and that maximum.
const CROWD: usize = 20;
const PREFIXES: usize = 10_000;

/// The number of subscribers that receive one message.
const AUDIENCE: usize = 2_000;

#[track_caller]
fn assert_turns_are_short(process: &Process) {
    let turn_max = std::env::var("CHANNEL_TURN_MAX").unwrap_or_else(|_| TURN_MAX.to_owned());
    let metrics = process.metrics();
    let turns = metrics.sum("gateway_engine_turn_seconds_count", &[]);
    let bound = format!("le=\"{turn_max}\"");
    let short = metrics.sum("gateway_engine_turn_seconds_bucket", &[&bound]);
    assert!(short > 0.0, "no bucket has {bound}");
    let long = turns - short;
    println!("{long} of {turns} turns took more than {turn_max} s");
    assert!(long == 0.0, "{long} turns took more than {turn_max} s");
}

fn subscribe(prefix: &[u8]) -> Vec<u8> {
    command(&[b"\x09SUBSCRIBE", prefix].concat())
}

fn peer(process: &Process, side: &str, channel: &str, socket_type: &str) -> Raw {
    let endpoint = process.endpoint(&format!("{side} side of channel {channel}"));
    Raw::peer(&endpoint, socket_type)
}

#[track_caller]
fn await_level(process: &Process, name: &str, channel: &str, level: f64) -> Metrics {
    let label = format!("channel=\"{channel}\"");
    let name = format!("gateway_channel_{name}");
    process.await_metrics(&name, |metrics| metrics.sum(&name, &[&label]) == level)
}

/// Receives the next message. A peer that is not read for a while receives PONGs before it, which
/// are skipped.
#[track_caller]
fn hear_message(raw: &mut Raw) -> Vec<Vec<u8>> {
    loop {
        match raw.hear() {
            Said::Message(frames) => return frames,
            Said::Command(body) => assert!(body.starts_with(b"\x04PONG"), "{body:?}"),
            Said::End => panic!("the connection has ended"),
        }
    }
}

/// Hundreds of thousands of kept messages are sent to one subscriber, are dropped when another that
/// does not read disconnects, and are dropped by an edit.
#[test]
fn kept_messages_are_sent_and_dropped_in_parts() {
    let _turn = turns::take();
    let process = Process::start(YAML);
    process.await_first_look();
    let mut publisher = peer(&process, "publisher", "kept", "PUB");
    let mut bytes = Vec::new();
    for n in 0..KEPT {
        bytes.extend(message(&[format!("k{n:06}").as_bytes(), b""]));
    }
    publisher.say(&bytes);
    await_level(&process, "kept", "kept", KEPT as f64);
    let mut subscriber = peer(&process, "subscriber", "kept", "SUB");
    let began = Instant::now();
    subscriber.say(&subscribe(b"k"));
    for n in 0..KEPT {
        let message = hear_message(&mut subscriber);
        assert_eq!(message[0], format!("k{n:06}").as_bytes());
    }
    println!("{KEPT} kept messages took {:?}", began.elapsed());
    // A message that is published meanwhile is sent after the kept ones.
    let mut sleeper = peer(&process, "subscriber", "kept", "SUB");
    sleeper.say(&subscribe(b""));
    await_level(&process, "subscribers", "kept", 2.0);
    process.await_metrics("messages that wait", |metrics| {
        metrics.sum("gateway_channel_waiting", &[]) > KEPT as f64 / 2.0
    });
    publisher.say(&message(&["kz", "live"]));
    let live = hear_message(&mut subscriber);
    assert_eq!(live, [b"kz".to_vec(), b"live".to_vec()]);
    drop(sleeper);
    await_level(&process, "subscribers", "kept", 1.0);
    await_level(&process, "waiting_bytes", "kept", 0.0);
    let edited = YAML.replace("keep: last", "keep: none");
    std::fs::write(process.file(), edited).unwrap();
    assert_eq!(process.reload().json()["outcome"], "applied");
    await_level(&process, "kept_bytes", "kept", 0.0);
    assert_turns_are_short(&process);
}

/// Receives `count` subscriptions or cancellations, and returns them without the first byte.
#[track_caller]
fn hear_requests(publisher: &mut Raw, count: usize, name: &[u8]) -> Vec<Vec<u8>> {
    let request = |said| match said {
        Said::Command(body) => match body.strip_prefix(name) {
            Some(prefix) => prefix.to_vec(),
            None => panic!("{body:?}"),
        },
        other => panic!("{other:?}"),
    };
    (0..count).map(|_| request(publisher.hear())).collect()
}

/// The gateway subscribes to hundreds of thousands of prefixes at a publisher, and the subscribers
/// of these disconnect at once.
#[test]
fn publishers_are_asked_for_many_prefixes_in_parts() {
    let _turn = turns::take();
    let process = Process::start(YAML);
    let mut crowd = Vec::new();
    for subscriber in 0..CROWD {
        let mut raw = peer(&process, "subscriber", "asked", "SUB");
        let mut bytes = Vec::new();
        for n in 0..PREFIXES {
            bytes.extend(subscribe(format!("a{subscriber:03}.{n:06}").as_bytes()));
        }
        raw.say(&bytes);
        crowd.push(raw);
    }
    let all = process.await_metrics("the subscriptions", |metrics| {
        // Each takes some hundred bytes.
        metrics.sum("gateway_memory_held_bytes", &[]) > (200 * CROWD * PREFIXES) as f64
    });
    let mut publisher = peer(&process, "publisher", "asked", "XPUB");
    let asked = hear_requests(&mut publisher, CROWD * PREFIXES, b"\x09SUBSCRIBE");
    assert!(asked.is_sorted());
    let until = Instant::now() + PATIENCE;
    drop(crowd);
    let mut cancelled = hear_requests(&mut publisher, CROWD * PREFIXES, b"\x06CANCEL");
    assert!(Instant::now() < until);
    cancelled.sort_unstable();
    assert_eq!(cancelled, asked);
    process.await_metrics("the memory", |metrics| {
        let held = "gateway_memory_held_bytes";
        metrics.sum(held, &[]) < all.sum(held, &[]) / 10.0
    });
    assert_turns_are_short(&process);
}

/// A message is sent to thousands of subscribers.
#[test]
fn a_message_goes_to_thousands_of_subscribers_in_parts() {
    let _turn = turns::take();
    let process = Process::start(YAML);
    let mut audience = Vec::new();
    for _ in 0..AUDIENCE {
        let mut raw = peer(&process, "subscriber", "asked", "SUB");
        raw.say(&subscribe(b"a"));
        audience.push(raw);
    }
    let mut publisher = peer(&process, "publisher", "asked", "XPUB");
    assert_eq!(publisher.hear(), Said::Command(b"\x09SUBSCRIBEa".to_vec()));
    for n in ["1", "2", "3"] {
        publisher.say(&message(&["a", n]));
        for raw in &mut audience {
            assert_eq!(raw.hear_message(), [b"a".to_vec(), n.into()]);
        }
    }
    assert_turns_are_short(&process);
}
