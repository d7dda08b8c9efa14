//! Tests of the behaviour of channels that is specific to engine native.

use crate::channels::{ANYWHERE, await_channel, publisher, raw, subscriber, ticks, yaml};
use crate::support::gateway::on_this_engine;
use crate::support::process::Process;
use crate::support::sockets::{receive, send, texts};
use crate::support::zmtp::{Raw, Received, command, greeting, ready};

#[test]
fn publishers_of_both_versions_receive_each_subscription_once_and_when_they_reconnect() {
    let gateway = ticks("");
    let first = subscriber(&gateway, "RAW");
    let second = subscriber(&gateway, "RAW");
    await_channel(&gateway, |channel| {
        let counts = channel
            .shown
            .iter()
            .map(|subscriber| subscriber.prefix_count);
        counts.filter(|count| *count == 1).count() == 2
    });
    let at = gateway.endpoint("ticks.publishers");
    for round in 0..2 {
        let mut newer = raw(&at, 1, "XPUB", "XSUB");
        let mut older = raw(&at, 0, "PUB", "XSUB");
        assert_eq!(
            newer.receive(),
            Received::Command(b"\x09SUBSCRIBERAW".to_vec())
        );
        assert_eq!(
            older.receive(),
            Received::Message(vec![b"\x01RAW".to_vec()])
        );
        let prefix = format!("RAW{round}");
        first.set_subscribe(prefix.as_bytes()).unwrap();
        first.set_unsubscribe(prefix.as_bytes()).unwrap();
        let (wanted, unwanted) = (
            format!("\x09SUBSCRIBE{prefix}"),
            format!("\x06CANCEL{prefix}"),
        );
        assert_eq!(newer.receive(), Received::Command(wanted.into_bytes()));
        assert_eq!(newer.receive(), Received::Command(unwanted.into_bytes()));
        let (wanted, unwanted) = (format!("\x01{prefix}"), format!("\0{prefix}"));
        assert_eq!(
            older.receive(),
            Received::Message(vec![wanted.into_bytes()])
        );
        assert_eq!(
            older.receive(),
            Received::Message(vec![unwanted.into_bytes()])
        );
    }
    drop(second);
}

#[test]
fn a_late_subscriber_first_receives_the_kept_value() {
    let gateway = ticks("keep: last");
    let publisher = publisher(&gateway, zmq::XPUB);
    receive(&publisher);
    send(&publisher, &["RAW.a", "1"]);
    send(&publisher, &["RAW.a", "2"]);
    send(&publisher, &["RAW.b", "3"]);
    await_channel(&gateway, |channel| channel.counters.published == 3);
    let late = subscriber(&gateway, "RAW.a");
    assert_eq!(texts(&receive(&late)), ["RAW.a", "2"]);
    send(&publisher, &["RAW.a", "4"]);
    assert_eq!(texts(&receive(&late)), ["RAW.a", "4"]);
}

#[test]
fn a_slow_subscriber_delays_no_other_peer_and_its_losses_are_counted() {
    const MESSAGES: usize = 400;
    let gateway = ticks("upstream: all, subscriber_bytes: 1MiB");
    // The slow subscriber never reads.
    let mut slow = raw(&gateway.endpoint("ticks.subscribers"), 1, "SUB", "XPUB");
    slow.send(&command(b"\x09SUBSCRIBE"));
    let quick = subscriber(&gateway, "");
    await_channel(&gateway, |channel| {
        let counts = channel
            .shown
            .iter()
            .map(|subscriber| subscriber.prefix_count);
        counts.filter(|count| *count == 1).count() == 2
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
    let channel = await_channel(&gateway, |channel| {
        channel.counters.published == MESSAGES as u64
    });
    let dropped: Vec<_> = channel
        .shown
        .iter()
        .map(|subscriber| subscriber.dropped)
        .collect();
    assert!(
        dropped.contains(&0) && dropped.iter().any(|count| *count > 0),
        "{channel:?}"
    );
    assert!(channel.waiting_bytes <= 2 << 20, "{channel:?}");
    for subscriber in &channel.shown {
        let sum = subscriber.sent + subscriber.dropped + subscriber.waiting as u64;
        assert_eq!(subscriber.matched, sum);
    }
    // Once the slow subscriber reads, it receives the queued messages in order.
    let waiting = channel.waiting;
    let sent = channel.shown.iter().map(|subscriber| subscriber.sent);
    let sent = sent.min().unwrap();
    let messages = (0..sent + waiting).map(|_| slow.receive_message());
    let numbers = messages.map(|message| texts(&message)[1].parse::<usize>().unwrap());
    assert!(numbers.collect::<Vec<_>>().is_sorted());
}

#[test]
fn a_socket_at_the_wrong_side_is_logged_with_the_remedy() {
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
        raw.send(&greeting(1));
        raw.receive_greeting();
        raw.send(&command(&ready(kind, &[])));
        let line = process.await_line(&format!("{place}: a connection is refused"));
        let message = line["message"].as_str().unwrap();
        assert!(message.contains(hint), "{message}");
        assert_eq!(raw.receive(), Received::End);
    }
}
