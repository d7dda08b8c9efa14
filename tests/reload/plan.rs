//! Every key of routes.yaml, edited alone, is in the plan of a reload: a change that isn't there would be called
//! none, and never take hold.

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
    identity: token
    balance: least_busy
    per_worker: 5
    queue: 6
    queue_bytes: 7KiB
    timeout: 8s
    heartbeat: 9s
    frames: typed
  others: { bind: "tcp://127.0.0.1:7005" }
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
limits: { message: 1MiB, frames: 11, depth: 12, clients: 13, client_requests: 14, client_bytes: 15KiB, rules: 16KiB }
shutdown: { grace: 17s }
reload: { watch: true, settle: 18ms }
admin: { bind: "127.0.0.1:7006" }
"#;

const PROTO: &str = "syntax = \"proto3\"; package demo;
message Person { optional int32 id = 1; string name = 2; }
message Other { optional int32 id = 1; }
message Reply { string text = 1; }
";

/// A key by its path in routes.schema.json, an edit of it, and what the plan says.
const KEYS: &[(&str, &str, &str, &str)] = &[
    // It has no `type`.
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
    // A route has it from its pool.
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
    // How files are read and judged, which is no part of what runs: it holds for the next reload all the same.
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
    (
        "nothing",
        "engine: native",
        "# engine: libzmq",
        "nothing changed",
    ),
];

fn write(directory: &Path, routes: &str, proto: &str) {
    for (name, text) in [
        ("schemas/demo.proto", proto),
        ("more/more.proto", "syntax = \"proto3\";"),
    ] {
        fs::create_dir_all(directory.join(name).parent().unwrap()).unwrap();
        fs::write(directory.join(name), text).unwrap();
    }
    fs::write(directory.join("routes.yaml"), routes).unwrap();
}

/// The plan from one configuration to another, and back.
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

#[test]
fn each_key_alone_is_in_the_plan() {
    for (key, from, to, said) in KEYS {
        let edited = ROUTES.replacen(from, to, 1);
        assert_ne!(edited, ROUTES, "{key}: no {from:?}");
        let (plan, back) = plans((ROUTES, PROTO), (&edited, PROTO));
        assert_eq!(plan.to_string(), *said, "{key}");
        assert_eq!(plan.is_empty(), back.is_empty(), "{key}");
        let turned = said.replace('+', "-");
        assert_eq!(back.to_string(), turned, "{key}, taken back");
    }
}

#[test]
fn a_proto_file_alone_is_in_the_plan() {
    let (plan, _) = plans((ROUTES, PROTO), (ROUTES, &format!("// A word.\n{PROTO}")));
    assert_eq!(plan.to_string(), "~1 .proto file (demo.proto)");
    let (plan, _) = plans((ROUTES, PROTO), (ROUTES, PROTO));
    assert!(plan.is_empty());
}

/// Every key that the schema of routes.yaml knows stands in the table above.
#[test]
fn no_key_is_forgotten() {
    let schema: Value = serde_json::from_str(config::JSON_SCHEMA).unwrap();
    let mut known = BTreeSet::new();
    let mut note = |prefix: &str, at: &Value| {
        let keys = at["properties"].as_object().into_iter().flatten();
        for (key, below) in keys {
            known.insert(format!("{prefix}{key}"));
            let below = below["properties"].as_object().into_iter().flatten();
            known.extend(below.map(|(name, _)| format!("{prefix}{key}/{name}")));
        }
    };
    note("", &schema);
    for part in ["frontend", "pool", "route", "schema"] {
        note(&format!("{part}/"), &schema["$defs"][part]);
    }
    let tabled: BTreeSet<_> = KEYS.iter().map(|key| key.0.to_owned()).collect();
    let missing: Vec<_> = known.difference(&tabled).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    assert!(known.len() > 40, "{known:?}");
}
