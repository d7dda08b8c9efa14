//! Tests of queues, deadlines, losses, limits and shutdown, with real peers.

use gateway::reply::Reason;

use crate::support::gateway::Gateway;
use crate::support::sockets::{
    answer, connected, receive, rejected, rejection, send, socket, texts,
};

#[test]
fn requests_wait_for_a_worker_and_a_full_queue_rejects() {
    let gateway = Gateway::people("queue: 2");
    let client = gateway.dealer();
    for n in ["1", "2", "3"] {
        send(&client, &["OPAQUE", n, "x"]);
    }
    rejected(&client, &["3"], Reason::QueueFull);
    let worker = gateway.worker();
    answer(&worker, b"y");
    answer(&worker, b"y");
    assert_eq!(texts(&receive(&client)), ["REPLY", "1", "y"]);
    assert_eq!(texts(&receive(&client)), ["REPLY", "2", "y"]);
}

#[test]
fn a_queue_is_bounded_by_bytes_too() {
    let gateway = Gateway::people("queue_bytes: 1KiB");
    let client = gateway.dealer();
    let large = "x".repeat(600);
    send(&client, &["OPAQUE", "1", &large]);
    send(&client, &["OPAQUE", "2", &large]);
    rejected(&client, &["2"], Reason::QueueFull);
}

#[test]
fn clients_take_turns_and_the_largest_backlog_is_evicted() {
    let gateway = Gateway::people("queue: 4");
    let (greedy, modest) = (gateway.dealer(), gateway.dealer());
    for n in ["1", "2", "3", "4", "5"] {
        send(&greedy, &["OPAQUE", n, "greedy"]);
    }
    rejected(&greedy, &["5"], Reason::QueueFull);
    send(&modest, &["OPAQUE", "1", "modest"]);
    let error = rejected(&greedy, &["4"], Reason::QueueFull);
    assert!(error.message.contains("was evicted"), "{}", error.message);
    send(&modest, &["OPAQUE", "2", "modest"]);
    rejected(&greedy, &["3"], Reason::QueueFull);
    // Now each client has half of the queue.
    send(&modest, &["OPAQUE", "3", "modest"]);
    rejected(&modest, &["3"], Reason::QueueFull);

    let worker = gateway.worker();
    for (n, payload) in [
        ("1", "greedy"),
        ("1", "modest"),
        ("2", "greedy"),
        ("2", "modest"),
    ] {
        let request = answer(&worker, b"y");
        assert_eq!(texts(&request[1..]), ["OPAQUE", n, payload]);
    }
    for client in [greedy, modest] {
        for n in ["1", "2"] {
            assert_eq!(texts(&receive(&client)), ["REPLY", n, "y"]);
        }
    }
    let ledger = gateway.end();
    assert_eq!((ledger.received, ledger.answered), (8, 4));
}

#[test]
fn a_timeout_names_the_queue_or_the_worker() {
    let gateway = Gateway::people("timeout: 1s");
    let client = gateway.dealer();
    send(&client, &["OPAQUE", "1", "x"]);
    let error = rejected(&client, &["1"], Reason::NoWorker);
    assert!(
        error.message.contains("pool people had no worker"),
        "{}",
        error.message
    );
    let worker = gateway.worker();
    send(&client, &["OPAQUE", "2", "x"]);
    let held = receive(&worker);
    let error = rejected(&client, &["2"], Reason::Timeout);
    assert!(
        error
            .message
            .contains("a worker of pool people held the request"),
        "{}",
        error.message
    );
    // This answer is too late, so it is dropped, and the next request receives its own answer.
    send(&worker, &[&held[0][..], b"REPLY", b"late"]);
    send(&client, &["OPAQUE", "3", "x"]);
    answer(&worker, b"in time");
    assert_eq!(texts(&receive(&client)), ["REPLY", "3", "in time"]);
    assert_eq!(gateway.end().late, 1);
}

#[test]
fn the_timeout_of_a_route_overrides_the_timeout_of_its_pool() {
    let gateway = Gateway::start(
        r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0", timeout: 1h } }
routes: { SOON: { pool: people, timeout: 100ms } }
"#,
    );
    let client = gateway.dealer();
    send(&client, &["SOON", "x"]);
    rejected(&client, &[], Reason::NoWorker);
}

#[test]
fn unsolicited_and_second_answers_are_dropped() {
    let gateway = Gateway::people("");
    let (client, worker) = (gateway.dealer(), gateway.worker());
    for token in ["", "x", "#1", "client1#1", "#99999999999999999999"] {
        send(&worker, &[token, "REPLY", "forged"]);
    }
    send(&client, &["OPAQUE", "x"]);
    let request = answer(&worker, b"first");
    send(&worker, &[&request[0][..], b"REPLY", b"second"]);
    assert_eq!(texts(&receive(&client)), ["REPLY", "first"]);
    send(&client, &["OPAQUE", "x"]);
    answer(&worker, b"third");
    assert_eq!(texts(&receive(&client)), ["REPLY", "third"]);
    let ledger = gateway.end();
    assert_eq!(ledger.answered, 2);
    assert_eq!(ledger.late + ledger.unsolicited, 6);
}

#[test]
fn an_answer_to_a_request_of_another_gateway_is_dropped() {
    // Before and after a restart, a worker holds the first request of a client with this identity.
    let holding = || {
        let gateway = Gateway::people("");
        let (client, worker) = (gateway.named_dealer(b"client1"), gateway.worker());
        send(&client, &["OPAQUE", "x"]);
        let token = receive(&worker).swap_remove(0);
        (gateway, client, worker, token)
    };
    let (_before, _, _, earlier) = holding();
    let (gateway, client, worker, token) = holding();
    send(
        &worker,
        &[&earlier[..], b"REPLY", b"to the earlier gateway"],
    );
    send(&worker, &[&token[..], b"REPLY", b"to this gateway"]);
    assert_eq!(texts(&receive(&client)), ["REPLY", "to this gateway"]);
    let ledger = gateway.end();
    assert_eq!((ledger.answered, ledger.unsolicited), (1, 1));
}

#[test]
fn the_loss_of_the_last_worker_is_reported_at_once() {
    let gateway = Gateway::people("timeout: 1h");
    let client = gateway.dealer();
    let worker = gateway.worker();
    send(&client, &["OPAQUE", "h", "x"]);
    receive(&worker);
    drop(worker);
    rejected(&client, &["h"], Reason::WorkerLost);
}

#[test]
fn answers_sent_before_a_worker_disconnects_count() {
    // Each round has its own gateway. If the rounds shared a gateway, libzmq might send a request
    // to the previous worker, because it has not yet noticed the disconnection.
    for _ in 0..20 {
        let gateway = Gateway::people("timeout: 1h");
        let (client, worker) = (gateway.dealer(), gateway.worker());
        worker.set_linger(1_000).unwrap();
        send(&client, &["OPAQUE", "x"]);
        answer(&worker, b"last words");
        drop(worker);
        assert_eq!(texts(&receive(&client)), ["REPLY", "last words"]);
    }
}

#[test]
fn a_worker_that_sees_client_identities_has_one_request_of_a_client_at_a_time() {
    let gateway = Gateway::people("identity: client, timeout: 2s, per_worker: 10");
    let worker = gateway.worker();
    let client = gateway.named_dealer(b"client1");
    send(&client, &["OPAQUE", "1", "x"]);
    send(&client, &["OPAQUE", "2", "x"]);
    let other = gateway.dealer();
    let first = receive(&worker);
    assert_eq!(texts(&first), ["client1", "OPAQUE", "1", "x"]);
    // Another client's request is not delayed, though it arrived later.
    send(&other, &["OPAQUE", "3", "x"]);
    assert_eq!(texts(&answer(&worker, b"y")[1..]), ["OPAQUE", "3", "x"]);
    assert_eq!(texts(&receive(&other)), ["REPLY", "3", "y"]);
    send(&worker, &["client1", "REPLY", "1", "y"]);
    assert_eq!(texts(&receive(&client)), ["REPLY", "1", "y"]);
    assert_eq!(
        texts(&answer(&worker, b"y")),
        ["client1", "OPAQUE", "2", "x"]
    );
    assert_eq!(texts(&receive(&client)), ["REPLY", "2", "y"]);
    // After a timeout, the worker receives no request of this client until it has answered.
    // Otherwise, the late answer could be mistaken for the answer to the next request.
    send(&client, &["OPAQUE", "4", "x"]);
    receive(&worker);
    rejected(&client, &["4"], Reason::Timeout);
    send(&client, &["OPAQUE", "5", "x"]);
    send(&worker, &["client1", "REPLY", "4", "late"]);
    assert_eq!(
        texts(&answer(&worker, b"y")),
        ["client1", "OPAQUE", "5", "x"]
    );
    assert_eq!(texts(&receive(&client)), ["REPLY", "5", "y"]);
}

#[test]
fn the_open_requests_of_a_client_are_limited() {
    let gateway = Gateway::start(
        r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes: { OPAQUE: { pool: people } }
limits: { client_requests: 2, client_bytes: 2KiB }
"#,
    );
    let (client, other) = (gateway.dealer(), gateway.dealer());
    for n in ["1", "2", "3"] {
        send(&client, &["OPAQUE", n, "x"]);
    }
    let error = rejected(&client, &["3"], Reason::ClientLimit);
    assert!(error.message.contains("limits.client_requests"));
    let large = "x".repeat(1_500);
    send(&other, &["OPAQUE", "1", &large]);
    send(&other, &["OPAQUE", "2", &large]);
    let error = rejected(&other, &["2"], Reason::ClientLimit);
    assert!(error.message.contains("limits.client_bytes"));
    // A request that exceeds the limit by itself is rejected as not retryable.
    send(&other, &["OPAQUE", "3", &"x".repeat(3_000)]);
    let error = rejected(&other, &["3"], Reason::TooLarge);
    assert!(error.message.contains("limits.client_bytes"));
    let worker = gateway.worker();
    for _ in 0..3 {
        answer(&worker, b"y");
    }
    receive(&client);
    send(&client, &["OPAQUE", "4", "x"]);
    answer(&worker, b"y");
}

#[test]
fn open_requests_finish_during_a_drain_and_new_requests_are_rejected() {
    let mut gateway = Gateway::people("");
    let (client, worker) = (gateway.dealer(), gateway.worker());
    send(&client, &["OPAQUE", "held", "x"]);
    let held = receive(&worker);
    gateway.control().drain();
    // The drain does not take effect at once, so requests are sent until one is rejected because of
    // the drain.
    let probe = gateway.dealer();
    let reported = || {
        send(&probe, &["nobody", "x"]);
        rejection(&probe, &[]).reason == Reason::ShuttingDown.label()
    };
    while !reported() {}
    send(&client, &["OPAQUE", "new", "x"]);
    rejected(&client, &["new"], Reason::ShuttingDown);
    send(&worker, &[&held[0][..], b"REPLY", b"held", b"y"]);
    assert_eq!(texts(&receive(&client)), ["REPLY", "held", "y"]);
    let ledger = gateway.running.take().unwrap().wait().unwrap();
    assert_eq!(ledger.answered, 1);
    assert_eq!(ledger.received, ledger.ended());
}

#[test]
fn requests_that_workers_hold_after_the_grace_are_rejected() {
    let mut gateway = Gateway::start(
        r#"
frontends: { clients: { bind: "tcp://127.0.0.1:0" } }
pools: { people: { bind: "tcp://127.0.0.1:0" } }
routes: { OPAQUE: { pool: people } }
shutdown: { grace: 200ms }
"#,
    );
    let (client, worker) = (gateway.dealer(), gateway.worker());
    send(&client, &["OPAQUE", "held", "x"]);
    receive(&worker);
    gateway.control().drain();
    rejected(&client, &["held"], Reason::ShuttingDown);
    gateway.running.take().unwrap().wait().unwrap();
}

#[test]
fn the_gateway_may_connect_to_workers() {
    let context = zmq::Context::new();
    let worker = socket(&context, zmq::DEALER);
    worker.bind("tcp://127.0.0.1:*").unwrap();
    let at = worker.get_last_endpoint().unwrap().unwrap();
    let gateway = Gateway::start(&format!(
        r#"
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0" }} }}
pools: {{ people: {{ connect: "{at}" }} }}
routes: {{ OPAQUE: {{ pool: people }} }}
"#
    ));
    let client = gateway.dealer();
    send(&client, &["OPAQUE", "x"]);
    answer(&worker, b"y");
    assert_eq!(texts(&receive(&client)), ["REPLY", "y"]);
}

#[test]
fn ipc_works_for_clients_and_workers() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| format!("ipc://{}/{name}", directory.path().display());
    let gateway = Gateway::start(&format!(
        r#"
frontends: {{ clients: {{ bind: ["tcp://127.0.0.1:0", "{}"] }} }}
pools: {{ people: {{ bind: "{}" }} }}
routes: {{ OPAQUE: {{ pool: people }} }}
"#,
        path("clients"),
        path("people"),
    ));
    let client = connected(&gateway.context, zmq::REQ, &path("clients"));
    let worker = gateway.worker();
    send(&client, &["OPAQUE", "x"]);
    answer(&worker, b"y");
    assert_eq!(texts(&receive(&client)), ["REPLY", "y"]);
}
