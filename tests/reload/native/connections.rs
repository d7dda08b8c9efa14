//! What an edit means for peers that are connected: limits, heartbeats, kinds of workers and calls change under them;
//! what is removed gives what it owes first. What the native engine can.

use crate::support::PATIENCE;
use crate::support::process::Process;
use crate::support::sockets::{reason_or_type, texts};
use crate::support::zmtp::{Raw, Said, command, greeting, message, ready};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const CLIENTS: &str = "frontend clients";
const PEOPLE: &str = "pool people";

/// Two frontends and one pool, by these settings, and what else there is.
fn yaml(people: &str, more: &str) -> String {
    format!(
        r#"
engine: native
frontends:
  clients: {{ bind: "tcp://127.0.0.1:0" }}
  other: {{ bind: "tcp://127.0.0.1:0" }}
pools:
  people: {{ {people} }}
  idle: {{ bind: "tcp://127.0.0.1:0" }}
routes: {{ OPAQUE: {{ pool: people }}, IDLE: {{ pool: idle }} }}
reload: {{ watch: false }}
admin: {{ bind: "127.0.0.1:0" }}
{more}
"#
    )
}

const BOUND: &str = r#"bind: "tcp://127.0.0.1:0""#;

/// Takes up another configuration; it holds once this returns.
#[track_caller]
fn reload(gateway: &Process, yaml: &str) {
    std::fs::write(gateway.file(), yaml).unwrap();
    let answer = gateway.reload();
    assert_eq!(answer.code, 200, "{}", answer.body);
}

fn ask(client: &mut Raw, header: &str) {
    client.say(&message(&["OPAQUE", header, "x"]));
}

/// A worker answers the next request, PINGs aside.
#[track_caller]
fn answer(worker: &mut Raw) {
    let request = request(worker);
    worker.say(&message(&[&request[0][..], b"REPLY", &request[2], b"y"]));
}

#[track_caller]
fn request(worker: &mut Raw) -> Vec<Vec<u8>> {
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "no request came");
        match worker.hear() {
            Said::Message(frames) => return frames,
            Said::Command(_) => worker.say(&command(b"\x04PONG")),
            Said::End => panic!("it was hung up on"),
        }
    }
}

/// How the next answer begins: its type, and the header, or of a rejection its reason.
#[track_caller]
fn answered(client: &mut Raw) -> (String, String) {
    let frames = client.hear_message();
    let mut parts = texts(&frames);
    let said = match &*parts[0] {
        "ERROR" => reason_or_type(&frames),
        _ => parts.swap_remove(1),
    };
    (parts.swap_remove(0), said)
}

fn reply(header: &str) -> (String, String) {
    ("REPLY".into(), header.into())
}

/// Nothing else would ever end those requests.
#[test]
fn workers_of_a_removed_pool_may_return_for_queued_requests() {
    let settings = format!("{BOUND}, per_worker: 1, timeout: none, heartbeat: 100ms");
    let mut gateway = Process::start(&yaml(&settings, ""));
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    for header in ["held", "first", "second"] {
        ask(&mut client, header);
    }
    request(&mut worker);
    let without = r#"
engine: native
frontends: { clients: { bind: "tcp://127.0.0.1:0" }, other: { bind: "tcp://127.0.0.1:0" } }
pools: { idle: { bind: "tcp://127.0.0.1:0" } }
routes: { IDLE: { pool: idle } }
reload: { watch: false }
admin: { bind: "127.0.0.1:0" }
"#;
    reload(&gateway, without);
    drop(worker);
    assert_eq!(
        answered(&mut client),
        ("ERROR".into(), "worker_lost".into())
    );
    // It comes back, and is served by the settings that the pool had last, heartbeats included.
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    let first = request(&mut worker);
    assert_eq!(worker.hear(), Said::Command(b"\x04PING\0\0".to_vec()));
    worker.say(&message(&[&first[0][..], b"REPLY", &first[2], b"y"]));
    assert_eq!(answered(&mut client), reply("first"));
    answer(&mut worker);
    assert_eq!(answered(&mut client), reply("second"));
    // Then nobody waits for it any more.
    gateway.await_line("what the configuration has no more");
    assert_eq!(worker.hear(), Said::End);
}

/// The same for a pool whose workers are called: they are called again for as long as somebody waits.
#[test]
fn a_removed_pool_connects_again_for_queued_requests() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let settings =
        format!(r#"connect: "tcp://{at}", timeout: none, heartbeat: off, per_worker: 2"#);
    let mut gateway = Process::start(&yaml(&settings, ""));
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut worker = called(&listener);
    ask(&mut client, "held");
    request(&mut worker);
    ask(&mut client, "waits");
    request(&mut worker);
    let without = yaml(&settings, "").replace("OPAQUE: { pool: people }, ", "");
    let from = without.find("  people:").unwrap();
    let to = without.find("  idle:").unwrap();
    let without = [&without[..from], &without[to..]].concat();
    // A request that nobody holds yet keeps the pool.
    drop(worker);
    for _ in 0..2 {
        assert_eq!(answered(&mut client).1, "worker_lost");
    }
    ask(&mut client, "later");
    reload(&gateway, &without);
    let mut worker = called(&listener);
    answer(&mut worker);
    assert_eq!(answered(&mut client), reply("later"));
    // Then it is called no more.
    gateway.await_line("what the configuration has no more");
    assert_eq!(worker.hear(), Said::End);
    let more = gateway.next_line(Duration::from_millis(500));
    assert!(more.is_none(), "{more:?}");
}

/// A worker that listens and is called.
#[track_caller]
fn called(listener: &TcpListener) -> Raw {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut raw = Raw { stream };
    raw.say(&greeting(1));
    raw.say(&command(&ready("DEALER", &[])));
    raw.hear_greeting();
    let said = raw.hear();
    assert!(
        matches!(&said, Said::Command(body) if body.starts_with(b"\x05READY")),
        "{said:?}"
    );
    raw
}

/// A connection that is closed while something unread lies in it is reset, and takes with it what its peer has not
/// read yet.
#[test]
fn a_removed_frontends_last_answers_arrive() {
    let mut gateway = Process::start(&yaml(BOUND, ""));
    let mut client = Raw::peer(&gateway.endpoint("frontend other"), "DEALER");
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    ask(&mut client, "large");
    let held = request(&mut worker);
    // More than lies with the client's system, and no more than both systems hold.
    let large = vec![b'y'; 3 << 20];
    worker.say(&message(&[&held[0][..], b"REPLY", &held[2], &large]));
    gateway.await_metrics("it is written", |metrics| {
        metrics.sum("gateway_in_flight", &[]) == 0.0
    });
    let other = r#"  other: { bind: "tcp://127.0.0.1:0" }"#;
    let without = yaml(BOUND, "").replace(other, "");
    reload(&gateway, &without);
    gateway.await_line("what the configuration has no more");
    // It hasn't read its answer when it says something else, twice: what a closed connection gets is reset.
    for _ in 0..2 {
        client.try_say(&message(&["OPAQUE", "more", "x"]));
        // The system has handled it once it has handled what came later.
        gateway.metrics();
    }
    let frames = client.hear_message();
    assert_eq!(frames[1], b"large");
    assert!(frames[2] == large);
    assert_eq!(client.hear(), Said::End);
}

#[test]
fn limits_change_for_connected_peers() {
    let gateway = Process::start(&yaml(BOUND, ""));
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    let large = message(&["OPAQUE", "large", &"x".repeat(100_000)]);
    for _ in 0..2 {
        client.say(&large);
        answer(&mut worker);
        assert_eq!(answered(&mut client), reply("large"));
        reload(&gateway, &yaml(BOUND, "limits: { message: 64KiB }"));
        client.say(&large);
        assert_eq!(answered(&mut client), ("ERROR".into(), "too_large".into()));
        reload(&gateway, &yaml(BOUND, ""));
    }
}

#[test]
fn heartbeats_change_for_connected_peers() {
    let with = |heartbeat: &str| {
        yaml(
            &format!("{BOUND}, timeout: none, heartbeat: {heartbeat}"),
            "",
        )
    };
    let gateway = Process::start(&with("off"));
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    ask(&mut client, "1");
    let held = request(&mut worker);
    reload(&gateway, &with("50ms"));
    assert_eq!(worker.hear(), Said::Command(b"\x04PING\0\0".to_vec()));
    worker.say(&command(b"\x04PONG"));
    // Off again, its silence means nothing: it would be lost in 150 ms.
    reload(&gateway, &with("off"));
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(400) {
        gateway.metrics();
    }
    worker.say(&message(&[&held[0][..], b"REPLY", b"1", b"y"]));
    assert_eq!(answered(&mut client), reply("1"));
    // And on: it is lost.
    ask(&mut client, "2");
    reload(&gateway, &with("50ms"));
    assert_eq!(
        answered(&mut client),
        ("ERROR".into(), "worker_lost".into())
    );
}

#[test]
fn a_worker_of_a_kind_that_is_not_wanted_any_more_finishes_and_goes() {
    let mut gateway = Process::start(&yaml(&format!("{BOUND}, timeout: none"), ""));
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut dealer = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    ask(&mut client, "held");
    let held = request(&mut dealer);
    reload(
        &gateway,
        &yaml(&format!("{BOUND}, timeout: none, workers: rep"), ""),
    );
    // What comes now is not for it, though it has room.
    ask(&mut client, "later");
    let mut rep = Raw::peer(&gateway.endpoint(PEOPLE), "REP");
    let later = request(&mut rep);
    rep.say(&message(&[&later[0][..], b"", b"REPLY", b"later", b"y"]));
    assert_eq!(answered(&mut client), reply("later"));
    dealer.say(&message(&[&held[0][..], b"REPLY", b"held", b"y"]));
    assert_eq!(answered(&mut client), reply("held"));
    loop {
        match dealer.hear() {
            Said::End => break,
            Said::Command(_) => {}
            Said::Message(frames) => panic!("{frames:?}"),
        }
    }
    gateway.await_line("what the configuration has no more");
}

#[test]
fn connect_addresses_change_while_requests_are_held() {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let with = |listener: &TcpListener| {
        let at = listener.local_addr().unwrap();
        yaml(
            &format!(r#"connect: "tcp://{at}", timeout: none, heartbeat: off"#),
            "",
        )
    };
    let gateway = Process::start(&with(&listeners[0]));
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut first = called(&listeners[0]);
    ask(&mut client, "held");
    let held = request(&mut first);
    reload(&gateway, &with(&listeners[1]));
    let mut second = called(&listeners[1]);
    // The first one gets no more, and is let go once it has answered.
    for header in ["a", "b"] {
        ask(&mut client, header);
        answer(&mut second);
        assert_eq!(answered(&mut client), reply(header));
    }
    first.say(&message(&[&held[0][..], b"REPLY", b"held", b"y"]));
    assert_eq!(answered(&mut client), reply("held"));
    assert_eq!(first.hear(), Said::End);
}

/// A DEALER with two connections answers by either, so it has one at a time.
#[test]
fn a_worker_is_called_for_another_pool_once_it_has_answered_for_the_old_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let settings = format!(r#"connect: "tcp://{at}", timeout: none, heartbeat: off"#);
    let before = yaml(&settings, "");
    let mut gateway = Process::start(&before);
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut worker = called(&listener);
    ask(&mut client, "held");
    let held = request(&mut worker);
    reload(&gateway, &before.replace("people", "persons"));
    ask(&mut client, "new");
    listener.set_nonblocking(true).unwrap();
    // It is looked after now and then; an answer of the gateway's own shows that it has had its turns.
    for _ in 0..20 {
        client.say(&message(&["NONE", "n", "x"]));
        assert_eq!(answered(&mut client).1, "unknown_type");
        let early = listener.accept().map(drop).map_err(|error| error.kind());
        assert_eq!(early, Err(std::io::ErrorKind::WouldBlock));
    }
    listener.set_nonblocking(false).unwrap();
    worker.say(&message(&[&held[0][..], b"REPLY", b"held", b"y"]));
    assert_eq!(answered(&mut client), reply("held"));
    assert_eq!(worker.hear(), Said::End);
    let mut worker = called(&listener);
    answer(&mut worker);
    assert_eq!(answered(&mut client), reply("new"));
    gateway.await_line("what the configuration has no more");
}

/// What is allowed to the request is allowed to its answer.
#[test]
fn an_answer_has_the_limits_in_force_when_its_request_arrived() {
    let limits = |message, frames| {
        let limits = format!("limits: {{ message: {message}, frames: {frames} }}");
        yaml(&format!("{BOUND}, heartbeat: off, per_worker: 10"), &limits)
    };
    let gateway = Process::start(&limits("1MiB", 30));
    let mut client = Raw::peer(&gateway.endpoint(CLIENTS), "DEALER");
    let mut worker = Raw::peer(&gateway.endpoint(PEOPLE), "DEALER");
    let held = ["many", "large", "too many"].map(|header| {
        ask(&mut client, header);
        request(&mut worker)
    });
    reload(&gateway, &limits("1KiB", 4));
    let headers = |count| vec![&b"h"[..]; count];
    let large = vec![b'x'; 500_000];
    let bodies = [headers(20), vec![&large[..]], headers(40)];
    for (held, body) in held.iter().zip(&bodies) {
        let head = [&held[0][..], b"REPLY", &held[2]];
        worker.say(&message(&[&head[..], body].concat()));
    }
    for (header, body) in ["many", "large"].iter().zip(&bodies) {
        let whole = [&[&b"REPLY"[..], header.as_bytes()], &body[..]].concat();
        assert_eq!(client.hear_message(), whole);
    }
    assert_eq!(answered(&mut client).1, "bad_reply");
    // What comes from now on is judged by what holds now.
    ask(&mut client, "now");
    let held = request(&mut worker);
    worker.say(&message(&[&held[0][..], b"REPLY", b"now", &large]));
    assert_eq!(answered(&mut client).1, "bad_reply");
}
