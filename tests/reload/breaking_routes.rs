//! Tests of edits that change the schemas of routes: the new configuration is compared with the
//! configuration in force.

use std::fs;

/// Returns the warnings about an edit, each as its message and the notes that name a route. A
/// configuration is given by its `routes` and the content of its .proto file.
fn reported(old: (&str, &str), new: (&str, &str)) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let write = |(routes, proto): (&str, &str)| {
        fs::create_dir_all(dir.path().join("schemas")).unwrap();
        fs::write(
            dir.path().join("schemas/t.proto"),
            format!("syntax = \"proto3\"; package t; {proto}"),
        )
        .unwrap();
        let yaml = format!(
            "frontends: {{ c: {{ bind: \"tcp://*:5559\" }} }}\npools: {{ p: {{ bind: \"tcp://*:5560\" }} }}\nroutes:\n{routes}"
        );
        let file = dir.path().join("routes.yaml");
        fs::write(&file, yaml).unwrap();
        file
    };
    let running = gateway::config::load(&write(old)).unwrap().snapshot;
    let loaded = gateway::config::load_after(&write(new), &running).unwrap();
    let text = |warning: &gateway_diagnostic::Diagnostic| {
        let users: Vec<_> = warning
            .notes
            .iter()
            .map(|note| note.text.clone())
            .filter(|note| note.contains("route "))
            .collect();
        format!("{}; {}", warning.message, users.join("; "))
    };
    loaded.warnings.iter().map(text).collect()
}

#[test]
fn the_schemas_of_a_route_are_compared_with_its_earlier_schemas() {
    let person = "message A { int32 id = 1; } message B { string id = 1; } message C { int32 id = 1; int32 n = 2; }";
    let edit = |old: &str, new: &str| {
        let line = |route: &str| format!("  X: {{ {route}, pool: p }}\n");
        reported((&line(old), person), (&line(new), person))
    };
    let b = ["t.A.id changed its type from int32 to string; affects route X at id, in protobuf"];
    assert_eq!(edit("schema: t.A", "schema: t.B"), b, "another message");
    assert_eq!(edit("schema: t.A", "schema: t.C"), [""; 0]);
    assert_eq!(edit("schema: [t.A, t.B]", "schema: [t.B, t.A]"), [""; 0]);
    assert_eq!(edit("schema: [t.A, t.B]", "schema: [t.C, t.B]"), [""; 0]);
    assert_eq!(
        edit("schema: [t.A, t.C]", "schema: t.C"),
        [""; 0],
        "a schema removed from the list"
    );
    assert_eq!(
        edit("schema: t.A", "schema: { msgpack: t.B }"),
        [""; 0],
        "another encoding"
    );
    assert_eq!(edit("timeout: 1s", "schema: t.A"), [""; 0], "was opaque");
    assert_eq!(edit("schema: t.A", "timeout: 1s"), [""; 0], "is opaque");
    let stricter = "schema: { protobuf: t.A, unknown_fields: reject }";
    assert_eq!(edit("schema: t.A", stricter), [""; 0]);
    assert_eq!(
        edit(
            "schema: { msgpack: t.A }",
            "schema: { msgpack: t.A, layout: map }"
        ),
        [""; 0]
    );
    let reply =
        ["t.A.id changed its type from int32 to string; affects route X (reply) at id, in msgpack"];
    assert_eq!(
        edit("reply: { msgpack: t.A }", "reply: { msgpack: t.B }"),
        reply
    );
    // A new route breaks nothing.
    let (x, y) = (
        "  X: { schema: t.A, pool: p }\n",
        "  Y: { schema: t.B, pool: p }\n",
    );
    assert_eq!(reported((x, person), (y, person)), [""; 0]);
    // Many routes share one diagnostic, which names some of these routes. Fields of nested messages
    // are compared, too.
    let routes: String = (0..10)
        .map(|n| format!("  R{n}: {{ schema: t.D, pool: p }}\n"))
        .collect();
    let d = |kind: &str| format!("message D {{ A a = 1; }} message A {{ {kind} id = 1; }}");
    let all = reported((&routes, &d("int32")), (&routes, &d("string")));
    assert_eq!(all.len(), 1);
    assert!(
        all[0].contains("affects route R7 at a.id") && !all[0].contains("R8"),
        "{all:?}"
    );
}
