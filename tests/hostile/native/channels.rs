//! Tests of hostile publishers and subscribers: the gateway drops, refuses or bounds their messages
//! and commands, logs this, and serves the other peers of the channel.

use std::time::{Duration, Instant};

use crate::support::process::Process;
use crate::support::sockets::{receive, send, texts};
use crate::support::zmtp::{Raw, Received, command, message, ping};
use crate::support::{ANN, TEST_TIMEOUT};

const PUBLISHERS: &str = "publisher side of channel ticks";
const SUBSCRIBERS: &str = "subscriber side of channel ticks";

const MIB: usize = 1 << 20;

/// Starts a gateway with a channel. `channel` has additional settings of the channel, and `more`
/// has additional sections of the configuration.
fn start(channel: &str, more: &str) -> Process {
    Process::start(&format!(
        r#"
engine: native
channels: {{ ticks: {{ publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0", {channel} }} }}
routes: {{ RAW*: {{ publish: ticks }}, PERSON: {{ schema: demo.Person, publish: ticks }} }}
admin: {{ bind: "127.0.0.1:0" }}
reload: {{ watch: false }}
{more}
"#
    ))
}

/// An honest publisher and an honest subscriber of libzmq.
struct Honest {
    publisher: zmq::Socket,
    subscriber: zmq::Socket,
}

impl Honest {
    fn connect(gateway: &Process) -> Self {
        let context = zmq::Context::new();
        let subscriber = gateway.peer(&context, zmq::SUB, SUBSCRIBERS);
        subscriber.set_subscribe(b"RAW.honest").unwrap();
        let publisher = gateway.peer(&context, zmq::XPUB, PUBLISHERS);
        await_prefixes(gateway, 1);
        Self {
            publisher,
            subscriber,
        }
    }

    /// Publishes a message, and asserts that it is the next message that the subscriber receives.
    #[track_caller]
    fn assert_served(&self) {
        send(&self.publisher, &["RAW.honest", "x"]);
        assert_eq!(texts(&receive(&self.subscriber)), ["RAW.honest", "x"]);
    }
}

/// Waits until all subscribers together have this number of prefixes.
#[track_caller]
fn await_prefixes(gateway: &Process, wanted: u64) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    loop {
        let status = gateway.status();
        let shown = status["channels"][0]["subscriptions"].as_array();
        let subscribers = shown.unwrap().iter();
        let counts = subscribers.map(|subscriber| subscriber["prefix_count"].as_u64());
        let count: u64 = counts.map(|count| count.unwrap()).sum();
        if count == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{count} prefixes");
    }
}

/// Waits until the gateway has processed everything that a peer has sent.
#[track_caller]
fn sync(peer: &mut Raw) {
    peer.send(&ping(0, b"sync"));
    assert_eq!(peer.receive(), Received::Command(b"\x04PONGsync".to_vec()));
}

fn subscribe(prefix: &[u8]) -> Vec<u8> {
    command(&[b"\x09SUBSCRIBE", prefix].concat())
}

fn cancel(prefix: &[u8]) -> Vec<u8> {
    command(&[b"\x06CANCEL", prefix].concat())
}

#[test]
fn a_prefix_that_is_too_long_is_refused_in_every_form() {
    let large = vec![b'x'; 17 * MIB];
    let as_message = |prefix: &[u8]| message(&[[&[1], prefix].concat()]);
    let too_long = format!(
        "{SUBSCRIBERS}: a connection is refused: it subscribes to a prefix of more than 255 bytes"
    );
    for (bytes, line) in [
        (subscribe(&large[..256]), &*too_long),
        (as_message(&large[..256]), &too_long),
        (as_message(&large[..16 * MIB - 1]), &too_long),
        (
            subscribe(&large[..16 * MIB]),
            "subscriber side of channel ticks: a connection is refused: a command of 16777226 bytes",
        ),
        // This message is larger than `limits.message`, so the gateway does not read it completely.
        (
            as_message(&large),
            "a subscriber sent a message, which is dropped",
        ),
    ] {
        let mut gateway = start("upstream: all", "");
        let honest = Honest::connect(&gateway);
        honest.assert_served();
        let before = gateway.forget_peak();
        let mut peer = Raw::peer(&gateway.endpoint(SUBSCRIBERS), "SUB");
        // The gateway may disconnect the peer before everything is sent.
        peer.try_send(&bytes);
        gateway.await_line(line);
        honest.assert_served();
        // The gateway may need memory for the message and for the prefix in it.
        let grown = gateway.peak().saturating_sub(before);
        assert!(grown < 2 * 17 * 1024, "{line}: {grown} KiB");
    }
}

#[test]
fn a_subscriber_with_a_million_prefixes_is_disconnected() {
    let mut gateway = start("upstream: all", "");
    let honest = Honest::connect(&gateway);
    honest.assert_served();
    let before = gateway.forget_peak();
    let mut peer = Raw::peer(&gateway.endpoint(SUBSCRIBERS), "SUB");
    let prefixes = (0..1_000_000).map(|n| subscribe(format!("{n:07}").as_bytes()));
    let prefixes: Vec<u8> = prefixes.flatten().collect();
    peer.try_send(&prefixes);
    let line = format!(
        "{SUBSCRIBERS}: a connection is refused: it subscribes to more than 10000 prefixes"
    );
    gateway.await_line(&line);
    honest.assert_served();
    let grown = gateway.peak().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB");
    await_prefixes(&gateway, 1);
}

#[test]
fn a_channel_has_at_most_a_million_subscriptions() {
    /// The maximum memory of a million subscriptions, in KiB. They take about 250 MB.
    const MEMORY_MAX: usize = 300 * 1024;
    let mut gateway = start("upstream: all", "");
    let honest = Honest::connect(&gateway);
    let before = gateway.forget_peak();
    let at = gateway.endpoint(SUBSCRIBERS);
    // The honest subscriber has one subscription, which completes the million.
    let counts = std::iter::repeat_n(10_000, 99).chain([9_999]);
    let subscribers = counts.enumerate().map(|(n, count)| {
        let mut peer = Raw::peer(&at, "SUB");
        let prefixes = (0..count).map(|each| subscribe(format!("{n:02}.{each:04}").as_bytes()));
        peer.send(&prefixes.flatten().collect::<Vec<u8>>());
        sync(&mut peer);
        peer
    });
    let mut subscribers: Vec<_> = subscribers.collect();
    let mut one_more = Raw::peer(&at, "SUB");
    one_more.send(&subscribe(b"one more"));
    let line =
        format!("{SUBSCRIBERS}: a connection is refused: its channel has 1000000 subscriptions");
    gateway.await_line(&line);
    let grown = gateway.peak().saturating_sub(before);
    println!("a million subscriptions take {} MiB", grown / 1024);
    assert!(grown < MEMORY_MAX, "{grown} KiB");
    honest.assert_served();
    // A cancelled subscription makes room for another.
    subscribers[0].send(&cancel(b"00.0000"));
    sync(&mut subscribers[0]);
    let mut later = Raw::peer(&at, "SUB");
    later.send(&subscribe(b"one more"));
    sync(&mut later);
}

#[test]
fn cancellations_without_a_subscription_change_nothing() {
    let gateway = start("", "");
    let mut publisher = Raw::peer(&gateway.endpoint(PUBLISHERS), "XPUB");
    let mut peer = Raw::peer(&gateway.endpoint(SUBSCRIBERS), "SUB");
    let before = gateway.forget_peak();
    let cancelled = (0..200_000).flat_map(|n| {
        let prefix = format!("RAW{n}");
        [cancel(prefix.as_bytes()), message(&[format!("\0{prefix}")])].concat()
    });
    peer.send(&cancelled.collect::<Vec<u8>>());
    sync(&mut peer);
    let grown = gateway.peak().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB");
    // The publisher receives only this subscription, and none of the cancellations.
    peer.send(&subscribe(b"RAW"));
    assert_eq!(
        publisher.receive(),
        Received::Command(b"\x09SUBSCRIBERAW".to_vec())
    );
    publisher.send(&message(&["RAW1", "x"]));
    assert_eq!(texts(&peer.receive_message()), ["RAW1", "x"]);
}

#[test]
fn messages_from_a_subscriber_are_dropped_and_logged() {
    let mut gateway = start("upstream: all", "");
    let honest = Honest::connect(&gateway);
    let mut peer = Raw::peer(&gateway.endpoint(SUBSCRIBERS), "XSUB");
    peer.send(&message(&["RAW.honest", "forged"]).repeat(1_000));
    sync(&mut peer);
    let line = gateway.await_line("a subscriber sent a message, which is dropped");
    assert_eq!(line["channel"], "ticks");
    assert_eq!(
        (&line["frames"], &line["first"]),
        (&2.into(), &"RAW.honest".into())
    );
    let line = gateway.await_line("subscribers sent 999 more messages");
    assert_eq!(line["left_out"], 999);
    honest.assert_served();
}

#[test]
fn one_invalid_message_among_a_million_reaches_no_subscriber_and_is_logged() {
    const BURSTS: usize = 100;
    const BURST: usize = 10_000;
    let mut gateway = start("upstream: all", "");
    let mut subscriber = Raw::peer(&gateway.endpoint(SUBSCRIBERS), "SUB");
    subscriber.send(&subscribe(b""));
    sync(&mut subscriber);
    let mut publisher = Raw::peer(&gateway.endpoint(PUBLISHERS), "PUB");
    let valid = message(&[b"PERSON".as_slice(), ANN]).repeat(BURST);
    let half = valid.len() / 2;
    let invalid = message(&[&b"PERSON"[..], b"\x12\x01\xff"]);
    let with_invalid = [&valid[..half], &invalid, &valid[half..]].concat();
    // Each burst is received before the next is sent, so that nothing is dropped for another
    // reason.
    let mut received = vec![0; valid.len()];
    for burst in 0..BURSTS {
        publisher.send(if burst == 57 { &with_invalid } else { &valid });
        std::io::Read::read_exact(&mut subscriber.stream, &mut received).unwrap();
        assert!(received == valid, "burst {burst}");
    }
    sync(&mut subscriber);
    let line = gateway.await_line("rejected");
    assert_eq!(
        (&line["route"], &line["reason"], &line["field"]),
        (&"PERSON".into(), &"schema_violation".into(), &"name".into())
    );
    let address = publisher.stream.local_addr().unwrap();
    assert_eq!(line["peer"], format!("tcp://{address}"));
    let metrics = gateway.metrics();
    let count = |outcome| metrics.sum("gateway_requests_total", &[outcome]);
    assert_eq!(count("outcome=\"published\""), (BURSTS * BURST) as f64);
    assert_eq!(count("outcome=\"rejected\""), 1.0);
}

#[test]
fn rejections_of_an_unknown_type_are_logged_once_a_second() {
    let mut gateway = start("upstream: all", "");
    let honest = Honest::connect(&gateway);
    let mut publisher = Raw::peer(&gateway.endpoint(PUBLISHERS), "PUB");
    publisher.send(&message(&["PIGEON", "coo"]).repeat(1_000));
    let line = gateway.await_line("rejected");
    assert_eq!(line["reason"], "unknown_type");
    gateway.await_metrics("all are rejected", |metrics| {
        metrics.sum("gateway_rejections_total", &["reason=\"unknown_type\""]) == 1_000.0
    });
    gateway.await_line("rejected 999 more within");
    honest.assert_served();
}

#[test]
fn with_slow_disconnect_a_slow_subscriber_is_disconnected() {
    let settings = "upstream: all, slow: disconnect, subscriber_bytes: 1MiB";
    let mut gateway = start(settings, "");
    let honest = Honest::connect(&gateway);
    let at = gateway.endpoint(SUBSCRIBERS);
    // The slow subscriber reads nothing until it is disconnected.
    let mut slow = Raw::peer(&at, "SUB");
    slow.send(&subscribe(b"RAW"));
    sync(&mut slow);
    let payload = vec![7; 60_000];
    let mut sent = 0;
    let is_disconnected = |gateway: &mut Process| {
        let is_wanted = |line: &serde_json::Value| {
            line["message"].as_str().is_some_and(|message| {
                message.contains("a connection is refused: it is slow: its queued messages exceed subscriber_bytes")
            })
        };
        std::iter::from_fn(|| gateway.next_line(Duration::ZERO)).any(|line| is_wanted(&line))
    };
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !is_disconnected(&mut gateway) {
        assert!(Instant::now() < deadline, "{sent} messages");
        send(&honest.publisher, &[&b"RAW.honest"[..], &payload]);
        // The honest subscriber loses nothing.
        assert_eq!(receive(&honest.subscriber)[1], payload);
        sent += 1;
    }
    // The slow subscriber receives the messages that were already written, and then the connection
    // ends.
    let mut received = 0;
    while slow.receive() != Received::End {
        received += 1;
    }
    assert!(received < sent, "{received} of {sent}");
    let mut again = Raw::peer(&at, "SUB");
    again.send(&subscribe(b"RAW"));
    sync(&mut again);
    honest.assert_served();
    assert_eq!(texts(&again.receive_message()), ["RAW.honest", "x"]);
}

#[test]
fn a_publisher_that_does_not_read_its_subscriptions_is_disconnected() {
    /// The maximum growth of the memory, in KiB. At most 64 MiB of subscriptions are queued for a
    /// publisher, and the test allows a quarter more.
    const MEMORY_MAX: usize = 80 * 1024;
    let mut gateway = start("", "");
    let before = gateway.forget_peak();
    let _publisher = Raw::peer(&gateway.endpoint(PUBLISHERS), "XPUB");
    let mut subscriber = Raw::peer(&gateway.endpoint(SUBSCRIBERS), "SUB");
    let prefix = [b'x'; 255];
    let pairs = [subscribe(&prefix), cancel(&prefix)].concat().repeat(1_000);
    let stream = subscriber.stream.try_clone().unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let subscribing = std::thread::spawn(move || {
        let mut raw = Raw { stream };
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty)
            && raw.try_send(&pairs)
        {}
    });
    let line = format!(
        "{PUBLISHERS}: a connection is refused: it does not read: 64 MiB of subscriptions wait for it"
    );
    gateway.await_line(&line);
    drop(stop);
    subscribing.join().unwrap();
    sync(&mut subscriber);
    let grown = gateway.peak().saturating_sub(before);
    assert!(grown < MEMORY_MAX, "{grown} KiB");
    Honest::connect(&gateway).assert_served();
}

#[test]
fn publishers_and_subscribers_count_towards_the_limit_of_clients() {
    let mut gateway = start("upstream: all", "limits: { clients: 3 }");
    let honest = Honest::connect(&gateway);
    let third = Raw::peer(&gateway.endpoint(SUBSCRIBERS), "SUB");
    for (side, kind) in [(PUBLISHERS, "PUB"), (SUBSCRIBERS, "SUB")] {
        let mut fourth = Raw::connect(&gateway.endpoint(side));
        fourth.send(&crate::support::zmtp::greeting(1));
        fourth.receive_greeting();
        fourth.send(&command(&crate::support::zmtp::ready(kind, &[])));
        gateway.await_line(&format!(
            "{side}: a connection is refused: 3 clients are connected already"
        ));
        assert_eq!(fourth.receive(), Received::End);
    }
    honest.assert_served();
    drop(third);
    gateway.await_metrics("the third client has disconnected", |metrics| {
        metrics.sum("gateway_channel_subscribers", &[]) == 1.0
    });
    let mut another = Raw::peer(&gateway.endpoint(SUBSCRIBERS), "SUB");
    another.send(&subscribe(b"RAW.honest"));
    sync(&mut another);
    honest.assert_served();
    assert_eq!(texts(&another.receive_message()), ["RAW.honest", "x"]);
}
