//! Tests of channels, with publishers and subscribers of libzmq, and with peers that send ZMTP 3.0
//! or 3.1 byte by byte. Engine libzmq cannot distinguish subscribers, so it counts a message once,
//! even if the message matches many subscribers.

use std::sync::Arc;
use std::time::Instant;

use gateway::config::Inputs;
use gateway::ledger::ChannelSample;
use gateway::reply::Reason;

use crate::support::gateway::{Gateway, engine_is, on_this_engine};
use crate::support::sockets::{receive, send, socket, texts};
use crate::support::zmtp::{Raw, Received, command, greeting, message, ready};
use crate::support::{ANN, TEST_TIMEOUT};

pub const ANYWHERE: &str = r#""tcp://127.0.0.1:0""#;

/// Returns a routes.yaml with a channel `ticks`, which has these two sides and these further
/// settings.
pub fn yaml(publishers: &str, subscribers: &str, more: &str) -> String {
    format!(
        r#"
channels: {{ ticks: {{ publishers: {publishers}, subscribers: {subscribers}, {more} }} }}
routes:
  PERSON: {{ schema: demo.Person, publish: ticks }}
  RAW*: {{ publish: ticks }}
"#
    )
}

/// Starts a gateway with a channel `ticks` that has these further settings.
pub fn ticks(more: &str) -> Gateway {
    Gateway::start(&yaml(ANYWHERE, ANYWHERE, more))
}

pub fn publisher(gateway: &Gateway, kind: zmq::SocketType) -> zmq::Socket {
    gateway.peer(kind, "ticks.publishers")
}

pub fn subscriber(gateway: &Gateway, prefix: &str) -> zmq::Socket {
    let subscriber = gateway.peer(zmq::SUB, "ticks.subscribers");
    subscriber.set_subscribe(prefix.as_bytes()).unwrap();
    subscriber
}

/// Requests samples of the channel until `wanted` returns true for one, and returns that sample.
#[track_caller]
pub fn await_channel(gateway: &Gateway, wanted: impl Fn(&ChannelSample) -> bool) -> ChannelSample {
    let deadline = Instant::now() + TEST_TIMEOUT;
    let observer = gateway.running.as_ref().unwrap().observer();
    loop {
        let sample = observer.sample(TEST_TIMEOUT).expect("a sample");
        match sample.channels.first() {
            Some(channel) if wanted(channel) => return channel.clone(),
            channel => assert!(Instant::now() < deadline, "{channel:?}"),
        }
        std::thread::yield_now();
    }
}

/// Waits until the subscribers have `count` prefixes. Engine native adds up the prefixes of all
/// subscribers, and engine libzmq counts a prefix of several subscribers once.
#[track_caller]
pub fn await_prefixes(gateway: &Gateway, count: usize) {
    await_channel(gateway, |channel| {
        let counts = channel
            .shown
            .iter()
            .map(|subscriber| subscriber.prefix_count);
        counts.sum::<usize>() == count
    });
}

/// Returns a raw peer that speaks ZMTP 3.`minor`, after a handshake in which the peer announces the
/// socket type `ours` and the gateway announces `theirs`.
pub fn raw(endpoint: &str, minor: u8, ours: &str, theirs: &str) -> Raw {
    let mut raw = Raw::connect(endpoint);
    raw.send(&greeting(minor));
    raw.receive_greeting_of_any_engine();
    raw.send(&command(&ready(ours, &[])));
    assert_eq!(raw.receive(), Received::Command(ready(theirs, &[])));
    raw
}

#[test]
fn valid_messages_reach_matching_subscribers_and_invalid_messages_reach_no_peer() {
    let gateway = ticks("upstream: all");
    let persons = subscriber(&gateway, "PER");
    let all = gateway.peer(zmq::XSUB, "ticks.subscribers");
    send(&all, &[b"\x01"]);
    let raws = subscriber(&gateway, "RAW.a");
    await_prefixes(&gateway, 3);
    let publisher = publisher(&gateway, zmq::XPUB);
    assert_eq!(
        receive(&publisher),
        [b"\x01"],
        "the gateway subscribes to everything"
    );
    send(&publisher, &[&b"PERSON"[..], b"h", b"\xff"]);
    send(&publisher, &[b"NOBODY"]);
    send(&publisher, &[&b"PERSON"[..], b"h", ANN]);
    send(&publisher, &[&b"RAW.b"[..], b"1"]);
    send(&publisher, &[&b"RAW.a"[..], &[7; 100_000]]);
    assert_eq!(receive(&persons), [&b"PERSON"[..], b"h", ANN]);
    assert_eq!(receive(&raws), [&b"RAW.a"[..], &[7; 100_000]]);
    assert_eq!(receive(&all), [&b"PERSON"[..], b"h", ANN]);
    assert_eq!(texts(&receive(&all)), ["RAW.b", "1"]);
    assert_eq!(receive(&all), [&b"RAW.a"[..], &[7; 100_000]]);
    let channel = await_channel(&gateway, |channel| channel.counters.published == 3);
    let matched = if engine_is("native") { 5 } else { 3 };
    let counters = &channel.counters;
    assert_eq!((counters.matched, counters.sent), (matched, matched));
    assert_eq!((channel.publishers, channel.subscribers), (1, 3));
}

#[test]
fn a_plain_pub_is_served() {
    let gateway = ticks("");
    let (publisher, subscriber) = (publisher(&gateway, zmq::PUB), subscriber(&gateway, "RAW"));
    subscriber.set_rcvtimeo(10).unwrap();
    // A program does not notice when its PUB receives a subscription, and a PUB drops messages that
    // match no subscription.
    let deadline = Instant::now() + TEST_TIMEOUT;
    let got = loop {
        send(&publisher, &["RAW", "x"]);
        if let Ok(got) = subscriber.recv_multipart(0) {
            break got;
        }
        assert!(Instant::now() < deadline);
    };
    assert_eq!(texts(&got), ["RAW", "x"]);
}

#[test]
fn subscriptions_are_accepted_as_commands_and_as_messages() {
    let gateway = ticks("upstream: all");
    let at = gateway.endpoint("ticks.subscribers");
    let publisher = publisher(&gateway, zmq::XPUB);
    receive(&publisher);
    for minor in [0, 1] {
        let mut peer = raw(&at, minor, "SUB", "XPUB");
        // Each frame of a message may be a subscription. Other frames are ignored, and so is the
        // cancellation of a subscription that does not exist.
        peer.send(&message(&[
            &b"\x01RAW.a"[..],
            b"data",
            b"\x01RAW.b",
            b"\0none",
        ]));
        peer.send(&command(b"\x09SUBSCRIBERAW.c"));
        peer.send(&command(b"\x09SUBSCRIBERAW.d"));
        peer.send(&command(b"\x06CANCELRAW.d"));
        peer.send(&message(&[b"\0RAW.b"]));
        // The last subscription shows that the gateway has read all of them.
        let last = format!("LAST{minor}");
        peer.send(&command(format!("\x09SUBSCRIBE{last}").as_bytes()));
        await_channel(&gateway, |channel| {
            let shown = channel.shown.iter();
            let mut prefixes = shown.flat_map(|subscriber| &subscriber.prefixes);
            prefixes.any(|prefix| prefix == last.as_bytes())
        });
        for kind in ["RAW.a", "RAW.b", "RAW.d", "RAW.c"] {
            send(&publisher, &[kind, "x"]);
        }
        assert_eq!(texts(&peer.receive_message()), ["RAW.a", "x"]);
        assert_eq!(texts(&peer.receive_message()), ["RAW.c", "x"]);
    }
}

#[test]
fn the_gateway_connects_to_publishers_and_subscribers_that_listen() {
    let context = zmq::Context::new();
    let listening = |kind| {
        let socket = socket(&context, kind);
        socket.bind("tcp://127.0.0.1:*").unwrap();
        let at = socket.get_last_endpoint().unwrap().unwrap();
        (socket, format!(r#"{{ connect: "{at}" }}"#))
    };
    let ((publisher, from), (subscriber, to)) = (listening(zmq::XPUB), listening(zmq::SUB));
    subscriber.set_subscribe(b"RAW").unwrap();
    let _gateway = Gateway::start(&yaml(&from, &to, ""));
    // A listening SUB subscribes at a new peer only while its program uses the socket.
    publisher.set_rcvtimeo(10).unwrap();
    let deadline = Instant::now() + TEST_TIMEOUT;
    let subscription = loop {
        subscriber.get_events().unwrap();
        if let Ok(subscription) = publisher.recv_multipart(0) {
            break subscription;
        }
        assert!(Instant::now() < deadline);
    };
    assert_eq!(subscription, [b"\x01RAW"]);
    send(&publisher, &["RAW", "x"]);
    assert_eq!(texts(&receive(&subscriber)), ["RAW", "x"]);
}

#[test]
fn a_removed_channel_is_closed_and_the_others_stay() {
    let both = format!("{{ publishers: {ANYWHERE}, subscribers: {ANYWHERE} }}");
    let yaml = |channels: &str, routes: &str| {
        on_this_engine(&format!(
            "channels: {{ other: {both}{channels} }}\nroutes: {{ OTHER: {{ publish: other }}{routes} }}"
        ))
    };
    let more = format!(", ticks: {both}");
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start_as(directory, &yaml(&more, ", RAW: { publish: ticks }"));
    let mut publisher = raw(&gateway.endpoint("ticks.publishers"), 1, "PUB", "XSUB");
    let mut subscriber = raw(&gateway.endpoint("ticks.subscribers"), 1, "SUB", "XPUB");
    let staying = gateway.peer(zmq::SUB, "other.subscribers");
    staying.set_subscribe(b"OTHER").unwrap();
    let from = gateway.peer(zmq::XPUB, "other.publishers");
    receive(&from);
    std::fs::write(gateway.file(), yaml("", "")).unwrap();
    let mut snapshot = Inputs::read(&gateway.file(), &[]).load().unwrap().snapshot;
    // The remaining channel and route are first in both configurations, so their numbers agree.
    snapshot.names = gateway.snapshot().names.clone();
    snapshot.generation += 1;
    let reloader = gateway.running.as_ref().unwrap().reloader();
    reloader.reload(Arc::new(snapshot)).unwrap();
    assert_eq!(publisher.receive(), Received::End);
    assert_eq!(subscriber.receive(), Received::End);
    send(&from, &["OTHER", "x"]);
    assert_eq!(texts(&receive(&staying)), ["OTHER", "x"]);
}

#[test]
fn messages_queued_for_a_subscriber_are_sent_before_the_end() {
    let gateway = ticks("upstream: all");
    let mut subscriber = raw(&gateway.endpoint("ticks.subscribers"), 1, "SUB", "XPUB");
    subscriber.send(&command(b"\x09SUBSCRIBE"));
    await_prefixes(&gateway, 1);
    let publisher = publisher(&gateway, zmq::XPUB);
    receive(&publisher);
    for n in 0..150 {
        send(
            &publisher,
            &[&b"RAW"[..], n.to_string().as_bytes(), &[7; 60_000]],
        );
    }
    await_channel(&gateway, |channel| channel.counters.published == 150);
    gateway.control().drain();
    for n in 0..150 {
        assert_eq!(texts(&subscriber.receive_message())[1], n.to_string());
    }
    assert_eq!(subscriber.receive(), Received::End);
    gateway.end();
}

#[test]
fn publishers_receive_each_subscription_once_and_again_when_they_reconnect() {
    let gateway = ticks("");
    let first = subscriber(&gateway, "RAW");
    let second = subscriber(&gateway, "RAW");
    await_channel(&gateway, |channel| channel.subscribers == 2);
    await_channel(&gateway, |channel| channel.shown[0].prefix_count == 1);
    for round in 0..2 {
        let publisher = publisher(&gateway, zmq::XPUB);
        assert_eq!(texts(&receive(&publisher)), ["\x01RAW"]);
        let prefix = format!("RAW{round}");
        first.set_subscribe(prefix.as_bytes()).unwrap();
        assert_eq!(texts(&receive(&publisher)), [format!("\x01{prefix}")]);
        first.set_unsubscribe(prefix.as_bytes()).unwrap();
        assert_eq!(texts(&receive(&publisher)), [format!("\0{prefix}")]);
    }
    // A subscription at the publisher is cancelled once the last subscriber with this prefix has
    // disconnected.
    let publisher = publisher(&gateway, zmq::XPUB);
    assert_eq!(texts(&receive(&publisher)), ["\x01RAW"]);
    drop((first, second));
    assert_eq!(texts(&receive(&publisher)), ["\0RAW"]);
}

#[test]
fn a_subscriber_that_does_not_read_delays_no_other_peer() {
    let gateway = ticks("upstream: all");
    let mut silent = raw(&gateway.endpoint("ticks.subscribers"), 1, "SUB", "XPUB");
    silent.send(&command(b"\x09SUBSCRIBERAW"));
    let quick = subscriber(&gateway, "");
    await_prefixes(&gateway, 2);
    let publisher = publisher(&gateway, zmq::XPUB);
    receive(&publisher);
    let payload = vec![7; 60_000];
    for n in 0..400 {
        let number = n.to_string();
        send(&publisher, &[&b"RAW"[..], number.as_bytes(), &payload]);
        assert_eq!(receive(&quick)[1], number.as_bytes());
    }
}

/// If the subscription in the second frame of a message is known already, libzmq's XPUB passes only
/// the first frame to the engine. This frame announces a second frame, which is then missing.
#[test]
fn messages_from_a_subscriber_are_dropped_and_the_connection_stays() {
    let gateway = ticks("upstream: all");
    let reader = subscriber(&gateway, "RAW");
    await_prefixes(&gateway, 1);
    let at = gateway.endpoint("ticks.subscribers");
    let mut talker = raw(&at, 1, "XSUB", "XPUB");
    for _ in 0..3 {
        talker.send(&message(&[&b"RAW forged"[..], b"\x01RAW"]));
        talker.send(&message(&[&b""[..]]));
    }
    talker.send(&command(b"\x09SUBSCRIBELAST"));
    await_prefixes(&gateway, if engine_is("native") { 3 } else { 2 });
    let publisher = publisher(&gateway, zmq::XPUB);
    receive(&publisher);
    send(&publisher, &["RAW", "x"]);
    assert_eq!(texts(&receive(&reader)), ["RAW", "x"]);
    assert_eq!(texts(&talker.receive_message()), ["RAW", "x"]);
}

#[test]
fn clients_publish_and_are_answered() {
    let routes = "routes:\n  QUIET: { publish: ticks, ack: false }\n";
    let yaml = yaml(ANYWHERE, ANYWHERE, "").replace("routes:\n", routes);
    let frontends = "frontends: { clients: { bind: \"tcp://127.0.0.1:0\" } }";
    let gateway = Gateway::start(&format!("{frontends}\n{yaml}"));
    let (dealer, req) = (gateway.dealer(), gateway.req());
    // No subscriber is needed.
    send(&dealer, &[&b"PERSON"[..], b"h", ANN]);
    assert_eq!(texts(&receive(&dealer)), ["ACK", "h", ""]);
    let subscriber = subscriber(&gateway, "");
    await_prefixes(&gateway, 1);
    for client in [&dealer, &req] {
        send(client, &[&b"PERSON"[..], b"h", ANN]);
        assert_eq!(texts(&receive(client)), ["ACK", "h", ""]);
        assert_eq!(receive(&subscriber), [&b"PERSON"[..], b"h", ANN]);
        send(client, &[&b"PERSON"[..], b"h", b"\xff"]);
        let rejection = texts(&receive(client));
        assert_eq!(rejection[..2], ["ERROR", "h"]);
        assert!(rejection[2].contains(Reason::SchemaViolation.label()));
    }
    send(&dealer, &["QUIET", "x"]);
    send(&dealer, &["RAW", "y"]);
    assert_eq!(texts(&receive(&dealer)), ["ACK", ""]);
    assert_eq!(texts(&receive(&subscriber)), ["QUIET", "x"]);
    assert_eq!(texts(&receive(&subscriber)), ["RAW", "y"]);
    let ledger = gateway.end();
    assert_eq!(ledger.published, 5);
}

#[test]
fn single_frames_are_checked_and_forwarded_as_they_are() {
    let gateway = ticks("frames: single, upstream: all");
    let subscriber = subscriber(&gateway, "");
    await_prefixes(&gateway, 1);
    let publisher = publisher(&gateway, zmq::XPUB);
    receive(&publisher);
    send(&publisher, &[b"PERSON \xff"]);
    let valid = [&b"PERSON "[..], ANN].concat();
    send(&publisher, &[&valid]);
    send(&publisher, &[b"RAW 1"]);
    assert_eq!(receive(&subscriber), [valid]);
    assert_eq!(texts(&receive(&subscriber)), ["RAW 1"]);
}
