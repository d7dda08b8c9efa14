//! Tests of the division of long work on channels.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::delivery::SUBSCRIPTION_WORK;
use super::super::{Case, Core, Event, Outlet};
use crate::config::Origin;
use crate::ledger::{Fate, RequestOutcome};
use crate::peer::{Headcount, PeerId, PeerName};
use crate::snapshot::{ChannelId, Snapshot};

type Body = Vec<Vec<u8>>;

/// A channel whose messages have the types that begin with `T`, and another channel.
const CHANNELS: &str = r#"
channels:
  ticks: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0", keep: { last: 100 } }
  others: { publishers: "tcp://127.0.0.1:0", subscribers: "tcp://127.0.0.1:0" }
routes:
  T*: { schema: p.Tick, publish: ticks }
"#;

const TICKS: ChannelId = ChannelId(0);

const PUBLISHER: PeerId = PeerId(1);

const SUBSCRIBER: PeerId = PeerId(2);

/// An outlet that counts the messages to subscribers and the work, and keeps what judges have to
/// check.
#[derive(Default)]
struct Counting {
    sent: usize,
    /// The work in addition to one small message for each event, in units of the work for one small
    /// message.
    work: usize,
    cases: Vec<Case<Body>>,
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

    fn judge(&mut self, case: Box<Case<Body>>) -> Result<(), Box<Case<Body>>> {
        self.cases.push(*case);
        Ok(())
    }
}

/// A core with the channels, and the directory of its configuration.
struct World {
    directory: tempfile::TempDir,
    core: Core<Body>,
    out: Counting,
    generation: u64,
}

impl World {
    /// Starts a core whose messages have a field of this type.
    fn new(kind: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let snapshot = snapshot(directory.path(), CHANNELS, 1, kind);
        Self {
            core: Core::new(snapshot),
            directory,
            out: Counting::default(),
            generation: 1,
        }
    }

    fn on(&mut self, event: Event<Body>) {
        self.core.on(Duration::ZERO, event, &mut self.out);
    }

    fn publish(&mut self, kind: &str, payload: &[u8]) {
        self.on(Event::Message {
            peer: PUBLISHER,
            frames: vec![kind.as_bytes().to_vec(), payload.to_vec()],
        });
    }

    fn publisher_connects(&mut self) {
        self.on(Event::PublisherConnected {
            peer: PUBLISHER,
            channel: TICKS,
            headcount: Headcount::One,
            identity: b"publisher".to_vec(),
        });
    }

    fn subscriber_connects(&mut self) {
        self.on(Event::SubscriberConnected {
            peer: SUBSCRIBER,
            channel: TICKS,
            headcount: Headcount::One,
            name: Arc::new(PeerName {
                identity: b"subscriber".to_vec(),
                address: String::new(),
            }),
        });
    }

    fn subscribe(&mut self, prefix: &str) {
        self.on(Event::Subscribe {
            peer: SUBSCRIBER,
            prefix: prefix.into(),
        });
    }

    /// Adds these lines to routes.yaml, and changes the type of the field.
    fn reload(&mut self, more: &str, kind: &str) {
        self.generation += 1;
        let routes = [CHANNELS, more].concat();
        let snapshot = snapshot(self.directory.path(), &routes, self.generation, kind);
        self.on(Event::Reload { snapshot });
    }

    /// Continues the unfinished work until there is none, and returns the number of events.
    fn settle(&mut self) -> usize {
        let mut events = 0;
        while self.core.has_unfinished_work() {
            self.on(Event::Continue);
            events += 1;
        }
        events
    }
}

/// Returns the configuration with this number, whose messages have a field of this type.
fn snapshot(directory: &Path, routes: &str, generation: u64, kind: &str) -> Arc<Snapshot> {
    fs::create_dir_all(directory.join("schemas")).unwrap();
    let proto = format!("syntax = \"proto3\"; package p; message Tick {{ {kind} text = 1; }}");
    fs::write(directory.join("schemas/p.proto"), proto).unwrap();
    let loaded = Origin::of_text(routes, directory).read(&[]).load();
    let mut snapshot = loaded.unwrap_or_else(|found| panic!("{found}")).snapshot;
    snapshot.generation = generation;
    Arc::new(snapshot)
}

/// After an edit, each kept message is checked again. The check of a message of several kilobytes
/// is more work than the sending of many small messages.
#[test]
fn few_large_kept_messages_are_checked_again_within_one_event() {
    const COUNT: usize = 50;
    let mut world = World::new("string");
    world.publisher_connects();
    let payload = [&b"\x0a\xe0\x5d"[..], &[b'a'; 12_000]].concat();
    for _ in 0..COUNT {
        world.publish("T", &payload);
    }
    world.reload("", "bytes");
    world.subscriber_connects();
    world.subscribe("T");
    let events = 1 + world.settle();
    assert_eq!(world.out.sent, COUNT);
    assert!(events >= COUNT, "{events} events");
}

#[test]
fn a_kept_message_whose_type_another_route_takes_is_not_sent() {
    let mut world = World::new("string");
    world.publisher_connects();
    world.publish("T.a", b"");
    world.publish("T.b", b"");
    world.reload("  T.a: { publish: others }", "string");
    world.subscriber_connects();
    world.subscribe("");
    world.settle();
    assert_eq!(world.out.sent, 1);
}

#[test]
fn a_message_that_was_judged_before_an_edit_is_checked_again() {
    let mut world = World::new("repeated uint32");
    world.publisher_connects();
    // The packed numbers are valid UTF-8, but the last of them is not.
    let payload = [&b"\x0a\xc0\xb8\x02"[..], &[b'a'; 39_999], b"\x80\x01"].concat();
    world.publish("T", &payload[..payload.len() - 1]);
    let valid = [&b"\x0a\xc0\xb8\x02"[..], &[b'a'; 40_000]].concat();
    world.publish("T", &valid);
    assert_eq!(world.out.sent, 0);
    world.reload("", "Tick");
    while let Some(case) = world.out.cases.pop() {
        let verdict = Box::new(case.judge());
        world.on(Event::Judged { verdict });
    }
    world.subscriber_connects();
    world.subscribe("T");
    world.settle();
    while let Some(case) = world.out.cases.pop() {
        let verdict = Box::new(case.judge());
        world.on(Event::Judged { verdict });
        world.settle();
    }
    assert_eq!(world.out.sent, 0);
}

#[test]
fn kept_messages_of_a_removed_channel_and_of_other_frames_are_dropped() {
    let mut world = World::new("string");
    world.publisher_connects();
    world.publish("T", b"");
    world.reload("  U: { publish: others }", "string");
    let single = CHANNELS.replace("keep: {", "frames: single, keep: {");
    world.generation += 1;
    let next = snapshot(world.directory.path(), &single, world.generation, "string");
    world.on(Event::Reload { snapshot: next });
    world.subscriber_connects();
    world.subscribe("T");
    world.settle();
    assert_eq!(world.out.sent, 0);
    let removed = "channels: { others: { publishers: \"tcp://127.0.0.1:0\", subscribers: \"tcp://127.0.0.1:0\" } }\nroutes: { U: { publish: others } }";
    world.reload("", "string");
    world.publish("T", b"");
    world.generation += 1;
    let next = snapshot(world.directory.path(), removed, world.generation, "string");
    world.on(Event::Reload { snapshot: next });
    world.settle();
    assert_eq!(world.core.channels[TICKS.0].sample(0).kept, 0);
}

/// A channel may have hundreds of thousands of prefixes, and a change of a subscription then takes
/// as long as several messages.
#[test]
fn changes_of_subscriptions_count_as_more_work_than_messages() {
    const COUNT: usize = 100;
    let mut world = World::new("string");
    world.subscriber_connects();
    for n in 0..COUNT {
        world.subscribe(&format!("T{n}"));
    }
    let work = world.out.work;
    assert!(work >= COUNT * SUBSCRIPTION_WORK, "{work}");
    world.on(Event::Disconnected { peer: SUBSCRIBER });
    let events = world.settle();
    assert!(events >= 4, "{events} events");
}
