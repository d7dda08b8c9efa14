//! Tests of the metrics and the status of channels.

use std::collections::BTreeSet;

use std::time::Instant;

use serde_json::Value;

use crate::support::TEST_TIMEOUT;
use crate::support::gateway::{engine_is, on_this_engine};
use crate::support::process::Process;

const YAML: &str = r#"
channels:
  ticks: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0", MORE }
routes: { tick.*: { schema: demo.Person, publish: ticks } }
admin: { bind: "127.0.0.1:0" }
"#;

/// A payload of `demo.Person`.
const PERSON: &[u8] = b"\x12\x03Ann";

/// Starts a gateway, and returns its process, a subscriber to `tick.` and a publisher. The gateway
/// has subscribed to all messages of the publisher.
fn start(context: &zmq::Context) -> (Process, zmq::Socket, zmq::Socket) {
    // Only engine native keeps messages.
    let more = match engine_is("native") {
        true => "keep: last",
        false => "upstream: all",
    };
    let process = Process::start(&on_this_engine(&YAML.replace("MORE", more)));
    let subscriber = context.socket(zmq::SUB).unwrap();
    subscriber.set_subscribe(b"tick.").unwrap();
    let endpoint = process.endpoint("subscriber side of channel ticks");
    subscriber.connect(&endpoint).unwrap();
    await_channel(&process, |channel| {
        channel["subscriptions"][0]["prefix_count"] == 1
    });
    let publisher = context.socket(zmq::XPUB).unwrap();
    let endpoint = process.endpoint("publisher side of channel ticks");
    publisher.connect(&endpoint).unwrap();
    assert_eq!(publisher.recv_bytes(0).unwrap(), [1]);
    (process, subscriber, publisher)
}

/// Requests the status of the gateway until `is_wanted` returns true for the channel in it. Returns
/// this status.
fn await_channel(process: &Process, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        let status = process.status();
        if is_wanted(&status["channels"][0]) {
            return status;
        }
        assert!(Instant::now() < deadline, "{status}");
    }
}

#[test]
fn published_sent_and_kept_messages_are_counted() {
    let context = zmq::Context::new();
    let (process, subscriber, publisher) = start(&context);
    process.await_metrics("a subscriber", |metrics| {
        metrics.sum("gateway_channel_subscribers", &[]) == 1.0
    });
    for payload in [PERSON, b"\xff", PERSON] {
        publisher.send_multipart([b"tick.a", payload], 0).unwrap();
    }
    for _ in 0..2 {
        subscriber.recv_multipart(0).unwrap();
    }
    let metrics = process.await_metrics("three messages", |metrics| {
        metrics.sum("gateway_requests_total", &["route=\"tick.*\""]) == 3.0
    });
    let page = include_str!("../../docs/metrics.md");
    let (_, table) = page.split_once("Only where there are [channels]").unwrap();
    let table = table.split("\n\n").nth(1).unwrap();
    let rows = table.lines().filter(|row| row.starts_with("| `gateway_"));
    let rows = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    let mut documented = BTreeSet::new();
    for row in rows {
        let [name, kind, "channel", help] = row[..] else {
            panic!("{row:?}");
        };
        let name = name.trim_matches(['|', '`', ' ']);
        let family = &metrics.families[name.trim_end_matches("_total")];
        let help = help.trim_end_matches([' ', '|']);
        assert_eq!((&*family.kind, &*family.help), (kind, help), "{name}");
        documented.insert(name.to_owned());
    }
    let samples = metrics
        .samples
        .iter()
        .filter(|((name, _), _)| name.starts_with("gateway_channel_"));
    let present: BTreeSet<_> = samples.map(|((name, _), _)| name.clone()).collect();
    assert_eq!(documented, present);
    for (name, expected) in [
        ("published_total", 2.0),
        ("sent_total", 2.0),
        ("dropped_total", 0.0),
        ("unfit_total", 0.0),
        ("publishers", 1.0),
        ("subscribers", 1.0),
        ("kept", if engine_is("native") { 1.0 } else { 0.0 }),
        ("waiting", 0.0),
    ] {
        let name = format!("gateway_channel_{name}");
        assert_eq!(
            metrics.sum(&name, &["channel=\"ticks\""]),
            expected,
            "{name}"
        );
    }
}

#[test]
fn the_status_has_each_subscriber() {
    let context = zmq::Context::new();
    let (process, subscriber, publisher) = start(&context);
    publisher.send_multipart([b"tick.a", PERSON], 0).unwrap();
    subscriber.recv_multipart(0).unwrap();
    let status = await_channel(&process, |channel| channel["sent"] == 1);
    let channel = &status["channels"][0];
    assert_eq!(
        (&channel["name"], &channel["removed"]),
        (&"ticks".into(), &false.into())
    );
    assert_eq!(channel["publishers"]["connected"], 1);
    assert_eq!(channel["subscribers"]["connected"], 1);
    let counts = ["published", "matched", "sent", "dropped", "unfit"];
    assert_eq!(
        counts.map(|count| channel[count].as_u64()),
        [1, 1, 1, 0, 0].map(Some)
    );
    let is_native = engine_is("native");
    assert_eq!(channel["kept"]["messages"], i32::from(is_native));
    let subscription = &channel["subscriptions"][0];
    assert_eq!(subscription["prefixes"], serde_json::json!(["tick."]));
    assert_eq!(
        (&subscription["prefix_count"], &subscription["sent"]),
        (&1.into(), &1.into())
    );
    let address = subscription["address"].as_str();
    assert_eq!(address.is_some(), is_native, "{address:?}");
    assert!(address.is_none_or(|address| address.starts_with("tcp://127.0.0.1:")));
    assert_eq!(status["ledger"]["published"], 1);
}
