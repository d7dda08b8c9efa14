//! Tests that the plan of a reload contains the edit of any single key of routes.yaml, except
//! `proto.compiler` and `proto.breaking`. If the plan missed another key, an edit of that key would
//! be reported as unchanged, and would never take effect.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use gateway::config;
use gateway::reload::Plan;
use serde_json::Value;

const ROUTES: &str = r#"
engine: native
frontends:
  plain: { bind: "tcp://127.0.0.1:7007", type: TIMED, envelope: auto, errors: { encoding: json, as: payload } }
  clients: { bind: "tcp://127.0.0.1:7001", connect: "tcp://127.0.0.1:7002", errors: json }
pools:
  people:
    bind: "tcp://127.0.0.1:7003"
    connect: "tcp://127.0.0.1:7004"
    workers: auto
    security: none
    identity: token
    balance: least_busy
    per_worker: 5
    queue: 6
    queue_bytes: 7KiB
    timeout: 8s
    heartbeat: 9s
    frames: typed
  others: { bind: "tcp://127.0.0.1:7005", security: none }
routes:
  A:
    schema: { protobuf: demo.Person, unknown_fields: allow, require: [id], all_violations: false }
    reply: demo.Reply
    pool: people
    frontends: [clients]
  TIMED: { pool: others, timeout: 10s }
  PACK: { schema: { msgpack: demo.Person }, pool: others }
  TEXT: { schema: { json: demo.Person }, pool: others }
proto: { import_paths: [schemas], compiler: builtin, breaking: allow }
limits: { message: 1MiB, frames: 11, depth: 12, clients: 13, client_requests: 14, client_bytes: 15KiB, rules: 16KiB, rules_cost: 5000 }
shutdown: { grace: 17s }
reload: { watch: true, settle: 18ms }
admin: { bind: "127.0.0.1:7006" }
log: { level: off, format: json }
"#;

const PROTO: &str = "syntax = \"proto3\"; package demo;
message Person { optional int32 id = 1; string name = 2; }
message Other { optional int32 id = 1; }
message Reply { string text = 1; }
";

/// For each key: its path in routes.schema.json, the text to replace, the new text, and the plan.
const KEYS: &[(&str, &str, &str, &str)] = &[
    // Engine libzmq does not support `type`, so this edit removes it.
    (
        "engine",
        "engine: native\nfrontends:\n  plain: { bind: \"tcp://127.0.0.1:7007\", type: TIMED,",
        "engine: libzmq\nfrontends:\n  plain: { bind: \"tcp://127.0.0.1:7007\",",
        "~1 frontend (plain), engine",
    ),
    (
        "frontends",
        "frontends:\n",
        "frontends:\n  two: { bind: \"tcp://127.0.0.1:7011\" }\n",
        "+1 frontend (two)",
    ),
    ("frontend/bind", "7001", "7011", "~1 frontend (clients)"),
    ("frontend/connect", "7002", "7011", "~1 frontend (clients)"),
    (
        "frontend/errors",
        "errors: json",
        "errors: msgpack",
        "~1 frontend (clients)",
    ),
    (
        "frontend/type",
        "type: TIMED",
        "type: PACK",
        "~1 frontend (plain)",
    ),
    (
        "frontend/envelope",
        "envelope: auto",
        "envelope: routed",
        "~1 frontend (plain)",
    ),
    (
        "frontend/errors/encoding",
        "encoding: json",
        "encoding: msgpack",
        "~1 frontend (plain)",
    ),
    (
        "frontend/errors/as",
        "as: payload",
        "as: frames",
        "~1 frontend (plain)",
    ),
    // This key applies to frontends without a `security` of their own.
    (
        "security",
        "frontends:\n",
        "security: { from: 10.0.0.0/8 }\nfrontends:\n",
        "~2 frontends (plain, clients)",
    ),
    (
        "pool/security",
        "security: none",
        "security: { from: 10.0.0.0/8 }",
        "~1 pool (people)",
    ),
    (
        "pools",
        "  others:",
        "  none: { bind: \"tcp://127.0.0.1:7011\" }\n  others:",
        "+1 pool (none)",
    ),
    ("pool/bind", "7003", "7011", "~1 pool (people)"),
    ("pool/connect", "7004", "7011", "~1 pool (people)"),
    (
        "pool/workers",
        "workers: auto",
        "workers: rep",
        "~1 pool (people)",
    ),
    (
        "pool/identity",
        "identity: token",
        "identity: client",
        "~1 pool (people)",
    ),
    (
        "pool/balance",
        "least_busy",
        "round_robin",
        "~1 pool (people)",
    ),
    (
        "pool/per_worker",
        "per_worker: 5",
        "per_worker: 6",
        "~1 pool (people)",
    ),
    ("pool/queue", "queue: 6", "queue: 7", "~1 pool (people)"),
    ("pool/queue_bytes", "7KiB", "8KiB", "~1 pool (people)"),
    // A route without a timeout of its own has the timeout of its pool.
    ("pool/timeout", "timeout: 8s", "timeout: 9s", "~1 route (A)"),
    (
        "pool/heartbeat",
        "heartbeat: 9s",
        "heartbeat: off",
        "~1 pool (people)",
    ),
    (
        "pool/frames",
        "frames: typed",
        "frames: payload",
        "~1 pool (people)",
    ),
    (
        "routes",
        "  TIMED:",
        "  MORE: { pool: others }\n  TIMED:",
        "+1 route (MORE)",
    ),
    (
        "route/schema",
        "{ msgpack: demo.Person }",
        "{ msgpack: demo.Other }",
        "~1 route (PACK)",
    ),
    ("route/reply", "demo.Reply", "demo.Other", "~1 route (A)"),
    ("route/pool", "pool: people", "pool: others", "~1 route (A)"),
    (
        "route/timeout",
        "timeout: 10s",
        "timeout: 11s",
        "~1 route (TIMED)",
    ),
    (
        "route/frontends",
        "    frontends: [clients]\n",
        "",
        "~1 route (A)",
    ),
    (
        "schema/protobuf",
        "protobuf: demo.Person",
        "protobuf: demo.Other",
        "~1 route (A)",
    ),
    ("schema/msgpack", "msgpack:", "protobuf:", "~1 route (PACK)"),
    (
        "schema/json",
        "json: demo",
        "protobuf: demo",
        "~1 route (TEXT)",
    ),
    (
        "schema/unknown_fields",
        "fields: allow",
        "fields: reject",
        "~1 route (A)",
    ),
    (
        "schema/layout",
        "msgpack: demo.Person",
        "msgpack: demo.Person, layout: map",
        "~1 route (PACK)",
    ),
    (
        "schema/text_keys",
        "msgpack: demo.Person",
        "msgpack: demo.Person, text_keys: allow",
        "~1 route (PACK)",
    ),
    (
        "schema/require",
        "require: [id]",
        "require: []",
        "~1 route (A)",
    ),
    (
        "schema/all_violations",
        "violations: false",
        "violations: true",
        "~1 route (A)",
    ),
    (
        "proto",
        "proto: { import_paths: [schemas], compiler: builtin, breaking: allow }",
        "",
        "nothing changed",
    ),
    (
        "proto/import_paths",
        "[schemas]",
        "[schemas, more]",
        "+1 .proto file (more.proto)",
    ),
    // These keys say how files are read and checked, which is not part of the running
    // configuration. They still apply to the next reload.
    (
        "proto/compiler",
        ", compiler: builtin",
        "",
        "nothing changed",
    ),
    (
        "proto/breaking",
        "breaking: allow",
        "breaking: reject",
        "nothing changed",
    ),
    ("limits", "limits: { ", "limits: { } #", "limits"),
    ("limits/message", "1MiB", "2MiB", "limits"),
    ("limits/frames", "frames: 11", "frames: 21", "limits"),
    ("limits/depth", "depth: 12", "depth: 21", "limits"),
    ("limits/clients", "clients: 13", "clients: 21", "limits"),
    (
        "limits/client_requests",
        "requests: 14",
        "requests: 21",
        "limits",
    ),
    ("limits/client_bytes", "15KiB", "21KiB", "limits"),
    ("limits/rules", "16KiB", "21KiB", "limits"),
    ("limits/rules_cost", "5000", "5001", "limits"),
    (
        "limits/memory",
        "cost: 5000",
        "cost: 5000, memory: 40%",
        "limits",
    ),
    ("shutdown", "shutdown: { grace: 17s }", "", "shutdown"),
    ("shutdown/grace", "17s", "18s", "shutdown"),
    (
        "reload",
        "reload: { watch: true, settle: 18ms }",
        "",
        "reload",
    ),
    ("reload/watch", "watch: true", "watch: false", "reload"),
    ("reload/settle", "18ms", "19ms", "reload"),
    ("admin", "admin: { bind: \"127.0.0.1:7006\" }", "", "admin"),
    ("admin/bind", "7006", "7011", "admin"),
    ("log", "log: { level: off, format: json }", "", "log"),
    ("log/level", "level: off", "level: debug", "log"),
    ("log/format", "format: json", "format: human", "log"),
    (
        "nothing",
        "engine: native",
        "# engine: libzmq",
        "nothing changed",
    ),
];

/// The keys that are edited in [`routes_with_security`], with the same fields as in [`KEYS`].
const SECURITY_KEYS: &[(&str, &str, &str, &str)] = &[
    (
        "frontend/security",
        "security: {",
        "security: none } #",
        "~1 frontend (clients)",
    ),
    (
        "security_map/curve",
        "curve: { secret: keys/ours, peers: keys/theirs.pub, server: keys/theirs.pub }, plain: { users: keys/users }, anonymous: false, ",
        "",
        "~1 frontend (clients)",
    ),
    (
        "security_map/plain",
        "plain: { users: keys/users }, ",
        "",
        "~1 frontend (clients)",
    ),
    (
        "plain/users",
        "keys/users",
        "keys/users_too",
        "~1 frontend (clients)",
    ),
    (
        "security_map/anonymous",
        "anonymous: false",
        "anonymous: true",
        "~1 frontend (clients)",
    ),
    (
        "security_map/from",
        "from: 10.0.0.0/8",
        "from: 11.0.0.0/8",
        "~1 frontend (clients)",
    ),
    (
        "curve/secret",
        "keys/ours",
        "keys/ours_too",
        "~1 frontend (clients)",
    ),
    (
        "curve/peers",
        "peers: keys/theirs.pub",
        "peers: any",
        "~1 frontend (clients)",
    ),
    (
        "curve/server",
        ", server: keys/theirs.pub",
        "",
        "~1 frontend (clients)",
    ),
    (
        "route/rate",
        "A:\n",
        "A:\n    rate: 100/s\n",
        "~1 route (A)",
    ),
    (
        "route/allow",
        "A:\n",
        "A:\n    allow: theirs\n",
        "~1 route (A)",
    ),
];

/// The keys that are edited in [`routes_with_channel`], with the same fields as in [`KEYS`].
const CHANNEL_KEYS: &[(&str, &str, &str, &str)] = &[
    (
        "channels",
        "channels:\n",
        "channels:\n  more: { publishers: \"tcp://127.0.0.1:7011\", subscribers: \"tcp://127.0.0.1:7012\" }\n",
        "+1 channel (more)",
    ),
    ("channel/publishers", "7021", "7011", "~1 channel (ticks)"),
    ("channel/subscribers", "7022", "7011", "~1 channel (ticks)"),
    (
        "channel_side/bind",
        "bind: \"tcp://127.0.0.1:7022\"",
        "bind: \"tcp://127.0.0.1:7011\"",
        "~1 channel (ticks)",
    ),
    ("channel_side/connect", "7023", "7011", "~1 channel (ticks)"),
    (
        "channel_side/security",
        "7023\", security: none",
        "7023\", security: { from: 10.0.0.0/8 }",
        "~1 channel (ticks)",
    ),
    (
        "channel/keep",
        "keep: { last: 3 }",
        "",
        "~1 channel (ticks)",
    ),
    ("keep/last", "last: 3", "last: 4", "~1 channel (ticks)"),
    ("keep/for", "last: 3", "for: 4s", "~1 channel (ticks)"),
    ("channel/keep_bytes", "24KiB", "25KiB", "~1 channel (ticks)"),
    (
        "channel/slow",
        "slow: drop_new",
        "slow: conflate",
        "~1 channel (ticks)",
    ),
    (
        "channel/subscriber_bytes",
        "26KiB",
        "27KiB",
        "~1 channel (ticks)",
    ),
    (
        "channel/upstream",
        "upstream: all",
        "upstream: auto",
        "~1 channel (ticks)",
    ),
    (
        "channel/frames",
        "frames: single\n    topic_end: \"|\"",
        "frames: typed",
        "~1 channel (ticks)",
    ),
    (
        "channel/topic_end",
        "topic_end: \"|\"",
        "topic_end: \":\"",
        "~1 channel (ticks)",
    ),
    (
        "route/publish",
        "pool: others, timeout: 10s",
        "publish: ticks",
        "~1 route (TIMED)",
    ),
    ("route/ack", "ack: true", "ack: false", "~1 route (TICK)"),
];

/// Returns [`ROUTES`] with a channel and a route to it.
fn routes_with_channel() -> String {
    let channel = "channels:
  ticks:
    publishers: \"tcp://127.0.0.1:7021\"
    subscribers: { bind: \"tcp://127.0.0.1:7022\", connect: \"tcp://127.0.0.1:7023\", security: none }
    keep: { last: 3 }
    keep_bytes: 24KiB
    slow: drop_new
    subscriber_bytes: 26KiB
    upstream: all
    frames: single, topic_end: \"|\"
routes:
  TICK: { publish: ticks, ack: true }
";
    let channel = channel.replace(", topic_end", "\n    topic_end");
    ROUTES.replace("routes:\n", &channel)
}

/// Returns [`ROUTES`] with `security` for the frontend `clients`.
fn routes_with_security() -> String {
    ROUTES.replace(
        "errors: json }\npools",
        "errors: json, security: { curve: { secret: keys/ours, peers: keys/theirs.pub, server: keys/theirs.pub }, \
         plain: { users: keys/users }, anonymous: false, from: 10.0.0.0/8 } }\npools",
    )
}

/// The hash of a password, with such small parameters that its verification takes little time.
const HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$Sh2ANMDx4ULcVEJ7GKY9RzLv2LJ6TRMFaSTBn0JrVkg";

fn write(directory: &Path, routes: &str, proto: &str) {
    for (name, text) in [
        ("keys/ours", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"),
        ("keys/users", &format!("alice:{HASH}\n")),
        ("keys/users_too", &format!("bob:{HASH}\n")),
        ("keys/ours_too", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"),
        (
            "keys/theirs.pub",
            "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
        ),
        ("schemas/demo.proto", proto),
        ("more/more.proto", "syntax = \"proto3\";"),
    ] {
        fs::create_dir_all(directory.join(name).parent().unwrap()).unwrap();
        fs::write(directory.join(name), text).unwrap();
    }
    fs::write(directory.join("routes.yaml"), routes).unwrap();
}

/// Returns the plan from one configuration to another, and the plan of the reverse edit. A
/// configuration is a pair of routes.yaml and demo.proto.
fn plans(before: (&str, &str), after: (&str, &str)) -> (Plan, Plan) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("routes.yaml");
    write(directory.path(), before.0, before.1);
    let old = config::load(&file).unwrap_or_else(|found| panic!("{found}"));
    write(directory.path(), after.0, after.1);
    let new = config::load_after(&file, &old.snapshot);
    let new = new.unwrap_or_else(|found| panic!("{found}"));
    let between = |old, new| Plan::between(old, new);
    (
        between(&old.snapshot, &new.snapshot),
        between(&new.snapshot, &old.snapshot),
    )
}

/// Edits each key of a table in this routes.yaml, and checks the plan of the edit and the plan of
/// the reverse edit.
fn assert_each_is_in_the_plan(routes: &str, keys: &[(&str, &str, &str, &str)]) {
    for (key, from, to, expected) in keys {
        let edited = routes.replacen(from, to, 1);
        assert_ne!(edited, routes, "{key}: no {from:?}");
        let (plan, back) = plans((routes, PROTO), (&edited, PROTO));
        assert_eq!(plan.to_string(), *expected, "{key}");
        assert_eq!(plan.is_empty(), back.is_empty(), "{key}");
        let reverse = expected.replace('+', "-");
        assert_eq!(back.to_string(), reverse, "{key}, reverse edit");
    }
}

#[test]
fn the_plan_contains_the_edit_of_each_single_key() {
    assert_each_is_in_the_plan(ROUTES, KEYS);
    assert_each_is_in_the_plan(&routes_with_security(), SECURITY_KEYS);
    assert_each_is_in_the_plan(&routes_with_channel(), CHANNEL_KEYS);
}

#[test]
fn the_plan_contains_the_edit_of_a_single_proto_file() {
    let (plan, _) = plans((ROUTES, PROTO), (ROUTES, &format!("// A word.\n{PROTO}")));
    assert_eq!(plan.to_string(), "~1 .proto file (demo.proto)");
    let (plan, _) = plans((ROUTES, PROTO), (ROUTES, PROTO));
    assert!(plan.is_empty());
}

/// Every key of the JSON schema must be in one of the tables above.
#[test]
fn no_key_is_forgotten() {
    let schema: Value = serde_json::from_str(config::JSON_SCHEMA).unwrap();
    let mut known = BTreeSet::new();
    let mut add = |prefix: &str, map: &Value| {
        let keys = map["properties"].as_object().into_iter().flatten();
        for (key, below) in keys {
            known.insert(format!("{prefix}{key}"));
            let below = below["properties"].as_object().into_iter().flatten();
            known.extend(below.map(|(name, _)| format!("{prefix}{key}/{name}")));
        }
    };
    add("", &schema);
    for part in [
        "frontend",
        "pool",
        "route",
        "schema",
        "security_map",
        "curve",
        "plain",
        "channel",
        "channel_side",
        "keep",
    ] {
        add(&format!("{part}/"), &schema["$defs"][part]);
    }
    let tabled = KEYS.iter().chain(SECURITY_KEYS).chain(CHANNEL_KEYS);
    let tabled: BTreeSet<_> = tabled.map(|key| key.0.to_owned()).collect();
    let missing: Vec<_> = known.difference(&tabled).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    assert!(known.len() > 40, "{known:?}");
}
