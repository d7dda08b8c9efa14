//! Tests that the native engine's data thread allocates nothing for a small request and its answer,
//! from the bytes that are read to the bytes that are written, once its buffers and tables have
//! grown to the size of the load. The gateway and the sockets are real. Only the allocations of the
//! data thread are counted.

use std::sync::mpsc::channel;

use crate::counting::{allocations, mark_thread};
use crate::support::gateway::{Gateway, engine_is};
use crate::support::sealed::Peer;
use crate::support::sealed::pair::{client, keys};
use crate::support::zmtp::{Raw, message};
use crate::support::{ANN, turns};

/// `text: "y"` of demo.Reply.
const REPLY: &[u8] = b"\x0a\x01y";

/// A client and a worker, and the messages between them.
struct Pair {
    client: Raw,
    request: Vec<Vec<u8>>,
    answer: Vec<Vec<u8>>,
    worker: Raw,
    /// The number of frames before the reply type in the worker's messages.
    head: usize,
}

impl Pair {
    fn new(gateway: &Gateway, client: &str, worker: &str, headers: &[&[u8]]) -> Self {
        let envelope: &[&[u8]] = if client == "REQ" { &[b""] } else { &[] };
        let frames = |kind: &[u8], payload: &[u8]| {
            let frames = [envelope, &[kind], headers, &[payload]].concat();
            frames.into_iter().map(<[u8]>::to_vec).collect()
        };
        Self {
            client: Raw::peer(&gateway.endpoint("clients"), client),
            request: frames(b"CHECKED", ANN),
            answer: frames(b"REPLY", REPLY),
            worker: Raw::peer(&gateway.endpoint("people"), worker),
            head: if worker == "REP" { 2 } else { 1 },
        }
    }

    /// Sends `count` requests at once, answers them as the worker, and asserts that the client
    /// receives the answers.
    fn round_trips(&mut self, count: usize) {
        self.client.send(&message(&self.request).repeat(count));
        let mut answers = Vec::new();
        for _ in 0..count {
            let mut frames = self.worker.receive_message();
            let payload = frames.len() - 1;
            frames[self.head] = b"REPLY".to_vec();
            frames[payload] = REPLY.to_vec();
            answers.extend(message(&frames));
        }
        self.worker.send(&answers);
        for _ in 0..count {
            assert_eq!(self.client.receive_message(), self.answer);
        }
    }
}

/// Marks the data thread, so that [`allocations`] counts its allocations.
fn mark_data_thread(gateway: &Gateway) {
    let (reported, marked) = channel();
    let observer = gateway.running.as_ref().unwrap().observer();
    let is_sent = observer.request(move |_| {
        mark_thread();
        reported.send(()).unwrap();
    });
    assert!(is_sent);
    marked.recv().unwrap();
}

#[test]
fn a_small_request_and_its_answer_cost_the_data_thread_no_allocation() {
    if !engine_is("native") {
        return;
    }
    let _turn = turns::take();
    let headers: [&[&[u8]]; 2] = [&[], &[b"a number", b""]];
    for (client, worker, headers) in [
        ("DEALER", "DEALER", headers[0]),
        ("DEALER", "DEALER", headers[1]),
        ("DEALER", "REP", headers[1]),
        ("REQ", "DEALER", headers[0]),
        ("REQ", "DEALER", headers[1]),
        ("REQ", "REP", headers[0]),
    ] {
        let gateway = Gateway::people("heartbeat: off, per_worker: 100");
        mark_data_thread(&gateway);
        let mut pair = Pair::new(&gateway, client, worker, headers);
        // A REQ client and a REP worker each have one request in flight at a time.
        let at_once = match (client, worker) {
            ("DEALER", "DEALER") => 100,
            _ => 1,
        };
        let mut rounds = |rounds: usize| {
            for _ in 0..rounds {
                pair.round_trips(1);
                pair.round_trips(at_once);
            }
        };
        rounds(200);
        let count = allocations(|| rounds(300));
        assert_eq!(count, 0, "{client} to {worker}, headers {headers:?}");
        // A rejection allocates, which shows that the marked thread is the data thread.
        let for_rejection = allocations(|| {
            pair.client.send(&message(&["", "NONE", "x"]));
            pair.client.receive_message();
        });
        assert!(for_rejection > 0);
    }
}

/// CURVE's boxes are sealed and opened in place, in memory that is reused.
#[test]
fn a_small_request_and_its_answer_cost_no_allocation_over_curve_either() {
    const AT_ONCE: usize = 100;
    if !engine_is("native") {
        return;
    }
    let _turn = turns::take();
    let (ours, theirs) = (keys(), keys());
    let files = tempfile::tempdir().unwrap();
    let secret = files.path().join("secret");
    std::fs::write(&secret, &*ours.secret().to_z85()).unwrap();
    let known = theirs.public();
    let security =
        format!("security: {{ curve: {{ secret: {secret:?}, peers: {{ it: \"{known}\" }} }} }}");
    let gateway = Gateway::start(&format!(
        r#"
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0", {security} }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0", heartbeat: off, per_worker: 100, {security} }} }}
routes: {{ CHECKED: {{ schema: demo.Person, reply: demo.Reply, pool: people }} }}
"#
    ));
    mark_data_thread(&gateway);
    let [mut alice, mut worker] = ["clients", "people"].map(|name| {
        let security = client(&theirs, ours.public());
        Peer::connect(&gateway.endpoint(name), security, "DEALER").admitted()
    });
    let mut rounds = |rounds: usize| {
        for _ in 0..rounds {
            for _ in 0..AT_ONCE {
                alice.end.say(&[b"CHECKED".to_vec(), ANN.to_vec()]);
            }
            alice.write();
            for _ in 0..AT_ONCE {
                let token = worker.message().remove(0);
                worker.end.say(&[token, b"REPLY".to_vec(), REPLY.to_vec()]);
            }
            worker.write();
            for _ in 0..AT_ONCE {
                assert_eq!(alice.message(), [b"REPLY".to_vec(), REPLY.to_vec()]);
            }
        }
    };
    rounds(50);
    assert_eq!(allocations(|| rounds(100)), 0);
}
