//! Tests of channels with peers that cause as much work as the limits allow, by a single message
//! or by connecting and disconnecting. The histogram of the data thread's turns shows that all this
//! work is divided into many turns.

use std::time::Instant;

use crate::support::process::{Metrics, Process};
use crate::support::zmtp::{Raw, Received, command, message};
use crate::support::{TEST_TIMEOUT, turns};

const YAML: &str = r#"
engine: native
channels:
  kept: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0", keep: last }
  asked: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0" }
routes: { k*: { publish: kept }, a*: { publish: asked } }
admin: { bind: "127.0.0.1:0" }
"#;

/// The maximum time of a turn, in seconds, on a busy machine. `time.sh` sets another maximum.
const TURN_MAX: &str = "0.1";

/// The number of kept messages. Together they nearly fill `keep_bytes`.
const KEPT: usize = 200_000;

/// The number of subscribers that have [`PREFIXES_MAX`] prefixes each.
const SUBSCRIBERS: usize = 20;
/// The maximum number of prefixes of a subscriber.
const PREFIXES_MAX: usize = 10_000;

/// The number of subscribers that receive one message.
const RECEIVERS: usize = 2_000;

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

/// Receives the next message, and ignores PONGs. If the gateway does not read from a peer for a
/// while, it sends PONGs, so that the peer's heartbeat does not fail.
#[track_caller]
fn message_after_pongs(raw: &mut Raw) -> Vec<Vec<u8>> {
    loop {
        match raw.receive() {
            Received::Message(frames) => return frames,
            Received::Command(body) => assert!(body.starts_with(b"\x04PONG"), "{body:?}"),
            Received::End => panic!("the connection has ended"),
        }
    }
}

/// Hundreds of thousands of kept messages are sent to one subscriber. The same messages are queued
/// for another subscriber, which does not read, and are dropped when this subscriber disconnects.
/// An edit then drops the kept messages themselves.
#[test]
fn kept_messages_are_sent_and_dropped_in_parts() {
    let _turn = turns::take();
    let process = Process::start(YAML);
    process.await_first_check();
    let mut publisher = peer(&process, "publisher", "kept", "PUB");
    let mut bytes = Vec::new();
    for n in 0..KEPT {
        bytes.extend(message(&[format!("k{n:06}").as_bytes(), b""]));
    }
    publisher.send(&bytes);
    await_level(&process, "kept", "kept", KEPT as f64);
    let mut subscriber = peer(&process, "subscriber", "kept", "SUB");
    let began = Instant::now();
    subscriber.send(&subscribe(b"k"));
    for n in 0..KEPT {
        let message = message_after_pongs(&mut subscriber);
        assert_eq!(message[0], format!("k{n:06}").as_bytes());
    }
    println!("{KEPT} kept messages took {:?}", began.elapsed());
    // A message that is published meanwhile is sent after the kept messages.
    let mut silent = peer(&process, "subscriber", "kept", "SUB");
    silent.send(&subscribe(b""));
    await_level(&process, "subscribers", "kept", 2.0);
    process.await_metrics("queued messages", |metrics| {
        metrics.sum("gateway_channel_waiting", &[]) > KEPT as f64 / 2.0
    });
    publisher.send(&message(&["kz", "live"]));
    let live = message_after_pongs(&mut subscriber);
    assert_eq!(live, [b"kz".to_vec(), b"live".to_vec()]);
    drop(silent);
    await_level(&process, "subscribers", "kept", 1.0);
    await_level(&process, "waiting_bytes", "kept", 0.0);
    let edited = YAML.replace("keep: last", "keep: none");
    std::fs::write(process.file(), edited).unwrap();
    assert_eq!(process.reload().json()["outcome"], "applied");
    await_level(&process, "kept_bytes", "kept", 0.0);
    assert_turns_are_short(&process);
}

/// Receives `count` commands with this name, and returns their prefixes.
#[track_caller]
fn receive_prefixes(publisher: &mut Raw, count: usize, name: &[u8]) -> Vec<Vec<u8>> {
    let prefix = |received| match received {
        Received::Command(body) => match body.strip_prefix(name) {
            Some(prefix) => prefix.to_vec(),
            None => panic!("{body:?}"),
        },
        other => panic!("{other:?}"),
    };
    (0..count).map(|_| prefix(publisher.receive())).collect()
}

/// The gateway subscribes to hundreds of thousands of prefixes at a publisher, and then all
/// subscribers with these prefixes disconnect at once.
#[test]
fn prefixes_are_subscribed_and_cancelled_in_parts() {
    let _turn = turns::take();
    let process = Process::start(YAML);
    let mut subscribers = Vec::new();
    for subscriber in 0..SUBSCRIBERS {
        let mut raw = peer(&process, "subscriber", "asked", "SUB");
        let mut bytes = Vec::new();
        for n in 0..PREFIXES_MAX {
            bytes.extend(subscribe(format!("a{subscriber:03}.{n:06}").as_bytes()));
        }
        raw.send(&bytes);
        subscribers.push(raw);
    }
    let all = process.await_metrics("the subscriptions", |metrics| {
        // Each subscription counts as 267 bytes, so nearly all subscriptions have arrived when the
        // sum exceeds 266 bytes for each.
        metrics.sum("gateway_memory_held_bytes", &[]) > (266 * SUBSCRIBERS * PREFIXES_MAX) as f64
    });
    let mut publisher = peer(&process, "publisher", "asked", "XPUB");
    let count = SUBSCRIBERS * PREFIXES_MAX;
    let subscribed = receive_prefixes(&mut publisher, count, b"\x09SUBSCRIBE");
    assert!(subscribed.is_sorted());
    let deadline = Instant::now() + TEST_TIMEOUT;
    drop(subscribers);
    let mut cancelled = receive_prefixes(&mut publisher, count, b"\x06CANCEL");
    assert!(Instant::now() < deadline);
    cancelled.sort_unstable();
    assert_eq!(cancelled, subscribed);
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
    let mut receivers = Vec::new();
    for _ in 0..RECEIVERS {
        let mut raw = peer(&process, "subscriber", "asked", "SUB");
        raw.send(&subscribe(b"a"));
        receivers.push(raw);
    }
    let mut publisher = peer(&process, "publisher", "asked", "XPUB");
    assert_eq!(
        publisher.receive(),
        Received::Command(b"\x09SUBSCRIBEa".to_vec())
    );
    for n in ["1", "2", "3"] {
        publisher.send(&message(&["a", n]));
        for raw in &mut receivers {
            assert_eq!(raw.receive_message(), [b"a".to_vec(), n.into()]);
        }
    }
    assert_turns_are_short(&process);
}
