//! Tests of plain peers, which send and receive payloads without a type, together with typed peers.
//! The tests also cover clients behind a proxy, and the empty message that a probing socket sends
//! first.

use std::thread;

use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::sockets::{Frames, TEST_TIMEOUT_MS, connected, receive, send, socket, texts};

const ROUTES: &str = r#"
engine: native
frontends:
  plain:  { bind: "tcp://127.0.0.1:0", type: T }
  whole:  { bind: "tcp://127.0.0.1:0", type: T, errors: { as: frames } }
  typed:  { bind: "tcp://127.0.0.1:0" }
  alone:  { bind: "tcp://127.0.0.1:0", errors: { as: payload } }
  routed: { bind: "tcp://127.0.0.1:0", envelope: routed }
  both:   { bind: "tcp://127.0.0.1:0", envelope: routed, type: T }
pools:
  people: { bind: "tcp://127.0.0.1:0", FRAMES, timeout: 60s }
routes:
  T: { schema: { json: demo.Person, require: [name] }, pool: people }
reload: { watch: false }
"#;

const ANN: &str = r#"{"name":"Ann"}"#;
const NOBODY: &str = "{}";

fn gateway(frames: &str) -> Gateway {
    let routes = ROUTES.replace("FRAMES", frames);
    Gateway::start_as(tempfile::tempdir().unwrap(), &routes)
}

/// Receives a message, asserts that it has these frames, and returns it. `*` stands for any frame.
#[track_caller]
fn expect(socket: &zmq::Socket, frames: &[&str]) -> Frames {
    let got = receive(socket);
    let fits = |(got, frame): (&String, &&str)| *frame == "*" || got == frame;
    let shown = texts(&got);
    let same = shown.len() == frames.len() && shown.iter().zip(frames).all(fits);
    assert!(same, "{shown:?} is not {frames:?}");
    got
}

/// The frames of a request to one kind of worker, and the frames of the worker's answer. At a
/// DEALER, requests and answers begin with a token, which is not among these frames.
struct WorkerForm {
    kind: zmq::SocketType,
    frames: &'static str,
    request: &'static [&'static str],
    answer: &'static [&'static str],
}

/// All forms, with the payload [`ANN`] and without headers. [`WorkerForm::serve`] adds headers for
/// typed workers; plain workers receive no headers.
const WORKER_FORMS: [WorkerForm; 6] = [
    WorkerForm {
        kind: zmq::DEALER,
        frames: "frames: typed",
        request: &["T", ANN],
        answer: &["DONE", "hi"],
    },
    WorkerForm {
        kind: zmq::REP,
        frames: "frames: typed",
        request: &["T", ANN],
        answer: &["DONE", "hi"],
    },
    WorkerForm {
        kind: zmq::DEALER,
        frames: "frames: payload",
        request: &[ANN],
        answer: &["hi"],
    },
    WorkerForm {
        kind: zmq::REP,
        frames: "frames: payload",
        request: &[ANN],
        answer: &["hi"],
    },
    WorkerForm {
        kind: zmq::DEALER,
        frames: "frames: delimited",
        request: &["", ANN],
        answer: &["", "hi"],
    },
    WorkerForm {
        kind: zmq::REP,
        frames: "frames: delimited",
        request: &[ANN],
        answer: &["hi"],
    },
];

impl WorkerForm {
    /// Receives a request with these headers, checks its frames, and answers it.
    #[track_caller]
    fn serve(&self, worker: &zmq::Socket, headers: &[&str]) {
        let typed = self.frames == "frames: typed";
        let with_headers = |frames: &[&'static str]| -> Vec<String> {
            let mut frames: Vec<&str> = frames.to_vec();
            if typed {
                let end = frames.len() - 1;
                frames.splice(end..end, headers.iter().copied());
            }
            frames.iter().map(|frame| (*frame).to_owned()).collect()
        };
        let request = receive(worker);
        let identity = usize::from(self.kind == zmq::DEALER);
        assert_eq!(texts(&request[identity..]), with_headers(self.request));
        let mut answer: Frames = request[..identity].to_vec();
        answer.extend(
            with_headers(self.answer)
                .into_iter()
                .map(String::into_bytes),
        );
        send(worker, &answer);
    }
}

#[test]
fn every_kind_of_plain_or_typed_client_is_served_by_every_kind_of_worker() {
    for form in WORKER_FORMS {
        let gateway = gateway(form.frames);
        let worker = gateway.peer(form.kind, "people");
        let reply = form.answer[0];
        let reply = if reply == "DONE" { reply } else { "REPLY" };
        for headers in [&[][..], &["id 7"], &["id 7", "", "x"]] {
            let ask = |kind, at: &str, prefix: &[&str], answer_prefix: &[&str]| {
                let client = gateway.peer(kind, at);
                send(&client, &[prefix, headers, &[ANN]].concat());
                form.serve(&worker, headers);
                expect(&client, &[answer_prefix, headers, &["hi"]].concat());
            };
            ask(zmq::DEALER, "plain", &[], &[]);
            ask(zmq::DEALER, "plain", &[""], &[""]);
            ask(zmq::REQ, "plain", &[], &[]);
            ask(zmq::REQ, "whole", &[], &[]);
            ask(zmq::REQ, "both", &[], &[]);
            ask(zmq::DEALER, "typed", &["T"], &[reply]);
            ask(zmq::REQ, "typed", &["T"], &[reply]);
            ask(zmq::REQ, "routed", &["T"], &[reply]);
            ask(zmq::DEALER, "routed", &["a", "", "T"], &["a", "", reply]);
            ask(zmq::DEALER, "both", &["a", ""], &["a", ""]);
        }
        let ledger = gateway.end();
        assert_eq!(
            (ledger.answered, ledger.received),
            (30, 30),
            "{}",
            form.frames
        );
    }
}

/// Sends the frames `sent`, asserts that the answer has the frames `got` and rejects the message
/// for this reason, and returns the text of the rejection.
#[track_caller]
fn rejected(
    gateway: &Gateway,
    (kind, at): (zmq::SocketType, &str),
    (sent, got): (&[&str], &[&str]),
    reason: &str,
) -> String {
    let client = gateway.peer(kind, at);
    send(&client, sent);
    let got = expect(&client, got);
    let payload: serde_json::Value = serde_json::from_slice(got.last().unwrap()).unwrap();
    assert_eq!(payload["reason"], reason);
    payload["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_rejection_is_one_frame_for_a_plain_client_by_default() {
    let gateway = gateway("frames: payload");
    for (kind, at, sent, got) in [
        (zmq::REQ, "plain", &[NOBODY][..], &["*"][..]),
        (zmq::REQ, "plain", &["id", NOBODY], &["*"]),
        (zmq::DEALER, "plain", &[NOBODY], &["*"]),
        (zmq::DEALER, "plain", &[""], &["*"]),
        (zmq::DEALER, "plain", &["", NOBODY], &["", "*"]),
        (zmq::REQ, "whole", &["id", NOBODY], &["ERROR", "id", "*"]),
        (
            zmq::DEALER,
            "typed",
            &["T", "id", NOBODY],
            &["ERROR", "id", "*"],
        ),
        (zmq::DEALER, "alone", &["T", "id", NOBODY], &["*"]),
    ] {
        rejected(&gateway, (kind, at), (sent, got), "schema_violation");
    }
    let ledger = gateway.end();
    assert_eq!((ledger.received, ledger.answered), (8, 0));
}

#[test]
fn a_malformed_message_is_rejected_in_the_form_of_its_frontend() {
    let gateway = gateway("frames: payload");
    let sent = (&["U", NOBODY][..], &["ERROR", "*"][..]);
    rejected(&gateway, (zmq::REQ, "routed"), sent, "unknown_type");
    // The gateway does not know where the envelope ends. It treats the frames before a known type
    // as the envelope. If no frame is a known type, it treats the first frame as the envelope.
    for (at, sent, got, why) in [
        (
            "routed",
            &["one", "two", "T", NOBODY][..],
            &["one", "two", "ERROR", "*"][..],
            "must send an empty frame before the type",
        ),
        (
            "both",
            &["one", NOBODY],
            &["one", "*"],
            "must send an empty frame before the payload",
        ),
    ] {
        let text = rejected(&gateway, (zmq::DEALER, at), (sent, got), "malformed");
        assert!(text.contains(why), "{text}");
    }
    let most: Vec<&str> = std::iter::repeat_n("h", 16).collect();
    let sent = (&most[..], &["*"][..]);
    let text = rejected(&gateway, (zmq::REQ, "plain"), sent, "malformed");
    assert!(text.contains("limits.frames"), "{text}");
    let ledger = gateway.end();
    assert_eq!((ledger.received, ledger.answered), (4, 0));
}

#[test]
fn a_typed_workers_error_is_one_frame_for_a_plain_client() {
    let gateway = gateway("frames: typed");
    let worker = gateway.peer(zmq::DEALER, "people");
    for (at, prefix) in [
        ("plain", &[][..]),
        ("whole", &["ERROR", "id"]),
        ("alone", &[]),
    ] {
        let client = gateway.peer(zmq::REQ, at);
        let typed = if at == "alone" { &["T"][..] } else { &[] };
        send(&client, &[typed, &["id", ANN]].concat());
        let token = receive(&worker).swap_remove(0);
        send(&worker, &[&token[..], b"ERROR", b"id", b"it broke"]);
        expect(&client, &[prefix, &["it broke"]].concat());
    }
}

#[test]
fn a_plain_workers_answer_in_other_frames_is_reported() {
    for (frames, answer, why) in [
        ("frames: payload", &["REPLY", "hi"][..], "this one sent 2"),
        ("frames: payload", &["", "hi"], "needs `frames: delimited`"),
        ("frames: payload", &[], "this one sent 0"),
        ("frames: delimited", &["hi"], "the empty frame is missing"),
        ("frames: delimited", &["", "a", "b"], "this one sent 2"),
    ] {
        let gateway = gateway(frames);
        let worker = gateway.peer(zmq::DEALER, "people");
        let client = gateway.peer(zmq::REQ, "plain");
        send(&client, &[ANN]);
        let token = receive(&worker).swap_remove(0);
        let answer = answer.iter().map(|frame| frame.as_bytes());
        let message: Vec<&[u8]> = [&token[..]].into_iter().chain(answer).collect();
        send(&worker, &message);
        let got = expect(&client, &["*"]);
        let rejection = String::from_utf8_lossy(&got[0]);
        assert!(
            rejection.contains("bad_reply") && rejection.contains(why),
            "{rejection}"
        );
    }
}

/// Starts a `zmq_proxy` between clients and a frontend, and returns the proxy's endpoint for
/// clients. The proxy ends when `context` is dropped.
fn proxy(context: &zmq::Context, frontend: &str) -> String {
    let router = socket(context, zmq::ROUTER);
    router.bind("tcp://127.0.0.1:*").unwrap();
    let dealer = connected(context, zmq::DEALER, frontend);
    let endpoint = router.get_last_endpoint().unwrap().unwrap();
    for socket in [&router, &dealer] {
        socket.set_rcvtimeo(-1).unwrap();
    }
    thread::spawn(move || zmq::proxy(&router, &dealer));
    endpoint
}

#[test]
fn clients_behind_proxies_are_served() {
    let gateway = gateway("frames: payload");
    let worker = gateway.peer(zmq::REP, "people");
    let form = &WORKER_FORMS[3];
    let inner = proxy(&gateway.context, &gateway.endpoint("routed"));
    let outer = proxy(&gateway.context, &inner);
    for endpoint in [&inner, &outer] {
        let req = connected(&gateway.context, zmq::REQ, endpoint);
        send(&req, &["T", ANN]);
        form.serve(&worker, &[]);
        expect(&req, &["REPLY", "hi"]);
        send(&req, &["T", NOBODY]);
        expect(&req, &["ERROR", "*"]);
        let dealer = connected(&gateway.context, zmq::DEALER, endpoint);
        send(&dealer, &["", "T", "id", ANN]);
        form.serve(&worker, &[]);
        expect(&dealer, &["", "REPLY", "id", "hi"]);
        // The gateway recognises the proxies' frames by the type that follows them, so the
        // rejection reaches the client.
        send(&dealer, &["T", ANN]);
        expect(&dealer, &["ERROR", "*"]);
    }
    let plain = proxy(&gateway.context, &gateway.endpoint("both"));
    let req = connected(&gateway.context, zmq::REQ, &plain);
    send(&req, &[ANN]);
    form.serve(&worker, &[]);
    expect(&req, &["hi"]);
    let ledger = gateway.end();
    assert_eq!((ledger.answered, ledger.received), (5, 9));
}

#[test]
fn the_empty_message_of_a_probing_socket_is_ignored() {
    let gateway = gateway("frames: payload");
    let worker = gateway.peer(zmq::REP, "people");
    let probing = |kind, at: &str| {
        let client = socket(&gateway.context, kind);
        client.set_probe_router(true).unwrap();
        client.connect(&gateway.endpoint(at)).unwrap();
        client
    };
    for (kind, at, prefix) in [
        (zmq::DEALER, "typed", &["T"][..]),
        (zmq::REQ, "typed", &["T"]),
        (zmq::REQ, "plain", &[]),
        (zmq::DEALER, "both", &[""]),
    ] {
        let client = probing(kind, at);
        send(&client, &[prefix, &[ANN]].concat());
        WORKER_FORMS[3].serve(&worker, &[]);
        let answer_prefix = if prefix == ["T"] {
            &["REPLY"][..]
        } else {
            prefix
        };
        expect(&client, &[answer_prefix, &["hi"]].concat());
        if kind == zmq::DEALER {
            // Only the first message can be a probe.
            send(&client, &[""]);
            let answer = receive(&client);
            assert!(texts(&answer).concat().contains("malformed"), "{answer:?}");
        }
    }
    let ledger = gateway.end();
    assert_eq!((ledger.received, ledger.answered), (6, 4));
}

#[test]
fn a_queued_plain_request_is_complete_when_a_worker_connects() {
    let gateway = gateway("frames: payload");
    let clients: Vec<_> = (0..50)
        .map(|n| {
            let client = gateway.peer(zmq::DEALER, "plain");
            send(
                &client,
                &[format!("id {n}"), format!(r#"{{"name":"{n}"}}"#)],
            );
            client
        })
        .collect();
    let worker = gateway.peer(zmq::DEALER, "people");
    worker.set_rcvtimeo(TEST_TIMEOUT_MS).unwrap();
    for _ in 0..50 {
        let request = receive(&worker);
        assert_eq!(request.len(), 2);
        send(&worker, &request);
    }
    for (n, client) in clients.iter().enumerate() {
        expect(
            client,
            &[&format!("id {n}"), &format!(r#"{{"name":"{n}"}}"#)],
        );
    }
}

#[test]
fn the_log_names_the_key_that_may_not_fit_a_client() {
    let routes = ROUTES.replace("FRAMES", "frames: payload");
    let mut gateway = Process::start(&routes);
    let context = zmq::Context::new();
    let client = gateway.peer(&context, zmq::DEALER, "frontend plain");
    // A header that is not a type causes no warning.
    for header in ["id 7", "T"] {
        send(&client, &[header, NOBODY]);
        expect(&client, &["*"]);
    }
    let line = gateway.await_line("the frontend's type may not fit its client");
    assert_eq!(
        (&line["level"], &line["frontend"]),
        (&"WARN".into(), &"plain".into())
    );
    let why = line["why"].as_str().unwrap();
    assert!(why.starts_with("its first frame is the type T, "), "{why}");
    let endpoint = proxy(&context, &gateway.endpoint("frontend typed"));
    let client = connected(&context, zmq::REQ, &endpoint);
    send(&client, &["T", ANN]);
    let line = gateway.await_line("the frontend's envelope may not fit its client");
    assert_eq!(
        (&line["level"], &line["frontend"]),
        (&"WARN".into(), &"typed".into())
    );
    let why = line["why"].as_str().unwrap();
    let expected = "its type has no route, but a later frame is the type T: ";
    assert!(why.starts_with(expected), "{why}");
    assert!(why.contains("`envelope: routed`"), "{why}");
}
