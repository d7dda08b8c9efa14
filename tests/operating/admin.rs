//! Tests of the HTTP listener. They run the binary with real peers.

use std::collections::VecDeque;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gateway::reply::Reason;

use crate::support::binary::binary;
use crate::support::gateway::{engine_is, on_this_engine, with_admin, yaml};
use crate::support::process::Process;
use crate::support::sockets::{SetOnDrop, named, receive, send};
use crate::support::{ANN, TEST_TIMEOUT, turns};

#[test]
fn each_path_is_answered_and_the_answer_to_an_unknown_path_lists_them() {
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
    for path in [
        "/metrics",
        "/status",
        "/rejections",
        "/healthz",
        "/readyz",
        "/reload",
    ] {
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
fn status_describes_the_running_gateway() {
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
        let endpoint = endpoints
            .iter()
            .find(|entry| entry["role"] == role && entry["name"] == name)
            .unwrap();
        assert_eq!(endpoint["endpoint"], process.endpoint(what).as_str());
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
fn the_status_names_a_worker_and_the_metrics_have_its_number() {
    if !engine_is("native") {
        return;
    }
    let process = Process::start(&yaml("", ""));
    let context = zmq::Context::new();
    let _worker = named(&context, b"worker1", &process.endpoint("pool people"));
    process.await_metrics("the worker", |metrics| {
        metrics.sum("gateway_pool_workers", &[]) == 1.0
    });
    let seat = &process.status()["pools"][0]["seats"][0];
    assert_eq!(
        (&seat["seat"], &seat["identity"]),
        (&0.into(), &"worker1".into())
    );
    let address = seat["address"].as_str().unwrap();
    assert!(address.starts_with("tcp://127.0.0.1:"), "{address}");
    let page = process.get("/metrics").body;
    let held = "gateway_worker_held{pool=\"people\",seat=\"0\"} 0\n";
    assert!(page.contains(held), "{page}");
    assert!(
        !page.contains("worker1") && !page.contains(address),
        "{page}"
    );
}

#[test]
fn timed_out_requests_at_a_worker_are_visible_in_the_metrics() {
    if !engine_is("native") {
        return;
    }
    let process = Process::start(&yaml("", "timeout: 100ms, per_worker: 1"));
    let context = zmq::Context::new();
    let worker = process.peer(&context, zmq::DEALER, "pool people");
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    let overdue = || process.status()["pools"][0]["seats"][0]["overdue"].clone();
    let await_metric = |number| {
        process.await_metrics("overdue requests", |metrics| {
            metrics.sum("gateway_worker_overdue", &["seat=\"0\""]) == number
        })
    };
    for number in 1..=2 {
        send(&client, &[&b"PERSON"[..], ANN]);
        let error = receive(&client);
        assert!(String::from_utf8_lossy(&error[1]).contains("timeout"));
        await_metric(f64::from(number));
        assert_eq!(overdue(), number);
    }
    let late = receive(&worker).swap_remove(0);
    send(&worker, &[&late[..], b"REPLY", b"late"]);
    await_metric(0.0);
    assert_eq!(overdue(), 0);
}

#[test]
fn a_reload_is_answered_with_its_outcome_changes_and_errors() {
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
    assert_an_invalid_edit_is_answered_with_its_errors(&process);
    assert_a_taken_address_is_refused(&process);

    fs::write(process.file(), &first).unwrap();
    let applied = process.reload();
    assert_eq!(applied.code, 200);
    let reported = applied.json();
    assert_eq!(reported["changes"]["routes"]["removed"][0], "RAW");
    assert_eq!(reported["changes"]["pools"]["changed"][0], "people");
    assert_eq!(reported["generation"], 3);
    assert!(reported["swap_seconds"].as_f64().unwrap() > 0.0);
    let metrics = process.metrics();
    for (outcome, count) in [
        ("applied", 2.0),
        ("unchanged", 1.0),
        ("invalid", 2.0),
        ("refused", 1.0),
    ] {
        let label = format!("outcome=\"{outcome}\"");
        let reloads = metrics.sum("gateway_reloads_total", &[&label]);
        assert_eq!(reloads, count, "{outcome}");
    }
    for (name, value) in [
        ("gateway_reload_good", 1.0),
        ("gateway_reload_compile_seconds_count", 6.0),
        ("gateway_reload_swap_seconds_count", 2.0),
    ] {
        assert_eq!(metrics.sum(name, &[]), value, "{name}");
    }
}

/// Asserts that the answer to a reload of an invalid file has the errors, both as text and as JSON.
/// Afterwards, the status must have the same JSON.
#[track_caller]
fn assert_an_invalid_edit_is_answered_with_its_errors(process: &Process) {
    fs::write(process.file(), yaml("  RAW: { pool: peple }", "")).unwrap();
    let invalid = process.ask("POST", "/reload", &[]);
    assert_eq!(invalid.code, 422);
    let (summary, diagnostics) = invalid.body.split_once("\n\n").unwrap();
    assert_eq!(
        summary,
        "invalid: nothing changed; generation 2 stays in force"
    );
    assert!(diagnostics.starts_with("error: there is no pool \"peple\"\n --> routes.yaml:8:16\n"));
    let invalid = process.reload();
    assert_eq!(invalid.code, 422);
    let reported = invalid.json();
    assert_eq!(reported["outcome"], "invalid");
    assert_eq!(reported["generation"], 2);
    let fault = &reported["diagnostics"][0];
    assert_eq!(fault["message"], "there is no pool \"peple\"");
    assert_eq!((&fault["line"], &fault["column"]), (&8.into(), &16.into()));
    assert_eq!(fault["help"], "did you mean \"people\"?");
    assert_eq!(process.status()["last_reload"], reported);
    assert_eq!(process.metrics().sum("gateway_reload_good", &[]), 0.0);
}

#[track_caller]
fn assert_a_taken_address_is_refused(process: &Process) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let admin = format!("admin: {{ bind: \"{address}\" }}");
    fs::write(process.file(), with_admin("", "", &admin)).unwrap();
    let refused = process.reload();
    assert_eq!(refused.code, 409);
    let reported = refused.json();
    assert_eq!(reported["outcome"], "refused");
    let fault = &reported["diagnostics"][0];
    let message = fault["message"].as_str().unwrap();
    let expected = format!("admin can't listen on {address}: ");
    assert!(message.starts_with(&expected), "{message}");
    assert_eq!((&fault["line"], &fault["column"]), (&9.into(), &16.into()));
}

#[test]
fn diagnostics_are_the_same_over_http_and_from_check() {
    let process = Process::start(&yaml("", ""));
    let broken = "syntax = \"proto3\"; package demo; message Person { strin name = 1; }";
    fs::write(
        process.directory.path().join("schemas/person.proto"),
        broken,
    )
    .unwrap();
    let reported = process.reload().json()["diagnostics"].clone();
    assert_eq!(process.status()["last_reload"]["diagnostics"], reported);
    let checked = std::process::Command::new(binary())
        .args(["check", "--format", "json"])
        .current_dir(&process.directory)
        .output()
        .unwrap();
    let checked: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(reported, checked);
    let fault = &reported[0];
    assert_eq!(fault["related"][0]["message"], "needed by route PERSON");
    let numbers = |line: &str, column: &str| (fault[line].as_u64(), fault[column].as_u64());
    assert_eq!(numbers("line", "column"), (Some(1), Some(51)));
    assert_eq!(numbers("end_line", "end_column"), (Some(1), Some(56)));
}

#[test]
fn concurrent_reload_requests_are_all_answered() {
    let process = Arc::new(Process::start(&yaml("", "")));
    process.await_first_check();
    fs::write(process.file(), yaml("  RAW: { pool: people }", "")).unwrap();
    let requests: Vec<_> = (0..20)
        .map(|_| {
            let process = Arc::clone(&process);
            thread::spawn(move || process.reload().json()["outcome"].clone())
        })
        .collect();
    let outcomes = requests.into_iter().map(|thread| thread.join().unwrap());
    let outcomes: Vec<_> = outcomes.collect();
    assert!(outcomes.iter().any(|outcome| outcome == "applied"));
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome == "applied" || outcome == "unchanged")
    );
    assert_eq!(process.status()["generation"], 2);
}

#[test]
fn the_listener_follows_the_configuration() {
    let mut process = Process::start(&with_admin("", "", ""));
    let yaml_with =
        |address: &str| with_admin("", "", &format!("admin: {{ bind: \"{address}\" }}"));
    fs::write(process.file(), yaml_with("127.0.0.1:0")).unwrap();
    process.signal("HUP");
    process.await_line("reloaded: admin");
    let first = process.admin();
    assert_eq!(process.get("/readyz").code, 200);
    assert_eq!(process.status()["generation"], 2);

    // A refused reload changes nothing.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    fs::write(process.file(), yaml_with(&address)).unwrap();
    assert_eq!(process.reload().code, 409);
    assert_eq!(process.status()["generation"], 2);
    drop(taken);

    // The old listener receives and answers the request, and is then closed. The new address may
    // still be in use: a process that another test starts inherits the socket, and holds it until
    // the process executes its program.
    let deadline = Instant::now() + TEST_TIMEOUT;
    let moved = loop {
        let moved = process.reload();
        if moved.code == 200 {
            break moved;
        }
        let message = moved.json()["diagnostics"][0]["message"].clone();
        let message = message.as_str().unwrap();
        assert!(message.contains("Address already in use"), "{message}");
        assert!(Instant::now() < deadline, "{message}");
    };
    assert_eq!(moved.json()["generation"], 3);
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
        .filter(|endpoint| endpoint["role"] == "admin");
    let admin = admin.map(|endpoint| endpoint["endpoint"].clone());
    let admin: Vec<_> = admin.collect();
    assert_eq!(admin, [format!("http://{address}")]);

    fs::write(process.file(), with_admin("", "", "")).unwrap();
    assert_eq!(process.reload().code, 200);
    await_closed(&address);
}

/// The address `*` includes the single address, so both cannot be bound at once.
#[test]
fn the_listener_moves_between_one_address_and_all_on_one_port() {
    // The port must be free at all addresses, because the listener is later bound to `*`. A closed
    // connection of another test occupies a port at a single address for a minute.
    let free = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let yaml_with = |address: &str, routes: &str| {
        let admin = format!("admin: {{ bind: \"{address}:{port}\" }}");
        with_admin(routes, "", &admin)
    };
    let mut process = Process::start(&yaml_with("127.0.0.1", ""));
    process.await_first_check();
    let first = process.admin();
    fs::write(process.file(), yaml_with("*", "")).unwrap();
    let moved = process.reload();
    assert_eq!((moved.code, &moved.json()["generation"]), (200, &2.into()));
    process.await_line("reloaded: admin");
    assert_eq!(process.endpoint("admin"), format!("http://0.0.0.0:{port}"));
    let answer = process.ask_at(&format!("127.0.0.2:{port}"), "GET", "/readyz", &[]);
    assert_eq!(answer.code, 200);

    // A reload that is refused for another reason does not move the listener.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", taken.local_addr().unwrap());
    let other = yaml_with("127.0.0.1", "").replacen("tcp://127.0.0.1:0", &address, 1);
    fs::write(process.file(), other).unwrap();
    let refused = process.ask_at(&first, "POST", "/reload", &[]);
    assert_eq!(refused.code, 409, "{}", refused.body);
    let answer = process.ask_at(&format!("127.0.0.2:{port}"), "GET", "/readyz", &[]);
    assert_eq!(answer.code, 200);

    fs::write(process.file(), yaml_with("127.0.0.1", "")).unwrap();
    assert_eq!(process.ask_at(&first, "POST", "/reload", &[]).code, 200);
    process.await_line("reloaded: admin");
    assert_eq!(process.admin(), first);
    assert_eq!(process.status()["generation"], 3);
    assert!(TcpStream::connect(format!("127.0.0.2:{port}")).is_err());

    // Another listener has one of the wanted addresses, so the reload is refused.
    let _taken = TcpListener::bind(format!("127.0.0.2:{port}")).unwrap();
    fs::write(process.file(), yaml_with("*", "")).unwrap();
    assert_eq!(process.reload().code, 409);
    assert_eq!(process.status()["generation"], 3);
}

#[track_caller]
fn await_closed(address: &str) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < deadline, "{address} is still open");
    }
}

#[test]
fn a_taken_address_stops_the_startup_and_is_reported_with_its_position() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let text = on_this_engine(&format!(
        "frontends: {{ c: {{ bind: \"tcp://127.0.0.1:0\" }} }}\npools: {{ p: {{ bind: \"tcp://127.0.0.1:0\" }} }}\n\
         routes: {{ A: {{ pool: p }} }}\nadmin: {{ bind: \"{address}\" }}\n"
    ));
    fs::write(directory.path().join("routes.yaml"), text).unwrap();
    let output = std::process::Command::new(binary())
        .current_dir(&directory)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    let fault = format!("error: admin can't listen on {address}: ");
    let start = errors.find(&fault).unwrap_or_else(|| panic!("{errors}"));
    let report = &errors[start..];
    assert!(report.contains("\n --> routes.yaml:5:16\n"), "{errors}");
    assert!(report.contains("expected a free address"), "{errors}");
}

#[test]
fn every_taken_address_is_reported_with_its_position() {
    let taken: Vec<_> = (0..3)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let addresses: Vec<_> = taken
        .iter()
        .map(|listener| listener.local_addr().unwrap())
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "frontends:\n  c: {{ bind: [\"tcp://127.0.0.1:0\", \"tcp://{}\"] }}\npools:\n  p: {{ bind: \"tcp://{}\" }}\n  \
         i: {{ bind: \"ipc:///nowhere/at/all\" }}\nroutes: {{ A: {{ pool: p }}, B: {{ pool: i }} }}\n",
        addresses[0], addresses[1]
    );
    let run = |text: &str| {
        fs::write(directory.path().join("routes.yaml"), text).unwrap();
        let output = std::process::Command::new(binary())
            .current_dir(&directory)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let admin = format!("admin: {{ bind: \"{}\" }}\n", addresses[2]);
    for (text, count) in [(text.clone(), 3), (format!("{text}{admin}"), 4)] {
        let errors = run(&text);
        for (fault, position, label) in [
            (
                format!("frontend c can't listen on tcp://{}: ", addresses[0]),
                "2:36",
                "expected a free address",
            ),
            (
                format!("pool p can't listen on tcp://{}: ", addresses[1]),
                "4:14",
                "expected a free address",
            ),
            (
                "pool i can't listen on ipc:///nowhere/at/all: ".to_owned(),
                "5:14",
                "expected a path in a directory that exists",
            ),
        ] {
            let start = errors.find(&format!("error: {fault}"));
            let rest = &errors[start.unwrap_or_else(|| panic!("{fault}: {errors}"))..];
            let reported = rest.split("\n\n").next().unwrap();
            assert!(
                reported.contains(&format!("\n --> routes.yaml:{position}\n")),
                "{errors}"
            );
            assert!(
                reported.contains(label) && reported.contains("help: "),
                "{errors}"
            );
        }
        let end = format!("\n{count} errors\n");
        assert!(errors.ends_with(&end), "{errors}");
    }
}

#[test]
fn a_draining_gateway_is_alive_but_not_ready() {
    let mut process = Process::start(&yaml("", "timeout: 30s"));
    let context = zmq::Context::new();
    let client = process.peer(&context, zmq::DEALER, "frontend clients");
    let worker = process.peer(&context, zmq::DEALER, "pool people");
    send(&client, &[&b"PERSON"[..], ANN]);
    let request = receive(&worker);
    process.signal("TERM");
    process.await_line("SIGTERM");
    let deadline = Instant::now() + TEST_TIMEOUT;
    while process.get("/readyz").code != 503 {
        assert!(Instant::now() < deadline, "still ready");
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

/// Sends the bytes of a request, shuts down the given directions of the connection, and returns
/// the whole answer.
#[track_caller]
fn send_bytes(at: &str, request: &str, shutdown: Option<Shutdown>) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    if let Some(directions) = shutdown {
        stream.shutdown(directions).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_request_before_a_half_close_is_answered() {
    let process = Process::start(&yaml("", ""));
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", process.admin());
    let answer = send_bytes(&process.admin(), &request, Some(Shutdown::Write));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
}

#[test]
fn on_loopback_a_request_without_a_host_is_rejected() {
    let process = Process::start(&yaml("", ""));
    for request in [
        "GET /healthz HTTP/1.0\r\n\r\n",
        "GET /status HTTP/1.1\r\nConnection: close\r\n\r\n",
    ] {
        let answer = send_bytes(&process.admin(), request, None);
        let line = answer.lines().next().unwrap_or_default();
        assert!(line.ends_with(" 400 Bad Request"), "{answer}");
        assert!(answer.ends_with("expected one Host header\n"), "{answer}");
    }
}

/// Asserts that a health check succeeds within a second.
#[track_caller]
fn assert_healthy_in_time(process: &Process) {
    let start = Instant::now();
    assert_eq!(process.get("/healthz").code, 200);
    let duration = start.elapsed();
    assert!(duration < Duration::from_secs(1), "{duration:?}");
}

/// The gateway makes room for new connections by closing connections of slow clients. A slow client
/// sends nothing or only a part of a request, or reads its answer slowly or not at all.
#[test]
fn a_health_check_is_answered_within_a_second_during_a_thousand_slow_connections() {
    let _turn = turns::take();
    let process = Process::start(&yaml("", ""));
    let at = process.admin();
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    let unread = ask("/metrics").repeat(1_000);
    let mut all: Vec<TcpStream> = Vec::new();
    for n in 0..1_000 {
        let mut stream = TcpStream::connect(&at).unwrap();
        // The gateway may have refused a request and closed the connection before the last call, so
        // the results of some calls are ignored.
        match n % 6 {
            0 => stream.write_all(b"GET /heal").unwrap(),
            1 => stream.shutdown(Shutdown::Read).unwrap(),
            2 => {
                // The socket may accept only a part of the bytes.
                stream.set_nonblocking(true).unwrap();
                let _ = stream.write(unread.as_bytes());
            }
            3 => {
                stream.write_all(ask("/metrics").as_bytes()).unwrap();
                let _ = stream.shutdown(Shutdown::Write);
            }
            4 => {
                let status = ask("/status").repeat(100);
                stream.write_all(status.as_bytes()).unwrap();
                stream.set_nonblocking(true).unwrap();
            }
            _ => {}
        }
        all.push(stream);
        if n % 100 == 99 {
            // Each slow reader reads a byte.
            for slow in all.iter().skip(4).step_by(6) {
                let _ = (&mut &*slow).read(&mut [0]);
            }
            assert_healthy_in_time(&process);
        }
    }
    assert_eq!(process.get("/readyz").code, 200);
}

/// The clients have more connections than the gateway keeps open, and replace each connection that
/// the gateway has answered or closed. They never fill the listener's queue. Otherwise the system
/// would ignore a new connection, and try it again only after a second.
#[test]
fn a_health_check_is_answered_within_a_second_during_a_storm_of_connections() {
    let _turn = turns::take();
    let process = Process::start(&yaml("", ""));
    let at = process.admin();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _done = SetOnDrop(&done);
        for path in ["/metrics", "/status", "/rejections", "/healthz", ""] {
            let request = match path {
                "" => String::new(),
                path => format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
            };
            let (at, done) = (&at, &done);
            scope.spawn(move || reconnect(at, &request, 30, done));
        }
        for _ in 0..50 {
            assert_healthy_in_time(&process);
        }
    });
}

/// Opens this number of connections, and then replaces the oldest whenever it has ended. Returns
/// once `done` is set.
fn reconnect(at: &str, request: &str, count: usize, done: &AtomicBool) {
    let mut open = VecDeque::new();
    while !done.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        // The gateway may have closed the connection already.
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        open.push_back(stream);
        if open.len() == count
            && let Some(mut oldest) = open.pop_front()
        {
            // If the gateway closes the connection before it has read the request, reading the
            // answer fails.
            let _ = oldest.read_to_end(&mut Vec::new());
        }
    }
}

#[test]
fn metrics_have_the_requested_format() {
    let process = Process::start(&yaml("", ""));
    let ask = |accept: &str| process.ask("GET", "/metrics", &[("Accept", accept)]);
    let classic = ask("text/plain;version=0.0.4");
    assert!(
        classic
            .headers
            .contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{}",
        classic.headers
    );
    assert!(
        classic
            .body
            .contains("# TYPE gateway_received_total counter\n")
    );
    assert!(classic.body.contains("# TYPE gateway_build_info gauge\n"));
    assert!(!classic.body.contains("# EOF"));
    for accept in [
        "*/*",
        "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5",
    ] {
        let open = ask(accept);
        assert!(
            open.headers
                .contains("content-type: application/openmetrics-text")
        );
        assert!(open.body.contains("# TYPE gateway_received counter\n"));
        assert!(open.body.ends_with("# EOF\n"));
    }
}

/// Asserts that the page counts the rejections of this route by every reason except `unknown_type`.
/// It must count the rejections without a route by every reason that is possible before the route
/// is known.
fn assert_has_every_reason(page: &str, route: &str) {
    let has = |route: &str, reason: &str| {
        page.contains(&format!(
            "gateway_rejections_total{{route=\"{route}\",reason=\"{reason}\"}} 0\n"
        ))
    };
    let before_route = ["malformed", "unknown_type", "too_large", "shutting_down"];
    for reason in Reason::ALL.map(Reason::label) {
        assert_eq!(
            has(route, reason),
            reason != "unknown_type",
            "{reason}: {page}"
        );
        assert_eq!(
            has("", reason),
            before_route.contains(&reason),
            "{reason}: {page}"
        );
    }
}

#[test]
fn a_new_route_has_a_count_of_rejections_for_every_reason() {
    let process = Process::start(&yaml("", ""));
    assert_has_every_reason(&process.get("/metrics").body, "PERSON");
    let yaml = yaml("  ADDED: { pool: people }", "");
    fs::write(process.file(), yaml).unwrap();
    assert_eq!(process.reload().json()["outcome"], "applied");
    assert_has_every_reason(&process.get("/metrics").body, "ADDED");
}

/// Runs a command of the binary in the directory of a gateway, and returns its exit code, standard
/// output and standard error.
fn command(directory: &std::path::Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = std::process::Command::new(binary())
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn health_and_reload_query_the_running_gateway() {
    let process = Process::start(&with_admin("", "", "admin: { bind: \"127.0.0.1:0\" }"));
    let directory = process.directory.path();
    let (code, _, errors) = command(directory, &["health"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("the system chooses the port"), "{errors}");
    // `fixed.yaml` has the port that the system chose.
    let admin = format!("admin: {{ bind: \"{}\" }}", process.admin());
    fs::write(directory.join("fixed.yaml"), with_admin("", "", &admin)).unwrap();
    let run = |name: &str| command(directory, &[name, "-c", "fixed.yaml"]);
    assert_eq!(
        run("health"),
        (Some(0), "ready\n".to_owned(), String::new())
    );
    let unchanged = "unchanged: nothing changed; generation 1\n".to_owned();
    assert_eq!(run("reload"), (Some(0), unchanged, String::new()));
    fs::write(process.file(), "frontends: 1\n").unwrap();
    let (code, output, errors) = run("reload");
    assert_eq!((code, &*output), (Some(1), ""));
    assert!(
        errors.starts_with("invalid: nothing changed; generation 1 stays in force\n"),
        "{errors}"
    );
    drop(process);
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    fs::write(directory.join("routes.yaml"), with_admin("", "", &admin)).unwrap();
    let (code, _, errors) = command(directory, &["health"]);
    assert_eq!(code, Some(1));
    assert!(
        errors.starts_with("error: no answer from 127.0.0.1:"),
        "{errors}"
    );
    fs::write(directory.join("routes.yaml"), with_admin("", "", "")).unwrap();
    let (code, _, errors) = command(directory, &["health"]);
    assert_eq!(code, Some(1));
    assert!(
        errors.starts_with("error: routes.yaml has no admin address"),
        "{errors}"
    );
}

/// Returns the messages of the next log lines, up to but not including the first message that
/// begins with `last`.
#[track_caller]
fn lines_before(process: &mut Process, last: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let line = process.next_line(TEST_TIMEOUT).expect(last);
        let message = line["message"].as_str().unwrap_or_default().to_owned();
        if message.starts_with(last) {
            return lines;
        }
        lines.push(message);
    }
}

#[test]
fn repeated_reloads_with_the_same_outcome_are_logged_once() {
    let mut process = Process::start(&yaml("", ""));
    for _ in 0..20 {
        assert_eq!(process.reload().code, 200);
    }
    fs::write(process.file(), yaml("  RAW: { pool: people }", "")).unwrap();
    assert_eq!(process.reload().code, 200);
    let lines = lines_before(&mut process, "reloaded: +1 route");
    let is_unchanged = |line: &&String| line.starts_with("reload: nothing changed");
    assert_eq!(lines.iter().filter(is_unchanged).count(), 1, "{lines:?}");

    fs::write(process.file(), "frontends: 1\n").unwrap();
    for _ in 0..20 {
        assert_eq!(process.reload().code, 422);
    }
    fs::write(process.file(), yaml("", "")).unwrap();
    assert_eq!(process.reload().code, 200);
    let lines = lines_before(&mut process, "reloaded: -1 route");
    let failed = lines
        .iter()
        .filter(|line| line.starts_with("reload failed"));
    // One line may report the edit, which the gateway notices by itself, and another line may
    // report the first request.
    assert!((1..=2).contains(&failed.count()), "{lines:?}");
}

#[test]
fn the_status_after_many_errors_stays_small() {
    let process = Process::start(&yaml("", ""));
    let faults: String = (0..20_000).map(|n| format!("  {n}: {{}}\n")).collect();
    fs::write(process.file(), yaml(&faults, "")).unwrap();
    let reported = process.reload();
    assert_eq!(reported.code, 422);
    let reported = reported.json()["diagnostics"].clone();
    assert_eq!(reported.as_array().unwrap().len(), 201);
    assert_eq!(reported[200]["message"], "and 19800 more errors");
    let status = process.get("/status");
    assert!(status.body.len() < 1 << 20, "{}", status.body.len());
    assert_eq!(status.json()["last_reload"]["diagnostics"], reported);
}
