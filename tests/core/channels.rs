//! Channels under seeded random schedules. Publishers, subscribers and publishing clients connect,
//! disconnect, stall, subscribe twice and cancel subscriptions that they do not have. Judges reach
//! their verdicts in any order, and reloads change every setting.
//!
//! On each channel, a witness subscribes to all messages and always has room, so it receives every
//! published message in order. Every other subscriber must receive, in the same order, the messages
//! with its prefixes, preceded by the kept messages for each new prefix. Only as many messages may
//! be missing as are counted as dropped.
//!
//! In some schedules, the core does only a part of an event's work at once, and other events follow
//! before the rest is done.
//!
//! `CHANNELS_SEED=n cargo test --test core` replays a seed that failed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use gateway::core::{Case, Core, Event, Outlet};
use gateway::ledger::{Fate, RequestOutcome};
use gateway::peer::{ClientKind, Headcount, PeerId, PeerName};
use gateway::reply::{ErrorEncoding, Reason};
use gateway::route::{RouteTable, TypePattern};
use gateway::security::Security;
use gateway::snapshot::{
    Access, Allowed, AnyOf, ChannelFrames, ChannelId, ChannelSettings, ChannelSide, EngineKind,
    Frontend, FrontendId, Keep, Limits, LogSettings, MemoryLimit, Names, ReloadSettings, Route,
    Slow, Snapshot, Target, Upstream,
};

use gateway_zmtp::session::NullPeers;

use crate::simulation::any_of;

/// The number of schedules in an ordinary run. `CHANNELS_SCHEDULES=n` sets another number.
const SCHEDULES: u64 = 6_000;

/// The number of steps of a schedule.
const STEPS: usize = 150;

const CHANNELS: usize = 2;

type Frames = Vec<Vec<u8>>;

#[test]
fn every_subscriber_receives_exactly_the_valid_messages_with_its_prefixes() {
    let number = |name: &str| -> Option<u64> { std::env::var(name).ok()?.parse().ok() };
    if let Some(seed) = number("CHANNELS_SEED") {
        World::new(seed).run();
        return;
    }
    let mut reached = Reached::default();
    for seed in 0..number("CHANNELS_SCHEDULES").unwrap_or(SCHEDULES) {
        let run = std::panic::catch_unwind(|| World::new(seed).run());
        let Ok(world) = run else {
            panic!("seed {seed} failed; CHANNELS_SEED={seed} cargo test --test core replays it");
        };
        reached.add(&world.net.reached);
    }
    // Schedules prove little unless they reach every outcome.
    let Reached {
        published,
        rejected,
        judged,
        acknowledged,
        replayed,
        refreshed,
        dropped,
        disconnected,
        continued,
        resumed,
        deferred,
    } = reached;
    for (what, count) in [
        ("published", published),
        ("rejected", rejected),
        ("judged", judged),
        ("acknowledged", acknowledged),
        ("replayed", replayed),
        ("kept messages that became invalid", refreshed),
        ("dropped", dropped),
        ("disconnected for being slow", disconnected),
        ("continued", continued),
        ("resumed", resumed),
        ("deferred", deferred),
    ] {
        assert!(count > 200, "{what}: {count}");
    }
}

/// The number of occurrences of each outcome.
#[derive(Debug, Default)]
struct Reached {
    published: u64,
    rejected: u64,
    judged: u64,
    acknowledged: u64,
    replayed: u64,
    refreshed: u64,
    dropped: u64,
    disconnected: u64,
    continued: u64,
    resumed: u64,
    deferred: u64,
}

impl Reached {
    fn add(&mut self, other: &Self) {
        self.published += other.published;
        self.rejected += other.rejected;
        self.judged += other.judged;
        self.acknowledged += other.acknowledged;
        self.replayed += other.replayed;
        self.refreshed += other.refreshed;
        self.dropped += other.dropped;
        self.disconnected += other.disconnected;
        self.continued += other.continued;
        self.resumed += other.resumed;
        self.deferred += other.deferred;
    }
}

#[derive(Debug)]
struct SimSubscriber {
    channel: usize,
    prefixes: Vec<Vec<u8>>,
    /// The kept messages that the subscriber must receive first, by the numbers of the message and
    /// of the subscription. The subscriber may cancel a subscription and subscribe again before it
    /// reads.
    replay: BTreeMap<(u64, u64), Frames>,
    /// The messages that the subscriber must receive next, the oldest first.
    expected: VecDeque<Frames>,
    /// True if a change of the subscriber's subscriptions may be deferred.
    has_deferred: bool,
    /// The messages that the subscriber received during the present event.
    received: Vec<Frames>,
    /// Three numbers of messages: those that the subscriber should have received, those that it has
    /// received, and those that it can no longer receive, because a later message has arrived.
    counts: [u64; 3],
    has_room: bool,
}

/// A publisher, or a client that publishes.
#[derive(Debug)]
struct Sender {
    /// The channel, or `None` for a client.
    channel: Option<usize>,
    /// The prefixes to which the gateway has subscribed at a publisher.
    upstream: BTreeSet<Vec<u8>>,
    /// The valid messages that the sender has sent and that are not published yet, each with its
    /// channel and the generation in which it was sent.
    valid: VecDeque<((usize, Frames), u64)>,
    /// The headers of a client's messages that are not answered yet.
    open: Vec<Vec<u8>>,
    is_disconnected: bool,
    /// True if the connection of a publisher has room for subscriptions.
    has_room: bool,
}

#[derive(Debug, Default)]
struct Net {
    subscribers: BTreeMap<PeerId, SimSubscriber>,
    senders: BTreeMap<PeerId, Sender>,
    /// The channels of the witnesses.
    witnesses: BTreeMap<PeerId, usize>,
    /// The messages that witnesses received during the present event.
    witnessed: Vec<(usize, Frames)>,
    cases: Vec<Case<Frames>>,
    has_judges: bool,
    disconnected: Vec<PeerId>,
    /// The subscribers that must not be read.
    paused: BTreeSet<PeerId>,
    /// The maximum work on a channel within one event, which `Outlet::work_max` returns.
    work_max: usize,
    reached: Reached,
}

impl Outlet<Frames> for Net {
    fn to_worker(&mut self, _: PeerId, _: &[&[u8]], _: Frames) -> Result<(), Frames> {
        panic!("there are no workers");
    }

    fn to_client(&mut self, client: PeerId, _: &[&[u8]], body: Frames, _: RequestOutcome) -> Fate {
        let sender = self.senders.get_mut(&client).expect("a client");
        if sender.is_disconnected {
            return Fate::Gone;
        }
        match &*body[0] {
            b"ACK" => {
                self.reached.acknowledged += 1;
                assert_eq!((body.len(), &*body[2]), (3, &b""[..]));
            }
            kind => assert_eq!(kind, b"ERROR"),
        }
        let index = sender.open.iter().position(|header| *header == body[1]);
        sender
            .open
            .remove(index.expect("one answer to each message"));
        Fate::Delivered
    }

    fn to_subscriber(&mut self, peer: PeerId, body: &Frames) -> bool {
        if let Some(channel) = self.witnesses.get(&peer) {
            self.witnessed.push((*channel, body.clone()));
            return true;
        }
        let subscriber = self.subscribers.get_mut(&peer).expect("a subscriber");
        if subscriber.has_room {
            subscriber.received.push(body.clone());
        }
        subscriber.has_room
    }

    fn set_subscription(&mut self, peer: PeerId, prefix: &[u8], wanted: bool) {
        let publisher = self.senders.get_mut(&peer).expect("a publisher");
        if wanted {
            publisher.upstream.insert(prefix.to_vec());
        } else {
            let was_upstream = publisher.upstream.remove(prefix);
            assert!(was_upstream, "a prefix is cancelled without a subscription");
        }
    }

    fn has_room_for_subscription(&mut self, peer: PeerId) -> bool {
        self.senders[&peer].has_room
    }

    fn work_max(&self) -> usize {
        self.work_max
    }

    fn pause(&mut self, peer: PeerId) {
        // Publishers are paused, too, when many of their messages wait for judges. The model
        // ignores these pauses.
        if self.subscribers.contains_key(&peer) {
            assert!(self.paused.insert(peer), "the subscriber is paused already");
        }
    }

    fn resume(&mut self, peer: PeerId) {
        self.reached.resumed += u64::from(self.paused.remove(&peer));
    }

    fn disconnect(&mut self, peer: PeerId, _: String) {
        self.disconnected.push(peer);
    }

    fn judge(&mut self, case: Box<Case<Frames>>) -> Result<(), Box<Case<Frames>>> {
        if !self.has_judges {
            return Err(case);
        }
        self.cases.push(*case);
        Ok(())
    }
}

/// A message that a channel keeps.
#[derive(Clone, Debug)]
struct KeptMessage {
    number: u64,
    kind: Vec<u8>,
    frames: Frames,
    at: Duration,
    /// The generation by whose routes the message was checked last.
    generation: u64,
}

/// The model of a channel.
#[derive(Debug)]
struct SimChannel {
    settings: ChannelSettings,
    kept: Vec<KeptMessage>,
}

impl SimChannel {
    /// Returns the number of kept messages that are older than the settings allow.
    fn expired(&self, now: Duration) -> usize {
        let Keep::For(time) = self.settings.keep else {
            return 0;
        };
        let old = self.kept.iter().filter(|kept| now - kept.at > time);
        old.count()
    }

    fn trim(&mut self, now: Duration) {
        match self.settings.keep {
            Keep::None => self.kept.clear(),
            Keep::Last(_) => {}
            Keep::For(time) => self.kept.retain(|kept| now - kept.at <= time),
        }
    }

    /// Drops all but the last messages of each type for which `concerns` returns true, if the
    /// settings keep a number of messages of each type.
    fn limit(&mut self, concerns: impl Fn(&[u8]) -> bool) {
        let Keep::Last(most) = self.settings.keep else {
            return;
        };
        let mut left: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        let mut kept: Vec<_> = std::mem::take(&mut self.kept);
        kept.reverse();
        kept.retain(|kept| {
            let count = left.entry(kept.kind.clone()).or_default();
            *count += 1;
            *count <= most || !concerns(&kept.kind)
        });
        kept.reverse();
        self.kept = kept;
    }
}

/// The type patterns of routes, and whether each has a schema. Every payload of `c*` is passed to a
/// judge.
const PATTERNS: [(&str, bool); 4] = [("a*", false), ("ab", true), ("b.x", true), ("c*", true)];

/// The types of messages. The last type has no route.
const KINDS: [&str; 6] = ["a", "ab", "abc", "b.x", "c1", "none"];

/// The channel of each pattern, and whether its route acknowledges.
type Routing = [Option<(usize, bool)>; PATTERNS.len()];

/// Returns the index of the pattern whose route a message of this type takes.
fn pattern_of(kind: &[u8], routing: &Routing) -> Option<usize> {
    match kind {
        b"ab" if routing[1].is_some() => Some(1),
        b"b.x" => Some(2),
        [b'a', ..] => Some(0),
        [b'c', ..] => Some(3),
        _ => None,
    }
}

struct World {
    rng: Rng,
    core: Core<Frames>,
    net: Net,
    now: Duration,
    next: u64,
    channels: Vec<SimChannel>,
    routing: Routing,
    generation: u64,
}

fn settings(channel: usize, frames: ChannelFrames, rng: &mut Rng) -> ChannelSettings {
    ChannelSettings {
        name: format!("channel{channel}"),
        publishers: ChannelSide::default(),
        subscribers: ChannelSide::default(),
        keep: match rng.u8(0..4) {
            0 => Keep::None,
            1 => Keep::For(Duration::from_secs(rng.u64(1..20))),
            _ => Keep::Last(rng.u32(1..4)),
        },
        keep_bytes: 1 << 30,
        slow: [
            Slow::DropNew,
            Slow::DropOld,
            Slow::Conflate,
            Slow::Disconnect,
        ][rng.usize(0..4)],
        subscriber_bytes: [600, 1_500, 1 << 30][rng.usize(0..3)],
        upstream: [Upstream::Auto, Upstream::Subscriptions, Upstream::All][rng.usize(0..3)],
        frames,
    }
}

fn routing(rng: &mut Rng) -> Routing {
    PATTERNS.map(|_| (rng.u8(0..6) > 0).then(|| (rng.usize(0..CHANNELS), rng.bool())))
}

fn snapshot(channels: &[SimChannel], routing: &Routing, generation: u64) -> Arc<Snapshot> {
    let mut names = Names::default();
    // A route keeps its number while it is removed.
    let ids = PATTERNS.map(|(name, _)| names.route(name));
    let all = PATTERNS.iter().zip(ids).zip(routing);
    let routes = all.filter_map(|((pattern, id), to)| {
        let (name, has_schema) = *pattern;
        let (channel, ack) = (*to)?;
        let schema: Option<AnyOf> =
            has_schema.then(|| any_of("P", &[gateway_schema::Encoding::Protobuf]));
        let schema = schema.map(|schema| match name {
            "c*" => schema.with_judged_from(0),
            _ => schema,
        });
        let route = Route {
            id,
            name: name.into(),
            kind: (!name.ends_with('*')).then(|| name.into()),
            schema,
            reply: None,
            target: Target::Channel {
                channel: ChannelId(channel),
                ack,
            },
            timeout: None,
            access: None,
        };
        let pattern = match name.strip_suffix('*') {
            Some(prefix) => TypePattern::Prefix(prefix.as_bytes().into()),
            None => TypePattern::Exact(name.as_bytes().into()),
        };
        Some((pattern, Arc::new(route)))
    });
    let routes = RouteTable::new(routes.collect::<Vec<_>>());
    let channels = channels.iter().enumerate();
    Arc::new(Snapshot {
        generation,
        engine: EngineKind::Native,
        frontends: [(FrontendId(0), frontend())].into(),
        pools: BTreeMap::new(),
        channels: channels
            .map(|(n, channel)| (ChannelId(n), Arc::new(channel.settings.clone())))
            .collect(),
        routes,
        protos: BTreeMap::new(),
        definitions: Default::default(),
        limits: Limits {
            message: 1_000,
            frames: 7,
            depth: 10,
            rules: 1_000,
            rules_cost: 1_000_000,
            clients: 100,
            client_requests: 1_000,
            client_bytes: 1 << 20,
            memory: MemoryLimit::default(),
        },
        grace: Duration::from_secs(1),
        reload: ReloadSettings {
            watch: false,
            settle: Duration::ZERO,
        },
        admin: None,
        log: LogSettings::default(),
        names,
    })
}

fn frontend() -> Frontend {
    Frontend {
        name: "clients".into(),
        endpoints: Default::default(),
        errors: ErrorEncoding::Json,
        framing: Arc::default(),
        security: None,
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let channels: Vec<_> = (0..CHANNELS)
            .map(|n| {
                let frames = match rng.u8(0..3) {
                    0 => ChannelFrames::Single(b" ".as_slice().into()),
                    _ => ChannelFrames::Typed,
                };
                SimChannel {
                    settings: settings(n, frames, &mut rng),
                    kept: Vec::new(),
                }
            })
            .collect();
        let routing = routing(&mut rng);
        let mut world = Self {
            core: Core::new(snapshot(&channels, &routing, 1)),
            rng,
            net: Net::default(),
            now: Duration::ZERO,
            next: 0,
            channels,
            routing,
            generation: 1,
        };
        world.net.has_judges = world.rng.u8(0..4) > 0;
        world.net.work_max = match world.rng.bool() {
            true => usize::MAX,
            false => world.rng.usize(1..4),
        };
        for channel in 0..CHANNELS {
            let peer = world.subscriber_connects(channel);
            world.net.witnesses.insert(peer, channel);
            let prefix = Vec::new();
            world.on(Event::Subscribe { peer, prefix });
        }
        world
    }

    fn run(mut self) -> Self {
        for _ in 0..STEPS {
            self.now += Duration::from_millis(self.rng.u64(0..500));
            self.step();
        }
        self.end();
        self
    }

    fn step(&mut self) {
        match self.rng.u8(0..20) {
            0 => {
                let channel = self.rng.usize(0..CHANNELS);
                let peer = self.subscriber_connects(channel);
                let subscriber = SimSubscriber {
                    channel,
                    prefixes: Vec::new(),
                    replay: BTreeMap::new(),
                    has_deferred: false,
                    expected: VecDeque::new(),
                    received: Vec::new(),
                    counts: [0; 3],
                    has_room: self.rng.bool(),
                };
                self.net.subscribers.insert(peer, subscriber);
            }
            1 => self.sender_connects(),
            2 => {
                let all: Vec<_> = self.net.subscribers.keys().copied().collect();
                if let Some(peer) = self.rng.choice(all) {
                    self.subscriber_disconnects(peer);
                }
            }
            3 => {
                if let Some(peer) = self.any_sender() {
                    self.net.senders.get_mut(&peer).unwrap().is_disconnected = true;
                    self.on(Event::Disconnected { peer });
                }
            }
            4..8 => self.subscribes(),
            8 => self.reloads(),
            9..11 => self.stalls_or_reads(),
            11 => self.publisher_stalls_or_reads(),
            12 => self.gives_verdict(),
            _ => self.sends(),
        }
    }

    fn peer(&mut self) -> PeerId {
        self.next += 1;
        PeerId(self.next)
    }

    fn subscriber_connects(&mut self, channel: usize) -> PeerId {
        let peer = self.peer();
        let name = PeerName {
            identity: peer.0.to_string().into_bytes(),
            ..PeerName::default()
        };
        let (channel, name) = (ChannelId(channel), Arc::new(name));
        self.on(Event::SubscriberConnected {
            peer,
            channel,
            headcount: Headcount::One,
            name,
        });
        peer
    }

    fn subscriber_disconnects(&mut self, peer: PeerId) {
        self.net.subscribers.remove(&peer);
        self.net.paused.remove(&peer);
        self.on(Event::Disconnected { peer });
    }

    fn sender_connects(&mut self) {
        let peer = self.peer();
        let channel = (self.rng.u8(0..3) > 0).then(|| self.rng.usize(0..CHANNELS));
        let sender = Sender {
            channel,
            upstream: BTreeSet::new(),
            valid: VecDeque::new(),
            open: Vec::new(),
            is_disconnected: false,
            has_room: self.rng.u8(0..3) > 0,
        };
        self.net.senders.insert(peer, sender);
        let identity = b"sender".to_vec();
        self.on(match channel {
            Some(channel) => Event::PublisherConnected {
                peer,
                channel: ChannelId(channel),
                headcount: Headcount::One,
                identity,
            },
            None => Event::ClientConnected {
                peer,
                frontend: FrontendId(0),
                kind: ClientKind::Dealer,
                identity,
            },
        });
    }

    fn any_sender(&mut self) -> Option<PeerId> {
        let senders = self.net.senders.iter();
        let connected = senders.filter(|(_, sender)| !sender.is_disconnected);
        let connected: Vec<_> = connected.map(|(peer, _)| *peer).collect();
        self.rng.choice(connected)
    }

    fn any_prefix(&mut self) -> Vec<u8> {
        let kind = KINDS[self.rng.usize(0..KINDS.len())].as_bytes();
        kind[..self.rng.usize(0..=kind.len())].to_vec()
    }

    fn subscribes(&mut self) {
        let all: Vec<_> = self.net.subscribers.keys().copied().collect();
        let Some(peer) = self.rng.choice(all) else {
            return;
        };
        // An engine may still report a change of subscriptions that it read from a peer before the
        // pause. The model makes the change at once, so no verdict may publish a message before the
        // core makes the change.
        let defers = self.net.paused.contains(&peer);
        if defers && !self.net.cases.is_empty() {
            return;
        }
        if defers {
            self.net.reached.deferred += 1;
            self.net.subscribers.get_mut(&peer).unwrap().has_deferred = true;
        }
        self.changes_subscription(peer);
        if defers {
            self.settle();
            if let Some(subscriber) = self.net.subscribers.get_mut(&peer) {
                subscriber.has_deferred = false;
            }
        }
    }

    fn changes_subscription(&mut self, peer: PeerId) {
        let prefix = self.any_prefix();
        let subscriber = self.net.subscribers.get_mut(&peer).unwrap();
        if self.rng.u8(0..3) == 0 {
            let mut prefixes = subscriber.prefixes.iter();
            if let Some(index) = prefixes.position(|other| *other == prefix) {
                subscriber.prefixes.remove(index);
            }
            return self.on(Event::Cancel { peer, prefix });
        }
        let refreshed = self.net.reached.refreshed;
        let replay = self.replay(peer, &prefix);
        self.net.reached.replayed += replay.len() as u64;
        let subscriber = self.net.subscribers.get_mut(&peer).unwrap();
        subscriber.counts[0] += replay.len() as u64;
        self.next += 1;
        let subscription = self.next;
        let replay = replay.into_iter();
        let replay = replay.map(|(number, frames)| ((number, subscription), frames));
        subscriber.replay.extend(replay);
        subscriber.prefixes.push(prefix.clone());
        self.on(Event::Subscribe { peer, prefix });
        if self.net.reached.refreshed > refreshed {
            // The model has dropped messages that the core has yet to drop.
            self.settle();
        }
    }

    /// Returns the kept messages that a subscriber must receive for a new prefix.
    fn replay(&mut self, peer: PeerId, prefix: &[u8]) -> Vec<(u64, Frames)> {
        let subscriber = &self.net.subscribers[&peer];
        let channel = &mut self.channels[subscriber.channel];
        let is_new = !subscriber.prefixes.iter().any(|other| other == prefix);
        if !is_new || channel.settings.keep == Keep::None {
            return Vec::new();
        }
        channel.trim(self.now);
        let (mut replay, mut refreshed) = (Vec::new(), 0);
        let number = subscriber.channel;
        channel.kept.retain_mut(|kept| {
            let others = &mut subscriber.prefixes.iter();
            if !kept.kind.starts_with(prefix) || others.any(|other| kept.kind.starts_with(other)) {
                return true;
            }
            let pattern = pattern_of(&kept.kind, &self.routing);
            let route = pattern.and_then(|n| self.routing[n]);
            let leads_to_channel = route.is_some_and(|(to, _)| to == number);
            // The message may have been published on a route without a schema.
            let has_schema = pattern.is_some_and(|n| PATTERNS[n].1);
            let is_valid = !has_schema || kept.frames.concat().contains(&0x0a);
            let fits = leads_to_channel && is_valid;
            if kept.generation < self.generation && !fits {
                refreshed += 1;
                return false;
            }
            kept.generation = self.generation;
            replay.push((kept.number, kept.frames.clone()));
            true
        });
        self.net.reached.refreshed += refreshed;
        replay
    }

    fn reloads(&mut self) {
        self.settle();
        self.generation += 1;
        if self.rng.bool() {
            self.routing = routing(&mut self.rng);
        }
        for n in 0..CHANNELS {
            if self.rng.bool() {
                let channel = &mut self.channels[n];
                let frames = channel.settings.frames.clone();
                let before = channel.settings.keep;
                channel.settings = settings(n, frames, &mut self.rng);
                // The model does not know when the core drops expired messages, so an edit must not
                // make them valid again.
                channel.settings.keep = match (before, channel.settings.keep) {
                    (Keep::For(one), Keep::For(other)) => Keep::For(one.min(other)),
                    (Keep::For(_), _) => Keep::None,
                    (_, keep) => keep,
                };
            }
            let channel = &mut self.channels[n];
            channel.limit(|_| true);
            channel.trim(self.now);
        }
        let snapshot = snapshot(&self.channels, &self.routing, self.generation);
        self.on(Event::Reload { snapshot });
    }

    fn stalls_or_reads(&mut self) {
        let all: Vec<_> = self.net.subscribers.keys().copied().collect();
        let Some(peer) = self.rng.choice(all) else {
            return;
        };
        let subscriber = self.net.subscribers.get_mut(&peer).unwrap();
        subscriber.has_room = !subscriber.has_room;
        if subscriber.has_room {
            self.on(Event::Writable { peer });
        }
    }

    fn publisher_stalls_or_reads(&mut self) {
        let Some(peer) = self.any_sender() else {
            return;
        };
        let sender = self.net.senders.get_mut(&peer).unwrap();
        sender.has_room = !sender.has_room;
        if sender.has_room && sender.channel.is_some() {
            self.on(Event::Writable { peer });
        }
    }

    fn gives_verdict(&mut self) {
        if self.net.cases.is_empty() {
            return;
        }
        let case = self.rng.usize(0..self.net.cases.len());
        self.gives_verdict_on(case);
    }

    fn gives_verdict_on(&mut self, case: usize) {
        let verdict = self.net.cases.swap_remove(case).judge();
        self.net.reached.judged += 1;
        let verdict = Box::new(verdict);
        self.on(Event::Judged { verdict });
    }

    /// Lets a publisher or client send a message. Most messages are valid.
    fn sends(&mut self) {
        let Some(peer) = self.any_sender() else {
            return self.sender_connects();
        };
        let kind = KINDS[self.rng.usize(0..KINDS.len())].as_bytes().to_vec();
        self.next += 1;
        let id = self.next.to_string().into_bytes();
        let is_wrong = self.rng.u8(0..5) == 0;
        let pattern = pattern_of(&kind, &self.routing);
        let payload = match pattern.is_some_and(|n| PATTERNS[n].1) {
            true if is_wrong => [&[0xff], &*id].concat(),
            true => [&[0x0a, id.len() as u8], &*id].concat(),
            // The payload would violate a schema that the route of its type may have later.
            false => [&[0xff], &*id].concat(),
        };
        let sender = self.net.senders.get_mut(&peer).unwrap();
        let route = pattern.and_then(|n| self.routing[n]);
        let to = route.filter(|(to, _)| sender.channel.is_none_or(|own| own == *to));
        let has_schema = pattern.is_some_and(|n| PATTERNS[n].1);
        let has_several = self.rng.u8(0..8) == 0;
        let is_single = |n: usize| self.channels[n].settings.frames != ChannelFrames::Typed;
        // A channel of single frames rejects a publisher's message of several frames.
        let is_misplaced = has_several && sender.channel.is_some_and(is_single);
        let is_valid = to.is_some() && !(is_wrong && has_schema) && !is_misplaced;
        let one_frame = vec![[&*kind, b" ", &*payload].concat()];
        let frames = match sender.channel {
            Some(own) if is_single(own) && !is_misplaced => one_frame.clone(),
            _ => vec![kind, id.clone(), payload],
        };
        if let Some((to, ack)) = to.filter(|_| is_valid) {
            let published = match is_single(to) {
                true => one_frame,
                false => frames.clone(),
            };
            sender.valid.push_back(((to, published), self.generation));
            if sender.channel.is_none() && ack {
                sender.open.push(id);
            }
        } else {
            self.net.reached.rejected += 1;
            if sender.channel.is_none() {
                sender.open.push(id);
            }
        }
        self.on(Event::Message { peer, frames });
    }

    /// Passes an event to the core, and checks the effects.
    fn on(&mut self, event: Event<Frames>) {
        self.happens(event);
        while self.core.has_unfinished_work() && self.rng.u8(0..4) > 0 {
            self.happens(Event::Continue);
        }
    }

    /// Lets the core finish all unfinished work, and gives the verdicts that the core needs for
    /// that.
    fn settle(&mut self) {
        loop {
            while self.core.has_unfinished_work() {
                self.happens(Event::Continue);
            }
            if self.net.paused.is_empty() {
                return;
            }
            // The work waits for the verdict on a kept message, perhaps for a subscriber that has
            // disconnected. Verdicts on the messages of senders would publish messages.
            let senders = &self.net.senders;
            let mut cases = self.net.cases.iter();
            let case = cases.position(|case| !senders.contains_key(&case.client()));
            self.gives_verdict_on(case.expect("a case for which a subscriber is paused"));
        }
    }

    fn happens(&mut self, event: Event<Frames>) {
        self.net.reached.continued += u64::from(matches!(event, Event::Continue));
        self.core.on(self.now, event, &mut self.net);
        self.follow_publications();
        self.check_receipts();
        self.check_counts();
        if !self.core.has_unfinished_work() && self.net.paused.is_empty() {
            self.check_settled();
            self.check_upstream();
        }
        for peer in std::mem::take(&mut self.net.disconnected) {
            if self.net.subscribers.contains_key(&peer) {
                self.net.reached.disconnected += 1;
                self.subscriber_disconnects(peer);
            }
        }
    }

    /// Adds the messages that the witnesses received to the model. Each must be the oldest
    /// unpublished message of its sender.
    fn follow_publications(&mut self) {
        for (number, frames) in std::mem::take(&mut self.net.witnessed) {
            self.net.reached.published += 1;
            self.next += 1;
            let message = (number, frames);
            let mut senders = self.net.senders.values_mut();
            let next = |sender: &&mut Sender| {
                let front = sender.valid.front();
                front.is_some_and(|(next, _)| *next == message)
            };
            let sender = senders.find(next);
            let Some((_, generation)) = sender.and_then(|sender| sender.valid.pop_front()) else {
                panic!("not the next valid message of any sender: {message:?}");
            };
            let (_, frames) = message;
            let first = &frames[0];
            let kind_length = first.iter().position(|byte| *byte == b' ');
            let kind = first[..kind_length.unwrap_or(first.len())].to_vec();
            for subscriber in self.net.subscribers.values_mut() {
                let mut prefixes = subscriber.prefixes.iter();
                let matches = prefixes.any(|prefix| first.starts_with(prefix));
                if subscriber.channel == number && matches {
                    subscriber.counts[0] += 1;
                    subscriber.expected.push_back(frames.clone());
                }
            }
            let channel = &mut self.channels[number];
            if channel.settings.keep != Keep::None {
                channel.kept.push(KeptMessage {
                    number: self.next,
                    kind: kind.clone(),
                    frames,
                    at: self.now,
                    generation,
                });
                channel.limit(|other| *other == kind);
                channel.trim(self.now);
            }
        }
    }

    /// Checks that every subscriber received expected messages in their order.
    fn check_receipts(&mut self) {
        for (peer, subscriber) in &mut self.net.subscribers {
            for frames in subscriber.received.drain(..) {
                subscriber.counts[1] += 1;
                // While a subscription is deferred, its kept messages and other messages may arrive
                // in any order.
                let mut replay = subscriber.replay.iter();
                let next = match subscriber.has_deferred {
                    true => replay.find(|(_, kept)| **kept == frames),
                    false => replay.next(),
                };
                if let Some((&number, first)) = next {
                    assert_eq!(frames, *first, "{peer:?}");
                    subscriber.replay.remove(&number);
                    continue;
                }
                let mut expected = subscriber.expected.iter();
                let index = expected.position(|message| *message == frames);
                let index = index.unwrap_or_else(|| panic!("{peer:?} received {frames:?}"));
                subscriber.expected.drain(..=index);
                subscriber.counts[2] += index as u64;
            }
        }
    }

    fn check_counts(&mut self) {
        let ledger = self.core.ledger();
        assert_eq!(ledger.received, ledger.ended() + self.core.in_flight());
        let sample = self.core.sample(&self.net);
        for (number, channel) in sample.channels.iter().enumerate() {
            let counters = &channel.counters;
            let sum = counters.sent + counters.dropped + channel.waiting;
            assert_eq!(counters.matched, sum, "channel {number}");
            let waiting: usize = channel.shown.iter().map(|shown| shown.waiting).sum();
            assert_eq!(channel.waiting, waiting as u64);
            for shown in &channel.shown {
                let peer = std::str::from_utf8(&shown.name.identity).unwrap();
                let peer = PeerId(peer.parse().unwrap());
                let Some(subscriber) = self.net.subscribers.get(&peer) else {
                    continue;
                };
                let [matched, received, missed] = subscriber.counts;
                assert_eq!(shown.sent, received);
                assert!(shown.matched <= matched && missed <= shown.dropped);
                assert_eq!(
                    shown.matched,
                    shown.sent + shown.dropped + shown.waiting as u64
                );
            }
        }
    }

    /// Checks the invariants that hold once no work is left to continue.
    fn check_settled(&self) {
        let sample = self.core.sample(&self.net);
        for (number, channel) in sample.channels.iter().enumerate() {
            // Messages that have expired meanwhile may have been dropped already.
            let model = &self.channels[number];
            let all = model.kept.len() - model.expired(self.now)..=model.kept.len();
            assert!(all.contains(&channel.kept), "{number}: {}", channel.kept);
            for shown in &channel.shown {
                let peer = std::str::from_utf8(&shown.name.identity).unwrap();
                let peer = PeerId(peer.parse().unwrap());
                let Some(subscriber) = self.net.subscribers.get(&peer) else {
                    continue;
                };
                let [matched, _, missed] = subscriber.counts;
                assert_eq!(shown.matched, matched);
                let left = (subscriber.replay.len() + subscriber.expected.len()) as u64;
                assert_eq!(missed + left, shown.dropped + shown.waiting as u64);
                assert!(shown.waiting == 0 || !subscriber.has_room);
            }
        }
    }

    /// Checks that the gateway subscribes at every publisher to the union of the channel's
    /// subscriptions.
    fn check_upstream(&self) {
        let senders = self.net.senders.values();
        for sender in senders.filter(|sender| !sender.is_disconnected && sender.has_room) {
            let Some(number) = sender.channel else {
                continue;
            };
            let settings = &self.channels[number].settings;
            let is_all = match settings.upstream {
                Upstream::Auto => settings.keep != Keep::None,
                Upstream::Subscriptions => false,
                Upstream::All => true,
            };
            let mut union = BTreeSet::from([Vec::new()]);
            if !is_all {
                let all = self.net.subscribers.values();
                let of_channel = all.filter(|subscriber| subscriber.channel == number);
                union.extend(of_channel.flat_map(|subscriber| subscriber.prefixes.iter().cloned()));
            }
            assert_eq!(sender.upstream, union);
        }
    }

    /// Ends the schedule: all verdicts are reached, some subscribers read their queued messages,
    /// and the gateway drains.
    fn end(&mut self) {
        while !self.net.cases.is_empty() {
            self.gives_verdict();
        }
        self.settle();
        let left = |sender: &Sender| {
            sender.valid.len() + sender.open.len() * usize::from(!sender.is_disconnected)
        };
        assert_eq!(self.net.senders.values().map(left).sum::<usize>(), 0);
        let peers: Vec<_> = self.net.subscribers.keys().copied().collect();
        for peer in peers {
            if self.rng.bool() {
                self.net.subscribers.get_mut(&peer).unwrap().has_room = true;
                self.on(Event::Writable { peer });
            }
        }
        self.settle();
        let deadline = self.now + Duration::from_secs(10);
        self.on(Event::Drain { deadline });
        // After a second, the gateway stops waiting for subscribers that read nothing. Before that,
        // kept messages may expire, each at its own time.
        while !self.core.is_drained() && self.now < deadline {
            self.now = self.core.next_deadline().expect("a time");
            self.on(Event::Tick);
            self.settle();
        }
        assert!(self.core.is_drained());
        let sample = self.core.sample(&self.net);
        let dropped = sample
            .channels
            .iter()
            .map(|channel| channel.counters.dropped);
        self.net.reached.dropped += dropped.sum::<u64>();
    }
}

/// Returns the same route without a schema, which only alice may use.
fn allow_alice((pattern, route): (TypePattern, &Arc<Route>)) -> (TypePattern, Arc<Route>) {
    let access = Access {
        frontends: None,
        allow: Some(vec![Allowed::Exact("alice".into())]),
        rate: None,
    };
    let route = Route {
        id: route.id,
        name: route.name.clone(),
        kind: route.kind.clone(),
        schema: None,
        reply: None,
        target: route.target,
        timeout: None,
        access: Some(Box::new(access)),
    };
    (pattern, Arc::new(route))
}

/// An edit of `security` must not turn the identity that a publisher chose into a principal's name.
#[test]
fn a_publisher_that_connected_before_security_was_set_becomes_anonymous() {
    let mut rng = Rng::with_seed(1);
    let channel = SimChannel {
        settings: settings(0, ChannelFrames::Typed, &mut rng),
        kept: Vec::new(),
    };
    let mut channels = [channel];
    let routing = [Some((0, true)); PATTERNS.len()];
    let mut core: Core<Frames> = Core::new(snapshot(&channels, &routing, 1));
    let (mut net, peer) = (Net::default(), PeerId(1));
    net.senders.insert(
        peer,
        Sender {
            channel: Some(0),
            upstream: BTreeSet::new(),
            valid: VecDeque::new(),
            open: Vec::new(),
            is_disconnected: false,
            has_room: true,
        },
    );
    let (channel, identity) = (ChannelId(0), b"alice".to_vec());
    core.on(
        Duration::ZERO,
        Event::PublisherConnected {
            peer,
            channel,
            headcount: Headcount::One,
            identity,
        },
        &mut net,
    );
    let publish = |core: &mut Core<Frames>, net: &mut Net| {
        let frames = vec![b"a".to_vec(), b"payload".to_vec()];
        core.on(Duration::ZERO, Event::Message { peer, frames }, net);
        let ledger = core.ledger();
        (
            ledger.published,
            ledger.rejected[Reason::NotAllowed as usize],
        )
    };
    assert_eq!(publish(&mut core, &mut net), (1, 0));
    channels[0].settings.publishers.security = Some(Arc::new(Security {
        curve: None,
        plain: None,
        null: NullPeers::Admitted,
        from: Arc::default(),
    }));
    let secured = Arc::into_inner(snapshot(&channels, &routing, 2)).unwrap();
    let routes = RouteTable::new(secured.routes.iter().map(allow_alice).collect::<Vec<_>>());
    let snapshot = Arc::new(Snapshot { routes, ..secured });
    core.on(Duration::ZERO, Event::Reload { snapshot }, &mut net);
    assert_eq!(publish(&mut core, &mut net), (1, 1));
}

/// A shared connection has the prefixes of all its subscribers. The number of prefixes is bounded
/// for the whole channel.
#[test]
fn only_a_shared_connection_may_exceed_the_bound_on_a_subscribers_prefixes() {
    let mut rng = Rng::with_seed(1);
    let channel = SimChannel {
        settings: settings(0, ChannelFrames::Typed, &mut rng),
        kept: Vec::new(),
    };
    let snapshot = snapshot(&[channel], &[None; PATTERNS.len()], 1);
    for (headcount, disconnected) in [(Headcount::One, 1), (Headcount::Unknown, 0)] {
        let mut core: Core<Frames> = Core::new(Arc::clone(&snapshot));
        let (mut net, peer, channel) = (Net::default(), PeerId(1), ChannelId(0));
        net.work_max = usize::MAX;
        let connected = Event::SubscriberConnected {
            peer,
            channel,
            headcount,
            name: Arc::default(),
        };
        core.on(Duration::ZERO, connected, &mut net);
        for n in 0..=10_000_u32 {
            let prefix = n.to_be_bytes().to_vec();
            core.on(Duration::ZERO, Event::Subscribe { peer, prefix }, &mut net);
            while core.has_unfinished_work() {
                core.on(Duration::ZERO, Event::Continue, &mut net);
            }
        }
        assert_eq!(net.disconnected.len(), disconnected, "{headcount:?}");
    }
}
