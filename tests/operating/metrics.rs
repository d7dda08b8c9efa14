//! Tests of the counters in /metrics. They run the binary with real peers.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Instant, SystemTime};

use crate::support::gateway::{engine_is, yaml};
use crate::support::process::{Metrics, Process};
use crate::support::sockets::{echo, receive, send};
use crate::support::{ANN, TEST_TIMEOUT};

/// Asserts the sums of samples. Each element of `sums` has the name of the samples, their labels
/// and the expected sum.
#[track_caller]
fn assert_sums(metrics: &Metrics, sums: &[(&str, &[&str], f64)]) {
    for (name, labels, value) in sums {
        assert_eq!(metrics.sum(name, labels), *value, "{name} {labels:?}");
    }
}

const ROUTE_PERSON: &str = "route=\"PERSON\"";
const NO_ROUTE: &str = "route=\"\"";
const POOL_PEOPLE: &str = "pool=\"people\"";

#[test]
fn requests_and_their_outcomes_are_counted_by_route() {
    let process = Process::start(&yaml("  RAW: { pool: people, timeout: 1s }", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    send(&client, &[&b"PERSON"[..], ANN]);
    send(&client, &[&b"PERSON"[..], b"\xff"]);
    receive(&client);
    send(&client, &["no such route", "payload"]);
    receive(&client);
    let metrics = process.await_metrics("a request in the queue", |metrics| {
        metrics.sum("gateway_pool_queue_length", &[POOL_PEOPLE]) == 1.0
    });
    metrics.assert_balanced();
    let queued: [(&str, &[&str], f64); 4] = [
        ("gateway_pool_queue_bytes", &[], (6 + ANN.len()) as f64),
        ("gateway_in_flight", &[ROUTE_PERSON], 1.0),
        ("gateway_pool_workers", &[POOL_PEOPLE], 0.0),
        ("gateway_latency_seconds_count", &[ROUTE_PERSON], 0.0),
    ];
    assert_sums(&metrics, &queued);
    let worker = process.peer(&context, zmq::DEALER, "pool people");
    let request = receive(&worker);
    let held: [(&str, &[&str], f64); 3] = [
        ("gateway_pool_held", &[POOL_PEOPLE], 1.0),
        ("gateway_pool_workers", &[POOL_PEOPLE], 1.0),
        ("gateway_clients", &["frontend=\"clients\""], 1.0),
    ];
    assert_sums(&process.metrics(), &held);
    send(&worker, &[&request[0][..], b"REPLY", b"12345"]);
    // The second answer to the request is late, and an answer without a request is unsolicited.
    send(&worker, &[&request[0][..], b"REPLY", b"12345"]);
    send(&worker, &[&b"nobody"[..], b"REPLY", b"12345"]);
    assert_eq!(receive(&client)[1], b"12345");
    let metrics = process.await_metrics("two dropped answers", |metrics| {
        metrics.sum("gateway_pool_dropped_total", &[]) == 2.0
    });
    metrics.assert_balanced();
    assert_one_answer_two_rejections_and_two_drops(&metrics);
    let status = process.status();
    assert_eq!(status["ledger"]["received"], 3);
    assert_eq!(status["ledger"]["rejections"]["unknown_type"], 1);
    assert_eq!(status["pools"][0]["late"], 1);
}

#[track_caller]
fn assert_one_answer_two_rejections_and_two_drops(metrics: &Metrics) {
    let received_bytes = (6 + ANN.len() + 6 + 1) as f64;
    let answered = "outcome=\"answered\"";
    let sums: [(&str, &[&str], f64); 14] = [
        ("gateway_received_total", &[ROUTE_PERSON], 2.0),
        ("gateway_received_total", &[NO_ROUTE], 1.0),
        ("gateway_received_total", &["route=\"RAW\""], 0.0),
        ("gateway_requests_total", &[ROUTE_PERSON, answered], 1.0),
        (
            "gateway_rejections_total",
            &[ROUTE_PERSON, "reason=\"schema_violation\""],
            1.0,
        ),
        (
            "gateway_rejections_total",
            &[NO_ROUTE, "reason=\"unknown_type\""],
            1.0,
        ),
        (
            "gateway_received_bytes_total",
            &[ROUTE_PERSON],
            received_bytes,
        ),
        ("gateway_latency_seconds_count", &[ROUTE_PERSON], 1.0),
        (
            "gateway_latency_seconds_bucket",
            &[ROUTE_PERSON, "le=\"+Inf\""],
            1.0,
        ),
        ("gateway_pool_handed_total", &[], 1.0),
        ("gateway_pool_dropped_total", &["cause=\"late\""], 1.0),
        (
            "gateway_pool_dropped_total",
            &["cause=\"unsolicited\""],
            1.0,
        ),
        ("gateway_engine_messages_total", &["direction=\"in\""], 6.0),
        ("gateway_engine_messages_total", &["direction=\"out\""], 4.0),
    ];
    assert_sums(metrics, &sums);
    assert!(metrics.sum("gateway_sent_bytes_total", &[ROUTE_PERSON]) > 10.0);
    assert!(metrics.sum("gateway_latency_seconds_sum", &[ROUTE_PERSON]) > 0.0);
}

#[test]
fn the_time_in_the_queue_and_the_time_at_a_worker_are_separate() {
    let process = Process::start(&yaml("", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    send(&client, &[&b"PERSON"[..], ANN]);
    let start = Instant::now();
    process.await_metrics("a request in the queue", |metrics| {
        metrics.sum("gateway_pool_queue_length", &[POOL_PEOPLE]) == 1.0
    });
    let queue_seconds = start.elapsed().as_secs_f64();
    let worker = process.peer(&context, zmq::DEALER, "pool people");
    let mut worker_seconds = 0.0;
    for answered in 1..=2 {
        let request = receive(&worker);
        let start = Instant::now();
        let held = process.metrics();
        assert_eq!(held.sum("gateway_pool_held", &[POOL_PEOPLE]), 1.0);
        worker_seconds += start.elapsed().as_secs_f64();
        // The engine reads the clock once in each turn. The turn in which it serves this request
        // begins after the time that was added.
        process.metrics();
        send(&worker, &[&request[0][..], b"REPLY", b"12345"]);
        receive(&client);
        if answered == 1 {
            // The worker is idle when this request arrives, so the request does not wait in the
            // queue.
            send(&client, &[&b"PERSON"[..], ANN]);
        }
    }
    let metrics = process.metrics();
    let sum = |part: &str| metrics.sum(&format!("gateway_{part}_seconds_sum"), &[ROUTE_PERSON]);
    let (whole, queue, at_worker) = (sum("latency"), sum("queue"), sum("worker"));
    assert!(
        (queue + at_worker - whole).abs() < 1e-6,
        "{queue} {at_worker} {whole}"
    );
    assert!(at_worker >= worker_seconds, "{at_worker} {worker_seconds}");
    // The request may have reached the queue a little after `start`.
    assert!(queue > queue_seconds / 2.0, "{queue} {queue_seconds}");
    for part in ["latency", "queue", "worker"] {
        let count = format!("gateway_{part}_seconds_count");
        assert_eq!(metrics.sum(&count, &[ROUTE_PERSON]), 2.0, "{part}");
    }
    let at_once = ["route=\"PERSON\"", "le=\"0.0001\""];
    assert_eq!(metrics.sum("gateway_queue_seconds_bucket", &at_once), 1.0);
}

/// The kernel takes up to 20 ms to enlarge the table while threads use it.
#[test]
fn the_table_of_descriptors_is_large_before_peers_connect() {
    let process = Process::start(&yaml("", ""));
    let limit = process.metrics().sum("process_max_fds", &[]);
    let status = std::fs::read_to_string(process.proc("status")).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("FDSize:"));
    let size: f64 = size.expect("FDSize").trim().parse().unwrap();
    assert!(size >= limit.min(65_536.0), "{size} of {limit}");
}

#[test]
fn metrics_of_the_process_agree_with_the_system() {
    let process = Process::start(&yaml("", ""));
    let metrics = process.metrics();
    let (kib, descriptors) = process.memory_and_descriptors();
    let resident = metrics.sum("process_resident_memory_bytes", &[]) / 1024.0;
    assert!(
        (resident - kib as f64).abs() < kib as f64 / 2.0,
        "{resident} {kib}"
    );
    assert!(metrics.sum("process_virtual_memory_bytes", &[]) / 1024.0 > resident);
    let open = metrics.sum("process_open_fds", &[]);
    // The connection of the scrape may have closed in the meantime.
    assert!(
        (open - descriptors as f64).abs() <= 3.0,
        "{open} {descriptors}"
    );
    assert!(metrics.sum("process_max_fds", &[]) >= open);
    assert!(metrics.sum("process_threads", &[]) >= 5.0);
    let cpu = process.cpu() as f64 / 100.0;
    assert!(metrics.sum("process_cpu_seconds_total", &[]) <= cpu);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap().as_secs_f64();
    let start = metrics.sum("process_start_time_seconds", &[]);
    // The kernel reports the boot time of the system in whole seconds.
    assert!(
        (now - TEST_TIMEOUT.as_secs_f64()..now + 1.0).contains(&start),
        "{start} {now}"
    );
}

#[test]
fn types_chosen_by_peers_never_become_labels() {
    let process = Process::start(&yaml("  \"any.*\": { pool: people, timeout: 1s }", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    let series = process.metrics().samples.len();
    for n in 0..50 {
        send(&client, &[format!("no.{n}").as_bytes(), b""]);
        receive(&client);
        send(&client, &[format!("any.{n}").as_bytes(), b""]);
    }
    let metrics = process.await_metrics("fifty for any.*", |metrics| {
        metrics.sum("gateway_received_total", &["route=\"any.*\""]) == 50.0
    });
    // The first unknown_type adds one series.
    assert!(metrics.samples.len() <= series + 1);
    assert_eq!(
        metrics.sum("gateway_rejections_total", &["route=\"\""]),
        50.0
    );
}

/// Counts of the requests of a client.
struct Counts {
    /// The number of sent requests of each type.
    sent: Vec<usize>,
    answered: usize,
    rejected: usize,
}

/// Sends requests of these types in turn until `done` is set, with at most `UNANSWERED_MAX`
/// unanswered requests at a time. Asserts that each request is answered exactly once.
fn run_client(socket: &zmq::Socket, kinds: &[&str], done: &AtomicBool) -> Counts {
    const UNANSWERED_MAX: usize = 30;
    let mut answers = Vec::new();
    let (mut received, mut rejected) = (0, 0);
    loop {
        let is_done = done.load(Ordering::Relaxed);
        while !is_done && answers.len() - received < UNANSWERED_MAX {
            let number = answers.len();
            let kind = kinds[number % kinds.len()];
            send(
                socket,
                &[kind.as_bytes(), number.to_string().as_bytes(), ANN],
            );
            answers.push(0);
        }
        if received == answers.len() {
            break;
        }
        let frames = receive(socket);
        rejected += usize::from(frames[0] == b"ERROR");
        let number: usize = String::from_utf8(frames[1].clone())
            .unwrap()
            .parse()
            .unwrap();
        answers[number] += 1;
        received += 1;
    }
    assert!(answers.iter().all(|n| *n == 1), "one answer to each");
    let count = |kind| (kind..answers.len()).step_by(kinds.len()).count();
    Counts {
        sent: (0..kinds.len()).map(count).collect(),
        answered: received - rejected,
        rejected,
    }
}

/// Sends a request, disconnects the client, and then sends the answer of the worker.
fn disconnect_before_answer(process: &Process, worker: &zmq::Socket) {
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    send(&client, &["GONE", "x"]);
    let request = receive(worker);
    drop(client);
    drop(context);
    send(worker, &[&request[0][..], b"REPLY", b"x"]);
}

/// Connects a client that does not read, and sends it more answers than fit into the buffers of the
/// gateway, of libzmq and of the system. Returns the client's socket.
fn stall_client(process: &Process, context: &zmq::Context, worker: &zmq::Socket) -> zmq::Socket {
    const ANSWERS: usize = 2_500;
    let client = context.socket(zmq::DEALER).unwrap();
    client.set_rcvhwm(1).unwrap();
    client.set_sndhwm(0).unwrap();
    client.set_linger(0).unwrap();
    client
        .connect(&process.endpoint("frontend clients"))
        .unwrap();
    let large = vec![0; 20_000];
    // All requests are sent before the first answer, because engine native stops reading from a
    // client that does not read its answers.
    (0..ANSWERS).for_each(|_| send(&client, &["SLOW", "x"]));
    let requests: Vec<_> = (0..ANSWERS).map(|_| receive(worker)).collect();
    for request in requests {
        send(worker, &[&request[0][..], b"REPLY", &large]);
    }
    client
}

/// The number of reloads during the scrapes.
const RELOADS: usize = 12;

#[test]
fn the_ledger_balances_in_every_scrape_during_load_reloads_and_disconnects() {
    let pool =
        "timeout: 400ms, queue: 60 }, lossy: { bind: \"tcp://127.0.0.1:0\", per_worker: 5000";
    let always = "  RAW: { pool: people }\n  GONE: { pool: lossy }\n  SLOW: { pool: lossy }\nlimits: { client_bytes: 1MiB }";
    let few = yaml(always, pool);
    let more = format!("  SOME: {{ pool: people }}\n  \"S*\": {{ pool: people }}\n{always}");
    let more = yaml(&more, pool);
    let process = Arc::new(Process::start(&few));
    process.await_first_check();
    let context = zmq::Context::new();
    let clients_done = Arc::new(AtomicBool::new(false));
    let kinds = ["PERSON", "RAW", "SOME", "nobody's"];
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let socket = process.peer(&context, zmq::DEALER, "frontend clients");
            let done = Arc::clone(&clients_done);
            thread::spawn(move || run_client(&socket, &kinds, &done))
        })
        .collect();
    let worker_done = Arc::new(AtomicBool::new(false));
    let worker = process.peer(&context, zmq::DEALER, "pool people");
    let done = Arc::clone(&worker_done);
    let worker = thread::spawn(move || echo(&worker, &done));
    let lossy = process.peer(&context, zmq::DEALER, "pool lossy");
    let stalled = stall_client(&process, &context, &lossy);
    let busy = scrape_through_reloads(&process, &context, &lossy, [&more, &few]);
    clients_done.store(true, Ordering::Relaxed);
    let counts = clients.into_iter().map(|client| client.join().unwrap());
    let counts: Vec<_> = counts.collect();
    worker_done.store(true, Ordering::Relaxed);
    worker.join().unwrap();
    assert!(busy > RELOADS, "{busy} scrapes saw requests in flight");
    await_client_gone(&process, &lossy);
    if engine_is("native") {
        let slow = ["route=\"SLOW\"", "outcome=\"client_slow\""];
        assert!(process.metrics().sum("gateway_requests_total", &slow) > 0.0);
    }
    drop(stalled);
    let metrics = process.await_metrics("an outcome of each request", |metrics| {
        metrics.assert_balanced();
        metrics.sum("gateway_in_flight", &[]) == 0.0
    });
    assert_counts(&metrics, &counts);
    let reloads = metrics.sum("gateway_reloads_total", &["outcome=\"applied\""]);
    assert_eq!(reloads as usize, RELOADS);
    assert_eq!(
        metrics.sum("gateway_snapshot_generation", &[]) as usize,
        RELOADS + 1
    );
}

/// Asserts that the counters of the gateway agree with the counts of the clients.
#[track_caller]
fn assert_counts(metrics: &Metrics, counts: &[Counts]) {
    let reported = |outcome: &str| {
        let total = |labels: &[&str]| metrics.sum("gateway_requests_total", labels) as usize;
        total(&[outcome])
            - total(&[outcome, "route=\"GONE\""])
            - total(&[outcome, "route=\"SLOW\""])
    };
    let sum = |count: fn(&Counts) -> usize| counts.iter().map(count).sum::<usize>();
    let (answered, rejected) = (sum(|counts| counts.answered), sum(|counts| counts.rejected));
    assert_eq!(reported("outcome=\"answered\""), answered);
    assert_eq!(reported("outcome=\"rejected\""), rejected);
    assert!(answered > 0 && rejected > 0);
    // A removed route keeps its counts, and continues with them when it is added again.
    let received = |route: &str| metrics.sum("gateway_received_total", &[route]) as usize;
    let sent = |kind: usize| counts.iter().map(|counts| counts.sent[kind]).sum::<usize>();
    assert_eq!(received("route=\"PERSON\""), sent(0));
    assert_eq!(received("route=\"RAW\""), sent(1));
    let some = received("route=\"SOME\"");
    assert!(some > 0 && some < sent(2), "{some}");
    assert_eq!(some + received("route=\"\""), sent(2) + sent(3));
}

/// Scrapes /metrics while clients and workers disconnect and the configuration changes, and asserts
/// that the counters balance. Returns the number of scrapes with requests in flight.
fn scrape_through_reloads(
    process: &Process,
    context: &zmq::Context,
    lossy: &zmq::Socket,
    configurations: [&str; 2],
) -> usize {
    let mut busy = 0;
    for reload in 0..RELOADS {
        disconnect_before_answer(process, lossy);
        // This worker holds requests while the configuration changes, and then disconnects.
        let worker = process.peer(context, zmq::DEALER, "pool people");
        receive(&worker);
        fs::write(process.file(), configurations[reload % 2]).unwrap();
        assert_eq!(process.reload().json()["outcome"], "applied");
        drop(worker);
        for _ in 0..5 {
            let metrics = process.metrics();
            metrics.assert_balanced();
            busy += usize::from(metrics.sum("gateway_in_flight", &[]) > 0.0);
        }
    }
    busy
}

/// Disconnects clients until an answer is counted as `client_gone`. An answer is not counted as
/// `client_gone` if the system accepts it before the gateway notices that the client has
/// disconnected.
fn await_client_gone(process: &Process, lossy: &zmq::Socket) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    let is_counted = || {
        let metrics = process.metrics();
        metrics.assert_balanced();
        let gone = ["route=\"GONE\"", "outcome=\"client_gone\""];
        metrics.sum("gateway_requests_total", &gone) > 0.0
    };
    while !is_counted() {
        assert!(Instant::now() < deadline, "no client_gone in time");
        disconnect_before_answer(process, lossy);
    }
}

#[test]
fn the_turns_of_the_data_thread_are_timed() {
    let process = Process::start(&yaml("", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    for _ in 0..20 {
        send(&client, &["nobody's", ""]);
        receive(&client);
    }
    // A turn is counted at its end, perhaps after the client has received the answer.
    let count = "gateway_engine_turn_seconds_count";
    let metrics = process.await_metrics("twenty turns", |metrics| metrics.sum(count, &[]) >= 20.0);
    let turns = metrics.sum(count, &[]);
    let sums: [(&str, &[&str], f64); 3] = [
        ("gateway_engine_turns_total", &[], turns),
        (
            "gateway_engine_turn_seconds_bucket",
            &["le=\"+Inf\""],
            turns,
        ),
        (
            "gateway_engine_busy_seconds_total",
            &[],
            metrics.sum("gateway_engine_turn_seconds_sum", &[]),
        ),
    ];
    assert_sums(&metrics, &sums);
}

#[test]
fn a_scrape_shows_the_current_counts() {
    let process = Process::start(&yaml("", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    for n in 1..100 {
        send(&client, &["nobody's", ""]);
        receive(&client);
        let metrics = process.metrics();
        assert_eq!(metrics.sum("gateway_received_total", &[]), f64::from(n));
    }
    // However frequent the scrapes are, they query the data thread at most a hundred times a
    // second.
    let turns = |process: &Process| process.metrics().sum("gateway_engine_turns_total", &[]);
    let before = turns(&process);
    let started = Instant::now();
    for _ in 0..50 {
        process.metrics();
    }
    let count = turns(&process) - before;
    let count_max = 2.0 + 2.0 * started.elapsed().as_secs_f64() / 0.01;
    assert!(count <= count_max, "{count} turns, more than {count_max}");
}
