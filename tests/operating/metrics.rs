//! Tests of the counters in /metrics, with the binary itself and real peers.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Instant, SystemTime};

use crate::support::gateway::{engine_is, yaml};
use crate::support::process::{Metrics, Process};
use crate::support::sockets::{echo, receive, send};
use crate::support::{ANN, PATIENCE};

/// Asserts the value of each sum, by name and labels.
#[track_caller]
fn assert_sums(metrics: &Metrics, sums: &[(&str, &[&str], f64)]) {
    for (name, labels, value) in sums {
        assert_eq!(metrics.sum(name, labels), *value, "{name} {labels:?}");
    }
}

const OF_PERSON: &str = "route=\"PERSON\"";
const OF_NOTHING: &str = "route=\"\"";
const OF_PEOPLE: &str = "pool=\"people\"";

#[test]
fn requests_and_their_ends_are_counted_under_their_route() {
    let process = Process::start(&yaml("  RAW: { pool: people, timeout: 1s }", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    send(&client, &[&b"PERSON"[..], ANN]);
    send(&client, &[&b"PERSON"[..], b"\xff"]);
    receive(&client);
    send(&client, &["no such route", "payload"]);
    receive(&client);
    let metrics = process.await_metrics("a request in the queue", |metrics| {
        metrics.sum("gateway_pool_queue_length", &[OF_PEOPLE]) == 1.0
    });
    metrics.assert_balanced();
    let waiting: [(&str, &[&str], f64); 4] = [
        ("gateway_pool_queue_bytes", &[], (6 + ANN.len()) as f64),
        ("gateway_in_flight", &[OF_PERSON], 1.0),
        ("gateway_pool_workers", &[OF_PEOPLE], 0.0),
        ("gateway_latency_seconds_count", &[OF_PERSON], 0.0),
    ];
    assert_sums(&metrics, &waiting);
    let worker = process.peer(&context, zmq::DEALER, "pool people");
    let request = receive(&worker);
    let held: [(&str, &[&str], f64); 3] = [
        ("gateway_pool_held", &[OF_PEOPLE], 1.0),
        ("gateway_pool_workers", &[OF_PEOPLE], 1.0),
        ("gateway_clients", &["frontend=\"clients\""], 1.0),
    ];
    assert_sums(&process.metrics(), &held);
    send(&worker, &[&request[0][..], b"REPLY", b"12345"]);
    // The second answer to the request is late, and one without a request is unsolicited.
    send(&worker, &[&request[0][..], b"REPLY", b"12345"]);
    send(&worker, &[&b"nobody"[..], b"REPLY", b"12345"]);
    assert_eq!(receive(&client)[1], b"12345");
    let metrics = process.await_metrics("what is dropped", |metrics| {
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
        ("gateway_received_total", &[OF_PERSON], 2.0),
        ("gateway_received_total", &[OF_NOTHING], 1.0),
        ("gateway_received_total", &["route=\"RAW\""], 0.0),
        ("gateway_requests_total", &[OF_PERSON, answered], 1.0),
        (
            "gateway_rejections_total",
            &[OF_PERSON, "reason=\"schema_violation\""],
            1.0,
        ),
        (
            "gateway_rejections_total",
            &[OF_NOTHING, "reason=\"unknown_type\""],
            1.0,
        ),
        ("gateway_received_bytes_total", &[OF_PERSON], received_bytes),
        ("gateway_latency_seconds_count", &[OF_PERSON], 1.0),
        (
            "gateway_latency_seconds_bucket",
            &[OF_PERSON, "le=\"+Inf\""],
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
    assert!(metrics.sum("gateway_sent_bytes_total", &[OF_PERSON]) > 10.0);
    assert!(metrics.sum("gateway_latency_seconds_sum", &[OF_PERSON]) > 0.0);
}

#[test]
fn times_in_the_queue_and_at_a_worker_are_separate() {
    let process = Process::start(&yaml("", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    send(&client, &[&b"PERSON"[..], ANN]);
    let started = Instant::now();
    process.await_metrics("a request in the queue", |metrics| {
        metrics.sum("gateway_pool_queue_length", &[OF_PEOPLE]) == 1.0
    });
    let waited = started.elapsed().as_secs_f64();
    let worker = process.peer(&context, zmq::DEALER, "pool people");
    let mut worked = 0.0;
    for answered in 1..=2 {
        let request = receive(&worker);
        let got = Instant::now();
        let held = process.metrics();
        assert_eq!(held.sum("gateway_pool_held", &[OF_PEOPLE]), 1.0);
        worked += got.elapsed().as_secs_f64();
        send(&worker, &[&request[0][..], b"REPLY", b"12345"]);
        receive(&client);
        if answered == 1 {
            // A worker is idle when this request arrives, so it does not wait in the queue.
            send(&client, &[&b"PERSON"[..], ANN]);
        }
    }
    let metrics = process.metrics();
    let sum = |part: &str| metrics.sum(&format!("gateway_{part}_seconds_sum"), &[OF_PERSON]);
    let (whole, queue, at_worker) = (sum("latency"), sum("queue"), sum("worker"));
    assert!(
        (queue + at_worker - whole).abs() < 1e-6,
        "{queue} {at_worker} {whole}"
    );
    assert!(at_worker >= worked, "{at_worker} {worked}");
    // The request may have reached the queue a moment after it was sent.
    assert!(queue > waited / 2.0, "{queue} {waited}");
    for part in ["latency", "queue", "worker"] {
        let count = format!("gateway_{part}_seconds_count");
        assert_eq!(metrics.sum(&count, &[OF_PERSON]), 2.0, "{part}");
    }
    let at_once = ["route=\"PERSON\"", "le=\"0.0001\""];
    assert_eq!(metrics.sum("gateway_queue_seconds_bucket", &at_once), 1.0);
}

/// Other tests of this binary may share the machine, but each starts its own process.
#[test]
fn metrics_of_the_process_agree_with_the_system() {
    let process = Process::start(&yaml("", ""));
    let metrics = process.metrics();
    let (kib, descriptors) = process.footprint();
    let resident = metrics.sum("process_resident_memory_bytes", &[]) / 1024.0;
    assert!(
        (resident - kib as f64).abs() < kib as f64 / 2.0,
        "{resident} {kib}"
    );
    assert!(metrics.sum("process_virtual_memory_bytes", &[]) / 1024.0 > resident);
    let open = metrics.sum("process_open_fds", &[]);
    // The connection of the scrape may have closed since.
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
    // The kernel reports the time of the system's start in whole seconds.
    assert!(
        (now - PATIENCE.as_secs_f64()..now + 1.0).contains(&start),
        "{start} {now}"
    );
}

#[test]
fn types_that_peers_choose_never_become_labels() {
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

/// The numbers of a client's requests: by type, and by outcome.
struct Fates {
    sent: Vec<usize>,
    answered: usize,
    rejected: usize,
}

/// Sends requests of these types in turn, up to `WINDOW` at a time, until `over` is set. Asserts
/// that each is answered exactly once.
fn client_at_work(socket: &zmq::Socket, kinds: &[&str], over: &AtomicBool) -> Fates {
    const WINDOW: usize = 30;
    let mut answers = Vec::new();
    let (mut done, mut rejected) = (0, 0);
    loop {
        let ending = over.load(Ordering::Relaxed);
        while !ending && answers.len() - done < WINDOW {
            let number = answers.len();
            let kind = kinds[number % kinds.len()];
            send(
                socket,
                &[kind.as_bytes(), number.to_string().as_bytes(), ANN],
            );
            answers.push(0);
        }
        if done == answers.len() {
            break;
        }
        let frames = receive(socket);
        rejected += usize::from(frames[0] == b"ERROR");
        let number: usize = String::from_utf8(frames[1].clone())
            .unwrap()
            .parse()
            .unwrap();
        answers[number] += 1;
        done += 1;
    }
    assert!(answers.iter().all(|n| *n == 1), "an answer to each");
    let of = |kind| (kind..answers.len()).step_by(kinds.len()).count();
    Fates {
        sent: (0..kinds.len()).map(of).collect(),
        answered: done - rejected,
        rejected,
    }
}

/// Disconnects a client while a worker holds its request, so that no peer receives the answer.
fn vanish(process: &Process, worker: &zmq::Socket) {
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    send(&client, &["GONE", "x"]);
    let request = receive(worker);
    drop(client);
    drop(context);
    send(worker, &[&request[0][..], b"REPLY", b"x"]);
}

/// Sends more answers to a client that does not read than all buffers on the way can hold. Returns
/// the client's socket.
fn stall(process: &Process, context: &zmq::Context, worker: &zmq::Socket) -> zmq::Socket {
    const ANSWERS: usize = 2_500;
    let client = context.socket(zmq::DEALER).unwrap();
    client.set_rcvhwm(1).unwrap();
    client.set_sndhwm(0).unwrap();
    client.set_linger(0).unwrap();
    client
        .connect(&process.endpoint("frontend clients"))
        .unwrap();
    let large = vec![0; 20_000];
    // All requests are sent before the first is answered, because engine native pauses reading from
    // a client that does not read its answers.
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
fn the_ledger_balances_in_every_scrape_under_load_reloads_and_losses() {
    let pools =
        "timeout: 400ms, queue: 60 }, lossy: { bind: \"tcp://127.0.0.1:0\", per_worker: 5000";
    let always = "  RAW: { pool: people }\n  GONE: { pool: lossy }\n  SLOW: { pool: lossy }\nlimits: { client_bytes: 1MiB }";
    let few = yaml(always, pools);
    let more = format!("  SOME: {{ pool: people }}\n  \"S*\": {{ pool: people }}\n{always}");
    let more = yaml(&more, pools);
    let process = Arc::new(Process::start(&few));
    process.await_first_look();
    let context = zmq::Context::new();
    let over = Arc::new(AtomicBool::new(false));
    let kinds = ["PERSON", "RAW", "SOME", "nobody's"];
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let socket = process.peer(&context, zmq::DEALER, "frontend clients");
            let over = Arc::clone(&over);
            thread::spawn(move || client_at_work(&socket, &kinds, &over))
        })
        .collect();
    let quiet = Arc::new(AtomicBool::new(false));
    let steady = process.peer(&context, zmq::DEALER, "pool people");
    let until = Arc::clone(&quiet);
    let steady = thread::spawn(move || echo(&steady, &until));
    let lossy = process.peer(&context, zmq::DEALER, "pool lossy");
    let stalled = stall(&process, &context, &lossy);
    let busy = scrape_through_reloads(&process, &context, &lossy, [&more, &few]);
    over.store(true, Ordering::Relaxed);
    let fates: Vec<_> = clients.into_iter().map(|it| it.join().unwrap()).collect();
    quiet.store(true, Ordering::Relaxed);
    steady.join().unwrap();
    assert!(busy > RELOADS, "{busy} scrapes saw requests in flight");
    lose_a_client(&process, &lossy);
    if engine_is("native") {
        let slow = ["route=\"SLOW\"", "outcome=\"client_slow\""];
        assert!(process.metrics().sum("gateway_requests_total", &slow) > 0.0);
    }
    drop(stalled);
    let metrics = process.await_metrics("all have their fate", |metrics| {
        metrics.assert_balanced();
        metrics.sum("gateway_in_flight", &[]) == 0.0
    });
    assert_fates(&metrics, &fates);
    let reloads = metrics.sum("gateway_reloads_total", &["outcome=\"applied\""]);
    assert_eq!(reloads as usize, RELOADS);
    assert_eq!(
        metrics.sum("gateway_snapshot_generation", &[]) as usize,
        RELOADS + 1
    );
}

/// Asserts that the counters agree with what the clients saw.
#[track_caller]
fn assert_fates(metrics: &Metrics, fates: &[Fates]) {
    let reported = |outcome: &str| {
        let of = |labels: &[&str]| metrics.sum("gateway_requests_total", labels) as usize;
        of(&[outcome]) - of(&[outcome, "route=\"GONE\""]) - of(&[outcome, "route=\"SLOW\""])
    };
    let sum = |of: fn(&Fates) -> usize| fates.iter().map(of).sum::<usize>();
    assert_eq!(reported("outcome=\"answered\""), sum(|it| it.answered));
    assert_eq!(reported("outcome=\"rejected\""), sum(|it| it.rejected));
    assert!(sum(|it| it.answered) > 0 && sum(|it| it.rejected) > 0);
    // A removed route keeps its counts, and continues with them when it is added again.
    let received = |route: &str| metrics.sum("gateway_received_total", &[route]) as usize;
    assert_eq!(received("route=\"PERSON\""), sum(|it| it.sent[0]));
    assert_eq!(received("route=\"RAW\""), sum(|it| it.sent[1]));
    let some = received("route=\"SOME\"");
    assert!(some > 0 && some < sum(|it| it.sent[2]), "{some}");
    assert_eq!(
        some + received("route=\"\""),
        sum(|it| it.sent[2] + it.sent[3])
    );
}

/// Scrapes /metrics while clients and workers disconnect and configurations change. Returns the
/// number of scrapes that saw requests in flight.
fn scrape_through_reloads(
    process: &Process,
    context: &zmq::Context,
    lossy: &zmq::Socket,
    configurations: [&str; 2],
) -> usize {
    let mut busy = 0;
    for reload in 0..RELOADS {
        vanish(process, lossy);
        // This worker holds requests while the configuration changes, and then disconnects.
        let fickle = process.peer(context, zmq::DEALER, "pool people");
        receive(&fickle);
        fs::write(process.file(), configurations[reload % 2]).unwrap();
        assert_eq!(process.reload().json()["outcome"], "applied");
        drop(fickle);
        for _ in 0..5 {
            let metrics = process.metrics();
            metrics.assert_balanced();
            busy += usize::from(metrics.sum("gateway_in_flight", &[]) > 0.0);
        }
    }
    busy
}

/// Disconnects clients until one is counted as `client_gone`. Usually, but not always, the gateway
/// notices the disconnection before the system accepts the answer.
fn lose_a_client(process: &Process, lossy: &zmq::Socket) {
    let until = Instant::now() + PATIENCE;
    let lost = || {
        let metrics = process.metrics();
        metrics.assert_balanced();
        let gone = ["route=\"GONE\"", "outcome=\"client_gone\""];
        metrics.sum("gateway_requests_total", &gone) > 0.0
    };
    while !lost() {
        assert!(Instant::now() < until, "no client was seen to be gone");
        vanish(process, lossy);
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
    // The turn that sends an answer is counted at its end, perhaps after the client received it.
    let count = "gateway_engine_turn_seconds_count";
    let metrics = process.await_metrics("each turn", |metrics| metrics.sum(count, &[]) >= 20.0);
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
    // Scrapes, however frequent, query the data thread at most a hundred times a second.
    let turns = |process: &Process| process.metrics().sum("gateway_engine_turns_total", &[]);
    let before = turns(&process);
    let started = Instant::now();
    for _ in 0..50 {
        process.metrics();
    }
    let cost = turns(&process) - before;
    let most = 2.0 + 2.0 * started.elapsed().as_secs_f64() / 0.01;
    assert!(cost <= most, "{cost} turns, more than {most}");
}
