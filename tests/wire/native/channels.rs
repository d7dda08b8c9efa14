//! Tests of channels: publishers and subscribers of libzmq, and peers by hand of either version of
//! ZMTP.

use std::sync::Arc;

use gateway::config::Inputs;
use gateway::ledger::ChannelSample;

use crate::support::gateway::{Gateway, engine_is, on_this_engine};
use crate::support::process::Process;
use crate::support::sockets::{receive, send, socket, texts};
use crate::support::zmtp::{Raw, Said, command, greeting, message, ready};
use crate::support::{ANN, PATIENCE};

const ANYWHERE: &str = r#""tcp://127.0.0.1:0""#;

fn native() -> bool {
    engine_is("native")
}

fn yaml(publishers: &str, subscribers: &str, more: &str) -> String {
    format!(
        r#"
channels: {{ ticks: {{ publishers: {publishers}, subscribers: {subscribers}, {more} }} }}
routes:
  PERSON: {{ schema: demo.Person, publish: ticks }}
  RAW*: {{ publish: ticks }}
"#
    )
}

/// Starts a gateway with a channel that has these further settings.
fn ticks(more: &str) -> Gateway {
    Gateway::start(&yaml(ANYWHERE, ANYWHERE, more))
}

fn publisher(gateway: &Gateway, kind: zmq::SocketType) -> zmq::Socket {
    gateway.peer(kind, "ticks.publishers")
}

fn subscriber(gateway: &Gateway, prefix: &str) -> zmq::Socket {
    let subscriber = gateway.peer(zmq::SUB, "ticks.subscribers");
    subscriber.set_subscribe(prefix.as_bytes()).unwrap();
    subscriber
}

/// Asks for samples of the channel until one is as wanted, and returns it.
#[track_caller]
fn await_channel(gateway: &Gateway, wanted: impl Fn(&ChannelSample) -> bool) -> ChannelSample {
    let until = std::time::Instant::now() + PATIENCE;
    let observer = gateway.running.as_ref().unwrap().observer();
    loop {
        let sample = observer.sample(PATIENCE).expect("a sample");
        match sample.channels.first() {
            Some(channel) if wanted(channel) => return channel.clone(),
            channel => assert!(std::time::Instant::now() < until, "{channel:?}"),
        }
        std::thread::yield_now();
    }
}

/// Returns a raw peer of a minor version after its handshake, in which the gateway announces
/// `theirs`.
fn raw(endpoint: &str, minor: u8, ours: &str, theirs: &str) -> Raw {
    let mut raw = Raw::connect(endpoint);
    raw.say(&greeting(minor));
    raw.hear_greeting();
    raw.say(&command(&ready(ours, &[])));
    assert_eq!(raw.hear(), Said::Command(ready(theirs, &[])));
    raw
}

#[test]
fn a_valid_message_reaches_those_with_a_matching_prefix_and_an_invalid_one_nobody() {
    if !native() {
        return;
    }
    let gateway = ticks("upstream: all");
    let persons = subscriber(&gateway, "PER");
    let all = gateway.peer(zmq::XSUB, "ticks.subscribers");
    send(&all, &[b"\x01"]);
    let raws = subscriber(&gateway, "RAW.a");
    await_channel(&gateway, |it| {
        it.shown.iter().filter(|it| it.prefix_count == 1).count() == 3
    });
    let publisher = publisher(&gateway, zmq::XPUB);
    assert_eq!(receive(&publisher), [b"\x01"], "it is asked for everything");
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
    let channel = await_channel(&gateway, |it| it.counters.published == 3);
    assert_eq!((channel.counters.matched, channel.counters.sent), (5, 5));
}

#[test]
fn a_plain_pub_is_served() {
    if !native() {
        return;
    }
    let gateway = ticks("");
    let (publisher, subscriber) = (publisher(&gateway, zmq::PUB), subscriber(&gateway, "RAW"));
    subscriber.set_rcvtimeo(10).unwrap();
    // A PUB does not notice when it is asked, and drops what nobody has asked for.
    let until = std::time::Instant::now() + PATIENCE;
    let got = loop {
        send(&publisher, &["RAW", "x"]);
        if let Ok(got) = subscriber.recv_multipart(0) {
            break got;
        }
        assert!(std::time::Instant::now() < until);
    };
    assert_eq!(texts(&got), ["RAW", "x"]);
}

#[test]
fn publishers_of_both_versions_are_asked_for_each_prefix_once_and_again_when_they_return() {
    if !native() {
        return;
    }
    let gateway = ticks("");
    let first = subscriber(&gateway, "RAW");
    let second = subscriber(&gateway, "RAW");
    await_channel(&gateway, |it| {
        it.shown.iter().filter(|it| it.prefix_count == 1).count() == 2
    });
    let at = gateway.endpoint("ticks.publishers");
    for round in 0..2 {
        let mut newer = raw(&at, 1, "XPUB", "XSUB");
        let mut older = raw(&at, 0, "PUB", "XSUB");
        assert_eq!(newer.hear(), Said::Command(b"\x09SUBSCRIBERAW".to_vec()));
        assert_eq!(older.hear(), Said::Message(vec![b"\x01RAW".to_vec()]));
        let prefix = format!("RAW{round}");
        first.set_subscribe(prefix.as_bytes()).unwrap();
        first.set_unsubscribe(prefix.as_bytes()).unwrap();
        let (wanted, unwanted) = (
            format!("\x09SUBSCRIBE{prefix}"),
            format!("\x06CANCEL{prefix}"),
        );
        assert_eq!(newer.hear(), Said::Command(wanted.into_bytes()));
        assert_eq!(newer.hear(), Said::Command(unwanted.into_bytes()));
        let (wanted, unwanted) = (format!("\x01{prefix}"), format!("\0{prefix}"));
        assert_eq!(older.hear(), Said::Message(vec![wanted.into_bytes()]));
        assert_eq!(older.hear(), Said::Message(vec![unwanted.into_bytes()]));
    }
    drop(second);
}

#[test]
fn subscriptions_are_taken_as_commands_and_as_messages_from_either_version() {
    if !native() {
        return;
    }
    let gateway = ticks("upstream: all");
    let at = gateway.endpoint("ticks.subscribers");
    let publisher = publisher(&gateway, zmq::XPUB);
    receive(&publisher);
    for minor in [0, 1] {
        let mut peer = raw(&at, minor, "SUB", "XPUB");
        // Each frame of a message counts, data does not, and a cancellation may be of nothing.
        peer.say(&message(&[
            &b"\x01RAW.a"[..],
            b"data",
            b"\x01RAW.b",
            b"\0none",
        ]));
        peer.say(&command(b"\x09SUBSCRIBERAW.c"));
        peer.say(&command(b"\x09SUBSCRIBERAW.d"));
        peer.say(&command(b"\x06CANCELRAW.d"));
        peer.say(&message(&[b"\0RAW.b"]));
        // The PONG shows that all of it was taken.
        peer.say(&crate::support::zmtp::ping(0, b"x"));
        assert_eq!(peer.hear(), Said::Command(b"\x04PONGx".to_vec()));
        for kind in ["RAW.a", "RAW.b", "RAW.d", "RAW.c"] {
            send(&publisher, &[kind, "x"]);
        }
        assert_eq!(texts(&peer.hear_message()), ["RAW.a", "x"]);
        assert_eq!(texts(&peer.hear_message()), ["RAW.c", "x"]);
    }
}

#[test]
fn a_late_subscriber_first_receives_the_kept_value() {
    if !native() {
        return;
    }
    let gateway = ticks("keep: last");
    let publisher = publisher(&gateway, zmq::XPUB);
    receive(&publisher);
    send(&publisher, &["RAW.a", "1"]);
    send(&publisher, &["RAW.a", "2"]);
    send(&publisher, &["RAW.b", "3"]);
    await_channel(&gateway, |it| it.counters.published == 3);
    let late = subscriber(&gateway, "RAW.a");
    assert_eq!(texts(&receive(&late)), ["RAW.a", "2"]);
    send(&publisher, &["RAW.a", "4"]);
    assert_eq!(texts(&receive(&late)), ["RAW.a", "4"]);
}

#[test]
fn a_slow_subscriber_delays_nobody_and_its_losses_are_counted() {
    if !native() {
        return;
    }
    const MESSAGES: usize = 400;
    let gateway = ticks("upstream: all, subscriber_bytes: 1MiB");
    // It never reads.
    let mut slow = raw(&gateway.endpoint("ticks.subscribers"), 1, "SUB", "XPUB");
    slow.say(&command(b"\x09SUBSCRIBE"));
    let quick = subscriber(&gateway, "");
    await_channel(&gateway, |it| {
        it.shown.iter().filter(|it| it.prefix_count == 1).count() == 2
    });
    let publisher = publisher(&gateway, zmq::XPUB);
    receive(&publisher);
    let payload = vec![7; 60_000];
    for n in 0..MESSAGES {
        send(
            &publisher,
            &[&b"RAW"[..], n.to_string().as_bytes(), &payload],
        );
        assert_eq!(receive(&quick)[1], n.to_string().as_bytes());
    }
    let channel = await_channel(&gateway, |it| it.counters.published == MESSAGES as u64);
    let dropped: Vec<_> = channel.shown.iter().map(|it| it.dropped).collect();
    assert!(
        dropped.contains(&0) && dropped.iter().any(|it| *it > 0),
        "{channel:?}"
    );
    assert!(channel.waiting_bytes <= 2 << 20, "{channel:?}");
    for it in &channel.shown {
        assert_eq!(it.matched, it.sent + it.dropped + it.waiting as u64);
    }
    // Once it reads, it receives what waits, in order.
    let waiting = channel.waiting;
    let sent = channel.shown.iter().map(|it| it.sent).min().unwrap();
    let read = (0..sent + waiting).map(|_| slow.hear_message());
    let numbers = read.map(|it| texts(&it)[1].parse::<usize>().unwrap());
    assert!(numbers.collect::<Vec<_>>().is_sorted());
}

#[test]
fn the_gateway_connects_to_publishers_and_subscribers_that_listen() {
    if !native() {
        return;
    }
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
    // A listening SUB subscribes at a new peer only while it is used.
    publisher.set_rcvtimeo(10).unwrap();
    let until = std::time::Instant::now() + PATIENCE;
    let asked = loop {
        subscriber.get_events().unwrap();
        if let Ok(asked) = publisher.recv_multipart(0) {
            break asked;
        }
        assert!(std::time::Instant::now() < until);
    };
    assert_eq!(asked, [b"\x01RAW"]);
    send(&publisher, &["RAW", "x"]);
    assert_eq!(texts(&receive(&subscriber)), ["RAW", "x"]);
}

#[test]
fn a_removed_channel_is_closed_and_the_others_stay() {
    if !native() {
        return;
    }
    let both = format!("{{ publishers: {ANYWHERE}, subscribers: {ANYWHERE} }}");
    let of = |channels: &str, routes: &str| {
        on_this_engine(&format!(
            "channels: {{ other: {both}{channels} }}\nroutes: {{ OTHER: {{ publish: other }}{routes} }}"
        ))
    };
    let more = format!(", ticks: {both}");
    let directory = tempfile::tempdir().unwrap();
    let gateway = Gateway::start_as(directory, &of(&more, ", RAW: { publish: ticks }"));
    let mut publisher = raw(&gateway.endpoint("ticks.publishers"), 1, "PUB", "XSUB");
    let mut subscriber = raw(&gateway.endpoint("ticks.subscribers"), 1, "SUB", "XPUB");
    let staying = gateway.peer(zmq::SUB, "other.subscribers");
    staying.set_subscribe(b"OTHER").unwrap();
    let from = gateway.peer(zmq::XPUB, "other.publishers");
    receive(&from);
    std::fs::write(gateway.file(), of("", "")).unwrap();
    let mut snapshot = Inputs::read(&gateway.file(), &[]).load().unwrap().snapshot;
    // The remaining channel and route are first in both configurations, so their numbers agree.
    snapshot.names = gateway.snapshot().names.clone();
    snapshot.generation += 1;
    let reloader = gateway.running.as_ref().unwrap().reloader();
    reloader.reload(Arc::new(snapshot)).unwrap();
    assert_eq!(publisher.hear(), Said::End);
    assert_eq!(subscriber.hear(), Said::End);
    send(&from, &["OTHER", "x"]);
    assert_eq!(texts(&receive(&staying)), ["OTHER", "x"]);
}

#[test]
fn what_a_subscriber_has_not_read_is_sent_before_the_end() {
    if !native() {
        return;
    }
    let gateway = ticks("upstream: all");
    let mut subscriber = raw(&gateway.endpoint("ticks.subscribers"), 1, "SUB", "XPUB");
    subscriber.say(&command(b"\x09SUBSCRIBE"));
    await_channel(&gateway, |it| {
        it.shown.iter().any(|it| it.prefix_count == 1)
    });
    let publisher = publisher(&gateway, zmq::XPUB);
    receive(&publisher);
    for n in 0..150 {
        send(
            &publisher,
            &[&b"RAW"[..], n.to_string().as_bytes(), &[7; 60_000]],
        );
    }
    await_channel(&gateway, |it| it.counters.published == 150);
    gateway.control().drain();
    for n in 0..150 {
        assert_eq!(texts(&subscriber.hear_message())[1], n.to_string());
    }
    assert_eq!(subscriber.hear(), Said::End);
    gateway.end();
}

#[test]
fn a_socket_at_the_wrong_side_is_told_in_the_log() {
    if !native() {
        return;
    }
    let mut process = Process::start(&on_this_engine(&yaml(ANYWHERE, ANYWHERE, "")));
    for (side, kind, hint) in [
        (
            "publishers",
            "SUB",
            "subscribers connect to the addresses of a channel's `subscribers`",
        ),
        (
            "subscribers",
            "PUB",
            "publishers connect to the addresses of a channel's `publishers`",
        ),
    ] {
        let place = format!("{} side of channel ticks", side.trim_end_matches('s'));
        let mut raw = Raw::connect(&process.endpoint(&place));
        raw.say(&greeting(1));
        raw.hear_greeting();
        raw.say(&command(&ready(kind, &[])));
        let line = process.await_line(&format!("{place}: a connection is refused"));
        let said = line["message"].as_str().unwrap();
        assert!(said.contains(hint), "{said}");
        assert_eq!(raw.hear(), Said::End);
    }
}
