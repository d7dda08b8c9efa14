//! Tests of large payloads, which are not checked on the data thread. The order of messages, the
//! answers and the handling of disconnects are the same as for small payloads.

use gateway::reply::Reason;

use crate::support::gateway::Gateway;
use crate::support::sockets::{Frames, receive, send};

/// A size of payloads that are not checked on the data thread, in bytes.
const LARGE: usize = 1 << 20;

/// Returns a `demo.Person` in protobuf whose name has `name` bytes.
fn person(name: usize) -> Vec<u8> {
    text_field(2, &vec![b'a'; name])
}

/// Returns a `demo.Reply` in protobuf with this text.
fn reply(text: &[u8]) -> Vec<u8> {
    text_field(1, text)
}

fn text_field(number: u8, text: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut rest = text.len();
    while rest > 0x7f {
        field.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    field.push(rest as u8);
    field.extend_from_slice(text);
    field
}

/// Returns a `demo.Person` in protobuf whose name has `size` bytes and is not valid UTF-8.
fn broken(size: usize) -> Vec<u8> {
    let mut payload = person(size);
    *payload.last_mut().unwrap() = 0xff;
    payload
}

/// Receives a rejection in protobuf with this header, and asserts that the rejection contains the
/// reason and all of `parts`.
#[track_caller]
fn assert_rejected(client: &zmq::Socket, name: &str, reason: Reason, parts: &[&str]) {
    let answer = receive(client);
    assert_eq!(answer[0], b"ERROR");
    assert_eq!(header(&answer, 1), name);
    let rejection = String::from_utf8_lossy(&answer[2]);
    for part in [reason.label()].iter().chain(parts) {
        assert!(rejection.contains(part), "{part}: {rejection}");
    }
}

fn header(frames: &Frames, index: usize) -> &str {
    std::str::from_utf8(&frames[index]).unwrap()
}

#[test]
fn requests_reach_a_worker_in_the_order_of_their_arrival() {
    let gateway = Gateway::people("per_worker: 100");
    let (client, worker) = (gateway.dealer(), gateway.worker());
    for n in 0..40 {
        let payload = person(if n % 4 == 0 { LARGE } else { 5 });
        let kind = if n % 4 == 2 { "OPAQUE" } else { "PROTOBUF" };
        send(
            &client,
            &[kind.as_bytes(), n.to_string().as_bytes(), &payload],
        );
    }
    for n in 0..40 {
        let request = receive(&worker);
        assert_eq!(header(&request, 2), n.to_string());
        let expected = person(if n % 4 == 0 { LARGE } else { 5 });
        assert!(
            request[3] == expected,
            "request {n} is forwarded byte for byte"
        );
        send(&worker, &[&request[0][..], b"REPLY", &request[2], b""]);
        assert_eq!(header(&receive(&client), 1), n.to_string());
    }
    assert_eq!(gateway.end().answered, 40);
}

#[test]
fn each_client_and_each_envelope_has_an_order_of_its_own() {
    let gateway = Gateway::people("per_worker: 100");
    let (client, other, worker) = (gateway.dealer(), gateway.dealer(), gateway.worker());
    for n in ["0", "1", "2"] {
        send(
            &client,
            &[&b"PROTOBUF"[..], n.as_bytes(), &person(8 * LARGE)],
        );
    }
    send(&other, &[&b"PROTOBUF"[..], &b"other"[..], &person(5)]);
    let mut headers = Vec::new();
    for _ in 0..4 {
        let request = receive(&worker);
        headers.push(header(&request, 2).to_owned());
        send(&worker, &[&request[0][..], b"REPLY", &request[2], b""]);
    }
    headers.retain(|header| header != "other");
    assert_eq!(headers, ["0", "1", "2"]);
    for n in ["0", "1", "2"] {
        assert_eq!(header(&receive(&client), 1), n);
    }
    assert_eq!(header(&receive(&other), 1), "other");
}

#[test]
fn a_large_invalid_payload_is_rejected_and_the_next_message_served() {
    let gateway = Gateway::people("");
    let (client, worker) = (gateway.dealer(), gateway.worker());
    send(&client, &[&b"PROTOBUF"[..], &b"bad"[..], &broken(LARGE)]);
    send(&client, &[&b"PROTOBUF"[..], &b"good"[..], &person(5)]);
    assert_rejected(&client, "bad", Reason::SchemaViolation, &["name"]);
    let request = receive(&worker);
    assert_eq!(header(&request, 2), "good");
    send(&worker, &[&request[0][..], b"REPLY", b"good", b""]);
    assert_eq!(header(&receive(&client), 1), "good");
    let ledger = gateway.end();
    assert_eq!((ledger.received, ledger.answered), (2, 1));
}

#[test]
fn answers_reach_a_client_in_the_order_of_their_arrival() {
    let gateway = Gateway::people("per_worker: 100");
    let (client, worker) = (gateway.dealer(), gateway.worker());
    for n in 0..30 {
        send(
            &client,
            &[&b"CHECKED"[..], n.to_string().as_bytes(), &person(5)],
        );
    }
    for n in 0..30 {
        let request = receive(&worker);
        let text = vec![if n % 6 == 3 { 0xff } else { b'a' }; LARGE];
        let payload = if n % 3 == 0 {
            reply(&text)
        } else {
            reply(b"b")
        };
        send(&worker, &[&request[0][..], b"REPLY", &request[2], &payload]);
    }
    for n in 0..30 {
        if n % 6 == 3 {
            assert_rejected(&client, &n.to_string(), Reason::BadReply, &["text"]);
        } else {
            let answer = receive(&client);
            assert_eq!(header(&answer, 1), n.to_string());
            assert_eq!(answer[2].len() > LARGE, n % 3 == 0);
        }
    }
    let ledger = gateway.end();
    assert_eq!((ledger.received, ledger.answered), (30, 25));
}

/// A client may disconnect as soon as it has sent its requests.
#[test]
fn requests_sent_before_a_client_disconnects_are_served() {
    let gateway = Gateway::people("per_worker: 100");
    let worker = gateway.worker();
    let client = gateway.dealer();
    client.set_linger(10_000).unwrap();
    for n in ["0", "1", "2"] {
        send(&client, &[&b"PROTOBUF"[..], n.as_bytes(), &person(LARGE)]);
    }
    drop(client);
    for n in ["0", "1", "2"] {
        let request = receive(&worker);
        assert_eq!(header(&request, 2), n);
        send(&worker, &[&request[0][..], b"REPLY", n.as_bytes(), b""]);
    }
}
