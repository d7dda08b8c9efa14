//! Tests of the behaviour of channels that is specific to engine libzmq. They use that engine in
//! every test run.

use serde_json::json;

use crate::channels::{ANYWHERE, await_channel, await_prefixes, publisher, raw, subscriber, yaml};
use crate::support::TEST_TIMEOUT;
use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::sockets::{receive, send, texts};
use crate::support::zmtp::{Received, command};

fn on_libzmq(more: &str) -> String {
    format!("engine: libzmq\n{}", yaml(ANYWHERE, ANYWHERE, more))
}

fn start(more: &str) -> Gateway {
    Gateway::start_as(tempfile::tempdir().unwrap(), &on_libzmq(more))
}

/// libzmq frees a subscription recursively, so a long prefix could overflow the stack.
#[test]
fn a_subscriber_with_a_prefix_of_kilobytes_is_disconnected_and_others_stay() {
    let gateway = start("upstream: all");
    let at = gateway.endpoint("ticks.subscribers");
    let reader = subscriber(&gateway, "RAW");
    await_prefixes(&gateway, 1);
    for bytes in [5_000, 10 << 20] {
        let mut greedy = raw(&at, 1, "SUB", "XPUB");
        let subscribe = [&b"\x09SUBSCRIBE"[..], &vec![b'R'; bytes]].concat();
        // The gateway may end the connection before it has read the whole command.
        greedy.try_send(&command(&subscribe));
        assert_eq!(greedy.receive(), Received::End);
    }
    let publisher = publisher(&gateway, zmq::XPUB);
    receive(&publisher);
    send(&publisher, &["RAW", "x"]);
    assert_eq!(texts(&receive(&reader)), ["RAW", "x"]);
}

#[test]
fn a_prefix_that_is_longer_than_any_type_is_ignored_and_logged() {
    let mut process = Process::start(&on_libzmq("upstream: all"));
    let at = process.endpoint("subscriber side of channel ticks");
    let mut peer = raw(&at, 1, "SUB", "XPUB");
    peer.send(&command(&[&b"\x09SUBSCRIBE"[..], &[b'R'; 256]].concat()));
    peer.send(&command(b"\x09SUBSCRIBERAW"));
    let why = "it subscribes to a prefix of more than 255 bytes, the maximum";
    let line = process.await_line(&format!("a subscription is ignored: {why}"));
    let facts = (&line["channel"], &line["level"]);
    assert_eq!(facts, (&json!("ticks"), &json!("WARN")));
    let context = zmq::Context::new();
    let publisher = process.peer(&context, zmq::XPUB, "publisher side of channel ticks");
    assert_eq!(receive(&publisher), [b"\x01"]);
    send(&publisher, &["RAW", "x"]);
    assert_eq!(texts(&peer.receive_message()), ["RAW", "x"]);
}

#[test]
fn the_peers_of_a_channel_are_counted_and_its_subscriptions_share_an_entry() {
    let gateway = start("");
    let mut peers = Vec::new();
    for prefix in ["RAW.a", "RAW.b", "RAW.a"] {
        peers.push(subscriber(&gateway, prefix));
        peers.push(publisher(&gateway, zmq::PUB));
    }
    await_prefixes(&gateway, 2);
    let counts = |publishers, subscribers| {
        await_channel(&gateway, |channel| {
            (channel.publishers, channel.subscribers) == (publishers, subscribers)
        })
    };
    let channel = counts(3, 3);
    let [shared] = &channel.shown[..] else {
        panic!("{channel:?}");
    };
    assert_eq!(texts(&shared.prefixes), ["RAW.a", "RAW.b"]);
    drop(peers);
    assert_eq!(counts(0, 0).shown.len(), 1);
    await_prefixes(&gateway, 0);
}

/// `limits.client_requests` bounds the number of a publisher's messages that wait for judges, which
/// are the threads that check payloads. Further messages remain in libzmq's queue.
#[test]
fn publishers_that_send_faster_than_judges_check_are_not_read() {
    const MESSAGES: usize = 300;
    let yaml = on_libzmq("upstream: all") + "limits: { client_requests: 10 }\n";
    let gateway = Gateway::start_as(tempfile::tempdir().unwrap(), &yaml);
    let reader = subscriber(&gateway, "PERSON");
    await_prefixes(&gateway, 1);
    let publisher = publisher(&gateway, zmq::XPUB);
    receive(&publisher);
    // The name has 400,000 bytes.
    let person = [&[0x12, 0x80, 0xb5, 0x18][..], &[b'x'; 400_000]].concat();
    let observer = gateway.running.as_ref().unwrap().observer();
    let judging = || observer.sample(TEST_TIMEOUT).expect("a sample").judging;
    let mut maximum = 0;
    for n in 0..MESSAGES {
        let number = n.to_string();
        send(&publisher, &[&b"PERSON"[..], number.as_bytes(), &person]);
        maximum = maximum.max(judging());
    }
    for n in 0..MESSAGES {
        assert_eq!(texts(&receive(&reader)[1..2]), [n.to_string()]);
        maximum = maximum.max(judging());
    }
    assert!((1..=6).contains(&maximum), "{maximum}");
}
