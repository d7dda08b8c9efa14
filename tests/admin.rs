//! What the gateway shows of itself over HTTP, by the binary itself and real peers.

#[path = "support/gateway.rs"]
mod gateway_support;
#[path = "support/process.rs"]
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use gateway::reply::Reason;
use gateway_support::{ANN, on_this_engine, receive, send};
use process::{Answer, Family, Metrics, PATIENCE, Process};

/// A frontend, a pool and an HTTP listener beside these routes.
fn yaml(routes: &str, pool: &str) -> String {
    with_admin(routes, pool, "admin: { bind: \"127.0.0.1:0\" }")
}

fn with_admin(routes: &str, pool: &str, admin: &str) -> String {
    on_this_engine(&format!(
        r#"
frontends: {{ clients: {{ bind: "tcp://127.0.0.1:0" }} }}
pools: {{ people: {{ bind: "tcp://127.0.0.1:0", {pool} }} }}
reload: {{ watch: false }}
routes:
  PERSON: {{ schema: demo.Person, pool: people }}
{routes}
{admin}
"#
    ))
}

#[test]
fn each_path_has_its_answer_and_others_are_told_what_there_is() {
    let process = Process::start(&yaml("", ""));
    for (path, body) in [("/healthz", "ok\n"), ("/readyz", "ready\n")] {
        let answer = process.get(path);
        assert_eq!((answer.code, &*answer.body), (200, body), "{path}");
        assert!(answer.headers.contains("cache-control: no-store"));
    }
    let metrics = process.get("/metrics");
    assert!(
        metrics
            .headers
            .contains("content-type: application/openmetrics-text; version=1.0.0")
    );
    let paths = process.get("/");
    assert_eq!(paths.code, 200);
    for path in ["/metrics", "/status", "/healthz", "/readyz", "/reload"] {
        assert!(paths.body.contains(path), "{}", paths.body);
    }
    let unknown = process.get("/nothing");
    assert_eq!(unknown.code, 404);
    assert!(unknown.body.contains("/metrics"));
    for (method, path, allowed) in [("GET", "/reload", "post"), ("POST", "/status", "get, head")] {
        let answer = process.ask(method, path, &[]);
        assert_eq!(answer.code, 405, "{method} {path}");
        assert!(
            answer.headers.contains(&format!("allow: {allowed}")),
            "{}",
            answer.headers
        );
    }
    let head = process.ask("HEAD", "/metrics", &[]);
    assert_eq!((head.code, &*head.body), (200, ""));
    assert!(!head.headers.contains("content-length: 0"));
}

#[test]
fn status_says_what_runs() {
    let routes = "  \"*\": { pool: people, timeout: 2500ms, frontends: clients, reply: { msgpack: demo.Reply } }";
    let process = Process::start(&yaml(routes, "queue: 7, queue_bytes: 1KiB"));
    let status = process.status();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["state"], "serving");
    assert_eq!(status["generation"], 1);
    let uptime = |status: &serde_json::Value| status["uptime_seconds"].as_f64().unwrap();
    assert!(uptime(&process.status()) > uptime(&status));
    let endpoints = status["endpoints"].as_array().unwrap();
    for (role, name, what) in [
        ("frontend", "clients", "frontend clients"),
        ("pool", "people", "pool people"),
        ("admin", "", "admin"),
    ] {
        let at = endpoints
            .iter()
            .find(|it| it["role"] == role && it["name"] == name)
            .unwrap();
        assert_eq!(at["endpoint"], process.endpoint(what).as_str());
    }
    assert_eq!(endpoints.len(), 3);
    let any = &status["routes"][0];
    assert_eq!(any["type"], "*");
    assert_eq!(any["timeout_seconds"], 2.5);
    assert_eq!(any["pool"], "people");
    assert_eq!(any["frontends"][0], "clients");
    assert_eq!(any["reply"][0]["message"], "demo.Reply");
    assert_eq!(any["reply"][0]["encoding"], "msgpack");
    assert_eq!(status["routes"][1]["schema"][0]["message"], "demo.Person");
    let pool = &status["pools"][0];
    assert_eq!(
        (&pool["name"], &pool["removed"]),
        (&"people".into(), &false.into())
    );
    assert_eq!(pool["queue"]["length_max"], 7);
    assert_eq!(pool["queue"]["bytes_max"], 1024);
    assert_eq!(status["last_reload"], serde_json::Value::Null);
}

#[test]
fn what_happened_is_counted_under_its_route() {
    let process = Process::start(&yaml("  RAW: { pool: people, timeout: 1s }", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    send(&client, &[b"PERSON", ANN]);
    send(&client, &[&b"PERSON"[..], b"\xff"]);
    receive(&client);
    send(&client, &["no such route", "payload"]);
    receive(&client);
    let metrics = process.await_metrics("a request in the queue", |metrics| {
        metrics.sum("gateway_pool_queue_length", &["pool=\"people\""]) == 1.0
    });
    metrics.assert_balanced();
    assert_eq!(
        metrics.sum("gateway_pool_queue_bytes", &[]),
        (6 + ANN.len()) as f64
    );
    assert_eq!(metrics.sum("gateway_in_flight", &["route=\"PERSON\""]), 1.0);
    assert_eq!(
        metrics.sum("gateway_pool_workers", &["pool=\"people\""]),
        0.0
    );
    assert_eq!(
        metrics.sum("gateway_latency_seconds_count", &["route=\"PERSON\""]),
        0.0
    );
    let worker = process.peer(&context, zmq::DEALER, "pool people");
    let request = receive(&worker);
    let metrics = process.metrics();
    assert_eq!(metrics.sum("gateway_pool_held", &["pool=\"people\""]), 1.0);
    assert_eq!(
        metrics.sum("gateway_pool_workers", &["pool=\"people\""]),
        1.0
    );
    assert_eq!(
        metrics.sum("gateway_clients", &["frontend=\"clients\""]),
        1.0
    );
    send(&worker, &[&request[0][..], b"REPLY", b"12345"]);
    // Once more, which is late, and once for nothing.
    send(&worker, &[&request[0][..], b"REPLY", b"12345"]);
    send(&worker, &[&b"nobody"[..], b"REPLY", b"12345"]);
    assert_eq!(receive(&client)[1], b"12345");
    let metrics = process.await_metrics("what is dropped", |metrics| {
        metrics.sum("gateway_pool_dropped_total", &[]) == 2.0
    });
    metrics.assert_balanced();
    let count = |name: &str, labels: &[&str]| metrics.sum(name, labels);
    let (person, nothing) = ("route=\"PERSON\"", "route=\"\"");
    assert_eq!(count("gateway_received_total", &[person]), 2.0);
    assert_eq!(count("gateway_received_total", &[nothing]), 1.0);
    assert_eq!(count("gateway_received_total", &["route=\"RAW\""]), 0.0);
    assert_eq!(
        count("gateway_requests_total", &[person, "outcome=\"answered\""]),
        1.0
    );
    assert_eq!(
        count(
            "gateway_rejections_total",
            &[person, "reason=\"schema_violation\""]
        ),
        1.0
    );
    assert_eq!(
        count(
            "gateway_rejections_total",
            &[nothing, "reason=\"unknown_type\""]
        ),
        1.0
    );
    assert_eq!(
        count("gateway_received_bytes_total", &[person]),
        (6 + ANN.len() + 6 + 1) as f64
    );
    assert!(count("gateway_sent_bytes_total", &[person]) > 10.0);
    assert_eq!(count("gateway_latency_seconds_count", &[person]), 1.0);
    assert!(count("gateway_latency_seconds_sum", &[person]) > 0.0);
    assert_eq!(
        count("gateway_latency_seconds_bucket", &[person, "le=\"+Inf\""]),
        1.0
    );
    assert_eq!(count("gateway_pool_handed_total", &[]), 1.0);
    assert_eq!(
        count("gateway_pool_dropped_total", &["cause=\"late\""]),
        1.0
    );
    assert_eq!(
        count("gateway_pool_dropped_total", &["cause=\"unsolicited\""]),
        1.0
    );
    assert_eq!(
        count("gateway_engine_messages_total", &["direction=\"in\""]),
        6.0
    );
    assert_eq!(
        count("gateway_engine_messages_total", &["direction=\"out\""]),
        4.0
    );
    let status = process.status();
    assert_eq!(status["ledger"]["received"], 3);
    assert_eq!(status["ledger"]["rejections"]["unknown_type"], 1);
    assert_eq!(status["pools"][0]["late"], 1);
}

#[test]
fn what_a_peer_sends_is_no_label() {
    let process = Process::start(&yaml("  \"any.*\": { pool: people, timeout: 1s }", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    let series = process.metrics().samples.len();
    for n in 0..50 {
        send(&client, &[format!("no.{n}").as_bytes(), b""]);
        receive(&client);
        send(&client, &[format!("any.{n}").as_bytes(), b""]);
    }
    let metrics = process.await_metrics("fifty that no route matches", |metrics| {
        metrics.sum("gateway_received_total", &["route=\"any.*\""]) == 50.0
    });
    // That unknown_type has occurred is one more.
    assert!(metrics.samples.len() <= series + 1);
    assert_eq!(
        metrics.sum("gateway_rejections_total", &["route=\"\""]),
        50.0
    );
}

/// What a client sent, by type, and what became of it.
struct Fates {
    sent: Vec<usize>,
    answered: usize,
    rejected: usize,
}

/// Sends requests of these types in turn, some at a time, until it is told to stop; each must be answered once.
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

/// Answers what it gets until it is told to stop.
fn worker_at_work(socket: &zmq::Socket, until: &AtomicBool) {
    while !until.load(Ordering::Relaxed) {
        if socket.poll(zmq::POLLIN, 20).unwrap() > 0 {
            let mut frames = receive(socket);
            frames[1] = b"REPLY".to_vec();
            send(socket, &frames);
        }
    }
}

#[test]
fn the_books_balance_in_every_scrape_under_load_reloads_and_losses() {
    const RELOADS: usize = 12;
    let pool = "timeout: 400ms, queue: 60";
    let few = yaml("  RAW: { pool: people }", pool);
    let more = "  RAW: { pool: people }\n  SOME: { pool: people }\n  \"S*\": { pool: people }";
    let more = yaml(more, pool);
    let process = Arc::new(Process::start(&few));
    started_following(&process);
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
    let steady = thread::spawn(move || worker_at_work(&steady, &until));
    let mut busy = 0;
    for reload in 0..RELOADS {
        // A worker that goes, holding what it had, and a configuration that comes.
        let fickle = process.peer(&context, zmq::DEALER, "pool people");
        receive(&fickle);
        fs::write(process.file(), [&more, &few][reload % 2]).unwrap();
        assert_eq!(process.reload().json()["outcome"], "applied");
        drop(fickle);
        for _ in 0..5 {
            let metrics = process.metrics();
            metrics.assert_balanced();
            busy += usize::from(metrics.sum("gateway_in_flight", &[]) > 0.0);
        }
    }
    over.store(true, Ordering::Relaxed);
    let fates: Vec<_> = clients.into_iter().map(|it| it.join().unwrap()).collect();
    quiet.store(true, Ordering::Relaxed);
    steady.join().unwrap();
    assert!(busy > RELOADS, "{busy} scrapes saw requests in flight");
    let metrics = process.metrics();
    metrics.assert_balanced();
    let told = |outcome: &str| metrics.sum("gateway_requests_total", &[outcome]) as usize;
    let sum = |of: fn(&Fates) -> usize| fates.iter().map(of).sum::<usize>();
    assert_eq!(metrics.sum("gateway_in_flight", &[]), 0.0);
    assert_eq!(told("outcome=\"answered\""), sum(|it| it.answered));
    assert_eq!(told("outcome=\"rejected\""), sum(|it| it.rejected));
    assert!(sum(|it| it.answered) > 0 && sum(|it| it.rejected) > 0);
    // A route that is taken out keeps its counts, and one that comes back goes on.
    let received = |route: &str| metrics.sum("gateway_received_total", &[route]) as usize;
    assert_eq!(received("route=\"PERSON\""), sum(|it| it.sent[0]));
    assert_eq!(received("route=\"RAW\""), sum(|it| it.sent[1]));
    let some = received("route=\"SOME\"");
    assert!(some > 0 && some < sum(|it| it.sent[2]), "{some}");
    assert_eq!(
        some + received("route=\"\""),
        sum(|it| it.sent[2] + it.sent[3])
    );
    let reloads = metrics.sum("gateway_reloads_total", &["outcome=\"applied\""]);
    assert_eq!(reloads as usize, RELOADS);
    assert_eq!(
        metrics.sum("gateway_snapshot_generation", &[]) as usize,
        RELOADS + 1
    );
}

#[test]
fn a_reload_is_answered_with_its_outcome_what_changed_and_what_is_wrong() {
    let first = yaml("", "");
    let process = Process::start(&first);
    let unchanged = process.ask("POST", "/reload", &[]);
    assert_eq!(unchanged.code, 200);
    assert_eq!(unchanged.body, "unchanged: nothing changed; generation 1\n");

    fs::write(process.file(), yaml("  RAW: { pool: people }", "queue: 5")).unwrap();
    let applied = process.ask("POST", "/reload", &[]);
    assert_eq!(applied.code, 200);
    assert_eq!(
        applied.body,
        "applied: ~1 pool (people), +1 route (RAW); generation 2\n"
    );

    fs::write(process.file(), yaml("  RAW: { pool: peple }", "")).unwrap();
    let invalid = process.ask("POST", "/reload", &[]);
    assert_eq!(invalid.code, 422);
    let (summary, diagnostics) = invalid.body.split_once("\n\n").unwrap();
    assert_eq!(summary, "invalid: nothing changed; generation 2 serves on");
    assert!(diagnostics.starts_with("error: there is no pool \"peple\"\n --> routes.yaml:8:16\n"));
    let invalid = process.reload();
    assert_eq!(invalid.code, 422);
    let told = invalid.json();
    assert_eq!(told["outcome"], "invalid");
    assert_eq!(told["generation"], 2);
    let fault = &told["diagnostics"][0];
    assert_eq!(fault["message"], "there is no pool \"peple\"");
    assert_eq!((&fault["line"], &fault["column"]), (&8.into(), &16.into()));
    assert_eq!(fault["help"], "did you mean \"people\"?");
    assert_eq!(process.status()["last_reload"], told);
    assert_eq!(process.metrics().sum("gateway_reload_good", &[]), 0.0);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    fs::write(
        process.file(),
        with_admin("", "", &format!("admin: {{ bind: \"{address}\" }}")),
    )
    .unwrap();
    let refused = process.reload();
    assert_eq!(refused.code, 409);
    let told = refused.json();
    assert_eq!(told["outcome"], "refused");
    let fault = &told["diagnostics"][0];
    let message = fault["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("admin can't listen on {address}: ")),
        "{message}"
    );
    assert_eq!((&fault["line"], &fault["column"]), (&9.into(), &16.into()));

    fs::write(process.file(), &first).unwrap();
    let applied = process.reload();
    assert_eq!(applied.code, 200);
    let told = applied.json();
    assert_eq!(told["changes"]["routes"]["removed"][0], "RAW");
    assert_eq!(told["changes"]["pools"]["changed"][0], "people");
    assert_eq!(told["generation"], 3);
    assert!(told["swap_seconds"].as_f64().unwrap() > 0.0);
    let metrics = process.metrics();
    for (outcome, count) in [
        ("applied", 2.0),
        ("unchanged", 1.0),
        ("invalid", 2.0),
        ("refused", 1.0),
    ] {
        let label = format!("outcome=\"{outcome}\"");
        assert_eq!(
            metrics.sum("gateway_reloads_total", &[&label]),
            count,
            "{outcome}"
        );
    }
    assert_eq!(metrics.sum("gateway_reload_good", &[]), 1.0);
    assert_eq!(
        metrics.sum("gateway_reload_compile_seconds_count", &[]),
        6.0
    );
    assert_eq!(metrics.sum("gateway_reload_swap_seconds_count", &[]), 2.0);
}

/// Waits until the gateway has looked at its files for the first time: what is written from now on is only
/// taken up when it is asked for.
fn started_following(process: &Process) {
    assert_eq!(process.reload().json()["outcome"], "unchanged");
}

#[test]
fn reloads_asked_for_at_once_are_all_answered() {
    let process = Arc::new(Process::start(&yaml("", "")));
    started_following(&process);
    fs::write(process.file(), yaml("  RAW: { pool: people }", "")).unwrap();
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let process = Arc::clone(&process);
            thread::spawn(move || process.reload().json()["outcome"].clone())
        })
        .collect();
    let outcomes: Vec<_> = asking.into_iter().map(|it| it.join().unwrap()).collect();
    assert!(outcomes.iter().any(|it| it == "applied"));
    assert!(
        outcomes
            .iter()
            .all(|it| it == "applied" || it == "unchanged")
    );
    assert_eq!(process.status()["generation"], 2);
}

#[test]
fn what_a_page_in_a_browser_can_send_reloads_nothing() {
    let process = Process::start(&yaml("", ""));
    started_following(&process);
    fs::write(process.file(), yaml("  RAW: { pool: people }", "")).unwrap();
    let rebound = [("Host", "evil.example:9559")];
    assert_eq!(process.ask("POST", "/reload", &rebound).code, 403);
    // Here it is bound to the loopback address, where nobody is meant by a name.
    assert_eq!(process.ask("GET", "/status", &rebound).code, 403);
    for (name, value, code) in [
        ("Origin", "http://evil.example", 403),
        ("Origin", "null", 403),
        ("Sec-Fetch-Site", "cross-site", 403),
        ("Content-Type", "application/x-www-form-urlencoded", 415),
        ("Content-Type", "text/plain", 415),
        ("Content-Length", "5", 413),
        ("Transfer-Encoding", "chunked", 413),
    ] {
        let answer = process.ask("POST", "/reload", &[(name, value)]);
        assert_eq!(answer.code, code, "{name}: {value}: {}", answer.body);
    }
    let two = [("Host", "127.0.0.1"), ("Host", "evil.example")];
    assert_eq!(process.ask("POST", "/reload", &two).code, 400);
    assert_eq!(process.status()["generation"], 1);
    assert_eq!(
        process
            .ask("POST", "/reload", &[("Host", "localhost:1")])
            .code,
        200
    );
    assert_eq!(process.status()["generation"], 2);
}

#[test]
fn the_listener_comes_moves_and_goes_with_the_configuration() {
    let mut process = Process::start(&with_admin("", "", ""));
    let at = |address: &str| with_admin("", "", &format!("admin: {{ bind: \"{address}\" }}"));
    fs::write(process.file(), at("127.0.0.1:0")).unwrap();
    process.signal("HUP");
    process.await_line("reloaded: admin");
    let first = process.admin();
    assert_eq!(process.get("/readyz").code, 200);
    assert_eq!(process.status()["generation"], 2);

    // Refused, nothing has changed.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fs::write(process.file(), at(&address)).unwrap();
    assert_eq!(process.reload().code, 409);
    assert_eq!(process.status()["generation"], 2);
    drop(taken);

    // The one that is asked answers, though it is the one that closes.
    let moved = process.reload();
    assert_eq!((moved.code, &moved.json()["generation"]), (200, &3.into()));
    process.await_line("reloaded: admin");
    assert_eq!(process.admin(), address);
    let metrics = process.metrics();
    assert_eq!(metrics.sum("gateway_snapshot_generation", &[]), 3.0);
    await_closed(&first);
    let endpoints = process.status()["endpoints"].clone();
    let admin = endpoints
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["role"] == "admin");
    let admin: Vec<_> = admin.map(|it| it["endpoint"].clone()).collect();
    assert_eq!(admin, [format!("http://{address}")]);

    fs::write(process.file(), with_admin("", "", "")).unwrap();
    assert_eq!(process.reload().code, 200);
    await_closed(&address);
}

#[track_caller]
fn await_closed(address: &str) {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < until, "{address} is still open");
    }
}

#[test]
fn an_address_that_is_taken_stops_the_start_with_its_place() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = on_this_engine(&format!(
        "frontends: {{ c: {{ bind: \"tcp://127.0.0.1:0\" }} }}\npools: {{ p: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
         routes: {{ A: {{ pool: p }} }}\nadmin: {{ bind: \"{address}\" }}\n"
    ));
    fs::write(directory.path().join("routes.yaml"), text).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_gateway"))
        .current_dir(&directory)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let fault = format!("error: admin can't listen on {address}: ");
    let at = said.find(&fault).unwrap_or_else(|| panic!("{said}"));
    assert!(said[at..].contains("\n --> routes.yaml:5:16\n"), "{said}");
    assert!(said[at..].contains("expected a free address"), "{said}");
}

#[test]
fn every_address_that_is_taken_is_told_with_its_place() {
    let taken: Vec<_> = (0..3)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let at: Vec<_> = taken.iter().map(|it| it.local_addr().unwrap()).collect();
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "frontends:\n  c: {{ bind: [\"tcp://127.0.0.1:0\", \"tcp://{}\"] }}\npools:\n  p: {{ bind: \"tcp://{}\" }}\n  \
         i: {{ bind: \"ipc:///nowhere/at/all\" }}\nroutes: {{ A: {{ pool: p }}, B: {{ pool: i }} }}\n",
        at[0], at[1]
    );
    let run = |text: &str| {
        fs::write(directory.path().join("routes.yaml"), text).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_gateway"))
            .current_dir(&directory)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let admin = format!("admin: {{ bind: \"{}\" }}\n", at[2]);
    for (text, errors) in [(text.clone(), 3), (format!("{text}{admin}"), 4)] {
        let said = run(&text);
        for (fault, place, label) in [
            (
                format!("frontend c can't listen on tcp://{}: ", at[0]),
                "2:36",
                "expected a free address",
            ),
            (
                format!("pool p can't listen on tcp://{}: ", at[1]),
                "4:14",
                "expected a free address",
            ),
            (
                "pool i can't listen on ipc:///nowhere/at/all: ".to_owned(),
                "5:14",
                "expected a path in a directory that is there",
            ),
        ] {
            let at = said.find(&format!("error: {fault}"));
            let rest = &said[at.unwrap_or_else(|| panic!("{fault}: {said}"))..];
            let told = rest.split("\n\n").next().unwrap();
            assert!(
                told.contains(&format!("\n --> routes.yaml:{place}\n")),
                "{said}"
            );
            assert!(told.contains(label) && told.contains("help: "), "{said}");
        }
        assert!(said.ends_with(&format!("\n{errors} errors\n")), "{said}");
    }
}

#[test]
fn it_is_alive_but_not_ready_while_it_drains() {
    let mut process = Process::start(&yaml("", "timeout: 30s"));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    let worker = process.peer(&context, zmq::DEALER, "pool people");
    send(&client, &[b"PERSON", ANN]);
    let request = receive(&worker);
    process.signal("TERM");
    process.await_line("SIGTERM");
    let until = Instant::now() + PATIENCE;
    while process.get("/readyz").code != 503 {
        assert!(Instant::now() < until, "still ready");
    }
    assert_eq!(process.get("/healthz").code, 200);
    assert_eq!(process.status()["state"], "draining");
    let metrics = process.metrics();
    assert_eq!(metrics.sum("gateway_draining", &[]), 1.0);
    metrics.assert_balanced();
    send(&worker, &[&request[0][..], b"REPLY", b"done"]);
    assert_eq!(receive(&client)[1], b"done");
    assert!(process.wait().success());
}

#[test]
fn hostile_http_clients_hurt_neither_requests_nor_memory() {
    let process = Process::start(&yaml("", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    let worker = process.peer(&context, zmq::DEALER, "pool people");
    let round_trip = || {
        send(&client, &[b"PERSON", ANN]);
        let request = receive(&worker);
        send(&worker, &[&request[0][..], b"REPLY", b"x"]);
        assert_eq!(receive(&client)[1], b"x");
    };
    round_trip();
    let (before, descriptors) = process.footprint();
    // Heads without an end, ever larger ones, and answers that nobody reads.
    let huge = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(1 << 20));
    let endless = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(10_000);
    let mut silent = Vec::new();
    for n in 0..200 {
        let mut stream = TcpStream::connect(process.admin()).unwrap();
        stream.set_nonblocking(true).unwrap();
        let said = match n % 4 {
            0 => "",
            1 => "GET / HT",
            2 => &huge,
            _ => &endless,
        };
        // As much as it takes.
        let _ = stream.write_all(said.as_bytes());
        silent.push(stream);
        round_trip();
    }
    for _ in 0..200 {
        round_trip();
    }
    let (after, open) = process.footprint();
    assert!(after < before + 40_000, "{after} KiB after {before}");
    // Those beyond the bound wait outside.
    assert!(
        open < descriptors + 80,
        "{open} descriptors after {descriptors}"
    );
    // The first of them is served, and hung up on when it has said nothing for too long.
    let mut first = silent.swap_remove(0);
    first.set_nonblocking(false).unwrap();
    first.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    let ended = first.read_to_end(&mut rest);
    assert!(ended.is_ok() || rest.is_empty(), "{ended:?}");
    drop(silent);
    assert_eq!(process.get("/healthz").code, 200);
    process.metrics().assert_balanced();
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let process = Process::start(&yaml("", ""));
    let mut stream = TcpStream::connect(process.admin()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let _ = stream.write_all(head.as_bytes());
    let mut text = [0; 64];
    // Refused, or hung up on with bytes unread.
    if let Ok(n) = stream.read(&mut text) {
        let answer = String::from_utf8_lossy(&text[..n]).into_owned();
        assert!(n == 0 || Answer::parse(&answer).code == 431, "{answer}");
    }
    assert_eq!(process.get("/healthz").code, 200);
}

#[test]
fn samples_are_of_the_moment_that_they_are_asked_for() {
    let process = Process::start(&yaml("", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    for n in 1..100 {
        send(&client, &["nobody's", ""]);
        receive(&client);
        let metrics = process.metrics();
        assert_eq!(metrics.sum("gateway_received_total", &[]), f64::from(n));
    }
    // However often it is scraped, the data thread is asked a hundred times a second at most.
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

/// A row of the reference: what is declared, and by which labels it is told apart.
type Row = (Family, BTreeSet<String>);

/// The rows of a part of docs/metrics.md, by name.
fn reference(part: &str) -> BTreeMap<String, Row> {
    let rows = part.lines().filter(|line| line.starts_with("| `gateway_"));
    let rows = rows.map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, labels, help] = cells[..] else {
            panic!("{line}");
        };
        let labels = labels
            .split(", ")
            .filter(|it| !it.is_empty())
            .map(str::to_owned);
        let family = Family {
            kind: kind.to_owned(),
            help: help.to_owned(),
        };
        (
            name.trim_matches('`').to_owned(),
            (family, labels.collect()),
        )
    });
    rows.collect()
}

/// The rows that /metrics would have.
fn shown(metrics: &Metrics) -> BTreeMap<String, Row> {
    let rows = metrics.families.iter().map(|(name, family)| {
        let suffix = match &*family.kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let name = format!("{name}{suffix}");
        let of_it = |it: &str| it == name || it.strip_suffix("_count") == Some(&*name);
        let labels = metrics.samples.keys().filter(|(it, _)| of_it(it));
        let labels = labels.flat_map(|(_, labels)| labels);
        let labels = labels.map(|label| label.split_once('=').unwrap().0.to_owned());
        let labels = labels.collect();
        (name, (family.clone(), labels))
    });
    rows.collect()
}

#[test]
fn the_reference_says_what_is_shown() {
    let text = include_str!("../docs/metrics.md");
    let (always, at_times) = text.split_once("Only where the engine can tell").unwrap();
    let (always, at_times) = (reference(always), reference(at_times));
    let process = Process::start(&yaml("", ""));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    send(&client, &["nobody's", ""]);
    receive(&client);
    let mut shown = shown(&process.metrics());
    for (name, row) in &at_times {
        if let Some(it) = shown.remove(name) {
            assert_eq!(it, *row, "{name}");
        }
    }
    for (name, row) in &always {
        assert_eq!(shown.get(name), Some(row), "{name}");
    }
    let unsaid: Vec<_> = shown
        .keys()
        .filter(|it| !always.contains_key(*it))
        .collect();
    assert!(unsaid.is_empty(), "not in docs/metrics.md: {unsaid:?}");
    for reason in Reason::ALL {
        let readme = include_str!("../README.md");
        assert!(readme.contains(&format!("| `{}` |", reason.label())));
    }
}
