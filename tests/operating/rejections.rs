//! Tests of `GET /rejections`: the last rejections, each with its client, type and cause.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::gateway::{engine_is, yaml};
use crate::support::process::Process;
use crate::support::sockets::{connected, named};

fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs_f64()
}

fn rejections(process: &Process) -> Vec<Value> {
    let reported = process.get("/rejections").json();
    reported["rejections"].as_array().unwrap().clone()
}

#[test]
fn the_last_rejections_are_shown_newest_first() {
    let routes = "  \"person.*\": { schema: { json: demo.Person }, pool: people }";
    let process = Process::start(&yaml(routes, ""));
    assert_eq!(rejections(&process), [json!(null); 0]);
    let started = now();
    let context = zmq::Context::new();
    let at = process.endpoint("frontend clients");
    let client = named(&context, b"one", &at);
    client
        .send_multipart(["person.new", r#"{"id":"x"}"#], 0)
        .unwrap();
    client.recv_multipart(0).unwrap();
    client.send_multipart([&b"\xff\n"[..], b""], 0).unwrap();
    client.recv_multipart(0).unwrap();
    let reported = rejections(&process);
    assert_eq!(reported.len(), 2);
    assert_eq!(
        (&reported[0]["reason"], &reported[0]["type"]),
        (&json!("unknown_type"), &json!("hex:ff0a"))
    );
    assert_eq!(reported[0]["route"], json!(null));
    let mut first = reported[1].clone();
    let at = first["at"].as_f64().unwrap();
    assert!((started - 1.0..now() + 1.0).contains(&at), "{at}");
    let peer = first["peer"].as_str().map(str::to_owned);
    if engine_is("native") {
        assert!(peer.unwrap().starts_with("tcp://127.0.0.1:"));
    }
    first["at"] = json!(0);
    first["peer"] = json!(null);
    let message = first["message"].take();
    assert!(
        message.as_str().unwrap().starts_with("id: expected"),
        "{message}"
    );
    assert_eq!(
        first,
        json!({
            "at": 0, "reason": "schema_violation", "code": 3, "type": "person.new", "route": "person.*",
            "frontend": "clients",
            "channel": null, "client": "one", "peer": null, "field": "id", "offset": 6, "message": null,
            "retryable": false, "generation": 1,
        })
    );
}

#[test]
fn at_most_a_hundred_rejections_are_kept_within_bounded_bytes() {
    let process = Process::start(&yaml("", ""));
    let context = zmq::Context::new();
    let client = connected(&context, zmq::DEALER, &process.endpoint("frontend clients"));
    for n in 0..250_u8 {
        let kind = [&[0xff; 254][..], &[n]].concat();
        client.send_multipart([&kind[..], b""], 0).unwrap();
        client.recv_multipart(0).unwrap();
    }
    let answer = process.get("/rejections");
    assert!(answer.body.len() < 256 << 10, "{}", answer.body.len());
    let reported = rejections(&process);
    assert_eq!(reported.len(), 100);
    let kinds = reported
        .iter()
        .map(|entry| entry["type"].as_str().unwrap().to_owned());
    let expected = (150..250_u8)
        .rev()
        .map(|n| format!("hex:{}{n:02x}", "ff".repeat(254)));
    assert!(kinds.eq(expected));
}
