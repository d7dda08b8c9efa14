//! Tests of the snapshots of valid files. `tests/config/check.rs` tests the errors and their texts.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::reply::ErrorEncoding;
use crate::snapshot::{
    Balance, ChannelFrames, ChannelId, ChannelSettings, ChannelSide, Endpoints, EngineKind,
    EnvelopeMode, ErrorFrames, Framing, Frontend, FrontendId, IdentityMode, Keep, Limits,
    LogFormat, LogLevel, LogSettings, MemoryLimit, PerWorker, PoolId, PoolSettings, ReloadSettings,
    Route, Slow, Target, Upstream, WorkerFrames, Workers,
};
use gateway_proto::Cache;

const PROTO: &str = "syntax = \"proto3\"; package shop;
    message Person { optional int32 id = 1; optional string name = 2; } message Order {}";

fn loaded(text: &str) -> Loaded {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("routes.yaml");
    fs::create_dir(directory.path().join("schemas")).unwrap();
    fs::write(directory.path().join("schemas/shop.proto"), PROTO).unwrap();
    fs::write(&path, text).unwrap();
    load(&path).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Returns a configuration with these pools and routes, and two frontends.
fn configuration(pools: &str, routes: &str) -> Loaded {
    loaded(&format!(
        "frontends:\n  clients: {{ bind: \"tcp://*:5559\" }}\n  inside: {{ bind: ipc:///tmp/inside }}\n\
         pools:\n{pools}\nroutes:\n{routes}\n"
    ))
}

const PEOPLE: &str = "  people: { bind: \"tcp://*:5560\" }";

fn route<'a>(loaded: &'a Loaded, kind: &str) -> &'a Route {
    loaded.snapshot.routes.get(kind.as_bytes()).unwrap()
}

fn seconds(n: u64) -> Option<Duration> {
    Some(Duration::from_secs(n))
}

/// Returns a frontend that has an address and the defaults of all other settings.
fn plain_frontend(name: &str, bind: &str) -> Frontend {
    Frontend {
        name: name.to_owned(),
        endpoints: Endpoints {
            bind: vec![bind.to_owned()],
            connect: Vec::new(),
        },
        errors: ErrorEncoding::Json,
        framing: Arc::default(),
        security: None,
    }
}

/// Returns a pool that has an address and the defaults of all other settings.
fn plain_pool(name: &str, bind: &str) -> PoolSettings {
    PoolSettings {
        name: name.to_owned(),
        endpoints: Endpoints {
            bind: vec![bind.to_owned()],
            connect: Vec::new(),
        },
        workers: Workers::Auto,
        identity: IdentityMode::Token,
        balance: Balance::LeastBusy,
        per_worker: PerWorker::Auto,
        queue: 10_000,
        queue_bytes: 256 * 1024 * 1024,
        heartbeat: seconds(1),
        frames: WorkerFrames::Typed,
        security: None,
    }
}

const PLAIN_LIMITS: Limits = Limits {
    message: 16 * 1024 * 1024,
    frames: 16,
    depth: 100,
    rules: 1024 * 1024,
    rules_cost: 1_000_000,
    clients: 100_000,
    client_requests: 10_000,
    client_bytes: 64 * 1024 * 1024,
    memory: MemoryLimit::Percent(50),
};

const PLAIN_RELOAD: ReloadSettings = ReloadSettings {
    watch: true,
    settle: Duration::from_millis(200),
};

/// This test checks every default of docs/routes.md. Its patterns have no `..`, so that the test
/// does not compile until each new setting is added.
#[test]
fn omitted_keys_have_the_defaults_of_the_reference() {
    let loaded = configuration(PEOPLE, "  PERSON: { pool: people }");
    let Snapshot {
        generation,
        engine,
        frontends,
        pools,
        channels,
        routes,
        protos,
        limits,
        grace,
        reload,
        admin,
        log,
        names,
        definitions: _,
    } = loaded.snapshot;
    assert_eq!(generation, 1);
    assert_eq!(admin, None);
    assert_eq!((log.level, log.format), (LogLevel::Info, LogFormat::Human));
    assert_eq!(engine, EngineKind::Native);
    let clients = plain_frontend("clients", "tcp://*:5559");
    let inside = plain_frontend("inside", "ipc:///tmp/inside");
    let expected = [(FrontendId(0), clients), (FrontendId(1), inside)];
    assert_eq!(frontends, expected.into());
    assert_eq!(protos.keys().collect::<Vec<_>>(), ["shop.proto"]);
    assert_eq!(reload, PLAIN_RELOAD);
    let people = Arc::new(plain_pool("people", "tcp://*:5560"));
    assert_eq!(pools, [(PoolId(0), people)].into());
    assert!(channels.is_empty());
    assert_eq!(limits, PLAIN_LIMITS);
    assert_eq!(Some(grace), seconds(10));
    let Route {
        name,
        kind,
        schema,
        reply,
        target,
        timeout,
        access,
        id,
    } = &**routes.get(b"PERSON").unwrap();
    assert_eq!(names.of_route(*id), "PERSON");
    assert_eq!(
        (name.as_str(), *target),
        ("PERSON", Target::Pool(PoolId(0)))
    );
    assert_eq!(kind.as_deref(), Some("PERSON"));
    assert!(schema.is_none() && reply.is_none());
    assert_eq!(*timeout, seconds(30));
    assert_eq!(*access, None);
}

#[test]
fn settings_in_the_file_take_effect() {
    let loaded = loaded(
        "frontends:
  clients: { bind: [\"tcp://*:5559\", ipc:///tmp/c], connect: tcp://broker:7000, errors: msgpack }
pools:
  people: { connect: [tcp://w1:6000, tcp://w2:6000], workers: rep, identity: client, balance: round_robin,
            frames: payload, per_worker: 3, queue: 0, queue_bytes: 64KiB, timeout: 500ms, heartbeat: off }
routes:
  PERSON: { pool: people }
limits: { message: 1MiB, frames: 5, depth: 7, rules: 11B, rules_cost: 12, clients: 8, client_requests: 9, client_bytes: 10B, memory: 64MiB }
shutdown: { grace: 2m }
reload: { watch: false, settle: 1s }
admin: { bind: localhost:9559 }
log: { level: trace, format: json }
",
    );
    let snapshot = &loaded.snapshot;
    let frontend = &snapshot.frontends[&FrontendId(0)];
    assert_eq!(frontend.endpoints.bind, ["tcp://*:5559", "ipc:///tmp/c"]);
    assert_eq!(frontend.endpoints.connect, ["tcp://broker:7000"]);
    assert_eq!(frontend.errors, ErrorEncoding::Msgpack);
    let pool = PoolSettings {
        name: "people".to_owned(),
        endpoints: Endpoints {
            bind: Vec::new(),
            connect: vec!["tcp://w1:6000".to_owned(), "tcp://w2:6000".to_owned()],
        },
        workers: Workers::Rep,
        identity: IdentityMode::Client,
        balance: Balance::RoundRobin,
        per_worker: PerWorker::Most(3),
        queue: 0,
        queue_bytes: 65_536,
        heartbeat: None,
        frames: WorkerFrames::Payload,
        security: None,
    };
    assert_eq!(*snapshot.pools[&PoolId(0)], pool);
    let limits = Limits {
        message: 1 << 20,
        frames: 5,
        depth: 7,
        rules: 11,
        rules_cost: 12,
        clients: 8,
        client_requests: 9,
        client_bytes: 10,
        memory: MemoryLimit::Bytes(64 << 20),
    };
    assert_eq!(snapshot.limits, limits);
    assert_eq!(snapshot.grace, Duration::from_secs(120));
    let log = LogSettings {
        level: LogLevel::Trace,
        format: LogFormat::Json,
    };
    assert_eq!(snapshot.log, log);
    let admin = snapshot.admin.as_ref().map(|admin| admin.bind.to_string());
    assert_eq!(admin.as_deref(), Some("127.0.0.1:9559"));
    assert!(!snapshot.reload.watch);
    assert_eq!(snapshot.reload.settle, Duration::from_secs(1));
    let timeout = route(&loaded, "PERSON").timeout;
    assert_eq!(timeout, Some(Duration::from_millis(500)));
}

#[test]
fn the_framing_keys_of_frontends_take_effect() {
    let loaded = loaded(
        "frontends:
  plain: { bind: \"tcp://*:5559\", type: PERSON, envelope: routed }
  typed: { bind: ipc:///tmp/d, errors: { as: payload, encoding: protobuf } }
  whole: { bind: ipc:///tmp/e, type: \"hex:50\", errors: { as: frames } }
pools:
  people: { bind: \"tcp://*:5560\" }
routes:
  P*: { pool: people }
",
    );
    let snapshot = &loaded.snapshot;
    let plain = |kind: &[u8], envelope, errors| Framing {
        kind: Some(kind.into()),
        envelope,
        errors,
    };
    let expected = plain(b"PERSON", EnvelopeMode::Routed, ErrorFrames::Payload);
    assert_eq!(*snapshot.frontends[&FrontendId(0)].framing, expected);
    let typed = &snapshot.frontends[&FrontendId(1)];
    assert_eq!(typed.errors, ErrorEncoding::Protobuf);
    let expected = Framing {
        errors: ErrorFrames::Payload,
        ..Framing::default()
    };
    assert_eq!(*typed.framing, expected);
    let expected = plain(b"P", EnvelopeMode::Auto, ErrorFrames::All);
    assert_eq!(*snapshot.frontends[&FrontendId(2)].framing, expected);
}

/// Returns the side of a channel that listens on these addresses.
fn listening_side(binds: &[&str]) -> ChannelSide {
    ChannelSide {
        endpoints: Endpoints {
            bind: binds.iter().map(|&bind| bind.to_owned()).collect(),
            connect: Vec::new(),
        },
        security: None,
    }
}

#[test]
fn a_channel_has_the_defaults_of_the_reference() {
    let loaded = loaded(
        "channels:
  ticks: { publishers: \"tcp://*:5561\", subscribers: [\"tcp://*:5562\", ipc:///tmp/s] }
  topics: { publishers: { bind: \"tcp://*:5563\" }, subscribers: \"tcp://*:5564\", frames: single }
routes:
  tick: { publish: ticks }
  topic: { publish: topics }
",
    );
    let snapshot = &loaded.snapshot;
    let ticks = ChannelSettings {
        name: "ticks".to_owned(),
        publishers: listening_side(&["tcp://*:5561"]),
        subscribers: listening_side(&["tcp://*:5562", "ipc:///tmp/s"]),
        keep: Keep::None,
        keep_bytes: 64 << 20,
        slow: Slow::DropNew,
        subscriber_bytes: 16 << 20,
        upstream: Upstream::Auto,
        frames: ChannelFrames::Typed,
    };
    let topics = ChannelSettings {
        name: "topics".to_owned(),
        publishers: listening_side(&["tcp://*:5563"]),
        subscribers: listening_side(&["tcp://*:5564"]),
        frames: ChannelFrames::Single(b" ".as_slice().into()),
        ..ticks.clone()
    };
    assert_eq!(*snapshot.channels[&ChannelId(0)], ticks);
    assert_eq!(*snapshot.channels[&ChannelId(1)], topics);
    let channel = ChannelId(1);
    let target = route(&loaded, "topic").target;
    assert_eq!(target, Target::Channel { channel, ack: true });
    assert_eq!(route(&loaded, "topic").timeout, None);
    assert_eq!(
        loaded.summary(),
        "2 routes, 0 pools, 2 channels, 0 frontends, 2 messages"
    );
}

#[test]
fn settings_of_a_channel_take_effect() {
    let channel = |more: &str| {
        loaded(&format!(
            "channels: {{ c: {{ publishers: {{ connect: tcp://feed:6000 }}, subscribers: \"tcp://*:5562\", {more} }} }}\n\
             routes: {{ A: {{ publish: c, ack: false }} }}\n"
        ))
    };
    let settings = |more: &str| {
        let loaded = channel(more);
        ChannelSettings::clone(&loaded.snapshot.channels[&ChannelId(0)])
    };
    let parsed =
        settings("keep_bytes: 1KiB, subscriber_bytes: 2KiB, frames: single, topic_end: \"::\"");
    assert_eq!(parsed.publishers.endpoints.connect, ["tcp://feed:6000"]);
    assert_eq!((parsed.keep_bytes, parsed.subscriber_bytes), (1024, 2048));
    let end = ChannelFrames::Single(b"::".as_slice().into());
    assert_eq!(parsed.frames, end);
    let keeps = ["none", "last", "{ last: 100000 }", "{ for: 10m }"];
    let keeps = keeps.map(|keep| settings(&format!("keep: {keep}")).keep);
    let ten_minutes = Keep::For(Duration::from_secs(600));
    let expected = [Keep::None, Keep::Last(1), Keep::Last(100_000), ten_minutes];
    assert_eq!(keeps, expected);
    let slows = ["drop_new", "drop_old", "conflate", "disconnect"];
    let slows = slows.map(|slow| settings(&format!("slow: {slow}")).slow);
    let expected = [
        Slow::DropNew,
        Slow::DropOld,
        Slow::Conflate,
        Slow::Disconnect,
    ];
    assert_eq!(slows, expected);
    let upstreams = ["auto", "subscriptions", "all"];
    let upstreams = upstreams.map(|upstream| settings(&format!("upstream: {upstream}")).upstream);
    let expected = [Upstream::Auto, Upstream::Subscriptions, Upstream::All];
    assert_eq!(upstreams, expected);
    let target = route(&channel("slow: drop_new"), "A").target;
    let (channel, ack) = (ChannelId(0), false);
    assert_eq!(target, Target::Channel { channel, ack });
}

/// Each file lacks an optional section. Entries of the file's other sections have the name of the
/// absent section.
#[test]
fn a_section_differs_from_an_entry_of_the_same_name() {
    let text = "frontends: { channels: { bind: \"tcp://*:5559\" } }
pools: { channels: { bind: \"tcp://*:5560\" } }
routes: { channels: { pool: channels } }
";
    assert_eq!(loaded(text).snapshot.pools.len(), 1);
    let text =
        "channels: { pools: { publishers: \"tcp://*:5561\", subscribers: \"tcp://*:5562\" } }
routes: { pools: { publish: pools } }
";
    assert_eq!(loaded(text).snapshot.channels.len(), 1);
}

#[test]
fn the_timeout_of_a_route_overrides_the_timeout_of_its_pool() {
    let pools =
        "  slow: { bind: \"tcp://*:5560\", timeout: 1m }\n  usual: { bind: \"tcp://*:5561\" }";
    let routes =
        "  OWN: { pool: slow, timeout: 2s }\n  SLOW: { pool: slow }\n  USUAL: { pool: usual }";
    let loaded = configuration(pools, routes);
    assert_eq!(route(&loaded, "OWN").timeout, seconds(2));
    assert_eq!(route(&loaded, "SLOW").timeout, seconds(60));
    assert_eq!(route(&loaded, "USUAL").timeout, seconds(30));
}

#[test]
fn names_become_indices() {
    let pools = "  people: { bind: \"tcp://*:5560\" }\n  orders: { bind: \"tcp://*:5561\" }";
    let routes = "  A: { pool: orders, frontends: [inside, clients] }\n  B: { pool: people, frontends: inside }";
    let loaded = configuration(pools, routes);
    let (a, b) = (route(&loaded, "A"), route(&loaded, "B"));
    assert_eq!((a.pool(), b.pool()), (Some(PoolId(1)), Some(PoolId(0))));
    let frontends = a.access.as_ref().unwrap().frontends.clone();
    assert_eq!(frontends, Some(vec![FrontendId(1), FrontendId(0)]));
    let b = b.access.as_ref().unwrap();
    assert!(b.admits_frontend(FrontendId(1)) && !b.admits_frontend(FrontendId(0)));
    assert_eq!(
        loaded.summary(),
        "2 routes, 2 pools, 2 frontends, 2 messages"
    );
}

#[test]
fn exact_types_precede_patterns_and_longer_patterns_precede_shorter_patterns() {
    let routes = "  \"*\": { pool: people }\n  a*: { pool: people }\n  ab*: { pool: people }\n  \
                  abc: { pool: people }\n  hex:ff*: { pool: people }\n  hex:ff00: { pool: people }";
    let loaded = configuration(PEOPLE, routes);
    for (kind, expected) in [
        (&b"abc"[..], "abc"),
        (b"abcd", "ab*"),
        (b"ab", "ab*"),
        (b"axe", "a*"),
        (b"other", "*"),
        (b"\xff\x00", "hex:ff00"),
        (b"\xff\x01", "hex:ff*"),
    ] {
        let route = loaded.snapshot.routes.get(kind).unwrap();
        assert_eq!(route.name, expected);
    }
}

#[test]
fn schemas_are_resolved_with_their_options() {
    let routes = "  ANY: { schema: [{ msgpack: shop.Person, require: [name] }, shop.Order], reply: shop.Order, pool: people }
  STRICT: { schema: { protobuf: shop.Person, unknown_fields: reject }, pool: people }
  ARRAY: { schema: { msgpack: shop.Person, layout: array }, pool: people }";
    let loaded = configuration(PEOPLE, routes);
    let fits = |kind: &str, payload: &[u8]| {
        let schema = route(&loaded, kind).schema.as_ref().unwrap();
        schema.check(payload, 100).is_ok()
    };
    let named = b"\x81\xa4name\xa1A";
    assert!(fits("ANY", named));
    assert!(
        fits("ANY", b""),
        "an empty shop.Order, the second of the list"
    );
    assert!(
        !fits("ANY", b"\x81\xa2id\x01"),
        "without the name that is required"
    );
    let unknown = b"\x78\x01";
    assert!(fits("ANY", unknown) && !fits("STRICT", unknown));
    assert!(fits("ARRAY", b"\x92\x01\xa1A") && !fits("ARRAY", named));
    let any = route(&loaded, "ANY");
    assert_eq!(
        any.schema.as_ref().unwrap().errors(),
        ErrorEncoding::Msgpack
    );
    assert_eq!(
        any.reply.as_ref().unwrap().errors(),
        ErrorEncoding::Protobuf
    );
}

#[test]
fn import_paths_are_relative_to_a_link_to_the_file_and_not_to_its_target() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    for directory in ["real", "given", "given/protos"] {
        fs::create_dir(path(directory)).unwrap();
    }
    fs::write(path("given/protos/shop.proto"), PROTO).unwrap();
    let text = "frontends: { clients: { bind: \"tcp://*:1\" } }\npools: { people: { bind: \"tcp://*:2\" } }\n\
                proto: { import_paths: protos }\nroutes: { A: { schema: shop.Person, pool: people } }\n";
    fs::write(path("real/routes.yaml"), text).unwrap();
    std::os::unix::fs::symlink("../real/routes.yaml", path("given/routes.yaml")).unwrap();
    assert!(load(&path("given/routes.yaml")).is_ok());
    let faults = load(&path("real/routes.yaml")).unwrap_err();
    assert!(
        faults.to_string().contains("there is no directory"),
        "{faults}"
    );
}

#[test]
fn warnings_accompany_a_valid_configuration() {
    let pools = "  people: { bind: \"tcp://*:5560\" }\n  idle: { bind: \"tcp://*:5561\" }";
    let loaded = configuration(pools, "  A: { pool: people }");
    assert_eq!(loaded.warnings.warnings(), 1);
    assert!(
        loaded
            .warnings
            .to_string()
            .contains("no route uses pool idle")
    );
}

const WITH_LIBZMQ: &str = "engine: libzmq
frontends: { clients: { bind: \"tcp://*:1\" } }
pools: { people: { bind: \"tcp://*:2\" } }
routes: { A: { pool: people } }
";

#[cfg(feature = "libzmq")]
#[test]
fn engine_libzmq_is_accepted_where_the_build_has_it() {
    assert_eq!(loaded(WITH_LIBZMQ).snapshot.engine, EngineKind::Libzmq);
}

/// This test runs in `cargo test --no-default-features --lib`.
#[cfg(not(feature = "libzmq"))]
#[test]
fn engine_libzmq_is_refused_where_the_build_lacks_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("routes.yaml");
    fs::write(&path, WITH_LIBZMQ).unwrap();
    let faults = load(&path).unwrap_err();
    let expected = format!(
        "error: this build has no libzmq
 --> {}:1:9
  |
1 | engine: libzmq
  |         ^^^^^^ expected \"native\"
  = help: use `engine: native`, or build with the feature `libzmq`
",
        gateway_diagnostic::shown(&path).display()
    );
    assert_eq!(faults.to_string().trim(), expected.trim());
}

#[test]
fn a_file_removed_while_the_gateway_runs_is_reported_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("routes.yaml");
    let missing = load(&path).unwrap_err().render(false);
    assert!(
        missing.contains("run the gateway where routes.yaml is"),
        "{missing}"
    );
    let text = "frontends: { c: { bind: \"tcp://*:5559\" } }\npools: { p: { bind: \"tcp://*:5560\" } }\n\
                routes: { A: { pool: p } }\n";
    fs::write(&path, text).unwrap();
    let running = load(&path).unwrap().snapshot;
    fs::remove_file(&path).unwrap();
    let removed = load_after(&path, &running).unwrap_err().render(false);
    let expected = "put the file back: it existed when the gateway started, and its last content applies until it is back";
    assert!(removed.contains(expected), "{removed}");
}

#[test]
fn a_required_field_without_presence_causes_one_warning_for_protobuf_only() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("schemas")).unwrap();
    let plain = "syntax = \"proto3\"; package plain; message Plain { int32 id = 1; }";
    fs::write(directory.path().join("schemas/plain.proto"), plain).unwrap();
    let path = directory.path().join("routes.yaml");
    let warnings = |routes: &str| {
        let text = format!(
            "frontends:\n  clients: {{ bind: \"tcp://*:5559\" }}\npools:\n{PEOPLE}\nroutes:\n{routes}"
        );
        fs::write(&path, text).unwrap();
        load(&path).unwrap().warnings.render(false)
    };
    let route = |name: &str, encoding: &str| {
        format!(
            "  {name}: {{ schema: {{ {encoding}: plain.Plain, require: [id] }}, pool: people }}\n"
        )
    };
    for encoding in ["json", "msgpack"] {
        assert_eq!(warnings(&route("A", encoding)), "", "{encoding}");
    }
    let twice = route("A", "protobuf") + &route("B", "protobuf");
    let reported = warnings(&twice);
    let expected = "messages in which the required field \"id\" is zero or empty are rejected";
    assert_eq!(reported.matches(expected).count(), 1, "{reported}");
}

/// The table of messages holds only the messages that routes use. An edit of routes.yaml changes
/// the table. Messages that no route uses may have rules that cannot be compiled, but no other
/// errors.
#[test]
fn an_edit_may_use_a_message_that_no_route_used_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("routes.yaml");
    let protos = directory.path().join("shop.proto");
    let mut cache = Cache::default();
    let write = |message: &str, wrong: &str| {
        let yaml = format!(
            "frontends: {{ clients: {{ bind: \"tcp://*:5559\" }} }}
pools: {{ people: {{ bind: \"tcp://*:5560\" }} }}
proto: {{ import_paths: [.] }}
routes: {{ A: {{ schema: {{ json: shop.{message} }}, pool: people }} }}\n"
        );
        fs::write(&path, yaml).unwrap();
        let text = format!(
            "syntax = \"proto3\"; package shop; import \"buf/validate/validate.proto\";
message Person {{ int32 id = 1; }}
message Order {{ string code = 1; }}
message Wrong {{ {wrong} }}\n"
        );
        fs::write(&protos, text).unwrap();
        Inputs::read(&path, &[])
    };
    let check = |loaded: &Loaded, payload: &str| {
        let schema = route(loaded, "A").schema.as_ref().unwrap();
        let schema = schema.schemas().next().unwrap();
        schema.check(payload.as_bytes(), 9).is_ok()
    };
    let wrong = "int32 n = 1 [(buf.validate.field).string.min_len = 1];";
    let first = write("Person", wrong).load_with(&mut cache).unwrap();
    assert!(check(&first, "{\"id\": 1}") && !check(&first, "{\"id\": \"x\"}"));
    assert!(first.messages > 3, "{}", first.messages);
    let names = |loaded: &Loaded| {
        let schema = route(loaded, "A").schema.as_ref().unwrap();
        let table = schema.schemas().next().unwrap().table();
        table.message_names().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(&first), ["shop.Person"]);
    let mut reload = |inputs: Inputs| inputs.load_after_with(&first.snapshot, &mut cache);
    let second = reload(write("Order", wrong)).unwrap();
    assert!(check(&second, "{\"code\": \"x\"}") && !check(&second, "{\"code\": 1}"));
    for (message, wrong, expected) in [
        ("Missing", wrong, "there is no message \"shop.Missing\""),
        ("Wrong", wrong, "bad rules of shop.Wrong.n"),
        (
            "Order",
            "int32 n = 1; int32 n = 2;",
            "\"n\" is defined twice",
        ),
    ] {
        let found = reload(write(message, wrong)).unwrap_err().render(false);
        assert!(found.contains(expected), "{found}");
    }
}

/// These texts could make a careless parser hang, crash or run out of memory. Each text must be
/// rejected with errors.
#[test]
fn hostile_texts_end_with_errors() {
    let schemes = "a://".repeat(20_000);
    let aliases = vec!["*a"; 16_000].join(", ");
    let long = "x".repeat(50 << 10);
    for (text, expected) in [
        ("# ports:\t5559\na: [1".to_owned(), "not valid YAML"),
        (
            "bind:\t\"tcp://*:5559\"\nb: { c: 1".to_owned(),
            "not valid YAML",
        ),
        (
            "people: { bind: x, workers: auto\u{a0}queue: 5 }".to_owned(),
            "expected",
        ),
        (
            "people: { bind: x, workers: auto\u{3000}queue: 5 }".to_owned(),
            "expected",
        ),
        (
            format!("admin: {{ bind: \"{schemes}\" }}"),
            "expected ADDRESS:PORT",
        ),
        (
            format!("x: &a \"{long}\"\ny: [{aliases}]"),
            "aliases repeat too much",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let found = Origin::of_text(text.as_str(), directory.path())
            .read(&[])
            .load()
            .unwrap_err();
        let reported = found.render(false);
        assert!(
            reported.contains(expected),
            "{}",
            &reported[..reported.len().min(2_000)]
        );
    }
}
