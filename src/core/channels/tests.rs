//! Tests of the division of long work on channels.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::delivery::SUBSCRIPTION_WORK;
use super::super::{Core, Event, Outlet};
use crate::config::Origin;
use crate::ledger::{Fate, RequestOutcome};
use crate::peer::{Headcount, PeerId, PeerName};
use crate::snapshot::{ChannelId, Snapshot};

type Body = Vec<Vec<u8>>;

const ROUTES: &str = r#"
channels:
  ticks: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0", keep: { last: 100 } }
routes:
  T: { schema: p.Tick, publish: ticks }
"#;

/// An outlet that counts the messages to subscribers and the work.
#[derive(Default)]
struct Counting {
    sent: usize,
    /// The work in addition to one small message for each event, in units of the work for one small
    /// message.
    work: usize,
}

impl Outlet<Body> for Counting {
    fn to_worker(&mut self, _: PeerId, _: &[&[u8]], body: Body) -> Result<(), Body> {
        Err(body)
    }

    fn to_client(&mut self, _: PeerId, _: &[&[u8]], _: Body, _: RequestOutcome) -> Fate {
        Fate::Delivered
    }

    fn to_subscriber(&mut self, _: PeerId, _: &Body) -> bool {
        self.sent += 1;
        true
    }

    fn spend(&mut self, messages: usize) {
        self.work += messages;
    }
}

/// Returns the configuration with this number, whose messages have a field of this type.
fn snapshot(directory: &Path, generation: u64, kind: &str) -> Arc<Snapshot> {
    fs::create_dir_all(directory.join("schemas")).unwrap();
    let proto = format!("syntax = \"proto3\"; package p; message Tick {{ {kind} text = 1; }}");
    fs::write(directory.join("schemas/p.proto"), proto).unwrap();
    let loaded = Origin::of_text(ROUTES, directory).read(&[]).load();
    let mut snapshot = loaded.unwrap_or_else(|found| panic!("{found}")).snapshot;
    snapshot.generation = generation;
    Arc::new(snapshot)
}

/// After an edit of the schema, each kept message is checked again. The check of a message of
/// several kilobytes is more work than the sending of many small messages.
#[test]
fn few_large_kept_messages_are_checked_again_within_one_event() {
    const COUNT: usize = 50;
    let directory = tempfile::tempdir().unwrap();
    let mut core = Core::new(snapshot(directory.path(), 1, "string"));
    let mut out = Counting::default();
    let (publisher, subscriber, channel) = (PeerId(1), PeerId(2), ChannelId(0));
    let mut on = |event| core.on(Duration::ZERO, event, &mut out);
    let name = |identity: &str| PeerName {
        identity: identity.into(),
        address: String::new(),
    };
    on(Event::PublisherConnected {
        peer: publisher,
        channel,
        headcount: Headcount::One,
        identity: b"publisher".to_vec(),
    });
    let payload = [&b"\x0a\xe0\x5d"[..], &[b'a'; 12_000]].concat();
    for _ in 0..COUNT {
        on(Event::Message {
            peer: publisher,
            frames: vec![b"T".to_vec(), payload.clone()],
        });
    }
    on(Event::Reload {
        snapshot: snapshot(directory.path(), 2, "bytes"),
    });
    on(Event::SubscriberConnected {
        peer: subscriber,
        channel,
        headcount: Headcount::One,
        name: Arc::new(name("subscriber")),
    });
    on(Event::Subscribe {
        peer: subscriber,
        prefix: b"T".to_vec(),
    });
    let mut events = 1;
    while core.has_unfinished_work() {
        core.on(Duration::ZERO, Event::Continue, &mut out);
        events += 1;
    }
    assert_eq!(out.sent, COUNT);
    assert!(events >= COUNT, "{events} events");
}

/// A channel may have hundreds of thousands of prefixes, and a change of a subscription then takes
/// as long as several messages.
#[test]
fn changes_of_subscriptions_count_as_more_work_than_messages() {
    const COUNT: usize = 100;
    let directory = tempfile::tempdir().unwrap();
    let mut core = Core::new(snapshot(directory.path(), 1, "string"));
    let mut out = Counting::default();
    let peer = PeerId(1);
    let mut on = |event| core.on(Duration::ZERO, event, &mut out);
    on(Event::SubscriberConnected {
        peer,
        channel: ChannelId(0),
        headcount: Headcount::One,
        name: Arc::new(PeerName {
            identity: b"subscriber".to_vec(),
            address: String::new(),
        }),
    });
    for n in 0..COUNT {
        let prefix = format!("T{n}").into_bytes();
        on(Event::Subscribe { peer, prefix });
    }
    assert!(out.work >= COUNT * SUBSCRIPTION_WORK, "{}", out.work);
    core.on(Duration::ZERO, Event::Disconnected { peer }, &mut out);
    let mut events = 0;
    while core.has_unfinished_work() {
        core.on(Duration::ZERO, Event::Continue, &mut out);
        events += 1;
    }
    assert!(events >= 4, "{events} events");
}
