//! Tests of two attacks of subscribers, which security advisories on libzmq describe. In the first
//! attack, a subscriber sends long subscriptions, which libzmq processed by recursion. In the
//! second attack, a subscriber sends messages to the publisher, and libzmq never freed the metadata
//! of such messages.

use crate::support::attack::assert_bounded;
use crate::support::process::Process;
use crate::support::zmtp::{COMMAND, Raw, Received, command, frame, long, message};

const SUBSCRIBERS: &str = "subscriber side of channel ticks";

fn start() -> Process {
    Process::start(
        r#"
engine: native
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
channels: { ticks: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes: { "tick.*": { publish: ticks }, OPAQUE: { pool: people } }
limits: { message: 32MiB }
"#,
    )
}

/// Asserts that a client's message still reaches an honest subscriber.
fn assert_publishes(gateway: &Process) {
    let mut subscriber = Raw::peer(&gateway.endpoint(SUBSCRIBERS), "SUB");
    subscriber.send(&command(b"\x09SUBSCRIBEtick."));
    let mut client = Raw::peer(&gateway.endpoint("frontend clients"), "DEALER");
    // The subscription may arrive after the first messages.
    loop {
        client.send(&message(&["tick.a", "x"]));
        assert_eq!(client.receive_message()[0], b"ACK");
        subscriber.send(&command(b"\x04PING\0\0."));
        match subscriber.receive() {
            Received::Message(frames) => return assert_eq!(frames, [&b"tick.a"[..], b"x"]),
            Received::Command(pong) => assert_eq!(pong, b"\x04PONG."),
            Received::End => panic!("the honest subscriber is disconnected"),
        }
    }
}

#[test]
fn subscriptions_beyond_the_limit_end_the_connection_and_cost_no_stack() {
    let gateway = start();
    let endpoint = gateway.endpoint(SUBSCRIBERS);
    assert_bounded(&gateway, 96, || {
        for size in [256, 64 << 10, 1 << 20, 16 << 20] {
            let topic = vec![b'x'; size];
            let forms = [
                (
                    "a command",
                    long(COMMAND, &[b"\x09SUBSCRIBE", &topic[..]].concat()),
                ),
                ("a message", frame(0, &[&[1], &topic[..]].concat())),
            ];
            for (form, subscription) in forms {
                let mut raw = Raw::peer(&endpoint, "SUB");
                raw.try_send(&subscription);
                raw.try_send(&command(&[b"\x06CANCEL", &topic[..size.min(200)]].concat()));
                let mut received = raw.receive();
                if let Received::Command(error) = &received {
                    assert!(error.starts_with(b"\x05ERROR"), "{form} of {size} bytes");
                    received = raw.receive();
                }
                assert_eq!(received, Received::End, "{form} of {size} bytes");
            }
        }
    });
    assert_publishes(&gateway);
}

#[test]
fn messages_from_a_subscriber_reach_no_peer_and_cost_no_memory() {
    let gateway = start();
    let endpoint = gateway.endpoint(SUBSCRIBERS);
    let mut subscriber = Raw::peer(&endpoint, "SUB");
    subscriber.send(&command(b"\x09SUBSCRIBEtick."));
    assert_bounded(&gateway, 48, || {
        for _ in 0..20 {
            let mut raw = Raw::peer(&endpoint, "SUB");
            for _ in 0..100 {
                if !raw.try_send(&message(&["tick.a", &"x".repeat(50_000)])) {
                    break;
                }
            }
        }
    });
    assert_publishes(&gateway);
    // The first message that the honest subscriber receives is the client's.
    let frames = subscriber.receive_message();
    assert_eq!(frames, [&b"tick.a"[..], b"x"]);
}
