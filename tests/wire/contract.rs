//! Tests of the wire contract with every kind of client and worker.

use std::collections::BTreeSet;

use gateway::reply::Reason;

use crate::support::gateway::Gateway;
use crate::support::sockets::{
    Error, TEST_TIMEOUT_MS, answer, named, read_rejection, receive, rejected, send, socket, texts,
};
use crate::support::{ANN, turns};

#[test]
fn dealer_client_and_dealer_worker_exchange_type_headers_payload() {
    let gateway = Gateway::people("");
    let (client, worker) = (gateway.dealer(), gateway.worker());
    client
        .send_multipart([&b"PROTOBUF"[..], b"id-7", b"", ANN], 0)
        .unwrap();
    let request = answer(&worker, b"done");
    assert_eq!(
        request[1..],
        [b"PROTOBUF".to_vec(), b"id-7".to_vec(), vec![], ANN.to_vec()]
    );
    assert_eq!(texts(&receive(&client)), ["REPLY", "id-7", "", "done"]);
    let ledger = gateway.end();
    assert_eq!((ledger.received, ledger.answered), (1, 1));
}

#[test]
fn a_named_clients_token_is_its_name_and_a_number() {
    let gateway = Gateway::people("");
    let worker = gateway.worker();
    let client = gateway.named_dealer(b"client1");
    send(&client, &["OPAQUE", "x"]);
    send(&client, &["OPAQUE", "y"]);
    let numbers = [(); 2].map(|()| {
        let token = texts(&answer(&worker, b""))[0].clone();
        let number = token.strip_prefix("client1#").unwrap();
        number.parse::<u64>().unwrap()
    });
    assert_eq!(numbers[1], numbers[0] + 1);
}

#[test]
fn an_unnamed_clients_token_decodes_as_text() {
    let gateway = Gateway::people("");
    let (client, worker) = (gateway.dealer(), gateway.worker());
    send(&client, &["OPAQUE", "x"]);
    let request = receive(&worker);
    let token = std::str::from_utf8(&request[0]).unwrap();
    let (name, number) = token.split_once('#').unwrap();
    assert!(name.bytes().all(|b| b.is_ascii_hexdigit()), "{token}");
    assert!(number.bytes().all(|b| b.is_ascii_digit()), "{token}");
}

#[test]
fn a_dealers_empty_delimiter_is_returned_and_not_sent_to_the_worker() {
    let gateway = Gateway::people("");
    let (client, worker) = (gateway.dealer(), gateway.worker());
    send(&client, &["", "OPAQUE", "x"]);
    assert_eq!(texts(&answer(&worker, b"y")[1..]), ["OPAQUE", "x"]);
    assert_eq!(texts(&receive(&client)), ["", "REPLY", "y"]);
    send(&client, &["", "NOBODY", "x"]);
    let frames = receive(&client);
    assert_eq!(texts(&frames[..2]), ["", "ERROR"]);
}

#[test]
fn req_clients_are_served_and_rejected_and_can_send_again() {
    let gateway = Gateway::people("");
    let (client, worker) = (gateway.req(), gateway.worker());
    for _ in 0..3 {
        send(&client, &["OPAQUE", "h", "x"]);
        assert_eq!(texts(&answer(&worker, b"y")[1..]), ["OPAQUE", "h", "x"]);
        assert_eq!(texts(&receive(&client)), ["REPLY", "h", "y"]);
        send(&client, &["NOBODY", "h", "x"]);
        rejected(&client, &["h"], Reason::UnknownType);
        send(&client, &["OPAQUE"]);
        rejected(&client, &[], Reason::Malformed);
    }
}

#[test]
fn req_with_correlation_is_served() {
    let gateway = Gateway::people("per_worker: 2");
    let worker = gateway.worker();
    let client = socket(&gateway.context, zmq::REQ);
    client.set_req_correlate(true).unwrap();
    client.set_req_relaxed(true).unwrap();
    client.connect(&gateway.endpoint("clients")).unwrap();
    send(&client, &["OPAQUE", "first"]);
    let abandoned = receive(&worker);
    send(&client, &["OPAQUE", "second"]);
    answer(&worker, b"for the second");
    send(&worker, &[&abandoned[0][..], b"REPLY", b"for the first"]);
    assert_eq!(texts(&receive(&client)), ["REPLY", "for the second"]);
    send(&client, &["NOBODY", "x"]);
    rejected(&client, &[], Reason::UnknownType);
}

#[test]
fn the_empty_message_of_a_probing_client_is_ignored() {
    let gateway = Gateway::people("");
    let worker = gateway.worker();
    for (kind, prefix) in [
        (zmq::DEALER, &[][..]),
        (zmq::REQ, &[]),
        (zmq::DEALER, &[""]),
    ] {
        let client = socket(&gateway.context, kind);
        client.set_probe_router(true).unwrap();
        client.connect(&gateway.endpoint("clients")).unwrap();
        send(&client, &[prefix, &["OPAQUE", "x"]].concat());
        answer(&worker, b"y");
        assert_eq!(texts(&receive(&client)), [prefix, &["REPLY", "y"]].concat());
    }
    let ledger = gateway.end();
    assert_eq!((ledger.received, ledger.answered), (3, 3));
}

/// A program that restarts sets the same identity as before while workers still hold the requests
/// of its previous connection.
#[test]
fn a_client_that_connects_again_under_its_identity_receives_only_its_own_answers() {
    let gateway = Gateway::people("per_worker: 10");
    let worker = gateway.worker();
    let reply = |request: &[Vec<u8>]| {
        let frames = [&request[0], &b"REPLY".to_vec(), &request[2], &b"y".to_vec()];
        send(&worker, &frames);
    };
    for n in 0..40 {
        // The first client has a context of its own, and its connection is closed when the context
        // is dropped. If two connections have the same identity, engine libzmq cannot choose the
        // connection that receives an answer.
        let context = zmq::Context::new();
        let first = named(&context, b"ann", &gateway.endpoint("clients"));
        send(&first, &["OPAQUE", "old", "x"]);
        let old = receive(&worker);
        drop((first, context));
        let second = gateway.named_dealer(b"ann");
        let late = n % 2 == 0;
        if !late {
            reply(&old);
        }
        send(&second, &["OPAQUE", "new", "x"]);
        let new = receive(&worker);
        assert_eq!(texts(&new[2..]), ["new", "x"]);
        if late {
            reply(&old);
        }
        reply(&new);
        assert_eq!(texts(&receive(&second)), ["REPLY", "new", "y"], "{n}");
    }
    let ledger = gateway.end();
    assert_eq!(ledger.received, 80, "{ledger:?}");
}

/// Without correlation, a REQ cannot recognise an old answer, so the gateway must not deliver it.
#[test]
fn a_req_that_sends_again_never_receives_the_old_answer() {
    let gateway = Gateway::people("per_worker: 2");
    let worker = gateway.worker();
    let client = socket(&gateway.context, zmq::REQ);
    client.set_identity(b"phoenix").unwrap();
    client.set_req_relaxed(true).unwrap();
    client.connect(&gateway.endpoint("clients")).unwrap();
    send(&client, &["OPAQUE", "first"]);
    let abandoned = receive(&worker);
    send(&client, &["OPAQUE", "second"]);
    let second = receive(&worker);
    send(&worker, &[&abandoned[0][..], b"REPLY", b"for the first"]);
    send(&worker, &[&second[0][..], b"REPLY", b"for the second"]);
    assert_eq!(texts(&receive(&client)), ["REPLY", "for the second"]);
    let ledger = gateway.end();
    assert_eq!((ledger.answered, ledger.client_gone), (1, 1));
}

#[test]
fn rep_workers_are_served() {
    let gateway = Gateway::people("workers: rep");
    let worker = gateway.peer(zmq::REP, "people");
    let (dealer, req) = (gateway.dealer(), gateway.req());
    for client in [&dealer, &req, &dealer] {
        send(client, &["OPAQUE", "h", "x"]);
        assert_eq!(texts(&receive(&worker)), ["OPAQUE", "h", "x"]);
        send(&worker, &["REPLY", "h", "y"]);
        assert_eq!(texts(&receive(client)), ["REPLY", "h", "y"]);
    }
}

#[test]
fn types_are_raw_bytes_and_patterns_match_by_longest_prefix() {
    let gateway = Gateway::start(
        r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools:
  exact: { bind: "tcp://127.0.0.1:0" }
  orders: { bind: "tcp://127.0.0.1:0" }
  rest: { bind: "tcp://127.0.0.1:0" }
routes:
  hex:ff00: { pool: exact }
  order.*: { pool: orders }
  "*": { pool: rest }
"#,
    );
    let client = gateway.dealer();
    let kinds: [(&[u8], &str); 4] = [
        (b"\xff\x00", "exact"),
        (b"order.new", "orders"),
        (b"order", "rest"),
        (b"\x00", "rest"),
    ];
    let workers = ["exact", "orders", "rest"].map(|pool| (pool, gateway.peer(zmq::DEALER, pool)));
    for (kind, pool) in kinds {
        let (_, worker) = workers.iter().find(|(name, _)| *name == pool).unwrap();
        client.send_multipart([kind, b"x"], 0).unwrap();
        assert_eq!(answer(worker, b"y")[1], kind);
        receive(&client);
    }
    let (short, long) = (vec![b'x'; 255], vec![b'x'; 256]);
    let worker = &workers[2].1;
    send(&client, &[&short[..], b"x"]);
    assert_eq!(answer(worker, b"y")[1], short);
    receive(&client);
    send(&client, &[&long[..], b"x"]);
    rejected(&client, &[], Reason::Malformed);
}

#[test]
fn malformed_messages_are_rejected_with_the_reason() {
    let gateway = Gateway::people("");
    let client = gateway.dealer();
    let many: Vec<String> = (0..20).map(|n| format!("h{n}")).collect();
    let many: Vec<&str> = std::iter::once("OPAQUE")
        .chain(many.iter().map(String::as_str))
        .collect();
    for (message, headers, why) in [
        (&["OPAQUE"][..], &[][..], "needs a frontend with `type`"),
        (&["", ""], &[], "1 frame"),
        (&[""], &[], "no frames"),
        (&["", "", "h", "p"], &["h"], "type frame is empty"),
        (&many, &many[1..15], "more than 16 frames"),
    ] {
        send(&client, message);
        let mut frames = receive(&client);
        if message[0].is_empty() {
            assert_eq!(frames.remove(0), b"", "the envelope");
        }
        assert_eq!(frames[0], b"ERROR");
        assert_eq!(texts(&frames[1..frames.len() - 1]), headers);
        let error: Error = read_rejection(frames.last().unwrap());
        assert_eq!(error.reason, "malformed");
        assert!(error.message.contains(why), "{}", error.message);
    }
}

#[test]
fn invalid_payloads_are_rejected_with_path_and_offset() {
    let gateway = Gateway::people("");
    let client = gateway.dealer();
    // In this payload, `name` is an integer instead of a string.
    client
        .send_multipart([&b"MSGPACK"[..], b"h", b"\x82\xa2id\x01\xa4name\x07"], 0)
        .unwrap();
    let error = rejected(&client, &["h"], Reason::SchemaViolation);
    assert_eq!((error.field.as_str(), error.offset), ("name", Some(10)));
    client
        .send_multipart([&b"MSGPACK"[..], b"\x81\xa2id\x01"], 0)
        .unwrap();
    let error = rejected(&client, &[], Reason::SchemaViolation);
    assert_eq!(error.field, "name");
    let ledger = gateway.end();
    assert_eq!(ledger.rejected[Reason::SchemaViolation as usize], 2);
    assert_eq!(ledger.answered, 0);
}

#[test]
fn a_rejection_suggests_a_cure_for_a_probable_mistake() {
    let gateway = Gateway::people("");
    let client = gateway.dealer();
    let reported = |frames: &[&[u8]]| {
        client.send_multipart(frames, 0).unwrap();
        read_rejection::<Error>(receive(&client).last().unwrap()).message
    };
    let json = reported(&[b"MSGPACK", br#"{"name": "Ann"}"#]);
    let ends = "; the payload looks like JSON, but msgpack is expected";
    assert!(json.ends_with(ends), "{json}");
    let lower = reported(&[b"protobuf", ANN]);
    assert_eq!(
        lower,
        "no route matches type protobuf; did you mean PROTOBUF?"
    );
    for (payload, looks) in [
        (
            &b"{'name': 'Ann'}"[..],
            "Python's str() of a dict or list; json.dumps() writes JSON",
        ),
        (
            b"\x80\x04\x95\x0f\0\0\0\0\0\0\0}.",
            "a Python pickle, as send_pyobj() sends",
        ),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "gzip"),
    ] {
        let message = reported(&[b"MSGPACK", payload]);
        let ends = format!("; the payload looks like {looks}, but msgpack is expected");
        assert!(message.ends_with(&ends), "{message}");
    }
    let swapped = reported(&[ANN, b"PROTOBUF"]);
    let ends =
        "; the last frame is a type of route PROTOBUF: the type comes first, and the payload last";
    assert!(swapped.ends_with(ends), "{swapped}");
}

#[test]
fn a_reply_that_looks_like_another_encoding_is_reported_as_such() {
    let gateway = Gateway::start(
        r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes: { A: { pool: people, reply: demo.Person } }
"#,
    );
    let (client, worker) = (gateway.dealer(), gateway.worker());
    send(&client, &["A", "x"]);
    answer(&worker, br#"{"name": "Ann"}"#);
    let message = read_rejection::<Error>(receive(&client).last().unwrap()).message;
    let ends = "; the payload looks like JSON, but protobuf is expected";
    assert!(message.ends_with(ends), "{message}");
}

#[test]
fn rejections_have_the_encoding_of_the_route_or_else_of_the_frontend() {
    let gateway = Gateway::start(
        r#"
frontends:
  default: { bind: "tcp://127.0.0.1:0" }
  json: { bind: "tcp://127.0.0.1:0", errors: json }
  proto: { bind: "tcp://127.0.0.1:0", errors: protobuf }
pools: { people: { bind: "tcp://127.0.0.1:0", queue: 0 } }
routes:
  P: { schema: demo.Person, pool: people }
  M: { schema: { msgpack: demo.Person, all_violations: true }, pool: people }
  ALL: { schema: { protobuf: demo.Person, all_violations: true }, pool: people }
  J: { schema: { json: demo.Person, all_violations: true }, pool: people }
  ANY: { schema: [{ msgpack: demo.Person }, demo.Person], pool: people }
  OPAQUE: { pool: people }
"#,
    );
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let mut found = gateway_diagnostic::Diagnostics::new();
    let compiled = gateway_proto::compile(&[shipped], gateway_proto::Compiler::Builtin, &mut found);
    let table = gateway_schema::Table::build(compiled.unwrap().files()).unwrap();
    let id = table.message("gateway.v1.Error").unwrap();
    let options = gateway_schema::Options {
        unknown_fields: gateway_schema::UnknownFields::Reject,
        ..Default::default()
    };
    let table = std::sync::Arc::new(table);
    let schema = |encoding| gateway_schema::Schema::new(encoding, table.clone(), id, options);
    let protobuf = schema(gateway_schema::Encoding::Protobuf);
    let msgpack = schema(gateway_schema::Encoding::Msgpack);
    let json = schema(gateway_schema::Encoding::Json);
    let ask = |frontend: &str, kind: &str| {
        let client = gateway.peer(zmq::DEALER, frontend);
        send(&client, &[kind, "\u{1}"]);
        receive(&client).pop().unwrap()
    };
    for frontend in ["default", "json", "proto"] {
        protobuf.check(&ask(frontend, "P"), 10).unwrap();
        protobuf.check(&ask(frontend, "ALL"), 10).unwrap();
        json.check(&ask(frontend, "J"), 10).unwrap();
        msgpack.check(&ask(frontend, "M"), 10).unwrap();
        msgpack.check(&ask(frontend, "ANY"), 10).unwrap();
    }
    for kind in ["OPAQUE", "NOBODY"] {
        protobuf.check(&ask("proto", kind), 10).unwrap();
        // JSON is the default.
        for frontend in ["default", "json"] {
            let error: Error = serde_json::from_slice(&ask(frontend, kind)).unwrap();
            assert!(["queue_full", "unknown_type"].contains(&error.reason.as_str()));
        }
    }
}

/// The client has several open requests and sends no headers. The rejections arrive while a worker
/// holds the request of type OPAQUE.
#[test]
fn a_rejection_without_headers_names_the_type_of_its_request() {
    let gateway = Gateway::start(
        r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes:
  person.*: { schema: demo.Person, pool: people }
  M: { schema: { msgpack: demo.Person }, pool: people }
  J: { schema: { json: demo.Person }, pool: people }
  OPAQUE: { pool: people }
"#,
    );
    let (client, worker) = (gateway.dealer(), gateway.worker());
    send(&client, &["OPAQUE", "x"]);
    let held = receive(&worker);
    let kinds = ["person.new", "M", "J", "nobody", "person.old"];
    for kind in kinds {
        // This payload is not a valid person in any of the encodings.
        send(&client, &[kind, "\u{1}"]);
    }
    for kind in kinds {
        let frames = receive(&client);
        assert_eq!((frames.len(), &*frames[0]), (2, &b"ERROR"[..]));
        let named = if kind.starts_with("person") {
            // In gateway.v1.Error, the type is field 9.
            let field = [&[0x4a, kind.len() as u8][..], kind.as_bytes()].concat();
            frames[1].windows(field.len()).any(|bytes| bytes == field)
        } else {
            let rejection: serde_json::Value = read_rejection(&frames[1]);
            rejection["type"] == kind
        };
        assert!(named, "{kind}: {}", String::from_utf8_lossy(&frames[1]));
    }
    send(&worker, &[&held[0][..], b"REPLY", b"y"]);
    assert_eq!(texts(&receive(&client)), ["REPLY", "y"]);
}

#[test]
fn an_oversize_message_is_rejected_and_the_next_one_is_served() {
    let gateway = Gateway::start(
        r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes: { OPAQUE: { pool: people } }
limits: { message: 64KiB }
"#,
    );
    let (client, worker) = (gateway.dealer(), gateway.worker());
    let oversize = vec![0; 65_536];
    send(&client, &[&b"OPAQUE"[..], &b"h"[..], &oversize]);
    rejected(&client, &["h"], Reason::TooLarge);
    let parts = vec![vec![0; 30_000]; 3];
    send(&client, &[&[b"OPAQUE".to_vec()], &parts[..]].concat());
    assert_eq!(receive(&client)[0], b"ERROR");
    send(&client, &[&b"OPAQUE"[..], &oversize[..65_530]]);
    assert_eq!(answer(&worker, b"y")[2].len(), 65_530);
    assert_eq!(texts(&receive(&client)), ["REPLY", "y"]);
}

#[test]
fn a_request_from_a_frontend_that_its_route_does_not_list_is_rejected() {
    let gateway = Gateway::start(
        r#"
frontends:
  inside: { bind: "tcp://127.0.0.1:0" }
  outside: { bind: "tcp://127.0.0.1:0" }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes: { OPAQUE: { pool: people, frontends: [inside] } }
"#,
    );
    let worker = gateway.worker();
    let inside = gateway.peer(zmq::DEALER, "inside");
    let outside = gateway.peer(zmq::DEALER, "outside");
    send(&outside, &["OPAQUE", "x"]);
    rejected(&outside, &[], Reason::NotAllowed);
    send(&inside, &["OPAQUE", "x"]);
    answer(&worker, b"y");
    receive(&inside);
}

#[test]
fn the_error_of_a_worker_is_forwarded_unchanged() {
    let gateway = Gateway::people("");
    let (client, worker) = (gateway.dealer(), gateway.worker());
    client.send_multipart([&b"CHECKED"[..], ANN], 0).unwrap();
    let request = receive(&worker);
    send(
        &worker,
        &[&request[0][..], b"ERROR", b"h", b"\xff not a Reply"],
    );
    assert_eq!(receive(&client), [&b"ERROR"[..], b"h", b"\xff not a Reply"]);
}

#[test]
fn bad_replies_become_rejections() {
    let gateway = Gateway::people("");
    let (client, worker) = (gateway.dealer(), gateway.worker());
    let reply = |frames: &[&[u8]]| {
        client
            .send_multipart([&b"CHECKED"[..], b"h", ANN], 0)
            .unwrap();
        let token = receive(&worker).swap_remove(0);
        send(&worker, &[&[&token[..]], frames].concat());
        receive(&client)
    };
    assert_eq!(reply(&[b"REPLY", b"\x0a\x02ok"])[0], b"REPLY");
    for bad in [
        &[&b"REPLY"[..], b"\x0a\x05ok"][..],
        &[b"REPLY"],
        &[],
        &[b"", b"\x0a\x02ok"],
        &[
            b"REPLY", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9", b"a", b"b", b"c", b"d",
            b"e", b"f", b"",
        ],
    ] {
        let frames = reply(bad);
        assert_eq!(texts(&frames[..2]), ["ERROR", "h"]);
        // The rejection is in protobuf, like the route's requests: the length 9 precedes the
        // reason.
        let payload = String::from_utf8_lossy(&frames[2]);
        assert!(payload.contains("\u{9}bad_reply"), "{payload}");
        let says_key = payload.contains("needs `frames: payload`");
        assert_eq!(says_key, bad.len() == 1, "{payload}");
    }
    assert_eq!(gateway.end().rejected[Reason::BadReply as usize], 5);
}

#[test]
fn json_is_checked_and_answered_in_json() {
    let gateway = Gateway::start(
        r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes:
  ALL: { schema: { json: demo.Person, all_violations: true }, reply: { json: demo.Reply }, pool: people }
  FIRST: { schema: { json: demo.Person, require: [name] }, pool: people }
"#,
    );
    let (client, worker) = (gateway.dealer(), gateway.worker());
    send(&client, &["ALL", r#"{"id": 1, "name": "Ann"}"#]);
    assert_eq!(
        texts(&answer(&worker, br#"{"text":"hi"}"#))[2],
        r#"{"id": 1, "name": "Ann"}"#
    );
    assert_eq!(texts(&receive(&client)), ["REPLY", r#"{"text":"hi"}"#]);

    let rejection = |kind: &str, payload: &str| -> serde_json::Value {
        send(&client, &[kind, payload]);
        let frames = receive(&client);
        assert_eq!(frames[0], b"ERROR");
        serde_json::from_slice(&frames[1]).unwrap()
    };
    let all = rejection("ALL", r#"{"id": "x", "name": 5}"#);
    assert_eq!(
        (&all["reason"], &all["field"], &all["offset"]),
        (&"schema_violation".into(), &"id".into(), &7.into())
    );
    let violations = serde_json::json!([
        {"field": "id", "offset": 7, "expected": "int32", "found": "the string \"x\""},
        {"field": "name", "offset": 20, "expected": "string", "found": "the number 5"},
    ]);
    assert_eq!(all["violations"], violations);
    let first = rejection("FIRST", r#"{"id": 1}"#);
    assert_eq!(
        (&first["field"], first.get("violations")),
        (&"name".into(), None)
    );

    send(&client, &["ALL", "{}"]);
    answer(&worker, br#"{"text":1}"#);
    let bad: serde_json::Value = serde_json::from_slice(&receive(&client)[1]).unwrap();
    assert_eq!(bad["reason"], "bad_reply");
    assert_eq!(
        bad["message"],
        "the worker's answer fails its schema: text: expected string, found the number 1 at byte 8"
    );
}

/// In each encoding, a payload that breaks a rule is rejected with the name of the rule, and a
/// payload that satisfies all rules passes.
#[test]
fn rules_are_enforced_in_every_encoding() {
    let here = env!("CARGO_MANIFEST_DIR");
    let gateway = Gateway::start(&format!(
        r#"
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0" }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0" }} }}
proto: {{ import_paths: ["{here}/tests/config/configs/ruled"] }}
routes:
  PROTOBUF: {{ schema: ruled.Account, pool: people }}
  MSGPACK: {{ schema: {{ msgpack: ruled.Account }}, pool: people }}
  JSON: {{ schema: {{ json: ruled.Account, all_violations: true }}, reply: {{ json: ruled.Account }}, pool: people }}
"#
    ));
    let (client, worker) = (gateway.dealer(), gateway.worker());
    let named = "name: must be at least 3 characters (rule string.min_len)";
    let limited = "the soft limit must not exceed the hard one (rule account.limits)";

    for (payload, message) in [
        (&b"\x0a\x02ab"[..], named),
        (b"\x0a\x03abc\x10\x05\x18\x04", limited),
    ] {
        send(&client, &[&b"PROTOBUF"[..], payload]);
        let frames = receive(&client);
        assert_eq!(frames[0], b"ERROR");
        let text = String::from_utf8_lossy(&frames[1]).into_owned();
        assert!(
            text.contains(message) && text.contains("schema_violation"),
            "{text}"
        );
    }
    for (payload, (field, offset), message) in [
        (&b"\x81\xa4name\xa2ab"[..], ("name", 6), named),
        (b"\x93\xa3abc\x05\x04", ("", 0), limited),
    ] {
        send(&client, &[&b"MSGPACK"[..], payload]);
        let error = rejected(&client, &[], Reason::SchemaViolation);
        assert_eq!(
            (&*error.message, &*error.field, error.offset),
            (message, field, Some(offset))
        );
    }
    send(&client, &["JSON", r#"{"name": "ab", "soft": 1}"#]);
    let all: serde_json::Value = serde_json::from_slice(&receive(&client)[1]).unwrap();
    let expected = serde_json::json!([
        {"field": "name", "offset": 9, "expected": "must be at least 3 characters", "rule": "string.min_len"},
        {"offset": 0, "expected": "the soft limit must not exceed the hard one", "rule": "account.limits"},
    ]);
    assert_eq!(all["violations"], expected);

    let good = [
        ("PROTOBUF", &b"\x0a\x03abc\x18\x04"[..]),
        ("MSGPACK", b"\x81\xa4name\xa3abc"),
        ("JSON", br#"{"name": "abc"}"#),
    ];
    for (kind, payload) in good {
        send(&client, &[kind.as_bytes(), payload]);
        answer(&worker, br#"{"name": "abc"}"#);
        assert_eq!(receive(&client)[0], b"REPLY", "{kind}");
    }
    send(&client, &["JSON", r#"{"name": "abc"}"#]);
    answer(&worker, br#"{"name": "a"}"#);
    let bad: serde_json::Value = serde_json::from_slice(&receive(&client)[1]).unwrap();
    assert_eq!(bad["reason"], "bad_reply");
}

#[test]
fn a_payload_must_fit_one_of_several_schemas() {
    let gateway = Gateway::start(
        r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes:
  ANY:
    schema: [{ json: demo.Person }, { msgpack: demo.Person }, demo.Person]
    reply: [demo.Reply, { json: demo.Reply }]
    pool: people
"#,
    );
    let (client, worker) = (gateway.dealer(), gateway.worker());
    for (request, reply) in [
        (&br#"{"id":1}"#[..], &b"\x0a\x02ok"[..]),
        (b"\x81\xa2id\x01", br#"{"text":"ok"}"#),
        (ANN, b"{}"),
    ] {
        send(&client, &[&b"ANY"[..], request]);
        assert_eq!(answer(&worker, reply)[2], request);
        assert_eq!(receive(&client), [b"REPLY", reply]);
    }
    let timeout = std::time::Duration::from_millis(TEST_TIMEOUT_MS as u64);
    let observer = gateway.running.as_ref().unwrap().observer();
    let sample = observer.sample(timeout).unwrap();
    let matched = sample.routes.iter().map(|route| route.matched);
    let matched: Vec<_> = matched.filter(|counts| counts[0] > 0).collect();
    assert_eq!(matched, [[1, 1, 1, 0, 0, 0, 0, 0]]);
    // The rejection has the encoding of the first schema, and reports the violation of that schema.
    send(&client, &[&b"ANY"[..], &b"\x08"[..]]);
    let error: serde_json::Value = serde_json::from_slice(&receive(&client)[1]).unwrap();
    assert_eq!(
        error["message"],
        "expected a value, found the byte 0x08 at byte 0"
    );
    send(&client, &[&b"ANY"[..], ANN]);
    answer(&worker, b"neither");
    let error: serde_json::Value = serde_json::from_slice(&receive(&client)[1]).unwrap();
    assert_eq!(error["reason"], "bad_reply");
}

#[test]
fn empty_payloads_pass_where_the_schema_allows_them() {
    let gateway = Gateway::people("");
    let (client, worker) = (gateway.dealer(), gateway.worker());
    send(&client, &["PROTOBUF", ""]);
    assert_eq!(texts(&answer(&worker, b"")[1..]), ["PROTOBUF", ""]);
    assert_eq!(texts(&receive(&client)), ["REPLY", ""]);
}

#[test]
fn thousands_of_requests_each_get_their_own_answer() {
    let _turn = turns::take();
    let gateway = Gateway::people("");
    const CLIENTS: usize = 4;
    const REQUESTS: usize = 2_000;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let worker = gateway.worker();
            worker.set_rcvtimeo(2_000).unwrap();
            scope.spawn(move || {
                while let Ok(mut frames) = worker.recv_multipart(0) {
                    frames[1] = b"REPLY".to_vec();
                    worker.send_multipart(frames, 0).unwrap();
                }
            });
        }
        for number in 0..CLIENTS {
            let client = if number == 0 {
                gateway.req()
            } else {
                gateway.dealer()
            };
            scope.spawn(move || {
                let window = if number == 0 { 1 } else { 100 };
                let mut unanswered = BTreeSet::new();
                let mut sent = 0;
                while sent < REQUESTS || !unanswered.is_empty() {
                    if sent < REQUESTS && unanswered.len() < window {
                        let id = format!("{number}-{sent}");
                        client
                            .send_multipart([b"PROTOBUF", id.as_bytes(), ANN], 0)
                            .unwrap();
                        unanswered.insert(id);
                        sent += 1;
                        continue;
                    }
                    let reply = receive(&client);
                    assert_eq!((&reply[0][..], &reply[2][..]), (&b"REPLY"[..], ANN));
                    assert!(unanswered.remove(&texts(&reply)[1]), "{:?}", texts(&reply));
                }
            });
        }
    });
    let ledger = gateway.end();
    assert_eq!(ledger.answered, (CLIENTS * REQUESTS) as u64);
}
